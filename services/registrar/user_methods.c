#include "services/registrar/user_methods.h"

#include "proto/resources/resources.h"
#include "proto/resources/users.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/registrar/registrar.h"
#include "services/registrar/registrations.h"
#include "services/registrar/sip/uri.h"

#include <inttypes.h>

/* One call about one user, in its arena. */
struct ask {
	struct bus_call *call;
	int64_t user_id;
	struct slice aor;
	struct slice instance_id;
};

static void reply_unread(struct bus_call *call)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE,
		"the registrar has not read the users yet");
	err.retry_after_s = 1;
	bus_reply_error(call, &err);
}

/* NULL: the user may not register, so that there is nothing of it. */
static struct ask *ask_new(struct registrar *registrar, struct bus_call *call,
			   int64_t user_id)
{
	struct arena *arena = bus_call_arena(call);
	struct world_account account;
	struct buffer aor = {0};

	if (!world_user(registrar->world, user_id, &account))
		return NULL;
	struct ask *ask = arena_alloc(arena, sizeof(*ask));

	world_aor_append(&aor, &account);
	ask->call = call;
	ask->user_id = user_id;
	ask->aor = slice_of(arena_strdup(arena, buffer_slice(&aor)), aor.size);
	buffer_fini(&aor);
	return ask;
}

/* ---- what is told of a phone ---- */

static struct slice without_brackets(struct slice instance)
{
	if (instance.size > 2 && instance.data[0] == '<' &&
	    instance.data[instance.size - 1] == '>')
		return slice_of(instance.data + 1, instance.size - 2);
	return instance;
}

static struct slice instance_id(struct slice aor, const struct binding *binding,
				struct arena *arena)
{
	struct buffer scratch = {0};

	if (binding->instance.size > 0)
		return registrations_text(without_brackets(binding->instance),
					  arena);
	const int64_t id = registrations_id(aor, binding, &scratch);

	buffer_fini(&scratch);
	return slice_str(arena_printf(arena, "%016" PRIx64, id));
}

/* RFC 7231 5.5.3: the products are in the order of their significance. */
static struct slice product_of(struct slice user_agent)
{
	size_t size = 0;

	while (size < user_agent.size && user_agent.data[size] != '/' &&
	       user_agent.data[size] != ' ')
		size++;
	return slice_of(user_agent.data, size);
}

/* "192.0.2.1:5060", "[2001:db8::1]:5060" */
static struct slice host_of(struct slice received)
{
	size_t size = received.size;

	while (size > 0 && received.data[size - 1] != ':')
		size--;
	if (size == 0)
		return received;
	const struct slice host = slice_of(received.data, size - 1);

	if (host.size > 2 && host.data[0] == '[')
		return slice_of(host.data + 1, host.size - 2);
	return host;
}

/* RFC 8599: a phone that is woken says how. */
static bool is_woken(const struct binding *binding)
{
	struct sip_uri uri;

	return sip_uri_decode(binding->contact, &uri) == ERR_OK &&
	       sip_uri_parameter(&uri, "pn-provider").size > 0;
}

static void write_text(struct buffer *out, const char *name, struct slice text,
		       struct arena *arena)
{
	writer_text(out, name);
	if (text.size == 0)
		writer_nil(out);
	else
		writer_str(out, registrations_text(text, arena));
}

static void write_phone(struct slice aor, const struct binding *binding,
			struct arena *arena, struct buffer *out)
{
	writer_map(out, 6);
	write_text(out, "instance_id", instance_id(aor, binding, arena), arena);
	write_text(out, "user_agent", binding->user_agent, arena);
	write_text(out, "application", product_of(binding->user_agent), arena);
	write_text(out, "ip", host_of(binding->received), arena);
	writer_text(out, "enable_push");
	writer_bool(out, is_woken(binding));
	write_text(out, "contact_address", binding->contact, arena);
}

static void reply_phones(struct bus_call *call, struct slice aor,
			 const struct binding_set *set)
{
	struct buffer *out = bus_call_body(call);

	writer_map(out, 2);
	writer_text(out, "status");
	writer_text(out, status_online_text(set->count > 0));
	writer_text(out, "registration");
	writer_array(out, (uint32_t)set->count);
	for (size_t i = 0; i < set->count; i++)
		write_phone(aor, &set->items[i], bus_call_arena(call), out);
	bus_reply_ok(call, 0);
}

/* ---- the methods ---- */

static void on_read(void *arg, enum binding_outcome outcome,
		    const struct binding_set *set, enum err_code code)
{
	const struct ask *ask = arg;

	(void)outcome;
	if (code)
		bus_reply_code(ask->call, ERR_UNAVAILABLE);
	else
		reply_phones(ask->call, ask->aor, set);
}

void user_status(void *service, struct bus_call *call)
{
	static const struct binding_change query;
	static const struct binding_set none;
	struct registrar *registrar = service;
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	struct ask *ask = ask_new(registrar, call, args[ID_ID].integer);

	if (ask)
		bindings_change(registrar->bindings, ask->aor, &query,
				bus_call_left_ms(call), on_read, ask);
	else if (world_users_synced(registrar->world))
		reply_phones(call, (struct slice){0}, &none);
	else
		reply_unread(call);
}

static bool is_named(void *arg, const struct binding *binding)
{
	const struct ask *ask = arg;

	return binding->user_id == ask->user_id &&
	       slice_eq(instance_id(ask->aor, binding,
				    bus_call_arena(ask->call)),
			ask->instance_id);
}

static void on_dropped(void *arg, enum binding_outcome outcome,
		       const struct binding_set *set, enum err_code code)
{
	const struct ask *ask = arg;

	(void)set;
	if (code)
		bus_reply_code(ask->call,
			       code == ERR_CONFLICT ? ERR_UNAVAILABLE : code);
	else if (outcome == BINDING_REMOVED)
		bus_reply_ok(ask->call, 0);
	else
		bus_reply_code(ask->call, ERR_NOT_FOUND);
}

void user_registration_drop(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value args[USER_REGISTRATION_FIELDS];

	if (!bus_call_args(call, &user_registration_args_record, args))
		return;
	struct ask *ask =
		ask_new(registrar, call, args[USER_REGISTRATION_ID].integer);

	if (!ask && !world_users_synced(registrar->world)) {
		reply_unread(call);
		return;
	}
	if (!ask) {
		bus_reply_code(call, ERR_NOT_FOUND);
		return;
	}
	const struct binding_change change = {.drop = is_named,
					      .drop_arg = ask};

	ask->instance_id =
		without_brackets(args[USER_REGISTRATION_INSTANCE_ID].string);
	bindings_change(registrar->bindings, ask->aor, &change,
			bus_call_left_ms(call), on_dropped, ask);
}

static void on_online(void *arg, size_t users, enum err_code code)
{
	struct bus_call *call = arg;

	if (code) {
		bus_reply_code(call, ERR_UNAVAILABLE);
		return;
	}
	struct buffer *out = bus_call_body(call);

	writer_map(out, 1);
	writer_text(out, "online_users");
	writer_uint(out, users);
	bus_reply_ok(call, 0);
}

void user_tenant_status(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value args[ID_FIELDS];

	if (bus_call_args(call, &id_record, args))
		bindings_online(registrar->bindings, args[ID_ID].integer,
				bus_call_left_ms(call), on_online, call);
}
