#ifndef SYSTEM_SYSTEM_H
#define SYSTEM_SYSTEM_H

/*
 * The system service: sign-in, the administrator's account, what the machine
 * tells of itself. It owns the PostgreSQL schema `system` and writes sessions
 * and failed sign-ins to Redis.
 *
 *   method            who            arguments       answer
 *   auth.sign_in      anybody        sign_in         token_set
 *   auth.login        anybody        sign_in         login_tokens
 *   auth.oauth_token  anybody        oauth_token     token_set
 *   auth.refresh      anybody        refresh         token_set
 *   auth.session      anybody        access_token    login
 *   auth.sign_out     anybody        access_token    nil
 *   auth.user         signed in      none            signed_in_user
 *   info.get          anybody        info_query      info
 *   admin.username    administrator  admin_username  nil
 *   admin.password    administrator  admin_password  nil
 *
 * Arguments and answers are the ..._record of that name (proto/resources).
 * Sign-ins take long on purpose (argon2id): callers send them on their slow
 * lane.
 */

#include "proto/error.h"
#include "services/common/bus_server.h"
#include "services/common/cache.h"
#include "services/common/config.h"
#include "services/common/database.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/common/process.h"
#include "services/common/secrets.h"
#include "services/system/first.h"
#include "services/system/info.h"
#include "services/system/lockout.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* Passwords hashed or waiting for it. The pool's 4 threads hash 4 at a
	 * time, 64 MiB and some 0.1 s each, so the memory is bounded by the
	 * pool and the last of these waits under a second; past it callers are
	 * sent away instead of being made to wait. */
	SYSTEM_HASHES_MAX = 32,
	SYSTEM_HASHES_RETRY_S = 1,
};

/* Owned by the process; handlers get it as their service. */
struct system {
	struct loop *loop;
	struct database *database;
	struct cache *cache;
	struct bus_server *bus;
	struct first *first;
	struct info info;
	struct metrics metrics;
	unsigned hashes; /* at work or waiting, at most SYSTEM_HASHES_MAX */
	uint64_t signed_in;
	uint64_t refused;
	uint64_t locked;
};

extern const struct process_kind system_process;

/* Whether the source of a call may try a password, as lockout_tell() said.
 * False: it may not, or that is not known, and the call was answered. */
bool system_admits(struct system *system, struct bus_call *call,
		   const struct lockout_verdict *verdict, enum err_code code);

/* A password is hashed or checked, as secrets.h says; false, with the call
 * answered, where SYSTEM_HASHES_MAX are already. done calls
 * system_hash_done() first. */
bool system_hash(struct system *system, struct bus_call *call,
		 struct slice password, secrets_password_fn *done, void *arg);
bool system_hash_check(struct system *system, struct bus_call *call,
		       struct slice password, const char *hash,
		       secrets_password_fn *done, void *arg);
void system_hash_done(struct system *system);

#endif
