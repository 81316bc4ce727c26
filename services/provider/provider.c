#include "services/provider/provider.h"

#include "proto/mem.h"
#include "proto/resources/resources.h"
#include "services/common/bus_server.h"
#include "services/common/database.h"
#include "services/common/resource.h"
#include "services/provider/status.h"

#include <stdlib.h>

enum { SWEEP_INTERVAL_MS = 3600 * 1000 }; /* keys live a day */

struct provider {
	struct metrics metrics;
	struct secrets_key *key;
	struct database *database;
	struct resource_store *store;
	struct bus_method methods[RESOURCE_METHODS + 1];
	struct bus_server *server;
	struct loop_timer *sweep;
};

static const char *not_ready(void *service)
{
	const struct provider *provider = service;

	return database_ready(provider->database) ? NULL : "database";
}

static void on_sweep(void *arg)
{
	struct provider *provider = arg;

	if (database_ready(provider->database))
		resource_sweep(provider->store);
}

static void provider_free(void *self)
{
	struct provider *provider = self;

	if (!provider)
		return;
	loop_timer_free(provider->sweep);
	/* First: it answers the calls whose statements it ends. */
	database_free(provider->database);
	bus_server_free(provider->server);
	resource_store_free(provider->store);
	secrets_key_free(provider->key);
	free(provider);
}

static enum err_code open_stores(struct provider *provider, struct loop *loop,
				 const struct config *config, struct err *err)
{
	const struct database_options options = {
		.url = config_str(config, CONFIG_DATABASE_URL),
		.default_role = "trunkline_provider",
		.process = "provider",
		.metrics = &provider->metrics,
	};
	enum err_code code =
		secrets_key_load(config_str(config, CONFIG_SECRET_KEY_FILE),
				 &provider->key, err);

	if (code != ERR_OK)
		return code;
	code = database_new(loop, &options, &provider->database, err);
	if (code != ERR_OK)
		return code;
	provider->store = resource_store_new(&provider_resource,
					     provider->database, provider->key);
	return ERR_OK;
}

static enum err_code serve(struct provider *provider, struct loop *loop,
			   const struct config *config, struct err *err)
{
	char *address = config_listen_address(config, "provider");
	const struct bus_server_options options = {
		.address = address,
		.methods = provider->methods,
		.method_count = RESOURCE_METHODS + 1,
		.service = provider,
		.metrics = &provider->metrics,
		.not_ready = not_ready,
	};

	resource_methods(provider->store, PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE,
			 provider->methods);
	provider->methods[RESOURCE_METHODS] = (struct bus_method){
		.name = "provider.status",
		.handle = status_get,
		.who = PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE,
		.data = provider->database,
	};
	enum err_code code =
		bus_server_new(loop, &options, &provider->server, err);

	free(address);
	return code;
}

static enum err_code provider_start(struct loop *loop,
				    const struct config *config, void **self,
				    struct err *err)
{
	struct provider *provider = mem_alloc(sizeof(*provider));
	enum err_code code = ERR_INTERNAL;

	if (!secrets_init()) {
		err_set(err, code, "no randomness");
		goto out;
	}
	code = open_stores(provider, loop, config, err);
	if (code == ERR_OK)
		code = serve(provider, loop, config, err);
	if (code != ERR_OK)
		goto out;
	provider->sweep = loop_timer_new(loop, on_sweep, provider);
	loop_timer_start(provider->sweep, SWEEP_INTERVAL_MS, SWEEP_INTERVAL_MS);
	*self = provider;
	return ERR_OK;
out:
	provider_free(provider);
	return code;
}

static void provider_stop(void *self)
{
	struct provider *provider = self;

	bus_server_stop(provider->server);
}

static bool provider_idle(void *self)
{
	const struct provider *provider = self;

	return bus_server_idle(provider->server) &&
	       database_idle(provider->database);
}

const struct process_kind provider_process = {
	.name = "provider",
	.start = provider_start,
	.stop = provider_stop,
	.idle = provider_idle,
	.free = provider_free,
};
