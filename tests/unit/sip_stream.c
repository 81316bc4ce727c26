#include "services/registrar/sip/stream.h"

#include "proto/buffer.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/acceptor.h"
#include "services/registrar/sip/inbox.h"
#include "sip_peer.h"
#include "turn.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Cutting a stream into messages --- */

struct cuts {
	struct buffer seen; /* "<size>" and "." for a CR LF */
	struct buffer bytes;
	unsigned stop_after; /* things; 0: never */
	unsigned count;
};

static bool on_cut(void *arg, enum sip_inbox_event event, struct slice message)
{
	struct cuts *cuts = arg;

	if (event == SIP_INBOX_CRLF)
		buffer_append_char(&cuts->seen, '.');
	else
		buffer_printf(&cuts->seen, "<%zu>", message.size);
	buffer_append_slice(&cuts->bytes, message);
	return ++cuts->count != cuts->stop_after;
}

static void cuts_fini(struct cuts *cuts)
{
	buffer_fini(&cuts->seen);
	buffer_fini(&cuts->bytes);
}

struct framing {
	const char *name;
	const char *bytes;
	const char *seen;
	enum err_code code;
	bool partial;
};

static const struct framing framings[] = {
	{"a message", "OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabc",
	 "<47>"},
	{"compact form", "OPTIONS sip:a SIP/2.0\r\nl:3\r\n\r\nabc", "<33>"},
	{"any case, spaces",
	 "OPTIONS sip:a SIP/2.0\r\ncOnTent-lEngth \t:  3 \r\n\r\nabc", "<51>"},
	{"folded", "OPTIONS sip:a SIP/2.0\r\nl:\r\n 3\r\n\r\nabc", "<36>"},
	{"the value of a fold is no header",
	 "OPTIONS sip:a SIP/2.0\r\nSubject: x\r\n l: 9\r\nl: 0\r\n\r\n",
	 "<50>"},
	{"two", "A b SIP/2.0\r\nl:0\r\n\r\nB b SIP/2.0\r\nl:1\r\n\r\nx",
	 "<20><21>"},
	{"CR LF around", "\r\n\r\nA b SIP/2.0\r\nl:0\r\n\r\n\r\n", "..<20>."},
	{"a lone CR waits", "\r", "", .partial = true},
	{"a body that waits", "A b SIP/2.0\r\nl:5\r\n\r\nabcd", "",
	 .partial = true},
	{"no length", "A b SIP/2.0\r\nSubject: x\r\n\r\n", "", ERR_MALFORMED,
	 true},
	{"negative length", "A b SIP/2.0\r\nl: -1\r\n\r\n", "", ERR_MALFORMED,
	 true},
	{"two lengths", "A b SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n", "",
	 ERR_MALFORMED, true},
	{"a body too large", "A b SIP/2.0\r\nl: 300\r\n\r\n", "", ERR_TOO_LARGE,
	 true},
	{"a length past 32 bits", "A b SIP/2.0\r\nl: 4294967296\r\n\r\n", "",
	 ERR_MALFORMED, true},
	{"good, then bad",
	 "A b SIP/2.0\r\nl:0\r\n\r\nA b SIP/2.0\r\nx:0\r\n\r\n", "<20>",
	 ERR_MALFORMED, true},
};

enum { FRAMING_MAX = 256 };

/* Puts the bytes in as two parts and compares. */
static void check_framing(const struct framing *f, size_t at)
{
	struct sip_inbox inbox = {0};
	struct cuts cuts = {0};
	struct slice all = slice_str(f->bytes);
	enum err_code code = sip_inbox_put(&inbox, slice_of(all.data, at),
					   FRAMING_MAX, on_cut, &cuts);

	if (code == ERR_OK)
		code = sip_inbox_put(&inbox,
				     slice_of(all.data + at, all.size - at),
				     FRAMING_MAX, on_cut, &cuts);
	cr_expect_eq(code, f->code, "%s at %zu: %s", f->name, at,
		     err_name(code));
	cr_expect(slice_is(buffer_slice(&cuts.seen), f->seen),
		  "%s at %zu: %.*s", f->name, at,
		  SLICE_ARG(buffer_slice(&cuts.seen)));
	cr_expect_eq(sip_inbox_partial(&inbox), f->partial, "%s at %zu",
		     f->name, at);
	if (!f->partial)
		cr_expect_null(inbox.bytes.data, "%s: idle, yet memory",
			       f->name);
	sip_inbox_fini(&inbox);
	cuts_fini(&cuts);
}

