/* A value read from Redis stays in its bounds, and what was read is what is
 * read again after it was written; merged into itself it stays the same. */

#include "services/registrar/binding.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1800000000 };

static void expect(bool good)
{
	if (!good)
		abort();
}

static void expect_same(const struct binding *a, const struct binding *b)
{
	expect(slice_eq(a->contact, b->contact));
	expect(slice_eq(a->call_id, b->call_id));
	expect(slice_eq(a->instance, b->instance));
	expect(slice_eq(a->path, b->path));
	expect(slice_eq(a->received, b->received));
	expect(slice_eq(a->user_agent, b->user_agent));
	expect(a->reg_id == b->reg_id && a->cseq == b->cseq);
	expect(a->expires_s == b->expires_s && a->q == b->q);
	expect(a->registered_at == b->registered_at);
	expect(a->transport == b->transport && a->trunk_id == b->trunk_id);
	expect(a->user_id == b->user_id && a->tenant_id == b->tenant_id);
}

static void check_round_trip(const struct binding_set *set)
{
	struct buffer value = {0};
	struct binding_set again;

	binding_set_encode(set, NOW_S, &value);
	expect(binding_set_decode(buffer_slice(&value), NOW_S, &again));
	expect(again.count == set->count);
	for (size_t i = 0; i < set->count; i++)
		expect_same(&set->items[i], &again.items[i]);
	buffer_fini(&value);
}

static void check_merge(const struct binding_set *set)
{
	struct binding_set after;
	const struct binding_change again = {
		.call_id = set->items[0].call_id,
		.cseq = set->items[0].cseq,
		.contacts = set->items,
		.count = 1,
	};
	const struct binding_change none = {.all = true};

	expect(binding_merge(set, &again, NOW_S, &after) <= BINDING_FULL);
	expect(after.count <= BINDING_MAX && after.count > 0);
	if (binding_merge(set, &none, NOW_S, &after) == BINDING_REMOVED)
		expect(after.count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct binding_set set;

	if (!binding_set_decode(slice_of(data, size), NOW_S, &set)) {
		expect(set.count == 0);
		return 0;
	}
	expect(set.count <= BINDING_MAX);
	check_round_trip(&set);
	if (set.count > 0)
		check_merge(&set);
	return 0;
}
