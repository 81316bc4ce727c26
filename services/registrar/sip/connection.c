#include "services/registrar/sip/connection.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/registrar/sip/socket.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* Where nothing more is read from a peer that does not read, and where
	 * it is again: parts of the queue's bound. */
	PAUSE_PART = 4,
	RESUME_PART = 8,
	/* Queues that are empty keep no more. */
	QUEUE_KEEP_BYTES = 2048,
};

/* --- The end of a connection --- */

static void unlink_from_owner(struct sip_connection *c)
{
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	c->stats->connections--;
	if (!c->source)
		return;
	c->streams->accepted--;
	sip_source_give(c->streams, c->source);
}

void sip_connection_end(struct sip_connection *c)
{
	struct sip_streams *streams = c->streams;

	assert(c->state != SIP_CONNECTION_CLOSED);
	c->state = SIP_CONNECTION_CLOSED;
	sip_streams_unlink(streams, c);
	unlink_from_owner(c);
	loop_watch_free(c->watch);
	loop_timer_free(c->timer);
	sip_tls_free(c->tls);
	c->tls = NULL;
	close(c->fd);
	sip_streams_due(c);
}

void sip_connection_free(struct sip_connection *c)
{
	sip_inbox_fini(&c->inbox);
	buffer_fini(&c->out);
	free(c->name);
	free(c);
}

static enum sip_stream_stage stage_of(enum sip_connection_state state)
{
	switch (state) {
	case SIP_CONNECTION_CONNECTING:
		return SIP_STAGE_CONNECT;
	case SIP_CONNECTION_HANDSHAKE:
		return SIP_STAGE_TLS;
	default:
		return SIP_STAGE_OPEN;
	}
}

static void log_end(const struct sip_connection *c, const struct err *reason)
{
	char remote[SIP_ENDPOINT_TEXT];

	log_event(LOG_DEBUG, "sip.connection.closed",
		  LOG_SLICE("transport", sip_transport_text(c->flow.transport)),
		  LOG_STR("remote", sip_endpoint_text(&c->flow.remote, remote)),
		  LOG_STR("reason", reason->text));
}

void sip_connection_fail(struct sip_connection *c, const struct err *reason)
{
	const struct sip_stream_events *events = c->streams->events;
	enum sip_stream_stage stage = stage_of(c->state);

	log_end(c, reason);
	if (reason->code != ERR_LOST)
		c->stats->errors++;
	sip_connection_end(c);
	if (!c->source || c->spoken)
		events->on_close(c->streams->arg, &c->flow, stage, reason);
}

void sip_connection_lose(struct sip_connection *c, const char *why)
{
	struct err reason;

	err_set(&reason, ERR_LOST, "%s", why);
	sip_connection_fail(c, &reason);
}

/* --- Deadlines --- */

struct deadline {
	uint64_t at_ms;
	const char *passed;
};

static void sooner(struct deadline *deadline, uint64_t since_ms,
		   unsigned after_ms, const char *passed)
{
	uint64_t at_ms = since_ms + after_ms;

	if (deadline->at_ms > at_ms)
		*deadline = (struct deadline){at_ms, passed};
}

static size_t queued(const struct sip_connection *c)
{
	return c->out.size - c->sent;
}

/* The nearest of the deadlines a connection is under. */
static struct deadline deadline_of(const struct sip_connection *c)
{
	const struct sip_stream_limits *limits = &c->streams->limits;
	struct deadline deadline = {UINT64_MAX, NULL};

	if (c->state == SIP_CONNECTION_CONNECTING) {
		sooner(&deadline, c->started_ms, limits->connect_ms,
		       "no connection in time");
		return deadline;
	}
	if (c->state == SIP_CONNECTION_HANDSHAKE) {
		sooner(&deadline, c->started_ms, limits->handshake_ms,
		       "no TLS handshake in time");
		return deadline;
	}
	sooner(&deadline, c->heard_ms, limits->idle_ms, "idle for too long");
	if (c->source && !c->spoken)
		sooner(&deadline, c->started_ms, limits->message_ms,
		       "no message in time");
	/* While we do not read, the peer cannot finish its message. */
	if (sip_inbox_partial(&c->inbox) && !c->paused)
		sooner(&deadline, c->partial_ms, limits->message_ms,
		       "a message did not end in time");
	if (queued(c) > 0)
		sooner(&deadline, c->progress_ms, limits->stall_ms,
		       "the peer does not read");
	if (c->awaits_pong)
		sooner(&deadline, c->pinged_ms, limits->pong_ms,
		       "no answer to a keep-alive");
	return deadline;
}

