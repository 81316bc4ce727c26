#ifndef REGISTRAR_SIP_CONNECTION_H
#define REGISTRAR_SIP_CONNECTION_H

/*
 * One TCP or TLS connection, and the set all of them are in. Private to
 * stream.c (the set), connection.c (the life of one) and acceptor.c.
 */

#include "proto/buffer.h"
#include "services/registrar/sip/inbox.h"
#include "services/registrar/sip/stream.h"
#include "services/registrar/sip/table.h"

enum {
	/* One read per turn; several TLS records of 16 KiB. */
	SIP_STREAM_READ_BYTES = 65536,
};

/*
 *              TLS               TCP
 * accept() ---------+-------------------+
 *                   v                   v
 *               HANDSHAKE ----------> OPEN
 *                   ^                   ^
 * connect() --> CONNECTING -------------+
 *
 * Each may end in CLOSED, which is freed when the turn is over.
 */
enum sip_connection_state {
	SIP_CONNECTION_CONNECTING,
	SIP_CONNECTION_HANDSHAKE,
	SIP_CONNECTION_OPEN,
	SIP_CONNECTION_CLOSED,
};

/* Whom accepted connections come from. */
struct sip_source {
	struct sip_link link;
	struct sip_endpoint host;
	size_t count;
};

struct sip_connection {
	struct sip_link by_id;
	struct sip_link by_remote;
	struct sip_streams *streams;
	struct sip_stream_stats *stats;	   /* its acceptor's, or ours */
	struct sip_source *source;	   /* NULL: we opened it */
	struct sip_connection *next, **at; /* in its owner's list */
	struct sip_connection *next_due;   /* in streams->due */
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct sip_tls *tls; /* NULL: TCP */
	char *name;	     /* TLS we opened: the peer's */
	struct sip_flow flow;
	enum sip_connection_state state;
	int fd;
	bool is_due;	/* in streams->due */
	bool spoken;	/* a whole message came */
	bool paused;	/* reading waits until the peer reads */
	bool half_ping; /* one CR LF came, of two */
	bool awaits_pong;
	/* What the socket has to be to go on; 0: nothing holds it up. */
	unsigned write_wants;
	unsigned handshake_wants;
	uint64_t armed_ms; /* when the timer fires; 0: never */
	/* Since when. */
	uint64_t started_ms;  /* this state */
	uint64_t heard_ms;    /* the last byte of the peer */
	uint64_t partial_ms;  /* an unfinished message, and we read */
	uint64_t progress_ms; /* the peer took something, or nothing waited */
	uint64_t pinged_ms;

	struct sip_inbox inbox;
	struct buffer out; /* what goes out: from sent */
	size_t sent;
};

struct sip_streams {
	struct loop *loop;
	const struct sip_stream_events *events;
	void *arg;
	struct sip_stream_limits limits;
	struct sip_table by_id;
	struct sip_table by_remote;
	struct sip_table sources;
	uint64_t seed; /* of the tables: peers choose their addresses */
	uint64_t next_id;
	size_t accepted;
	struct sip_connection *opened; /* those we opened */
	struct sip_stream_stats stats; /* of them */
	struct sip_connection *due; /* to be flushed, or freed, at turn's end */
	struct loop_timer *turn;
	char *scratch; /* SIP_STREAM_READ_BYTES, what was just read */
};

/* --- stream.c --- */

/* Counts a connection of its source; NULL: that has its share. */
struct sip_source *sip_source_take(struct sip_streams *streams,
				   const struct sip_endpoint *remote);
void sip_source_give(struct sip_streams *streams, struct sip_source *source);

/* Puts a connection into the tables, or takes it out. */
void sip_streams_link(struct sip_streams *streams, struct sip_connection *c);
void sip_streams_unlink(struct sip_streams *streams, struct sip_connection *c);

/* Has sip_connection_turn() called when the callbacks of this turn are over. */
void sip_streams_due(struct sip_connection *c);

/* --- connection.c --- */

/* A connection of a socket, which it takes over, and of a session (NULL: TCP),
 * in its owner's list. CONNECTING until sip_connection_start(). */
struct sip_connection *sip_connection_new(struct sip_streams *streams, int fd,
					  struct sip_tls *tls,
					  const struct sip_endpoint *remote,
					  struct sip_connection **owner,
					  struct sip_stream_stats *stats);

/* The socket is connected. */
void sip_connection_start(struct sip_connection *c);

/* After everything that happened to a connection: watches and deadlines. */
void sip_connection_settle(struct sip_connection *c);

/* The end of a turn: flushes, or frees. */
void sip_connection_turn(struct sip_connection *c);

/* ERR_LIMIT: no room. */
enum err_code sip_connection_enqueue(struct sip_connection *c,
				     struct slice bytes);

/* Ends it; its memory stays until the turn is over, since the callback that led
 * here may be one of its own. _fail also tells. */
void sip_connection_end(struct sip_connection *c);
void sip_connection_fail(struct sip_connection *c, const struct err *reason);
void sip_connection_lose(struct sip_connection *c, const char *why);

void sip_connection_free(struct sip_connection *c); /* a CLOSED one */

#endif
