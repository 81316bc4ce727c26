#ifndef REGISTRAR_SIP_STREAM_H
#define REGISTRAR_SIP_STREAM_H

/*
 * SIP over TCP and TLS: listening sockets, and the connections they and we
 * open (RFC 3261 18, RFC 5626). Nothing here blocks. Callbacks are called from
 * the loop, and from sip_acceptor_free() for what it ends; they may call
 * everything here but the _free functions.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/registrar/sip/flow.h"
#include "services/registrar/sip/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sip_streams;

enum {
	/* A REGISTER has under 1 kB; RFC 3261 18.1.1 wants 64 kB taken. */
	SIP_STREAM_MESSAGE_BYTES = 65536,
	/* What waits for a peer that reads slowly; past it messages to it are
	 * dropped. At a quarter of it nothing more is read from that peer. */
	SIP_STREAM_QUEUE_BYTES = 256 * 1024,
	/* Accepted ones; an idle TLS connection takes some 17 kB. */
	SIP_STREAM_CONNECTIONS_MAX = 16384,
	/* Of one source: an office of phones behind one address. */
	SIP_STREAM_SOURCE_MAX = 1024,
	/* Time for a connection to be made, and for the TLS handshake. */
	SIP_STREAM_CONNECT_MS = 10000,
	SIP_STREAM_HANDSHAKE_MS = 10000,
	/* From the first byte of a message to its last, and from a connection
	 * to its first message: as long as a transaction lives (64 * T1). */
	SIP_STREAM_MESSAGE_MS = 32000,
	/* A peer that reads nothing of what waits for it. */
	SIP_STREAM_STALL_MS = 32000,
	/* Without a byte from the peer: over an hour, since that is how often a
	 * phone registers that sends no keep-alives. */
	SIP_STREAM_IDLE_MS = 3900 * 1000,
	/* RFC 5626 4.4.1: a pong comes within 10 s. */
	SIP_STREAM_PONG_MS = 10000,
};

/* 0 is the default above. */
struct sip_stream_limits {
	size_t message_bytes;
	size_t queue_bytes;
	size_t connections;
	size_t per_source;
	unsigned connect_ms;
	unsigned handshake_ms;
	unsigned message_ms;
	unsigned stall_ms;
	unsigned idle_ms;
	unsigned pong_ms;
};

/* How far a connection had come. */
enum sip_stream_stage {
	SIP_STAGE_CONNECT,
	SIP_STAGE_TLS,
	SIP_STAGE_OPEN,
};

struct sip_stream_events {
	/* A whole message came; it is of the call's time. */
	void (*on_message)(void *arg, const struct sip_flow *flow,
			   struct slice message);
	/* A connection ended, by the peer, an error or a limit; its flow is
	 * dead. Told of those we opened, and of accepted ones that had brought
	 * a message. */
	void (*on_close)(void *arg, const struct sip_flow *flow,
			 enum sip_stream_stage stage, const struct err *reason);
	/* Whether a connection from there is accepted; NULL: always. */
	bool (*admit)(void *arg, const struct sip_endpoint *remote,
		      enum sip_transport transport);
	/* A connection we opened is ready: connected, and its TLS peer proved.
	 * NULL: not told. */
	void (*on_open)(void *arg, const struct sip_flow *flow);
};

struct sip_stream_stats {
	uint64_t packets_in; /* messages */
	uint64_t packets_out;
	uint64_t dropped;   /* messages for which the queue had no room */
	uint64_t refused;   /* connections over a limit, or not admitted */
	uint64_t errors;    /* connections that ended badly */
	size_t connections; /* now */
};

/* events and arg are kept by pointer. */
struct sip_streams *sip_streams_new(struct loop *loop,
				    const struct sip_stream_limits *limits,
				    const struct sip_stream_events *events,
				    void *arg);

/* Acceptors are freed before. Connections end without a callback. */
void sip_streams_free(struct sip_streams *streams);

/* Of the connections we opened. */
const struct sip_stream_stats *
sip_streams_stats(const struct sip_streams *streams);

/* --- Connecting --- */

struct sip_stream_target {
	struct sip_endpoint remote;
	/* NULL: TCP. A client's context: TLS. */
	struct sip_tls_context *context;
	const char *name; /* TLS: whom the certificate has to be for */
};

/* Starts to connect. The flow is good at once: what is sent meanwhile waits.
 * A failure is told to on_close, later. ERR_UNAVAILABLE and the like: it failed
 * at once. */
enum err_code sip_streams_connect(struct sip_streams *streams,
				  const struct sip_stream_target *target,
				  struct sip_flow *flow, struct err *err);

/* The flow of a connection to the target that is open or being made. For TLS
 * only one we opened to the same name is: nobody proved the others. False:
 * none. */
bool sip_streams_find(const struct sip_streams *streams,
		      const struct sip_stream_target *target,
		      struct sip_flow *flow);

/* --- Using a connection --- */

/* Whether its connection is open or being made. */
bool sip_streams_alive(const struct sip_streams *streams,
		       const struct sip_flow *flow);

/* Whether it is open, and not only being made. */
bool sip_streams_opened(const struct sip_streams *streams,
			const struct sip_flow *flow);

/* Queues a copy of a message; all of a loop turn leave together.
 * ERR_NOT_FOUND: the flow is dead. ERR_LIMIT: the queue is full. */
enum err_code sip_streams_send(struct sip_streams *streams,
			       const struct sip_flow *flow,
			       struct slice message);

/* Sends a keep-alive (RFC 5626 4.4.1). expect_pong: whoever does not answer in
 * time is lost, and on_close told; only peers that said they do (`ob`,
 * Flow-Timer) have to. Errors as of sip_streams_send(). */
enum err_code sip_streams_ping(struct sip_streams *streams,
			       const struct sip_flow *flow, bool expect_pong);

/* Ends a connection without callback; what is queued is lost. */
void sip_streams_close(struct sip_streams *streams,
		       const struct sip_flow *flow);

#endif
