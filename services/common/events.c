#include "services/common/events.h"

#include "proto/mem.h"
#include "services/common/bus_nng.h"
#include "services/common/log.h"

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	/* Messages kept for each subscriber that is behind; past it nng drops
	 * its oldest. With EVENT_MESSAGE_BYTES_MAX, 16 MiB at the very most. */
	SEND_QUEUE = 256,

	/* Messages that wait for the subscriber's loop, likewise. */
	RECEIVE_QUEUE = 256,

	PORT_MAX = 65535,
};

/* ---- address ---- */

static bool is_of(struct slice address, const char *scheme)
{
	return slice_starts(address, slice_str(scheme));
}

/* The number behind the last colon; 0 where there is none or it is no port. */
static unsigned port_of(struct slice address, size_t *host_size)
{
	size_t at = address.size;
	unsigned port = 0;

	while (at > 0 && address.data[at - 1] >= '0' &&
	       address.data[at - 1] <= '9')
		at--;
	if (at == 0 || address.data[at - 1] != ':')
		return 0;
	*host_size = at;
	for (; at < address.size && port <= PORT_MAX; at++)
		port = port * 10 + (unsigned)(address.data[at] - '0');
	return port <= PORT_MAX ? port : 0;
}

enum err_code events_address(struct slice address, struct buffer *out,
			     struct err *err)
{
	size_t host_size = 0;

	if (is_of(address, "ipc://") || is_of(address, "abstract://")) {
		buffer_append_slice(out, address);
		buffer_append_str(out, ".events");
		return ERR_OK;
	}
	if (!is_of(address, "tcp://") && !is_of(address, "tls+tcp://"))
		return err_set(err, ERR_VALIDATE, "%.*s: not an address",
			       SLICE_ARG(address));
	const unsigned port = port_of(address, &host_size);

	if (port == 0 || port == PORT_MAX)
		return err_set(err, ERR_VALIDATE,
			       "%.*s: has no port with a next one, which the "
			       "events take",
			       SLICE_ARG(address));
	buffer_append_slice(out, slice_of(address.data, host_size));
	buffer_append_uint(out, port + 1);
	return ERR_OK;
}

/* As a text: free() it. NULL: err tells. */
static char *address_text(struct slice address, struct err *err)
{
	struct buffer text = {0};

	if (events_address(address, &text, err) != ERR_OK)
		return NULL;
	buffer_append_char(&text, '\0');
	return text.data;
}

/* ---- publisher ---- */

struct events_publisher {
	nng_socket socket;
	struct loop_timer *flush; /* runs while there are frames */
	struct buffer frames;
	uint64_t events;
	uint64_t messages;
};

/* A publishing socket takes a message at once: who is not ready for it has it
 * queued, or loses one. */
static void on_flush(void *arg)
{
	struct events_publisher *publisher = arg;
	nng_msg *message = bus_nng_message(buffer_slice(&publisher->frames));
	const int code =
		nng_sendmsg(publisher->socket, message, NNG_FLAG_NONBLOCK);

	publisher->frames.size = 0;
	publisher->messages++;
	if (code == 0)
		return;
	nng_msg_free(message);
	log_event(LOG_WARN, "events.dropped",
		  LOG_STR("reason", nng_strerror(code)));
}

void events_publish(struct events_publisher *publisher,
		    const struct event *event)
{
	struct buffer *frames = &publisher->frames;

	if (frames->size + EVENT_BYTES_MAX > EVENT_MESSAGE_BYTES_MAX)
		on_flush(publisher);
	if (frames->size == 0)
		loop_timer_start(publisher->flush, EVENTS_GATHER_MS, 0);
	event_encode(event, frames);
	publisher->events++;
}

static int publisher_listen(struct events_publisher *publisher,
			    const char *address)
{
	bus_nng_require(nng_pub0_open(&publisher->socket), "nng_pub0_open");
	bus_nng_socket_tune(publisher->socket);
	bus_nng_require(nng_socket_set_int(publisher->socket, NNG_OPT_SENDBUF,
					   SEND_QUEUE),
			"NNG_OPT_SENDBUF");
	return bus_nng_listen(publisher->socket, address);
}

