#ifndef REGISTRAR_OUTBOUND_H
#define REGISTRAR_OUTBOUND_H

/*
 * All trunks that we register, or whose life we watch:
 *
 *   world --> settings of each trunk --.
 *   lease --> whether it is ours ------+--> state from Redis --> trunk
 *                                                                  |
 *   pacing, resolver, wire <---------------------------------------'
 *
 * Trunks whose part another registrar holds are known here and left alone.
 */

#include "services/common/cache.h"
#include "services/common/metrics.h"
#include "services/common/waiting.h"
#include "services/registrar/agenda.h"
#include "services/registrar/lease.h"
#include "services/registrar/pacing.h"
#include "services/registrar/trunk.h"
#include "services/registrar/wire.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* States read at a time: far below CACHE_QUEUE_MAX, for others use
	 * that cache too. */
	OUTBOUND_LOADS_MAX = 512,
	/* Until a state that could not be read or stored is tried again. */
	OUTBOUND_RETRY_MS = 1000,
	/* Requests under way: 32 s of them at the default pace are 6 400, and
	 * as many wait for timer K. */
	OUTBOUND_TRANSACTIONS_MAX = 32768,
};

struct outbound;

/* It went ONLINE or OFFLINE. */
typedef void outbound_changed_fn(void *arg, int64_t id, bool online);

struct outbound_options {
	struct loop *loop;
	struct cache *cache;
	struct sip_transports *transports;
	struct metrics *metrics; /* may be NULL */
	wire_port_fn *port;
	outbound_changed_fn *changed; /* may be NULL */
	void *arg;		      /* of both */

	const char *public_ipv4; /* numeric; "" or NULL: none */
	const char *public_ipv6;
	const char *user_agent;
	/* secrets_key_derive()'s, the same in every registrar. */
	const unsigned char *tag_key;

	/* 0 and NULL are the defaults of each. */
	struct pacing_options pacing;
	const char *dns_servers;
	const char *prefix; /* of all keys; kept by pointer */
	/* This registrar, the same after a restart and like no other: it finds
	 * its trunks as it left them. NULL: a random one. Kept by pointer. */
	const char *owner;
	unsigned lease_ttl_ms;
	unsigned t1_ms;
	const struct agenda_clock *clock;
	uint64_t seed; /* of all jitter; 0: random */
};

/* ERR_VALIDATE: an address or dns_servers is malformed. */
enum err_code outbound_new(const struct outbound_options *options,
			   struct outbound **out, struct err *err);

/* Ends all work, un-registers nothing and lets others take over: for a planned
 * end. The cache is not used after it. */
void outbound_stop(struct outbound *outbound);

/* Before the transports; before or after the cache. */
void outbound_free(struct outbound *outbound);

/* For struct world_listener. */
void outbound_trunk_set(struct outbound *outbound,
			const struct world_trunk *trunk);
void outbound_trunk_remove(struct outbound *outbound, int64_t id);

/* A response has come; false: it is not to a request of ours. */
bool outbound_receive(struct outbound *outbound,
		      const struct sip_message *response);

/* For struct sip_transports_events. */
void outbound_on_open(struct outbound *outbound, const struct sip_flow *flow);
void outbound_on_close(struct outbound *outbound, const struct sip_flow *flow,
		       enum sip_stream_stage stage, const struct err *reason);

/* The trunk, lent until the loop's next turn. ERR_NOT_FOUND: there is none we
 * would register or watch. ERR_ELSEWHERE: it is another registrar's.
 * ERR_UNAVAILABLE: its state was not read yet. */
enum err_code outbound_trunk_get(struct outbound *outbound, int64_t id,
				 struct trunk **out);

/* Waits until the state of such a trunk was read, or could not be:
 * outbound_trunk_get() tells. fn is called once, not before this returned;
 * outbound_stop() calls it with ERR_UNAVAILABLE. False: it is not being read,
 * or WAITING_MAX wait; fn is not called. */
bool outbound_trunk_await(struct outbound *outbound, int64_t id, waiting_fn *fn,
			  void *arg);

/* What its trunks share, for others who send requests as they do; good until
 * outbound_free(). */
struct trunk_shared *outbound_shared(struct outbound *outbound);

const struct trunk_stats *outbound_stats(const struct outbound *outbound);

/* With a clock of the caller's: its agenda is to be run. */
struct agenda *outbound_agenda(struct outbound *outbound);

#endif
