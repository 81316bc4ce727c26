#ifndef REGISTRAR_LISTENERS_H
#define REGISTRAR_LISTENERS_H

/*
 * The SIP listeners as the transport service has them: each of its transports
 * is an open socket, changed and closed while the others go on. The TLS ones
 * share the one certificate; a new one is proved by a handshake first, and one
 * that fails leaves the old in place.
 */

#include "proto/buffer.h"
#include "services/registrar/sip/transport.h"
#include "services/registrar/world.h"

#include <stdbool.h>

struct listeners;

/* transports outlives it, and closes what it left open. authorities:
 * of clients' certificates; outlive it too. */
struct listeners *listeners_new(struct sip_transports *transports,
				struct sip_tls_authorities *authorities);
void listeners_free(struct listeners *listeners);

/* Opens a listener, or changes the one of this id. */
void listeners_set(struct listeners *listeners,
		   const struct world_transport *transport);
void listeners_remove(struct listeners *listeners, int64_t id);

/* PEM. What is wrong with it is logged and told by listeners_detail(). */
void listeners_key(struct listeners *listeners, const char *crt,
		   const char *key);

/* A listener of this protocol is open. */
bool listeners_active(const struct listeners *listeners,
		      enum sip_transport protocol);

/* The port of an open listener of this protocol; 0: there is none. */
uint16_t listeners_port(const struct listeners *listeners,
			enum sip_transport protocol);

/* Appends transport_detail_record's map. False: there is no such id. */
bool listeners_detail(const struct listeners *listeners, int64_t id,
		      struct buffer *out);

#endif