static void publisher_metrics(struct events_publisher *publisher,
			      struct metrics *metrics)
{
	metrics_add(metrics, METRICS_COUNTER, "events_published_total",
		    "Events told to whoever listens.", &publisher->events);
	metrics_add(metrics, METRICS_COUNTER, "events_messages_total",
		    "Messages the events were told in.", &publisher->messages);
}

enum err_code events_publisher_new(struct loop *loop, const char *address,
				   struct metrics *metrics,
				   struct events_publisher **out,
				   struct err *err)
{
	char *beside = address_text(slice_str(address), err);

	if (!beside)
		return ERR_VALIDATE;
	struct events_publisher *publisher = mem_alloc(sizeof(*publisher));
	enum err_code code = ERR_OK;

	publisher->flush = loop_timer_new(loop, on_flush, publisher);
	const int failed = publisher_listen(publisher, beside);

	if (failed != 0) {
		code = bus_nng_fail(err, beside, failed);
		events_publisher_free(publisher);
	} else {
		if (metrics)
			publisher_metrics(publisher, metrics);
		*out = publisher;
	}
	free(beside);
	return code;
}

void events_publisher_free(struct events_publisher *publisher)
{
	if (!publisher)
		return;
	/* nng knows nothing of ours. */
	(void)bus_nng_close(publisher->socket, NULL);
	loop_timer_free(publisher->flush);
	buffer_fini(&publisher->frames);
	free(publisher);
}

/* ---- subscriber ---- */

struct events_subscriber {
	struct events_handlers handlers;
	struct events_counts counts;
	nng_socket socket;
	nng_aio *aio;
	struct loop_wake *wake;
	atomic_int pipes; /* connected now; nng's threads count */

	pthread_mutex_t lock; /* of the rest: nng's threads fill it */
	nng_msg *queue[RECEIVE_QUEUE];
	size_t queued;
	uint64_t dropped;
	bool stale;
};

/* On an nng thread. A message without room makes what is known stale. */
static void queue_put(struct events_subscriber *subscriber, nng_msg *message)
{
	pthread_mutex_lock(&subscriber->lock);
	const bool full = subscriber->queued == RECEIVE_QUEUE;

	if (full) {
		subscriber->dropped++;
		subscriber->stale = true;
	} else {
		subscriber->queue[subscriber->queued++] = message;
	}
	pthread_mutex_unlock(&subscriber->lock);
	if (full)
		nng_msg_free(message);
	loop_wake_send(subscriber->wake);
}

/* On an nng thread. The one receive of the socket, always started again. */
static void on_aio(void *arg)
{
	struct events_subscriber *subscriber = arg;
	const int code = nng_aio_result(subscriber->aio);

	if (code == NNG_ECANCELED || code == NNG_ECLOSED)
		return;
	if (code == 0) {
		queue_put(subscriber, nng_aio_get_msg(subscriber->aio));
		nng_aio_set_msg(subscriber->aio, NULL);
	}
	nng_recv_aio(subscriber->socket, subscriber->aio);
}

