#include "services/common/resource_service.h"

#include "proto/mem.h"
#include "services/common/process.h"
#include "services/common/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	SWEEP_INTERVAL_MS = 3600 * 1000, /* idempotency keys live a day */
	/* A turn of the loop that waits for the last hashes of a stop. */
	DRAIN_TURN_MS = 100,
};

struct running {
	struct resource_service service; /* first: what handlers are given */
	const struct resource_service_kind *kind;
	struct metrics metrics;
	struct resource_store *stores[RESOURCE_SERVICE_RESOURCES_MAX];
	struct bus_method *methods;
	size_t method_count;
	struct bus_server *server;
	struct loop_timer *sweep;
};

static void on_sessions_ended(void *arg, enum err_code code)
{
	struct resource_change *change = arg;
	struct err err = {0};

	if (code == ERR_OK) {
		resource_change_answer(change);
		return;
	}
	session_end_unknown(&err);
	bus_reply_error(change->call, &err);
}

void resource_change_end_sessions(struct resource_change *change)
{
	session_end_all(change->service->cache, change->id,
			bus_call_left_ms(change->call), on_sessions_ended,
			change);
}

static const char *not_ready(void *service)
{
	const struct resource_service *running = service;

	if (!database_ready(running->database))
		return "database";
	if (running->cache && !cache_ready(running->cache))
		return "cache";
	return NULL;
}

static void on_sweep(void *arg)
{
	struct running *running = arg;

	if (!database_ready(running->service.database))
		return;
	for (size_t i = 0; i < running->kind->resource_count; i++)
		resource_sweep(running->stores[i]);
}

static void on_free(void *self)
{
	struct running *running = self;

	if (!running)
		return;
	struct resource_service *service = &running->service;

	loop_timer_free(running->sweep);
	/* A hash on the pool cannot be called off, and its end uses all of
	 * this: it is waited for, under a second. */
	while (!passwords_idle(service->passwords))
		loop_turn(service->loop, DRAIN_TURN_MS);
	/* Before the bus: they answer the calls whose statements they end.
	 * Absent then, so that no hook begins another. */
	database_free(service->database);
	service->database = NULL;
	cache_free(service->cache);
	service->cache = NULL;
	if (service->own)
		running->kind->stop(service);
	bus_server_free(running->server);
	for (size_t i = 0; i < RESOURCE_SERVICE_RESOURCES_MAX; i++)
		resource_store_free(running->stores[i]);
	events_publisher_free(service->events);
	secrets_key_free(service->key);
	passwords_free(service->passwords);
	free(running->methods);
	free(running);
}

/* And the cache of a kind with sessions. */
static enum err_code open_stores(struct running *running, struct err *err)
{
	const struct config *config = running->service.config;
	const struct database_options options = {
		.url = config_str(config, CONFIG_DATABASE_URL),
		.default_role = running->kind->role,
		.process = running->kind->name,
		.metrics = &running->metrics,
	};
	enum err_code code =
		secrets_key_load(config_str(config, CONFIG_SECRET_KEY_FILE),
				 &running->service.key, err);

	if (code == ERR_OK)
		code = database_new(running->service.loop, &options,
				    &running->service.database, err);
	if (code == ERR_OK && running->kind->sessions)
		code = cache_new(running->service.loop,
				 config_str(config, CONFIG_REDIS_URL),
				 &running->metrics, &running->service.cache,
				 err);
	return code;
}

static const struct resource_hooks *
hooks_of(const struct resource_service_kind *kind, const struct resource *r)
{
	for (size_t i = 0; i < kind->hook_count; i++)
		if (kind->hooks[i].resource == r)
			return &kind->hooks[i];
	return NULL;
}

static bool is_kinds_own(const struct resource_service_kind *kind,
			 const char *name)
{
	for (size_t i = 0; i < kind->method_count; i++)
		if (strcmp(kind->methods[i].name, name) == 0)
			return true;
	return false;
}

