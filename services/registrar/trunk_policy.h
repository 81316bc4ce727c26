#ifndef REGISTRAR_TRUNK_POLICY_H
#define REGISTRAR_TRUNK_POLICY_H

/*
 * What an answer to a REGISTER means and when to try again. Pure functions: the
 * rules of trunk.h in tables.
 */

#include "services/registrar/sip/message.h"
#include "services/registrar/status.h"

#include <stdbool.h>
#include <stdint.h>

enum policy_action {
	POLICY_REGISTERED,
	POLICY_CHALLENGE,   /* answer it */
	POLICY_MIN_EXPIRES, /* ask for longer, once */
	POLICY_NEXT,	    /* this server cannot: another one of the name */
	POLICY_FAIL,	    /* the trunk's owner has to look */
};

/* How soon to try again. */
enum policy_pace {
	POLICY_SOON, /* it may pass: the server, the network */
	POLICY_SLOW, /* it will not pass by itself, and carriers ban those who
			insist: wrong credentials, an unknown user */
};

struct policy_rule {
	unsigned first, last; /* statuses */
	enum policy_action action;
	enum policy_pace pace;
};

/* Every status of 200 to 699 has a rule. Redirections are not followed: our
 * credentials are for the host that was configured. */
const struct policy_rule *policy_rule_of(unsigned status);

enum {
	/* Back-off doubles from the first to the second; a wait is 75 to 100 %
	 * of it, so that trunks which failed together come back apart. */
	POLICY_SOON_MIN_MS = 4 * 1000,
	POLICY_SOON_MAX_MS = 300 * 1000,
	/* Banning tools count some five failures in ten minutes. */
	POLICY_SLOW_MIN_MS = 300 * 1000,
	POLICY_SLOW_MAX_MS = 3600 * 1000,
	/* What a carrier may ask for by Retry-After: an hour, so that no typing
	 * error there puts a trunk away for a year. */
	POLICY_RETRY_AFTER_MAX_S = 3600,
	/* Never more often, however short a registration is granted. */
	POLICY_REFRESH_MIN_MS = 5 * 1000,
	/* A registration asked for or demanded by a 423 is within these. */
	POLICY_EXPIRES_MIN_S = 10,
	POLICY_EXPIRES_MAX_S = 7 * 24 * 3600,
	POLICY_EXPIRES_DEFAULT_S = 600, /* where none is configured */
};

/* A generator for jitter; any state to start with. */
uint64_t policy_random(uint64_t *state);

/* The wait before the next try; failures counts this one, from 1. retry_after_s
 * 0: not asked for. */
uint64_t policy_backoff_ms(enum policy_pace pace, uint32_t failures,
			   uint32_t retry_after_s, uint64_t *random);

/* When to refresh a registration of that length: at 80 to 90 % of it. */
uint64_t policy_refresh_ms(uint32_t expires_s, uint64_t *random);

/* What to ask for. */
uint32_t policy_expires_s(uint32_t interval_s, uint32_t min_expires_s);

/* Takes the Min-Expires of a 423. False: none, or none to ask for after
 * asked_s. */
bool policy_min_expires(const struct sip_message *response, uint32_t asked_s,
			uint32_t *min_s);

/* How long the registration of a contact (a URI) was granted by a 2xx: by its
 * Contact, by Expires, or as asked for; never longer than that. 0: it was not.
 * Where the carrier has rewritten our address, its only Contact is ours. */
uint32_t policy_granted_s(const struct sip_message *response,
			  struct slice contact, uint32_t asked_s);

#endif
