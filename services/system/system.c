#include "services/system/system.h"

#include "proto/mem.h"
#include "proto/resources/audit.h"
#include "services/system/admin.h"
#include "services/system/auth.h"
#include "services/system/switch.h"

#include <stdlib.h>
#include <string.h>

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
	{"auth.switch", switch_run,
	 PRINCIPAL_SYSTEM | PRINCIPAL_DEALER | PRINCIPAL_ADMIN},
	{"info.get", info_get, ANYBODY},
	{"admin.username", admin_username, PRINCIPAL_SYSTEM},
	{"admin.password", admin_password, PRINCIPAL_SYSTEM},
};

enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

bool system_admits(struct system *system, struct bus_call *call,
		   const struct lockout_verdict *verdict, enum err_code code)
{
	if (!code && verdict->left_s > 0)
		system->locked++;
	return lockout_admits(call, verdict, code);
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

/* The methods above and the one of the audit log that is served: it is listed,
 * and neither told of one by one nor written here. */
static void make_methods(struct system *system)
{
	struct bus_method of_audit[RESOURCE_METHODS];

	system->methods =
		mem_alloc(sizeof(methods) + sizeof(struct bus_method));
	memcpy(system->methods, methods, sizeof(methods));
	system->audit = resource_store_new(
		&audit_resource,
		&(struct resource_store_options){.database = system->database});
	resource_methods(system->audit, of_audit);
	for (size_t i = 0; i < RESOURCE_METHODS; i++)
		if (strcmp(of_audit[i].name, "audit.list") == 0)
			system->methods[METHODS] = of_audit[i];
}

static enum err_code listen_start(struct system *system,
				  const struct config *config, struct err *err)
{
	char *address = config_listen_address(config, "system");
	const struct bus_server_options options = {
		.address = address,
		.methods = system->methods,
		.method_count = METHODS + 1,
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
	system->passwords = passwords_new(loop);
	info_init(&system->info, config);
	name_metrics(system);

	enum err_code code = connect_start(system, config, err);

	if (!code) {
		system->first = first_new(loop, config, system->database);
		system->retention = retention_new(
			loop, system->database,
			config_int(config, CONFIG_AUDIT_RETENTION_DAYS));
		make_methods(system);
		code = listen_start(system, config, err);
	}
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
	retention_stop(system->retention);
}

static bool hashes_idle(const struct system *system)
{
	return passwords_idle(system->passwords) &&
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
	resource_store_free(system->audit);
	retention_free(system->retention);
	passwords_free(system->passwords);
	free(system->methods);
	free(system);
}

const struct process_kind system_process = {
	.name = "system",
	.start = system_start,
	.stop = system_stop,
	.idle = system_idle,
	.free = system_free,
};