/* On an nng thread. Counted by the pair of events bus_replica.c tells of; the
 * stale mark waits for ADD_POST, from where on messages arrive. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct events_subscriber *subscriber = arg;

	(void)pipe;
	if (event == NNG_PIPE_EV_ADD_PRE) {
		atomic_fetch_add(&subscriber->pipes, 1);
	} else if (event == NNG_PIPE_EV_REM_POST) {
		atomic_fetch_sub(&subscriber->pipes, 1);
	} else {
		pthread_mutex_lock(&subscriber->lock);
		subscriber->stale = true;
		pthread_mutex_unlock(&subscriber->lock);
	}
	loop_wake_send(subscriber->wake);
}

static void message_take(struct events_subscriber *subscriber, nng_msg *message)
{
	struct events_counts *counts = &subscriber->counts;
	struct reader reader;

	reader_init(&reader, bus_nng_body(message));
	if (reader.at == reader.end)
		counts->malformed++;
	while (reader.at != reader.end) {
		struct event event = {0};
		const enum err_code code = event_decode(&reader, &event);

		if (code == ERR_MALFORMED) {
			counts->malformed++;
			break;
		}
		if (code != ERR_OK) {
			counts->unknown++;
			continue;
		}
		counts->events++;
		subscriber->handlers.event(subscriber->handlers.arg, &event);
	}
	nng_msg_free(message);
}

static void on_wake(void *arg)
{
	struct events_subscriber *subscriber = arg;
	nng_msg *messages[RECEIVE_QUEUE];

	pthread_mutex_lock(&subscriber->lock);
	const size_t count = subscriber->queued;
	const bool stale = subscriber->stale;

	for (size_t i = 0; i < count; i++)
		messages[i] = subscriber->queue[i];
	subscriber->queued = 0;
	subscriber->stale = false;
	subscriber->counts.dropped = subscriber->dropped;
	pthread_mutex_unlock(&subscriber->lock);
	subscriber->counts.connected =
		(uint64_t)atomic_load(&subscriber->pipes);
	for (size_t i = 0; i < count; i++)
		message_take(subscriber, messages[i]);
	if (stale)
		subscriber->handlers.stale(subscriber->handlers.arg);
}

static void socket_open(struct events_subscriber *subscriber)
{
	static const nng_pipe_ev told[] = {NNG_PIPE_EV_ADD_PRE,
					   NNG_PIPE_EV_ADD_POST,
					   NNG_PIPE_EV_REM_POST};
	nng_socket *socket = &subscriber->socket;

	bus_nng_require(nng_sub0_open(socket), "nng_sub0_open");
	bus_nng_require(nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ,
					    EVENT_MESSAGE_BYTES_MAX),
			"NNG_OPT_RECVMAXSZ");
	/* Everything: nng looks at the first bytes of a message only, and a
	 * message tells of several resources. */
	bus_nng_require(nng_socket_set(*socket, NNG_OPT_SUB_SUBSCRIBE, NULL, 0),
			"NNG_OPT_SUB_SUBSCRIBE");
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		nng_pipe_notify(*socket, told[i], on_pipe, subscriber);
	bus_nng_require(nng_aio_alloc(&subscriber->aio, on_aio, subscriber),
			"nng_aio_alloc");
	nng_recv_aio(*socket, subscriber->aio);
}

static enum err_code dial(struct events_subscriber *subscriber,
			  struct slice address, struct err *err)
{
	char *beside = address_text(address, err);

	if (!beside)
		return ERR_VALIDATE;
	const int failed = bus_nng_dial(subscriber->socket, beside);
	const enum err_code code =
		failed == 0 ? ERR_OK : bus_nng_fail(err, beside, failed);

	free(beside);
	return code;
}

static enum err_code dial_all(struct events_subscriber *subscriber,
			      const char *addresses, struct err *err)
{
	for (;;) {
		const size_t size = strcspn(addresses, ",");
		const enum err_code code =
			dial(subscriber, slice_of(addresses, size), err);

		if (code != ERR_OK || addresses[size] == '\0')
			return code;
		addresses += size + 1;
	}
}

enum err_code events_subscriber_new(struct loop *loop, const char *addresses,
				    const struct events_handlers *handlers,
				    struct events_subscriber **out,
				    struct err *err)
{
	struct events_subscriber *subscriber = mem_alloc(sizeof(*subscriber));

	subscriber->handlers = *handlers;
	pthread_mutex_init(&subscriber->lock, NULL);
	subscriber->wake = loop_wake_new(loop, on_wake, subscriber);
	socket_open(subscriber);
	const enum err_code code = dial_all(subscriber, addresses, err);

	if (code != ERR_OK) {
		events_subscriber_free(subscriber);
		return code;
	}
	*out = subscriber;
	return ERR_OK;
}

void events_subscriber_free(struct events_subscriber *subscriber)
{
	if (!subscriber)
		return;
	nng_aio_stop(subscriber->aio);
	if (!bus_nng_close(subscriber->socket, subscriber))
		return;
	nng_aio_free(subscriber->aio);
	for (size_t i = 0; i < subscriber->queued; i++)
		nng_msg_free(subscriber->queue[i]);
	loop_wake_free(subscriber->wake);
	pthread_mutex_destroy(&subscriber->lock);
	free(subscriber);
}

const struct events_counts *
events_subscriber_counts(const struct events_subscriber *subscriber)
{
	return &subscriber->counts;
}
