#ifndef REGISTRAR_BINDING_H
#define REGISTRAR_BINDING_H

/*
 * What a registration binds to an address of record (RFC 3261 10): its
 * contacts, how a REGISTER changes them, and the bytes they are kept as.
 * bindings.h keeps them in Redis.
 *
 * The value of an address of record is one msgpack array of its bindings, each
 * an array of
 *
 *   [contact, call_id, instance, reg_id,
 *    cseq, expires_at, registered_at,
 *    q, path, received, transport, user_agent, trunk_id,
 *    user_id, tenant_id]
 *
 * without the last line where an earlier version wrote it.
 *
 * The first line tells whether a REGISTER is the refresh of this very binding,
 * the second is written as three 32-bit numbers, whatever their size: so a
 * script in Redis can compare and change a value without taking it apart.
 */

#include "proto/buffer.h"
#include "proto/slice.h"
#include "services/registrar/sip/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Contacts of one address of record, and of one REGISTER: a desk
	 * phone, a mobile and a softphone over two flows each have six. */
	BINDING_MAX = 10,

	/* What is kept of each text, bytes: real ones are under half of it. A
	 * longer contact, Call-ID, instance or path is refused by the caller,
	 * a longer user agent cut. */
	BINDING_CONTACT_BYTES = 512,
	BINDING_CALL_ID_BYTES = 256,
	BINDING_INSTANCE_BYTES = 128,
	BINDING_PATH_BYTES = 1024,
	BINDING_RECEIVED_BYTES = 80, /* SIP_ENDPOINT_TEXT, rounded up */
	BINDING_AGENT_BYTES = 128,
};

/* Texts may be empty but for contact and call_id. They hold no CR, LF or NUL
 * where they came out of a message. */
struct binding {
	struct slice contact;  /* the URI, as sent */
	struct slice call_id;  /* of the REGISTER that made it */
	struct slice instance; /* +sip.instance, as between its quotes */
	uint32_t reg_id;       /* RFC 5626; 0: none */
	uint32_t cseq;	       /* of that REGISTER */
	uint32_t expires_s;    /* seconds left; in a change: asked, 0: remove
				*/
	int64_t registered_at; /* since when, seconds since 1970 UTC */
	unsigned q;	       /* thousandths */
	struct slice path;     /* RFC 3327: the value of Path, all of it */
	struct slice received; /* where the request came from */
	enum sip_transport transport; /* over what */
	struct slice user_agent;
	/* Of the account; 0: none. */
	int64_t trunk_id;
	int64_t user_id;
	int64_t tenant_id; /* whose the account is */
};

struct binding_set {
	size_t count;
	struct binding items[BINDING_MAX];
};

/* Appends the value of a set. now_s: seconds since 1970 UTC. */
void binding_set_encode(const struct binding_set *set, int64_t now_s,
			struct buffer *out);

/* Reads a value: what has expired at now_s is left out, texts are views. False:
 * these are not bindings; *out is then empty. */
bool binding_set_decode(struct slice value, int64_t now_s,
			struct binding_set *out);

/* The two parts of the value of a set of one binding around the three numbers,
 * which are 5 bytes each: 0xce and 32 bits, big endian. */
void binding_number_append(struct buffer *out, uint32_t number);
void binding_head_append(struct buffer *out, const struct binding *binding);
void binding_tail_append(struct buffer *out, const struct binding *binding);

/* Whose it is: the end of the tail. */
void binding_account_append(struct buffer *out, const struct binding *binding);

/* Whether a binding is to be removed; asked once for each there is, again where
 * a change is decided anew. */
typedef bool binding_drop_fn(void *arg, const struct binding *binding);

/* What a REGISTER asks for, or what we do of ourselves. */
struct binding_change {
	struct slice call_id;
	uint32_t cseq;
	bool all; /* Contact: * with an Expires of 0 */
	/* At most BINDING_MAX; call_id and cseq of each as above. With none,
	 * and not all: a query. */
	const struct binding *contacts;
	size_t count;
	/* Set: those it names are removed, whatever order asks for, and nothing
	 * else of this counts. */
	binding_drop_fn *drop;
	void *drop_arg;
};

enum binding_outcome {
	BINDING_SAME,	   /* a query, a retransmission, nothing to remove */
	BINDING_REFRESHED, /* what there was goes on */
	BINDING_ADDED,	   /* at least one is new */
	BINDING_REMOVED,   /* at least one has ended, none is new */
	/* Nothing was changed: */
	BINDING_OUT_OF_ORDER, /* older than what there is, RFC 3261 10.3 */
	BINDING_FULL,	      /* they would be more than BINDING_MAX */
};

/*
 * Applies a change as a whole or, with the last two outcomes, not at all: *out
 * is then what there was. Views of *out are those of both arguments.
 *
 * A contact replaces the binding of the same instance and reg-id (RFC 5626 6),
 * without a reg-id the one of an equal URI (RFC 3261 19.1.4) or else of the
 * same instance: a phone that has moved does not leave its old address behind.
 * Of the same Call-ID a lower CSeq is out of order, and an equal one a
 * retransmission, which changes nothing.
 */
enum binding_outcome binding_merge(const struct binding_set *old,
				   const struct binding_change *change,
				   int64_t now_s, struct binding_set *out);

#endif
