#include "services/registrar/registrations.h"

#include "proto/resources/resources.h"
#include "proto/utf8.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/secrets.h"
#include "services/registrar/admission.h"

static struct value number(int64_t value)
{
	return (struct value){.kind = VALUE_INT, .integer = value};
}

/* What came over SIP may be any bytes; nothing is null. */
static struct value text(struct slice bytes, struct arena *arena)
{
	if (bytes.size == 0)
		return (struct value){.kind = VALUE_NULL};
	if (!utf8_valid(bytes)) {
		char *copy = arena_strdup(arena, bytes);

		for (size_t i = 0; i < bytes.size; i++)
			if (copy[i] & 0x80)
				copy[i] = '?';
		bytes.data = copy;
	}
	return (struct value){.kind = VALUE_STR, .string = bytes};
}

/* Positive 63 bits of what a refresh leaves as it is: the device and its flow,
 * or the contact. Nothing is secret, so neither is the key. */
static int64_t id_of(struct slice aor, const struct binding *binding,
		     struct buffer *scratch)
{
	static const unsigned char key[SECRETS_TAG_KEY_BYTES] = {0};
	const bool device = binding->instance.size > 0;
	unsigned char tag[SECRETS_TAG_BYTES];
	uint64_t id;

	scratch->size = 0;
	writer_bin(scratch, aor);
	writer_bin(scratch, device ? binding->instance : binding->contact);
	writer_uint(scratch, binding->reg_id);
	secrets_tag(key, buffer_slice(scratch), tag);
	memcpy(&id, tag, sizeof(id));
	id &= INT64_MAX;
	return id > 0 ? (int64_t)id : 1;
}

static void encode_binding(struct slice aor, const struct binding *binding,
			   struct buffer *scratch, struct buffer *out)
{
	struct arena arena = {0};
	const struct value id_or_null = {.kind = VALUE_NULL};
	const struct value values[REGISTRATION_FIELDS] = {
		[REGISTRATION_ID] = number(id_of(aor, binding, scratch)),
		[REGISTRATION_AOR] = text(aor, &arena),
		[REGISTRATION_TRUNK_ID] = binding->trunk_id > 0
						  ? number(binding->trunk_id)
						  : id_or_null,
		[REGISTRATION_CONTACT] = text(binding->contact, &arena),
		[REGISTRATION_RECEIVED] = text(binding->received, &arena),
		[REGISTRATION_TRANSPORT] =
			text(sip_transport_text(binding->transport), &arena),
		[REGISTRATION_EXPIRES_IN] = number(binding->expires_s),
		[REGISTRATION_USER_AGENT] = text(binding->user_agent, &arena),
		[REGISTRATION_PATH] = text(binding->path, &arena),
		[REGISTRATION_INSTANCE_ID] = text(binding->instance, &arena),
		[REGISTRATION_REG_ID] = binding->reg_id > 0
						? number(binding->reg_id)
						: id_or_null,
		[REGISTRATION_REGISTERED_AT] = number(binding->registered_at),
	};

	record_encode(&registration_record, RECORD_SUMMARY, values, out);
	arena_fini(&arena);
}

void registrations_encode(const struct bindings_page *page, struct buffer *out)
{
	struct buffer scratch = {0};
	size_t count = 0;

	for (size_t i = 0; i < page->count; i++)
		count += page->entries[i].set.count;
	writer_map(out, 2);
	writer_text(out, "count");
	writer_uint(out, page->total);
	writer_text(out, "items");
	writer_array(out, (uint32_t)count);
	for (size_t i = 0; i < page->count; i++) {
		const struct bindings_entry *entry = &page->entries[i];

		for (size_t j = 0; j < entry->set.count; j++)
			encode_binding(entry->aor, &entry->set.items[j],
				       &scratch, out);
	}
	buffer_fini(&scratch);
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
	registrations_encode(page, bus_call_body(call));
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
	const struct bindings_page page = {
		.total = set && set->count > 0,
		.count = set && set->count > 0,
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

static void answer_trunk(struct bindings *bindings, const struct world *world,
			 const struct value *query, struct bus_call *call)
{
	const struct world_trunk *trunk = world_trunk_get(
		world, query[REGISTRATION_QUERY_TRUNK_ID].integer);
	const struct value *aor = &query[REGISTRATION_QUERY_AOR];
	struct buffer own = {0};

	if (trunk && trunk->auth == WORLD_ACCEPT_REGISTER)
		admission_aor_append(&own, trunk);
	if (own.size == 0 || (aor->kind == VALUE_STR &&
			      !slice_eq(aor->string, buffer_slice(&own)))) {
		on_page(call, &(struct bindings_page){0}, ERR_OK);
	} else {
		char *copy =
			arena_strdup(bus_call_arena(call), buffer_slice(&own));

		answer_single(bindings, slice_of(copy, own.size), call);
	}
	buffer_fini(&own);
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
	else if (query[REGISTRATION_QUERY_AOR].kind == VALUE_STR)
		answer_single(bindings, query[REGISTRATION_QUERY_AOR].string,
			      call);
	else
		bindings_list(bindings,
			      (size_t)query[REGISTRATION_QUERY_SKIP].integer,
			      (size_t)query[REGISTRATION_QUERY_TOP].integer,
			      bus_call_left_ms(call), on_page, call);
}