/* Timers are not moved with each byte: one that fires too early is set anew. */
static void deadline_arm(struct sip_connection *c)
{
	uint64_t at_ms = deadline_of(c).at_ms;
	uint64_t now_ms = loop_now_ms(c->streams->loop);

	if (c->armed_ms != 0 && c->armed_ms <= at_ms)
		return;
	c->armed_ms = at_ms;
	loop_timer_start(c->timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void on_deadline(void *arg)
{
	struct sip_connection *c = arg;
	struct deadline deadline = deadline_of(c);

	c->armed_ms = 0;
	if (deadline.at_ms > loop_now_ms(c->streams->loop)) {
		deadline_arm(c);
		return;
	}

	struct err reason;

	err_set(&reason, ERR_DEADLINE, "%s", deadline.passed);
	sip_connection_fail(c, &reason);
}

/* What the socket is to tell of. */
static void watch_arm(struct sip_connection *c)
{
	unsigned events = 0;

	if (c->state == SIP_CONNECTION_CONNECTING)
		events = LOOP_WRITABLE;
	else if (c->state == SIP_CONNECTION_HANDSHAKE)
		events = c->handshake_wants;
	else
		events = (c->paused ? 0 : LOOP_READABLE) | c->write_wants;
	loop_watch_set(c->watch, events);
}

void sip_connection_settle(struct sip_connection *c)
{
	if (c->state == SIP_CONNECTION_CLOSED)
		return;
	watch_arm(c);
	deadline_arm(c);
}

/* --- Writing --- */

/* The result of one attempt to move bytes. */
enum io { IO_DONE, IO_WANT_READ, IO_WANT_WRITE, IO_CLOSED, IO_FAILED };

static enum io io_of(enum sip_tls_io result)
{
	switch (result) {
	case SIP_TLS_DONE:
		return IO_DONE;
	case SIP_TLS_WANT_READ:
		return IO_WANT_READ;
	case SIP_TLS_WANT_WRITE:
		return IO_WANT_WRITE;
	case SIP_TLS_CLOSED:
		return IO_CLOSED;
	default:
		return IO_FAILED;
	}
}

static enum io io_errno(enum io wants, struct err *err)
{
	if (errno == EAGAIN || errno == EINTR)
		return wants;
	err_set(err, ERR_LOST, "%s", strerror(errno));
	return IO_FAILED;
}

static enum io write_some(struct sip_connection *c, struct slice bytes,
			  size_t *size, struct err *err)
{
	if (c->tls)
		return io_of(sip_tls_write(c->tls, bytes, size, err));

	ssize_t moved = send(c->fd, bytes.data, bytes.size, MSG_NOSIGNAL);

	if (moved < 0)
		return io_errno(IO_WANT_WRITE, err);
	*size = (size_t)moved;
	return IO_DONE;
}

/* Gives back what was sent. */
static void queue_shrink(struct sip_connection *c)
{
	if (queued(c) == 0 && c->out.capacity > QUEUE_KEEP_BYTES) {
		buffer_fini(&c->out);
	} else {
		memmove(c->out.data, c->out.data + c->sent, queued(c));
		c->out.size -= c->sent;
	}
	c->sent = 0;
}

/* The peer reads again, and the time it had for its message starts anew. */
static void resume(struct sip_connection *c)
{
	c->paused = false;
	c->partial_ms = loop_now_ms(c->streams->loop);
}

static void flush_end(struct sip_connection *c, enum io result,
		      const struct err *reason)
{
	if (result == IO_FAILED) {
		sip_connection_fail(c, reason);
		return;
	}
	if (result == IO_CLOSED) {
		sip_connection_lose(c, "closed by the peer");
		return;
	}
	c->write_wants = result == IO_WANT_READ	   ? LOOP_READABLE
			 : result == IO_WANT_WRITE ? LOOP_WRITABLE
						   : 0;
	if (c->sent > 0)
		queue_shrink(c);
	if (c->paused &&
	    queued(c) <= c->streams->limits.queue_bytes / RESUME_PART)
		resume(c);
}

static void flush(struct sip_connection *c)
{
	enum io result = IO_DONE;
	struct err reason;

	while (result == IO_DONE && queued(c) > 0) {
		struct slice rest = slice_of(c->out.data + c->sent, queued(c));
		size_t size = 0;

		result = write_some(c, rest, &size, &reason);
		if (result == IO_DONE) {
			c->sent += size;
			c->progress_ms = loop_now_ms(c->streams->loop);
		}
	}
	flush_end(c, result, &reason);
}

enum err_code sip_connection_enqueue(struct sip_connection *c,
				     struct slice bytes)
{
	size_t bound = c->streams->limits.queue_bytes;

	if (bytes.size > bound - queued(c))
		return ERR_LIMIT;
	if (queued(c) == 0)
		c->progress_ms = loop_now_ms(c->streams->loop);
	buffer_append_slice(&c->out, bytes);
	if (queued(c) > bound / PAUSE_PART)
		c->paused = true;
	sip_streams_due(c);
	return ERR_OK;
}

void sip_connection_turn(struct sip_connection *c)
{
	if (c->state == SIP_CONNECTION_CLOSED) {
		sip_connection_free(c);
		return;
	}
	if (c->state == SIP_CONNECTION_OPEN && c->write_wants == 0)
		flush(c);
	sip_connection_settle(c);
}

/* --- Reading --- */

static const struct slice pong = SLICE("\r\n");

/* RFC 5626 4.4.1: a double CR LF is a ping, answered by one; a single one
 * answers ours. */
static void on_crlf(struct sip_connection *c)
{
	if (c->awaits_pong) {
		c->awaits_pong = false;
		return;
	}
	if (c->half_ping)
		sip_connection_enqueue(c, pong);
	c->half_ping = !c->half_ping;
}

/* Returns false when the connection has ended. */
static bool on_inbox(void *arg, enum sip_inbox_event event,
		     struct slice message)
{
	struct sip_connection *c = arg;

	/* What follows has just begun. */
	c->partial_ms = c->heard_ms;
	if (event == SIP_INBOX_CRLF) {
		on_crlf(c);
		return true;
	}
	c->half_ping = false;
	c->spoken = true;
	c->stats->packets_in++;
	c->streams->events->on_message(c->streams->arg, &c->flow, message);
	return c->state != SIP_CONNECTION_CLOSED;
}

static enum io read_some(struct sip_connection *c, size_t *size,
			 struct err *err)
{
	char *scratch = c->streams->scratch;

	if (c->tls)
		return io_of(sip_tls_read(c->tls, scratch,
					  SIP_STREAM_READ_BYTES, size, err));

	ssize_t moved = recv(c->fd, scratch, SIP_STREAM_READ_BYTES, 0);

	if (moved == 0)
		return IO_CLOSED;
	if (moved < 0)
		return io_errno(IO_WANT_READ, err);
	*size = (size_t)moved;
	return IO_DONE;
}

static void take(struct sip_connection *c, size_t size)
{
	struct sip_streams *streams = c->streams;

	c->heard_ms = loop_now_ms(streams->loop);
	if (!sip_inbox_partial(&c->inbox))
		c->partial_ms = c->heard_ms;

	enum err_code code =
		sip_inbox_put(&c->inbox, slice_of(streams->scratch, size),
			      streams->limits.message_bytes, on_inbox, c);

	if (code == ERR_OK || c->state == SIP_CONNECTION_CLOSED)
		return;

	struct err reason;

	err_set(&reason, code, "%s",
		code == ERR_TOO_LARGE ? "a message is too large"
				      : "the end of a message cannot be found");
	sip_connection_fail(c, &reason);
}

static void receive(struct sip_connection *c)
{
	struct err reason;
	size_t size = 0;

	switch (read_some(c, &size, &reason)) {
	case IO_DONE:
		take(c, size);
		return;
	case IO_CLOSED:
		sip_connection_lose(c, "closed by the peer");
		return;
	case IO_FAILED:
		sip_connection_fail(c, &reason);
		return;
	case IO_WANT_READ:
	case IO_WANT_WRITE: /* a TLS 1.3 key update, sent with the next write */
		return;
	}
}

/* --- The way to OPEN --- */

static void on_open(struct sip_connection *c)
{
	uint64_t now_ms = loop_now_ms(c->streams->loop);

	c->state = SIP_CONNECTION_OPEN;
	c->started_ms = now_ms;
	c->heard_ms = now_ms;
	c->progress_ms = now_ms;
	if (queued(c) > 0)
		flush(c);

	const struct sip_stream_events *events = c->streams->events;

	if (!c->source && c->state == SIP_CONNECTION_OPEN && events->on_open)
		events->on_open(c->streams->arg, &c->flow);
}

static void on_handshake(struct sip_connection *c)
{
	struct err reason;

	switch (sip_tls_handshake(c->tls, &reason)) {
	case SIP_TLS_DONE:
		on_open(c);
		return;
	case SIP_TLS_WANT_READ:
		c->handshake_wants = LOOP_READABLE;
		return;
	case SIP_TLS_WANT_WRITE:
		c->handshake_wants = LOOP_WRITABLE;
		return;
	case SIP_TLS_CLOSED:
		err_set(&reason, ERR_UNAVAILABLE,
			"closed by the peer during the TLS handshake");
		break;
	case SIP_TLS_FAILED:
		break;
	}
	sip_connection_fail(c, &reason);
}

void sip_connection_start(struct sip_connection *c)
{
	if (!c->tls) {
		on_open(c);
		return;
	}
	c->state = SIP_CONNECTION_HANDSHAKE;
	c->started_ms = loop_now_ms(c->streams->loop);
	on_handshake(c);
}

static void on_connected(struct sip_connection *c)
{
	int number = 0;
	socklen_t size = sizeof(number);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &number, &size);
	if (number == 0) {
		sip_connection_start(c);
		return;
	}

	struct err reason;

	sip_socket_fail(&reason, "connect", &c->flow.remote, number);
	sip_connection_fail(c, &reason);
}

static void on_ready(void *arg, unsigned events)
{
	struct sip_connection *c = arg;

	if (c->state == SIP_CONNECTION_CONNECTING) {
		on_connected(c);
	} else if (c->state == SIP_CONNECTION_HANDSHAKE) {
		on_handshake(c);
	} else {
		if (events & c->write_wants)
			flush(c);
		if (c->state == SIP_CONNECTION_OPEN && events & LOOP_READABLE &&
		    !c->paused)
			receive(c);
	}
	sip_connection_settle(c);
}

struct sip_connection *sip_connection_new(struct sip_streams *streams, int fd,
					  struct sip_tls *tls,
					  const struct sip_endpoint *remote,
					  struct sip_connection **owner,
					  struct sip_stream_stats *stats)
{
	struct sip_connection *c = mem_alloc(sizeof(*c));

	c->streams = streams;
	c->fd = fd;
	c->tls = tls;
	c->flow.transport = tls ? SIP_TRANSPORT_TLS : SIP_TRANSPORT_TCP;
	c->flow.local = sip_socket_local(fd);
	c->flow.remote = *remote;
	c->flow.connection = streams->next_id++;
	c->started_ms = loop_now_ms(streams->loop);
	c->stats = stats;
	stats->connections++;
	c->at = owner;
	c->next = *owner;
	if (c->next)
		c->next->at = &c->next;
	*owner = c;
	sip_streams_link(streams, c);
	c->watch = loop_watch_new(streams->loop, fd, on_ready, c);
	c->timer = loop_timer_new(streams->loop, on_deadline, c);
	/* Messages leave whole; waiting for more would only delay them. */
	sip_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return c;
}
