#ifndef REGISTRAR_REGISTRAR_H
#define REGISTRAR_REGISTRAR_H

/*
 * The registrar process: the SIP side of the suite.
 *
 *   transport service --> world --> listeners --> SIP sockets
 *   provider service  --> world --> inbound: who may register
 *   tenant service    --> world --> inbound, likewise
 *   who is gone       --> world --> sweep --> bindings
 *   SIP message --> inbound --> bindings (Redis) --> answer
 *   provider service  --> world --> outbound: trunks that we register
 *   REST, bus   --> methods: what is open, who is registered, and why not
 */

#include "services/common/bus_server.h"
#include "services/common/cache.h"
#include "services/common/process.h"
#include "services/common/secrets.h"
#include "services/registrar/bindings.h"
#include "services/registrar/inbound.h"
#include "services/registrar/listeners.h"
#include "services/registrar/outbound.h"
#include "services/registrar/sweep.h"
#include "services/registrar/trial.h"
#include "services/registrar/world.h"

/* The running process: the service pointer of methods.h. */
struct registrar {
	struct loop *loop;
	struct metrics metrics;
	struct secrets_key *key;
	struct cache *cache;
	struct sip_tls_authorities *authorities;
	struct sip_tls_context *client_tls;
	struct sip_transports *transports;
	struct listeners *listeners;
	struct world *world;
	struct bindings *bindings;
	struct sweep *sweep;
	struct inbound *inbound;
	struct outbound *outbound;
	struct trials *trials;
	struct bus_server *server;
	struct sip_message message; /* the one being looked at */
	char owner[256];	    /* who it is to the other registrars */
	bool stopping;
	uint64_t messages;
	uint64_t unreadable;
};

extern const struct process_kind registrar_process;

#endif
