#include "services/registrar/status.h"

#include "proto/json.h"
#include "services/registrar/ladder.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct sip_flow flow_of(void)
{
	struct sip_flow flow = {.transport = SIP_TRANSPORT_UDP};

	cr_assert(
		sip_endpoint_parse(slice_str("192.0.2.1"), 5060, &flow.remote));
	cr_assert(
		sip_endpoint_parse(slice_str("192.0.2.2"), 5060, &flow.local));
	return flow;
}

static void add(struct ladder *ladder, const char *text)
{
	const struct sip_flow flow = flow_of();
	struct sip_message message;

	cr_assert_eq(sip_message_parse(slice_str(text), SIP_DATAGRAM, &message),
		     ERR_OK);
	ladder_add(ladder, INT64_C(1700000000123), LADDER_OUT, &flow, &message);
}

static char *text_of(const struct ladder *ladder)
{
	struct buffer out = {0};

	ladder_text(ladder, &out);
	buffer_append_char(&out, '\0');
	return out.data;
}

#define START "REGISTER sip:a SIP/2.0\r\n"

static const struct mask_row {
	const char *name;
	const char *header;
	const char *shown;
} mask_rows[] = {
	{"credentials",
	 "Authorization: Digest username=\"u\", nonce=\"0123456789\", "
	 "response=\"abcdef\", cnonce=\"9876543210\", nc=00000001",
	 "Authorization: Digest username=\"u\", nonce=\"012345***\", "
	 "response=\"***\", cnonce=\"987654***\", nc=00000001"},
	{"of a proxy", "Proxy-Authorization: Digest response=\"abcdef\"",
	 "Proxy-Authorization: Digest response=\"***\""},
	{"without quotes", "Authorization: Digest response=abcdef, a=b",
	 "Authorization: Digest response=***, a=b"},
	{"a challenge",
	 "WWW-Authenticate: Digest realm=\"r\", nonce=\"0123456789\"",
	 "WWW-Authenticate: Digest realm=\"r\", nonce=\"012345***\""},
	{"a short nonce is shown", "WWW-Authenticate: Digest nonce=\"0123\"",
	 "WWW-Authenticate: Digest nonce=\"0123\""},
	{"what comes back",
	 "Authentication-Info: rspauth=\"abcdef\", "
	 "nextnonce=\"0123456789\"",
	 "Authentication-Info: rspauth=\"***\", nextnonce=\"012345***\""},
	{"what cannot be read", "Authorization: Digest response=\"abc",
	 "Authorization: ***"},
	{"another scheme", "Authorization: Basic dTpw", "Authorization: ***"},
	{"folded", "Authorization: Digest\r\n response=\"abcdef\"",
	 "response=\"***\""},
	{"others stay", "Call-ID: abcdef", "Call-ID: abcdef"},
};

Test(trunk_status, the_ladder_masks_what_proves_a_password)
{
	for (size_t i = 0; i < sizeof(mask_rows) / sizeof(*mask_rows); i++) {
		const struct mask_row *row = &mask_rows[i];
		struct ladder ladder = {0};
		char message[512];

		snprintf(message, sizeof(message), START "%s\r\nTo: x\r\n\r\n",
			 row->header);
		add(&ladder, message);

		char *text = text_of(&ladder);

		cr_expect(strstr(text, row->shown), "%s: %s", row->name, text);
		cr_expect(strstr(text, "To: x\n"), "%s", row->name);
		free(text);
		ladder_fini(&ladder);
	}
}

