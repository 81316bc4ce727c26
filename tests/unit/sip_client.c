#include "services/registrar/sip/client.h"

#include "proto/buffer.h"
#include "services/common/secrets.h"
#include "turn.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum {
	T1_MS = 20, /* so that timer F comes after 1.3 s */
	T2_MS = 80,
	T4_MS = 60,
	MAX_TRANSACTIONS = 8,
	SENDS_MAX = 32,
	/* Sendings from 0 to 64 * T1: at 0, 1, 3, 7, 11 ... T1, with T2 = 4
	 * T1. */
	SENDS_RFC = 18,
};

/* A transport that notes what it is given, and what the client tells. */
struct scene {
	struct loop *loop;
	struct sip_client *client;
	struct sip_sink sink;
	bool refuses;
	size_t sends;
	uint64_t sent_ms[SENDS_MAX];
	struct buffer last;

	struct sip_transaction *transaction;
	char branch[SIP_BRANCH_BYTES];
	int provisional, final, timeouts, failed;
	unsigned status;
	bool cancels;	  /* on a provisional response */
	bool sends_again; /* from the last callback */
};

static void set_up(void)
{
	cr_assert(secrets_init());
}

TestSuite(sip_client, .init = set_up);

static bool on_send(void *arg, struct slice message)
{
	struct scene *s = arg;

	if (s->refuses)
		return false;
	cr_assert_lt(s->sends, SENDS_MAX);
	s->sent_ms[s->sends++] = loop_now_ms(s->loop);
	s->last.size = 0;
	buffer_append_slice(&s->last, message);
	return true;
}

static void scene_start(struct scene *s)
{
	const struct sip_client_options options = {
		.t1_ms = T1_MS,
		.t2_ms = T2_MS,
		.t4_ms = T4_MS,
		.max_transactions = MAX_TRANSACTIONS,
	};

	*s = (struct scene){.loop = loop_new()};
	s->client = sip_client_new(s->loop, &options);
	s->sink = (struct sip_sink){.send = on_send, .arg = s};
}

static void scene_end(struct scene *s)
{
	sip_client_free(s->client);
	loop_free(s->loop);
	buffer_fini(&s->last);
}

static enum err_code send_one(struct scene *s, unsigned deadline_ms);

static void on_event(void *arg, enum sip_client_event event,
		     const struct sip_message *response)
{
	struct scene *s = arg;

	cr_assert_eq(!response,
		     event == SIP_CLIENT_TIMEOUT || event == SIP_CLIENT_FAILED);
	s->status = response ? response->status : 0;
	s->provisional += event == SIP_CLIENT_PROVISIONAL;
	s->final += event == SIP_CLIENT_FINAL;
	s->timeouts += event == SIP_CLIENT_TIMEOUT;
	s->failed += event == SIP_CLIENT_FAILED;
	if (event == SIP_CLIENT_PROVISIONAL && s->cancels)
		sip_client_cancel(s->transaction);
	if (event != SIP_CLIENT_PROVISIONAL && s->sends_again) {
		s->sends_again = false;
		cr_assert_eq(send_one(s, 0), ERR_OK);
	}
}

static const char request_text[] = "REGISTER sip:example.org SIP/2.0\r\n\r\n";

static enum err_code send_one(struct scene *s, unsigned deadline_ms)
{
	sip_client_branch(s->client, s->branch);

	const struct sip_client_request request = {
		.sink = &s->sink,
		.branch = s->branch,
		.method = SIP_METHOD_REGISTER,
		.message = slice_str(request_text),
		.deadline_ms = deadline_ms,
		.fn = on_event,
		.arg = s,
	};

	return sip_client_send(s->client, &request, &s->transaction);
}

/* Has the client receive a response; true: it took it. */
static bool receive(struct scene *s, unsigned status, const char *cookie,
		    const char *branch, const char *method)
{
	struct buffer text = {0};
	struct sip_message message;

	buffer_printf(&text,
		      "SIP/2.0 %u Whatever\r\n"
		      "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=%s%s\r\n"
		      "From: <sip:a@example.org>;tag=1\r\n"
		      "To: <sip:a@example.org>;tag=2\r\n"
		      "Call-ID: 1@example.org\r\n"
		      "CSeq: 1 %s\r\n"
		      "Content-Length: 0\r\n\r\n",
		      status, cookie, branch, method);
	cr_assert_eq(
		sip_message_parse(buffer_slice(&text), SIP_DATAGRAM, &message),
		ERR_OK);

	bool taken = sip_client_receive(s->client, &message);

	buffer_fini(&text);
	return taken;
}

static bool answer(struct scene *s, unsigned status)
{
	return receive(s, status, SIP_BRANCH_COOKIE, s->branch, "REGISTER");
}

