#include "proto/json.h"

#include "proto/id.h"
#include "proto/writer.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

/* The oracles: jansson for JSON, msgpack-c's unpacker for msgpack. */

static enum err_code parse(struct slice json, struct buffer *out,
			   struct err *err)
{
	*err = (struct err){0};
	out->size = 0;
	return json_to_msgpack(json, out, err);
}

static json_t *oracle_parse(struct slice json, json_error_t *error)
{
	return json_loadb(json.data, json.size,
			  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY |
				  JSON_ALLOW_NUL,
			  error);
}

/* A value both ways: JSON in its compact form, and the msgpack in hex. */
struct golden {
	const char *name;
	const char *json;
	const char *msgpack;
};

static const struct golden golden[] = {
	{"null", "null", "c0"},
	{"true", "true", "c3"},
	{"false", "false", "c2"},
	{"zero", "0", "00"},
	{"negative", "-1", "ff"},
	{"two to the 53rd plus one", "9007199254740993", "cf0020000000000001"},
	{"int64 maximum", "9223372036854775807", "cf7fffffffffffffff"},
	{"int64 minimum", "-9223372036854775808", "d38000000000000000"},
	{"uint64 maximum", "18446744073709551615", "cfffffffffffffffff"},
	{"float", "0.1", "cb3fb999999999999a"},
	{"float that is whole", "1.0", "cb3ff0000000000000"},
	{"float, 17 digits", "0.10000000000000001", NULL},
	{"float, large", "1e+300", "cb7e37e43c8800759c"},
	{"float, smallest", "4.94065645841247e-324", "cb0000000000000001"},
	{"empty string", "\"\"", "a0"},
	{"string", "\"abc\"", "a3616263"},
	{"escapes", "\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\"", "a8225c080c0a0d091f"},
	{"NUL", "\"\\u0000\"", "a100"},
	{"two, three and four byte characters", "\"é€😀\"",
	 "a9c3a9e282acf09f9880"},
	{"empty array", "[]", "90"},
	{"empty object", "{}", "80"},
	{"array", "[1,[2,[]],\"x\"]",
	 "930192029"
	 "0a178"},
	{"object", "{\"a\":{\"b\":[{}]},\"c\":null}", "82a16181a1629180a163c0"},
	{"16 items: longer head", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,[16]]",
	 "dc00100102030405060708090a0b0c0d0e0f9110"},
};

static void hex_print(struct slice bytes, struct buffer *out)
{
	out->size = 0;
	for (size_t i = 0; i < bytes.size; i++)
		buffer_printf(out, "%02x", (unsigned char)bytes.data[i]);
}

Test(json, golden_both_ways)
{
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		const struct golden *g = &golden[i];
		struct buffer msgpack = {0}, hex = {0}, json = {0};
		struct err err;

		cr_assert_eq(parse(slice_str(g->json), &msgpack, &err), ERR_OK,
			     "%s: %s", g->name, err.text);
		hex_print(buffer_slice(&msgpack), &hex);
		if (g->msgpack)
			cr_expect(slice_is(buffer_slice(&hex), g->msgpack),
				  "%s: %.*s", g->name,
				  SLICE_ARG(buffer_slice(&hex)));
		cr_expect_eq(json_from_msgpack(buffer_slice(&msgpack), NULL,
					       &json, &err),
			     ERR_OK, "%s: %s", g->name, err.text);
		if (g->msgpack)
			cr_expect(slice_is(buffer_slice(&json), g->json),
				  "%s: %.*s", g->name,
				  SLICE_ARG(buffer_slice(&json)));
		buffer_fini(&msgpack);
		buffer_fini(&hex);
		buffer_fini(&json);
	}
}

