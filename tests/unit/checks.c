/* The rules of single fields, a row for each text. */

#include "proto/resources/checks.h"
#include "proto/error.h"

#include <criterion/criterion.h>

/* A text that keeps the rule, and what it becomes; NULL: it stays. */
struct good {
	field_check_fn *check;
	const char *text;
	const char *becomes;
};

static const struct good good_rows[] = {
	{check_did_pool, "9; 101; 12 - 99;100 ;", "9;101;12-99;100"},
	{check_did_pool, "1;2;3", NULL},
	{check_did_pool, "200-300;100-199;10-19", NULL},
	{check_did_pool, "999999999999999999;100000000000000000", NULL},
	{check_did_pool, " ; ", ""},
	{check_did, "1", NULL},
	{check_did, "999999999999999999", NULL},
	{check_account_name, "alice", NULL},
	{check_account_name, "A-b_c'd.9", NULL},
	{check_account_name, "admins", NULL},
	{check_account_name, "my.admin", NULL},
	{check_admin_name, "admin", NULL},
	{check_admin_name, "Root", NULL},
	{check_email, "a@b", NULL},
	{check_email, "first.last+tag@mail.example.com", NULL},
	{check_email, "o'hara!#$%&*-/=?^_`{|}~@x.example", NULL},
	{check_email, "", ""},
	{check_extension_number, "000", NULL},
	{check_extension_number,
	 "1234567890123456789012345678901234567890123456789012345678901234",
	 NULL},
	{check_voicemail_pin, "258036", NULL},
	{check_voicemail_pin, "1122334455", NULL},
	{check_voicemail_pin, "135790", NULL},
	{check_voicemail_pin, "909090", NULL},
	{check_dialled_number, "", ""},
	{check_dialled_number, "101", NULL},
	{check_dialled_number, "+4930123456", NULL},
	{check_clock, "00:00", NULL},
	{check_clock, "09:30", NULL},
	{check_clock, "23:59", NULL},
	{check_language, "en", NULL},
	{check_language, "zh-Hant-TW", NULL},
	{check_language, "es-419", NULL},
	{check_language, "de-1996", NULL},
	{check_domain, "PBX.Example.", "pbx.example"},
	{check_domain, "pbx.example", NULL},
	{check_domain, "192.0.2.1", NULL},
	{check_domain, "[2001:DB8::1]", "2001:db8::1"},
	{check_domain, "2001:0db8:0:0:0::1", "2001:db8::1"},
	{check_domain, "::FFFF:7f00:1", "::ffff:127.0.0.1"},
	{check_email_list, "", ""},
	{check_email_list, " , ", ""},
	{check_email_list, "a@b , c@d.example,", "a@b,c@d.example"},
	{check_email_list,
	 "a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,"
	 "a@b,a@b,a@b",
	 NULL},
	{check_quota, "1KB", NULL},
	{check_quota, "100MB", NULL},
	{check_quota, "1000GB", NULL},
	{check_quota, "2TB", NULL},
	{check_quota, "3PB", NULL},
	{check_json, "", ""},
	{check_json, "{}", NULL},
	{check_json, "[1, \"a\"]", NULL},
	{check_hook_name, "", ""},
	{check_hook_name, "abc123", NULL},
	{check_http_url, "", ""},
	{check_http_url, "http://a", NULL},
	{check_http_url, "https://a.example:8443/b?c=d", NULL},
};

struct bad {
	field_check_fn *check;
	const char *text;
};