/* Appends the methods of a resource, but for those that the kind has itself. */
static void add_methods(struct running *running, size_t index)
{
	struct resource_service *service = &running->service;
	const struct resource *r = running->kind->resources[index];
	const struct resource_store_options options = {
		.database = service->database,
		.key = service->key,
		.passwords = service->passwords,
		.events = service->events,
		.hooks = hooks_of(running->kind, r),
		.service = service,
	};
	struct bus_method methods[RESOURCE_METHODS];

	running->stores[index] = resource_store_new(r, &options);
	resource_methods(running->stores[index], methods);
	for (size_t i = 0; i < RESOURCE_METHODS; i++)
		if (!is_kinds_own(running->kind, methods[i].name))
			running->methods[running->method_count++] = methods[i];
}

static void make_methods(struct running *running)
{
	const struct resource_service_kind *kind = running->kind;

	assert(kind->resource_count <= RESOURCE_SERVICE_RESOURCES_MAX);
	running->methods = mem_alloc(
		(kind->resource_count * RESOURCE_METHODS + kind->method_count) *
		sizeof(*running->methods));
	for (size_t i = 0; i < kind->resource_count; i++)
		add_methods(running, i);
	for (size_t i = 0; i < kind->method_count; i++)
		running->methods[running->method_count++] = kind->methods[i];
}

static enum err_code serve(struct running *running, const char *address,
			   struct err *err)
{
	const struct bus_server_options options = {
		.address = address,
		.methods = running->methods,
		.method_count = running->method_count,
		.service = running,
		.metrics = &running->metrics,
		.not_ready = not_ready,
	};

	return bus_server_new(running->service.loop, &options, &running->server,
			      err);
}

/* Events first: nothing changes that nobody can be told of. */
static enum err_code open_bus(struct running *running, struct err *err)
{
	struct resource_service *service = &running->service;
	char *address =
		config_listen_address(service->config, running->kind->name);
	enum err_code code =
		events_publisher_new(service->loop, address, &running->metrics,
				     &service->events, err);

	if (code == ERR_OK && running->kind->start)
		code = running->kind->start(&running->service, err);
	if (code == ERR_OK) {
		make_methods(running);
		code = serve(running, address, err);
	}
	free(address);
	return code;
}

static enum err_code on_start(const struct process_kind *process,
			      struct loop *loop, const struct config *config,
			      void **self, struct err *err)
{
	if (!secrets_init())
		return err_set(err, ERR_INTERNAL,
			       "the machine gives no randomness");

	struct running *running = mem_alloc(sizeof(*running));

	running->kind = process->data;
	running->service.loop = loop;
	running->service.config = config;
	running->service.metrics = &running->metrics;
	running->service.passwords = passwords_new(loop);
	enum err_code code = open_stores(running, err);

	if (code == ERR_OK)
		code = open_bus(running, err);
	if (code != ERR_OK) {
		on_free(running);
		return code;
	}
	running->sweep = loop_timer_new(loop, on_sweep, running);
	loop_timer_start(running->sweep, SWEEP_INTERVAL_MS, SWEEP_INTERVAL_MS);
	*self = running;
	return ERR_OK;
}

static void on_stop(void *self)
{
	struct running *running = self;

	bus_server_stop(running->server);
}

static bool is_idle(void *self)
{
	const struct running *running = self;

	const struct resource_service *service = &running->service;

	return bus_server_idle(running->server) &&
	       passwords_idle(service->passwords) &&
	       database_idle(service->database) &&
	       (!service->cache || cache_idle(service->cache));
}

void *resource_service_ask(void *service, struct bus_call *call, size_t size)
{
	struct resource_service *running = service;

	return ask_new(service, running->database, call, size);
}

int resource_service_run(int argc, char **argv,
			 const struct resource_service_kind *kind)
{
	const struct process_kind process = {
		.name = kind->name,
		.start = on_start,
		.stop = on_stop,
		.idle = is_idle,
		.free = on_free,
		.data = kind,
	};

	return process_run(argc, argv, &process);
}
