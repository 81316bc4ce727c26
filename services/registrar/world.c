#include "services/registrar/world.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "proto/reader.h"
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
	bool enabled; /* by itself; its settings say whether it works */
	bool told;
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
	struct bus_client *tenant;
	struct follow *trunk_follow;
	struct follow *transport_follow;
	struct follow *key_follow;
	struct follow *tenant_follow;
	struct follow *user_follow;
	struct id_table trunks;
	struct id_table transports;
	struct sip_table realms;
	struct sip_table accounts; /* enabled ACCEPT_REGISTER trunks */
	struct phones *phones;
	struct buffer aor; /* reused */
	/* Transports are told: what they bring can be answered, or will not be
	 * for long. */
	bool open;
	struct loop_timer *patience;
	bool accounts_told;
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

/* Members that are read as they lie: of users there are many with much that is
 * none of ours, and what is read-only is not decoded. Views. */
struct raw {
	bool enabled;
	int64_t tenant_id; /* 0: null */
	struct slice domain;
	struct slice extension;
	struct slice password;
};

static void raw_member(struct raw *raw, struct slice name,
		       struct reader *reader)
{
	if (reader_peek(reader) == READER_NIL)
		reader_nil(reader);
	else if (slice_is(name, "enabled"))
		raw->enabled = reader_bool(reader);
	else if (slice_is(name, "tenant_id"))
		raw->tenant_id = reader_id(reader);
	else if (slice_is(name, "domain"))
		raw->domain = reader_str(reader);
	else if (slice_is(name, "extension_number"))
		raw->extension = reader_str(reader);
	else if (slice_is(name, "extension_password"))
		raw->password = reader_str(reader);
	else
		reader_value(reader);
}

/* Zeroed: it could not be read. */
static struct raw raw_read(struct slice msgpack)
{
	struct raw raw = {0};
	struct reader reader;

	reader_init(&reader, msgpack);
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		const struct slice name = reader_str(&reader);

		raw_member(&raw, name, &reader);
	}
	return reader_done(&reader) ? raw : (struct raw){0};
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

/* ---- accounts ---- */

struct world_account world_trunk_account(const struct world_trunk *trunk)
{
	return (struct world_account){
		.trunk_id = trunk->id,
		.tenant_id = trunk->tenant_id,
		.user = settings_user(trunk),
		.domain = trunk->hostname,
		.password = trunk->password,
	};
}

static struct world_account phone_account(const struct phones_account *phone)
{
	return (struct world_account){
		.user_id = phone->user_id,
		.tenant_id = phone->tenant_id,
		.user = phone->extension,
		.domain = phone->domain,
		.password = phone->password,
	};
}

void world_aor_append(struct buffer *out, const struct world_account *account)
{
	buffer_append_str(out, account->user);
	buffer_append_char(out, '@');
	buffer_append_str(out, account->domain);
}

static bool is_aor(const struct world_account *account, struct slice aor)
{
	const struct slice user = slice_str(account->user);

	return slice_starts(aor, user) && aor.size > user.size &&
	       aor.data[user.size] == '@' &&
	       slice_is(slice_of(aor.data + user.size + 1,
				 aor.size - user.size - 1),
			account->domain);
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

/* Ends a trunk's account, if it has one: its address of record is in
 * world->aor, else that is empty. */
static void account_leave(struct world *world, struct trunk *trunk)
{
	world->aor.size = 0;
	if (trunk->realm) {
		const struct world_account account =
			world_trunk_account(&trunk->settings.trunk);

		world_aor_append(&world->aor, &account);
	}
	realm_leave(world, trunk);
}

static void tell_gone(struct world *world, int64_t trunk_id)
{
	const struct slice aor = buffer_slice(&world->aor);

	if (aor.size > 0 && !world_binds(world, aor, trunk_id, 0))
		world->listener.on_account_gone(world->listener.arg, aor);
}

/* Its account is out of the tables, its settings are what it is to be. A trunk
 * of a tenant that is not known works only once nothing more is waited for:
 * were it disabled meanwhile, its registration would be taken back. */
static void trunk_settle(struct world *world, struct trunk *trunk)
{
	struct world_trunk *public = &trunk->settings.trunk;
	bool tenant_enabled = true;
	const bool known = public->tenant_id == 0 ||
			   phones_tenant(world->phones, public->tenant_id,
					 &tenant_enabled);

	public->enabled = trunk->enabled && tenant_enabled;
	realm_enter(world, trunk);
	trunk->told |= known || world->open;
	if (trunk->told)
		world->listener.on_trunk(world->listener.arg, public);
	tell_gone(world, public->id);
}

static void trunk_set(struct world *world, const struct world_trunk *public)
{
	struct trunk *trunk = trunk_get(world, public->id);

	account_leave(world, trunk);
	settings_fini(&trunk->settings);
	settings_init(&trunk->settings, public);
	trunk->enabled = public->enabled;
	trunk_settle(world, trunk);
}

/* Looks again at the trunks of a tenant; 0: at all of tenants. */
static void trunks_review(struct world *world, int64_t tenant_id)
{
	ID_TABLE_FOREACH(node, &world->trunks) {
		struct trunk *trunk = (struct trunk *)node;
		const int64_t owner = trunk->settings.trunk.tenant_id;

		if (owner == 0 || (tenant_id != 0 && owner != tenant_id))
			continue;
		account_leave(world, trunk);
		trunk_settle(world, trunk);
	}
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
		public.tenant_id = raw_read(msgpack).tenant_id;
		trunk_set(arg, &public);
		password_wipe(&public);
	}
	arena_fini(&arena);
}

