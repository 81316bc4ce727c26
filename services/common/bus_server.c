#include "services/common/bus_server.h"

#include "proto/mem.h"
#include "proto/writer.h"
#include "services/common/bus_nng.h"
#include "services/common/clock.h"
#include "services/common/log.h"

#include <assert.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	/* Batches at work at once. A client has BUS_WINDOW on each of its
	 * lanes, so eight clients never wait for each other; what is beyond
	 * waits in the sockets. Bounds calls to 64 * MESSAGE_BATCH_FRAMES_MAX.
	 */
	CONTEXTS = 64,

	/* How long a peer may leave its replies unread before we drop one: a
	 * stopped process must not keep contexts for ever. */
	SEND_TIMEOUT_MS = 10000,

	/* Calls kept for reuse: two full batches. */
	CALLS_KEPT = 256,

	/* A larger buffer is given back after use, so that one export does not
	 * hold its memory for the life of the process. */
	BUFFER_KEPT_BYTES = 64 * 1024,

	/* Every frame's reply, and one for what could not be read. */
	PARTS_MAX = MESSAGE_BATCH_FRAMES_MAX + 1,
};

/*
 *   RECEIVING -> SERVING -> ANSWERING --.
 *       ^                               |
 *       '-------------------------------'
 *
 * RECEIVING and ANSWERING belong to nng and its threads, SERVING to the loop.
 */
enum batch_phase { BATCH_RECEIVING, BATCH_SERVING, BATCH_ANSWERING };

/* Where the reply of one frame lies in the reply batch. */
struct part {
	uint64_t id;
	size_t offset;
	size_t size;
};

/* One nng context and the batch that is in it. */
struct batch {
	struct bus_event event; /* first: see bus_inbox_take() */
	struct bus_server *server;
	nng_ctx ctx;
	nng_aio *aio;
	enum batch_phase phase;
	bool owed; /* its answer was worked for: idle waits for it */
	uint64_t received_ms;
	nng_msg *message; /* SERVING: what the requests' views point into */
	size_t pending;	  /* calls unanswered, and one while decoding */
	struct buffer frames;
	struct part parts[PARTS_MAX];
	size_t part_count;
};

struct bus_call {
	TAILQ_ENTRY(bus_call) link; /* of server->open or server->spare */
	struct batch *batch;
	struct request request;
	const struct bus_method *method; /* NULL: none was found */
	uint64_t deadline_at_ms;
	struct arena arena;
	struct buffer body;
};

TAILQ_HEAD(call_list, bus_call);

struct bus_server {
	struct bus_inbox inbox;
	nng_socket socket;
	bool stopping;
	void *service;
	const char *(*not_ready)(void *service);
	struct metrics *metrics;
	struct bus_method *methods; /* sorted by name */
	size_t method_count;
	struct call_list open;
	struct call_list spare;
	size_t spare_count;
	atomic_size_t unsent; /* owed answers nng has not taken yet */
	uint64_t requests;
	uint64_t batches;
	uint64_t errors;
	uint64_t malformed;
	uint64_t expired;
	uint64_t in_flight;
	struct batch contexts[CONTEXTS];
};

static void buffer_recycle(struct buffer *buffer)
{
	buffer->size = 0;
	if (buffer->capacity > BUFFER_KEPT_BYTES)
		buffer_fini(buffer);
}

static void batch_receive(struct batch *batch)
{
	batch->phase = BATCH_RECEIVING;
	nng_aio_set_timeout(batch->aio, NNG_DURATION_INFINITE);
	nng_ctx_recv(batch->ctx, batch->aio);
}

/* On an nng thread. */
static void on_received(struct batch *batch)
{
	const int code = nng_aio_result(batch->aio);

	if (code == NNG_ECANCELED || code == NNG_ECLOSED)
		return;
	if (code != 0) {
		log_event(LOG_ERROR, "bus.receive_failed",
			  LOG_STR("reason", nng_strerror(code)));
		return;
	}
	batch->message = nng_aio_get_msg(batch->aio);
	nng_aio_set_msg(batch->aio, NULL);
	batch->received_ms = clock_now_ms();
	batch->phase = BATCH_SERVING;
	bus_inbox_put(&batch->server->inbox, &batch->event);
}

