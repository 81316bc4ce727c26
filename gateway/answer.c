#include "gateway/answer.h"

#include "gateway/credentials.h"
#include "proto/reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char json_type[] = "application/json";

/* When a service is away it is mostly being started again. */
enum { UNAVAILABLE_RETRY_S = 1 };

void answer_reset(struct answer *answer)
{
	answer->http = (struct http_answer){.status = 200};
	answer->body.size = 0;
}

void answer_header(struct answer *answer, const char *name, struct slice value)
{
	assert(answer->http.header_count < HTTP_HEADERS_MAX);
	answer->http.headers[answer->http.header_count++] =
		(struct http_header){name, value};
}

static void body_set(struct answer *answer, const char *content_type)
{
	answer->http.content_type = content_type;
	answer->http.body = buffer_slice(&answer->body);
}

/* A reader before the value of a map's member; false: there is none. */
static bool member_find(struct slice map, const char *name,
			struct reader *reader)
{
	reader_init(reader, map);
	if (reader_peek(reader) != READER_MAP)
		return false;
	uint32_t count = reader_map(reader);
	for (uint32_t i = 0; i < count && reader_ok(reader); i++) {
		if (slice_is(reader_str(reader), name))
			return reader_ok(reader);
		reader_value(reader);
	}
	return false;
}

static void etag_set(struct answer *answer, uint64_t version)
{
	int size = snprintf(answer->etag, sizeof(answer->etag),
			    "\"%" PRIu64 "\"", version);

	answer_header(answer, "ETag", slice_of(answer->etag, (size_t)size));
}

/* The new object's own path: the collection's and its id. */
static void location_set(struct answer *answer, const struct route *route,
			 const struct dialect *dialect, struct slice body)
{
	struct reader reader;
	if (!member_find(body, "id", &reader) ||
	    reader_peek(&reader) != READER_ID)
		return;
	struct buffer id = {0};
	dialect->id_append(&id, reader_id(&reader));
	struct slice text = buffer_slice(&id);
	if (text.size >= 2 && text.data[0] == '"')
		text = slice_of(text.data + 1, text.size - 2);
	answer_header(answer, "Location",
		      slice_str(arena_printf(answer->arena, "%s/%.*s",
					     route->path, SLICE_ARG(text))));
	buffer_fini(&id);
}

/* A call that gives an access token keeps it in the login cookie, one that
 * answers nothing ends it. */
static void cookie_set(struct answer *answer, const struct route *route,
		       struct slice body, bool secure)
{
	struct slice token = slice_of(NULL, 0);
	int64_t max_age_s = 0;
	struct reader reader;

	if (member_find(body, "access_token", &reader))
		token = reader_str(&reader);
	if (member_find(body, "expires_in", &reader))
		max_age_s = reader_int(&reader);
	if (!token.data && !(route->flags & ROUTE_NO_CONTENT))
		return;
	struct buffer cookie = {0};
	credentials_cookie_append(token, max_age_s, secure, &cookie);
	answer_header(
		answer, "Set-Cookie",
		slice_str(arena_strdup(answer->arena, buffer_slice(&cookie))));
	buffer_fini(&cookie);
}

static bool has_body(const struct route *route)
{
	return route->shape != ROUTE_UPDATE && route->shape != ROUTE_DESTROY &&
	       !(route->flags & (ROUTE_EMPTY | ROUTE_NO_CONTENT));
}

enum err_code answer_reply(struct answer *answer, const struct route *route,
			   const struct dialect *dialect,
			   const struct reply *reply, bool secure,
			   struct err *err)
{
	answer->http.status = route_good_status(route);
	if (has_body(route)) {
		enum err_code code = json_from_msgpack(
			reply->body, dialect->id_append, &answer->body, err);
		if (code != ERR_OK)
			return code;
		body_set(answer, json_type);
	}
	if (reply->object_version > 0)
		etag_set(answer, reply->object_version);
	if (route->shape == ROUTE_CREATE)
		location_set(answer, route, dialect, reply->body);
	if (route->flags & ROUTE_COOKIE && route->verb == ROUTE_POST)
		cookie_set(answer, route, reply->body, secure);
	return ERR_OK;
}

void answer_error(struct answer *answer, const struct dialect *dialect,
		  const struct err *err)
{
	unsigned retry_after_s = err->retry_after_s;

	answer->body.size = 0;
	answer->http.status = err_http(err->code);
	dialect->error_append(err, &answer->body);
	body_set(answer, json_type);
	if (retry_after_s == 0 && err->code == ERR_UNAVAILABLE)
		retry_after_s = UNAVAILABLE_RETRY_S;
	if (retry_after_s > 0) {
		int size = snprintf(answer->retry_after,
				    sizeof(answer->retry_after), "%u",
				    retry_after_s);
		answer_header(answer, "Retry-After",
			      slice_of(answer->retry_after, (size_t)size));
	}
	if (err->code == ERR_UNAUTHORIZED)
		answer_header(answer, "WWW-Authenticate", slice_str("Bearer"));
}
