#include "services/registrar/trunk_policy.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct rule_row {
	unsigned status;
	enum policy_action action;
	enum policy_pace pace;
} rule_rows[] = {
	{200, POLICY_REGISTERED, POLICY_SOON},
	{299, POLICY_REGISTERED, POLICY_SOON},
	{302, POLICY_FAIL, POLICY_SLOW},
	{400, POLICY_FAIL, POLICY_SLOW},
	{401, POLICY_CHALLENGE, POLICY_SLOW},
	{403, POLICY_FAIL, POLICY_SLOW},
	{404, POLICY_FAIL, POLICY_SLOW},
	{407, POLICY_CHALLENGE, POLICY_SLOW},
	{408, POLICY_NEXT, POLICY_SOON},
	{423, POLICY_MIN_EXPIRES, POLICY_SLOW},
	{480, POLICY_FAIL, POLICY_SOON},
	{499, POLICY_FAIL, POLICY_SLOW},
	{500, POLICY_FAIL, POLICY_SOON},
	{503, POLICY_NEXT, POLICY_SOON},
	{504, POLICY_NEXT, POLICY_SOON},
	{505, POLICY_FAIL, POLICY_SOON},
	{599, POLICY_FAIL, POLICY_SOON},
	{600, POLICY_FAIL, POLICY_SLOW},
	{699, POLICY_FAIL, POLICY_SLOW},
};

Test(trunk_policy, every_answer_has_its_rule)
{
	for (size_t i = 0; i < sizeof(rule_rows) / sizeof(*rule_rows); i++) {
		const struct rule_row *row = &rule_rows[i];
		const struct policy_rule *rule = policy_rule_of(row->status);

		cr_expect_eq(rule->action, row->action, "%u", row->status);
		cr_expect_eq(rule->pace, row->pace, "%u", row->status);
	}
	for (unsigned status = 200; status < 700; status++) {
		const struct policy_rule *rule = policy_rule_of(status);

		cr_expect(status >= rule->first && status <= rule->last, "%u",
			  status);
	}
}

static const struct backoff_row {
	const char *name;
	enum policy_pace pace;
	uint32_t failures;
	uint32_t retry_after_s;
	uint64_t from_ms, to_ms;
} backoff_rows[] = {
	{"first", POLICY_SOON, 1, 0, 3000, 4000},
	{"second", POLICY_SOON, 2, 0, 6000, 8000},
	{"seventh", POLICY_SOON, 7, 0, 192000, 256000},
	{"at its end", POLICY_SOON, UINT32_MAX, 0, 225000, 300000},
	{"slow first", POLICY_SLOW, 1, 0, 225000, 300000},
	{"slow second", POLICY_SLOW, 2, 0, 450000, 600000},
	{"slow at its end", POLICY_SLOW, 1000, 0, 2700000, 3600000},
	{"asked for longer", POLICY_SOON, 1, 60, 60000, 66000},
	{"asked for less", POLICY_SLOW, 1, 1, 225000, 300000},
	{"asked for ever", POLICY_SOON, 1, UINT32_MAX, 3600000, 3960000},
};

Test(trunk_policy, waits_double_and_differ)
{
	uint64_t random = 1;

	for (size_t i = 0; i < sizeof(backoff_rows) / sizeof(*backoff_rows);
	     i++) {
		const struct backoff_row *row = &backoff_rows[i];
		uint64_t least = UINT64_MAX, most = 0;

		for (int n = 0; n < 1000; n++) {
			const uint64_t ms =
				policy_backoff_ms(row->pace, row->failures,
						  row->retry_after_s, &random);

			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		cr_expect_geq(least, row->from_ms, "%s", row->name);
		cr_expect_leq(most, row->to_ms, "%s", row->name);
		cr_expect_gt(most - least, (row->to_ms - row->from_ms) / 2,
			     "%s: all at once", row->name);
	}
}

Test(trunk_policy, refreshes_come_before_the_expiry_and_not_too_often)
{
	uint64_t random = 1;

	for (int i = 0; i < 1000; i++) {
		const uint64_t ms = policy_refresh_ms(600, &random);

		cr_expect_geq(ms, 480000);
		cr_expect_leq(ms, 540000);
	}
	cr_expect_eq(policy_refresh_ms(1, &random), POLICY_REFRESH_MIN_MS);
	cr_expect_eq(policy_expires_s(0, 0), POLICY_EXPIRES_DEFAULT_S);
	cr_expect_eq(policy_expires_s(1, 0), POLICY_EXPIRES_MIN_S);
	cr_expect_eq(policy_expires_s(600, 0), 600);
	cr_expect_eq(policy_expires_s(600, 1800), 1800);
	cr_expect_eq(policy_expires_s(UINT32_MAX, 0), POLICY_EXPIRES_MAX_S);
}

static const struct granted_row {
	const char *name;
	const char *headers;
	uint32_t granted_s;
} granted_rows[] = {
	{"nothing said", "", 600},
	{"Expires", "Expires: 300\r\n", 300},
	{"our Contact",
	 "Contact: <sip:u@192.0.2.1:5060>;expires=200\r\nExpires: 300\r\n",
	 200},
	{"ours of several",
	 "Contact: <sip:u@192.0.2.9>;expires=100, "
	 "<sip:u@192.0.2.1:5060>;expires=250\r\n",
	 250},
	{"ours without expires",
	 "Contact: <sip:u@192.0.2.1:5060>\r\nExpires: 300\r\n", 300},
	{"rewritten by the carrier",
	 "Contact: <sip:u@198.51.100.1:1024>;expires=60\r\n", 60},
	{"others' only",
	 "Contact: <sip:u@192.0.2.8>;expires=10, "
	 "<sip:u@192.0.2.9>;expires=20\r\n",
	 600},
	{"longer than asked", "Expires: 86400\r\n", 600},
	{"none", "Contact: <sip:u@192.0.2.1:5060>;expires=0\r\n", 0},
	{"broken", "Expires: soon\r\n", 600},
};

Test(trunk_policy, a_registration_is_as_long_as_granted)
{
	for (size_t i = 0; i < sizeof(granted_rows) / sizeof(*granted_rows);
	     i++) {
		const struct granted_row *row = &granted_rows[i];
		struct sip_message message;
		char text[512];

		snprintf(text, sizeof(text), "SIP/2.0 200 OK\r\n%s\r\n",
			 row->headers);
		cr_assert_eq(sip_message_parse(slice_str(text), SIP_DATAGRAM,
					       &message),
			     ERR_OK);
		cr_expect_eq(policy_granted_s(&message,
					      slice_str("sip:u@192.0.2.1:5060"),
					      600),
			     row->granted_s, "%s", row->name);
	}
}
