/* The walkers over descriptors, on the provider's own rows. */

#include "proto/record.h"
#include "proto/principal.h"
#include "proto/resources/resources.h"
#include "proto/resources/tenants.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRED                                                               \
	"\"name\":\"n\",\"transport\":\"UDP\",\"hostname\":\"h.example\","     \
	"\"port\":5060,\"outbound_server\":\"o.example\","                     \
	"\"outbound_server_port\":5060,\"concurrency\":1"

/* One decoded object and what it lives in. */
struct decoded {
	struct arena arena;
	struct buffer wire;
	struct value values[96];
	struct err err;
	enum err_code code;
};

static const struct record *provider(void)
{
	return provider_resource.record;
}

static void decode(struct decoded *out, enum record_mode mode, const char *json)
{
	struct reader reader;

	*out = (struct decoded){0};
	cr_assert_eq(json_to_msgpack(slice_str(json), &out->wire, &out->err),
		     ERR_OK, "%s", json);
	reader_init(&reader, buffer_slice(&out->wire));
	out->code = record_decode(provider(), mode, &reader, &out->arena,
				  out->values, &out->err);
}

static void decoded_fini(struct decoded *decoded)
{
	arena_fini(&decoded->arena);
	buffer_fini(&decoded->wire);
}

static const struct value *value_of(const struct decoded *decoded,
				    const char *name)
{
	return &decoded->values[record_find(provider(), slice_str(name), 0)];
}

/* The JSON of a view. */
static char *shown(const struct decoded *decoded, enum record_view view)
{
	struct buffer wire = {0}, json = {0};
	struct err err;

	record_encode(provider(), view, decoded->values, &wire);
	cr_assert_eq(json_from_msgpack(buffer_slice(&wire), NULL, &json, &err),
		     ERR_OK);
	buffer_append_char(&json, '\0');
	buffer_fini(&wire);
	return json.data;
}

Test(record, required_fields_are_enough)
{
	struct decoded d;

	decode(&d, RECORD_CREATE, "{" REQUIRED "}");
	cr_assert_eq(d.code, ERR_OK, "%s", d.err.details[0].reason);
	record_default(provider(), d.values);
	cr_expect(value_of(&d, "enabled")->boolean);
	cr_expect_eq(value_of(&d, "register_interval")->integer, 600);
	cr_expect_eq(value_of(&d, "keep_alive_interval")->integer, 360);
	cr_expect_not(value_of(&d, "inlan")->boolean);
	cr_expect_eq(value_of(&d, "brand")->kind, VALUE_ABSENT);
	decoded_fini(&d);
}

struct mode_case {
	const char *json;
	const char *mode;
};

static const struct mode_case mode_cases[] = {
	{"{" REQUIRED "}", "IP_AUTH"},
	{"{" REQUIRED ",\"auth_id\":\"a\"}", "REGISTER_AUTH"},
	{"{" REQUIRED ",\"auth_id\":\"\"}", "IP_AUTH"},
	{"{" REQUIRED ",\"auth_id\":\"a\",\"registration\":false}", "IP_AUTH"},
	{"{" REQUIRED ",\"auth_id\":\"a\",\"auth_mode\":\"ACCEPT_REGISTER\"}",
	 "ACCEPT_REGISTER"},
};

Test(record, auth_mode_follows_from_the_rest)
{
	const struct principal nobody = {.kind = PRINCIPAL_NOBODY};

	for (size_t i = 0; i < sizeof(mode_cases) / sizeof(*mode_cases); i++) {
		struct decoded d;

		decode(&d, RECORD_CREATE, mode_cases[i].json);
		record_default(provider(), d.values);
		provider_resource.complete(d.values, &nobody, &d.arena, &d.err);
		cr_expect(slice_is(value_of(&d, "auth_mode")->string,
				   mode_cases[i].mode),
			  "%s", mode_cases[i].json);
		decoded_fini(&d);
	}
}

struct broken_case {
	enum record_mode mode;
	const char *json;
	const char *field;
	const char *reason; /* its beginning */
};

