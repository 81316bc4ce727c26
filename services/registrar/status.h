#ifndef REGISTRAR_STATUS_H
#define REGISTRAR_STATUS_H

/*
 * What is known of a trunk, as REST tells it: GET
 * /api/providers/{id}/registration gives all of it, /status only ONLINE or
 * OFFLINE. Nothing here is secret.
 */

#include "proto/buffer.h"
#include "proto/slice.h"
#include "services/registrar/ladder.h"
#include "services/registrar/sip/digest_header.h"
#include "services/registrar/sip/endpoint.h"
#include "services/registrar/sip/names.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a trunk is in its life: trunk.h draws it. */
#define STATUS_PHASE_LIST(X)                                                   \
	X(TRUNK_UNREGISTERED, "unregistered")                                  \
	X(TRUNK_RESOLVING, "resolving")                                        \
	X(TRUNK_CONNECTING, "connecting")                                      \
	X(TRUNK_TRYING, "trying")                                              \
	X(TRUNK_CHALLENGED, "challenged")                                      \
	X(TRUNK_REGISTERED, "registered")                                      \
	X(TRUNK_BACKING_OFF, "backing_off")                                    \
	X(TRUNK_UNREGISTERING, "unregistering")                                \
	X(TRUNK_DISABLED, "disabled")

enum trunk_phase {
#define STATUS_PHASE_ENUM(name, text) name,
	STATUS_PHASE_LIST(STATUS_PHASE_ENUM)
#undef STATUS_PHASE_ENUM
		TRUNK_PHASES,
};

/* What went wrong last. */
#define STATUS_STAGE_LIST(X)                                                   \
	X(STATUS_NONE, "none")                                                 \
	X(STATUS_DNS, "dns")                                                   \
	X(STATUS_CONNECT, "connect")                                           \
	X(STATUS_TLS, "tls")                                                   \
	X(STATUS_AUTH, "auth")                                                 \
	X(STATUS_TIMEOUT, "timeout")                                           \
	X(STATUS_REJECTED, "rejected")

enum status_stage {
#define STATUS_STAGE_ENUM(name, text) name,
	STATUS_STAGE_LIST(STATUS_STAGE_ENUM)
#undef STATUS_STAGE_ENUM
		STATUS_STAGES,
};

const char *status_phase_text(enum trunk_phase phase);
const char *status_stage_text(enum status_stage stage);

/* False: it is none of the words; *out is untouched. */
bool status_phase_find(struct slice text, enum trunk_phase *out);
bool status_stage_find(struct slice text, enum status_stage *out);

enum {
	STATUS_REASON_BYTES = 128, /* a reason phrase, a library's words */
};

/* What a failure, or the last answer, said. A zeroed struct is none. */
struct status_fault {
	enum status_stage stage;
	unsigned code; /* SIP status; 0: nothing was answered */
	char reason[STATUS_REASON_BYTES];
};

/* Whether keep-alives are answered. */
struct status_alive {
	bool asked;    /* ended at least once */
	bool alive;    /* the last one was answered */
	int64_t at_ms; /* when that was */
	struct status_fault fault;
};

/* Times are in milliseconds since 1970 UTC; 0: none. */
struct trunk_status {
	enum trunk_phase phase;
	int64_t phase_since_ms;
	bool online;
	int64_t online_since_ms;   /* since when online, or since when not */
	struct status_fault fault; /* of the last failure; its stage is none
				      once it is registered again */
	unsigned last_code;	   /* the last answer to a REGISTER */
	char last_reason[STATUS_REASON_BYTES];
	enum sip_transport transport;	 /* of the target; OTHER: none yet */
	struct sip_endpoint target;	 /* tried last */
	enum digest_algorithm algorithm; /* OTHER: not challenged */
	uint32_t failures;		 /* one after the other */
	int64_t expires_ms;		 /* of the registration */
	int64_t next_attempt_ms;
	struct status_alive alive;
};

void status_fault_set(struct status_fault *fault, enum status_stage stage,
		      unsigned code, struct slice reason);

/* PortSIP's word. */
const char *status_online_text(bool online);

/* Appends one msgpack map; ladder NULL: without it. */
void status_encode(const struct trunk_status *status,
		   const struct ladder *ladder, struct buffer *out);

#endif