/* Texts whose compact form is another. */
static const char *const spellings[][3] = {
	{"white space", " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n",
	 "{\"a\":[1,2],\"b\":{}}"},
	{"minus zero", "-0", "0"},
	{"minus zero, float", "-0.0", "-0.0"},
	{"exponent", "1E2", "100.0"},
	{"exponent with sign", "[1e+2,1e-2]", "[100.0,0.01]"},
	{"underflow", "1e-400", "0.0"},
	{"escaped solidus", "\"\\/\"", "\"/\""},
	{"escaped letters", "\"\\u0041\\u00e9\\u20AC\"", "\"Aé€\""},
	{"surrogate pair", "\"x\\uD83D\\uDE00y\"", "\"x😀y\""},
	{"last code point", "\"\\udbff\\udfff\"", "\"\xf4\x8f\xbf\xbf\""},
	{"DEL", "\"\x7f\"", "\"\x7f\""},
	{"escape after a long run", "\"0123456789abcdef\\n0123456789\"",
	 "\"0123456789abcdef\\n0123456789\""},
};

Test(json, spellings_become_compact)
{
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		const char *const *row = spellings[i];
		struct buffer msgpack = {0}, json = {0};
		struct err err;

		cr_assert_eq(parse(slice_str(row[1]), &msgpack, &err), ERR_OK,
			     "%s: %s", row[0], err.text);
		cr_assert_eq(json_from_msgpack(buffer_slice(&msgpack), NULL,
					       &json, &err),
			     ERR_OK, "%s", row[0]);
		cr_expect(slice_is(buffer_slice(&json), row[2]), "%s: %.*s",
			  row[0], SLICE_ARG(buffer_slice(&json)));
		buffer_fini(&msgpack);
		buffer_fini(&json);
	}
}

struct refusal {
	const char *name;
	const char *json;
	const char *text; /* of the error, after "JSON: " */
};

static const struct refusal refusals[] = {
	{"nothing", "", "value expected at byte 0"},
	{"white space only", " \n", "value expected at byte 2"},
	{"byte order mark", "\xef\xbb\xbf{}", "value expected at byte 0"},
	{"trailing data", "{} x", "end of text expected at byte 3"},
	{"second value", "1 2", "end of text expected at byte 2"},
	{"bad word", "nul", "value expected at byte 0"},
	{"wrong case", "True", "value expected at byte 0"},
	{"NaN", "NaN", "value expected at byte 0"},
	{"infinity", "-Infinity", "digit expected at byte 1"},
	{"comment", "/**/1", "value expected at byte 0"},
	{"open array", "[1", "',' or ']' expected at byte 2"},
	{"trailing comma, array", "[1,]", "value expected at byte 3"},
	{"trailing comma, object", "{\"a\":1,}", "key expected at byte 7"},
	{"no comma", "[1 2]", "',' or ']' expected at byte 3"},
	{"wrong end", "[1}", "',' or ']' expected at byte 2"},
	{"open object", "{", "key expected at byte 1"},
	{"key without quotes", "{a:1}", "key expected at byte 1"},
	{"single quotes", "{'a':1}", "key expected at byte 1"},
	{"no colon", "{\"a\" 1}", "':' expected at byte 5"},
	{"no value", "{\"a\":}", "value expected at byte 5"},
	{"repeated key", "{\"a\":1,\"b\":2,\"a\":3}",
	 "repeated key at byte 13"},
	{"repeated key, spelt differently", "{\"a\":1,\"\\u0061\":3}",
	 "repeated key at byte 7"},
	{"repeated empty key", "{\"\":1,\"\":3}", "repeated key at byte 6"},
	{"repeated key, nested", "[{\"a\":{\"b\":1,\"b\":2}}]",
	 "repeated key at byte 13"},
	{"leading zero", "01", "leading zero at byte 1"},
	{"leading zero, negative", "-01", "leading zero at byte 2"},
	{"plus", "+1", "value expected at byte 0"},
	{"minus alone", "-", "digit expected at byte 1"},
	{"no fraction", "1.", "digit expected at byte 2"},
	{"no integer", ".5", "value expected at byte 0"},
	{"no exponent", "1e", "digit expected at byte 2"},
	{"no exponent after sign", "1e+", "digit expected at byte 3"},
	{"hexadecimal", "0x10", "end of text expected at byte 1"},
	{"past uint64", "[18446744073709551616]",
	 "integer out of range at byte 1"},
	{"below int64", "-9223372036854775809",
	 "integer out of range at byte 0"},
	{"very long integer", "100000000000000000000000000000",
	 "integer out of range at byte 0"},
	{"float overflow", "[1e400]", "number out of range at byte 1"},
	{"float overflow, negative", "-1e400", "number out of range at byte 0"},
	{"open string", "\"abc", "unfinished string at byte 4"},
	{"open escape", "\"\\", "unfinished escape at byte 2"},
	{"line feed in a string", "\"a\nb\"",
	 "control character in a string at byte 2"},
	{"control character in a long string", "\"0123456789\x1f\"",
	 "control character in a string at byte 11"},
	{"unknown escape", "\"\\x41\"", "unknown escape at byte 2"},
	{"short \\u", "\"\\u12\"", "bad \\u escape at byte 5"},
	{"lone high surrogate", "\"\\ud800\"", "lone surrogate at byte 7"},
	{"lone low surrogate", "\"\\udc00\"", "lone surrogate at byte 7"},
	{"two high surrogates", "\"\\ud800\\ud800\"",
	 "lone surrogate at byte 13"},
	{"overlong", "\"\xc0\xaf\"", "invalid UTF-8 at byte 1"},
	{"overlong, three bytes", "\"\xe0\x80\xaf\"",
	 "invalid UTF-8 at byte 1"},
	{"overlong, four bytes", "\"\xf0\x80\x80\xaf\"",
	 "invalid UTF-8 at byte 1"},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "invalid UTF-8 at byte 1"},
	{"past U+10FFFF", "\"\xf4\x90\x80\x80\"", "invalid UTF-8 at byte 1"},
	{"cut UTF-8", "\"\xe2\x82\"", "invalid UTF-8 at byte 1"},
	{"lone continuation", "\"\x80\"", "invalid UTF-8 at byte 1"},
	{"Latin-1 after a long run", "\"0123456789\xe9\"",
	 "invalid UTF-8 at byte 11"},
};

