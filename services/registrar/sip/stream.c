#include "services/registrar/sip/stream.h"

#include "proto/mem.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/connection.h"
#include "services/registrar/sip/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Tables --- */

static uint64_t hash_id(const struct sip_streams *streams, uint64_t id)
{
	return id ^ streams->seed;
}

static uint64_t hash_remote(const struct sip_streams *streams,
			    const struct sip_endpoint *remote)
{
	return sip_endpoint_hash(remote, streams->seed);
}

static struct sip_connection *find(const struct sip_streams *streams,
				   const struct sip_flow *flow)
{
	struct sip_link *link = sip_table_first(
		&streams->by_id, hash_id(streams, flow->connection));
	struct sip_connection *c =
		link ? TABLE_OF(link, struct sip_connection, by_id) : NULL;

	/* A number by itself might be of another process's time. */
	return c && c->flow.transport == flow->transport &&
			       sip_endpoint_eq(&c->flow.remote, &flow->remote)
		       ? c
		       : NULL;
}

void sip_streams_link(struct sip_streams *streams, struct sip_connection *c)
{
	sip_table_add(&streams->by_id, &c->by_id,
		      hash_id(streams, c->flow.connection));
	sip_table_add(&streams->by_remote, &c->by_remote,
		      hash_remote(streams, &c->flow.remote));
}

void sip_streams_unlink(struct sip_streams *streams, struct sip_connection *c)
{
	sip_table_remove(&streams->by_id, &c->by_id);
	sip_table_remove(&streams->by_remote, &c->by_remote);
}

static struct sip_source *source_find(const struct sip_streams *streams,
				      const struct sip_endpoint *host,
				      uint64_t hash)
{
	struct sip_link *link = sip_table_first(&streams->sources, hash);

	for (; link; link = sip_table_next(link)) {
		struct sip_source *source =
			TABLE_OF(link, struct sip_source, link);

		if (sip_endpoint_host_eq(&source->host, host))
			return source;
	}
	return NULL;
}

struct sip_source *sip_source_take(struct sip_streams *streams,
				   const struct sip_endpoint *remote)
{
	struct sip_endpoint host = sip_endpoint_source(remote);
	uint64_t hash = hash_remote(streams, &host);
	struct sip_source *source = source_find(streams, &host, hash);

	if (!source) {
		source = mem_alloc(sizeof(*source));
		source->host = host;
		sip_table_add(&streams->sources, &source->link, hash);
	}
	if (source->count == streams->limits.per_source)
		return NULL;
	source->count++;
	return source;
}

void sip_source_give(struct sip_streams *streams, struct sip_source *source)
{
	if (--source->count > 0)
		return;
	sip_table_remove(&streams->sources, &source->link);
	free(source);
}

/* --- The turn's end --- */

void sip_streams_due(struct sip_connection *c)
{
	struct sip_streams *streams = c->streams;

	if (c->is_due)
		return;
	if (!streams->due)
		loop_timer_start(streams->turn, 0, 0);
	c->is_due = true;
	c->next_due = streams->due;
	streams->due = c;
}

static void on_turn(void *arg)
{
	struct sip_streams *streams = arg;
	struct sip_connection *c = streams->due;
	struct sip_connection *next;

	/* What becomes due meanwhile is so for the next turn. */
	streams->due = NULL;
	for (; c; c = next) {
		next = c->next_due;
		c->is_due = false;
		sip_connection_turn(c);
	}
}

/* --- Connecting --- */

static enum sip_transport target_transport(const struct sip_stream_target *t)
{
	return t->context ? SIP_TRANSPORT_TLS : SIP_TRANSPORT_TCP;
}

static enum err_code socket_connect(const struct sip_endpoint *remote, int *out,
				    struct err *err)
{
	int fd = socket(sip_endpoint_family(remote),
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return sip_socket_fail(err, "socket for", remote, errno);
	if (connect(fd, &remote->any, sip_endpoint_size(remote)) != 0 &&
	    errno != EINPROGRESS) {
		enum err_code code =
			sip_socket_fail(err, "connect", remote, errno);

		close(fd);
		return code;
	}
	*out = fd;
	return ERR_OK;
}

enum err_code sip_streams_connect(struct sip_streams *streams,
				  const struct sip_stream_target *target,
				  struct sip_flow *flow, struct err *err)
{
	int fd = -1;
	struct sip_tls *tls = NULL;

	if (streams->stats.connections == streams->limits.connections)
		return err_set(err, ERR_LIMIT, "too many connections");

	enum err_code code = socket_connect(&target->remote, &fd, err);

	if (code != ERR_OK)
		return code;
	if (target->context &&
	    (code = sip_tls_new(target->context, fd, target->name, &tls,
				err)) != ERR_OK) {
		close(fd);
		return code;
	}

	struct sip_connection *c =
		sip_connection_new(streams, fd, tls, &target->remote,
				   &streams->opened, &streams->stats);