/* On an nng thread. */
static void on_answered(struct batch *batch)
{
	const int code = nng_aio_result(batch->aio);

	if (code != 0) {
		nng_msg_free(nng_aio_get_msg(batch->aio));
		nng_aio_set_msg(batch->aio, NULL);
	}
	if (batch->owed)
		atomic_fetch_sub(&batch->server->unsent, 1);
	if (code == NNG_ECANCELED || code == NNG_ECLOSED)
		return;
	if (code != 0)
		log_event(LOG_WARN, "bus.answer_dropped",
			  LOG_STR("reason", nng_strerror(code)));
	batch_receive(batch);
}

static void on_aio(void *arg)
{
	struct batch *batch = arg;

	if (batch->phase == BATCH_RECEIVING)
		on_received(batch);
	else
		on_answered(batch);
}

static void batch_answer(struct batch *batch)
{
	nng_msg *message = bus_nng_message(buffer_slice(&batch->frames));

	nng_msg_free(batch->message);
	batch->message = NULL;
	batch->part_count = 0;
	buffer_recycle(&batch->frames);
	batch->phase = BATCH_ANSWERING;
	if (batch->owed)
		atomic_fetch_add(&batch->server->unsent, 1);
	nng_aio_set_timeout(batch->aio, SEND_TIMEOUT_MS);
	nng_aio_set_msg(batch->aio, message);
	nng_ctx_send(batch->ctx, batch->aio);
}

static void batch_unref(struct batch *batch)
{
	if (--batch->pending == 0)
		batch_answer(batch);
}

static void error_encode(uint64_t id, const struct err *err, struct buffer *out)
{
	struct buffer body = {0};

	message_error_encode(err, &body);
	message_reply_encode(&(struct reply){.id = id,
					     .status = err->code,
					     .body = buffer_slice(&body)},
			     out);
	buffer_fini(&body);
}

static void part_replace(struct batch *batch, size_t index, struct slice with)
{
	struct part *part = &batch->parts[index];
	const size_t behind = part->offset + part->size;
	const size_t less = part->size - with.size;

	assert(with.size <= part->size);
	memcpy(batch->frames.data + part->offset, with.data, with.size);
	memmove(batch->frames.data + behind - less, batch->frames.data + behind,
		batch->frames.size - behind);
	batch->frames.size -= less;
	part->size = with.size;
	for (size_t i = index + 1; i < batch->part_count; i++)
		batch->parts[i].offset -= less;
}

/* A reply batch over the limit would cost all its callers their replies: the
 * largest give way. Errors alone, at most PARTS_MAX times some 3 KiB, always
 * fit. */
static void batch_shrink(struct batch *batch)
{
	size_t largest = 0;

	for (size_t i = 1; i < batch->part_count; i++)
		if (batch->parts[i].size > batch->parts[largest].size)
			largest = i;

	struct err err = {0};
	struct buffer frame = {0};

	err_set(&err, ERR_TOO_LARGE,
		"the answer is too large: ask for less at once");
	error_encode(batch->parts[largest].id, &err, &frame);
	part_replace(batch, largest, buffer_slice(&frame));
	buffer_fini(&frame);
	batch->server->errors++;
}

static void part_end(struct batch *batch, uint64_t id, size_t offset)
{
	assert(batch->part_count < PARTS_MAX);
	batch->parts[batch->part_count++] =
		(struct part){.id = id,
			      .offset = offset,
			      .size = batch->frames.size - offset};
	while (batch->frames.size > MESSAGE_BATCH_BYTES_MAX)
		batch_shrink(batch);
}

static void part_add_error(struct batch *batch, uint64_t id,
			   const struct err *err)
{
	const size_t offset = batch->frames.size;

	batch->server->errors++;
	error_encode(id, err, &batch->frames);
	part_end(batch, id, offset);
}

static void call_free(struct bus_call *call)
{
	arena_fini(&call->arena);
	buffer_fini(&call->body);
	free(call);
}

