#ifndef REGISTRAR_SIP_VIA_H
#define REGISTRAR_SIP_VIA_H

/* Via header field values (RFC 3261 20.42, RFC 3581 rport). */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/registrar/sip/uri.h"

#include <stdint.h>

/* What branches of RFC 3261 senders start with (8.1.1.7). */
#define SIP_BRANCH_COOKIE "z9hG4bK"

struct sip_via {
	struct slice text; /* all of this value, without the comma after it */
	enum sip_transport transport;
	struct slice transport_text;
	struct sip_host sent_by;
	struct slice parameters; /* ";a=b;c" or empty, well-formed */
	struct slice branch;	 /* absent: none (RFC 2543 senders) */
	struct slice received;	 /* absent: none */
	struct slice maddr;	 /* absent: none */
	bool has_rport;		 /* asked for, or filled in */
	uint16_t rport;		 /* 0: asked for, not filled in */
};

/* Reads one value of a Via line and the comma behind it, as parameter.h says of
 * readers. A fault behind sent-by leaves transport and sent_by set
 * (sent_by.kind != SIP_HOST_NONE), so that a request with a broken Via can
 * still be refused, as RFC 4475 3.1.2.1 asks. `text` is then the rest of the
 * line. */
enum err_code sip_via_next(struct slice *rest, struct sip_via *out);

/* Whether the branch carries the cookie and something behind it, so that it
 * identifies a transaction by itself (RFC 3261 17.2.3). RFC 4475 3.2.1
 * has the bare cookie. */
bool sip_via_branch_unique(const struct sip_via *via);

#endif
