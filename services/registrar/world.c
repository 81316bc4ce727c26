#include "services/registrar/world.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "proto/record.h"
#include "proto/resources/resources.h"
#include "services/common/bus_client.h"
#include "services/common/follow.h"
#include "services/common/id_table.h"
#include "services/common/log.h"
#include "services/common/secrets.h"
#include "services/registrar/settings.h"
#include "services/registrar/sip/table.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* Fields of the largest record read here, asserted by its decoding. */
	FIELDS_MAX = 64,
};

/* A host name that some register at. All gateways may register at the same
 * one: accounts are found by host name and user together. */
struct realm {
	struct sip_link link;
	size_t accounts;
	char hostname[];
};

/* One trunk, with the texts its struct points to. */
struct trunk {
	struct id_node node; /* first: see id_table.h */
	struct settings settings;
	struct sip_link account; /* in world->accounts while realm is set */
	struct realm *realm;
};

struct transport {
	struct id_node node;
	struct world_transport public;
};

struct world {
	struct world_listener listener;
	struct bus_client *provider;
	struct bus_client *transport;
	struct follow *trunk_follow;
	struct follow *transport_follow;
	struct follow *key_follow;
	struct id_table trunks;
	struct id_table transports;
	struct sip_table realms;
	struct sip_table accounts; /* enabled ACCEPT_REGISTER trunks */
};

/* ---- objects off the wire ---- */

/* A decoded object: values by the names of its record. */
struct object {
	const struct record *record;
	struct value values[FIELDS_MAX];
};

static bool object_read(struct object *object, const struct record *record,
			struct slice msgpack, struct arena *arena)
{
	struct reader reader;
	struct err err = {0};

	object->record = record;
	reader_init(&reader, msgpack);
	if (record->count <= FIELDS_MAX &&
	    record_decode(record, RECORD_UPDATE, &reader, arena, object->values,
			  &err) == ERR_OK) {
		record_default(record, object->values);
		return true;
	}
	log_event(LOG_ERROR, "world.unreadable",
		  LOG_STR("record", record->name), LOG_STR("reason", err.text),
		  LOG_STR("field",
			  err.detail_count ? err.details[0].field : NULL));
	return false;
}

static const struct value *member(const struct object *object, const char *name)
{
	return &object->values[record_find(object->record, slice_str(name), 0)];
}

static const char *text_of(const struct object *object, const char *name,
			   struct arena *arena)
{
	const struct value *value = member(object, name);

	return value->kind == VALUE_STR ? arena_strdup(arena, value->string)
					: "";
}

static bool bool_of(const struct object *object, const char *name)
{
	const struct value *value = member(object, name);

	return value->kind == VALUE_BOOL && value->boolean;
}

static int64_t int_of(const struct object *object, const char *name)
{
	const struct value *value = member(object, name);

	return value->kind == VALUE_INT ? value->integer : 0;
}

static enum sip_transport transport_of(const struct object *object,
				       const char *name)
{
	const struct slice text = member(object, name)->string;

	if (slice_is(text, "TLS"))
		return SIP_TRANSPORT_TLS;
	return slice_is(text, "TCP") ? SIP_TRANSPORT_TCP : SIP_TRANSPORT_UDP;
}

static enum world_auth auth_of(const struct object *object)
{
	const struct slice mode = member(object, "auth_mode")->string;

	if (slice_is(mode, "IP_AUTH"))
		return WORLD_IP_AUTH;
	if (slice_is(mode, "REGISTER_AUTH"))
		return WORLD_REGISTER_AUTH;
	return slice_is(mode, "ACCEPT_REGISTER") ? WORLD_ACCEPT_REGISTER
						 : WORLD_NO_SIP;
}