Test(sip_stream, framing_split_anywhere)
{
	for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++)
		for (size_t at = 0; at <= strlen(framings[i].bytes); at++)
			check_framing(&framings[i], at);
}

Test(sip_stream, framing_byte_by_byte)
{
	struct sip_inbox inbox = {0};
	struct cuts cuts = {0};
	struct buffer bytes = {0};

	for (unsigned i = 0; i < 3; i++)
		peer_message(&bytes, i, 10);
	for (size_t i = 0; i < bytes.size; i++)
		cr_assert_eq(sip_inbox_put(&inbox, slice_of(bytes.data + i, 1),
					   FRAMING_MAX, on_cut, &cuts),
			     ERR_OK);
	cr_expect_eq(cuts.count, 3);
	cr_expect(slice_eq(buffer_slice(&cuts.bytes), buffer_slice(&bytes)));
	sip_inbox_fini(&inbox);
	buffer_fini(&bytes);
	cuts_fini(&cuts);
}

Test(sip_stream, framing_stops_when_told)
{
	struct sip_inbox inbox = {0};
	struct cuts cuts = {.stop_after = 2};
	struct buffer bytes = {0};

	for (unsigned i = 0; i < 3; i++)
		peer_message(&bytes, i, 10);
	sip_inbox_put(&inbox, buffer_slice(&bytes), FRAMING_MAX, on_cut, &cuts);
	cr_expect_eq(cuts.count, 2);
	cr_expect(!sip_inbox_partial(&inbox));
	sip_inbox_fini(&inbox);
	buffer_fini(&bytes);
	cuts_fini(&cuts);
}

/* --- Connections --- */

struct world {
	struct loop *loop;
	struct sip_streams *streams;
	struct sip_acceptor *acceptor;
	struct sip_endpoint local;
	bool echoes; /* sends each message back */
	bool closes; /* ends each connection after its first message */
	unsigned messages;
	struct buffer last;
	struct sip_flow flow; /* of the last message */
	unsigned ends;
	struct sip_flow ended;
	enum sip_stream_stage stage;
	struct err reason;
	bool bans;
};

static void on_message(void *arg, const struct sip_flow *flow,
		       struct slice message)
{
	struct world *world = arg;

	world->messages++;
	world->flow = *flow;
	world->last.size = 0;
	buffer_append_slice(&world->last, message);
	if (world->echoes)
		cr_assert_eq(sip_streams_send(world->streams, flow, message),
			     ERR_OK);
	if (world->closes)
		sip_streams_close(world->streams, flow);
}

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	struct world *world = arg;

	world->ends++;
	world->ended = *flow;
	world->stage = stage;
	world->reason = *reason;
	cr_expect(!sip_streams_alive(world->streams, flow));
}

static bool on_admit(void *arg, const struct sip_endpoint *remote,
		     enum sip_transport transport)
{
	struct world *world = arg;

	cr_expect_eq(sip_endpoint_family(remote), AF_INET);
	cr_expect_eq(transport, SIP_TRANSPORT_TCP);
	return !world->bans;
}

static const struct sip_stream_events events = {on_message, on_close, on_admit};

static void world_open(struct world *world,
		       const struct sip_stream_limits *limits)
{
	struct sip_endpoint local = peer_loopback(AF_INET);
	struct err err = {0};

	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	*world = (struct world){.loop = loop_new()};
	world->streams = sip_streams_new(world->loop, limits, &events, world);
	cr_assert_eq(sip_acceptor_new(world->streams, &local, NULL,
				      &world->acceptor, &err),
		     ERR_OK, "%s", err.text);
	world->local = *sip_acceptor_local(world->acceptor);
}

static void world_close(struct world *world)
{
	sip_acceptor_free(world->acceptor);
	sip_streams_free(world->streams);
	buffer_fini(&world->last);
	loop_free(world->loop);
}

static const struct sip_stream_limits defaults;

