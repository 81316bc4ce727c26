#include "services/common/bus_client.h"

#include "proto/writer.h"
#include "servers.h"
#include "services/common/bus_server.h"
#include "services/common/log.h"
#include "turn.h"

#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CALLS_MAX = BUS_QUEUE_MAX + 16,
	HELD_MAX = 512,
	LONG_MS = 20000, /* a deadline that is not to be reached */
	SHORT_MS = 60,	 /* one that is */
	PEERS = 2,
};

/* What became of one call. */
struct outcome {
	unsigned ends; /* once is right */
	enum err_code code;
	uint64_t body; /* of a good reply: its integer */
};

struct world {
	struct loop *loop;
	struct metrics metrics;
	struct bus_client *client;
	char dir[64];
	char addresses[PEERS][128];
	struct outcome outcomes[CALLS_MAX];
	size_t calls;
	size_t ended;
	bool calling; /* within bus_client_call() */

	/* A server on the same loop. */
	struct metrics server_metrics;
	struct bus_server *server;
	struct bus_call *held[HELD_MAX];
	size_t held_count;
	uint32_t deadline_ms; /* of the last request served */

	/* Services in processes of their own (bus_peer.c). */
	pid_t peers[PEERS];
};

static struct world world;

extern char **environ;

/* Answers with the argument n. */
static void on_echo(void *service, struct bus_call *call)
{
	struct reader reader;

	(void)service;
	world.deadline_ms = bus_call_request(call)->deadline_ms;
	reader_init(&reader, bus_call_request(call)->args);
	reader_map(&reader);
	reader_str(&reader);
	writer_uint(bus_call_body(call), reader_uint(&reader));
	bus_reply_ok(call, 0);
}

static void on_hold(void *service, struct bus_call *call)
{
	(void)service;
	cr_assert_lt(world.held_count, HELD_MAX);
	world.held[world.held_count++] = call;
}

static void on_fail(void *service, struct bus_call *call)
{
	struct err err = {0};

	(void)service;
	err_set(&err, ERR_CONFLICT, "taken");
	bus_reply_error(call, &err);
}

static void on_elsewhere(void *service, struct bus_call *call)
{
	(void)service;
	bus_reply_code(call, ERR_ELSEWHERE);
}

static const struct bus_method methods[] = {
	{"test.echo", on_echo, PRINCIPAL_SYSTEM, NULL},
	{"test.hold", on_hold, PRINCIPAL_SYSTEM, NULL},
	{"test.fail", on_fail, PRINCIPAL_SYSTEM, NULL},
	{"test.pid", on_elsewhere, PRINCIPAL_SYSTEM, NULL},
};

static void serve(void)
{
	struct err err = {0};

	cr_assert_eq(bus_server_new(world.loop,
				    &(struct bus_server_options){
					    .address = world.addresses[0],
					    .methods = methods,
					    .method_count = sizeof(methods) /
							    sizeof(methods[0]),
					    .metrics = &world.server_metrics},
				    &world.server, &err),
		     ERR_OK, "%s", err.text);
}

/* Not by fork(): nng's threads do not live through it. */
static void peer_start(size_t index)
{
	char file[128];
	char *argv[] = {BUS_PEER, world.addresses[index], file, NULL};

	snprintf(file, sizeof(file), "%s/record%zu", world.dir, index);
	cr_assert_eq(posix_spawn(&world.peers[index], BUS_PEER, NULL, NULL,
				 argv, environ),
		     0);
}

static void peer_kill(size_t index)
{
	if (world.peers[index] > 0)
		servers_end(world.peers[index], SIGKILL);
	world.peers[index] = 0;
}

static size_t peer_records(size_t index)
{
	char path[128];
	size_t lines = 0;
	int c;

	snprintf(path, sizeof(path), "%s/record%zu", world.dir, index);

	FILE *file = fopen(path, "r");

	while (file && (c = fgetc(file)) != EOF)
		lines += c == '\n';
	if (file)
		fclose(file);
	return lines;
}

