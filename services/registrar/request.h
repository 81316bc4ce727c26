#ifndef REGISTRAR_REQUEST_H
#define REGISTRAR_REQUEST_H

/*
 * The requests a trunk is sent: REGISTER (RFC 3261 10.2) and OPTIONS (11.1).
 *
 *	REGISTER sip:HOSTNAME SIP/2.0
 *	Via: SIP/2.0/UDP AT;branch=...;rport
 *	Max-Forwards: 70
 *	From: <sip:USER@HOSTNAME>;tag=...
 *	To: <sip:USER@HOSTNAME>
 *	Call-ID: the same for the life of the trunk
 *	CSeq: one more each time
 *	Contact: <sip:USER@AT;transport=...>
 *	Expires: register_interval
 *	Authorization: as challenged
 *
 * USER is settings_user(). AT is where requests reach us: the public address of
 * that family, but the private one toward a trunk in our own network (inlan).
 * Via has the public one only with rewrite_via_ip: the answer comes to where
 * the request came from anyway (RFC 3581). There is one Via, whatever
 * single_via_header says, and no Route: the next hop is where the request is
 * sent.
 */

#include "proto/buffer.h"
#include "services/registrar/sip/endpoint.h"
#include "services/registrar/wire.h"
#include "services/registrar/world.h"

#include <stdint.h>

enum {
	REQUEST_MAX_FORWARDS = 70, /* RFC 3261 8.1.1.6 */
	REQUEST_TAG_BYTES = 17,	   /* 64 bits as hex, and NUL */
	REQUEST_CALL_ID_BYTES = 65,
};

/* Who we are to others. */
struct request_self {
	/* As peers outside our network see us; none: as we see ourselves. */
	struct sip_endpoint public_v4;
	struct sip_endpoint public_v6;
	const char *user_agent;
};

/* What both kinds of request have. */
struct trunk_request {
	const struct request_self *self;
	const struct world_trunk *trunk;
	const struct wire_way *way;
	struct slice branch;
	struct slice call_id;
	struct slice tag; /* of From */
	uint32_t cseq;
};

/* Appends the URI a trunk reaches us at, without brackets: the Contact. */
void request_contact_append(struct buffer *out,
			    const struct trunk_request *request);

/* All of a REGISTER but the credentials, which are header lines of their own:
 * request_end() follows. contact is a URI. */
void request_register(struct buffer *out, const struct trunk_request *request,
		      struct slice contact, uint32_t expires_s);

void request_options(struct buffer *out, const struct trunk_request *request);

void request_end(struct buffer *out);

/* The Request-URI of a trunk: "sip:HOSTNAME". The digest's uri. */
void request_uri_append(struct buffer *out, const struct world_trunk *trunk);

/* Random, as hex. */
void request_tag(char out[REQUEST_TAG_BYTES]);
void request_call_id(char out[REQUEST_CALL_ID_BYTES]);

#endif