static const struct sip_stream_stats *stats(const struct world *world)
{
	return sip_acceptor_stats(world->acceptor);
}

/* Sends one small message and waits until it was taken. */
static void speak(struct world *world, int fd)
{
	struct buffer message = {0};
	unsigned before = world->messages;

	peer_message(&message, before, 0);
	peer_send(world->loop, fd, buffer_slice(&message));
	TURN_UNTIL(world->loop, world->messages == before + 1);
	cr_assert(slice_eq(buffer_slice(&world->last), buffer_slice(&message)));
	buffer_fini(&message);
}

Test(sip_stream, split_at_every_byte_over_a_socket)
{
	struct world world;
	struct buffer message = {0};

	world_open(&world, &defaults);

	int fd = peer_connect(&world.local);

	peer_message(&message, 1, 30);
	for (size_t at = 1; at < message.size; at++) {
		unsigned before = world.messages;

		peer_send(world.loop, fd, slice_of(message.data, at));
		loop_turn(world.loop, 5);
		cr_assert_eq(world.messages, before);
		peer_send(world.loop, fd,
			  slice_of(message.data + at, message.size - at));
		TURN_UNTIL(world.loop, world.messages == before + 1);
		cr_assert(slice_eq(buffer_slice(&world.last),
				   buffer_slice(&message)));
	}
	close(fd);
	buffer_fini(&message);
	world_close(&world);
}

Test(sip_stream, many_messages_in_one_segment_are_answered_in_order)
{
	enum { COUNT = 50 };
	struct world world;
	struct buffer bytes = {0};
	struct buffer answers = {0};

	world_open(&world, &defaults);
	world.echoes = true;

	int fd = peer_connect(&world.local);

	for (unsigned i = 0; i < COUNT; i++)
		peer_message(&bytes, i, i);
	peer_send(world.loop, fd, buffer_slice(&bytes));
	peer_read(world.loop, fd, &answers, bytes.size);
	cr_expect(slice_eq(buffer_slice(&answers), buffer_slice(&bytes)));
	cr_expect_eq(world.messages, COUNT);
	cr_expect_eq(stats(&world)->packets_in, COUNT);
	cr_expect_eq(stats(&world)->packets_out, COUNT);
	close(fd);
	TURN_UNTIL(world.loop, world.ends == 1);
	cr_expect_eq(world.reason.code, ERR_LOST);
	cr_expect_eq(world.stage, SIP_STAGE_OPEN);
	cr_expect_eq(stats(&world)->connections, 0);
	cr_expect_eq(stats(&world)->errors, 0);
	cr_expect_eq(sip_streams_send(world.streams, &world.flow,
				      buffer_slice(&bytes)),
		     ERR_NOT_FOUND);
	buffer_fini(&bytes);
	buffer_fini(&answers);
	world_close(&world);
}

Test(sip_stream, keep_alive_is_answered)
{
	struct world world;
	struct buffer answers = {0};

	world_open(&world, &defaults);
	world.echoes = true;

	int fd = peer_connect(&world.local);

	/* A single one is no ping, and a message between two halves parts them.
	 */
	peer_send(world.loop, fd, slice_str("\r\n"));
	peer_send(world.loop, fd,
		  slice_str("A b SIP/2.0\r\nl:0\r\n\r\n\r\n\r\n"));
	peer_send(world.loop, fd, slice_str("B b SIP/2.0\r\nl:0\r\n\r\n"));
	peer_read(world.loop, fd, &answers, 42);
	cr_expect(slice_is(buffer_slice(&answers),
			   "A b SIP/2.0\r\nl:0\r\n\r\n\r\n"
			   "B b SIP/2.0\r\nl:0\r\n\r\n"));
	close(fd);
	buffer_fini(&answers);
	world_close(&world);
}

struct broken {
	const char *bytes;
	enum err_code code;
};

static const struct broken brokens[] = {
	{"A b SIP/2.0\r\nSubject: no length\r\n\r\n", ERR_MALFORMED},
	{"A b SIP/2.0\r\nContent-Length: 70000\r\n\r\n", ERR_TOO_LARGE},
};

