#include "services/registrar/registrations.h"

#include "proto/resources/resources.h"
#include "proto/utf8.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/secrets.h"

static struct value number(int64_t value)
{
	return (struct value){.kind = VALUE_INT, .integer = value};
}

static struct value id(int64_t value)
{
	return value > 0 ? number(value) : (struct value){.kind = VALUE_NULL};
}

struct slice registrations_text(struct slice bytes, struct arena *arena)
{
	if (utf8_valid(bytes))
		return bytes;
	char *copy = arena_strdup(arena, bytes);

	for (size_t i = 0; i < bytes.size; i++)
		if (copy[i] & 0x80)
			copy[i] = '?';
	return slice_of(copy, bytes.size);
}

/* Nothing is null. */
static struct value text(struct slice bytes, struct arena *arena)
{
	if (bytes.size == 0)
		return (struct value){.kind = VALUE_NULL};
	return (struct value){.kind = VALUE_STR,
			      .string = registrations_text(bytes, arena)};
}

/* Positive 63 bits of what a refresh leaves as it is: the device and its flow,
 * or the contact. Nothing is secret, so neither is the key. */
int64_t registrations_id(struct slice aor, const struct binding *binding,
			 struct buffer *scratch)
{
	static const unsigned char key[SECRETS_TAG_KEY_BYTES] = {0};
	const bool device = binding->instance.size > 0;
	unsigned char tag[SECRETS_TAG_BYTES];
	uint64_t bits;

	scratch->size = 0;
	writer_bin(scratch, aor);
	writer_bin(scratch, device ? binding->instance : binding->contact);
	writer_uint(scratch, binding->reg_id);
	secrets_tag(key, buffer_slice(scratch), tag);
	memcpy(&bits, tag, sizeof(bits));
	bits &= INT64_MAX;
	return bits > 0 ? (int64_t)bits : 1;
}

static void encode_binding(struct slice aor, const struct binding *binding,
			   struct buffer *scratch, struct buffer *out)
{
	struct arena arena = {0};
	const struct value values[REGISTRATION_FIELDS] = {
		[REGISTRATION_ID] =
			number(registrations_id(aor, binding, scratch)),
		[REGISTRATION_AOR] = text(aor, &arena),
		[REGISTRATION_TRUNK_ID] = id(binding->trunk_id),
		[REGISTRATION_USER_ID] = id(binding->user_id),
		[REGISTRATION_TENANT_ID] = id(binding->tenant_id),
		[REGISTRATION_CONTACT] = text(binding->contact, &arena),
		[REGISTRATION_RECEIVED] = text(binding->received, &arena),
		[REGISTRATION_TRANSPORT] =
			text(sip_transport_text(binding->transport), &arena),
		[REGISTRATION_EXPIRES_IN] = number(binding->expires_s),
		[REGISTRATION_USER_AGENT] = text(binding->user_agent, &arena),
		[REGISTRATION_PATH] = text(binding->path, &arena),
		[REGISTRATION_INSTANCE_ID] = text(binding->instance, &arena),
		[REGISTRATION_REG_ID] = id(binding->reg_id),
		[REGISTRATION_REGISTERED_AT] = number(binding->registered_at),
	};

	record_encode(&registration_record, RECORD_SUMMARY, values, out);
	arena_fini(&arena);
}

static bool is_of(const struct binding *binding, int64_t tenant_id)
{
	return tenant_id == 0 || binding->tenant_id == tenant_id;
}

static size_t count_of(const struct binding_set *set, int64_t tenant_id)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++)
		count += is_of(&set->items[i], tenant_id);
	return count;
}

void registrations_encode(const struct bindings_page *page, int64_t tenant_id,
			  struct buffer *out)
{
	struct buffer scratch = {0};
	size_t count = 0;

	for (size_t i = 0; i < page->count; i++)
		count += count_of(&page->entries[i].set, tenant_id);
	writer_map(out, 2);
	writer_text(out, "count");
	writer_uint(out, page->total);
	writer_text(out, "items");
	writer_array(out, (uint32_t)count);
	for (size_t i = 0; i < page->count; i++) {
		const struct bindings_entry *entry = &page->entries[i];

		for (size_t j = 0; j < entry->set.count; j++)
			if (is_of(&entry->set.items[j], tenant_id))
				encode_binding(entry->aor, &entry->set.items[j],
					       &scratch, out);
	}
	buffer_fini(&scratch);
}