static struct bus_call *call_new(struct bus_server *server)
{
	struct bus_call *call = TAILQ_FIRST(&server->spare);

	if (call) {
		TAILQ_REMOVE(&server->spare, call, link);
		server->spare_count--;
	} else {
		call = mem_alloc(sizeof(*call));
	}
	TAILQ_INSERT_TAIL(&server->open, call, link);
	server->in_flight++;
	return call;
}

/* Its reply is in the batch: the call ends, and with the last one the batch is
 * answered. */
static void call_end(struct bus_call *call, enum err_code status)
{
	struct batch *batch = call->batch;
	struct bus_server *server = batch->server;

	log_event(LOG_DEBUG, "bus.served",
		  LOG_SLICE("request", call->request.request_id),
		  LOG_SLICE("method", call->request.method),
		  LOG_INT("status", status),
		  LOG_INT("ms", clock_now_ms() - batch->received_ms));
	TAILQ_REMOVE(&server->open, call, link);
	server->in_flight--;
	if (server->spare_count < CALLS_KEPT) {
		arena_fini(&call->arena);
		buffer_recycle(&call->body);
		TAILQ_INSERT_HEAD(&server->spare, call, link);
		server->spare_count++;
	} else {
		call_free(call);
	}
	batch_unref(batch);
}

void bus_reply_ok(struct bus_call *call, uint64_t object_version)
{
	struct batch *batch = call->batch;
	const size_t offset = batch->frames.size;
	const struct reply reply = {.id = call->request.id,
				    .status = ERR_OK,
				    .object_version = object_version,
				    .body = buffer_slice(&call->body)};

	message_reply_encode(&reply, &batch->frames);
	part_end(batch, reply.id, offset);
	call_end(call, ERR_OK);
}

void bus_reply_error(struct bus_call *call, const struct err *err)
{
	assert(err->code != ERR_OK);
	/* One passed on is another replica's to answer, and no failure. */
	if (err_http(err->code) >= 500 && err->code != ERR_ELSEWHERE)
		log_event(LOG_ERROR, "bus.call_failed",
			  LOG_SLICE("request", call->request.request_id),
			  LOG_SLICE("method", call->request.method),
			  LOG_STR("code", err_name(err->code)),
			  LOG_STR("text", err->text));
	part_add_error(call->batch, call->request.id, err);
	call_end(call, err->code);
}

void bus_reply_code(struct bus_call *call, enum err_code code)
{
	struct err err;

	err_code_set(&err, code);
	bus_reply_error(call, &err);
}

/* What the bus itself refuses is the caller's affair: counted, not logged as a
 * fault of this service. */
static void call_refuse(struct bus_call *call, enum err_code code)
{
	struct err err = {0};

	err_code_set(&err, code);
	part_add_error(call->batch, call->request.id, &err);
	call_end(call, code);
}

static int method_compare(const void *a, const void *b)
{
	return strcmp(((const struct bus_method *)a)->name,
		      ((const struct bus_method *)b)->name);
}

static const struct bus_method *method_find(const struct bus_server *server,
					    struct slice name)
{
	char text[MESSAGE_METHOD_BYTES_MAX + 1];

	/* A NUL inside would make it equal to a shorter name. */
	if (name.size == 0 || name.size >= sizeof(text) ||
	    memchr(name.data, '\0', name.size))
		return NULL;
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	return bsearch(&(struct bus_method){.name = text}, server->methods,
		       server->method_count, sizeof(*server->methods),
		       method_compare);
}

static void call_dispatch(struct bus_server *server, struct bus_call *call)
{
	const struct request *request = &call->request;

	if (server->stopping) {
		call_refuse(call, ERR_UNAVAILABLE);
		return;
	}
	if (clock_now_ms() >= call->deadline_at_ms) {
		server->expired++;
		call_refuse(call, ERR_DEADLINE);
		return;
	}
	call->method = method_find(server, request->method);
	if (!call->method)
		call_refuse(call, ERR_UNKNOWN_METHOD);
	else if (!(call->method->who & principal_acts(&request->principal)))
		call_refuse(call, ERR_FORBIDDEN);
	else
		call->method->handle(server->service, call);
}

