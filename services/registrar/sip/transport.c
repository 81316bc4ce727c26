#include "services/registrar/sip/transport.h"

#include "proto/mem.h"
#include "services/registrar/sip/socket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sip_transports {
	const struct sip_transports_events *events;
	void *arg;
	struct sip_streams *streams;
	struct sip_listener_host host;
	struct sip_tls_context *client;
	struct sip_listener **listeners;
	size_t count;
	struct sip_table outlets; /* by outlet_key() */
};

static const struct slice ping = SLICE("\r\n\r\n");

/* --- What comes --- */

/* Phones keep their NAT open with CR LFs or a NUL. */
static bool is_keep_alive(struct slice bytes)
{
	if (bytes.size > ping.size)
		return false;
	for (size_t i = 0; i < bytes.size; i++)
		if (bytes.data[i] != '\r' && bytes.data[i] != '\n' &&
		    bytes.data[i] != '\0')
			return false;
	return true;
}

static void on_datagram(void *arg, struct slice bytes,
			const struct sip_endpoint *remote,
			const struct sip_endpoint *local)
{
	struct sip_transports *transports = arg;
	const struct sip_transports_events *events = transports->events;

	if (events->admit &&
	    !events->admit(transports->arg, remote, SIP_TRANSPORT_UDP))
		return;
	if (is_keep_alive(bytes))
		return;

	const struct sip_flow flow = {
		.transport = SIP_TRANSPORT_UDP,
		.local = *local,
		.remote = *remote,
	};

	events->on_message(transports->arg, &flow, bytes);
}

static void on_stream_message(void *arg, const struct sip_flow *flow,
			      struct slice message)
{
	struct sip_transports *transports = arg;

	transports->events->on_message(transports->arg, flow, message);
}

static bool on_admit(void *arg, const struct sip_endpoint *remote,
		     enum sip_transport transport)
{
	struct sip_transports *transports = arg;
	const struct sip_transports_events *events = transports->events;

	return !events->admit ||
	       events->admit(transports->arg, remote, transport);
}

/* --- Sinks --- */

static uint64_t udp_key(const struct sip_endpoint *remote)
{
	return sip_endpoint_hash(remote, 0);
}

/* Keys of different outlets may be equal. */
static uint64_t outlet_key(const struct sip_flow *flow)
{
	return flow->connection != 0 ? flow->connection
				     : udp_key(&flow->remote);
}

static bool on_sink(void *arg, struct slice message)
{
	struct sip_outlet *outlet = arg;
	enum err_code code =
		sip_transports_send(outlet->transports, &outlet->flow, message);

	/* A datagram that found no room is lost as others are, and will be
	 * sent again. */
	return code == ERR_OK || (code == ERR_LIMIT && !outlet->sink.reliable);
}

void sip_outlet_init(struct sip_outlet *outlet,
		     struct sip_transports *transports,
		     const struct sip_flow *flow)
{
	*outlet = (struct sip_outlet){
		.sink = {.send = on_sink,
			 .arg = outlet,
			 .reliable = flow->transport != SIP_TRANSPORT_UDP},
		.flow = *flow,
		.transports = transports,
		.linked = true,
	};
	sip_table_add(&transports->outlets, &outlet->link, outlet_key(flow));
}

static void outlet_unlink(struct sip_outlet *outlet)
{
	if (outlet->linked)
		sip_table_remove(&outlet->transports->outlets, &outlet->link);
	outlet->linked = false;
}

void sip_outlet_fini(struct sip_outlet *outlet)
{
	/* Nothing is sent by it any more. */
	outlet->flow = (struct sip_flow){0};
	outlet_unlink(outlet);
	sip_client_sink_failed(&outlet->sink);
}

static bool is_same_way(const struct sip_flow *a, const struct sip_flow *b)
{
	return a->connection == b->connection &&
	       (a->connection != 0 || sip_endpoint_eq(&a->remote, &b->remote));
}