Test(json, refusals_name_place_and_leave_out_alone)
{
	struct buffer out = {0};

	buffer_append_str(&out, "before");
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct err err = {0};

		cr_expect_eq(json_to_msgpack(slice_str(r->json), &out, &err),
			     ERR_MALFORMED, "%s", r->name);
		cr_expect_eq(err.code, ERR_MALFORMED, "%s", r->name);
		cr_expect_str_eq(err.text + strlen("JSON: "), r->text, "%s",
				 r->name);
		cr_expect(slice_is(buffer_slice(&out), "before"), "%s",
			  r->name);
	}
	buffer_fini(&out);
}

Test(json, a_raw_nul_is_refused)
{
	struct buffer out = {0};

	cr_expect_eq(json_to_msgpack((struct slice)SLICE("1\0"), &out, NULL),
		     ERR_MALFORMED);
	cr_expect_eq(json_to_msgpack((struct slice)SLICE("\"\0\""), &out, NULL),
		     ERR_MALFORMED);
	cr_expect_eq(json_to_msgpack((struct slice){0}, &out, NULL),
		     ERR_MALFORMED);
	buffer_fini(&out);
}

static void nest(struct buffer *json, int depth)
{
	json->size = 0;
	for (int i = 0; i < depth; i++)
		buffer_append_str(json, i % 2 ? "{\"k\":" : "[");
	buffer_append_str(json, "1");
	for (int i = depth; i-- > 0;)
		buffer_append_str(json, i % 2 ? "}" : "]");
}

