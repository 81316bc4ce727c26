#ifndef REGISTRAR_SIP_TRANSPORT_H
#define REGISTRAR_SIP_TRANSPORT_H

/*
 * The transport layer (RFC 3261 18): listeners, connections and datagrams as
 * one place that messages come from and go to.
 *
 * A request comes with its flow; its response is sent to that flow. Where the
 * flow is dead by then, 18.2.2 has the response go to the Via's address: the
 * caller reads that, and asks for a flow with sip_transports_reach().
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/registrar/sip/client.h"
#include "services/registrar/sip/flow.h"
#include "services/registrar/sip/listener.h"
#include "services/registrar/sip/stream.h"
#include "services/registrar/sip/table.h"
#include "services/registrar/sip/tls.h"

#include <stdbool.h>

struct sip_transports;

struct sip_transports_options {
	struct sip_stream_limits limits;
	unsigned retry_ms; /* of listeners; 0: SIP_LISTENER_RETRY_MS */
	/* For TLS connections we open, shared; NULL: there are none. */
	struct sip_tls_context *client;
};

/* Callbacks come from the loop, and from what ends connections. They may call
 * all but sip_transports_free() and, from on_message of that very one,
 * sip_transports_unlisten(). */
struct sip_transports_events {
	/* A datagram, or a whole message of a stream; of the call's time. */
	void (*on_message)(void *arg, const struct sip_flow *flow,
			   struct slice message);
	/* A connection ended; see stream.h. Its outlets have failed before. */
	void (*on_close)(void *arg, const struct sip_flow *flow,
			 enum sip_stream_stage stage, const struct err *reason);
	/* Whether a datagram is looked at, or a connection accepted: asked of
	 * each before anything else, so it is the place to count and to ban.
	 * NULL: always. */
	bool (*admit)(void *arg, const struct sip_endpoint *remote,
		      enum sip_transport transport);
	/* A connection we opened is ready; see stream.h. NULL: not told. */
	void (*on_open)(void *arg, const struct sip_flow *flow);
};

/* events and arg are kept by pointer. */
struct sip_transports *
sip_transports_new(struct loop *loop,
		   const struct sip_transports_options *options,
		   const struct sip_transports_events *events, void *arg);

/* Closes all listeners and connections; outlets end before. on_close may be
 * called. */
void sip_transports_free(struct sip_transports *transports);

/* For TLS connections opened from now on; shared. */
void sip_transports_client_set(struct sip_transports *transports,
			       struct sip_tls_context *context);

/* Of the connections we opened; listeners have their own. */
const struct sip_stream_stats *
sip_transports_stats(const struct sip_transports *transports);

/* --- Listeners --- */

/* Lent until sip_transports_unlisten(); listener.h has what can be done with
 * it, but not its _free. */
struct sip_listener *
sip_transports_listen(struct sip_transports *transports,
		      const struct sip_listener_options *options);

/* Ends a listener and its connections. */
void sip_transports_unlisten(struct sip_transports *transports,
			     struct sip_listener *listener);

/* --- Flows --- */

struct sip_target {
	enum sip_transport transport; /* UDP, TCP, TLS */
	struct sip_endpoint remote;
	const char *name; /* TLS: whom the certificate has to be for */
};

/* A flow to send requests to. UDP: by the first listener that has the address
 * the kernel would send from. TCP, TLS: an open connection, or a new one whose
 * failure on_close tells. ERR_UNAVAILABLE and the like, with the reason: there
 * is none. */
enum err_code sip_transports_reach(struct sip_transports *transports,
				   const struct sip_target *target,
				   struct sip_flow *flow, struct err *err);

/* Whether something sent to it has a way. */
bool sip_transports_alive(const struct sip_transports *transports,
			  const struct sip_flow *flow);

/* Whether what is sent to it leaves at once: its connection is open, and not
 * only being made. */
bool sip_transports_opened(const struct sip_transports *transports,
			   const struct sip_flow *flow);

/* Queues a copy; all of a loop turn leave together. ERR_NOT_FOUND: the flow is
 * dead. ERR_LIMIT: its queue is full, the message is dropped. ERR_TOO_LARGE:
 * for a datagram. */
enum err_code sip_transports_send(struct sip_transports *transports,
				  const struct sip_flow *flow,
				  struct slice message);

/* A keep-alive; see sip_streams_ping(). Over UDP nothing answers it: it keeps
 * a NAT open. */
enum err_code sip_transports_ping(struct sip_transports *transports,
				  const struct sip_flow *flow,
				  bool expect_pong);

/* Ends the connection of a flow; UDP: nothing. on_close is not called, its
 * outlets fail. */
void sip_transports_close(struct sip_transports *transports,
			  const struct sip_flow *flow);

/* --- Sinks --- */

/* A flow as the sink of client transactions. Embedded by whoever sends them. */
struct sip_outlet {
	struct sip_sink sink; /* for struct sip_client_request */
	struct sip_flow flow;
	struct sip_transports *transports;
	struct sip_link link; /* by connection; UDP: by remote */
	bool linked;	      /* its connection lives */
};

/* Neither copied nor moved until _fini, which fails the transactions there
 * still are. When its connection ends they fail as well, and over UDP when the
 * network refuses what is sent there. */
void sip_outlet_init(struct sip_outlet *outlet,
		     struct sip_transports *transports,
		     const struct sip_flow *flow);
void sip_outlet_fini(struct sip_outlet *outlet);

#endif
