#include "services/registrar/registrar.h"

#include "proto/mem.h"
#include "services/common/bus_server.h"
#include "services/common/log.h"
#include "services/common/secrets.h"
#include "services/registrar/admission.h"
#include "services/registrar/inbound.h"
#include "services/registrar/listeners.h"
#include "services/registrar/methods.h"
#include "services/registrar/outbound.h"
#include "services/registrar/sip/nonce.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- what comes in over SIP ---- */

static void on_message(void *arg, const struct sip_flow *flow,
		       struct slice bytes)
{
	struct registrar *registrar = arg;
	const enum sip_framing framing = flow->transport == SIP_TRANSPORT_UDP
						 ? SIP_DATAGRAM
						 : SIP_STREAM;

	registrar->messages++;
	/* Nothing of it can be answered. */
	if (sip_message_parse(bytes, framing, &registrar->message) != ERR_OK)
		registrar->unreadable++;
	else if (!registrar->stopping)
		inbound_receive(registrar->inbound, flow, &registrar->message);
}

static void on_open(void *arg, const struct sip_flow *flow)
{
	struct registrar *registrar = arg;

	if (registrar->outbound)
		outbound_on_open(registrar->outbound, flow);
}

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	struct registrar *registrar = arg;
	char remote[SIP_ENDPOINT_TEXT];

	if (registrar->outbound)
		outbound_on_close(registrar->outbound, flow, stage, reason);
	log_event(LOG_DEBUG, "sip.closed",
		  LOG_STR("remote", sip_endpoint_text(&flow->remote, remote)),
		  LOG_STR("reason", reason ? reason->text : NULL));
}

static const struct sip_transports_events sip_events = {
	.on_message = on_message,
	.on_close = on_close,
	.on_open = on_open,
};

static void on_answer(void *arg, const struct sip_flow *flow,
		      struct slice message)
{
	struct registrar *registrar = arg;

	/* A client that cannot be reached asks again. */
	(void)sip_transports_send(registrar->transports, flow, message);
}

static void on_response(void *arg, const struct sip_flow *flow,
			const struct sip_message *response)
{
	struct registrar *registrar = arg;

	(void)flow;
	/* One that comes too late is nobody's. */
	(void)outbound_receive(registrar->outbound, response);
}

static uint16_t on_port(void *arg, enum sip_transport transport)
{
	const struct registrar *registrar = arg;

	return listeners_port(registrar->listeners, transport);
}

/* ---- what the world tells ---- */

static void on_trunk(void *arg, const struct world_trunk *trunk)
{
	struct registrar *registrar = arg;

	outbound_trunk_set(registrar->outbound, trunk);
}

static void on_trunk_removed(void *arg, int64_t id)
{
	struct registrar *registrar = arg;

	outbound_trunk_remove(registrar->outbound, id);
}

static void on_transport(void *arg, const struct world_transport *transport)
{
	struct registrar *registrar = arg;

	listeners_set(registrar->listeners, transport);
}

static void on_transport_removed(void *arg, int64_t id)
{
	struct registrar *registrar = arg;

	listeners_remove(registrar->listeners, id);
}

static void on_key(void *arg, const char *crt, const char *key)
{
	struct registrar *registrar = arg;

	listeners_key(registrar->listeners, crt, key);
}

static void on_account_gone(void *arg, struct slice aor)
{
	struct registrar *registrar = arg;

	sweep_aor(registrar->sweep, aor);
}

static void on_tenant_gone(void *arg, int64_t id)
{
	struct registrar *registrar = arg;

	sweep_tenant(registrar->sweep, id);
}

/* What went while no registrar ran was told to nobody. */
static void on_accounts(void *arg)
{
	struct registrar *registrar = arg;

	sweep_all(registrar->sweep);
}

/* ---- the process ---- */

static const char *not_ready(void *service)
{
	const struct registrar *registrar = service;

	if (!cache_ready(registrar->cache))
		return "cache";
	return world_synced(registrar->world) ? NULL : "world";
}