#define WITH(more) "{" REQUIRED "," more "}"

/* One step outside each limit, wrong types, unknown choices. */
static const struct broken_case broken_cases[] = {
	{RECORD_CREATE, "{}", "name", "is required"},
	{RECORD_UPDATE, "{\"name\":null}", "name", "must not be null"},
	{RECORD_UPDATE, "{\"name\":\"\"}", "name", "must have 1 to 64"},
	{RECORD_UPDATE, "{\"name\":5}", "name", "must be a string"},
	{RECORD_UPDATE, "{\"name\":\"a\\u0000b\"}", "name",
	 "must not contain control"},
	{RECORD_UPDATE, "{\"name\":\"a\\r\\nb\"}", "name",
	 "must not contain control"},
	{RECORD_UPDATE, "{\"enabled\":\"true\"}", "enabled",
	 "must be true or false"},
	{RECORD_UPDATE, "{\"enabled\":1}", "enabled", "must be true or false"},
	{RECORD_UPDATE, "{\"port\":-1}", "port", "must be 0 to 65535"},
	{RECORD_UPDATE, "{\"port\":65536}", "port", "must be 0 to 65535"},
	{RECORD_UPDATE, "{\"port\":18446744073709551615}", "port",
	 "must be 0 to 65535"},
	{RECORD_UPDATE, "{\"port\":80.5}", "port", "must be an integer"},
	{RECORD_UPDATE, "{\"port\":\"80\"}", "port", "must be an integer"},
	{RECORD_UPDATE, "{\"concurrency\":2147483648}", "concurrency",
	 "must be 0 to 2147483647"},
	{RECORD_UPDATE, "{\"transport\":\"SCTP\"}", "transport",
	 "must be one of UDP, TCP, TLS"},
	{RECORD_UPDATE, "{\"transport\":\"udp\"}", "transport",
	 "must be one of UDP, TCP, TLS"},
	{RECORD_UPDATE, "{\"colour\":\"red\"}", "colour",
	 "is not a field of Provider"},
	{RECORD_UPDATE, "{\"hostname\":\"a b\"}", "hostname",
	 "must be a host name or IP address"},
	{RECORD_UPDATE, "{\"hostname\":\"256.1.1.1\"}", "hostname",
	 "must be a host name or IP address"},
	{RECORD_UPDATE, "{\"hostname\":\"-a.example\"}", "hostname",
	 "must be a host name or IP address"},
	{RECORD_UPDATE, "{\"hostname\":\"a..b\"}", "hostname",
	 "must be a host name or IP address"},
	{RECORD_UPDATE, "{\"hostname\":\"[1::2::3]\"}", "hostname",
	 "must be an IPv6 address"},
	{RECORD_UPDATE, "{\"additional_ips\":\"192.0.2.0/33\"}",
	 "additional_ips", "must be CIDR blocks"},
	{RECORD_UPDATE, "{\"additional_ips\":\"2001:db8::/129\"}",
	 "additional_ips", "must be CIDR blocks"},
	{RECORD_UPDATE, "{\"additional_ips\":\"192.0.2.0/\"}", "additional_ips",
	 "must be CIDR blocks"},
	{RECORD_UPDATE, "{\"additional_ips\":\"host/24\"}", "additional_ips",
	 "must be CIDR blocks"},
	{RECORD_UPDATE, "{\"did_numbers\":\"+100\"}", "did_numbers",
	 "must be numbers or ranges"},
	{RECORD_UPDATE, "{\"did_numbers\":\"0100\"}", "did_numbers",
	 "must be numbers or ranges"},
	{RECORD_UPDATE, "{\"did_numbers\":\"200-100\"}", "did_numbers",
	 "must be numbers or ranges"},
	{RECORD_UPDATE, "{\"did_numbers\":\"99-100\"}", "did_numbers",
	 "must be numbers or ranges"},
	{RECORD_UPDATE, "{\"did_numbers\":\"1-2-3\"}", "did_numbers",
	 "must be numbers or ranges"},
	{RECORD_UPDATE, "{\"did_numbers\":\"1234567890123456789\"}",
	 "did_numbers", "must be numbers or ranges"},
	{RECORD_UPDATE, "{\"inbound_parameters\":[]}", "inbound_parameters",
	 "must be an object"},
	{RECORD_UPDATE, "{\"inbound_parameters\":{\"caller_num\":\"X\"}}",
	 "inbound_parameters.caller_num", "must be one of REQUEST_LINE"},
	{RECORD_UPDATE,
	 "{\"inbound_parameters\":{\"pai_header_parameter_name\":\"a;b\"}}",
	 "inbound_parameters.pai_header_parameter_name", "must be a SIP token"},
	{RECORD_UPDATE,
	 "{\"inbound_parameters\":{"
	 "\"drop_calls_with_verification_status\":[\"text\"]}}",
	 "inbound_parameters.drop_calls_with_verification_status",
	 "must be one of No-TN-Validation"},
	{RECORD_UPDATE,
	 "{\"inbound_parameters\":{"
	 "\"drop_calls_with_verification_status\":\"No-TN-Validation\"}}",
	 "inbound_parameters.drop_calls_with_verification_status",
	 "must be an array"},
	{RECORD_UPDATE,
	 "{\"outbound_parameters\":{\"to_user_part\":{\"value\":"
	 "\"TRUNK_HOST_PORT\"}}}",
	 "outbound_parameters.to_user_part.value", "must be one of AUTH_ID"},
	{RECORD_UPDATE,
	 "{\"outbound_parameters\":{\"to_user_part\":\"AUTH_ID\"}}",
	 "outbound_parameters.to_user_part", "must be an object"},
	{RECORD_UPDATE,
	 "{\"outbound_parameters\":{\"privacy_types_supported\":\"ALL\"}}",
	 "outbound_parameters.privacy_types_supported",
	 "must be one of DEFAULT"},
};

