#ifndef REGISTRAR_SIP_CHECK_H
#define REGISTRAR_SIP_CHECK_H

/*
 * What a user agent server asks of a message before it acts on it (RFC 3261
 * 8.2, 8.1.3.3, 10.3; RFC 4475 for what goes wrong). The header fields every
 * message needs, and those of them a registrar acts on, have to be there, once
 * and well-formed. What the sender wants is the caller's business, and so are
 * 401, 403, 404, 415 and 423. Linear in the bytes; nothing is allocated.
 */

#include "services/registrar/sip/message.h"

#include <stddef.h>
#include <stdint.h>

enum sip_outcome {
	SIP_VERDICT_ACCEPT, /* zero: go on */
	SIP_VERDICT_REFUSE, /* answer with the status */
	SIP_VERDICT_DROP,   /* say nothing: a response, an ACK, or nowhere to
			       answer */
};

struct sip_verdict {
	enum sip_outcome outcome;
	unsigned status;    /* for SIP_VERDICT_REFUSE: 400, 405, 416, 420, 501,
			       505, 513 */
	const char *reason; /* reason phrase and log text; NULL: good */
};

/* What we serve. */
struct sip_policy {
	uint32_t methods; /* SIP_METHOD_BIT()s; a known method that is not in
			     it is a 405, an unknown one a 501 */
	const char *const *extensions; /* option tags Require may name */
	size_t extension_count;
};

/* Max-Forwards of 0 is no reason to refuse: only a proxy answers 483 (RFC 4475
 * 3.3.11). */
struct sip_verdict sip_message_check(const struct sip_message *message,
				     const struct sip_policy *policy);

/* The policy knows an option tag, its case aside. */
bool sip_policy_extends(const struct sip_policy *policy, struct slice tag);

#endif
