#include "gateway/gateway.h"

#include "gateway/call.h"
#include "gateway/dialect.h"
#include "gateway/openapi.h"
#include "gateway/own.h"
#include "proto/mem.h"
#include "services/common/secrets.h"

#include <stdlib.h>

static const char *const service_names[ROUTE_SERVICES] = {
	[ROUTE_PROVIDER] = "provider",	 [ROUTE_SYSTEM] = "system",
	[ROUTE_TRANSPORT] = "transport", [ROUTE_REGISTRAR] = "registrar",
	[ROUTE_TENANT] = "tenant",	 [ROUTE_DEALER] = "dealer",
};

static enum err_code services_connect(struct gateway *gateway,
				      const struct config *config,
				      struct err *err)
{
	for (size_t i = 0; i < ROUTE_SERVICES; i++) {
		char *address =
			config_service_address(config, service_names[i]);
		enum err_code code = bus_client_new(
			gateway->loop, service_names[i], address,
			&gateway->metrics, &gateway->services[i], err);

		free(address);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

static enum err_code http_start(struct gateway *gateway,
				const struct config *config, struct err *err)
{
	const struct http_options options = {
		.host = config_str(config, CONFIG_HTTP_HOST),
		.port = (uint16_t)config_int(config, CONFIG_HTTP_PORT),
		.certificate = config_str(config, CONFIG_TLS_CERTIFICATE),
		.key = config_str(config, CONFIG_TLS_KEY),
		.idle_ms = (uint32_t)config_int(config, CONFIG_HTTP_IDLE_MS),
		.in_flight_max =
			(size_t)config_int(config, CONFIG_HTTP_IN_FLIGHT_MAX),
		.handle = call_start,
		.arg = gateway,
		.metrics = &gateway->metrics,
	};

	return http_server_new(gateway->loop, &options, &gateway->http, err);
}

static enum err_code parts_start(struct gateway *gateway,
				 const struct config *config, struct err *err)
{
	enum err_code code =
		cache_new(gateway->loop, config_str(config, CONFIG_REDIS_URL),
			  &gateway->metrics, &gateway->cache, err);
	if (code == ERR_OK)
		code = services_connect(gateway, config, err);
	/* Last: from here on requests come. */
	if (code == ERR_OK)
		code = http_start(gateway, config, err);
	return code;
}

enum err_code gateway_start(const struct process_kind *kind, struct loop *loop,
			    const struct config *config, void **self,
			    struct err *err)
{
	(void)kind;
	if (!secrets_init())
		return err_set(err, ERR_INTERNAL,
			       "the machine gives no randomness");

	struct gateway *gateway = mem_alloc(sizeof(*gateway));

	gateway->loop = loop;
	gateway->call_deadline_ms =
		(uint32_t)config_int(config, CONFIG_CALL_DEADLINE_MS);
	gateway->export_deadline_ms =
		(uint32_t)config_int(config, CONFIG_EXPORT_DEADLINE_MS);
	gateway->access_log = config_bool(config, CONFIG_ACCESS_LOG);
	gateway->calls = calls_new();
	gateway->rate =
		rate_new((uint32_t)config_int(config, CONFIG_RATE_LIMIT),
			 &gateway->metrics);
	gateway->router = router_new();
	dialects_add(gateway->router);
	own_routes_add(gateway->router);
	gateway->traffic = traffic_new(gateway->router);
	openapi_build(gateway->router, &gateway->openapi);

	enum err_code code = parts_start(gateway, config, err);
	if (code != ERR_OK) {
		gateway_free(gateway);
		return code;
	}
	*self = gateway;
	return ERR_OK;
}

void gateway_stop(void *self)
{
	struct gateway *gateway = self;

	http_server_stop(gateway->http);
}

bool gateway_idle(void *self)
{
	struct gateway *gateway = self;

	return http_server_idle(gateway->http);
}

const char *gateway_service_name(enum route_service service)
{
	return service_names[service];
}

/* Freeing the bus clients and the cache ends the calls that wait for them,
 * which are then answered: the HTTP server goes last. */
void gateway_free(void *self)
{
	struct gateway *gateway = self;

	if (gateway->http)
		http_server_stop(gateway->http);
	for (size_t i = 0; i < ROUTE_SERVICES; i++)
		bus_client_free(gateway->services[i]);
	cache_free(gateway->cache);
	http_server_free(gateway->http);
	calls_free(gateway->calls);
	traffic_free(gateway->traffic);
	rate_free(gateway->rate);
	buffer_fini(&gateway->openapi);
	router_free(gateway->router);
	free(gateway);
}
