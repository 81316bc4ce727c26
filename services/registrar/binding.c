#include "services/registrar/binding.h"

#include "proto/reader.h"
#include "proto/writer.h"
#include "services/registrar/sip/uri.h"

#include <assert.h>

enum {
	FIELDS = 15,
	FIELDS_BEFORE = 13,	      /* without the user and the tenant */
	ARRAY_FIELDS = 0x90 | FIELDS, /* msgpack: fixarray */
	ARRAY_ONE = 0x91,
	UINT32 = 0xce,
	Q_MAX = 1000,
};

static_assert(FIELDS <= 15 && BINDING_MAX <= 15, "fixarray holds 15");

void binding_number_append(struct buffer *out, uint32_t number)
{
	const unsigned char bytes[] = {
		UINT32,
		(unsigned char)(number >> 24),
		(unsigned char)(number >> 16),
		(unsigned char)(number >> 8),
		(unsigned char)number,
	};

	buffer_append(out, bytes, sizeof(bytes));
}

static void append_identity(struct buffer *out, const struct binding *binding)
{
	buffer_append_char(out, (char)ARRAY_FIELDS);
	writer_bin(out, binding->contact);
	writer_bin(out, binding->call_id);
	writer_bin(out, binding->instance);
	writer_uint(out, binding->reg_id);
}

void binding_head_append(struct buffer *out, const struct binding *binding)
{
	buffer_append_char(out, (char)ARRAY_ONE);
	append_identity(out, binding);
}

void binding_account_append(struct buffer *out, const struct binding *binding)
{
	writer_int(out, binding->trunk_id);
	writer_int(out, binding->user_id);
	writer_int(out, binding->tenant_id);
}

void binding_tail_append(struct buffer *out, const struct binding *binding)
{
	writer_uint(out, binding->q);
	writer_bin(out, binding->path);
	writer_bin(out, binding->received);
	writer_uint(out, binding->transport);
	writer_bin(out, binding->user_agent);
	binding_account_append(out, binding);
}

void binding_set_encode(const struct binding_set *set, int64_t now_s,
			struct buffer *out)
{
	writer_array(out, (uint32_t)set->count);
	for (size_t i = 0; i < set->count; i++) {
		const struct binding *binding = &set->items[i];

		append_identity(out, binding);
		binding_number_append(out, binding->cseq);
		binding_number_append(out,
				      (uint32_t)(now_s + binding->expires_s));
		binding_number_append(out, (uint32_t)binding->registered_at);
		binding_tail_append(out, binding);
	}
}

static uint32_t read_u32(struct reader *reader, uint32_t max)
{
	const uint64_t value = reader_uint(reader);

	if (value > max)
		reader_fail(reader);
	return (uint32_t)value;
}

static struct slice read_text(struct reader *reader, size_t max_bytes)
{
	const struct slice text = reader_bin(reader);

	if (text.size > max_bytes)
		reader_fail(reader);
	return text;
}

/* Returns expires_at; expires_s is for the caller, who has the clock. */
static uint32_t read_binding(struct reader *reader, struct binding *out)
{
	const uint32_t fields = reader_array(reader);
	uint32_t expires_at;

	if (fields != FIELDS && fields != FIELDS_BEFORE)
		reader_fail(reader);
	out->contact = read_text(reader, BINDING_CONTACT_BYTES);
	out->call_id = read_text(reader, BINDING_CALL_ID_BYTES);
	out->instance = read_text(reader, BINDING_INSTANCE_BYTES);
	out->reg_id = read_u32(reader, UINT32_MAX);
	out->cseq = read_u32(reader, UINT32_MAX);
	expires_at = read_u32(reader, UINT32_MAX);
	out->registered_at = read_u32(reader, UINT32_MAX);
	out->q = read_u32(reader, Q_MAX);
	out->path = read_text(reader, BINDING_PATH_BYTES);
	out->received = read_text(reader, BINDING_RECEIVED_BYTES);
	out->transport =
		(enum sip_transport)read_u32(reader, SIP_TRANSPORT_COUNT - 1);
	out->user_agent = read_text(reader, BINDING_AGENT_BYTES);
	out->trunk_id = reader_int(reader);
	out->user_id = fields == FIELDS ? reader_int(reader) : 0;
	out->tenant_id = fields == FIELDS ? reader_int(reader) : 0;
	if (out->contact.size == 0 || out->call_id.size == 0)
		reader_fail(reader);
	return expires_at;
}

bool binding_set_decode(struct slice value, int64_t now_s,
			struct binding_set *out)
{
	struct reader reader;

	out->count = 0;
	reader_init(&reader, value);

	const uint32_t count = reader_array(&reader);

	if (count > BINDING_MAX)
		return false;
	for (uint32_t i = 0; i < count && reader_ok(&reader); i++) {
		struct binding *binding = &out->items[out->count];
		const int64_t expires_at = read_binding(&reader, binding);

		if (expires_at <= now_s)
			continue;
		binding->expires_s = (uint32_t)(expires_at - now_s);
		out->count++;
	}
	if (!reader_done(&reader)) {
		out->count = 0;
		return false;
	}
	return true;
}

static bool same_uri(const struct binding *a, const struct binding *b)
{
	struct sip_uri a_uri, b_uri;

	if (slice_eq(a->contact, b->contact))
		return true;
	return sip_uri_decode(a->contact, &a_uri) == ERR_OK &&
	       sip_uri_decode(b->contact, &b_uri) == ERR_OK &&
	       sip_uri_eq(&a_uri, &b_uri);
}