Test(json, depth_is_bounded)
{
	struct buffer json = {0}, msgpack = {0}, again = {0};
	struct err err;

	nest(&json, JSON_DEPTH_MAX);
	cr_assert_eq(parse(buffer_slice(&json), &msgpack, &err), ERR_OK, "%s",
		     err.text);
	cr_assert_eq(
		json_from_msgpack(buffer_slice(&msgpack), NULL, &again, &err),
		ERR_OK);
	cr_expect(slice_eq(buffer_slice(&json), buffer_slice(&again)));

	nest(&json, JSON_DEPTH_MAX + 1);
	cr_expect_eq(parse(buffer_slice(&json), &msgpack, &err), ERR_MALFORMED);

	for (int i = 0; i <= JSON_DEPTH_MAX; i++)
		writer_array(&msgpack, 1);
	writer_nil(&msgpack);
	cr_expect_eq(
		json_from_msgpack(buffer_slice(&msgpack), NULL, &again, &err),
		ERR_INTERNAL);
	buffer_fini(&json);
	buffer_fini(&msgpack);
	buffer_fini(&again);
}

/* Objects on both sides of where the duplicate check changes its ways, and one
 * that a quadratic check would take minutes for. */
Test(json, repeated_keys_of_large_objects)
{
	static const int counts[] = {2, 16, 63, 64, 65, 66, 100, 1000, 100000};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct buffer json = {0}, msgpack = {0};
		struct err err;

		buffer_append_char(&json, '{');
		for (int k = 0; k < counts[i]; k++)
			buffer_printf(&json, "%s\"key%d\":{\"k\":%d}",
				      k ? "," : "", k, k);
		buffer_append_char(&json, '}');
		cr_expect_eq(parse(buffer_slice(&json), &msgpack, &err), ERR_OK,
			     "%d: %s", counts[i], err.text);

		size_t repeated_at = json.size;
		char place[32];

		json.data[json.size - 1] = ',';
		buffer_printf(&json, "\"key%d\":1}", counts[i] / 2);
		cr_expect_eq(parse(buffer_slice(&json), &msgpack, &err),
			     ERR_MALFORMED, "%d", counts[i]);
		snprintf(place, sizeof(place), " at byte %zu", repeated_at);
		cr_expect(strstr(err.text, place), "%d: %s", counts[i],
			  err.text);
		buffer_fini(&json);
		buffer_fini(&msgpack);
	}
}

static void put_id_text(struct buffer *out, int64_t id)
{
	buffer_append_char(out, '"');
	id_v22_append(out, id);
	buffer_append_char(out, '"');
}

Test(json, wire_types_have_a_json_form)
{
	struct buffer msgpack = {0}, json = {0};

	writer_array(&msgpack, 8);
	writer_id(&msgpack, 700551909773148160);
	writer_time(&msgpack, 1500658348);
	writer_time(&msgpack, 0);
	writer_time(&msgpack, 4102444800);
	writer_float(&msgpack, NAN);
	writer_float(&msgpack, -INFINITY);
	writer_float(&msgpack, 2);
	writer_uint(&msgpack, UINT64_MAX);
	cr_assert_eq(
		json_from_msgpack(buffer_slice(&msgpack), NULL, &json, NULL),
		ERR_OK);
	cr_expect(slice_is(buffer_slice(&json),
			   "[700551909773148160,\"2017-07-21T17:32:28Z\","
			   "\"1970-01-01T00:00:00Z\",\"2100-01-01T00:00:00Z\","
			   "null,null,2.0,18446744073709551615]"),
		  "%.*s", SLICE_ARG(buffer_slice(&json)));

	json.size = 0;
	cr_assert_eq(json_from_msgpack(buffer_slice(&msgpack), put_id_text,
				       &json, NULL),
		     ERR_OK);
	cr_expect(slice_starts(buffer_slice(&json),
			       slice_str("[\"NzAwNTUxOTA5NzczMTQ4MTYw\",")));
	buffer_fini(&msgpack);
	buffer_fini(&json);
}

