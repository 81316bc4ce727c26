#include "gateway/arguments.h"

#include "proto/json.h"
#include "proto/resources/resources.h"

#include <criterion/criterion.h>

static const char json[] = "application/json";
static const char form[] = "application/x-www-form-urlencoded";

static const struct route list = {.shape = ROUTE_LIST};
static const struct route get = {.shape = ROUTE_READ};
static const struct route create = {.verb = ROUTE_POST, .shape = ROUTE_CREATE};
static const struct route update = {.verb = ROUTE_POST, .shape = ROUTE_UPDATE};
static const struct route destroy = {.verb = ROUTE_POST,
				     .shape = ROUTE_DESTROY};
static const struct route sign_in = {
	.verb = ROUTE_POST, .shape = ROUTE_CALL, .body = &sign_in_record};
static const struct route info = {.shape = ROUTE_CALL,
				  .query = &info_query_record};
static const struct route token = {
	.verb = ROUTE_POST, .shape = ROUTE_CALL, .flags = ROUTE_TOKEN};
static const struct route oauth = {.verb = ROUTE_POST,
				   .shape = ROUTE_CALL,
				   .flags = ROUTE_FORM,
				   .body = &oauth_token_record};

struct building {
	const char *name;
	const struct route *route;
	const char *arguments; /* as JSON, ids as numbers */
	enum err_code code;
	const char *field; /* of the first detail */
	const char *id;
	const char *query, *body, *type, *if_match, *key;
};

/* MTI= is the id 12. */
static const struct building buildings[] = {
	{"no options", &list, "{}"},
	{"options", &list,
	 "{\"filter\":\"a eq 1\",\"skip\":5,\"top\":-1,\"count\":false}",
	 .query = "top=-1&filter=a+eq%201&skip=5&count=false"},
	{"options with $", &list, "{\"orderby\":\"name\",\"search\":\"x\"}",
	 .query = "$orderby=name&%24search=x"},
	{"unknown options", &list, "{\"top\":1}",
	 .query = "_=1&$x=2&top=1&top1"},
	{"after is not for clients", &list, "{}", .query = "after=1"},
	{"largest integer", &list, "{\"skip\":9223372036854775807}",
	 .query = "skip=9223372036854775807"},
	{"integer too large", &list, .code = ERR_VALIDATE, .field = "skip",
	 .query = "skip=9223372036854775808"},
	{"no integer", &list, .code = ERR_VALIDATE, .field = "top",
	 .query = "top=1.0"},
	{"space before an integer", &list, .code = ERR_VALIDATE, .field = "top",
	 .query = "top=+1"},
	{"empty integer", &list, .code = ERR_VALIDATE, .field = "top",
	 .query = "top="},
	{"no boolean", &list, .code = ERR_VALIDATE, .field = "count",
	 .query = "count=1"},
	{"repeated", &list, .code = ERR_VALIDATE, .field = "top",
	 .query = "top=1&top=1"},
	{"repeated with $", &list, .code = ERR_VALIDATE, .field = "filter",
	 .query = "filter=&$filter="},
	{"bad escape", &list, .code = ERR_MALFORMED, .query = "filter=%zz"},

	{"get", &get, "{\"id\":12}", .id = "MTI="},
	{"get, malformed id", &get, .code = ERR_NOT_FOUND, .id = "12"},
	{"get, malformed padding", &get, .code = ERR_NOT_FOUND, .id = "MTI"},

	{"create", &create, "{\"object\":{\"a\":[1,null]}}",
	 .body = "{\"a\":[1,null]}", .type = json},
	{"create with a key", &create,
	 "{\"idempotency_key\":\"k-1\",\"object\":{}}", .body = "{}",
	 .type = json, .key = "k-1"},
	{"empty key", &create, .code = ERR_VALIDATE, .field = "Idempotency-Key",
	 .body = "{}", .type = json, .key = ""},
	{"key with a space", &create, .code = ERR_VALIDATE,
	 .field = "Idempotency-Key", .body = "{}", .type = json, .key = "a b"},
	{"create without a body", &create, "{\"object\":{}}"},
	{"charset", &create, "{\"object\":{}}", .body = "{}",
	 .type = "Application/JSON; charset=\"UTF-8\""},
	{"other parameter", &create, "{\"object\":{}}", .body = "{}",
	 .type = "application/json;odata=x ;charset=utf-8"},
	{"other charset", &create, .code = ERR_MEDIA_TYPE, .body = "{}",
	 .type = "application/json; charset=latin1"},
	{"longer type", &create, .code = ERR_MEDIA_TYPE, .body = "{}",
	 .type = "application/jsonp"},
	{"no type", &create, .code = ERR_MEDIA_TYPE, .body = "{}"},
	{"form for JSON", &create, .code = ERR_MEDIA_TYPE, .body = "a=b",
	 .type = form},
	{"array body", &create, .code = ERR_MALFORMED, .body = "[]",
	 .type = json},
	{"string body", &create, .code = ERR_MALFORMED, .body = "\"a\"",
	 .type = json},
	{"cut body", &create, .code = ERR_MALFORMED,
	 .body = "{\"a\":", .type = json},

	{"update", &update, "{\"id\":12,\"object\":{\"a\":1}}",
	 .id = "MTI=", .body = "{\"a\":1}", .type = json},
	{"update if", &update, "{\"id\":12,\"if_version\":7,\"object\":{}}",
	 .id = "MTI=", .if_match = "\"7\""},
	{"update if any", &update, "{\"id\":12,\"object\":{}}",
	 .id = "MTI=", .if_match = "*"},
	{"bare version", &update, .code = ERR_VALIDATE, .field = "If-Match",
	 .id = "MTI=", .if_match = "7"},
	{"weak ETag", &update, .code = ERR_VALIDATE, .field = "If-Match",
	 .id = "MTI=", .if_match = "W/\"7\""},
	{"several ETags", &update, .code = ERR_VALIDATE, .field = "If-Match",
	 .id = "MTI=", .if_match = "\"7\", \"8\""},
	{"no version", &update, .code = ERR_VALIDATE, .field = "If-Match",
	 .id = "MTI=", .if_match = "\"07\""},
	{"update, malformed id", &update, .code = ERR_NOT_FOUND, .id = "?"},

	{"destroy", &destroy, "{\"id\":12}", .id = "MTI="},
	{"destroy if", &destroy, "{\"id\":12,\"if_version\":1}",
	 .id = "MTI=", .if_match = "\"1\""},
	{"destroy, malformed id", &destroy, .code = ERR_VALIDATE, .field = "id",
	 .id = "?"},
	{"destroy does not look at a body", &destroy, "{\"id\":12}",
	 .id = "MTI=", .body = "x", .type = "text/plain"},

	{"call", &sign_in, "{\"username\":\"a\",\"x\":{\"y\":1}}",
	 .body = "{\"username\":\"a\",\"x\":{\"y\":1}}", .type = json},
	{"call, empty body", &sign_in, "{}"},
	{"call, query not asked for", &sign_in, "{}", .query = "qr=true"},
	{"query", &info, "{\"domain\":\"a.b\"}", .query = "domain=a.b&x=1"},
	{"no $ in a call's query", &info, "{}", .query = "$domain=a"},
	{"token", &token, "{\"access_token\":\"secret\"}", .body = "ignored"},
	{"form", &oauth, "{\"grant_type\":\"password\",\"a\":\"b c\"}",
	 .body = "grant_type=password&a=b+c", .type = form},
	{"JSON for a form", &oauth, .code = ERR_MEDIA_TYPE, .body = "{}",
	 .type = json},
	{"bad form", &oauth, .code = ERR_MALFORMED, .body = "a=%",
	 .type = form},
};