Test(record, broken_rules_name_the_field)
{
	for (size_t i = 0; i < sizeof(broken_cases) / sizeof(*broken_cases);
	     i++) {
		const struct broken_case *c = &broken_cases[i];
		struct decoded d;

		decode(&d, c->mode, c->json);
		cr_expect_eq(d.code, ERR_VALIDATE, "%s", c->json);
		cr_expect_str_eq(d.err.details[0].field, c->field, "%s: %s",
				 c->json, d.err.details[0].field);
		cr_expect(strncmp(d.err.details[0].reason, c->reason,
				  strlen(c->reason)) == 0,
			  "%s: %s", c->json, d.err.details[0].reason);
		decoded_fini(&d);
	}
}

Test(record, every_string_keeps_its_length)
{
	for (size_t i = 0; i < provider()->count; i++) {
		const struct field *field = &provider()->fields[i];
		struct buffer json = {0};
		struct decoded d;

		if (field->type != FIELD_STRING || field->check ||
		    (field->flags & FIELD_IGNORED))
			continue;
		buffer_printf(&json, "{\"%s\":\"", field->name);
		for (int64_t n = 0; n < field->max; n++)
			buffer_append_str(&json, "\u00e4"); /* two bytes */
		const size_t fits = json.size;

		buffer_append_str(&json, "\"}");
		buffer_append_char(&json, '\0');
		decode(&d, RECORD_UPDATE, json.data);
		cr_expect_eq(d.code, ERR_OK, "%s", field->name);
		decoded_fini(&d);

		json.size = fits;
		buffer_append_str(&json, "a\"}");
		buffer_append_char(&json, '\0');
		decode(&d, RECORD_UPDATE, json.data);
		cr_expect_eq(d.code, ERR_VALIDATE, "%s", field->name);
		cr_expect_str_eq(d.err.details[0].field, field->name);
		decoded_fini(&d);
		buffer_fini(&json);
	}
}