Test(sip_stream, what_cannot_be_framed_ends_the_connection)
{
	for (size_t i = 0; i < sizeof(brokens) / sizeof(brokens[0]); i++) {
		struct world world;

		world_open(&world, &defaults);

		int fd = peer_connect(&world.local);

		speak(&world, fd);
		peer_send(world.loop, fd, slice_str(brokens[i].bytes));
		cr_expect(peer_ended(world.loop, fd), "%s", brokens[i].bytes);
		cr_expect_eq(world.ends, 1);
		cr_expect_eq(world.reason.code, brokens[i].code);
		cr_expect_eq(stats(&world)->errors, 1);
		close(fd);
		world_close(&world);
	}
}

struct slow {
	const char *name;
	struct sip_stream_limits limits;
	const char *first; /* what is sent */
	const char *reason;
};

static const struct slow slows[] = {
	{"half a head",
	 {.message_ms = 200},
	 "A b SIP/2.0\r\nl",
	 "a message did not end in time"},
	{"half a body",
	 {.message_ms = 200},
	 "A b SIP/2.0\r\nl:9\r\n\r\nabc",
	 "a message did not end in time"},
	{"half a keep-alive",
	 {.message_ms = 200},
	 "\r",
	 "a message did not end in time"},
	{"nothing", {.idle_ms = 200}, "", "idle for too long"},
};

Test(sip_stream, slow_peers_are_cut)
{
	for (size_t i = 0; i < sizeof(slows) / sizeof(slows[0]); i++) {
		const struct slow *slow = &slows[i];
		struct world world;

		world_open(&world, &slow->limits);

		int fd = peer_connect(&world.local);

		speak(&world, fd);
		peer_send(world.loop, fd, slice_str(slow->first));
		cr_expect(peer_ended(world.loop, fd), "%s", slow->name);
		cr_expect_eq(world.ends, 1, "%s", slow->name);
		cr_expect_eq(world.reason.code, ERR_DEADLINE, "%s", slow->name);
		cr_expect_str_eq(world.reason.text, slow->reason);
		close(fd);
		world_close(&world);
	}
}

/* Each byte is in time, the message is not. */
Test(sip_stream, a_dripping_peer_is_cut)
{
	const struct sip_stream_limits limits = {.message_ms = 200};
	struct world world;

	world_open(&world, &limits);

	int fd = peer_connect(&world.local);

	speak(&world, fd);

	uint64_t end_ms = loop_now_ms(world.loop) + TURN_DEADLINE_MS;

	while (world.ends == 0 && loop_now_ms(world.loop) < end_ms) {
		send(fd, "x", 1, MSG_NOSIGNAL);
		loop_turn(world.loop, 5);
	}
	cr_expect_eq(world.ends, 1);
	cr_expect_str_eq(world.reason.text, "a message did not end in time");
	close(fd);
	world_close(&world);
}

Test(sip_stream, who_never_speaks_is_cut_and_not_told_of)
{
	const struct sip_stream_limits limits = {.message_ms = 200};
	struct world world;

	world_open(&world, &limits);

	int fd = peer_connect(&world.local);

	cr_expect(peer_ended(world.loop, fd));
	cr_expect_eq(world.ends, 0);
	cr_expect_eq(stats(&world)->errors, 1);
	close(fd);
	world_close(&world);
}

Test(sip_stream, a_source_gets_its_share)
{
	const struct sip_stream_limits limits = {.per_source = 2};
	struct world world;
	int fds[3];

	world_open(&world, &limits);
	for (size_t i = 0; i < 3; i++)
		fds[i] = peer_connect(&world.local);
	TURN_UNTIL(world.loop, stats(&world)->refused == 1);
	cr_expect_eq(stats(&world)->connections, 2);
	speak(&world, fds[0]);
	speak(&world, fds[1]);
	cr_expect(peer_ended(world.loop, fds[2]));

	/* Who leaves makes room. */
	close(fds[0]);
	TURN_UNTIL(world.loop, stats(&world)->connections == 1);
	fds[0] = peer_connect(&world.local);
	speak(&world, fds[0]);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	world_close(&world);
}