static const struct {
	const char *name;
	struct slice msgpack;
} formless[] = {
	{"nothing", SLICE("")},
	{"never used byte", SLICE("\xc1")},
	{"cut string", SLICE("\xa3"
			     "ab")},
	{"cut array", SLICE("\x92\x01")},
	{"cut map", SLICE("\x81\xa1"
			  "a")},
	{"lying count", SLICE("\xdd\xff\xff\xff\xff\x01")},
	{"two values", SLICE("\x01\x02")},
	{"bin", SLICE("\xc4\x01x")},
	{"other ext", SLICE("\xd4\x05x")},
	{"id zero", SLICE("\xd7\x01\0\0\0\0\0\0\0\0")},
	{"id negative", SLICE("\xd7\x01\xff\0\0\0\0\0\0\0")},
	{"time past year 9999",
	 SLICE("\xc7\x0c\xff\0\0\0\0\x7f\0\0\0\0\0\0\0")},
	{"integer key", SLICE("\x81\x01\x02")},
	{"string that is not UTF-8", SLICE("\xa1\xff")},
	{"key that is not UTF-8", SLICE("\x81\xa1\xff\x01")},
};

Test(json, msgpack_without_json_form_is_refused)
{
	struct buffer out = {0};

	buffer_append_str(&out, "before");
	for (size_t i = 0; i < sizeof(formless) / sizeof(formless[0]); i++) {
		struct err err = {0};

		cr_expect_eq(json_from_msgpack(formless[i].msgpack, NULL, &out,
					       &err),
			     ERR_INTERNAL, "%s", formless[i].name);
		cr_expect(slice_is(buffer_slice(&out), "before"), "%s",
			  formless[i].name);
	}
	buffer_fini(&out);
}

Test(json, append_str_escapes_and_mends)
{
	struct buffer out = {0};

	json_append_str(&out, slice_str("a\"\\\n\x01é\x7f"));
	json_append_str(&out, slice_str("cut\xe2\x82"));
	json_append_str(&out, (struct slice){0});
	cr_expect(slice_is(buffer_slice(&out),
			   "\"a\\\"\\\\\\n\\u0001é\x7f\"\"cut��\"\"\""),
		  "%.*s", SLICE_ARG(buffer_slice(&out)));
	buffer_fini(&out);
}

/* Property: random documents, read by us and by the oracles. */

enum { PROPERTY_SEED = 20260102, PROPERTY_ROUNDS = 20000 };

/* SplitMix64. */
static uint64_t next(uint64_t *random)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(uint64_t *random, size_t limit)
{
	return (size_t)(next(random) % limit);
}

static const char *pick(uint64_t *random, const char *const *from, size_t count)
{
	return from[below(random, count)];
}

#define PICK(random, from) pick(random, from, sizeof(from) / sizeof((from)[0]))

static void make_string(uint64_t *random, struct buffer *out)
{
	static const char *const pieces[] = {
		"a",
		"b",
		"key",
		"name",
		"0123456789",
		" ",
		"é",
		"€",
		"😀",
		"\\n",
		"\\\"",
		"\\\\",
		"\\/",
		"\\u0041",
		"\\u0000",
		"\\u00e9",
		"\\ud83d\\ude00",
		"\x7f",
	};

	buffer_append_char(out, '"');
	for (size_t i = below(random, 4); i > 0; i--)
		buffer_append_str(out, PICK(random, pieces));
	buffer_append_char(out, '"');
}

static void make_number(uint64_t *random, struct buffer *out)
{
	static const char *const numbers[] = {
		"0",
		"-0",
		"7",
		"-1",
		"127",
		"128",
		"255",
		"256",
		"65536",
		"-129",
		"2147483648",
		"-2147483649",
		"9007199254740993",
		"9223372036854775807",
		"-9223372036854775808",
		"9223372036854775808",
		"18446744073709551615",
		"18446744073709551616",
		"0.5",
		"-0.0",
		"3.14159",
		"1e3",
		"1E-7",
		"1e308",
		"1e309",
		"1e400",
		"5e-324",
		"1e-400",
		"0.1e1",
		"123456789.123456789",
		"01",
		"1.",
		"-",
	};

	/* Mostly good ones, else no document survives. */
	buffer_append_str(out, below(random, 20) ? PICK(random, numbers) : "1");
}