Test(record, a_field_twice_is_refused)
{
	struct buffer wire = {0};
	struct arena arena = {0};
	struct value values[64];
	struct reader reader;
	struct err err = {0};
	/* {"port": 1, "port": 2}: JSON would refuse it before us. */
	const char twice[] = "\x82\xa4port\x01\xa4port\x02";

	buffer_append(&wire, twice, sizeof(twice) - 1);
	reader_init(&reader, buffer_slice(&wire));
	cr_expect_eq(record_decode(provider(), RECORD_UPDATE, &reader, &arena,
				   values, &err),
		     ERR_VALIDATE);
	cr_expect_str_eq(err.details[0].field, "port");
	cr_expect_str_eq(err.details[0].reason, "is given twice");
	arena_fini(&arena);
	buffer_fini(&wire);
}

Test(record, every_broken_field_is_told_up_to_the_bound)
{
	struct decoded d;

	decode(&d, RECORD_CREATE, "{}");
	cr_expect_eq(d.err.detail_count, 7); /* the required fields */
	decoded_fini(&d);
	decode(&d, RECORD_CREATE,
	       "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1}");
	cr_expect_eq(d.err.detail_count, ERR_DETAILS_MAX);
	decoded_fini(&d);
}

Test(record, a_broken_required_field_is_told_once)
{
	struct decoded d;

	decode(&d, RECORD_CREATE,
	       "{\"name\":5,\"transport\":\"UDP\",\"hostname\":\"h\","
	       "\"port\":1,\"outbound_server\":\"o\","
	       "\"outbound_server_port\":1,\"concurrency\":1}");
	cr_expect_eq(d.err.detail_count, 1);
	cr_expect_str_eq(d.err.details[0].reason, "must be a string");
	decoded_fini(&d);
}

Test(record, what_was_read_can_be_sent_back)
{
	struct decoded d, again;

	decode(&d, RECORD_CREATE, "{" REQUIRED "}");
	d.values[0] = (struct value){.kind = VALUE_INT, .integer = 7};
	char *json = shown(&d, RECORD_FULL);

	decode(&again, RECORD_UPDATE, json);
	cr_expect_eq(again.code, ERR_OK, "%s %s", again.err.details[0].field,
		     again.err.details[0].reason);
	cr_expect_eq(again.values[0].kind, VALUE_ABSENT, "id is read only");
	free(json);
	decoded_fini(&again);
	decoded_fini(&d);
}

Test(record, later_versions_fields_are_accepted)
{
	struct decoded d;

	decode(&d, RECORD_UPDATE,
	       "{\"remove_plus_prefix\":true,\"sdp_codecs\":\"PCMU\"}");
	cr_expect_eq(d.code, ERR_OK);
	decoded_fini(&d);
}

struct canonical_case {
	const char *field, *given, *kept; /* kept NULL: null */
};

static const struct canonical_case canonical_cases[] = {
	{"hostname", "SIP.Example.COM", "sip.example.com"},
	{"hostname", "[2001:DB8::1]", "2001:db8::1"},
	{"hostname", "192.0.2.1", "192.0.2.1"},
	{"hostname", "sip_1.example.", "sip_1.example."},
	{"additional_ips", "192.0.2.0/24; 2001:db8::/32 ;198.51.100.7",
	 "192.0.2.0/24;2001:db8::/32;198.51.100.7"},
	{"additional_ips", " ; ", NULL},
	{"did_numbers", "101; 203; 300 - 450", "101;203;300-450"},
	{"did_numbers", "", NULL},
};

Test(record, lists_and_hosts_become_canonical)
{
	for (size_t i = 0;
	     i < sizeof(canonical_cases) / sizeof(*canonical_cases); i++) {
		const struct canonical_case *c = &canonical_cases[i];
		char json[256];
		struct decoded d;

		snprintf(json, sizeof(json), "{\"%s\":\"%s\"}", c->field,
			 c->given);
		decode(&d, RECORD_UPDATE, json);
		cr_expect_eq(d.code, ERR_OK, "%s", json);
		const struct value *value = value_of(&d, c->field);

		if (c->kept)
			cr_expect(slice_is(value->string, c->kept), "%s: %.*s",
				  json, SLICE_ARG(value->string));
		else
			cr_expect_eq(value->kind, VALUE_NULL, "%s", json);
		decoded_fini(&d);
	}
}

