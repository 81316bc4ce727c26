/* What goes out: answers, cookies, tokens, request ids, CSV. */

#include "gateway/answer.h"

#include "gateway/credentials.h"
#include "gateway/csv.h"
#include "gateway/request_id.h"
#include "gateway/status.h"
#include "proto/writer.h"

#include <criterion/criterion.h>

static struct slice header(const struct answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->http.header_count; i++) {
		if (strcmp(answer->http.headers[i].name, name) == 0)
			return answer->http.headers[i].value;
	}
	return slice_of(NULL, 0);
}

struct replying {
	const char *name;
	struct route route;
	const char *json; /* the reply's body; NULL: {"id": 12} */
	uint64_t version;
	int status;
	const char *body; /* NULL: none */
	const char *etag, *location, *cookie;
};

static const struct replying replyings[] = {
	{"list",
	 {.shape = ROUTE_LIST},
	 "{\"count\":0,\"items\":[]}",
	 0,
	 200,
	 "{\"count\":0,\"items\":[]}"},
	{"read",
	 {.shape = ROUTE_READ},
	 NULL,
	 7,
	 200,
	 "{\"id\":\"MTI=\"}",
	 .etag = "\"7\""},
	{"create",
	 {ROUTE_POST, "/api/x", .shape = ROUTE_CREATE},
	 NULL,
	 1,
	 201,
	 "{\"id\":\"MTI=\"}",
	 .etag = "\"1\"",
	 .location = "/api/x/MTI="},
	{"update",
	 {ROUTE_POST, .shape = ROUTE_UPDATE},
	 "null",
	 2,
	 200,
	 NULL,
	 .etag = "\"2\""},
	{"destroy", {ROUTE_POST, .shape = ROUTE_DESTROY}, "null", 0, 204},
	{"call",
	 {ROUTE_POST, .shape = ROUTE_CALL},
	 "{\"a\":1}",
	 0,
	 200,
	 "{\"a\":1}"},
	{"empty",
	 {ROUTE_POST, .shape = ROUTE_CALL, .flags = ROUTE_EMPTY},
	 "null",
	 0,
	 200},
	{"no content",
	 {ROUTE_POST, .shape = ROUTE_CALL, .flags = ROUTE_NO_CONTENT},
	 "null",
	 0,
	 204},
	{"login",
	 {ROUTE_POST, .shape = ROUTE_CALL, .flags = ROUTE_COOKIE},
	 "{\"access_token\":\"t\",\"expires_in\":9}",
	 0,
	 200,
	 "{\"access_token\":\"t\",\"expires_in\":9}",
	 .cookie = "trunkline_login=t; Path=/api; HttpOnly; SameSite=Strict; "
		   "Max-Age=9; Secure"},
	{"reading the session sets no cookie",
	 {ROUTE_GET, .shape = ROUTE_CALL, .flags = ROUTE_COOKIE},
	 "{\"access_token\":\"t\"}",
	 0,
	 200,
	 "{\"access_token\":\"t\"}"},
	{"logout",
	 {ROUTE_POST, .shape = ROUTE_CALL,
	  .flags = ROUTE_COOKIE | ROUTE_NO_CONTENT},
	 "null",
	 0,
	 204,
	 .cookie = "trunkline_login=; Path=/api; HttpOnly; SameSite=Strict; "
		   "Max-Age=0; Secure"},
};

static void body_make(const char *json, struct buffer *out)
{
	if (json) {
		cr_assert_eq(json_to_msgpack(slice_str(json), out, NULL),
			     ERR_OK);
		return;
	}
	writer_map(out, 1);
	writer_text(out, "id");
	writer_id(out, 12);
}

static void expect_header(const struct answer *answer, const char *name,
			  const char *value, const char *row)
{
	struct slice found = header(answer, name);

	if (value)
		cr_expect(slice_is(found, value), "%s: %s: %.*s", row, name,
			  SLICE_ARG(found));
	else
		cr_expect(!found.data, "%s: %s", row, name);
}