Test(trunk_status, the_ladder_keeps_the_last_ones_within_its_bytes)
{
	struct ladder ladder = {0};
	char message[4096];

	for (int i = 0; i < 40; i++) {
		snprintf(message, sizeof(message), START "Call-ID: %d\r\n\r\n",
			 i);
		add(&ladder, message);
	}
	cr_expect_eq(ladder.count, LADDER_MESSAGES_MAX);

	char *text = text_of(&ladder);

	cr_expect_null(strstr(text, "Call-ID: 23\n"));
	cr_expect(strstr(text, "Call-ID: 24\n"));
	cr_expect(strstr(text, "Call-ID: 39\n"));
	cr_expect(strstr(text, "2023-11-14T22:13:20.123Z --> UDP "
			       "192.0.2.1:5060\n"));
	free(text);
	for (int i = 0; i < 10; i++) {
		snprintf(message, sizeof(message),
			 START "Call-ID: %d\r\nSubject: %03000d\r\n\r\n", i, 0);
		add(&ladder, message);
	}
	cr_expect_eq(ladder.count, LADDER_BYTES_MAX / LADDER_MESSAGE_BYTES_MAX);
	cr_expect_leq(ladder.bytes, LADDER_BYTES_MAX);
	ladder_fini(&ladder);
}

Test(trunk_status, words_go_both_ways)
{
	enum trunk_phase phase;
	enum status_stage stage;

	for (unsigned i = 0; i < TRUNK_PHASES; i++) {
		cr_assert(status_phase_find(slice_str(status_phase_text(i)),
					    &phase));
		cr_expect_eq(phase, i);
	}
	for (unsigned i = 0; i < STATUS_STAGES; i++) {
		cr_assert(status_stage_find(slice_str(status_stage_text(i)),
					    &stage));
		cr_expect_eq(stage, i);
	}
	cr_expect_not(status_phase_find(slice_str("gone"), &phase));
	cr_expect_not(status_stage_find(slice_str(""), &stage));
	cr_expect_str_eq(status_online_text(true), "ONLINE");
	cr_expect_str_eq(status_online_text(false), "OFFLINE");
}

Test(trunk_status, is_told_as_json)
{
	const struct sip_flow flow = flow_of();
	struct trunk_status status = {
		.phase = TRUNK_BACKING_OFF,
		.phase_since_ms = INT64_C(1700000000000),
		.last_code = 503,
		.last_reason = "Away",
		.transport = SIP_TRANSPORT_TLS,
		.target = flow.remote,
		.algorithm = DIGEST_SHA_256,
		.failures = 3,
		.next_attempt_ms = INT64_C(1700000004000),
	};
	struct ladder ladder = {0};
	struct buffer wire = {0}, json = {0};

	/* A reason phrase that is no UTF-8, and longer than we keep. */
	status_fault_set(&status.fault, STATUS_REJECTED, 503,
			 slice_str("Service \xff Unavailable ------------------"
				   "-------------------------------------------"
				   "-------------------------------------------"
				   "------------------------"));
	add(&ladder, START "Subject: \xfe\xff\r\n\r\n");
	ladder_note(&ladder, INT64_C(1700000000124), &flow, "no answer");
	status_encode(&status, &ladder, &wire);
	cr_assert_eq(json_from_msgpack(buffer_slice(&wire), NULL, &json, NULL),
		     ERR_OK);
	buffer_append_char(&json, '\0');

	static const char *const parts[] = {
		"\"status\":\"OFFLINE\"",
		"\"state\":\"backing_off\"",
		"\"state_since\":\"2023-11-14T22:13:20Z\"",
		"\"failed_stage\":\"rejected\"",
		"\"failed_code\":503",
		"\"failed_reason\":\"Service ? Unavailable --",
		"\"transport\":\"TLS\"",
		"\"target\":\"192.0.2.1:5060\"",
		"\"algorithm\":\"SHA-256\"",
		"\"consecutive_failures\":3",
		"\"expires\":null",
		"\"next_attempt\":\"2023-11-14T22:13:24Z\"",
		"\"keep_alive\":{\"answered\":null,",
		"\"text\":\"no answer\"",
		"Subject: ??",
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		cr_expect(strstr(json.data, parts[i]), "%s in %s", parts[i],
			  json.data);
	buffer_fini(&wire);
	buffer_fini(&json);
	ladder_fini(&ladder);
}