Test(record, views_hide_secrets)
{
	struct decoded d;

	decode(&d, RECORD_CREATE, WITH("\"password\":\"secret\""));
	cr_expect_eq(d.code, ERR_OK);
	char *full = shown(&d, RECORD_FULL);
	char *summary = shown(&d, RECORD_SUMMARY);

	cr_expect_null(strstr(full, "password"));
	cr_expect_null(strstr(full, "secret"));
	cr_expect_null(strstr(full, "created_at"));
	cr_expect_str_eq(
		summary,
		"{\"id\":null,\"name\":\"n\",\"enabled\":true,\"brand\":null,"
		"\"hostname\":\"h.example\",\"port\":5060,"
		"\"did_numbers\":null,\"shared\":null}");
	free(full);
	free(summary);
	decoded_fini(&d);
}

Test(record, nested_records_are_stored_sparse_and_shown_whole)
{
	const char *sent =
		WITH("\"outbound_parameters\":{\"to_user_part\":{\"value\":"
		     "\"CUSTOM\",\"custom_value\":\"x\"},"
		     "\"privacy_types_supported\":\"ID\"}");
	const size_t at = record_find(
		provider(), (struct slice)SLICE("outbound_parameters"), 0);
	const struct field *field = &provider()->fields[at];
	struct buffer stored = {0};
	struct value loaded = {0};
	struct decoded d;

	decode(&d, RECORD_CREATE, sent);
	cr_assert_eq(d.code, ERR_OK, "%s", d.err.details[0].reason);
	record_store(field, &d.values[at], &stored);
	cr_expect(slice_is(buffer_slice(&stored),
			   "{\"to_user_part\":{\"value\":\"CUSTOM\","
			   "\"custom_value\":\"x\"},"
			   "\"privacy_types_supported\":{\"value\":\"ID\"}}"),
		  "%.*s", SLICE_ARG(buffer_slice(&stored)));
	cr_assert_eq(
		record_load(field, buffer_slice(&stored), &d.arena, &loaded),
		ERR_OK);
	d.values[at] = loaded;
	char *json = shown(&d, RECORD_FULL);

	cr_expect(strstr(json, "\"to_user_part\":{\"value\":\"CUSTOM\","
			       "\"custom_value\":\"x\"}"));
	cr_expect(strstr(json, "\"to_host_part\":{\"value\":\"DEFAULT\","
			       "\"custom_value\":null}"));
	cr_expect(strstr(json, "\"privacy_types_supported\":{\"value\":"
			       "\"ID\"}"));
	free(json);
	buffer_fini(&stored);
	decoded_fini(&d);
}

Test(record, stored_values_of_yesterday_are_left_out)
{
	const size_t at = record_find(
		provider(), (struct slice)SLICE("inbound_parameters"), 0);
	const struct field *field = &provider()->fields[at];
	struct arena arena = {0};
	struct value value = {0};

	cr_expect_eq(
		record_load(field,
			    (struct slice)SLICE("{\"caller_num\":\"GONE\","
						"\"unknown\":1,\"called_num\":"
						"\"TO_USER_PART\"}"),
			    &arena, &value),
		ERR_OK);
	cr_assert_eq(value.kind, VALUE_OBJECT);
	cr_expect_eq(value.members[0].kind, VALUE_ABSENT);
	cr_expect(slice_is(value.members[2].string, "TO_USER_PART"));
	cr_expect_eq(
		record_load(field, (struct slice)SLICE("{"), &arena, &value),
		ERR_INTERNAL);
	arena_fini(&arena);
}