static void check(const struct replying *r)
{
	struct arena arena = {0};
	struct answer answer = {.arena = &arena};
	struct buffer body = {0};
	struct err err = {0};

	body_make(r->json, &body);
	struct reply reply = {.object_version = r->version,
			      .body = buffer_slice(&body)};
	answer_reset(&answer);
	cr_expect_eq(answer_reply(&answer, &r->route, &dialect_v22, &reply,
				  true, &err),
		     ERR_OK, "%s", r->name);
	cr_expect_eq(answer.http.status, r->status, "%s", r->name);
	cr_expect(slice_is(answer.http.body, r->body ? r->body : ""), "%s",
		  r->name);
	cr_expect_eq(answer.http.content_type != NULL, r->body != NULL, "%s",
		     r->name);
	expect_header(&answer, "ETag", r->etag, r->name);
	expect_header(&answer, "Location", r->location, r->name);
	expect_header(&answer, "Set-Cookie", r->cookie, r->name);
	buffer_fini(&body);
	buffer_fini(&answer.body);
	arena_fini(&arena);
}

Test(answer, replies)
{
	for (size_t i = 0; i < sizeof(replyings) / sizeof(*replyings); i++)
		check(&replyings[i]);
}

Test(answer, broken_reply)
{
	struct answer answer = {0};
	struct route route = {.shape = ROUTE_READ};
	struct reply reply = {.body = slice_of("\xc1", 1)};
	struct err err = {0};

	answer_reset(&answer);
	cr_expect_eq(answer_reply(&answer, &route, &dialect_v22, &reply, false,
				  &err),
		     ERR_INTERNAL);
	buffer_fini(&answer.body);
}

static void check_error(enum err_code code, unsigned retry_after_s, int status,
			const char *retry_after, const char *authenticate)
{
	struct answer answer = {0};
	struct err err = {0};

	err_code_set(&err, code);
	err.retry_after_s = retry_after_s;
	answer_reset(&answer);
	answer_error(&answer, &dialect_v22, &err);
	cr_expect_eq(answer.http.status, status, "%s", err_name(code));
	expect_header(&answer, "Retry-After", retry_after, err_name(code));
	expect_header(&answer, "WWW-Authenticate", authenticate,
		      err_name(code));
	buffer_fini(&answer.body);
}

Test(answer, errors)
{
	check_error(ERR_NOT_FOUND, 0, 404, NULL, NULL);
	check_error(ERR_UNAUTHORIZED, 0, 401, NULL, "Bearer");
	check_error(ERR_RATE_LIMITED, 30, 429, "30", NULL);
	check_error(ERR_UNAVAILABLE, 0, 503, "1", NULL);
	check_error(ERR_UNAVAILABLE, 9, 503, "9", NULL);
	check_error(ERR_LOST, 0, 502, NULL, NULL);
	check_error(ERR_DEADLINE, 0, 504, NULL, NULL);
}

/* A code with a status of its own has that status in the gateway's list. */
Test(answer, every_status_is_listed)
{
	for (uint64_t code = 0; err_known(code); code++) {
		const int status = err_http((enum err_code)code);

		cr_expect_eq(http_statuses[http_status_index(status)].status,
			     status, "%s", err_name((enum err_code)code));
	}
	cr_expect_eq(http_statuses[http_status_index(418)].status, 500);
}

Test(answer, v22_error_body)
{
	struct buffer out = {0};
	struct err err = {0};

	err_code_set(&err, ERR_CONFLICT);
	dialect_v22.error_append(&err, &out);
	cr_expect(slice_is(buffer_slice(&out),
			   "{\"errors\":[{\"code\":\"CONFLICT\",\"message\":"
			   "\"conflicts with what exists\"}]}"));
	out.size = 0;
	err_field(&err, "a", "is \"%s\"", "x");
	err_field(&err, "b.c", "is required");
	dialect_v22.error_append(&err, &out);
	cr_expect(slice_is(
		buffer_slice(&out),
		"{\"errors\":[{\"code\":\"VALIDATE_FAILED\",\"message\":"
		"\"field validation failed\",\"detail\":[{\"field\":\"a\","
		"\"reason\":\"is \\\"x\\\"\"},{\"field\":\"b.c\",\"reason\":"
		"\"is required\"}]}]}"));
	buffer_fini(&out);
}

struct proving {
	const char *name;
	const char *authorization;
	const char *cookie;
	const char *token; /* NULL: none */
};

