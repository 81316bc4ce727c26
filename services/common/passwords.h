#ifndef COMMON_PASSWORDS_H
#define COMMON_PASSWORDS_H

/*
 * The passwords of accounts: what a policy asks of them, and the bounded line
 * at the thread pool that hashes and checks them (argon2id, secrets.h).
 */

#include "services/common/bus_server.h"
#include "services/common/metrics.h"
#include "services/common/secrets.h"

/* What a password has to be: GET /api/tenant/password_policy (PortSIP v22). */
struct password_policy {
	int64_t min_length; /* characters */
	int64_t max_length;
	bool contains_letters;
	bool contains_numbers;
	bool contains_special_letters;	    /* an upper case letter or a special
					     * character */
	bool disable_sequential_characters; /* no run such as 123 or cba */
	bool disable_repeating_characters;  /* no run such as 111 */
	bool disable_account_information;   /* not the account's own names */
};

/* 8..32 characters, letters and digits: administrators and dealers. */
extern const struct password_policy password_policy_operator;

/* Adds a detail for each rule that is broken, under the field's name. account:
 * texts it must not contain, without case; empty and absent ones do not count.
 */
enum err_code password_policy_check(const struct password_policy *policy,
				    struct slice password,
				    const struct slice *account, size_t count,
				    const char *field, struct err *err);

/* The line. One per process. */
struct passwords;

enum {
	/* Hashed or waiting for it. The pool's 4 threads hash 4 at a time,
	 * 64 MiB and some 0.1 s each, so the memory is bounded by the pool and
	 * the last of these waits under a second; past it callers are sent away
	 * instead of being made to wait. */
	PASSWORDS_WAITING_MAX = 32,
	PASSWORDS_RETRY_S = 1,
};

struct passwords *passwords_new(struct loop *loop);

/* Nothing waits any more: see passwords_idle(). */
void passwords_free(struct passwords *passwords);
bool passwords_idle(const struct passwords *passwords);

/* As secrets_password_hash() and secrets_password_check(); false, with the call
 * answered ERR_UNAVAILABLE, where PASSWORDS_WAITING_MAX are waiting. */
bool passwords_hash(struct passwords *passwords, struct bus_call *call,
		    struct slice password, secrets_password_fn *done,
		    void *arg);
bool passwords_check(struct passwords *passwords, struct bus_call *call,
		     struct slice password, const char *hash,
		     secrets_password_fn *done, void *arg);

#endif