static void trunk_fill(struct world_trunk *trunk, const struct object *object,
		       struct arena *arena)
{
	trunk->auth = auth_of(object);
	trunk->enabled = bool_of(object, "enabled");
	trunk->registration = bool_of(object, "registration");
	trunk->transport = transport_of(object, "transport");
	trunk->name = text_of(object, "name", arena);
	trunk->hostname = text_of(object, "hostname", arena);
	trunk->port = (uint16_t)int_of(object, "port");
	trunk->auth_id = text_of(object, "auth_id", arena);
	trunk->username = text_of(object, "username", arena);
	trunk->password = text_of(object, "password", arena);
	trunk->outbound_server = text_of(object, "outbound_server", arena);
	trunk->outbound_server_port =
		(uint16_t)int_of(object, "outbound_server_port");
	trunk->register_interval_s =
		(uint32_t)int_of(object, "register_interval");
	trunk->inlan = bool_of(object, "inlan");
	trunk->single_via_header = bool_of(object, "single_via_header");
	trunk->rewrite_via_ip = bool_of(object, "rewrite_via_ip");
	trunk->keep_alive = bool_of(object, "keep_alive");
	trunk->keep_alive_interval_s =
		(uint32_t)int_of(object, "keep_alive_interval");
}

void world_trunk_read(struct world_trunk *trunk, const struct value *values,
		      struct arena *arena)
{
	struct object object = {.record = &provider_record};

	assert(provider_record.count <= FIELDS_MAX);
	memcpy(object.values, values, provider_record.count * sizeof(*values));
	trunk_fill(trunk, &object, arena);
}

/* ---- realms ---- */

/* FNV-1a: what is in the tables are the administrators' names, not an
 * attacker's. */
static uint64_t text_hash(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211U;
	return hash;
}

static uint64_t realm_hash(const char *hostname)
{
	return text_hash(14695981039346656037U, hostname);
}

static uint64_t account_hash(const char *hostname, const char *auth_id)
{
	return text_hash(text_hash(realm_hash(hostname), "@"), auth_id);
}

static struct realm *realm_find(const struct world *world, const char *hostname)
{
	struct sip_link *link =
		sip_table_first(&world->realms, realm_hash(hostname));

	for (; link; link = sip_table_next(link)) {
		struct realm *realm = TABLE_OF(link, struct realm, link);

		if (strcmp(realm->hostname, hostname) == 0)
			return realm;
	}
	return NULL;
}

static struct realm *realm_get(struct world *world, const char *hostname)
{
	struct realm *realm = realm_find(world, hostname);

	if (realm)
		return realm;
	realm = mem_alloc(sizeof(*realm) + strlen(hostname) + 1);
	strcpy(realm->hostname, hostname);
	sip_table_add(&world->realms, &realm->link, realm_hash(hostname));
	return realm;
}

static void realm_leave(struct world *world, struct trunk *trunk)
{
	struct realm *realm = trunk->realm;

	if (!realm)
		return;
	sip_table_remove(&world->accounts, &trunk->account);
	trunk->realm = NULL;
	if (--realm->accounts > 0)
		return;
	sip_table_remove(&world->realms, &realm->link);
	free(realm);
}

static void realm_enter(struct world *world, struct trunk *trunk)
{
	const struct world_trunk *public = &trunk->settings.trunk;

	if (public->auth != WORLD_ACCEPT_REGISTER || !public->enabled)
		return;
	trunk->realm = realm_get(world, public->hostname);
	trunk->realm->accounts++;
	sip_table_add(&world->accounts, &trunk->account,
		      account_hash(public->hostname, public->auth_id));
}

/* ---- trunks ---- */

static struct trunk *trunk_find(const struct world *world, int64_t id)
{
	return (struct trunk *)id_table_find(&world->trunks, id);
}

static struct trunk *trunk_get(struct world *world, int64_t id)
{
	struct trunk *trunk = trunk_find(world, id);

	if (trunk)
		return trunk;
	trunk = mem_alloc(sizeof(*trunk));
	trunk->node.id = id;
	id_table_add(&world->trunks, &trunk->node);
	return trunk;
}

