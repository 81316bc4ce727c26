#ifndef REGISTRAR_TRIAL_H
#define REGISTRAR_TRIAL_H

/*
 * A dry run of a trunk's settings before they are saved: the way there, an
 * OPTIONS, and where the trunk would register a short registration that is
 * taken back at once.
 *
 *	resolve --> connect --> options --> register --> unregister --> told
 *	   |           |           |           |
 *	   '-----------+-----------+-----------+--fault, deadline----> told
 *
 * Any answer to OPTIONS is good, and where it is not answered a REGISTER is
 * tried all the same: many carriers are silent there. Wrong credentials are
 * sent once. Requests are paced as those of trunks are.
 *
 * The binding has a user of its own in its Contact: taken back, it leaves that
 * of a live trunk with the same account alone. A carrier that grants one
 * binding only may still put this one in its place until the next refresh.
 *
 * A deadline that comes while a REGISTER is under way is told, and the trial
 * goes on unseen until what may be granted is taken back.
 */

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/message.h"
#include "services/registrar/ladder.h"
#include "services/registrar/status.h"
#include "services/registrar/trunk.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* At a time: each is some eight requests, and nobody runs more by hand.
	 */
	TRIAL_COUNT_MAX = 16,
	/* However long the caller would wait; and that long again until what
	 * was granted too late is taken back. */
	TRIAL_MAX_MS = 25000,
	/* An OPTIONS leaves this much of the caller's time to the REGISTER. */
	TRIAL_OPTIONS_MS = 2000,
	/* Long enough to take it back, short enough to forget it. */
	TRIAL_EXPIRES_S = 60,
	/* The longest diagnosis, and NUL. */
	TRIAL_DIAGNOSIS_BYTES = 256,
};

enum trial_step_kind {
	TRIAL_RESOLVE,
	TRIAL_CONNECT, /* of TCP and TLS, the handshake included */
	TRIAL_OPTIONS,
	TRIAL_REGISTER,
	TRIAL_UNREGISTER,
	TRIAL_STEPS,
};

struct trial_step {
	bool begun;
	bool ended;
	uint64_t began_ms, ended_ms; /* the agenda's clock */
	struct sip_flow flow;	     /* transport OTHER: not known yet */
	struct status_fault fault;   /* stage NONE: good, and the answer's code
					and words */
};

struct trial_report {
	bool ok;
	enum status_stage stage; /* of what failed */
	char diagnosis[TRIAL_DIAGNOSIS_BYTES];
	uint64_t took_ms;
	const struct trial_step *steps; /* TRIAL_STEPS */
	const struct ladder *ladder;
};

struct trials;

/* shared: the trunks', which outlives it. */
struct trials *trials_new(struct trunk_shared *shared);

/* Ends all, nothing is called. NULL is fine. */
void trials_free(struct trials *trials);

/* Told once, never before trial_start() returned; the report is the callee's
 * for the call. */
typedef void trial_fn(void *arg, const struct trial_report *report);

/* Settings are copied. deadline_ms: fn is called by then, or by TRIAL_MAX_MS.
 * ERR_VALIDATE: nothing is sent for this auth_mode. ERR_RATE_LIMITED: as many
 * run as may. fn is not called after either. */
enum err_code trial_start(struct trials *trials,
			  const struct world_trunk *settings,
			  uint32_t deadline_ms, trial_fn *fn, void *arg,
			  struct err *err);

/* The settings a request carries, as provider.create takes them from who asks;
 * texts are in the arena.
 * ERR_VALIDATE, ERR_MALFORMED as of record_decode(). */
enum err_code trial_settings_read(const struct request *request,
				  struct arena *arena, struct world_trunk *out,
				  struct err *err);

/* Appends a trial_record. */
void trial_report_encode(const struct trial_report *report, struct buffer *out);

#endif