/* One reply, with the id no caller uses, for all that is left of a batch. */
static void rest_refuse(struct batch *batch, enum err_code code)
{
	struct err err = {0};

	batch->server->malformed++;
	log_event(LOG_WARN, "bus.malformed", LOG_STR("code", err_name(code)),
		  LOG_INT("bytes", nng_msg_len(batch->message)),
		  LOG_INT("frames", batch->part_count));
	err_code_set(&err, code);
	part_add_error(batch, 0, &err);
}

static bool frame_serve(struct batch *batch, struct reader *reader)
{
	struct bus_server *server = batch->server;
	struct request request = {0};
	const enum err_code code = message_request_decode(reader, &request);

	if (code != ERR_OK && code != ERR_VERSION) {
		rest_refuse(batch, ERR_MALFORMED);
		return false;
	}

	struct bus_call *call = call_new(server);

	call->batch = batch;
	call->request = request;
	call->method = NULL;
	call->deadline_at_ms = batch->received_ms + request.deadline_ms;
	batch->pending++;
	server->requests++;
	if (code == ERR_VERSION)
		call_refuse(call, ERR_VERSION);
	else
		call_dispatch(server, call);
	return true;
}

static void batch_serve(struct batch *batch)
{
	struct reader reader;
	size_t frames = 0;

	batch->server->batches++;
	batch->owed = !batch->server->stopping;
	/* Handlers may answer at once; the batch waits for the last frame. */
	batch->pending = 1;
	reader_init(&reader, bus_nng_body(batch->message));
	if (reader.at == reader.end)
		rest_refuse(batch, ERR_MALFORMED);
	while (reader.at != reader.end) {
		if (frames++ == MESSAGE_BATCH_FRAMES_MAX) {
			rest_refuse(batch, ERR_TOO_LARGE);
			break;
		}
		if (!frame_serve(batch, &reader))
			break;
	}
	batch_unref(batch);
}

static void on_wake(void *arg)
{
	struct bus_server *server = arg;
	struct bus_event *event = bus_inbox_take(&server->inbox);

	while (event) {
		struct bus_event *next = event->next;

		batch_serve((struct batch *)event);
		event = next;
	}
}

static void on_metrics(void *service, struct bus_call *call)
{
	const struct bus_server *server = bus_call_data(call);

	(void)service;
	metrics_encode(server->metrics, bus_call_body(call));
	bus_reply_ok(call, 0);
}

static void on_health(void *service, struct bus_call *call)
{
	const struct bus_server *server = bus_call_data(call);
	const char *reason =
		server->not_ready ? server->not_ready(service) : NULL;
	struct buffer *body = bus_call_body(call);

	writer_map(body, 2);
	writer_text(body, "ready");
	writer_bool(body, !reason);
	writer_text(body, "reason");
	writer_text(body, reason);
	bus_reply_ok(call, 0);
}

static void methods_set(struct bus_server *server,
			const struct bus_server_options *options)
{
	const struct bus_method builtin[] = {
		{"service.health", on_health, PRINCIPAL_SERVICE, server},
		{"service.metrics", on_metrics, PRINCIPAL_SERVICE, server},
	};
	const size_t builtins = sizeof(builtin) / sizeof(builtin[0]);
	const size_t count = options->method_count + builtins;

	server->methods = mem_alloc(count * sizeof(*server->methods));
	server->method_count = count;
	memcpy(server->methods, builtin, sizeof(builtin));
	if (options->method_count > 0)
		memcpy(server->methods + builtins, options->methods,
		       options->method_count * sizeof(*server->methods));
	qsort(server->methods, count, sizeof(*server->methods), method_compare);
}

