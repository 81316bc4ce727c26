#ifndef REGISTRAR_LADDER_H
#define REGISTRAR_LADDER_H

/*
 * The SIP messages of a trunk's last attempts, for whoever has to find out why
 * it does not register. What proves a password is masked before it is stored:
 * `response` and its like whole, nonces but for their first characters, which
 * is what tells one from the other.
 */

#include "proto/buffer.h"
#include "services/registrar/sip/flow.h"
#include "services/registrar/sip/message.h"

#include <stddef.h>
#include <stdint.h>

enum {
	/* Four registrations with a challenge each. */
	LADDER_MESSAGES_MAX = 16,
	/* A longer message is cut. */
	LADDER_MESSAGE_BYTES_MAX = 2048,
	/* Of all messages of a trunk: with 20 000 trunks 160 MB at the worst,
	 * and room for 16 messages as carriers send them. */
	LADDER_BYTES_MAX = 8192,
};

enum ladder_direction {
	LADDER_OUT,
	LADDER_IN,
	LADDER_NOTE, /* no message: "no answer", "certificate expired" */
};

struct ladder_entry {
	int64_t unix_ms;
	enum ladder_direction direction;
	struct sip_flow flow;
	char *text; /* owned */
	size_t size;
};

/* A zeroed struct is an empty ladder. */
struct ladder {
	unsigned first;
	unsigned count;
	size_t bytes;
	struct ladder_entry entries[LADDER_MESSAGES_MAX];
};

void ladder_fini(struct ladder *ladder);

/* Copies a message, masked; the oldest go to make room. */
void ladder_add(struct ladder *ladder, int64_t unix_ms,
		enum ladder_direction direction, const struct sip_flow *flow,
		const struct sip_message *message);

/* The same for words of ours. */
void ladder_note(struct ladder *ladder, int64_t unix_ms,
		 const struct sip_flow *flow, const char *text);

/* Appends all of it as text, the oldest first. */
void ladder_text(const struct ladder *ladder, struct buffer *out);

/* Appends a msgpack array of maps {time, direction, transport, local, remote,
 * text}; bytes of text that are no UTF-8 become '?'. time is in milliseconds
 * since 1970. */
void ladder_encode(const struct ladder *ladder, struct buffer *out);

#endif
