#ifndef SYSTEM_SYSTEM_H
#define SYSTEM_SYSTEM_H

/*
 * The system service: sign-in, the administrator's account, the audit log, what
 * the machine tells of itself. It owns the PostgreSQL schema `system`, reads
 * the accounts of dealers and tenants' users in theirs, and writes sessions and
 * failed sign-ins to Redis.
 *
 *   method            who            arguments       answer
 *   auth.sign_in      anybody        sign_in         token_set
 *   auth.login        anybody        sign_in         login_tokens
 *   auth.oauth_token  anybody        oauth_token     token_set
 *   auth.refresh      anybody        refresh         token_set
 *   auth.session      anybody        access_token    login
 *   auth.sign_out     anybody        access_token    nil
 *   auth.user         signed in      none            signed_in_user
 *   auth.switch       administrator, switch          nil
 *                     dealer
 *   info.get          anybody        info_query      info
 *   admin.username    administrator  admin_username  nil
 *   admin.password    administrator  admin_password  nil
 *   audit.list        see audit_resource (proto/resources/audit.h)
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
#include "services/common/lockout.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/common/passwords.h"
#include "services/common/process.h"
#include "services/common/resource.h"
#include "services/system/first.h"
#include "services/system/info.h"
#include "services/system/retention.h"

#include <stdbool.h>
#include <stdint.h>

/* Owned by the process; handlers get it as their service. */
struct system {
	struct loop *loop;
	struct database *database;
	struct cache *cache;
	struct bus_server *bus;
	struct bus_method *methods;
	struct first *first;
	struct passwords *passwords;
	struct resource_store *audit;
	struct retention *retention;
	struct info info;
	struct metrics metrics;
	uint64_t signed_in;
	uint64_t refused;
	uint64_t locked;
};

extern const struct process_kind system_process;

/* lockout_admits() that counts who is refused. */
bool system_admits(struct system *system, struct bus_call *call,
		   const struct lockout_verdict *verdict, enum err_code code);

#endif
