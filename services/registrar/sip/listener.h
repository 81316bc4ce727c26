#ifndef REGISTRAR_SIP_LISTENER_H
#define REGISTRAR_SIP_LISTENER_H

/*
 * One configured transport: a protocol on a port, on one address or more. It is
 * opened, changed and closed while others carry traffic. What cannot be bound
 * is tried again until it can.
 */

#include "proto/error.h"
#include "services/common/loop.h"
#include "services/registrar/sip/endpoint.h"
#include "services/registrar/sip/names.h"
#include "services/registrar/sip/stream.h"
#include "services/registrar/sip/tls.h"
#include "services/registrar/sip/udp.h"

#include <stddef.h>
#include <stdint.h>

struct sip_listener;

enum {
	SIP_LISTENER_ADDRESSES_MAX = 8, /* more than a host is given */
	/* A port that was freed is ours within a second, and trying costs two
	 * system calls. */
	SIP_LISTENER_RETRY_MS = 1000,
};

/* What all listeners of a process share; it outlives them. */
struct sip_listener_host {
	struct loop *loop;
	struct sip_streams *streams; /* takes the connections */
	sip_udp_fn *on_datagram;
	sip_udp_refused_fn *on_refused; /* or NULL */
	void *arg;
	unsigned retry_ms; /* 0: SIP_LISTENER_RETRY_MS */
};

struct sip_listener_options {
	enum sip_transport transport; /* UDP, TCP, TLS */
	uint16_t port;		      /* 0: any free one, for each address */
	/* Where; their ports are not looked at. None: the wildcards of IPv4
	 * and, where the machine has it, IPv6. */
	const struct sip_endpoint *addresses;
	size_t address_count;
	/* TLS: a server's context, shared. NULL: there is no certificate yet,
	 * the listener is DEACTIVATED until sip_listener_tls_set(). */
	struct sip_tls_context *context;
};

/*
 *               an address is bound, at once or by a retry
 * new --> DEACTIVATED ----------------------------> ACTIVATED
 *              ^                                        |
 *              +------ changed, and none is bound ------+
 */
enum sip_listener_state {
	SIP_LISTENER_DEACTIVATED,
	SIP_LISTENER_ACTIVATED,
};

struct sip_listener_detail {
	enum sip_listener_state state;
	/* Of the first address that is not bound; "": all are. Also while
	 * others are: then it is ACTIVATED. Lent until the next change. */
	const char *reason;
	struct sip_endpoint bound[SIP_LISTENER_ADDRESSES_MAX];
	size_t bound_count;
	size_t connections;
	/* Since the listener was made, over all its changes. */
	uint64_t packets_in;
	uint64_t packets_out;
	uint64_t dropped;
	uint64_t lost; /* UDP: in the kernel's receive buffer */
	uint64_t refused;
	uint64_t errors;
	int64_t certificate_expires_s; /* TLS, unix time; 0: none */
};

/* Tries to open at once. host is kept by pointer. At most
 * SIP_LISTENER_ADDRESSES_MAX addresses. */
struct sip_listener *
sip_listener_new(const struct sip_listener_host *host,
		 const struct sip_listener_options *options);

/* Closes its sockets and ends its connections. */
void sip_listener_free(struct sip_listener *listener);

/* Other port, addresses or context; the transport stays. Addresses that stay
 * with the same port are not touched, nor are their connections. */
void sip_listener_change(struct sip_listener *listener,
			 const struct sip_listener_options *options);

/* New connections get this context (shared); those there are live on. */
void sip_listener_tls_set(struct sip_listener *listener,
			  struct sip_tls_context *context);

enum sip_transport sip_listener_transport(const struct sip_listener *listener);

void sip_listener_detail(const struct sip_listener *listener,
			 struct sip_listener_detail *detail);

/* "ACTIVATED", "DEACTIVATED". */
const char *sip_listener_state_text(enum sip_listener_state state);

/* Its UDP socket by which a datagram from an address of ours can leave: with
 * port 0 in it, whatever port. NULL: none. */
struct sip_udp *sip_listener_udp(const struct sip_listener *listener,
				 const struct sip_endpoint *local);

#endif