static void make_space(uint64_t *random, struct buffer *out)
{
	static const char *const spaces[] = {" ", "\n", "\t", "\r\n  "};

	if (below(random, 8) == 0)
		buffer_append_str(out, PICK(random, spaces));
}

static void make_value(uint64_t *random, int depth, struct buffer *out);

static void make_container(uint64_t *random, int depth, struct buffer *out)
{
	bool object = below(random, 2);
	size_t count = below(random, depth > 2 ? 3 : 20);

	buffer_append_char(out, object ? '{' : '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		make_space(random, out);
		if (object) {
			if (below(random, 4))
				buffer_printf(out, "\"%zu\"", i);
			else
				make_string(random, out);
			make_space(random, out);
			buffer_append_char(out, ':');
		}
		make_value(random, depth + 1, out);
	}
	buffer_append_char(out, object ? '}' : ']');
}

static void make_value(uint64_t *random, int depth, struct buffer *out)
{
	static const char *const words[] = {"null", "true", "false"};
	size_t kind = below(random, depth > 5 ? 40 : 100);

	make_space(random, out);
	if (kind < 15)
		buffer_append_str(out, PICK(random, words));
	else if (kind < 25)
		make_string(random, out);
	else if (kind < 27)
		make_number(random, out);
	else if (kind < 40)
		buffer_printf(out, "%" PRId64,
			      (int64_t)next(random) >> below(random, 64));
	else
		make_container(random, depth, out);
	make_space(random, out);
}

static bool same(const json_t *json, const msgpack_object *object);

static bool same_members(const json_t *json, const msgpack_object_map *map)
{
	if (json_object_size(json) != map->size)
		return false;
	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object *key = &map->ptr[i].key;

		if (key->type != MSGPACK_OBJECT_STR)
			return false;

		/* msgpack-c gives an empty string no address. */
		const char *name = key->via.str.size ? key->via.str.ptr : "";

		if (!same(json_object_getn(json, name, key->via.str.size),
			  &map->ptr[i].val))
			return false;
	}
	return true;
}

static bool same_items(const json_t *json, const msgpack_object_array *array)
{
	if (json_array_size(json) != array->size)
		return false;
	for (uint32_t i = 0; i < array->size; i++)
		if (!same(json_array_get(json, i), &array->ptr[i]))
			return false;
	return true;
}

static bool same(const json_t *json, const msgpack_object *object)
{
	if (!json)
		return false;
	switch (object->type) {
	case MSGPACK_OBJECT_NIL:
		return json_is_null(json);
	case MSGPACK_OBJECT_BOOLEAN:
		return json_is_boolean(json) &&
		       json_is_true(json) == object->via.boolean;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return json_is_integer(json) && json_integer_value(json) >= 0 &&
		       (uint64_t)json_integer_value(json) == object->via.u64;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return json_is_integer(json) &&
		       json_integer_value(json) == object->via.i64;
	case MSGPACK_OBJECT_FLOAT64:
		return json_is_real(json) &&
		       json_real_value(json) == object->via.f64;
	case MSGPACK_OBJECT_STR:
		return json_is_string(json) &&
		       slice_eq(slice_of(json_string_value(json),
					 json_string_length(json)),
				slice_of(object->via.str.ptr,
					 object->via.str.size));
	case MSGPACK_OBJECT_ARRAY:
		return json_is_array(json) &&
		       same_items(json, &object->via.array);
	case MSGPACK_OBJECT_MAP:
		return json_is_object(json) &&
		       same_members(json, &object->via.map);
	default:
		return false;
	}
}

static bool same_msgpack(const json_t *json, struct slice msgpack)
{
	msgpack_unpacked unpacked;
	size_t read = 0;

	msgpack_unpacked_init(&unpacked);

	bool good = msgpack_unpack_next(&unpacked, msgpack.data, msgpack.size,
					&read) == MSGPACK_UNPACK_SUCCESS &&
		    read == msgpack.size && same(json, &unpacked.data);

	msgpack_unpacked_destroy(&unpacked);
	return good;
}