static struct sip_outlet *outlet_first(struct sip_transports *transports,
				       const struct sip_flow *flow)
{
	struct sip_link *link =
		sip_table_first(&transports->outlets, outlet_key(flow));
	struct sip_outlet *outlet = NULL;

	for (; link && !outlet; link = sip_table_next(link)) {
		outlet = TABLE_OF(link, struct sip_outlet, link);
		if (!is_same_way(&outlet->flow, flow))
			outlet = NULL;
	}
	return outlet;
}

/* Of a flow. Anew from the start each time: what a failed transaction's owner
 * does may end other outlets. Those it makes meanwhile are not looked at where
 * the way is still there (UDP): each is removed before its owner hears. */
static void outlets_fail(struct sip_transports *transports,
			 const struct sip_flow *flow)
{
	size_t left = transports->outlets.count;
	struct sip_outlet *outlet;

	while (left-- > 0 && (outlet = outlet_first(transports, flow))) {
		outlet_unlink(outlet);
		sip_client_sink_failed(&outlet->sink);
	}
}

static void on_refused(void *arg, const struct sip_endpoint *remote)
{
	const struct sip_flow flow = {
		.transport = SIP_TRANSPORT_UDP,
		.remote = *remote,
	};

	outlets_fail(arg, &flow);
}

static void on_stream_close(void *arg, const struct sip_flow *flow,
			    enum sip_stream_stage stage,
			    const struct err *reason)
{
	struct sip_transports *transports = arg;

	outlets_fail(transports, flow);
	transports->events->on_close(transports->arg, flow, stage, reason);
}

static void on_stream_open(void *arg, const struct sip_flow *flow)
{
	struct sip_transports *transports = arg;

	if (transports->events->on_open)
		transports->events->on_open(transports->arg, flow);
}

static const struct sip_stream_events stream_events = {
	.on_message = on_stream_message,
	.on_close = on_stream_close,
	.admit = on_admit,
	.on_open = on_stream_open,
};

/* --- Life --- */

struct sip_transports *
sip_transports_new(struct loop *loop,
		   const struct sip_transports_options *options,
		   const struct sip_transports_events *events, void *arg)
{
	struct sip_transports *transports = mem_alloc(sizeof(*transports));

	transports->events = events;
	transports->arg = arg;
	transports->streams = sip_streams_new(loop, &options->limits,
					      &stream_events, transports);
	transports->host = (struct sip_listener_host){
		.loop = loop,
		.streams = transports->streams,
		.on_datagram = on_datagram,
		.on_refused = on_refused,
		.arg = transports,
		.retry_ms = options->retry_ms,
	};
	if (options->client)
		sip_transports_client_set(transports, options->client);
	return transports;
}

void sip_transports_free(struct sip_transports *transports)
{
	if (!transports)
		return;
	while (transports->count > 0)
		sip_transports_unlisten(transports, transports->listeners[0]);
	sip_streams_free(transports->streams);
	assert(transports->outlets.count == 0);
	sip_table_fini(&transports->outlets);
	sip_tls_context_free(transports->client);
	free(transports->listeners);
	free(transports);
}

void sip_transports_client_set(struct sip_transports *transports,
			       struct sip_tls_context *context)
{
	sip_tls_context_share(context);
	sip_tls_context_free(transports->client);
	transports->client = context;
}

const struct sip_stream_stats *
sip_transports_stats(const struct sip_transports *transports)
{
	return sip_streams_stats(transports->streams);
}

/* --- Listeners --- */

struct sip_listener *
sip_transports_listen(struct sip_transports *transports,
		      const struct sip_listener_options *options)
{
	struct sip_listener *listener =
		sip_listener_new(&transports->host, options);

	transports->listeners = mem_resize(
		transports->listeners,
		(transports->count + 1) * sizeof(*transports->listeners));
	transports->listeners[transports->count++] = listener;
	return listener;
}

void sip_transports_unlisten(struct sip_transports *transports,
			     struct sip_listener *listener)
{
	size_t i = 0;

