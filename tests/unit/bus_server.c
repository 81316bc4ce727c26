#include "services/common/bus_server.h"

#include "proto/writer.h"
#include "servers.h"
#include "services/common/log.h"
#include "turn.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HELD_MAX = 256, ECHO_DEADLINE_MS = 20000 };

/* A batch asked on a context of its own. nng's thread sets done. */
struct asked {
	nng_ctx ctx;
	nng_aio *aio;
	atomic_bool done;
};

/* A server on the loop of the test, and a bare REQ socket to ask it with. */
struct world {
	struct loop *loop;
	struct metrics metrics;
	struct bus_server *server;
	const char *reason; /* of service.health */
	char dir[64];
	char address[128];
	nng_socket socket;
	struct asked asked; /* ask() and answer() */
	struct bus_call *held[HELD_MAX];
	size_t held_count;
	uint32_t left_ms;
};

static struct world world;

static void on_echo(void *service, struct bus_call *call)
{
	struct world *w = service;

	w->left_ms = bus_call_left_ms(call);
	writer_raw(bus_call_body(call), bus_call_request(call)->args);
	bus_reply_ok(call, 42);
}

static void on_hold(void *service, struct bus_call *call)
{
	struct world *w = service;

	cr_assert_lt(w->held_count, HELD_MAX);
	w->held[w->held_count++] = call;
}

static void on_fail(void *service, struct bus_call *call)
{
	struct err err = {0};

	(void)service;
	err_field(&err, "port", "not within 1 and 65535");
	bus_reply_error(call, &err);
}

/* Answers with as many bytes as its data says. */
static void on_large(void *service, struct bus_call *call)
{
	const size_t size = *(const size_t *)bus_call_data(call);
	char *bytes = arena_alloc(bus_call_arena(call), size);

	(void)service;
	writer_bin(bus_call_body(call), slice_of(bytes, size));
	bus_reply_ok(call, 0);
}

static const size_t quarter = MESSAGE_BATCH_BYTES_MAX / 4;
static const size_t most = MESSAGE_BATCH_BYTES_MAX / 4 * 3;
static const size_t excess = MESSAGE_BATCH_BYTES_MAX;

static const struct bus_method methods[] = {
	{"test.hold", on_hold, PRINCIPAL_SYSTEM, NULL},
	{"test.echo", on_echo, PRINCIPAL_SYSTEM | PRINCIPAL_DEALER, NULL},
	{"test.fail", on_fail, PRINCIPAL_SYSTEM, NULL},
	{"test.quarter", on_large, PRINCIPAL_SYSTEM, &quarter},
	{"test.most", on_large, PRINCIPAL_SYSTEM, &most},
	{"test.excess", on_large, PRINCIPAL_SYSTEM, &excess},
};

static const char *not_ready(void *service)
{
	const struct world *w = service;

	return w->reason;
}

static enum err_code serve(const char *address, struct bus_server **out,
			   struct err *err)
{
	static struct metrics other;

	return bus_server_new(
		world.loop,
		&(struct bus_server_options){
			.address = address,
			.methods = methods,
			.method_count = sizeof(methods) / sizeof(methods[0]),
			.service = &world,
			.metrics = world.server ? &other : &world.metrics,
			.not_ready = not_ready},
		out, err);
}

static void on_done(void *arg)
{
	struct asked *asked = arg;

	atomic_store(&asked->done, true);
}

static void asked_init(struct asked *asked)
{
	cr_assert_eq(nng_ctx_open(&asked->ctx, world.socket), 0);
	cr_assert_eq(nng_aio_alloc(&asked->aio, on_done, asked), 0);
}

static void asked_fini(struct asked *asked)
{
	nng_aio_stop(asked->aio);
	nng_ctx_close(asked->ctx);
	nng_aio_free(asked->aio);
}

/* Sends a batch and begins to wait for its answer. Ends the batch. */
static void asked_send(struct asked *asked, struct buffer *batch)
{
	nng_msg *message;

	cr_assert_eq(nng_msg_alloc(&message, 0), 0);
	cr_assert_eq(nng_msg_append(message, batch->data, batch->size), 0);
	buffer_fini(batch);
	nng_aio_set_msg(asked->aio, message);
	nng_ctx_send(asked->ctx, asked->aio);
	nng_aio_wait(asked->aio);
	cr_assert_eq(nng_aio_result(asked->aio), 0);
	atomic_store(&asked->done, false);
	nng_ctx_recv(asked->ctx, asked->aio);
}