/* What we say and jansson does not, on purpose: it has no unsigned 64-bit
 * integers, takes no NUL in keys, lets 2048 levels nest, and skips raw NULs. */
static bool policy_differs(struct slice json, enum err_code code,
			   const struct err *err, const json_t *theirs,
			   const json_error_t *error)
{
	if (code == ERR_OK)
		return json_error_code(error) == json_error_numeric_overflow ||
		       json_error_code(error) == json_error_null_byte_in_key;
	return theirs && (strstr(err->text, "nested too deep") ||
			  memchr(json.data, '\0', json.size));
}

/* Returns 1 where both accept the document. */
static int compare(struct slice json)
{
	struct buffer msgpack = {0}, printed = {0};
	struct err err;
	json_error_t error;
	enum err_code code = parse(json, &msgpack, &err);
	json_t *theirs = oracle_parse(json, &error);
	bool both = code == ERR_OK && theirs;

	cr_assert((code == ERR_OK) == !!theirs ||
			  policy_differs(json, code, &err, theirs, &error),
		  "ours '%s', jansson '%s': %.*s", err.text,
		  theirs ? "" : error.text, SLICE_ARG(json));
	if (code == ERR_OK) {
		cr_assert_eq(json_from_msgpack(buffer_slice(&msgpack), NULL,
					       &printed, &err),
			     ERR_OK, "%s: %.*s", err.text, SLICE_ARG(json));
	}
	if (both) {
		cr_assert(same_msgpack(theirs, buffer_slice(&msgpack)), "%.*s",
			  SLICE_ARG(json));

		json_t *again = oracle_parse(buffer_slice(&printed), &error);

		cr_assert(json_equal(theirs, again), "%.*s -> %.*s",
			  SLICE_ARG(json), SLICE_ARG(buffer_slice(&printed)));
		json_decref(again);
	}
	json_decref(theirs);
	buffer_fini(&msgpack);
	buffer_fini(&printed);
	return both;
}

Test(json, agrees_with_jansson_on_random_documents)
{
	uint64_t random = PROPERTY_SEED;
	struct buffer json = {0};
	int accepted = 0;

	printf("json property seed %d\n", PROPERTY_SEED);
	for (int i = 0; i < PROPERTY_ROUNDS; i++) {
		json.size = 0;
		make_value(&random, 0, &json);
		accepted += compare(buffer_slice(&json));
	}
	/* The generator makes both kinds. */
	cr_expect_gt(accepted, PROPERTY_ROUNDS / 4);
	cr_expect_lt(accepted, PROPERTY_ROUNDS);
	buffer_fini(&json);
}

static void mutate(uint64_t *random, struct buffer *json)
{
	static const char bytes[] = "{}[]\",:\\u09.eE+-tfn \n\x01\x80\xc3\xff";
	size_t at = below(random, json->size);

	switch (below(random, 4)) {
	case 0:
		json->data[at] = (char)(json->data[at] ^ 1 << below(random, 8));
		break;
	case 1:
		json->data[at] = bytes[below(random, sizeof(bytes))];
		break;
	case 2:
		memmove(json->data + at, json->data + at + 1,
			json->size - at - 1);
		json->size--;
		break;
	default:
		json->size = at;
	}
}

Test(json, agrees_with_jansson_on_mutated_documents)
{
	uint64_t random = PROPERTY_SEED + 1;
	struct buffer json = {0};
	int accepted = 0;

	printf("json mutation seed %d\n", PROPERTY_SEED + 1);
	for (int i = 0; i < PROPERTY_ROUNDS; i++) {
		json.size = 0;
		make_value(&random, 1, &json);
		for (size_t n = 1 + below(&random, 3); n > 0 && json.size; n--)
			mutate(&random, &json);
		accepted += compare(buffer_slice(&json));
	}
	cr_expect_gt(accepted, PROPERTY_ROUNDS / 100);
	buffer_fini(&json);
}