static void registrar_free(void *self)
{
	struct registrar *registrar = self;

	/* First: it answers the calls whose commands it ends. */
	if (registrar->bindings)
		bindings_flush(registrar->bindings);
	cache_free(registrar->cache);
	bus_server_free(registrar->server);
	world_free(registrar->world);
	trials_free(registrar->trials);
	outbound_free(registrar->outbound);
	registrar->outbound = NULL;
	inbound_free(registrar->inbound);
	sweep_free(registrar->sweep);
	bindings_free(registrar->bindings);
	listeners_free(registrar->listeners);
	sip_transports_free(registrar->transports);
	sip_tls_context_free(registrar->client_tls);
	sip_tls_authorities_free(registrar->authorities);
	secrets_key_free(registrar->key);
	free(registrar);
}

static enum err_code sip_start(struct registrar *registrar,
			       const struct config *config, struct err *err)
{
	const char *given = config_str(config, CONFIG_SIP_CA_FILE);

	registrar->authorities =
		sip_tls_authorities_new(given[0] ? given : NULL);
	enum err_code code = sip_tls_client_new(registrar->authorities,
						&registrar->client_tls, err);

	if (code != ERR_OK)
		return code;
	const struct sip_transports_options options = {
		.client = registrar->client_tls,
	};

	registrar->transports = sip_transports_new(registrar->loop, &options,
						   &sip_events, registrar);
	registrar->listeners =
		listeners_new(registrar->transports, registrar->authorities);
	return ERR_OK;
}

static enum err_code world_start(struct registrar *registrar,
				 const struct config *config, struct err *err)
{
	const struct world_listener listener = {
		.on_trunk = on_trunk,
		.on_trunk_removed = on_trunk_removed,
		.on_transport = on_transport,
		.on_transport_removed = on_transport_removed,
		.on_key = on_key,
		.on_account_gone = on_account_gone,
		.on_tenant_gone = on_tenant_gone,
		.on_accounts = on_accounts,
		.arg = registrar,
	};

	return world_new(registrar->loop, config, &listener, &registrar->world,
			 err);
}

static enum err_code inbound_start(struct registrar *registrar,
				   const struct config *config, struct err *err)
{
	unsigned char nonce_key[SECRETS_TAG_KEY_BYTES];
	unsigned algorithms;
	enum err_code code = admission_algorithms_read(
		config_str(config, CONFIG_SIP_DIGEST), &algorithms, err);

	if (code != ERR_OK)
		return code;
	const struct inbound_options options = {
		.bindings = registrar->bindings,
		.world = registrar->world,
		.metrics = &registrar->metrics,
		.nonce_key = nonce_key,
		.algorithms = algorithms,
		.send = on_answer,
		.response = on_response,
		.arg = registrar,
	};

	secrets_key_derive(registrar->key, "nonce", nonce_key);
	registrar->inbound = inbound_new(&options);
	secrets_wipe(nonce_key, sizeof(nonce_key));
	return ERR_OK;
}

/* One address is listened on once on a host, and by the same registrar before
 * and after a restart. */
static void owner_name(struct registrar *registrar, const struct config *config)
{
	char *address = config_listen_address(config, "registrar");
	char host[HOST_NAME_MAX + 1] = "";

	gethostname(host, HOST_NAME_MAX);
	snprintf(registrar->owner, sizeof(registrar->owner), "%s %s", host,
		 address);
	free(address);
}

static enum err_code outbound_start(struct registrar *registrar,
				    const struct config *config,
				    struct err *err)
{
	unsigned char tag_key[SECRETS_TAG_KEY_BYTES];
	const struct outbound_options options = {
		.loop = registrar->loop,
		.cache = registrar->cache,
		.transports = registrar->transports,
		.metrics = &registrar->metrics,
		.port = on_port,
		.arg = registrar,
		.public_ipv4 = config_str(config, CONFIG_PUBLIC_IPV4),
		.public_ipv6 = config_str(config, CONFIG_PUBLIC_IPV6),
		.user_agent = "Trunkline",
		.tag_key = tag_key,
		.owner = registrar->owner,
		.dns_servers = config_str(config, CONFIG_DNS_SERVERS),
	};