static const struct bad bad_rows[] = {
	{check_did_pool, "100;100"},
	{check_did_pool, "5;1-9"},
	{check_did_pool, "1-9;5"},
	{check_did_pool, "100-200;200-300"},
	{check_did_pool, "300-400;1-9;399-500"},
	{check_did_pool, "100-900;200-300;901"},
	{check_did_pool, "0100"},
	{check_did_pool, "9-1"},
	{check_did, ""},
	{check_did, "0"},
	{check_did, "1-2"},
	{check_did, "1;2"},
	{check_did, "+1"},
	{check_did, "1 "},
	{check_did, "1000000000000000000"},
	{check_account_name, "admin"},
	{check_account_name, "ADMIN"},
	{check_account_name, "System"},
	{check_account_name, "administrator"},
	{check_account_name, "rOOt"},
	{check_account_name, ".alice"},
	{check_account_name, "alice."},
	{check_account_name, "."},
	{check_account_name, "ali ce"},
	{check_account_name, "alice@example"},
	{check_account_name, "al\"ice"},
	{check_account_name, "\xc3\xa4lice"},
	{check_admin_name, "root."},
	{check_admin_name, "a/b"},
	{check_email, "alice"},
	{check_email, "@example.com"},
	{check_email, "alice@"},
	{check_email, "a@b@c"},
	{check_email, "a..b@c"},
	{check_email, ".a@b"},
	{check_email, "a.@b"},
	{check_email, "a b@c"},
	{check_email, "a@b c"},
	{check_email, "a@-b"},
	{check_email, "<a@b>"},
	{check_email, "a@192.0.2.1"},
	{check_extension_number, ""},
	{check_extension_number, "12"},
	{check_extension_number, "12a"},
	{check_extension_number, "+123"},
	{check_extension_number, "1 23"},
	{check_extension_number,
	 "12345678901234567890123456789012345678901234567890123456789012345"},
	{check_voicemail_pin, "111958"},
	{check_voicemail_pin, "958000"},
	{check_voicemail_pin, "012958"},
	{check_voicemail_pin, "958789"},
	{check_voicemail_pin, "958321"},
	{check_voicemail_pin, "25803a"},
	{check_voicemail_pin, "25 036"},
	{check_dialled_number, "+"},
	{check_dialled_number, "1+2"},
	{check_dialled_number, "sip:101"},
	{check_clock, "24:00"},
	{check_clock, "23:60"},
	{check_clock, "9:30x"},
	{check_clock, "09.30"},
	{check_clock, "-1:30"},
	{check_clock, "0900"},
	{check_language, "e"},
	{check_language, "1en"},
	{check_language, "en_US"},
	{check_language, "en-"},
	{check_language, "-en"},
	{check_language, "en-toolongsubtag"},
	{check_domain, "."},
	{check_domain, "a..b"},
	{check_domain, "a b"},
	{check_domain, "256.0.0.1"},
	{check_email_list, "a@b;c@d"},
	{check_email_list, "a@b,c"},
	{check_email_list, "a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,"
			   "a@b,a@b,a@b,a@b"},
	{check_quota, "0KB"},
	{check_quota, "01KB"},
	{check_quota, "1"},
	{check_quota, "KB"},
	{check_quota, "-1KB"},
	{check_quota, "1.5KB"},
	{check_quota, "1 KB"},
	{check_quota, "1kb"},
	{check_quota, "1B"},
	{check_quota, "1XB"},
	{check_json, "text"},
	{check_json, "{"},
	{check_json, "{} {}"},
	{check_hook_name, "abc12"},
	{check_hook_name, "Abc123"},
	{check_hook_name, "abc 123"},
	{check_http_url, "ftp://a"},
	{check_http_url, "http://"},
	{check_http_url, "https:///a"},
	{check_http_url, "http://a b"},
};

/* Whether a text keeps a rule; what it becomes is in *value. */
static bool keeps(field_check_fn *check, const char *text, struct value *value,
		  struct arena *arena, char reason[ERR_REASON_BYTES])
{
	static const struct field field = {.name = "f", .type = FIELD_STRING};

	*value = (struct value){.kind = VALUE_STR, .string = slice_str(text)};
	reason[0] = '\0';
	return check(&field, value, arena, reason, ERR_REASON_BYTES);
}

Test(checks, what_keeps_the_rule)
{
	for (size_t i = 0; i < sizeof(good_rows) / sizeof(*good_rows); i++) {
		const struct good *row = &good_rows[i];
		const char *becomes = row->becomes ? row->becomes : row->text;
		char reason[ERR_REASON_BYTES];
		struct arena arena = {0};
		struct value value;

		cr_expect(keeps(row->check, row->text, &value, &arena, reason),
			  "row %zu, '%s': %s", i, row->text, reason);
		if (*becomes == '\0')
			cr_expect_eq(value.kind, VALUE_NULL, "row %zu", i);
		else
			cr_expect(slice_is(value.string, becomes),
				  "row %zu: '%.*s'", i,
				  SLICE_ARG(value.string));
		arena_fini(&arena);
	}
}

Test(checks, what_breaks_the_rule)
{
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(*bad_rows); i++) {
		char reason[ERR_REASON_BYTES];
		struct arena arena = {0};
		struct value value;

		cr_expect_not(keeps(bad_rows[i].check, bad_rows[i].text, &value,
				    &arena, reason),
			      "row %zu, '%s'", i, bad_rows[i].text);
		cr_expect_neq(reason[0], '\0', "row %zu says no reason", i);
		arena_fini(&arena);
	}
}