	c->name = tls ? mem_strdup(target->name) : NULL;
	sip_connection_settle(c);
	*flow = c->flow;
	return ERR_OK;
}

static bool serves(const struct sip_connection *c,
		   const struct sip_stream_target *target)
{
	if (c->flow.transport != target_transport(target) ||
	    !sip_endpoint_eq(&c->flow.remote, &target->remote))
		return false;
	return !target->context ||
	       (c->name && strcasecmp(c->name, target->name) == 0);
}

bool sip_streams_find(const struct sip_streams *streams,
		      const struct sip_stream_target *target,
		      struct sip_flow *flow)
{
	struct sip_link *link = sip_table_first(
		&streams->by_remote, hash_remote(streams, &target->remote));

	for (; link; link = sip_table_next(link)) {
		const struct sip_connection *c =
			TABLE_OF(link, struct sip_connection, by_remote);

		if (serves(c, target)) {
			*flow = c->flow;
			return true;
		}
	}
	return false;
}

/* --- Using a connection --- */

bool sip_streams_alive(const struct sip_streams *streams,
		       const struct sip_flow *flow)
{
	return find(streams, flow) != NULL;
}

bool sip_streams_opened(const struct sip_streams *streams,
			const struct sip_flow *flow)
{
	const struct sip_connection *c = find(streams, flow);

	return c && c->state == SIP_CONNECTION_OPEN;
}

enum err_code sip_streams_send(struct sip_streams *streams,
			       const struct sip_flow *flow,
			       struct slice message)
{
	struct sip_connection *c = find(streams, flow);

	if (!c)
		return ERR_NOT_FOUND;

	enum err_code code = sip_connection_enqueue(c, message);

	if (code == ERR_OK)
		c->stats->packets_out++;
	else
		c->stats->dropped++;
	return code;
}

static const struct slice ping = SLICE("\r\n\r\n");

enum err_code sip_streams_ping(struct sip_streams *streams,
			       const struct sip_flow *flow, bool expect_pong)
{
	struct sip_connection *c = find(streams, flow);

	if (!c)
		return ERR_NOT_FOUND;

	enum err_code code = sip_connection_enqueue(c, ping);

	if (code != ERR_OK || !expect_pong || c->awaits_pong)
		return code;
	c->awaits_pong = true;
	c->pinged_ms = loop_now_ms(streams->loop);
	return ERR_OK;
}

void sip_streams_close(struct sip_streams *streams, const struct sip_flow *flow)
{
	struct sip_connection *c = find(streams, flow);

	if (c)
		sip_connection_end(c);
}

/* --- Life --- */

static void limit_default(size_t *limit, size_t value)
{
	if (*limit == 0)
		*limit = value;
}

static void time_default(unsigned *time_ms, unsigned value)
{
	if (*time_ms == 0)
		*time_ms = value;
}

static void limits_default(struct sip_stream_limits *limits)
{
	limit_default(&limits->message_bytes, SIP_STREAM_MESSAGE_BYTES);
	limit_default(&limits->queue_bytes, SIP_STREAM_QUEUE_BYTES);
	limit_default(&limits->connections, SIP_STREAM_CONNECTIONS_MAX);
	limit_default(&limits->per_source, SIP_STREAM_SOURCE_MAX);
	time_default(&limits->connect_ms, SIP_STREAM_CONNECT_MS);
	time_default(&limits->handshake_ms, SIP_STREAM_HANDSHAKE_MS);
	time_default(&limits->message_ms, SIP_STREAM_MESSAGE_MS);
	time_default(&limits->stall_ms, SIP_STREAM_STALL_MS);
	time_default(&limits->idle_ms, SIP_STREAM_IDLE_MS);
	time_default(&limits->pong_ms, SIP_STREAM_PONG_MS);
}

struct sip_streams *sip_streams_new(struct loop *loop,
				    const struct sip_stream_limits *limits,
				    const struct sip_stream_events *events,
				    void *arg)
{
	struct sip_streams *streams = mem_alloc(sizeof(*streams));

	streams->loop = loop;
	streams->events = events;
	streams->arg = arg;
	streams->limits = *limits;
	limits_default(&streams->limits);
	secrets_random(&streams->seed, sizeof(streams->seed));
	/* 0 is UDP's; 2^63 connections fit above any start. */
	secrets_random(&streams->next_id, sizeof(streams->next_id));
	streams->next_id = (streams->next_id >> 1) + 1;
	streams->turn = loop_timer_new(loop, on_turn, streams);
	streams->scratch = mem_alloc(SIP_STREAM_READ_BYTES);
	return streams;
}

void sip_streams_free(struct sip_streams *streams)
{
	if (!streams)
		return;
	while (streams->opened)
		sip_connection_end(streams->opened);
	assert(streams->by_id.count == 0);

	struct sip_connection *next;

	for (struct sip_connection *c = streams->due; c; c = next) {
		next = c->next_due;
		sip_connection_free(c);
	}
	loop_timer_free(streams->turn);
	sip_table_fini(&streams->by_id);
	sip_table_fini(&streams->by_remote);
	sip_table_fini(&streams->sources);
	free(streams->scratch);
	free(streams);
}

const struct sip_stream_stats *
sip_streams_stats(const struct sip_streams *streams)
{
	return &streams->stats;
}
