#include "services/common/resource_service.h"

#include "proto/mem.h"
#include "services/common/process.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_INTERVAL_MS = 3600 * 1000 }; /* idempotency keys live a day */

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

static const char *not_ready(void *service)
{
	const struct resource_service *running = service;

	return database_ready(running->database) ? NULL : "database";
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
	loop_timer_free(running->sweep);
	/* Before the bus: it answers the calls whose statements it ends. */
	database_free(running->service.database);
	if (running->service.own)
		running->kind->stop(&running->service);
	bus_server_free(running->server);
	for (size_t i = 0; i < RESOURCE_SERVICE_RESOURCES_MAX; i++)
		resource_store_free(running->stores[i]);
	events_publisher_free(running->service.events);
	secrets_key_free(running->service.key);
	free(running->methods);
	free(running);
}

static enum err_code open_database(struct running *running, struct err *err)
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

	if (code != ERR_OK)
		return code;
	return database_new(running->service.loop, &options,
			    &running->service.database, err);
}

/* The methods of the resources, then the kind's own. */
static void make_methods(struct running *running)
{
	const struct resource_service_kind *kind = running->kind;
	struct bus_method *next;

	assert(kind->resource_count <= RESOURCE_SERVICE_RESOURCES_MAX);
	running->method_count =
		kind->resource_count * RESOURCE_METHODS + kind->method_count;
	running->methods = next =
		mem_alloc(running->method_count * sizeof(*next));
	for (size_t i = 0; i < kind->resource_count; i++) {
		running->stores[i] = resource_store_new(
			kind->resources[i], running->service.database,
			running->service.key, running->service.events);
		resource_methods(running->stores[i], kind->who, next);
		next += RESOURCE_METHODS;
	}
	for (size_t i = 0; i < kind->method_count; i++)
		*next++ = kind->methods[i];
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
	enum err_code code = open_database(running, err);

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

	return bus_server_idle(running->server) &&
	       database_idle(running->service.database);
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