static void setup(void)
{
	struct err err = {0};

	log_init("test", LOG_ERROR);
	world.loop = loop_new();
	servers_dir_make(world.dir);
	snprintf(world.address, sizeof(world.address), "ipc://%s/bus",
		 world.dir);
	cr_assert_eq(serve(world.address, &world.server, &err), ERR_OK, "%s",
		     err.text);
	cr_assert_eq(nng_req0_open(&world.socket), 0);
	cr_assert_eq(nng_socket_set_ms(world.socket, NNG_OPT_REQ_RESENDTIME,
				       NNG_DURATION_INFINITE),
		     0);
	cr_assert_eq(nng_dial(world.socket, world.address, NULL, 0), 0);
	asked_init(&world.asked);
}

static void teardown(void)
{
	asked_fini(&world.asked);
	nng_close(world.socket);
	bus_server_free(world.server);
	loop_free(world.loop);
	servers_dir_remove(world.dir);
}

TestSuite(bus_server, .init = setup, .fini = teardown);

static uint64_t metric(const char *name)
{
	for (size_t i = 0; i < world.metrics.count; i++)
		if (strcmp(world.metrics.entries[i].name, name) == 0)
			return *world.metrics.entries[i].value;
	cr_assert_fail("no metric %s", name);
	return 0;
}

/* Adds a request with the arguments {"n": id}. */
static void frame_by(struct buffer *out, enum principal_kind kind, uint64_t id,
		     const char *method, uint32_t deadline_ms)
{
	struct buffer args = {0};

	writer_map(&args, 1);
	writer_text(&args, "n");
	writer_uint(&args, id);
	message_request_encode(&(struct request){.id = id,
						 .request_id = SLICE("test"),
						 .method = slice_str(method),
						 .deadline_ms = deadline_ms,
						 .principal = {.kind = kind},
						 .args = buffer_slice(&args)},
			       out);
	buffer_fini(&args);
}

static void frame(struct buffer *out, uint64_t id, const char *method)
{
	frame_by(out, PRINCIPAL_SYSTEM, id, method, ECHO_DEADLINE_MS);
}

static void ask(struct buffer *batch)
{
	asked_send(&world.asked, batch);
}

/* The answer, the caller's to free. */
static nng_msg *answer(void)
{
	TURN_UNTIL(world.loop, world.asked.done);
	cr_assert_eq(nng_aio_result(world.asked.aio), 0, "%s",
		     nng_strerror(nng_aio_result(world.asked.aio)));
	return nng_aio_get_msg(world.asked.aio);
}

static void answer_reader(nng_msg *message, struct reader *reader)
{
	reader_init(reader,
		    slice_of(nng_msg_body(message), nng_msg_len(message)));
}

/* What came back, as "id:status id:status ". */
static void told(char *text, size_t size)
{
	nng_msg *message = answer();
	struct reader reader;
	size_t used = 0;

	text[0] = '\0';
	answer_reader(message, &reader);
	while (reader.at != reader.end) {
		struct reply reply;

		cr_assert_eq(message_reply_decode(&reader, &reply), ERR_OK);
		used += (size_t)snprintf(text + used, size - used, "%d:%s ",
					 (int)reply.id, err_name(reply.status));
		cr_assert_lt(used, size);
	}
	nng_msg_free(message);
}

static void build_empty(struct buffer *out)
{
	(void)out;
}

static void build_one(struct buffer *out)
{
	frame(out, 1, "test.echo");
}

static void build_truncated(struct buffer *out)
{
	frame(out, 1, "test.echo");
	frame(out, 2, "test.echo");
	out->size--;
}

static void build_trailing(struct buffer *out)
{
	frame(out, 1, "test.echo");
	buffer_append_char(out, 1);
}

static void build_garbage(struct buffer *out)
{
	buffer_append_str(out, "\xc1\xc1\xc1");
}

static void build_version(struct buffer *out)
{
	frame(out, 7, "test.echo");
	out->data[1] = 2;
	frame(out, 8, "test.echo");
}

static void build_method(struct buffer *out)
{
	frame(out, 1, "test.unknown");
	frame(out, 2, "test");
	frame(out, 3, "");
}

/* Up to its NUL this is a method. */
static void build_method_nul(struct buffer *out)
{
	frame(out, 1, "test.echo?");
	*(char *)memchr(out->data, '?', out->size) = '\0';
}

static void build_principal(struct buffer *out)
{
	frame_by(out, PRINCIPAL_DEALER, 1, "test.echo", 1000);
	frame_by(out, PRINCIPAL_USER, 2, "test.echo", 1000);
	frame_by(out, PRINCIPAL_DEALER, 3, "test.fail", 1000);
	frame_by(out, PRINCIPAL_SYSTEM, 4, "service.health", 1000);
}

