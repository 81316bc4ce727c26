#include "services/registrar/registrar.h"

#include "proto/mem.h"
#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_server.h"
#include "services/common/log.h"
#include "services/common/secrets.h"
#include "services/registrar/inbound.h"
#include "services/registrar/listeners.h"
#include "services/registrar/registrations.h"
#include "services/registrar/sip/nonce.h"

#include <stdlib.h>

struct registrar {
	struct loop *loop;
	struct metrics metrics;
	struct secrets_key *key;
	struct cache *cache;
	struct sip_tls_context *client_tls;
	struct sip_transports *transports;
	struct listeners *listeners;
	struct world *world;
	struct bindings *bindings;
	struct inbound *inbound;
	struct bus_server *server;
	struct sip_message message; /* the one being looked at */
	bool stopping;
	uint64_t messages;
	uint64_t unreadable;
};

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

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	char remote[SIP_ENDPOINT_TEXT];

	(void)arg;
	(void)stage;
	log_event(LOG_DEBUG, "sip.closed",
		  LOG_STR("remote", sip_endpoint_text(&flow->remote, remote)),
		  LOG_STR("reason", reason ? reason->text : NULL));
}

static const struct sip_transports_events sip_events = {
	.on_message = on_message,
	.on_close = on_close,
};

static void on_answer(void *arg, const struct sip_flow *flow,
		      struct slice message)
{
	struct registrar *registrar = arg;

	/* A client that cannot be reached asks again. */
	(void)sip_transports_send(registrar->transports, flow, message);
}

/* ---- what the world tells ---- */

static void on_trunk(void *arg, const struct world_trunk *trunk)
{
	(void)arg;
	log_event(LOG_DEBUG, "trunk.seen", LOG_INT("id", trunk->id),
		  LOG_INT("version", trunk->version));
}

static void on_trunk_removed(void *arg, int64_t id)
{
	(void)arg;
	log_event(LOG_DEBUG, "trunk.gone", LOG_INT("id", id));
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

/* ---- methods ---- */

/* The arguments as a record with one field. False: it was answered. */
static bool read_one(struct bus_call *call, const struct record *record,
		     struct value *value)
{
	struct reader reader;
	struct err err = {0};

	reader_init(&reader, bus_call_request(call)->args);
	if (record_decode(record, RECORD_CREATE, &reader, bus_call_arena(call),
			  value, &err) == ERR_OK)
		return true;
	bus_reply_error(call, &err);
	return false;
}

/* Before the first sync nothing can be said of what is not known. */
static bool is_known(struct registrar *registrar, struct bus_call *call)
{
	struct err err;

	if (world_synced(registrar->world))
		return true;
	err_set(&err, ERR_UNAVAILABLE,
		"the registrar has not read the transports yet");
	err.retry_after_s = 1;
	bus_reply_error(call, &err);
	return false;
}

static void transport_status(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value protocol;

	if (!is_known(registrar, call) ||
	    !read_one(call, &transport_protocol_record, &protocol))
		return;
	const bool active = listeners_active(
		registrar->listeners, sip_transport_find(protocol.string));
	struct buffer *out = bus_call_body(call);

	writer_map(out, 1);
	writer_text(out, "status");
	writer_text(out, active ? "ACTIVATED" : "DEACTIVATED");
	bus_reply_ok(call, 0);
}

static void transport_detail(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value id;
	struct err err;

	if (!is_known(registrar, call) || !read_one(call, &id_record, &id))
		return;
	if (listeners_detail(registrar->listeners, id.integer,
			     bus_call_body(call))) {
		bus_reply_ok(call, 0);
		return;
	}
	err_code_set(&err, ERR_NOT_FOUND);
	bus_reply_error(call, &err);
}

static void registrations(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;

	registrations_answer(registrar->bindings, registrar->world, call);
}

enum { READERS = PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE };

static const struct bus_method methods[] = {
	{"registrar.transport_status", transport_status, READERS},
	{"registrar.transport_detail", transport_detail, READERS},
	{"registrar.registrations", registrations, READERS},
};

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
	cache_free(registrar->cache);
	bus_server_free(registrar->server);
	world_free(registrar->world);
	inbound_free(registrar->inbound);
	bindings_free(registrar->bindings);
	listeners_free(registrar->listeners);
	sip_transports_free(registrar->transports);
	sip_tls_context_free(registrar->client_tls);
	secrets_key_free(registrar->key);
	free(registrar);
}

static enum err_code sip_start(struct registrar *registrar,
			       const struct config *config, struct err *err)
{
	const char *ca_file = config_str(config, CONFIG_SIP_CA_FILE);
	enum err_code code = sip_tls_client_new(ca_file[0] ? ca_file : NULL,
						&registrar->client_tls, err);

	if (code != ERR_OK)
		return code;
	const struct sip_transports_options options = {
		.client = registrar->client_tls,
	};

	registrar->transports = sip_transports_new(registrar->loop, &options,
						   &sip_events, registrar);
	registrar->listeners = listeners_new(registrar->transports);
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
		.arg = registrar,
	};

	return world_new(registrar->loop, config, &listener, &registrar->world,
			 err);
}

static void inbound_start(struct registrar *registrar)
{
	unsigned char nonce_key[SECRETS_TAG_KEY_BYTES];
	const struct inbound_options options = {
		.bindings = registrar->bindings,
		.world = registrar->world,
		.metrics = &registrar->metrics,
		.nonce_key = nonce_key,
		.send = on_answer,
		.arg = registrar,
	};

	secrets_key_derive(registrar->key, "nonce", nonce_key);
	registrar->inbound = inbound_new(&options);
	secrets_wipe(nonce_key, sizeof(nonce_key));
}

static enum err_code bus_start(struct registrar *registrar,
			       const struct config *config, struct err *err)
{
	char *address = config_listen_address(config, "registrar");
	const struct bus_server_options options = {
		.address = address,
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
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
	if (code == ERR_OK)
		code = world_start(registrar, config, err);
	if (code != ERR_OK)
		return code;
	registrar->bindings = bindings_new(registrar->loop, registrar->cache,
					   &registrar->metrics);
	inbound_start(registrar);
	return bus_start(registrar, config, err);
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
}

static bool registrar_idle(void *self)
{
	const struct registrar *registrar = self;

	return bus_server_idle(registrar->server) &&
	       inbound_idle(registrar->inbound);
}

const struct process_kind registrar_process = {
	.name = "registrar",
	.start = registrar_start,
	.stop = registrar_stop,
	.idle = registrar_idle,
	.free = registrar_free,
};