Test(sip_stream, all_together_get_theirs)
{
	const struct sip_stream_limits limits = {.connections = 1};
	struct world world;

	world_open(&world, &limits);

	int first = peer_connect(&world.local);
	int second = peer_connect(&world.local);

	TURN_UNTIL(world.loop, stats(&world)->refused == 1);
	speak(&world, first);
	cr_expect(peer_ended(world.loop, second));
	close(first);
	close(second);
	world_close(&world);
}

Test(sip_stream, the_banned_are_refused)
{
	struct world world;

	world_open(&world, &defaults);
	world.bans = true;

	int fd = peer_connect(&world.local);

	cr_expect(peer_ended(world.loop, fd));
	cr_expect_eq(stats(&world)->refused, 1);
	close(fd);
	world_close(&world);
}

/* Sends to the last flow until nothing more is taken; returns how many were. */
static unsigned fill(struct world *world, struct slice message)
{
	unsigned count = 0;

	while (sip_streams_send(world->streams, &world->flow, message) ==
	       ERR_OK) {
		count++;
		loop_turn(world->loop, 0);
	}
	return count;
}

Test(sip_stream, a_reader_that_stops_is_waited_for)
{
	struct world world;
	struct buffer message = {0};
	struct buffer got = {0};

	world_open(&world, &defaults);

	int fd = peer_connect(&world.local);

	peer_message(&message, 7, 20000);
	speak(&world, fd);

	unsigned count = fill(&world, buffer_slice(&message));

	cr_expect_gt(count, 10);
	cr_expect_eq(stats(&world)->dropped, 1);

	/* It is not listened to either, until it reads. */
	unsigned before = world.messages;

	peer_send(world.loop, fd, slice_str("A b SIP/2.0\r\nl:0\r\n\r\n"));
	for (int i = 0; i < 20; i++)
		loop_turn(world.loop, 1);
	cr_expect_eq(world.messages, before);

	peer_read(world.loop, fd, &got, count * message.size);
	for (unsigned i = 0; i < count; i++)
		cr_assert(slice_eq(
			slice_of(got.data + i * message.size, message.size),
			buffer_slice(&message)));
	TURN_UNTIL(world.loop, world.messages == before + 1);
	cr_expect_eq(sip_streams_send(world.streams, &world.flow,
				      buffer_slice(&message)),
		     ERR_OK);
	peer_read(world.loop, fd, &got, message.size);
	close(fd);
	buffer_fini(&message);
	buffer_fini(&got);
	world_close(&world);
}

Test(sip_stream, a_reader_that_never_goes_on_is_cut)
{
	const struct sip_stream_limits limits = {.stall_ms = 50};
	struct world world;
	struct buffer message = {0};

	world_open(&world, &limits);

	int fd = peer_connect(&world.local);

	peer_message(&message, 7, 20000);
	speak(&world, fd);
	fill(&world, buffer_slice(&message));
	TURN_UNTIL(world.loop, world.ends == 1);
	cr_expect_str_eq(world.reason.text, "the peer does not read");
	close(fd);
	buffer_fini(&message);
	world_close(&world);
}

Test(sip_stream, a_connection_closed_by_its_callback_is_not_heard_again)
{
	struct world world;

	world_open(&world, &defaults);
	world.closes = true;

	int fd = peer_connect(&world.local);

	peer_send(world.loop, fd,
		  slice_str("A b SIP/2.0\r\nl:0\r\n\r\n"
			    "B b SIP/2.0\r\nl:0\r\n\r\n"));
	cr_expect(peer_ended(world.loop, fd));
	cr_expect_eq(world.messages, 1);
	cr_expect_eq(world.ends, 0, "the caller knows");
	close(fd);
	world_close(&world);
}

Test(sip_stream, a_closed_listener_ends_its_connections)
{
	struct world world;

	world_open(&world, &defaults);

	int fd = peer_connect(&world.local);

	speak(&world, fd);
	sip_acceptor_free(world.acceptor);
	world.acceptor = NULL;
	cr_expect_eq(world.ends, 1);
	cr_expect_str_eq(world.reason.text, "the listener was closed");
	cr_expect(peer_ended(world.loop, fd));
	close(fd);
	world_close(&world);
}

/* --- Connections of ours --- */