static void trunk_set(struct world *world, const struct world_trunk *public)
{
	struct trunk *trunk = trunk_get(world, public->id);

	realm_leave(world, trunk);
	settings_fini(&trunk->settings);
	settings_init(&trunk->settings, public);
	realm_enter(world, trunk);
	world->listener.on_trunk(world->listener.arg, &trunk->settings.trunk);
}

/* The arena holds the password too, which the listener's copies outlive. */
static void password_wipe(const struct world_trunk *public)
{
	char *password = (char *)public->password;

	secrets_wipe(password, strlen(password));
}

static void on_trunk(void *arg, int64_t id, uint64_t version,
		     struct slice msgpack)
{
	struct world_trunk public = {.id = id, .version = version};
	struct arena arena = {0};
	struct object object;

	if (object_read(&object, provider_resource.record, msgpack, &arena)) {
		trunk_fill(&public, &object, &arena);
		trunk_set(arg, &public);
		password_wipe(&public);
	}
	arena_fini(&arena);
}

static void trunk_end(struct world *world, struct trunk *trunk)
{
	realm_leave(world, trunk);
	id_table_remove(&world->trunks, &trunk->node);
	settings_fini(&trunk->settings);
	free(trunk);
}

static void on_trunk_removed(void *arg, int64_t id)
{
	struct world *world = arg;
	struct trunk *trunk = trunk_find(world, id);

	if (!trunk)
		return;
	trunk_end(world, trunk);
	world->listener.on_trunk_removed(world->listener.arg, id);
}

/* ---- transports and key ---- */

static enum world_verification verification_of(const struct object *object)
{
	const struct slice text = member(object, "verification")->string;

	if (slice_is(text, "MANDATORY"))
		return WORLD_MANDATORY;
	return slice_is(text, "OPTIONAL") ? WORLD_OPTIONAL : WORLD_DISABLE;
}

static void on_transport(void *arg, int64_t id, uint64_t version,
			 struct slice msgpack)
{
	struct world *world = arg;
	struct transport *transport =
		(struct transport *)id_table_find(&world->transports, id);
	struct arena arena = {0};
	struct object object;

	if (object_read(&object, transport_resource.record, msgpack, &arena)) {
		if (!transport) {
			transport = mem_alloc(sizeof(*transport));
			transport->node.id = id;
			id_table_add(&world->transports, &transport->node);
		}
		transport->public = (struct world_transport){
			.id = id,
			.version = version,
			.protocol = transport_of(&object, "protocol"),
			.port = (uint16_t)int_of(&object, "port"),
			.verification = verification_of(&object),
		};
		world->listener.on_transport(world->listener.arg,
					     &transport->public);
	}
	arena_fini(&arena);
}

static void on_transport_removed(void *arg, int64_t id)
{
	struct world *world = arg;
	struct id_node *node = id_table_find(&world->transports, id);

	if (!node)
		return;
	id_table_remove(&world->transports, node);
	free(node);
	world->listener.on_transport_removed(world->listener.arg, id);
}

static void on_key(void *arg, int64_t id, uint64_t version,
		   struct slice msgpack)
{
	struct world *world = arg;
	struct arena arena = {0};
	struct object object;

	(void)id;
	(void)version;
	if (object_read(&object, &key_record, msgpack, &arena)) {
		char *key = (char *)text_of(&object, "key", &arena);

		world->listener.on_key(world->listener.arg,
				       text_of(&object, "crt", &arena), key);
		secrets_wipe(key, strlen(key));
	}
	arena_fini(&arena);
}

/* There is always one key, if only an empty one. */
static void on_key_removed(void *arg, int64_t id)
{
	(void)arg;
	(void)id;
}

/* ---- the whole ---- */

static enum err_code follow_begin(struct world *world, struct loop *loop,
				  const struct follow_options *what,
				  const char *addresses, struct follow **out,
				  struct err *err)
{
	struct follow_options options = *what;