	secrets_key_derive(registrar->key, "trunk", tag_key);
	enum err_code code = outbound_new(&options, &registrar->outbound, err);

	secrets_wipe(tag_key, sizeof(tag_key));
	if (code == ERR_OK)
		registrar->trials =
			trials_new(outbound_shared(registrar->outbound));
	return code;
}

static enum err_code bus_start(struct registrar *registrar,
			       const struct config *config, struct err *err)
{
	char *address = config_listen_address(config, "registrar");
	const struct bus_server_options options = {
		.address = address,
		.methods = registrar_methods,
		.method_count = REGISTRAR_METHODS,
		.service = registrar,
		.metrics = &registrar->metrics,
		.not_ready = not_ready,
	};
	enum err_code code = bus_server_new(registrar->loop, &options,
					    &registrar->server, err);

	free(address);
	return code;
}

static void name_metrics(struct registrar *registrar)
{
	metrics_add(&registrar->metrics, METRICS_COUNTER, "sip_messages_total",
		    "SIP messages received.", &registrar->messages);
	metrics_add(&registrar->metrics, METRICS_COUNTER,
		    "sip_unreadable_total",
		    "SIP messages nothing of which could be answered.",
		    &registrar->unreadable);
}

static enum err_code parts_start(struct registrar *registrar,
				 const struct config *config, struct err *err)
{
	enum err_code code =
		secrets_key_load(config_str(config, CONFIG_SECRET_KEY_FILE),
				 &registrar->key, err);

	if (code == ERR_OK)
		code = cache_new(registrar->loop,
				 config_str(config, CONFIG_REDIS_URL),
				 &registrar->metrics, &registrar->cache, err);
	if (code == ERR_OK)
		code = sip_start(registrar, config, err);
	owner_name(registrar, config);
	if (code == ERR_OK)
		code = outbound_start(registrar, config, err);
	/* Tells of trunks, not before the next turn. */
	if (code == ERR_OK)
		code = world_start(registrar, config, err);
	if (code != ERR_OK)
		return code;
	registrar->bindings = bindings_new(registrar->loop, registrar->cache,
					   &registrar->metrics);
	registrar->sweep = sweep_new(registrar->loop, registrar->bindings,
				     registrar->world, &registrar->metrics);
	code = inbound_start(registrar, config, err);
	return code == ERR_OK ? bus_start(registrar, config, err) : code;
}

static enum err_code registrar_start(const struct process_kind *kind,
				     struct loop *loop,
				     const struct config *config, void **self,
				     struct err *err)
{
	(void)kind;
	if (!secrets_init())
		return err_set(err, ERR_INTERNAL,
			       "the machine gives no randomness");

	struct registrar *registrar = mem_alloc(sizeof(*registrar));

	registrar->loop = loop;
	name_metrics(registrar);
	enum err_code code = parts_start(registrar, config, err);

	if (code != ERR_OK) {
		registrar_free(registrar);
		return code;
	}
	*self = registrar;
	return ERR_OK;
}

static void registrar_stop(void *self)
{
	struct registrar *registrar = self;

	registrar->stopping = true;
	bus_server_stop(registrar->server);
	outbound_stop(registrar->outbound);
}

static bool registrar_idle(void *self)
{
	const struct registrar *registrar = self;

	/* Redis is told last: of the leases that are given up, too. */
	return bus_server_idle(registrar->server) &&
	       inbound_idle(registrar->inbound) && cache_idle(registrar->cache);
}

const struct process_kind registrar_process = {
	.name = "registrar",
	.start = registrar_start,
	.stop = registrar_stop,
	.idle = registrar_idle,
	.free = registrar_free,
};
