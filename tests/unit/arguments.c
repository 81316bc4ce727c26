#include "gateway/arguments.h"

#include "proto/json.h"
#include "proto/resources/resources.h"

#include <criterion/criterion.h>

static const char json[] = "application/json";
static const char form[] = "application/x-www-form-urlencoded";

/* A resource with ids in all places of a body. */
static const struct field part_fields[] = {
	{"owner", FIELD_ID},
	{"note", FIELD_STRING},
};
static const struct record part_record = {"Part", RECORD_FIELDS(part_fields)};
static const struct field thing_fields[] = {
	{"id", FIELD_ID, FIELD_READ_ONLY},
	{"owner", FIELD_ID},
	{"part", FIELD_OBJECT, .record = &part_record},
	{"parts", FIELD_OBJECTS, .record = &part_record},
};
static const struct record thing_record = {"Thing",
					   RECORD_FIELDS(thing_fields)};
static const struct resource things = {.record = &thing_record};

static const struct route list = {.path = "/t", .shape = ROUTE_LIST};
static const struct route get = {.path = "/t/{id}", .shape = ROUTE_READ};
static const struct route create = {ROUTE_POST, "/t", .shape = ROUTE_CREATE,
				    .resource = &provider_resource};
static const struct route create_thing = {
	ROUTE_POST, "/t", .shape = ROUTE_CREATE, .resource = &things};
static const struct route update = {ROUTE_POST, "/t/{id}",
				    .shape = ROUTE_UPDATE,
				    .resource = &provider_resource};
static const struct route destroy = {ROUTE_POST, "/t/{id}/destroy",
				     .shape = ROUTE_DESTROY};
/* The caller's own object */
static const struct route get_own = {.path = "/t", .shape = ROUTE_READ};
static const struct route update_own = {ROUTE_POST, "/t", .shape = ROUTE_UPDATE,
					.resource = &provider_resource};
/* Objects of an object */
static const struct route list_parts = {.path = "/t/{id}/p",
					.shape = ROUTE_LIST};
static const struct route part = {.path = "/t/{id}/p/{tenant_id}",
				  .shape = ROUTE_CALL};
static const struct route text_part = {.path = "/t/{id}/p/{instance_id}",
				       .shape = ROUTE_CALL};
static const struct route destroy_part = {
	ROUTE_POST, "/t/{id}/p/{dealer_id}/destroy", .shape = ROUTE_DESTROY};
static const struct route sign_in = {ROUTE_POST, "/s", .shape = ROUTE_CALL,
				     .body = &sign_in_record};
static const struct route call_thing = {
	ROUTE_POST, "/t/{id}", .shape = ROUTE_CALL, .body = &thing_record};
static const struct route info = {
	.path = "/i", .shape = ROUTE_CALL, .query = &info_query_record};
static const struct route audit = {
	.path = "/a", .shape = ROUTE_CALL, .query = &query_record};
static const struct route change = {ROUTE_POST, "/s", .shape = ROUTE_CALL,
				    .flags = ROUTE_TOKEN, .query = &id_record};
static const struct route token = {ROUTE_POST, "/s", .shape = ROUTE_CALL,
				   .flags = ROUTE_TOKEN};
static const struct route oauth = {ROUTE_POST, "/s", .shape = ROUTE_CALL,
				   .flags = ROUTE_FORM,
				   .body = &oauth_token_record};

struct building {
	const char *name;
	const struct route *route;
	const char *arguments; /* as JSON, ids as numbers */
	enum err_code code;
	const char *field; /* of the first detail */
	const char *id;	   /* the first parameter */
	const char *part;  /* the second */
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

	{"own", &get_own, "{}"},
	{"own, update if", &update_own, "{\"if_version\":7,\"object\":{}}",
	 .if_match = "\"7\""},
	{"own, update", &update_own, "{\"object\":{\"a\":1}}",
	 .body = "{\"a\":1}", .type = json},

	{"list of an object", &list_parts, "{\"id\":12,\"top\":1}",
	 .id = "MTI=", .query = "top=1"},
	{"two ids", &part, "{\"id\":12,\"tenant_id\":1}",
	 .id = "MTI=", .part = "MQ=="},
	{"two ids, malformed", &part, .code = ERR_NOT_FOUND,
	 .id = "MTI=", .part = "1"},
	{"a text that could be an id", &text_part,
	 "{\"id\":12,\"instance_id\":\"MQ==\"}", .id = "MTI=", .part = "MQ=="},
	{"destroy by two ids", &destroy_part,
	 "{\"id\":12,\"dealer_id\":1,\"if_version\":2}",
	 .id = "MTI=", .part = "MQ==", .if_match = "\"2\""},
	{"destroy by two ids, malformed", &destroy_part, .code = ERR_VALIDATE,
	 .field = "dealer_id", .id = "MTI=", .part = "1"},

	{"ids in a body", &create_thing,
	 "{\"object\":{\"owner\":12,\"part\":{\"note\":\"MQ==\",\"owner\":1},"
	 "\"parts\":[{\"owner\":12},{\"owner\":1},{}],\"x\":\"MQ==\"}}",
	 .body = "{\"owner\":\"MTI=\",\"part\":{\"note\":\"MQ==\","
		 "\"owner\":\"MQ==\"},\"parts\":[{\"owner\":\"MTI=\"},"
		 "{\"owner\":\"MQ==\"},{}],\"x\":\"MQ==\"}",
	 .type = json},
	{"no ids where they should be", &create_thing,
	 "{\"object\":{\"owner\":\"12\",\"part\":[1],\"parts\":[null,{"
	 "\"owner\":"
	 "null},{\"owner\":12}]}}",
	 .body = "{\"owner\":\"12\",\"part\":[1],\"parts\":[null,{\"owner\":"
		 "null},{\"owner\":12}]}",
	 .type = json},
	{"ids in a call's body", &call_thing,
	 "{\"id\":12,\"owner\":1,\"parts\":{}}", .id = "MTI=",
	 .body = "{\"owner\":\"MQ==\",\"parts\":{}}", .type = json},

	{"id in a query, no body", &change,
	 "{\"id\":12,\"access_token\":\"secret\"}", .query = "id=MTI%3D"},
	{"id in a query, unescaped", &change,
	 "{\"id\":12,\"access_token\":\"secret\"}", .query = "id=MTI="},
	{"no id in a query", &change, "{\"access_token\":\"secret\"}",
	 .body = "{}", .type = json},
	{"malformed id in a query", &change, .code = ERR_VALIDATE,
	 .field = "id", .query = "id=12"},

	{"call", &sign_in, "{\"username\":\"a\",\"x\":{\"y\":1}}",
	 .body = "{\"username\":\"a\",\"x\":{\"y\":1}}", .type = json},
	{"call, empty body", &sign_in, "{}"},
	{"call, query not asked for", &sign_in, "{}", .query = "qr=true"},
	{"query", &info, "{\"domain\":\"a.b\"}", .query = "domain=a.b&x=1"},
	{"no $ in a call's query", &info, "{}", .query = "$domain=a"},
	{"list options of a call", &audit, "{\"top\":3,\"count\":true}",
	 .query = "$top=3&count=true"},
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
	if (b->part)
		match.params[match.param_count++] = slice_str(b->part);
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