static struct slice optional(const char *text)
{
	return slice_str(text);
}

static void check(const struct building *b)
{
	struct route_match match = {.route = b->route};
	struct arguments_input input = {
		.query = optional(b->query),
		.body = optional(b->body),
		.content_type = optional(b->type),
		.if_match = optional(b->if_match),
		.idempotency_key = optional(b->key),
		.token = slice_str("secret"),
	};
	struct arena arena = {0};
	struct buffer out = {0};
	struct buffer text = {0};
	struct err err = {0};

	if (b->id)
		match.params[match.param_count++] = slice_str(b->id);
	enum err_code code = arguments_build(&dialect_v22, &match, &input,
					     &arena, &out, &err);
	cr_expect_eq(code, b->code, "%s: %d %s", b->name, code, err.text);
	cr_expect_eq(err.code, b->code, "%s", b->name);
	if (b->field)
		cr_expect_str_eq(err.details[0].field, b->field, "%s", b->name);
	if (b->arguments) {
		cr_expect_eq(json_from_msgpack(buffer_slice(&out), NULL, &text,
					       &err),
			     ERR_OK, "%s: %s", b->name, err.text);
		cr_expect(slice_is(buffer_slice(&text), b->arguments),
			  "%s: %.*s", b->name, SLICE_ARG(buffer_slice(&text)));
	}
	buffer_fini(&text);
	buffer_fini(&out);
	arena_fini(&arena);
}

Test(arguments, builds)
{
	for (size_t i = 0; i < sizeof(buildings) / sizeof(*buildings); i++)
		check(&buildings[i]);
}

Test(arguments, key_bound)
{
	char key[IDEMPOTENCY_KEY_BYTES_MAX + 2];
	struct building b = {"key", &create, .key = key};

	memset(key, 'k', sizeof(key));
	key[IDEMPOTENCY_KEY_BYTES_MAX + 1] = '\0';
	b.code = ERR_VALIDATE;
	check(&b);
	key[IDEMPOTENCY_KEY_BYTES_MAX] = '\0';
	b.code = ERR_OK;
	check(&b);
}

Test(arguments, next_page)
{
	struct buffer out = {0};
	struct buffer text = {0};
	static const char first[] = "\x81\xa3top\x05";

	arguments_page(slice_of(first, sizeof(first) - 1), slice_of("\x07", 1),
		       &out);
	cr_assert_eq(json_from_msgpack(buffer_slice(&out), NULL, &text, NULL),
		     ERR_OK);
	cr_expect(slice_is(buffer_slice(&text), "{\"top\":5,\"after\":7}"));
	buffer_fini(&out);
	buffer_fini(&text);
}