Test(record, the_documents_parameters_are_all_there)
{
	const struct record *in =
		provider()
			->fields[record_find(
				provider(),
				(struct slice)SLICE("inbound_parameters"), 0)]
			.record;
	const struct record *out =
		provider()
			->fields[record_find(
				provider(),
				(struct slice)SLICE("outbound_parameters"), 0)]
			.record;

	cr_expect_eq(in->count, 8);
	cr_expect_eq(in->fields[0].choices->count, 17);
	cr_expect_eq(out->count, 26);
}

/* ---- arrays of records, on the tenant's rows ---- */

#define RANGE(from, to) "{\"from\":\"" from "\",\"to\":\"" to "\"}"
#define MONDAY(ranges)                                                         \
	"{\"office_hours\":{\"monday\":{\"ranges\":[" ranges "]}}}"
#define RANGES_8                                                                                  \
	RANGE("08:00", "09:00")                                                                   \
	"," RANGE("08:00", "09:00") "," RANGE("08:00", "09:00") "," RANGE(                        \
		"08:00",                                                                          \
		"09:00") "," RANGE("08:00",                                                       \
				   "09:00") "," RANGE("08:00",                                    \
						      "09:00") "," RANGE("08:"                    \
									 "00",                    \
									 "09:"                    \
									 "00") "," RANGE("08:00", \
											 "09:00")

struct array_case {
	const char *json;
	const char *field; /* NULL: it is good */
	const char *reason;
};

static const struct array_case array_cases[] = {
	{MONDAY(""), NULL, NULL},
	{MONDAY(RANGE("00:00", "23:59")), NULL, NULL},
	{MONDAY(RANGES_8 "," RANGES_8 "," RANGES_8), NULL, NULL},
	{MONDAY(RANGES_8 "," RANGES_8 "," RANGES_8 "," RANGE("1", "2")),
	 "office_hours.monday.ranges", "must have at most 24 items"},
	{MONDAY(RANGE("09:00", "10:00") "," RANGE("9:000", "10:00")),
	 "office_hours.monday.ranges[1].from", "must be HH:MM"},
	{MONDAY(RANGE("10:00", "09:00")), "office_hours.monday.ranges[0]",
	 "from must be before to"},
	{MONDAY("7"), "office_hours.monday.ranges[0]", "must be an object"},
	{MONDAY("null"), "office_hours.monday.ranges[0]", "must be an object"},
	{MONDAY("[]"), "office_hours.monday.ranges[0]", "must be an object"},
	/* Also of an update: items are sent whole. */
	{MONDAY("{\"from\":\"09:00\"}"), "office_hours.monday.ranges[0].to",
	 "is required"},
	{MONDAY("{\"from\":null,\"to\":\"09:00\"}"),
	 "office_hours.monday.ranges[0].from", "must not be null"},
	{MONDAY("{\"from\":\"01:00\",\"to\":\"02:00\",\"a\":1}"),
	 "office_hours.monday.ranges[0].a", "is not a field of"},
	{"{\"office_hours\":{\"monday\":{\"ranges\":{}}}}",
	 "office_hours.monday.ranges", "must be an array"},
	{"{\"outbound_caller_ids\":[{\"provider_id\":\"x\","
	 "\"caller_id\":\"1\"}]}",
	 "outbound_caller_ids[0].provider_id", "must be an id"},
};

static void decode_tenant(struct decoded *out, const char *json)
{
	struct reader reader;

	*out = (struct decoded){0};
	cr_assert_eq(json_to_msgpack(slice_str(json), &out->wire, &out->err),
		     ERR_OK, "%s", json);
	reader_init(&reader, buffer_slice(&out->wire));
	out->code = record_decode(own_tenant_resource.record, RECORD_UPDATE,
				  &reader, &out->arena, out->values, &out->err);
}