static bool same_instance(const struct binding *a, const struct binding *b)
{
	return a->instance.size > 0 && sip_word_eq(a->instance, b->instance);
}

/* A merge under way. */
struct merge {
	const struct binding_change *change;
	struct binding_set *out;
	int64_t now_s;
	bool touched[BINDING_MAX]; /* by a contact of this change */
	bool added, removed, refreshed;
};

static size_t find_flow(const struct merge *merge,
			const struct binding *contact)
{
	const struct binding_set *set = merge->out;

	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].reg_id == contact->reg_id &&
		    same_instance(&set->items[i], contact))
			return i;
	return SIZE_MAX;
}

static size_t find_uri(const struct merge *merge, const struct binding *contact)
{
	const struct binding_set *set = merge->out;

	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].reg_id == 0 &&
		    same_uri(&set->items[i], contact))
			return i;
	return SIZE_MAX;
}

/* Not what this very request has brought: a phone may name two addresses. */
static size_t find_instance(const struct merge *merge,
			    const struct binding *contact)
{
	const struct binding_set *set = merge->out;

	for (size_t i = 0; i < set->count; i++)
		if (!merge->touched[i] && set->items[i].reg_id == 0 &&
		    same_instance(&set->items[i], contact))
			return i;
	return SIZE_MAX;
}

/* SIZE_MAX: the contact is new. */
static size_t find(const struct merge *merge, const struct binding *contact)
{
	size_t at = contact->reg_id > 0 ? find_flow(merge, contact) : SIZE_MAX;

	if (at == SIZE_MAX)
		at = find_uri(merge, contact);
	if (at == SIZE_MAX)
		at = find_instance(merge, contact);
	return at;
}

static void add(struct merge *merge, const struct binding *contact)
{
	struct binding_set *set = merge->out;

	merge->touched[set->count] = true;
	merge->added = true;
	set->items[set->count] = *contact;
	set->items[set->count].registered_at = merge->now_s;
	set->count++;
}

static void take_out(struct merge *merge, size_t at)
{
	struct binding_set *set = merge->out;

	merge->removed = true;
	set->count--;
	for (size_t i = at; i < set->count; i++) {
		set->items[i] = set->items[i + 1];
		merge->touched[i] = merge->touched[i + 1];
	}
	merge->touched[set->count] = false;
}

static void put_in_place(struct merge *merge, size_t at,
			 const struct binding *contact)
{
	struct binding *binding = &merge->out->items[at];
	const int64_t registered_at = binding->registered_at;

	merge->touched[at] = true;
	merge->refreshed = true;
	*binding = *contact;
	binding->registered_at = registered_at;
}

/* False: older than the binding. */
static bool change_one(struct merge *merge, size_t at,
		       const struct binding *contact)
{
	const struct binding *binding = &merge->out->items[at];

	if (slice_eq(binding->call_id, contact->call_id)) {
		if (contact->cseq < binding->cseq)
			return false;
		if (contact->cseq == binding->cseq)
			return true;
	}
	if (contact->expires_s == 0)
		take_out(merge, at);
	else
		put_in_place(merge, at, contact);
	return true;
}

/* RFC 3261 10.3, step 6: each has to be of another Call-ID or older. Equal is
 * no retransmission: that one would have found nothing. */
static enum binding_outcome remove_all(struct merge *merge)
{
	struct binding_set *set = merge->out;

	for (size_t i = 0; i < set->count; i++)
		if (slice_eq(set->items[i].call_id, merge->change->call_id) &&
		    merge->change->cseq <= set->items[i].cseq)
			return BINDING_OUT_OF_ORDER;
	if (set->count == 0)
		return BINDING_SAME;
	set->count = 0;
	return BINDING_REMOVED;
}

static enum binding_outcome drop_some(struct merge *merge)
{
	const struct binding_change *change = merge->change;
	size_t at = 0;

	while (at < merge->out->count)
		if (change->drop(change->drop_arg, &merge->out->items[at]))
			take_out(merge, at);
		else
			at++;
	return merge->removed ? BINDING_REMOVED : BINDING_SAME;
}

static enum binding_outcome change_each(struct merge *merge)
{
	for (size_t i = 0; i < merge->change->count; i++) {
		const struct binding *contact = &merge->change->contacts[i];
		const size_t at = find(merge, contact);

		if (at != SIZE_MAX) {
			if (!change_one(merge, at, contact))
				return BINDING_OUT_OF_ORDER;
		} else if (contact->expires_s > 0) {
			if (merge->out->count == BINDING_MAX)
				return BINDING_FULL;
			add(merge, contact);
		}
	}
	return merge->added	  ? BINDING_ADDED
	       : merge->removed	  ? BINDING_REMOVED
	       : merge->refreshed ? BINDING_REFRESHED
				  : BINDING_SAME;
}

enum binding_outcome binding_merge(const struct binding_set *old,
				   const struct binding_change *change,
				   int64_t now_s, struct binding_set *out)
{
	struct merge merge = {.change = change, .out = out, .now_s = now_s};

	*out = *old;

	const enum binding_outcome outcome = change->drop ? drop_some(&merge)
					     : change->all
						     ? remove_all(&merge)
						     : change_each(&merge);

	/* RFC 3261 10.3, step 8: all of it or nothing. */
	if (outcome == BINDING_OUT_OF_ORDER || outcome == BINDING_FULL)
		*out = *old;
	return outcome;
}