static void connect_to(const char *addresses)
{
	struct err err = {0};

	cr_assert_eq(bus_client_new(world.loop, "test", addresses,
				    &world.metrics, &world.client, &err),
		     ERR_OK, "%s", err.text);
}

static void setup(void)
{
	log_init("test", LOG_ERROR);
	world.loop = loop_new();
	servers_dir_make(world.dir);
	for (size_t i = 0; i < PEERS; i++)
		snprintf(world.addresses[i], sizeof(world.addresses[i]),
			 "ipc://%s/bus%zu", world.dir, i);
}

static void teardown(void)
{
	bus_client_free(world.client);
	bus_server_free(world.server);
	for (size_t i = 0; i < PEERS; i++)
		peer_kill(i);
	loop_free(world.loop);
	servers_dir_remove(world.dir);
}

TestSuite(bus_client, .init = setup, .fini = teardown);

static uint64_t metric_of(const struct metrics *metrics, const char *name)
{
	for (size_t i = 0; i < metrics->count; i++)
		if (strcmp(metrics->entries[i].name, name) == 0)
			return *metrics->entries[i].value;
	cr_assert_fail("no metric %s", name);
	return 0;
}

static uint64_t metric(const char *name)
{
	return metric_of(&world.metrics, name);
}

static void on_done(void *arg, const struct reply *reply, const struct err *err)
{
	struct outcome *outcome = arg;

	cr_assert_not(world.calling, "ended within bus_client_call()");
	cr_assert_neq(reply == NULL, err == NULL);
	outcome->ends++;
	world.ended++;
	if (err) {
		outcome->code = err->code;
		return;
	}

	struct reader reader;

	reader_init(&reader, reply->body);
	if (reader_peek(&reader) == READER_INT)
		outcome->body = reader_uint(&reader);
}

static struct outcome *call_args(enum bus_lane lane, const char *method,
				 uint32_t deadline_ms, bus_done_fn *done,
				 struct slice args)
{
	const size_t index = world.calls++;
	char id[32];

	cr_assert_lt(index, CALLS_MAX);
	snprintf(id, sizeof(id), "call-%zu", index);
	world.calling = true;
	bus_client_call(
		world.client, lane,
		&(struct request){.request_id = slice_str(id),
				  .method = slice_str(method),
				  .deadline_ms = deadline_ms,
				  .principal = {.kind = PRINCIPAL_SYSTEM},
				  .args = args},
		done, &world.outcomes[index]);
	world.calling = false;
	return &world.outcomes[index];
}

/* Calls with the arguments {"n": number of the call}. */
static struct outcome *call(enum bus_lane lane, const char *method,
			    uint32_t deadline_ms)
{
	struct buffer args = {0};

	writer_map(&args, 1);
	writer_text(&args, "n");
	writer_uint(&args, world.calls);

	struct outcome *outcome = call_args(lane, method, deadline_ms, on_done,
					    buffer_slice(&args));

	buffer_fini(&args);
	return outcome;
}

static size_t ended_with(enum err_code code)
{
	size_t count = 0;

	for (size_t i = 0; i < world.calls; i++)
		count += world.outcomes[i].ends == 1 &&
			 world.outcomes[i].code == code;
	return count;
}

static void expect_ok(struct outcome *outcome)
{
	TURN_UNTIL(world.loop, outcome->ends > 0);
	cr_assert_eq(outcome->ends, 1);
	cr_assert_eq(outcome->code, ERR_OK, "%s", err_name(outcome->code));
}

static void connect_and_serve(void)
{
	serve();
	connect_to(world.addresses[0]);
	TURN_UNTIL(world.loop, bus_client_connected(world.client));
}

