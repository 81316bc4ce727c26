#ifndef REGISTRAR_SIP_ADDRESS_H
#define REGISTRAR_SIP_ADDRESS_H

/*
 * name-addr and addr-spec with parameters: From, To, Contact, Path, Route,
 * Record-Route, Service-Route, P-Asserted-Identity (RFC 3261 20.10, 25.1).
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"
#include "services/registrar/sip/uri.h"

#include <stdint.h>

struct sip_address {
	struct slice text;    /* all of this value, without the comma behind */
	bool star;	      /* Contact: *; all else is empty then */
	struct slice display; /* as written, quotes included; empty: none */
	struct sip_uri uri;
	struct slice parameters; /* of the header field: ";a=b;c" or empty,
				    well-formed */

	/* Parameters that are asked for: absent where there is none, empty
	 * where it stands without a value. */
	struct slice tag;
	struct slice expires, q, instance; /* of a contact */
};

/* Reads one value of a comma list and the comma behind it, as parameter.h says
 * of readers. Without '<' the URI ends at the first ';', '?' or ',', and what
 * follows belongs to the header field; a '?' is ERR_MALFORMED there (RFC 3261
 * 20.10, RFC 4475 3.1.2.13). */
enum err_code sip_address_next(struct slice *rest, struct sip_address *out);

/* Reads a value that is one address and not '*': From, To. */
enum err_code sip_address_decode(struct slice value, struct sip_address *out);

/* The `expires` parameter of a contact. ERR_NOT_FOUND: there is none.
 * ERR_MALFORMED: not a 32-bit number; RFC 3261 20.10 has such a value treated
 * as 3600. */
enum err_code sip_address_expires(const struct sip_address *address,
				  uint32_t *expires_s);

/* The `q` parameter in thousandths, 1000 where it is missing or broken. */
unsigned sip_address_q(const struct sip_address *address);

/* Appends the display name as text: no quotes, no escapes. */
void sip_address_display_append(struct buffer *out,
				const struct sip_address *address);

#endif