Test(sip_stream, connects_sends_what_waited_and_is_found_again)
{
	struct world world;
	struct sip_flow flow, again;
	struct err err = {0};

	world_open(&world, &defaults);

	struct sip_stream_target target = {.remote = world.local};

	cr_expect(!sip_streams_find(world.streams, &target, &again));
	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, &err),
		     ERR_OK, "%s", err.text);
	cr_expect(sip_streams_find(world.streams, &target, &again));
	cr_expect_eq(again.connection, flow.connection);
	sip_streams_send(world.streams, &flow,
			 slice_str("A b SIP/2.0\r\nl:0\r\n\r\n"));
	TURN_UNTIL(world.loop, world.messages == 1);
	cr_expect(sip_endpoint_eq(&world.flow.remote, &flow.local));
	cr_expect(sip_endpoint_eq(&world.flow.local, &flow.remote));

	/* The answer goes back the same way. */
	sip_streams_send(world.streams, &world.flow,
			 slice_str("SIP/2.0 200 OK\r\nl:0\r\n\r\n"));
	TURN_UNTIL(world.loop, world.messages == 2);
	cr_expect_eq(world.flow.connection, flow.connection);

	/* A flow of another peer is not taken for this one. */
	sip_endpoint_port_set(&flow.remote, 1);
	cr_expect_eq(sip_streams_send(world.streams, &flow, slice_str("x")),
		     ERR_NOT_FOUND);
	world_close(&world);
}

Test(sip_stream, a_refused_connection_is_told)
{
	struct world world;
	struct sip_flow flow;

	world_open(&world, &defaults);

	struct sip_stream_target target = {.remote = world.local};

	sip_acceptor_free(world.acceptor);
	world.acceptor = NULL;
	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_OK);
	sip_streams_send(world.streams, &flow, slice_str("x"));
	TURN_UNTIL(world.loop, world.ends == 1);
	cr_expect_eq(world.stage, SIP_STAGE_CONNECT);
	cr_expect_eq(world.ended.connection, flow.connection);
	cr_expect(strstr(world.reason.text, "refused"), "%s",
		  world.reason.text);
	world_close(&world);
}

Test(sip_stream, a_ping_waits_for_its_pong)
{
	const struct sip_stream_limits limits = {.pong_ms = 300};
	struct world world;
	struct sip_flow flow;
	struct buffer got = {0};

	world_open(&world, &limits);

	struct sip_stream_target target = {.remote = world.local};

	/* Our own end answers. */
	cr_assert_eq(sip_streams_connect(world.streams, &target, &flow, NULL),
		     ERR_OK);
	sip_streams_ping(world.streams, &flow, true);

	uint64_t pinged_ms = loop_now_ms(world.loop);

	TURN_UNTIL(world.loop,
		   loop_now_ms(world.loop) > pinged_ms + limits.pong_ms + 100);
	cr_expect(sip_streams_alive(world.streams, &flow));

	/* This one does not. */
	int fd = peer_connect(&world.local);

	speak(&world, fd);
	cr_assert_eq(sip_streams_ping(world.streams, &world.flow, true),
		     ERR_OK);
	peer_read(world.loop, fd, &got, 4);
	cr_expect(slice_is(buffer_slice(&got), "\r\n\r\n"));
	TURN_UNTIL(world.loop, world.ends == 1);
	cr_expect_eq(world.ended.connection, world.flow.connection);
	cr_expect_str_eq(world.reason.text, "no answer to a keep-alive");
	cr_expect(sip_streams_alive(world.streams, &flow));
	close(fd);
	buffer_fini(&got);
	world_close(&world);
}

Test(sip_stream, ends_with_connections_open)
{
	struct world world;
	struct sip_flow flow;

	/* libuv keeps a few descriptors from its first use on. */
	world_open(&world, &defaults);
	world_close(&world);

	size_t before = peer_descriptors();

	world_open(&world, &defaults);

	struct sip_stream_target target = {.remote = world.local};
	int fd = peer_connect(&world.local);

	peer_send(world.loop, fd, slice_str("half a mess"));
	sip_streams_connect(world.streams, &target, &flow, NULL);
	sip_streams_send(world.streams, &flow, slice_str("x"));
	loop_turn(world.loop, 5);
	close(fd);
	world_close(&world);
	cr_expect_eq(peer_descriptors(), before);
}