Test(bus_client, reply_and_error)
{
	connect_and_serve();
	cr_expect_str_eq(bus_client_service(world.client), "test");

	struct outcome *good = call(BUS_READ, "test.echo", LONG_MS);
	struct outcome *bad = call(BUS_WRITE, "test.fail", LONG_MS);
	struct outcome *none = call(BUS_SLOW, "test.none", LONG_MS);

	TURN_UNTIL(world.loop, world.ended == 3);
	cr_expect_eq(good->code, ERR_OK);
	cr_expect_eq(good->body, 0);
	cr_expect_eq(bad->code, ERR_CONFLICT);
	cr_expect_eq(none->code, ERR_UNKNOWN_METHOD);
	cr_expect_eq(metric("bus_test_calls_total"), 3);
	cr_expect_eq(metric("bus_test_in_flight"), 0);
	cr_expect_eq(metric("bus_test_connected"), 1);
}

/* Every reply goes to its own call, in far fewer batches than calls. */
Test(bus_client, calls_gather)
{
	enum { CALLS = 1000 };

	connect_and_serve();
	for (size_t i = 0; i < CALLS; i++)
		call(BUS_READ, "test.echo", LONG_MS);
	TURN_UNTIL(world.loop, world.ended == CALLS);
	cr_expect_eq(ended_with(ERR_OK), CALLS);
	for (size_t i = 0; i < CALLS; i++)
		cr_assert_eq(world.outcomes[i].body, i);
	/* The first two leave at once, the others in full batches. */
	cr_expect_eq(metric("bus_test_batches_total"),
		     2 + (CALLS - 2 + MESSAGE_BATCH_FRAMES_MAX - 1) /
				     MESSAGE_BATCH_FRAMES_MAX);
	cr_expect_eq(metric_of(&world.server_metrics, "bus_requests_total"),
		     CALLS);
}

Test(bus_client, window_holds_back)
{
	connect_and_serve();
	for (size_t i = 0; i < 10; i++)
		call(BUS_READ, "test.hold", LONG_MS);
	TURN_UNTIL(world.loop, world.held_count == BUS_WINDOW);
	cr_expect_eq(metric("bus_test_batches_total"), BUS_WINDOW);

	/* Another lane has a window of its own. */
	expect_ok(call(BUS_WRITE, "test.echo", LONG_MS));
	cr_expect_eq(world.held_count, BUS_WINDOW);

	bus_reply_ok(world.held[0], 0);
	TURN_UNTIL(world.loop, world.held_count == 10);
	cr_expect_eq(metric("bus_test_batches_total"), BUS_WINDOW + 2);
	for (size_t i = 1; i < 10; i++)
		bus_reply_ok(world.held[i], 0);
	TURN_UNTIL(world.loop, world.ended == 11);
	cr_expect_eq(ended_with(ERR_OK), 11);
}

Test(bus_client, late_reply_is_dropped)
{
	connect_and_serve();

	struct outcome *late = call(BUS_READ, "test.hold", SHORT_MS);

	TURN_UNTIL(world.loop, world.held_count == 1 && late->ends == 1);
	cr_expect_eq(late->code, ERR_DEADLINE);
	cr_expect_eq(metric("bus_test_deadline_total"), 1);
	bus_reply_ok(world.held[0], 0);
	TURN_UNTIL(world.loop, metric("bus_test_dropped_total") == 1);
	cr_expect_eq(late->ends, 1);
	expect_ok(call(BUS_READ, "test.echo", LONG_MS));
}