Test(record, arrays_of_records_keep_their_rules)
{
	for (size_t i = 0; i < sizeof(array_cases) / sizeof(*array_cases);
	     i++) {
		const struct array_case *c = &array_cases[i];
		struct decoded d;

		decode_tenant(&d, c->json);
		cr_expect_eq(d.err.detail_count, c->field ? 1 : 0, "%s: %s",
			     c->json, d.err.details[0].field);
		if (c->field) {
			cr_expect_str_eq(d.err.details[0].field, c->field);
			cr_expect(strncmp(d.err.details[0].reason, c->reason,
					  strlen(c->reason)) == 0,
				  "%s: %s", c->json, d.err.details[0].reason);
		}
		decoded_fini(&d);
	}
}

static const struct field *own_field(const char *name, size_t *index)
{
	const struct record *record = own_tenant_resource.record;

	*index = record_find(record, slice_str(name), 0);
	return &record->fields[*index];
}

Test(record, arrays_of_records_are_stored_and_loaded)
{
	const char *stored = "[{\"provider_id\":700551909773148160,"
			     "\"caller_id\":\"4930\",\"description\":null},"
			     "{\"provider_id\":1,\"caller_id\":\"1\"}]";
	struct buffer out = {0}, wire = {0}, json = {0};
	struct arena arena = {0};
	struct value value;
	struct err err;
	size_t index;
	const struct field *field = own_field("outbound_caller_ids", &index);

	/* An id is a number there. */
	cr_assert_eq(record_load(field, slice_str(stored), &arena, &value),
		     ERR_OK);
	cr_assert_eq(value.kind, VALUE_OBJECTS);
	cr_expect_eq(value.objects.count, 2);
	record_store(field, &value, &out);
	cr_expect(slice_is(buffer_slice(&out), stored), "%.*s",
		  SLICE_ARG(buffer_slice(&out)));

	const struct record one = {.name = "One", .fields = field, .count = 1};

	record_encode(&one, RECORD_FULL, &value, &wire);
	cr_assert_eq(json_from_msgpack(buffer_slice(&wire), NULL, &json, &err),
		     ERR_OK);
	cr_expect(slice_is(buffer_slice(&json),
			   "{\"outbound_caller_ids\":[{\"provider_id\":"
			   "700551909773148160,\"caller_id\":\"4930\","
			   "\"description\":null},{\"provider_id\":1,"
			   "\"caller_id\":\"1\",\"description\":null}]}"),
		  "%.*s", SLICE_ARG(buffer_slice(&json)));
	buffer_fini(&out);
	buffer_fini(&wire);
	buffer_fini(&json);
	arena_fini(&arena);
}

/* What an older version stored, or a hand wrote: what is no longer valid is
 * left out. */
Test(record, stored_arrays_are_read_leniently)
{
	struct arena arena = {0};
	struct value value;
	size_t index;
	const struct field *field = own_field("outbound_caller_ids", &index);

	cr_assert_eq(record_load(field,
				 slice_str("[7, {\"provider_id\":1,\"x\":2}]"),
				 &arena, &value),
		     ERR_OK);
	cr_assert_eq(value.kind, VALUE_OBJECTS);
	cr_expect_eq(value.objects.count, 1);
	cr_expect_eq(value.objects.values[0].integer, 1);
	cr_expect_eq(value.objects.values[1].kind, VALUE_ABSENT);
	cr_assert_eq(record_load(field, slice_str("{}"), &arena, &value),
		     ERR_OK);
	cr_expect_eq(value.kind, VALUE_ABSENT);
	arena_fini(&arena);
}

Test(record, secrets_within_a_record_are_not_shown)
{
	struct decoded d;
	struct buffer wire = {0};

	decode_tenant(&d, "{\"cdr_event\":{\"username\":\"hookuser\","
			  "\"password\":\"geheim123\",\"token\":\"t0ken\"}}");
	cr_assert_eq(d.code, ERR_OK);
	for (int view = 0; view < RECORD_VIEWS; view++) {
		record_encode(own_tenant_resource.record,
			      (enum record_view)view, d.values, &wire);
		cr_expect_null(memmem(wire.data, wire.size, "geheim123", 9));
		cr_expect_null(memmem(wire.data, wire.size, "t0ken", 5));
	}
	buffer_fini(&wire);
	decoded_fini(&d);
}
