#include "services/registrar/trunk_state.h"

#include "proto/writer.h"
#include "services/common/secrets.h"

#include <criterion/criterion.h>

static const char challenge[] =
	"Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256";

static void fill(struct trunk_state *state)
{
	cr_assert(secrets_init());
	trunk_state_init(state);
	state->cseq = 42;
	memset(state->settings, 7, sizeof(state->settings));
	state->registered = true;
	state->expires_ms = INT64_C(1700000600000);
	state->next_ms = INT64_C(1700000500000);
	state->min_expires_s = 1800;
	trunk_state_contact_set(state, slice_str("sip:u@192.0.2.1:5060"));
	state->flow.transport = SIP_TRANSPORT_TLS;
	state->flow.connection = UINT64_MAX;
	cr_assert(sip_endpoint_parse(slice_str("192.0.2.1"), 5061,
				     &state->flow.local));
	cr_assert(sip_endpoint_parse(slice_str("2001:db8::5"), 5062,
				     &state->flow.remote));
	trunk_state_challenge_set(state, 1, slice_str(challenge));
	state->nonce_counts[1] = 3;
	state->failures = 2;
	status_fault_set(&state->fault, STATUS_REJECTED, 503,
			 slice_str("Service Unavailable"));
}

Test(trunk_state, is_read_as_it_was_written)
{
	struct trunk_state state, read;
	struct buffer bytes = {0};

	fill(&state);
	trunk_state_encode(&state, &bytes);
	cr_assert_eq(trunk_state_decode(buffer_slice(&bytes), &read), ERR_OK);
	cr_expect_str_eq(read.call_id, state.call_id);
	cr_expect_str_eq(read.tag, state.tag);
	cr_expect_eq(read.cseq, 42);
	cr_expect_arr_eq(read.settings, state.settings, SECRETS_TAG_BYTES);
	cr_expect(read.registered);
	cr_expect_eq(read.expires_ms, state.expires_ms);
	cr_expect_eq(read.next_ms, state.next_ms);
	cr_expect_eq(read.min_expires_s, 1800);
	cr_expect_str_eq(read.contact, "sip:u@192.0.2.1:5060");
	cr_expect_eq(read.flow.transport, SIP_TRANSPORT_TLS);
	cr_expect_eq(read.flow.connection, UINT64_MAX);
	cr_expect(sip_endpoint_eq(&read.flow.local, &state.flow.local));
	cr_expect(sip_endpoint_eq(&read.flow.remote, &state.flow.remote));
	cr_expect_null(read.challenges[0]);
	cr_expect_str_eq(read.challenges[1], challenge);
	cr_expect_eq(read.nonce_counts[1], 3);
	cr_expect_eq(read.failures, 2);
	cr_expect_eq(read.fault.stage, STATUS_REJECTED);
	cr_expect_eq(read.fault.code, 503);
	cr_expect_str_eq(read.fault.reason, "Service Unavailable");
	trunk_state_fini(&read);
	trunk_state_fini(&state);
	buffer_fini(&bytes);
}

Test(trunk_state, a_new_one_is_read_too)
{
	struct trunk_state state, read;
	struct buffer bytes = {0};

	cr_assert(secrets_init());
	trunk_state_init(&state);
	trunk_state_encode(&state, &bytes);
	cr_assert_eq(trunk_state_decode(buffer_slice(&bytes), &read), ERR_OK);
	cr_expect_not(read.registered);
	cr_expect_null(read.contact);
	cr_expect_eq(sip_endpoint_family(&read.flow.remote), AF_UNSPEC);
	trunk_state_fini(&read);
	trunk_state_fini(&state);
	buffer_fini(&bytes);
}

Test(trunk_state, one_that_is_cut_is_none)
{
	struct trunk_state state, read;
	struct buffer bytes = {0};

	fill(&state);
	trunk_state_encode(&state, &bytes);
	for (size_t size = 0; size < bytes.size; size++)
		cr_expect_eq(
			trunk_state_decode(slice_of(bytes.data, size), &read),
			ERR_MALFORMED, "%zu bytes", size);
	buffer_append_char(&bytes, '\0');
	cr_expect_eq(trunk_state_decode(buffer_slice(&bytes), &read),
		     ERR_MALFORMED, "more than one");
	trunk_state_fini(&state);
	buffer_fini(&bytes);
}

static const struct row {
	const char *name;
	const char *call_id;
	uint64_t cseq;
	enum err_code code;
} rows[] = {
	{"good", "abc123", 1, ERR_OK},
	{"a line of its own", "a\r\nContact: *", 1, ERR_MALFORMED},
	{"no Call-ID", "", 1, ERR_MALFORMED},
	{"CSeq at its end", "abc123", INT32_MAX, ERR_MALFORMED},
	{"CSeq past 32 bits", "abc123", UINT64_C(1) << 40, ERR_MALFORMED},
};

Test(trunk_state, what_would_not_fit_a_message_is_refused)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct trunk_state read;
		struct buffer bytes = {0};

		writer_map(&bytes, 4);
		writer_text(&bytes, "call_id");
		writer_text(&bytes, rows[i].call_id);
		writer_text(&bytes, "tag");
		writer_text(&bytes, "0123");
		writer_text(&bytes, "cseq");
		writer_uint(&bytes, rows[i].cseq);
		writer_text(&bytes, "of a later release");
		writer_array(&bytes, 1);
		writer_nil(&bytes);

		const enum err_code code =
			trunk_state_decode(buffer_slice(&bytes), &read);

		cr_expect_eq(code, rows[i].code, "%s", rows[i].name);
		if (code == ERR_OK)
			trunk_state_fini(&read);
		buffer_fini(&bytes);
	}
}