/* The tenant who asks sees alone; 0: all. */
static int64_t scope_of(const struct bus_call *call)
{
	const struct principal *who = &bus_call_request(call)->principal;

	return principal_acts(who) & PRINCIPAL_TENANT ? principal_tenant(who)
						      : 0;
}

static void on_page(void *arg, const struct bindings_page *page,
		    enum err_code code)
{
	struct bus_call *call = arg;
	struct err err;

	if (code) {
		err_code_set(&err, code);
		bus_reply_error(call, &err);
		return;
	}
	registrations_encode(page, scope_of(call), bus_call_body(call));
	bus_reply_ok(call, 0);
}

/* One address of record, asked for by name. */
struct single {
	struct bus_call *call;
	struct slice aor;
};

static void on_single(void *arg, enum binding_outcome outcome,
		      const struct binding_set *set, enum err_code code)
{
	const struct single *single = arg;
	struct bindings_entry entry = {.aor = single->aor};
	const bool some = set && count_of(set, scope_of(single->call)) > 0;
	const struct bindings_page page = {
		.total = some,
		.count = some,
		.entries = &entry,
	};

	(void)outcome;
	if (set)
		entry.set = *set;
	on_page(single->call, &page, code);
}

static void answer_single(struct bindings *bindings, struct slice aor,
			  struct bus_call *call)
{
	static const struct binding_change query = {0};

	if (aor.size > BINDINGS_AOR_BYTES) {
		on_page(call, &(struct bindings_page){0}, ERR_OK);
		return;
	}
	struct single *single =
		arena_alloc(bus_call_arena(call), sizeof(*single));

	single->call = call;
	single->aor = aor;
	bindings_change(bindings, aor, &query, bus_call_left_ms(call),
			on_single, single);
}

static void answer_none(struct bus_call *call)
{
	on_page(call, &(struct bindings_page){0}, ERR_OK);
}

static void answer_account(struct bindings *bindings,
			   const struct world_account *account,
			   const struct value *query, struct bus_call *call)
{
	const struct value *aor = &query[REGISTRATION_QUERY_AOR];
	struct buffer own = {0};

	world_aor_append(&own, account);
	if (aor->kind == VALUE_STR &&
	    !slice_eq(aor->string, buffer_slice(&own))) {
		answer_none(call);
	} else {
		char *copy =
			arena_strdup(bus_call_arena(call), buffer_slice(&own));

		answer_single(bindings, slice_of(copy, own.size), call);
	}
	buffer_fini(&own);
}

static void answer_trunk(struct bindings *bindings, const struct world *world,
			 const struct value *query, struct bus_call *call)
{
	const struct world_trunk *trunk = world_trunk_get(
		world, query[REGISTRATION_QUERY_TRUNK_ID].integer);

	if (!trunk || trunk->auth != WORLD_ACCEPT_REGISTER ||
	    query[REGISTRATION_QUERY_USER_ID].kind == VALUE_INT) {
		answer_none(call);
		return;
	}
	const struct world_account account = world_trunk_account(trunk);

	answer_account(bindings, &account, query, call);
}

static void answer_user(struct bindings *bindings, const struct world *world,
			const struct value *query, struct bus_call *call)
{
	struct world_account account;

	if (world_user(world, query[REGISTRATION_QUERY_USER_ID].integer,
		       &account))
		answer_account(bindings, &account, query, call);
	else
		answer_none(call);
}

void registrations_answer(struct bindings *bindings, const struct world *world,
			  struct bus_call *call)
{
	struct value query[REGISTRATION_QUERY_FIELDS];

	if (!bus_call_args(call, &registration_query_record, query))
		return;
	record_default(&registration_query_record, query);
	if (query[REGISTRATION_QUERY_TRUNK_ID].kind == VALUE_INT)
		answer_trunk(bindings, world, query, call);
	else if (query[REGISTRATION_QUERY_USER_ID].kind == VALUE_INT)
		answer_user(bindings, world, query, call);
	else if (query[REGISTRATION_QUERY_AOR].kind == VALUE_STR)
		answer_single(bindings, query[REGISTRATION_QUERY_AOR].string,
			      call);
	else
		bindings_list(bindings, scope_of(call),
			      (size_t)query[REGISTRATION_QUERY_SKIP].integer,
			      (size_t)query[REGISTRATION_QUERY_TOP].integer,
			      bus_call_left_ms(call), on_page, call);
}