	options.addresses = addresses;
	options.process = "registrar";
	options.handlers.arg = world;
	return follow_new(loop, &options, out, err);
}

static enum err_code follow_provider(struct world *world, struct loop *loop,
				     const char *addresses, struct err *err)
{
	enum err_code code = bus_client_new(loop, "provider", addresses, NULL,
					    &world->provider, err);

	if (code != ERR_OK)
		return code;
	const struct follow_options trunks = {
		.client = world->provider,
		.resource = "provider",
		.handlers = {.upsert = on_trunk, .removed = on_trunk_removed},
	};

	return follow_begin(world, loop, &trunks, addresses,
			    &world->trunk_follow, err);
}

static enum err_code follow_transport(struct world *world, struct loop *loop,
				      const char *addresses, struct err *err)
{
	enum err_code code = bus_client_new(loop, "transport", addresses, NULL,
					    &world->transport, err);

	if (code != ERR_OK)
		return code;
	const struct follow_options transports = {
		.client = world->transport,
		.resource = "transport",
		.handlers = {.upsert = on_transport,
			     .removed = on_transport_removed},
	};
	const struct follow_options key = {
		.client = world->transport,
		.resource = "key",
		.handlers = {.upsert = on_key, .removed = on_key_removed},
	};

	code = follow_begin(world, loop, &transports, addresses,
			    &world->transport_follow, err);
	if (code != ERR_OK)
		return code;
	return follow_begin(world, loop, &key, addresses, &world->key_follow,
			    err);
}

enum err_code world_new(struct loop *loop, const struct config *config,
			const struct world_listener *listener,
			struct world **out, struct err *err)
{
	struct world *world = mem_alloc(sizeof(*world));
	char *provider = config_service_address(config, "provider");
	char *transport = config_service_address(config, "transport");

	world->listener = *listener;
	enum err_code code = follow_provider(world, loop, provider, err);

	if (code == ERR_OK)
		code = follow_transport(world, loop, transport, err);
	free(provider);
	free(transport);
	if (code != ERR_OK) {
		world_free(world);
		return code;
	}
	*out = world;
	return ERR_OK;
}

void world_free(struct world *world)
{
	if (!world)
		return;
	follow_free(world->trunk_follow);
	follow_free(world->transport_follow);
	follow_free(world->key_follow);
	bus_client_free(world->provider);
	bus_client_free(world->transport);
	for (struct id_node *node;
	     (node = id_table_next(&world->trunks, NULL));)
		trunk_end(world, (struct trunk *)node);
	for (struct id_node *node;
	     (node = id_table_next(&world->transports, NULL));) {
		id_table_remove(&world->transports, node);
		free(node);
	}
	sip_table_fini(&world->realms);
	sip_table_fini(&world->accounts);
	id_table_fini(&world->trunks);
	id_table_fini(&world->transports);
	free(world);
}

bool world_synced(const struct world *world)
{
	return follow_synced(world->trunk_follow) &&
	       follow_synced(world->transport_follow);
}

const struct world_trunk *world_trunk_get(const struct world *world, int64_t id)
{
	const struct trunk *trunk = trunk_find(world, id);

	return trunk ? &trunk->settings.trunk : NULL;
}

const struct world_trunk *world_trunk_accepting(const struct world *world,
						const char *hostname,
						const char *auth_id)
{
	struct sip_link *link = sip_table_first(
		&world->accounts, account_hash(hostname, auth_id));

	for (; link; link = sip_table_next(link)) {
		const struct world_trunk *public =
			&TABLE_OF(link, struct trunk, account)->settings.trunk;

		if (strcmp(public->hostname, hostname) == 0 &&
		    strcmp(public->auth_id, auth_id) == 0)
			return public;
	}
	return NULL;
}

bool world_realm(const struct world *world, const char *hostname)
{
	return realm_find(world, hostname) != NULL;
}

size_t world_trunks(const struct world *world)
{
	return world->trunks.count;
}