	while (i < transports->count && transports->listeners[i] != listener)
		i++;
	assert(i < transports->count);
	transports->count--;
	memmove(&transports->listeners[i], &transports->listeners[i + 1],
		(transports->count - i) * sizeof(*transports->listeners));
	sip_listener_free(listener);
}

/* --- Flows --- */

static struct sip_udp *udp_find(const struct sip_transports *transports,
				const struct sip_endpoint *local)
{
	for (size_t i = 0; i < transports->count; i++) {
		struct sip_udp *udp =
			sip_listener_udp(transports->listeners[i], local);

		if (udp)
			return udp;
	}
	return NULL;
}

static enum err_code reach_udp(struct sip_transports *transports,
			       const struct sip_endpoint *remote,
			       struct sip_flow *flow, struct err *err)
{
	struct sip_endpoint local;
	enum err_code code = sip_socket_source(remote, &local, err);

	if (code != ERR_OK)
		return code;

	const struct sip_udp *udp = udp_find(transports, &local);
	char text[SIP_ENDPOINT_TEXT];

	if (!udp)
		return err_set(err, ERR_UNAVAILABLE,
			       "no UDP listener has the address %s",
			       sip_endpoint_host_text(&local, text));
	sip_endpoint_port_set(&local, sip_endpoint_port(sip_udp_local(udp)));
	*flow = (struct sip_flow){
		.transport = SIP_TRANSPORT_UDP,
		.local = local,
		.remote = *remote,
	};
	return ERR_OK;
}

enum err_code sip_transports_reach(struct sip_transports *transports,
				   const struct sip_target *target,
				   struct sip_flow *flow, struct err *err)
{
	bool tls = target->transport == SIP_TRANSPORT_TLS;
	const struct sip_stream_target stream = {
		.remote = target->remote,
		.context = tls ? transports->client : NULL,
		.name = target->name,
	};

	if (target->transport == SIP_TRANSPORT_UDP)
		return reach_udp(transports, &target->remote, flow, err);
	if (tls && !stream.context)
		return err_set(err, ERR_UNAVAILABLE, "TLS is not configured");
	if (sip_streams_find(transports->streams, &stream, flow))
		return ERR_OK;
	return sip_streams_connect(transports->streams, &stream, flow, err);
}

bool sip_transports_alive(const struct sip_transports *transports,
			  const struct sip_flow *flow)
{
	if (flow->transport == SIP_TRANSPORT_UDP)
		return udp_find(transports, &flow->local) != NULL;
	return sip_streams_alive(transports->streams, flow);
}

bool sip_transports_opened(const struct sip_transports *transports,
			   const struct sip_flow *flow)
{
	if (flow->transport == SIP_TRANSPORT_UDP)
		return udp_find(transports, &flow->local) != NULL;
	return sip_streams_opened(transports->streams, flow);
}

static enum err_code send_udp(struct sip_transports *transports,
			      const struct sip_flow *flow, struct slice message)
{
	struct sip_udp *udp = udp_find(transports, &flow->local);

	return udp ? sip_udp_send(udp, &flow->remote, &flow->local, message)
		   : ERR_NOT_FOUND;
}

enum err_code sip_transports_send(struct sip_transports *transports,
				  const struct sip_flow *flow,
				  struct slice message)
{
	if (flow->transport == SIP_TRANSPORT_UDP)
		return send_udp(transports, flow, message);
	return sip_streams_send(transports->streams, flow, message);
}

enum err_code sip_transports_ping(struct sip_transports *transports,
				  const struct sip_flow *flow, bool expect_pong)
{
	if (flow->transport == SIP_TRANSPORT_UDP)
		return send_udp(transports, flow, ping);
	return sip_streams_ping(transports->streams, flow, expect_pong);
}

void sip_transports_close(struct sip_transports *transports,
			  const struct sip_flow *flow)
{
	if (flow->transport == SIP_TRANSPORT_UDP)
		return;
	sip_streams_close(transports->streams, flow);
	outlets_fail(transports, flow);
}