static void build_expired(struct buffer *out)
{
	frame_by(out, PRINCIPAL_SYSTEM, 1, "test.echo", 0);
	frame(out, 2, "test.echo");
}

static void build_fail(struct buffer *out)
{
	frame(out, 1, "test.fail");
	frame(out, 2, "test.echo");
}

static void build_same_id(struct buffer *out)
{
	frame(out, 5, "test.echo");
	frame(out, 5, "test.fail");
}

Test(bus_server, frames)
{
	static const struct {
		const char *name;
		void (*build)(struct buffer *out);
		const char *told;
	} rows[] = {
		{"one call", build_one, "1:ERR_OK "},
		{"no frame", build_empty, "0:ERR_MALFORMED "},
		{"truncated", build_truncated, "1:ERR_OK 0:ERR_MALFORMED "},
		{"trailing byte", build_trailing, "1:ERR_OK 0:ERR_MALFORMED "},
		{"no msgpack", build_garbage, "0:ERR_MALFORMED "},
		{"unknown version", build_version, "7:ERR_VERSION 8:ERR_OK "},
		{"unknown method", build_method,
		 "1:ERR_UNKNOWN_METHOD 2:ERR_UNKNOWN_METHOD "
		 "3:ERR_UNKNOWN_METHOD "},
		{"method with a NUL", build_method_nul,
		 "1:ERR_UNKNOWN_METHOD "},
		{"principal", build_principal,
		 "1:ERR_OK 2:ERR_FORBIDDEN 3:ERR_FORBIDDEN 4:ERR_FORBIDDEN "},
		{"expired", build_expired, "1:ERR_DEADLINE 2:ERR_OK "},
		{"handler's error", build_fail, "1:ERR_VALIDATE 2:ERR_OK "},
		{"one id twice", build_same_id, "5:ERR_OK 5:ERR_VALIDATE "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer batch = {0};
		char text[256];

		rows[i].build(&batch);
		ask(&batch);
		told(text, sizeof(text));
		cr_expect_str_eq(text, rows[i].told, "%s: %s", rows[i].name,
				 text);
	}
	cr_expect_eq(metric("bus_batches_total"),
		     sizeof(rows) / sizeof(rows[0]));
	cr_expect_eq(metric("bus_requests_total"), 19);
	cr_expect_eq(metric("bus_errors_total"), 15);
	cr_expect_eq(metric("bus_malformed_total"), 4);
	cr_expect_eq(metric("bus_expired_total"), 1);
	cr_expect_eq(metric("bus_in_flight"), 0);
}

Test(bus_server, reply_carries_body_and_version)
{
	struct buffer batch = {0};
	struct reader reader;
	struct reply reply;

	frame(&batch, 9, "test.echo");
	ask(&batch);

	nng_msg *message = answer();

	answer_reader(message, &reader);
	cr_assert_eq(message_reply_decode(&reader, &reply), ERR_OK);
	cr_expect_eq(reply.object_version, 42);
	cr_expect(slice_is(reply.body, "\x81\xa1n\x09"));
	cr_expect_geq(world.left_ms, 1);
	cr_expect_leq(world.left_ms, ECHO_DEADLINE_MS);
	nng_msg_free(message);
}

Test(bus_server, error_carries_details)
{
	struct buffer batch = {0};
	struct reader reader;
	struct reply reply;
	struct err err = {0};

	frame(&batch, 9, "test.fail");
	ask(&batch);

	nng_msg *message = answer();

	answer_reader(message, &reader);
	cr_assert_eq(message_reply_decode(&reader, &reply), ERR_OK);
	message_error_decode(reply.status, reply.body, &err);
	cr_assert_eq(err.detail_count, 1);
	cr_expect_str_eq(err.details[0].field, "port");
	nng_msg_free(message);
}

/* The batch is answered with its last call, whatever their order. */
Test(bus_server, answers_later)
{
	struct buffer batch = {0};
	char text[256];

	frame(&batch, 1, "test.hold");
	frame(&batch, 2, "test.hold");
	frame(&batch, 3, "test.echo");
	ask(&batch);
	TURN_UNTIL(world.loop, world.held_count == 2);
	cr_expect_eq(metric("bus_in_flight"), 2);
	cr_expect_not(bus_server_idle(world.server));
	bus_reply_ok(world.held[1], 0);
	loop_turn(world.loop, 0);
	cr_expect_not(world.asked.done);
	bus_reply_ok(world.held[0], 0);
	told(text, sizeof(text));
	cr_expect_str_eq(text, "3:ERR_OK 2:ERR_OK 1:ERR_OK ");
	TURN_UNTIL(world.loop, bus_server_idle(world.server));
}

static void expect_count(size_t frames, size_t served, const char *rest)
{
	struct buffer batch = {0};
	static char text[64 * 256];
	size_t good = 0;

	for (size_t i = 1; i <= frames; i++)
		frame(&batch, i, "test.echo");
	ask(&batch);
	told(text, sizeof(text));
	for (const char *at = text; (at = strstr(at, ":ERR_OK ")); at++)
		good++;
	cr_expect_eq(good, served, "%zu frames: %zu", frames, good);
	cr_expect_eq(strstr(text, ":ERR_TOO_LARGE") != NULL, rest != NULL);
	if (rest)
		cr_expect_not_null(strstr(text, rest), "%s", text);
}

Test(bus_server, frames_are_bounded)
{
	expect_count(MESSAGE_BATCH_FRAMES_MAX, MESSAGE_BATCH_FRAMES_MAX, NULL);
	expect_count(200, MESSAGE_BATCH_FRAMES_MAX, " 0:ERR_TOO_LARGE ");
}

Test(bus_server, large_replies_give_way)
{
	static const struct {
		const char *name;
		const char *methods[3];
		const char *told;
	} rows[] = {
		{"fits", {"test.most"}, "1:ERR_OK "},
		{"too large alone", {"test.excess"}, "1:ERR_TOO_LARGE "},
		{"too large together",
		 {"test.quarter", "test.most", "test.echo"},
		 "1:ERR_OK 2:ERR_TOO_LARGE 3:ERR_OK "},
		{"two give way",
		 {"test.most", "test.excess", "test.most"},
		 "1:ERR_TOO_LARGE 2:ERR_TOO_LARGE 3:ERR_OK "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer batch = {0};
		char text[256];

		for (size_t m = 0; m < 3 && rows[i].methods[m]; m++)
			frame(&batch, m + 1, rows[i].methods[m]);
		ask(&batch);
		told(text, sizeof(text));
		cr_expect_str_eq(text, rows[i].told, "%s: %s", rows[i].name,
				 text);
	}
}

/* nng drops the connection of whoever sends more than a batch may have; the
 * others do not feel it. */
Test(bus_server, large_request)
{
	struct buffer batch = {0};
	char text[64];

	buffer_reserve(&batch, MESSAGE_BATCH_BYTES_MAX + 4096);
	memset(batch.data, 0xc1, MESSAGE_BATCH_BYTES_MAX + 4096);
	batch.size = MESSAGE_BATCH_BYTES_MAX + 4096;
	ask(&batch);
	TURN_UNTIL(world.loop, world.asked.done);
	cr_expect_eq(nng_aio_result(world.asked.aio), NNG_ECONNRESET);
	cr_expect_eq(metric("bus_batches_total"), 0);
	build_one(&batch);
	ask(&batch);
	told(text, sizeof(text));
	cr_expect_str_eq(text, "1:ERR_OK ");
}

static void expect_health(const char *body)
{
	struct buffer batch = {0};
	struct reader reader;
	struct reply reply;

	frame_by(&batch, PRINCIPAL_SERVICE, 1, "service.health", 1000);
	ask(&batch);

	nng_msg *message = answer();

	answer_reader(message, &reader);
	cr_assert_eq(message_reply_decode(&reader, &reply), ERR_OK);
	cr_expect(slice_is(reply.body, body));
	nng_msg_free(message);
}

Test(bus_server, health)
{
	expect_health("\x82\xa5ready\xc3\xa6reason\xc0");
	world.reason = "database";
	expect_health("\x82\xa5ready\xc2\xa6reason\xa8"
		      "database");
}

Test(bus_server, metrics)
{
	struct buffer batch = {0};
	struct reader reader;
	struct reply reply;

	frame_by(&batch, PRINCIPAL_SERVICE, 1, "service.metrics", 1000);
	ask(&batch);

	nng_msg *message = answer();

	answer_reader(message, &reader);
	cr_assert_eq(message_reply_decode(&reader, &reply), ERR_OK);
	reader_init(&reader, reply.body);
	cr_expect_eq(reader_array(&reader), world.metrics.count);
	cr_expect_eq(reader_array(&reader), 4);
	cr_expect(slice_is(reader_str(&reader), "bus_requests_total"));
	nng_msg_free(message);
}

Test(bus_server, stop_refuses_and_finishes)
{
	struct buffer batch = {0};
	struct asked held;
	char text[64];

	/* Apart, as the other context is asked below. */
	asked_init(&held);
	frame(&batch, 1, "test.hold");
	asked_send(&held, &batch);
	TURN_UNTIL(world.loop, world.held_count == 1);

	bus_server_stop(world.server);
	cr_expect_not(bus_server_idle(world.server));
	build_one(&batch);
	ask(&batch);
	told(text, sizeof(text));
	cr_expect_str_eq(text, "1:ERR_UNAVAILABLE ");

	bus_reply_ok(world.held[0], 0);
	TURN_UNTIL(world.loop, bus_server_idle(world.server));
	TURN_UNTIL(world.loop, held.done);
	cr_expect_eq(nng_aio_result(held.aio), 0);
	nng_msg_free(nng_aio_get_msg(held.aio));
	asked_fini(&held);
}

/* Its calls are gone without an answer; leaks are the sanitizer's to find. */
Test(bus_server, free_drops_calls)
{
	struct buffer batch = {0};

	frame(&batch, 1, "test.hold");
	frame(&batch, 2, "test.echo");
	ask(&batch);
	TURN_UNTIL(world.loop, world.held_count == 1);
	bus_server_free(world.server);
	world.server = NULL;
	nng_aio_wait(world.asked.aio);
	cr_expect_eq(nng_aio_result(world.asked.aio), NNG_ECONNRESET);
}

/* More batches than contexts: what is beyond waits and is served. */
Test(bus_server, batches_wait_for_contexts)
{
	enum { ASKED = 100, CONTEXTS = 64 };
	struct asked asked[ASKED];
	size_t answered = 0;

	for (size_t i = 0; i < ASKED; i++) {
		struct buffer batch = {0};

		asked_init(&asked[i]);
		frame(&batch, i + 1, "test.hold");
		asked_send(&asked[i], &batch);
	}
	TURN_UNTIL(world.loop, world.held_count == CONTEXTS);
	while (answered < ASKED) {
		TURN_UNTIL(world.loop, world.held_count > answered);
		bus_reply_ok(world.held[answered++], 0);
	}
	for (size_t i = 0; i < ASKED; i++) {
		TURN_UNTIL(world.loop, asked[i].done);
		cr_expect_eq(nng_aio_result(asked[i].aio), 0);
		nng_msg_free(nng_aio_get_msg(asked[i].aio));
		asked_fini(&asked[i]);
	}
}

/* Whoever connects and is gone before nng has written its greeting stops the
 * listener of nng 1.5 for ever, were it not for bus_nng.c. A probe of a load
 * balancer does just that. */
Test(bus_server, connections_cut_short)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = world.address + strlen("ipc://");
	struct buffer batch = {0};
	char text[64];

	cr_assert_lt(strlen(path), sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	for (size_t i = 0; i < 200; i++) {
		const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		cr_assert_eq(connect(fd, (struct sockaddr *)&address,
				     sizeof(address)),
			     0);
		close(fd);
	}
	/* The old connection lives; a new one is what is at stake. */
	asked_fini(&world.asked);
	nng_close(world.socket);
	cr_assert_eq(nng_req0_open(&world.socket), 0);
	asked_init(&world.asked);
	cr_assert_eq(nng_dial(world.socket, world.address, NULL, 0), 0);
	build_one(&batch);
	ask(&batch);
	told(text, sizeof(text));
	cr_expect_str_eq(text, "1:ERR_OK ");
}

Test(bus_server, socket_is_not_for_everyone)
{
	struct stat stat_of;

	cr_assert_eq(stat(world.address + strlen("ipc://"), &stat_of), 0);
	cr_expect_eq(stat_of.st_mode & 0777, 0660);
}

Test(bus_server, addresses)
{
	const struct {
		const char *name;
		const char *address;
		enum err_code code;
	} rows[] = {
		{"taken", world.address, ERR_UNAVAILABLE},
		{"no directory", "ipc:///nonexistent/bus", ERR_UNAVAILABLE},
		{"no scheme", "bus", ERR_VALIDATE},
		{"unknown scheme", "smtp://127.0.0.1", ERR_VALIDATE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bus_server *server = NULL;
		struct err err = {0};

		cr_expect_eq(serve(rows[i].address, &server, &err),
			     rows[i].code, "%s: %s", rows[i].name, err.text);
		cr_expect_null(server);
		cr_expect_not_null(strstr(err.text, rows[i].address));
	}
}
