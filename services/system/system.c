#include "services/system/system.h"

#include "proto/mem.h"
#include "services/system/admin.h"
#include "services/system/auth.h"

#include <stdlib.h>

enum {
	ANYBODY = PRINCIPAL_NOBODY | PRINCIPAL_SIGNED_IN | PRINCIPAL_SERVICE,
	/* A turn of the loop that waits for the last hashes of a stop. */
	DRAIN_TURN_MS = 100,
};

static const struct bus_method methods[] = {
	{"auth.sign_in", auth_sign_in, ANYBODY},
	{"auth.login", auth_login, ANYBODY},
	{"auth.oauth_token", auth_oauth_token, ANYBODY},
	{"auth.refresh", auth_refresh, ANYBODY},
	{"auth.session", auth_session, ANYBODY},
	{"auth.sign_out", auth_sign_out, ANYBODY},
	{"auth.user", auth_user, PRINCIPAL_SIGNED_IN},
	{"info.get", info_get, ANYBODY},
	{"admin.username", admin_username, PRINCIPAL_SYSTEM},
	{"admin.password", admin_password, PRINCIPAL_SYSTEM},
};

bool system_admits(struct system *system, struct bus_call *call,
		   const struct lockout_verdict *verdict, enum err_code code)
{
	struct err err;

	if (code) {
		bus_reply_code(call, code);
		return false;
	}
	if (verdict->left_s == 0)
		return true;
	system->locked++;
	err_set(&err, ERR_RATE_LIMITED, "too many failed sign-ins");
	err.retry_after_s = verdict->left_s;
	bus_reply_error(call, &err);
	return false;
}

static bool hash_begin(struct system *system, struct bus_call *call)
{
	struct err err = {0};

	if (system->hashes < SYSTEM_HASHES_MAX) {
		system->hashes++;
		return true;
	}
	err_set(&err, ERR_UNAVAILABLE,
		"too many sign-ins at once: nothing was done");
	err.retry_after_s = SYSTEM_HASHES_RETRY_S;
	bus_reply_error(call, &err);
	return false;
}

bool system_hash(struct system *system, struct bus_call *call,
		 struct slice password, secrets_password_fn *done, void *arg)
{
	if (!hash_begin(system, call))
		return false;
	secrets_password_hash(system->loop, password, done, arg);
	return true;
}

bool system_hash_check(struct system *system, struct bus_call *call,
		       struct slice password, const char *hash,
		       secrets_password_fn *done, void *arg)
{
	if (!hash_begin(system, call))
		return false;
	secrets_password_check(system->loop, password, hash, done, arg);
	return true;
}

void system_hash_done(struct system *system)
{
	system->hashes--;
}

static const char *not_ready(void *service)
{
	const struct system *system = service;

	if (!database_ready(system->database))
		return "database";
	if (!cache_ready(system->cache))
		return "cache";
	return first_ready(system->first) ? NULL : "administrator";
}

static void name_metrics(struct system *system)
{
	metrics_add(&system->metrics, METRICS_COUNTER, "system_sign_ins_total",
		    "Sign-ins that were granted.", &system->signed_in);
	metrics_add(&system->metrics, METRICS_COUNTER,
		    "system_sign_ins_refused_total",
		    "Sign-ins with a wrong name or password.",
		    &system->refused);
	metrics_add(&system->metrics, METRICS_COUNTER,
		    "system_sign_ins_locked_total",
		    "Sign-ins refused after too many failures.",
		    &system->locked);
}

static enum err_code listen_start(struct system *system,
				  const struct config *config, struct err *err)
{
	char *address = config_listen_address(config, "system");
	const struct bus_server_options options = {
		.address = address,
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
		.service = system,
		.metrics = &system->metrics,
		.not_ready = not_ready,
	};
	enum err_code code =
		bus_server_new(system->loop, &options, &system->bus, err);

	free(address);
	return code;
}

static enum err_code connect_start(struct system *system,
				   const struct config *config, struct err *err)
{
	const struct database_options options = {
		.url = config_str(config, CONFIG_DATABASE_URL),
		.default_role = "trunkline_system",
		.process = "system",
		.metrics = &system->metrics,
	};
	enum err_code code =
		database_new(system->loop, &options, &system->database, err);

	if (code)
		return code;
	return cache_new(system->loop, config_str(config, CONFIG_REDIS_URL),
			 &system->metrics, &system->cache, err);
}

static void system_free(void *self);

static enum err_code system_start(const struct process_kind *kind,
				  struct loop *loop,
				  const struct config *config, void **self,
				  struct err *err)
{
	(void)kind;
	if (!secrets_init())
		return err_set(err, ERR_INTERNAL,
			       "the machine gives no randomness");

	struct system *system = mem_alloc(sizeof(*system));

	system->loop = loop;
	info_init(&system->info, config);
	name_metrics(system);

	enum err_code code = connect_start(system, config, err);

	if (!code)
		system->first = first_new(loop, config, system->database);
	if (!code)
		code = listen_start(system, config, err);
	if (code) {
		system_free(system);
		return code;
	}
	*self = system;
	return ERR_OK;
}

static void system_stop(void *self)
{
	struct system *system = self;

	bus_server_stop(system->bus);
	first_stop(system->first);
}

static bool hashes_idle(const struct system *system)
{
	return system->hashes == 0 &&
	       (!system->first || first_idle(system->first));
}

static bool system_idle(void *self)
{
	const struct system *system = self;

	return bus_server_idle(system->bus) && hashes_idle(system) &&
	       database_idle(system->database) && cache_idle(system->cache);
}

/*
 * A hash on the pool cannot be called off, and its end uses all of this: it is
 * waited for, under a second. Then nothing new begins, as what ends with an
 * error goes no further, so the calls still open are answered by the ends of
 * database and cache before the bus goes.
 */
static void system_free(void *self)
{
	struct system *system = self;

	if (system->first)
		first_stop(system->first);
	while (!hashes_idle(system))
		loop_turn(system->loop, DRAIN_TURN_MS);
	database_free(system->database);
	cache_free(system->cache);
	first_free(system->first);
	bus_server_free(system->bus);
	free(system);
}

const struct process_kind system_process = {
	.name = "system",
	.start = system_start,
	.stop = system_stop,
	.idle = system_idle,
	.free = system_free,
};