/* The calls beside it in the batch still get their replies. */
Test(bus_client, deadlines_are_each_calls_own)
{
	connect_and_serve();
	for (size_t i = 0; i < BUS_WINDOW; i++)
		call(BUS_READ, "test.hold", LONG_MS);

	struct outcome *unsent = call(BUS_READ, "test.hold", SHORT_MS);
	struct outcome *patient = call(BUS_READ, "test.hold", LONG_MS);

	TURN_UNTIL(world.loop, unsent->ends == 1);
	cr_expect_eq(unsent->code, ERR_UNAVAILABLE, "it was never sent");
	for (size_t i = 0; i < BUS_WINDOW; i++)
		bus_reply_ok(world.held[i], 0);
	TURN_UNTIL(world.loop, world.held_count == BUS_WINDOW + 1);

	struct outcome *beside = call(BUS_READ, "test.hold", SHORT_MS);

	TURN_UNTIL(world.loop, beside->ends == 1);
	cr_expect_eq(beside->code, ERR_DEADLINE);
	cr_expect_eq(patient->ends, 0);
	bus_reply_ok(world.held[BUS_WINDOW], 0);
	expect_ok(patient);
}

Test(bus_client, no_replica)
{
	connect_to(world.addresses[0]);

	struct outcome *outcome = call(BUS_WRITE, "test.echo", SHORT_MS);

	TURN_UNTIL(world.loop, outcome->ends == 1);
	cr_expect_eq(outcome->code, ERR_UNAVAILABLE);
	cr_expect_not(bus_client_connected(world.client));
	cr_expect_eq(metric("bus_test_unavailable_total"), 1);
	cr_expect_eq(metric("bus_test_batches_total"), 0);
}

/* A call waits for its service to come up, and the frame says what is left of
 * its deadline when it leaves. */
Test(bus_client, waits_for_a_replica)
{
	connect_to(world.addresses[0]);

	struct outcome *outcome = call(BUS_WRITE, "test.echo", LONG_MS);
	const uint64_t later = loop_now_ms(world.loop) + SHORT_MS;

	TURN_UNTIL(world.loop, loop_now_ms(world.loop) >= later);
	serve();
	expect_ok(outcome);
	cr_expect_leq(world.deadline_ms, LONG_MS - SHORT_MS);
	cr_expect_gt(world.deadline_ms, 0);
}

Test(bus_client, queue_is_bounded)
{
	connect_to(world.addresses[0]);
	for (size_t i = 0; i < BUS_QUEUE_MAX; i++)
		call(BUS_READ, "test.echo", LONG_MS);

	struct outcome *over = call(BUS_READ, "test.echo", LONG_MS);

	TURN_UNTIL(world.loop, over->ends == 1);
	cr_expect_eq(over->code, ERR_UNAVAILABLE);
	cr_expect_eq(world.ended, 1);

	serve();
	TURN_UNTIL(world.loop, world.ended == world.calls);
	cr_expect_eq(ended_with(ERR_OK), BUS_QUEUE_MAX);
}

Test(bus_client, large_calls_are_split)
{
	enum { BYTES = MESSAGE_BATCH_BYTES_MAX / 3 + 1, CALLS = 9 };
	struct buffer args = {0};

	connect_and_serve();
	writer_map(&args, 2);
	writer_text(&args, "n");
	writer_uint(&args, 7);
	writer_text(&args, "padding");

	char *bytes = calloc(1, BYTES);

	writer_bin(&args, slice_of(bytes, BYTES));
	for (size_t i = 0; i < CALLS; i++)
		call_args(BUS_WRITE, "test.echo", LONG_MS, on_done,
			  buffer_slice(&args));
	TURN_UNTIL(world.loop, world.ended == CALLS);
	cr_expect_eq(ended_with(ERR_OK), CALLS);
	/* Two alone, then two and two: a third does not fit. */
	cr_expect_eq(metric("bus_test_batches_total"), 2 + 4);
	free(bytes);
	buffer_fini(&args);
}