static const struct proving provings[] = {
	{"none", NULL, NULL, NULL},
	{"bearer", "Bearer abc-_.~+/=1", NULL, "abc-_.~+/=1"},
	{"any case", "bEARER a", NULL, "a"},
	{"spaces", "Bearer   a ", NULL, "a"},
	{"other scheme", "Basic YTpi", NULL, NULL},
	{"no token", "Bearer ", NULL, NULL},
	{"no space", "Bearera", NULL, NULL},
	{"two words", "Bearer a b", NULL, NULL},
	{"cookie", NULL, "trunkline_login=a", "a"},
	{"among others", NULL, "a=b; trunkline_login=t; c=d", "t"},
	{"longer name", NULL, "xtrunkline_login=a", NULL},
	{"empty cookie", NULL, "trunkline_login=", NULL},
	{"quoted cookie", NULL, "trunkline_login=\"a\"", NULL},
	{"bearer first", "Bearer a", "trunkline_login=b", "a"},
	{"broken bearer, good cookie", "Basic x", "trunkline_login=b", "b"},
};

Test(answer, tokens)
{
	for (size_t i = 0; i < sizeof(provings) / sizeof(*provings); i++) {
		const struct proving *p = &provings[i];
		struct slice token = credentials_token(
			slice_str(p->authorization), slice_str(p->cookie));

		cr_expect_eq(token.data != NULL, p->token != NULL, "%s",
			     p->name);
		if (p->token)
			cr_expect(slice_is(token, p->token), "%s", p->name);
	}
}

Test(answer, request_ids)
{
	struct request_ids ids = {0};
	char first[REQUEST_ID_BYTES];
	char out[REQUEST_ID_BYTES];
	char longest[REQUEST_ID_BYTES + 1];

	request_id_make(&ids, slice_of(NULL, 0), first);
	cr_expect_eq(strlen(first), 2 * REQUEST_ID_RANDOM_BYTES);
	for (int i = 0; i < 2 * REQUEST_ID_POOL; i++) {
		request_id_make(&ids, slice_str(""), out);
		cr_expect_str_neq(out, first);
	}
	request_id_make(&ids, slice_str("aZ9._-"), out);
	cr_expect_str_eq(out, "aZ9._-");
	request_id_make(&ids, slice_str("a b"), out);
	cr_expect_str_neq(out, "a b");
	memset(longest, 'a', REQUEST_ID_BYTES);
	longest[REQUEST_ID_BYTES] = '\0';
	request_id_make(&ids, slice_str(longest), out);
	cr_expect_str_neq(out, longest);
	longest[REQUEST_ID_BYTES - 1] = '\0';
	request_id_make(&ids, slice_str(longest), out);
	cr_expect_str_eq(out, longest);
}

static const struct field csv_fields[] = {
	{"id", FIELD_ID},
	{"name", FIELD_STRING},
	{"password", FIELD_STRING, FIELD_SECRET},
	{"at", FIELD_TIME},
	{"list", FIELD_ENUM_LIST},
};
static const struct record csv_record = {.name = "Csv",
					 RECORD_FIELDS(csv_fields)};

Test(answer, csv)
{
	struct arena arena = {0};
	struct buffer item = {0};
	struct buffer out = {0};
	struct reader reader;

	writer_map(&item, 4);
	writer_text(&item, "name");
	writer_text(&item, "a \"b\", c");
	writer_text(&item, "id");
	writer_id(&item, 12);
	writer_text(&item, "at");
	writer_time(&item, 0);
	writer_text(&item, "list");
	writer_array(&item, 2);
	writer_text(&item, "x");
	writer_text(&item, "y");
	writer_map(&item, 1);
	writer_text(&item, "name");
	writer_nil(&item);
	reader_init(&reader, buffer_slice(&item));
	csv_head_append(&csv_record, &out);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(csv_line_append(&csv_record, &reader,
					     dialect_v22.id_append, &arena,
					     &out, NULL),
			     ERR_OK);
	cr_expect(slice_is(buffer_slice(&out),
			   "id,name,at,list\r\n"
			   "MTI=,\"a \"\"b\"\", c\",1970-01-01T00:00:00Z,"
			   "\"[\"\"x\"\",\"\"y\"\"]\"\r\n"
			   ",,,\r\n"),
		  "%.*s", SLICE_ARG(buffer_slice(&out)));
	cr_expect_eq(csv_line_append(&csv_record, &reader,
				     dialect_v22.id_append, &arena, &out, NULL),
		     ERR_INTERNAL);
	buffer_fini(&item);
	buffer_fini(&out);
	arena_fini(&arena);
}