static void metrics_set(struct bus_server *server, struct metrics *metrics)
{
	server->metrics = metrics;
	metrics_add(metrics, METRICS_COUNTER, "bus_requests_total",
		    "Calls received.", &server->requests);
	metrics_add(metrics, METRICS_COUNTER, "bus_batches_total",
		    "Batches of calls received.", &server->batches);
	metrics_add(metrics, METRICS_COUNTER, "bus_errors_total",
		    "Calls answered with an error.", &server->errors);
	metrics_add(metrics, METRICS_COUNTER, "bus_malformed_total",
		    "Batches with frames that could not be read.",
		    &server->malformed);
	metrics_add(metrics, METRICS_COUNTER, "bus_expired_total",
		    "Calls whose deadline had passed when they were read.",
		    &server->expired);
	metrics_add(metrics, METRICS_GAUGE, "bus_in_flight",
		    "Calls not yet answered.", &server->in_flight);
}

static void contexts_open(struct bus_server *server)
{
	for (size_t i = 0; i < CONTEXTS; i++) {
		struct batch *batch = &server->contexts[i];

		batch->server = server;
		bus_nng_require(nng_ctx_open(&batch->ctx, server->socket),
				"nng_ctx_open");
		bus_nng_require(nng_aio_alloc(&batch->aio, on_aio, batch),
				"nng_aio_alloc");
	}
}

enum err_code bus_server_new(struct loop *loop,
			     const struct bus_server_options *options,
			     struct bus_server **out, struct err *err)
{
	struct bus_server *server = mem_alloc(sizeof(*server));

	server->service = options->service;
	server->not_ready = options->not_ready;
	TAILQ_INIT(&server->open);
	TAILQ_INIT(&server->spare);
	methods_set(server, options);
	bus_inbox_init(&server->inbox, loop, on_wake, server);
	bus_nng_require(nng_rep0_open(&server->socket), "nng_rep0_open");
	bus_nng_socket_tune(server->socket);
	contexts_open(server);

	const int code = bus_nng_listen(server->socket, options->address);

	if (code != 0) {
		bus_server_free(server);
		return bus_nng_fail(err, options->address, code);
	}
	/* Only now: a server that was not made must leave no row behind. */
	metrics_set(server, options->metrics);
	for (size_t i = 0; i < CONTEXTS; i++)
		batch_receive(&server->contexts[i]);
	log_event(LOG_INFO, "bus.listening",
		  LOG_STR("address", options->address));
	*out = server;
	return ERR_OK;
}

/* The listener stays: closing it closes its connections too, and with them the
 * answers still to come. */
void bus_server_stop(struct bus_server *server)
{
	server->stopping = true;
}

bool bus_server_idle(const struct bus_server *server)
{
	return server->in_flight == 0 && atomic_load(&server->unsent) == 0;
}

static void calls_free(struct call_list *calls)
{
	struct bus_call *call;

	while ((call = TAILQ_FIRST(calls))) {
		TAILQ_REMOVE(calls, call, link);
		call_free(call);
	}
}

/* After its aio was stopped: no thread of nng knows it any more. */
static void batch_fini(struct batch *batch)
{
	nng_msg_free(nng_aio_get_msg(batch->aio));
	nng_msg_free(batch->message);
	nng_aio_free(batch->aio);
	buffer_fini(&batch->frames);
}

void bus_server_free(struct bus_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < CONTEXTS; i++)
		nng_aio_stop(server->contexts[i].aio);
	if (!bus_nng_close(server->socket, server))
		return;
	for (size_t i = 0; i < CONTEXTS; i++)
		batch_fini(&server->contexts[i]);
	calls_free(&server->open);
	calls_free(&server->spare);
	bus_inbox_fini(&server->inbox);
	free(server->methods);
	free(server);
}

const struct request *bus_call_request(const struct bus_call *call)
{
	return &call->request;
}

const void *bus_call_data(const struct bus_call *call)
{
	return call->method->data;
}

struct arena *bus_call_arena(struct bus_call *call)
{
	return &call->arena;
}

uint32_t bus_call_left_ms(const struct bus_call *call)
{
	const uint64_t now = clock_now_ms();

	return now < call->deadline_at_ms
		       ? (uint32_t)(call->deadline_at_ms - now)
		       : 1;
}

struct buffer *bus_call_body(struct bus_call *call)
{
	return &call->body;
}
