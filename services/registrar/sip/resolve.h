#ifndef REGISTRAR_SIP_RESOLVE_H
#define REGISTRAR_SIP_RESOLVE_H

/*
 * Where to send a request for a SIP name (RFC 3263 4.1 and 4.2, RFC 2782):
 * NAPTR, then SRV, then addresses; an address or a port in the target cuts that
 * short. Where the transport is said, SRV comes first, as the RFC has it; a
 * name without SRV records of its own is asked for NAPTR ones nevertheless,
 * which may lead to those of another name. Nothing blocks; dns.h asks.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/registrar/sip/dns.h"
#include "services/registrar/sip/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Destinations of one name. Each takes up to 32 s to fail: nobody waits
	 * for a seventeenth. */
	RESOLVE_RECORDS_MAX = 16,
	/* UDP, TCP and TLS. */
	RESOLVE_TRANSPORTS_MAX = 3,
	/* Lookups at a time; 20 000 trunks that start at once are paced by
	 * their owner. Past it resolve_start() refuses. */
	RESOLVE_PENDING_MAX = 4096,
	/* Once the addresses of the name itself are known a NAPTR answer is
	 * waited for no longer: there are name servers and firewalls that drop
	 * such a query. */
	RESOLVE_NAPTR_MS = 1000,
	RESOLVE_PORT = 5060, /* RFC 3261 19.1.2 */
	RESOLVE_PORT_TLS = 5061,
};

struct resolver;
struct resolve;

struct resolver_options {
	const char *dns_servers; /* as dns_new() takes them; NULL: the system's
				  */
	int family;		 /* AF_INET, AF_INET6; AF_UNSPEC: both */
	/* Of the generator that spreads load by weight; 0: a random one. */
	uint64_t seed;
};

/* ERR_VALIDATE with the reason. */
enum err_code resolver_new(struct loop *loop,
			   const struct resolver_options *options,
			   struct resolver **out, struct err *err);

/* Lookups under way end without their callback. Not from a callback. */
void resolver_free(struct resolver *resolver);

struct resolve_target {
	struct slice host; /* name or address; IPv6 with brackets or without */
	uint16_t port;	   /* 0: not said */
	enum sip_transport transport; /* OTHER: not said */
	bool secure;		      /* sips: TLS and nothing else */
	/* What may be chosen where no transport is said, best first; a list
	 * shorter than that ends with OTHER. All zero: UDP, TCP, TLS. */
	enum sip_transport transports[RESOLVE_TRANSPORTS_MAX];
};

/* One destination. */
struct resolve_record {
	union dns_address address; /* with the port */
	enum sip_transport transport;
};

enum resolve_stage {
	RESOLVE_TARGET, /* the target itself is not one */
	RESOLVE_NAPTR,
	RESOLVE_SRV,
	RESOLVE_ADDRESS,
};

/* "NAPTR", "SRV", "address"; "target". */
const char *resolve_stage_text(enum resolve_stage stage);

struct resolve_result {
	enum dns_reason reason;	  /* DNS_OK: there are records */
	enum resolve_stage stage; /* that failed, else the last one */
	size_t count;
	const struct resolve_record *records; /* in the order to try them; of
						 the callback's time */
};

typedef void resolve_fn(void *arg, const struct resolve_result *result);

/* Looks the target up. fn is called once, never before this returned; the
 * returned handle is good until then. At the deadline the answer is
 * DNS_TIMEOUT, or the destinations whose addresses are known by then. NULL:
 * RESOLVE_PENDING_MAX are under way.
 *
 * A failing NAPTR query is as none, since many name servers do not know the
 * type. A failing SRV query is not: the addresses of the name itself are
 * likely those of a web server. */
struct resolve *resolve_start(struct resolver *resolver,
			      const struct resolve_target *target,
			      unsigned deadline_ms, resolve_fn *fn, void *arg);

/* Ends it without callback. NULL is fine. Not from its own callback. */
void resolve_cancel(struct resolve *resolve);

#endif