static void trunk_end(struct world *world, struct trunk *trunk)
{
	account_leave(world, trunk);
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
	tell_gone(world, id);
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
		if (world->open)
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
	if (world->open)
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

/* ---- tenants and users ---- */

static void log_unreadable(const char *record, int64_t id)
{
	log_event(LOG_ERROR, "world.unreadable", LOG_STR("record", record),
		  LOG_INT("id", id));
}

static void on_tenant(void *arg, int64_t id, uint64_t version,
		      struct slice msgpack)
{
	struct world *world = arg;
	const struct raw raw = raw_read(msgpack);
	struct arena arena = {0};
	bool was_enabled = true;

	(void)version;
	phones_tenant(world->phones, id, &was_enabled);
	if (raw.domain.size > 0)
		/* Stored in lower case. */
		phones_tenant_set(world->phones, id,
				  arena_strdup(&arena, raw.domain),
				  raw.enabled);
	else
		log_unreadable("tenant", id);
	arena_fini(&arena);
	/* Until all are read the trunks wait for open_up(). */
	if (world->open && was_enabled != raw.enabled)
		trunks_review(world, id);
}

static void on_tenant_removed(void *arg, int64_t id)
{
	struct world *world = arg;

	phones_tenant_remove(world->phones, id);
}

static void on_user(void *arg, int64_t id, uint64_t version,
		    struct slice msgpack)
{
	struct world *world = arg;
	const struct raw raw = raw_read(msgpack);
	struct arena arena = {0};

	(void)version;
	if (raw.tenant_id > 0 && raw.extension.size > 0) {
		char *password = arena_strdup(&arena, raw.password);
		const struct phones_user user = {
			.id = id,
			.tenant_id = raw.tenant_id,
			.extension = arena_strdup(&arena, raw.extension),
			.password = password,
			.enabled = raw.enabled,
		};

		phones_user_set(world->phones, &user);
		secrets_wipe(password, strlen(password));
	} else {
		log_unreadable("user", id);
	}
	arena_fini(&arena);
}

static void on_user_removed(void *arg, int64_t id)
{
	struct world *world = arg;

	phones_user_remove(world->phones, id);
}

static void on_user_gone(void *arg, struct slice aor)
{
	const struct world *world = arg;

	world->listener.on_account_gone(world->listener.arg, aor);
}

static void on_tenant_gone(void *arg, int64_t id)
{
	const struct world *world = arg;

	world->listener.on_tenant_gone(world->listener.arg, id);
}

/* ---- the whole ---- */

bool world_users_synced(const struct world *world)
{
	return follow_synced(world->tenant_follow) &&
	       follow_synced(world->user_follow);
}

/* Tells of the transports there are, and from now on of each. */
static void open_up(struct world *world)
{
	if (world->open)
		return;
	world->open = true;
	loop_timer_stop(world->patience);
	ID_TABLE_FOREACH(node, &world->transports)
		world->listener.on_transport(
			world->listener.arg,
			&((const struct transport *)node)->public);
	trunks_review(world, 0);
}

static void on_patience(void *arg)
{
	open_up(arg);
}

/* One of them has been read for the first time. */
static void on_synced(void *arg)
{
	struct world *world = arg;

	if (!follow_synced(world->trunk_follow) || !world_users_synced(world))
		return;
	if (follow_synced(world->transport_follow))
		open_up(world);
	if (world->accounts_told)
		return;
	world->accounts_told = true;
	world->listener.on_accounts(world->listener.arg);
}

static enum err_code follow_begin(struct world *world, struct loop *loop,
				  const struct follow_options *what,
				  const char *addresses, struct follow **out,
				  struct err *err)
{
	struct follow_options options = *what;

	options.addresses = addresses;
	options.process = "registrar";
	options.handlers.synced = on_synced;
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

static enum err_code follow_tenant(struct world *world, struct loop *loop,
				   const char *addresses, struct err *err)
{
	enum err_code code = bus_client_new(loop, "tenant", addresses, NULL,
					    &world->tenant, err);

	if (code != ERR_OK)
		return code;
	const struct follow_options tenants = {
		.client = world->tenant,
		.resource = "tenant",
		.handlers = {.upsert = on_tenant, .removed = on_tenant_removed},
	};
	const struct follow_options users = {
		.client = world->tenant,
		.resource = "user",
		.handlers = {.upsert = on_user, .removed = on_user_removed},
	};

	code = follow_begin(world, loop, &tenants, addresses,
			    &world->tenant_follow, err);
	if (code != ERR_OK)
		return code;
	return follow_begin(world, loop, &users, addresses, &world->user_follow,
			    err);
}

enum err_code world_new(struct loop *loop, const struct config *config,
			const struct world_listener *listener,
			struct world **out, struct err *err)
{
	struct world *world = mem_alloc(sizeof(*world));
	char *provider = config_service_address(config, "provider");
	char *transport = config_service_address(config, "transport");
	char *tenant = config_service_address(config, "tenant");
	const struct phones_listener gone = {
		.on_user_gone = on_user_gone,
		.on_tenant_gone = on_tenant_gone,
		.arg = world,
	};

	world->listener = *listener;
	world->phones = phones_new(&gone);
	world->patience = loop_timer_new(loop, on_patience, world);
	loop_timer_start(world->patience, WORLD_PATIENCE_MS, 0);
	enum err_code code = follow_provider(world, loop, provider, err);

	if (code == ERR_OK)
		code = follow_transport(world, loop, transport, err);
	if (code == ERR_OK)
		code = follow_tenant(world, loop, tenant, err);
	free(provider);
	free(transport);
	free(tenant);
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
	follow_free(world->tenant_follow);
	follow_free(world->user_follow);
	bus_client_free(world->provider);
	bus_client_free(world->transport);
	bus_client_free(world->tenant);
	loop_timer_free(world->patience);
	ID_TABLE_FOREACH(node, &world->trunks)
		trunk_end(world, (struct trunk *)node);
	ID_TABLE_FOREACH(node, &world->transports)
		free(node);
	sip_table_fini(&world->realms);
	sip_table_fini(&world->accounts);
	id_table_fini(&world->trunks);
	id_table_fini(&world->transports);
	phones_free(world->phones);
	buffer_fini(&world->aor);
	free(world);
}

bool world_synced(const struct world *world)
{
	return world->open && follow_synced(world->trunk_follow) &&
	       follow_synced(world->transport_follow);
}

const struct world_trunk *world_trunk_get(const struct world *world, int64_t id)
{
	const struct trunk *trunk = trunk_find(world, id);

	return trunk ? &trunk->settings.trunk : NULL;
}

bool world_trunk_ask(struct world *world, int64_t id, waiting_fn *fn, void *arg)
{
	return follow_ask(world->trunk_follow, id, fn, arg);
}

static bool trunk_account(const struct world *world, const char *realm,
			  const char *name, struct world_account *out)
{
	struct sip_link *link =
		sip_table_first(&world->accounts, account_hash(realm, name));

	for (; link; link = sip_table_next(link)) {
		const struct world_trunk *public =
			&TABLE_OF(link, struct trunk, account)->settings.trunk;

		if (strcmp(public->hostname, realm) == 0 &&
		    strcmp(public->auth_id, name) == 0) {
			*out = world_trunk_account(public);
			return true;
		}
	}
	return false;
}

bool world_account(const struct world *world, const char *realm,
		   const char *name, struct world_account *out)
{
	struct phones_account phone;

	if (trunk_account(world, realm, name, out))
		return true;
	if (!phones_find(world->phones, realm, name, &phone))
		return false;
	*out = phone_account(&phone);
	return true;
}

bool world_user(const struct world *world, int64_t user_id,
		struct world_account *out)
{
	struct phones_account phone;

	if (!phones_get(world->phones, user_id, &phone))
		return false;
	*out = phone_account(&phone);
	return true;
}

bool world_realm(const struct world *world, const char *hostname)
{
	return realm_find(world, hostname) ||
	       phones_domain(world->phones, hostname);
}

bool world_complete(const struct world *world, const char *realm)
{
	const bool of_trunks = realm_find(world, realm) != NULL;
	const bool of_phones = phones_domain(world->phones, realm);

	return ((of_phones && !of_trunks) ||
		follow_synced(world->trunk_follow)) &&
	       ((of_trunks && !of_phones) || world_users_synced(world));
}

static bool trunk_binds(const struct world *world, struct slice aor, int64_t id)
{
	const struct trunk *trunk = trunk_find(world, id);

	if (!trunk)
		return !follow_synced(world->trunk_follow);
	if (!trunk->realm)
		return false;
	const struct world_account account =
		world_trunk_account(&trunk->settings.trunk);

	return is_aor(&account, aor);
}

bool world_binds(const struct world *world, struct slice aor, int64_t trunk_id,
		 int64_t user_id)
{
	struct world_account account;

	if (trunk_id > 0)
		return trunk_binds(world, aor, trunk_id);
	if (user_id <= 0)
		return true;
	return world_user(world, user_id, &account)
		       ? is_aor(&account, aor)
		       : !world_users_synced(world);
}

size_t world_trunks(const struct world *world)
{
	return world->trunks.count;
}