Test(bus_client, calls_no_frame_can_carry)
{
	char *bytes = calloc(1, MESSAGE_BATCH_BYTES_MAX);
	char name[MESSAGE_METHOD_BYTES_MAX + 2] = {0};

	connect_and_serve();
	memset(name, 'x', sizeof(name) - 1);

	struct outcome *large =
		call_args(BUS_READ, "test.echo", LONG_MS, on_done,
			  slice_of(bytes, MESSAGE_BATCH_BYTES_MAX));
	struct outcome *named = call(BUS_READ, name, LONG_MS);

	TURN_UNTIL(world.loop, world.ended == 2);
	cr_expect_eq(large->code, ERR_TOO_LARGE);
	cr_expect_eq(named->code, ERR_MALFORMED);
	cr_expect_eq(metric("bus_test_batches_total"), 0);
	free(bytes);
}

static void on_done_call_again(void *arg, const struct reply *reply,
			       const struct err *err)
{
	on_done(arg, reply, err);
	if (world.calls < 100)
		call_args(BUS_READ, "test.echo", LONG_MS, on_done_call_again,
			  (struct slice)SLICE("\x81\xa1n\x01"));
}

Test(bus_client, done_calls_again)
{
	connect_and_serve();
	call_args(BUS_READ, "test.echo", LONG_MS, on_done_call_again,
		  (struct slice)SLICE("\x81\xa1n\x01"));
	TURN_UNTIL(world.loop, world.ended == 100);
	cr_expect_eq(ended_with(ERR_OK), 100);
}

/* 12 calls on one lane: two were sent, ten wait; and one made meanwhile. */
Test(bus_client, free_ends_each_once)
{
	connect_and_serve();
	for (size_t i = 0; i < 12; i++)
		call(BUS_READ, "test.hold", LONG_MS);
	call_args(BUS_WRITE, "test.hold", LONG_MS, on_done_call_again,
		  (struct slice)SLICE("\x80"));
	world.calls = 99; /* one more, not 87 */
	TURN_UNTIL(world.loop, world.held_count == BUS_WINDOW + 1);
	bus_client_free(world.client);
	world.client = NULL;
	cr_expect_eq(world.ended, 14);
	cr_expect_eq(ended_with(ERR_LOST), BUS_WINDOW + 1);
	cr_expect_eq(ended_with(ERR_UNAVAILABLE), 11);
}

/* At every moment of a batch's life: the sanitizers look on. Not before the
 * connection is there: nng 1.5 leaks a handshake that its dialer's end cuts
 * short. */
Test(bus_client, free_at_any_moment)
{
	serve();
	for (unsigned turns = 0; turns < 40; turns++) {
		const size_t before = world.calls;

		world.metrics = (struct metrics){0};
		connect_to(world.addresses[0]);
		TURN_UNTIL(world.loop, bus_client_connected(world.client));
		for (size_t i = 0; i < 20; i++)
			call((enum bus_lane)(i % BUS_LANES), "test.echo",
			     LONG_MS);
		for (unsigned i = 0; i < turns; i++)
			loop_turn(world.loop, 1);
		bus_client_free(world.client);
		world.client = NULL;
		for (size_t i = before; i < world.calls; i++)
			cr_assert_eq(world.outcomes[i].ends, 1);
	}
}