Test(sip_client, final_response_and_its_copies)
{
	struct scene s;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	cr_expect_eq(s.sends, 1);
	cr_expect(slice_is(buffer_slice(&s.last), request_text));
	cr_expect(answer(&s, 401));
	cr_expect_eq(s.final, 1);
	cr_expect_eq(s.status, 401);
	/* Timer K: copies are taken, and told to nobody. */
	cr_expect_eq(sip_client_count(s.client), 1);
	cr_expect(answer(&s, 401));
	cr_expect(answer(&s, 100));
	cr_expect_eq(s.final, 1);
	cr_expect_eq(s.provisional, 0);
	TURN_UNTIL(s.loop, sip_client_count(s.client) == 0);
	cr_expect_not(answer(&s, 401));
	cr_expect_eq(s.final + s.timeouts + s.failed, 1);
	scene_end(&s);
}

/* RFC 3261 17.1.2.2: 2T1, 4T1 ... T2, T2. Timers may be late, never early. */
Test(sip_client, sent_again_ever_slower_until_timer_f)
{
	struct scene s;
	unsigned interval_ms = T1_MS;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	TURN_UNTIL(s.loop, s.timeouts == 1);
	cr_expect_geq(loop_now_ms(s.loop) - s.sent_ms[0],
		      (uint64_t)SIP_TIMEOUT_T1 * T1_MS);
	cr_expect_geq(s.sends, 2);
	cr_expect_leq(s.sends, SENDS_RFC);
	for (size_t i = 1; i < s.sends; i++) {
		cr_expect_geq(s.sent_ms[i] - s.sent_ms[i - 1], interval_ms,
			      "sending %zu", i);
		interval_ms = interval_ms * 2 < T2_MS ? interval_ms * 2 : T2_MS;
	}
	cr_expect(slice_is(buffer_slice(&s.last), request_text));
	cr_expect_eq(sip_client_count(s.client), 0);
	cr_expect_not(answer(&s, 200), "too late");
	cr_expect_eq(s.final, 0);
	scene_end(&s);
}

/* Proceeding: still sent again, by T2 only. */
Test(sip_client, provisional_slows_down)
{
	struct scene s;

	scene_start(&s);
	cr_assert_eq(send_one(&s, TURN_DEADLINE_MS), ERR_OK);
	cr_expect(answer(&s, 100));
	cr_expect_eq(s.provisional, 1);
	cr_expect_eq(s.status, 100);
	TURN_UNTIL(s.loop, s.sends == 4);
	/* The first interval ran already. */
	cr_expect_geq(s.sent_ms[2] - s.sent_ms[1], T2_MS);
	cr_expect_geq(s.sent_ms[3] - s.sent_ms[2], T2_MS);
	cr_expect(answer(&s, 200));
	cr_expect_eq(s.final, 1);
	scene_end(&s);
}

Test(sip_client, reliable_is_sent_once_and_gone_at_once)
{
	struct scene s;

	scene_start(&s);
	s.sink.reliable = true;
	cr_assert_eq(send_one(&s, 5 * T2_MS), ERR_OK);
	TURN_UNTIL(s.loop, s.timeouts == 1);
	cr_expect_eq(s.sends, 1);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	cr_expect(answer(&s, 200));
	cr_expect_eq(s.final, 1);
	cr_expect_eq(sip_client_count(s.client), 0);
	cr_expect_not(answer(&s, 200));
	scene_end(&s);
}

Test(sip_client, deadline_of_the_caller)
{
	struct scene s;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 1), ERR_OK);
	TURN_UNTIL(s.loop, s.timeouts == 1);
	cr_expect_eq(s.sends, 1, "before timer E");
	scene_end(&s);
}

/* What a response must have to be ours; "" stands for our own. */
static const struct {
	const char *name;
	const char *cookie;
	const char *branch;
	const char *method;
	bool taken;
} matches[] = {
	{"ours", "z9hG4bK", "", "REGISTER", true},
	{"another method", "z9hG4bK", "", "OPTIONS", false},
	{"another branch", "z9hG4bK", "00112233445566778899aabbccddeeff",
	 "REGISTER", false},
	{"a short branch", "z9hG4bK", "00112233", "REGISTER", false},
	{"no hex", "z9hG4bK", "zz112233445566778899aabbccddeeff", "REGISTER",
	 false},
	{"nothing behind the cookie", "z9hG4bK-", "x", "REGISTER", false},
	{"no cookie", "", "", "REGISTER", false},
};

