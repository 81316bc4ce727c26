#ifndef REGISTRAR_CONTACTS_H
#define REGISTRAR_CONTACTS_H

/*
 * What a REGISTER asks for, read out of the message: its contacts with their
 * expiry within the bounds, Path (RFC 3327) and outbound (RFC 5626). The
 * message has passed sip_message_check().
 */

#include "services/registrar/binding.h"
#include "services/registrar/sip/flow.h"
#include "services/registrar/sip/message.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stdint.h>

/* Seconds; min_s <= default_s <= max_s. Only a minimum of at most an hour may
 * be insisted on (RFC 3261 10.3, step 7). */
struct contacts_bounds {
	uint32_t min_s;
	uint32_t max_s;
	uint32_t default_s;
};

/* Views into the message, path and received; to be read once, where it lies. */
struct contacts {
	struct binding_change change; /* contacts are items */
	bool outbound; /* done as of RFC 5626: the answer says so */
	struct binding items[BINDING_MAX];
	struct buffer *path; /* the caller's, for the text of Path */
	char received[SIP_ENDPOINT_TEXT];
};

/* Why a REGISTER is refused; status 0: it is not. */
struct contacts_fault {
	unsigned status; /* 400, 403, 420 (Unsupported: path), 423, 439 */
	const char *reason;
};

/* out->path is set by the caller, the rest here. */
struct contacts_fault contacts_read(const struct sip_message *message,
				    const struct sip_flow *flow,
				    const struct contacts_bounds *bounds,
				    const struct world_account *account,
				    struct contacts *out);

#endif
