#include "proto/id.h"

#include <criterion/criterion.h>

struct id_row {
	int64_t id;
	const char *decimal;
	const char *v22;
};

static const struct id_row ids[] = {
	{1, "1", "MQ=="},
	{10, "10", "MTA="},
	{100, "100", "MTAw"},
	{1234, "1234", "MTIzNA=="},
	/* The sample of PortSIP's v22 documentation. */
	{700551909773148160, "700551909773148160", "NzAwNTUxOTA5NzczMTQ4MTYw"},
	{INT64_MAX, "9223372036854775807", "OTIyMzM3MjAzNjg1NDc3NTgwNw=="},
};

Test(id, both_forms_both_ways)
{
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct buffer out = {0};
		int64_t id = 0;

		id_decimal_append(&out, ids[i].id);
		cr_expect(slice_is(buffer_slice(&out), ids[i].decimal), "%s",
			  ids[i].decimal);
		cr_expect(id_decimal_decode(buffer_slice(&out), &id));
		cr_expect_eq(id, ids[i].id);

		out.size = 0;
		id = 0;
		id_v22_append(&out, ids[i].id);
		cr_expect(slice_is(buffer_slice(&out), ids[i].v22), "%s",
			  ids[i].v22);
		cr_expect(id_v22_decode(buffer_slice(&out), &id), "%s",
			  ids[i].v22);
		cr_expect_eq(id, ids[i].id);
		buffer_fini(&out);
	}
}

Test(id, append_keeps_what_was_there)
{
	struct buffer out = {0};

	buffer_append_str(&out, "id=");
	id_v22_append(&out, 100);
	cr_expect(slice_is(buffer_slice(&out), "id=MTAw"));
	buffer_fini(&out);
}

static const char *const not_decimal[] = {
	"",
	"0",
	"01",
	"-1",
	"+1",
	" 1",
	"1 ",
	"1a",
	"0x1",
	"1.0",
	"9223372036854775808",
	"9999999999999999999",
	"10000000000000000000",
	"NzAw",
};

Test(id, decimal_is_strict)
{
	for (size_t i = 0; i < sizeof(not_decimal) / sizeof(char *); i++) {
		int64_t id = 42;

		cr_expect_not(id_decimal_decode(slice_str(not_decimal[i]), &id),
			      "'%s'", not_decimal[i]);
		cr_expect_eq(id, 42, "'%s'", not_decimal[i]);
	}
}

static const char *const not_v22[][2] = {
	{"empty", ""},
	{"decimal digits", "700551909773148160"},
	{"no padding", "MQ"},
	{"half the padding", "MQ="},
	{"padding too much", "MTAw===="},
	{"padding alone", "===="},
	{"padding within", "MQ==MQ=="},
	{"padding in front", "=MQ="},
	{"bits under the padding", "MR=="},
	{"bits under the padding, one byte short", "MTB="},
	{"line feed", "MTAw\n"},
	{"space", "MTA "},
	{"letters inside", "YWJj"},
	{"zero", "MA=="},
	{"leading zero", "MDE="},
	{"minus", "LTE="},
	{"past 63 bits", "OTIyMzM3MjAzNjg1NDc3NTgwOA=="},
	{"too long", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"},
};

Test(id, v22_is_strict)
{
	for (size_t i = 0; i < sizeof(not_v22) / sizeof(not_v22[0]); i++) {
		int64_t id = 42;

		cr_expect_not(id_v22_decode(slice_str(not_v22[i][1]), &id),
			      "%s", not_v22[i][0]);
		cr_expect_eq(id, 42, "%s", not_v22[i][0]);
	}
}

/* Every text of four characters that is an id is the text of that id. */
Test(id, one_id_has_one_text)
{
	static const char chars[] = "MNOTDEwxyzAQg=5+/1";
	const size_t kinds = sizeof(chars) - 1;
	struct buffer out = {0};
	char text[4];
	int found = 0;

	for (size_t n = 0; n < kinds * kinds * kinds * kinds; n++) {
		int64_t id;
		size_t rest = n;

		for (size_t i = 0; i < 4; i++, rest /= kinds)
			text[i] = chars[rest % kinds];
		if (!id_v22_decode(slice_of(text, 4), &id))
			continue;
		found++;
		out.size = 0;
		id_v22_append(&out, id);
		cr_expect(slice_eq(buffer_slice(&out), slice_of(text, 4)));
	}
	cr_expect_gt(found, 10);
	buffer_fini(&out);
}