Test(bus_client, addresses)
{
	static const struct {
		const char *name;
		const char *addresses;
	} rows[] = {
		{"empty", ""},
		{"no scheme", "bus"},
		{"unknown scheme", "smtp://127.0.0.1"},
		{"empty one", "ipc:///tmp/a,,ipc:///tmp/b"},
		{"ends with a comma", "ipc:///tmp/a,"},
		{"too many", "ipc:///a,ipc:///a,ipc:///a,ipc:///a,ipc:///a,"
			     "ipc:///a,ipc:///a,ipc:///a,ipc:///a,ipc:///a,"
			     "ipc:///a,ipc:///a,ipc:///a,ipc:///a,ipc:///a,"
			     "ipc:///a,ipc:///a"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bus_client *client = NULL;
		struct err err = {0};

		cr_expect_eq(bus_client_new(world.loop, "test",
					    rows[i].addresses, NULL, &client,
					    &err),
			     ERR_VALIDATE, "%s", rows[i].name);
		cr_expect_null(client);
		cr_expect_str_not_empty(err.text);
	}
}

/* A stopped process takes its two calls and no further ones, and is used again
 * once it runs. */
Test(bus_client, stopped_replica)
{
	enum { CALLS = 200 };
	char both[280];

	snprintf(both, sizeof(both), "%s,%s", world.addresses[0],
		 world.addresses[1]);
	peer_start(0);
	peer_start(1);
	connect_to(both);
	TURN_UNTIL(world.loop, metric("bus_test_connected") == 2);
	kill(world.peers[0], SIGSTOP);
	for (size_t i = 0; i < CALLS; i++)
		call(BUS_READ, "test.pid", 1000);
	TURN_UNTIL(world.loop, world.ended == CALLS);
	cr_expect_eq(ended_with(ERR_OK), CALLS - BUS_WINDOW);
	cr_expect_eq(ended_with(ERR_DEADLINE), BUS_WINDOW);

	/* Nothing more goes there. */
	for (size_t i = 0; i < 10; i++)
		expect_ok(call(BUS_READ, "test.pid", LONG_MS));

	kill(world.peers[0], SIGCONT);
	TURN_UNTIL(world.loop, metric("bus_test_dropped_total") == BUS_WINDOW);

	struct outcome *pids[4];

	for (size_t i = 0; i < 4; i++)
		pids[i] = call(BUS_READ, "test.pid", LONG_MS);

	bool first = false;

	for (size_t i = 0; i < 4; i++) {
		expect_ok(pids[i]);
		first |= pids[i]->body == (uint64_t)world.peers[0];
	}
	cr_expect(first, "the first replica serves again");
}

/* A killed replica costs the calls it had; what waited is served by the next,
 * and no write happens twice. */
Test(bus_client, killed_replica)
{
	peer_start(0);
	connect_to(world.addresses[0]);
	TURN_UNTIL(world.loop, bus_client_connected(world.client));

	struct outcome *kept[BUS_WINDOW];

	for (size_t i = 0; i < BUS_WINDOW; i++)
		kept[i] = call(BUS_WRITE, "test.keep", LONG_MS);

	struct outcome *waiting = call(BUS_WRITE, "test.write", LONG_MS);

	TURN_UNTIL(world.loop, peer_records(0) == BUS_WINDOW);
	peer_kill(0);
	TURN_UNTIL(world.loop, world.ended == BUS_WINDOW);
	for (size_t i = 0; i < BUS_WINDOW; i++)
		cr_expect_eq(kept[i]->code, ERR_LOST);
	cr_expect_eq(metric("bus_test_lost_total"), BUS_WINDOW);
	TURN_UNTIL(world.loop, !bus_client_connected(world.client));

	peer_start(0);
	expect_ok(waiting);
	expect_ok(call(BUS_WRITE, "test.write", LONG_MS));
	cr_expect_eq(peer_records(0), BUS_WINDOW + 2);
}

Test(bus_client, one_of_two_killed)
{
	char both[280];

	snprintf(both, sizeof(both), "%s,%s", world.addresses[0],
		 world.addresses[1]);
	peer_start(0);
	peer_start(1);
	connect_to(both);
	TURN_UNTIL(world.loop, metric("bus_test_connected") == 2);
	/* Two for each, by fewest calls in flight. */
	for (size_t i = 0; i < 4; i++)
		call(BUS_WRITE, "test.keep", LONG_MS);
	TURN_UNTIL(world.loop, peer_records(0) + peer_records(1) == 4);
	cr_expect_eq(peer_records(0), 2);
	peer_kill(0);
	TURN_UNTIL(world.loop, world.ended == 2);
	cr_expect_eq(ended_with(ERR_LOST), 2);
	for (size_t i = 0; i < 10; i++)
		expect_ok(call(BUS_READ, "test.pid", LONG_MS));
	cr_expect_eq(peer_records(1), 2);
}

/* What one replica passes on the other answers, and nobody when it is away. */
Test(bus_client, passed_on)
{
	enum { CALLS = 100 };
	char both[280];

	snprintf(both, sizeof(both), "%s,%s", world.addresses[0],
		 world.addresses[1]);
	serve();
	connect_to(both);
	TURN_UNTIL(world.loop, metric("bus_test_connected") == 1);

	const struct outcome *nobody = call(BUS_READ, "test.pid", LONG_MS);

	TURN_UNTIL(world.loop, world.ended == 1);
	cr_expect_eq(nobody->code, ERR_ELSEWHERE);

	peer_start(1);
	TURN_UNTIL(world.loop, metric("bus_test_connected") == 2);
	for (size_t i = 0; i < CALLS; i++)
		call(BUS_READ, "test.pid", LONG_MS);
	TURN_UNTIL(world.loop, world.ended == 1 + CALLS);
	cr_expect_eq(ended_with(ERR_OK), CALLS);
}

/* Killing and starting under load: every call ends once, and what was not
 * answered may have happened, but never twice. */
Test(bus_client, writes_happen_at_most_once)
{
	enum { CALLS = 600 };

	peer_start(0);
	connect_to(world.addresses[0]);
	for (size_t i = 0; i < CALLS; i++) {
		call(BUS_WRITE, "test.write", LONG_MS);
		loop_turn(world.loop, 0);
		if (i % 200 == 199) {
			TURN_UNTIL(world.loop, world.ended > i - 150);
			peer_kill(0);
			peer_start(0);
		}
	}
	TURN_UNTIL(world.loop, world.ended == CALLS);

	const size_t good = ended_with(ERR_OK);
	const size_t lost = ended_with(ERR_LOST);

	cr_expect_eq(good + lost, CALLS);
	cr_expect_geq(peer_records(0), good);
	cr_expect_leq(peer_records(0), good + lost);

	static char seen[CALLS];
	char path[128];
	size_t id;

	snprintf(path, sizeof(path), "%s/record0", world.dir);

	FILE *file = fopen(path, "r");

	while (fscanf(file, "call-%zu\n", &id) == 1)
		cr_expect_eq(seen[id]++, 0, "call %zu happened twice", id);
	fclose(file);
}

/* A service that dies while it is being connected to. nng 1.5 would never try
 * again, were it not for bus_nng.c. */
Test(bus_client, connections_cut_short)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = world.addresses[0] + strlen("ipc://");
	int cut = 0;

	cr_assert_lt(strlen(path), sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	for (size_t i = 0; i < 20; i++) {
		const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		cr_assert_eq(
			bind(fd, (struct sockaddr *)&address, sizeof(address)),
			0);
		cr_assert_eq(listen(fd, 8), 0);
		world.metrics = (struct metrics){0};
		world.server_metrics = (struct metrics){0};
		connect_to(world.addresses[0]);

		const int accepted = accept(fd, NULL, NULL);

		close(accepted);
		close(fd);
		unlink(path);
		cut += accepted >= 0;
		serve();
		TURN_UNTIL(world.loop, bus_client_connected(world.client));
		expect_ok(call(BUS_READ, "test.echo", LONG_MS));
		bus_client_free(world.client);
		bus_server_free(world.server);
		world.client = NULL;
		world.server = NULL;
	}
	cr_expect_eq(cut, 20);
}

/* A service whose replies are what a row says. */
struct liar {
	nng_socket socket;
	nng_aio *aio;
	atomic_bool done;
};

static void on_liar(void *arg)
{
	struct liar *liar = arg;

	atomic_store(&liar->done, true);
}

static void liar_init(struct liar *liar)
{
	cr_assert_eq(nng_rep0_open(&liar->socket), 0);
	cr_assert_eq(nng_listen(liar->socket, world.addresses[0], NULL, 0), 0);
	cr_assert_eq(nng_aio_alloc(&liar->aio, on_liar, liar), 0);
}

/* Answers the next batch with these bytes. */
static void liar_answer(struct liar *liar, struct slice bytes)
{
	liar->done = false;
	nng_recv_aio(liar->socket, liar->aio);
	TURN_UNTIL(world.loop, liar->done);
	cr_assert_eq(nng_aio_result(liar->aio), 0);
	nng_msg_free(nng_aio_get_msg(liar->aio));
	cr_assert_eq(nng_send(liar->socket, (void *)(uintptr_t)bytes.data,
			      bytes.size, 0),
		     0);
}

static void liar_fini(struct liar *liar)
{
	nng_close(liar->socket);
	nng_aio_free(liar->aio);
}

static void reply_add(struct buffer *out, uint64_t id, enum err_code status)
{
	message_reply_encode(&(struct reply){.id = id, .status = status}, out);
}

static void build_nothing(struct buffer *out)
{
	(void)out;
}

static void build_garbage(struct buffer *out)
{
	buffer_append_str(out, "\xc1garbage");
}

static void build_truncated(struct buffer *out)
{
	reply_add(out, 1, ERR_OK);
	out->size--;
}

static void build_unknown_id(struct buffer *out)
{
	reply_add(out, 2, ERR_OK);
	reply_add(out, UINT64_MAX, ERR_OK);
}

static void build_twice(struct buffer *out)
{
	reply_add(out, 1, ERR_OK);
	reply_add(out, 1, ERR_CONFLICT);
}

static void build_trailing(struct buffer *out)
{
	reply_add(out, 1, ERR_OK);
	buffer_append_char(out, 0);
}

static void build_version(struct buffer *out)
{
	reply_add(out, 1, ERR_OK);
	out->data[1] = 2;
}

static void build_whole_batch(struct buffer *out)
{
	reply_add(out, 0, ERR_MALFORMED);
}

static void build_whole_batch_good(struct buffer *out)
{
	reply_add(out, 0, ERR_OK);
}

static void build_unknown_status(struct buffer *out)
{
	reply_add(out, 1, (enum err_code)99);
}

Test(bus_client, replies_not_to_be_trusted)
{
	static const struct {
		const char *name;
		void (*build)(struct buffer *out);
		enum err_code code;
		uint64_t dropped;
	} rows[] = {
		{"nothing", build_nothing, ERR_INTERNAL, 0},
		{"garbage", build_garbage, ERR_INTERNAL, 1},
		{"truncated", build_truncated, ERR_INTERNAL, 1},
		{"unknown id", build_unknown_id, ERR_INTERNAL, 2},
		{"twice", build_twice, ERR_OK, 1},
		{"trailing byte", build_trailing, ERR_OK, 1},
		{"version", build_version, ERR_VERSION, 0},
		{"whole batch", build_whole_batch, ERR_MALFORMED, 0},
		{"whole batch, good", build_whole_batch_good, ERR_INTERNAL, 0},
		{"unknown status", build_unknown_status, ERR_INTERNAL, 0},
	};
	struct liar liar;

	liar_init(&liar);
	connect_to(world.addresses[0]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint64_t before = metric("bus_test_dropped_total");
		struct outcome *outcome = call(BUS_READ, "test.any", LONG_MS);
		struct buffer bytes = {0};

		rows[i].build(&bytes);
		liar_answer(&liar, buffer_slice(&bytes));
		buffer_fini(&bytes);
		TURN_UNTIL(world.loop, metric("bus_test_in_flight") == 0);
		cr_expect_eq(outcome->ends, 1, "%s", rows[i].name);
		cr_expect_eq(outcome->code, rows[i].code, "%s: %s",
			     rows[i].name, err_name(outcome->code));
		cr_expect_eq(metric("bus_test_dropped_total") - before,
			     rows[i].dropped, "%s", rows[i].name);
	}
	liar_fini(&liar);
}