Test(sip_client, matching)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		struct scene s;

		scene_start(&s);
		cr_assert_eq(send_one(&s, 0), ERR_OK);

		const char *branch =
			matches[i].branch[0] ? matches[i].branch : s.branch;

		cr_expect_eq(receive(&s, 200, matches[i].cookie, branch,
				     matches[i].method),
			     matches[i].taken, "%s", matches[i].name);
		cr_expect_eq(s.final, matches[i].taken, "%s", matches[i].name);
		scene_end(&s);
	}
}

Test(sip_client, requests_are_no_responses)
{
	struct scene s;
	struct buffer text = {0};
	struct sip_message message;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	buffer_printf(&text,
		      "REGISTER sip:example.org SIP/2.0\r\n"
		      "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK%s\r\n"
		      "CSeq: 1 REGISTER\r\n\r\n",
		      s.branch);
	cr_assert_eq(
		sip_message_parse(buffer_slice(&text), SIP_DATAGRAM, &message),
		ERR_OK);
	cr_expect_not(sip_client_receive(s.client, &message));
	buffer_fini(&text);
	scene_end(&s);
}

Test(sip_client, sink_refuses_at_first)
{
	struct scene s;

	scene_start(&s);
	s.refuses = true;
	cr_expect_eq(send_one(&s, 0), ERR_UNAVAILABLE);
	cr_expect_eq(sip_client_count(s.client), 0);
	loop_turn(s.loop, 2 * T1_MS);
	cr_expect_eq(s.failed, 0, "told by the return alone");
	scene_end(&s);
}

Test(sip_client, sink_refuses_later)
{
	struct scene s;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	s.refuses = true;
	TURN_UNTIL(s.loop, s.failed == 1);
	cr_expect_eq(sip_client_count(s.client), 0);
	cr_expect_eq(s.timeouts, 0);
	scene_end(&s);
}

Test(sip_client, failed_sink_ends_its_own)
{
	struct scene s, other;

	scene_start(&s);
	scene_start(&other);
	s.sink.reliable = true;
	for (int i = 0; i < 3; i++)
		cr_assert_eq(send_one(&s, 0), ERR_OK);
	cr_assert_eq(send_one(&other, 0), ERR_OK);
	/* What is sent meanwhile stays. */
	s.sends_again = true;
	sip_client_sink_failed(&s.sink);
	cr_expect_eq(s.failed, 3);
	cr_expect_eq(other.failed, 0);
	cr_expect_eq(sip_client_count(s.client), 1);
	sip_client_sink_failed(&s.sink);
	cr_expect_eq(s.failed, 4);
	sip_client_sink_failed(&s.sink);
	cr_expect_eq(s.failed, 4);
	scene_end(&s);
	scene_end(&other);
}

Test(sip_client, cancelled_is_never_told)
{
	struct scene s;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	sip_client_cancel(s.transaction);
	sip_client_cancel(NULL);
	cr_expect_not(answer(&s, 200));
	loop_turn(s.loop, 2 * T1_MS);
	cr_expect_eq(s.sends, 1);
	cr_expect_eq(s.final + s.timeouts + s.failed, 0);
	/* On a provisional response, from its callback. */
	s.cancels = true;
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	cr_expect(answer(&s, 180));
	cr_expect_eq(sip_client_count(s.client), 0);
	cr_expect_not(answer(&s, 200));
	scene_end(&s);
}

/* REGISTER, 401, REGISTER. */
Test(sip_client, next_request_from_the_callback)
{
	struct scene s;

	scene_start(&s);
	cr_assert_eq(send_one(&s, 0), ERR_OK);
	s.sends_again = true;
	cr_expect(answer(&s, 401));
	cr_expect_eq(s.sends, 2);
	cr_expect(answer(&s, 200));
	cr_expect_eq(s.final, 2);
	cr_expect_eq(s.status, 200);
	scene_end(&s);
}

Test(sip_client, as_many_as_allowed)
{
	struct scene s;
	char branches[MAX_TRANSACTIONS][SIP_BRANCH_BYTES];

	scene_start(&s);
	for (int i = 0; i < MAX_TRANSACTIONS; i++) {
		cr_assert_eq(send_one(&s, 0), ERR_OK);
		memcpy(branches[i], s.branch, sizeof(s.branch));
	}
	cr_expect_eq(send_one(&s, 0), ERR_LIMIT);
	cr_expect_eq(s.sends, MAX_TRANSACTIONS, "not sent");
	for (int i = 0; i < MAX_TRANSACTIONS; i++)
		cr_expect(receive(&s, 200, SIP_BRANCH_COOKIE, branches[i],
				  "REGISTER"));
	cr_expect_eq(s.final, MAX_TRANSACTIONS);
	TURN_UNTIL(s.loop, sip_client_count(s.client) == 0);
	cr_expect_eq(send_one(&s, 0), ERR_OK);
	/* Freed with one under way. */
	scene_end(&s);
}
