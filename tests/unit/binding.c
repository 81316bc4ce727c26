#include "services/registrar/binding.h"

#include "proto/writer.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { NOW_S = 1800000000, TEXT_BYTES = 4096 };

#define A   "sip:a@192.0.2.1"
#define B   "sip:b@192.0.2.2"
#define URN "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"

/* What a table says of one binding; the rest is the same in all. */
struct given {
	const char *contact;
	const char *call_id;
	uint32_t cseq;
	uint32_t expires_s;
	const char *instance;
	uint32_t reg_id;
};

static struct binding binding_of(const struct given *given)
{
	return (struct binding){
		.contact = slice_str(given->contact),
		.call_id = slice_str(given->call_id),
		.instance = slice_str(given->instance ? given->instance : ""),
		.reg_id = given->reg_id,
		.cseq = given->cseq,
		.expires_s = given->expires_s,
		.registered_at = NOW_S - 100,
		.q = 1000,
		.path = slice_str("<sip:edge.example.com;lr>"),
		.received = slice_str("192.0.2.1:5060"),
		.transport = SIP_TRANSPORT_UDP,
		.user_agent = slice_str("phone/1"),
		.trunk_id = 4711,
		.user_id = 4712,
		.tenant_id = 4713,
	};
}

static void set_of(const struct given *given, size_t max,
		   struct binding_set *out)
{
	out->count = 0;
	for (size_t i = 0; i < max && given[i].contact; i++)
		out->items[out->count++] = binding_of(&given[i]);
}

/* "contact call_id cseq expires reg_id since", since relative to now. */
static void print(const struct binding_set *set, char text[TEXT_BYTES])
{
	size_t size = 0;

	text[0] = '\0';
	for (size_t i = 0; i < set->count; i++) {
		const struct binding *b = &set->items[i];

		size += (size_t)snprintf(text + size, TEXT_BYTES - size,
					 "%s%.*s %.*s %u %u %u %d",
					 i ? ", " : "", SLICE_ARG(b->contact),
					 SLICE_ARG(b->call_id), b->cseq,
					 b->expires_s, b->reg_id,
					 (int)(b->registered_at - NOW_S));
	}
}

enum { ROW_BINDINGS = 4 };

/* clang-format off: table */
static const struct row {
	const char *name;
	struct given old[ROW_BINDINGS];
	struct {
		const char *call_id;
		uint32_t cseq;
		bool all;
		struct given contacts[ROW_BINDINGS];
	} change;
	enum binding_outcome outcome;
	const char *after;
} rows[] = {
	{"the first contact",
	 {{0}},
	 {"c1", 1, false, {{A, "c1", 1, 300}}},
	 BINDING_ADDED,
	 A " c1 1 300 0 0"},
	{"a query",
	 {{A, "c1", 1, 200}},
	 {"c2", 9, false, {{0}}},
	 BINDING_SAME,
	 A " c1 1 200 0 -100"},
	{"a refresh keeps since when",
	 {{A, "c1", 1, 200}},
	 {"c1", 2, false, {{A, "c1", 2, 300}}},
	 BINDING_REFRESHED,
	 A " c1 2 300 0 -100"},
	{"the same CSeq is a retransmission",
	 {{A, "c1", 2, 200}},
	 {"c1", 2, false, {{A, "c1", 2, 300}}},
	 BINDING_SAME,
	 A " c1 2 200 0 -100"},
	{"a lower CSeq is out of order",
	 {{A, "c1", 2, 200}},
	 {"c1", 1, false, {{A, "c1", 1, 300}}},
	 BINDING_OUT_OF_ORDER,
	 A " c1 2 200 0 -100"},
	{"a removal with a lower CSeq, too",
	 {{A, "c1", 2, 200}},
	 {"c1", 1, false, {{A, "c1", 1, 0}}},
	 BINDING_OUT_OF_ORDER,
	 A " c1 2 200 0 -100"},
	{"another Call-ID begins anew",
	 {{A, "c1", 9, 200}},
	 {"c2", 1, false, {{A, "c2", 1, 300}}},
	 BINDING_REFRESHED,
	 A " c2 1 300 0 -100"},
	{"an equal URI written otherwise",
	 {{A, "c1", 1, 200}},
	 {"c1", 2, false, {{"SIP:%61@192.0.2.1", "c1", 2, 300}}},
	 BINDING_REFRESHED,
	 "SIP:%61@192.0.2.1 c1 2 300 0 -100"},
	{"another transport is another contact",
	 {{A, "c1", 1, 200}},
	 {"c1", 2, false, {{A ";transport=tcp", "c1", 2, 300}}},
	 BINDING_ADDED,
	 A " c1 1 200 0 -100, " A ";transport=tcp c1 2 300 0 0"},
	{"a second contact",
	 {{A, "c1", 1, 200}},
	 {"c1", 2, false, {{B, "c1", 2, 300}}},
	 BINDING_ADDED,
	 A " c1 1 200 0 -100, " B " c1 2 300 0 0"},
	{"one is refreshed, the other stays",
	 {{A, "c1", 1, 200}, {B, "c2", 1, 100}},
	 {"c2", 2, false, {{B, "c2", 2, 300}}},
	 BINDING_REFRESHED,
	 A " c1 1 200 0 -100, " B " c2 2 300 0 -100"},
	{"one is removed",
	 {{A, "c1", 1, 200}, {B, "c2", 1, 100}},
	 {"c1", 2, false, {{A, "c1", 2, 0}}},
	 BINDING_REMOVED,
	 B " c2 1 100 0 -100"},
	{"what is not there is not removed",
	 {{A, "c1", 1, 200}},
	 {"c1", 2, false, {{B, "c1", 2, 0}}},
	 BINDING_SAME,
	 A " c1 1 200 0 -100"},
	{"one removed, one added",
	 {{A, "c1", 1, 200}},
	 {"c1", 2, false, {{A, "c1", 2, 0}, {B, "c1", 2, 300}}},
	 BINDING_ADDED,
	 B " c1 2 300 0 0"},
	{"all or nothing",
	 {{A, "c1", 5, 200}},
	 {"c1", 4, false, {{B, "c1", 4, 300}, {A, "c1", 4, 300}}},
	 BINDING_OUT_OF_ORDER,
	 A " c1 5 200 0 -100"},
	{"the same contact twice in a request",
	 {{0}},
	 {"c1", 1, false, {{A, "c1", 1, 300}, {A, "c1", 1, 300}}},
	 BINDING_ADDED,
	 A " c1 1 300 0 0"},
	{"*",
	 {{A, "c1", 1, 200}, {B, "c2", 1, 100}},
	 {"c1", 2, true, {{0}}},
	 BINDING_REMOVED,
	 ""},
	{"* of nothing", {{0}}, {"c1", 2, true, {{0}}}, BINDING_SAME, ""},
	{"* with a lower CSeq",
	 {{A, "c1", 3, 200}, {B, "c2", 1, 100}},
	 {"c1", 2, true, {{0}}},
	 BINDING_OUT_OF_ORDER,
	 A " c1 3 200 0 -100, " B " c2 1 100 0 -100"},
	{"* with an equal CSeq",
	 {{A, "c1", 2, 200}},
	 {"c1", 2, true, {{0}}},
	 BINDING_OUT_OF_ORDER,
	 A " c1 2 200 0 -100"},
	{"a device that moved",
	 {{A, "c1", 1, 200, URN}},
	 {"c2", 1, false, {{B, "c2", 1, 300, URN}}},
	 BINDING_REFRESHED,
	 B " c2 1 300 0 -100"},
	{"a device that moved keeps its order",
	 {{A, "c1", 3, 200, URN}},
	 {"c1", 2, false, {{B, "c1", 2, 300, URN}}},
	 BINDING_OUT_OF_ORDER,
	 A " c1 3 200 0 -100"},
	{"a device with two addresses at once",
	 {{0}},
	 {"c1", 1, false, {{A, "c1", 1, 300, URN}, {B, "c1", 1, 300, URN}}},
	 BINDING_ADDED,
	 A " c1 1 300 0 0, " B " c1 1 300 0 0"},
	{"another device at the same place",
	 {{A, "c1", 1, 200, URN}},
	 {"c2", 1, false, {{A, "c2", 1, 300, "<urn:uuid:other>"}}},
	 BINDING_REFRESHED,
	 A " c2 1 300 0 -100"},
	{"a second flow of a device",
	 {{A, "c1", 1, 200, URN, 1}},
	 {"c2", 1, false, {{A, "c2", 1, 300, URN, 2}}},
	 BINDING_ADDED,
	 A " c1 1 200 1 -100, " A " c2 1 300 2 0"},
	{"a flow replaced, whatever the contact",
	 {{A, "c1", 1, 200, URN, 1}, {A, "c2", 1, 200, URN, 2}},
	 {"c3", 1, false, {{B, "c3", 1, 300, URN, 1}}},
	 BINDING_REFRESHED,
	 B " c3 1 300 1 -100, " A " c2 1 200 2 -100"},
	{"a flow removed",
	 {{A, "c1", 1, 200, URN, 1}, {A, "c2", 1, 200, URN, 2}},
	 {"c2", 2, false, {{A, "c2", 2, 0, URN, 2}}},
	 BINDING_REMOVED,
	 A " c1 1 200 1 -100"},
	{"a flow takes the place of the plain contact",
	 {{A, "c1", 1, 200, URN}},
	 {"c2", 1, false, {{A, "c2", 1, 300, URN, 1}}},
	 BINDING_REFRESHED,
	 A " c2 1 300 1 -100"},
	{"a plain contact leaves a flow alone",
	 {{A, "c1", 1, 200, URN, 1}},
	 {"c2", 1, false, {{A, "c2", 1, 300}}},
	 BINDING_ADDED,
	 A " c1 1 200 1 -100, " A " c2 1 300 0 0"},
};
/* clang-format on */

Test(binding, merge)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct binding_set old, wanted, after;
		char text[TEXT_BYTES];

		set_of(row->old, ROW_BINDINGS, &old);
		set_of(row->change.contacts, ROW_BINDINGS, &wanted);
		const struct binding_change change = {
			.call_id = slice_str(row->change.call_id),
			.cseq = row->change.cseq,
			.all = row->change.all,
			.contacts = wanted.items,
			.count = wanted.count,
		};

		cr_expect_eq(binding_merge(&old, &change, NOW_S, &after),
			     row->outcome, "%s: another outcome", row->name);
		print(&after, text);
		cr_expect_str_eq(text, row->after, "%s: %s", row->name, text);
	}
}

/* Sets of n contacts that differ. */
static void fill(struct binding_set *set, char uris[][40], size_t count,
		 const char *call_id)
{
	set->count = count;
	for (size_t i = 0; i < count; i++) {
		snprintf(uris[i], sizeof(uris[i]), "sip:%zu@192.0.2.1", i);
		set->items[i] = binding_of(&(struct given){.contact = uris[i],
							   .call_id = call_id,
							   .cseq = 1,
							   .expires_s = 300});
	}
}

Test(binding, more_than_there_is_room_for)
{
	char uris[BINDING_MAX][40];
	struct binding_set full, after;
	const struct given given = {A, "c2", 1, 300};
	const struct binding more = binding_of(&given);
	const struct binding_change change = {.call_id = slice_str("c2"),
					      .cseq = 1,
					      .contacts = &more,
					      .count = 1};

	fill(&full, uris, BINDING_MAX, "c1");
	cr_expect_eq(binding_merge(&full, &change, NOW_S, &after),
		     BINDING_FULL);
	cr_expect_eq(after.count, BINDING_MAX);
	full.count--;
	cr_expect_eq(binding_merge(&full, &change, NOW_S, &after),
		     BINDING_ADDED);
	cr_expect_eq(after.count, BINDING_MAX);
}

Test(binding, value_round_trip)
{
	const struct given given[] = {
		{A, "c1", UINT32_MAX, 300, URN, 7}, {B, "c2", 1, 1}, {0}};
	struct buffer value = {0};
	struct binding_set set, again;
	char text[TEXT_BYTES];

	set_of(given, 2, &set);
	binding_set_encode(&set, NOW_S, &value);
	cr_assert(binding_set_decode(buffer_slice(&value), NOW_S, &again));
	print(&again, text);
	cr_expect_str_eq(text,
			 A " c1 4294967295 300 7 -100, " B " c2 1 1 0 -100");
	const struct binding *b = &again.items[0];

	cr_expect(slice_is(b->instance, URN));
	cr_expect(slice_is(b->path, "<sip:edge.example.com;lr>"));
	cr_expect(slice_is(b->received, "192.0.2.1:5060"));
	cr_expect(slice_is(b->user_agent, "phone/1"));
	cr_expect_eq(b->transport, SIP_TRANSPORT_UDP);
	cr_expect_eq(b->q, 1000);
	cr_expect_eq(b->trunk_id, 4711);
	cr_expect_eq(b->user_id, 4712);
	cr_expect_eq(b->tenant_id, 4713);
	buffer_fini(&value);
}

/* What an earlier version wrote ends with the trunk. */
Test(binding, value_without_user_and_tenant)
{
	const struct given given = {A, "c1", 7, 300, URN, 3};
	struct buffer value = {0}, user = {0};
	struct binding_set set;

	set_of(&given, 1, &set);
	binding_set_encode(&set, NOW_S, &value);
	writer_int(&user, 4712);
	value.size -= 2 * user.size;
	value.data[1] = (char)0x9d;
	cr_assert(binding_set_decode(buffer_slice(&value), NOW_S, &set));
	cr_assert_eq(set.count, 1);
	cr_expect_eq(set.items[0].trunk_id, 4711);
	cr_expect_eq(set.items[0].user_id, 0);
	cr_expect_eq(set.items[0].tenant_id, 0);
	value.data[1] = (char)0x9e;
	cr_expect_not(binding_set_decode(buffer_slice(&value), NOW_S, &set));
	buffer_fini(&value);
	buffer_fini(&user);
}

static bool is_second(void *arg, const struct binding *binding)
{
	(*(int *)arg)++;
	return slice_is(binding->contact, B);
}

/* Whatever its Call-ID and CSeq. */
Test(binding, dropped)
{
	const struct given given[] = {
		{A, "c1", 9, 300}, {B, "c2", 9, 300}, {0}};
	int asked = 0;
	const struct binding_change change = {.drop = is_second,
					      .drop_arg = &asked};
	struct binding_set set, after;
	char text[TEXT_BYTES];

	set_of(given, 2, &set);
	cr_expect_eq(binding_merge(&set, &change, NOW_S, &after),
		     BINDING_REMOVED);
	cr_expect_eq(asked, 2);
	print(&after, text);
	cr_expect_str_eq(text, A " c1 9 300 0 -100");
	cr_expect_eq(binding_merge(&after, &change, NOW_S, &set), BINDING_SAME);
	cr_expect_eq(set.count, 1);
}

Test(binding, what_has_expired_is_left_out)
{
	const struct given given[] = {{A, "c1", 1, 300}, {B, "c2", 1, 10}, {0}};
	struct buffer value = {0};
	struct binding_set set;

	set_of(given, 2, &set);
	binding_set_encode(&set, NOW_S, &value);
	cr_assert(binding_set_decode(buffer_slice(&value), NOW_S + 9, &set));
	cr_expect_eq(set.count, 2);
	cr_expect_eq(set.items[1].expires_s, 1);
	cr_assert(binding_set_decode(buffer_slice(&value), NOW_S + 10, &set));
	cr_assert_eq(set.count, 1);
	cr_expect_eq(set.items[0].expires_s, 290);
	cr_assert(binding_set_decode(buffer_slice(&value), NOW_S + 300, &set));
	cr_expect_eq(set.count, 0);
	buffer_fini(&value);
}

/* What the script in Redis puts together is what encoding gives. */
Test(binding, head_numbers_tail)
{
	const struct given given = {A, "c1", 258, 300, URN, 3};
	struct buffer value = {0}, parts = {0};
	struct binding_set set;

	set_of(&given, 1, &set);
	binding_set_encode(&set, NOW_S, &value);
	binding_head_append(&parts, &set.items[0]);
	const size_t head = parts.size;

	buffer_append(&parts, "\xce\x00\x00\x01\x02", 5);
	cr_assert_gt(value.size, head + 15);
	cr_expect_arr_eq(value.data, parts.data, parts.size);
	buffer_append(&parts, value.data + parts.size, 10);
	binding_tail_append(&parts, &set.items[0]);
	cr_assert_eq(parts.size, value.size);
	cr_expect_arr_eq(value.data, parts.data, parts.size);
	buffer_fini(&value);
	buffer_fini(&parts);
}

Test(binding, every_cut_and_much_else_is_refused)
{
	const struct given given = {A, "c1", 1, 300, URN, 1};
	struct buffer value = {0};
	struct binding_set set;

	set_of(&given, 1, &set);
	binding_set_encode(&set, NOW_S, &value);
	for (size_t size = 0; size < value.size; size++) {
		cr_expect_not(binding_set_decode(slice_of(value.data, size),
						 NOW_S, &set),
			      "cut at %zu", size);
		cr_expect_eq(set.count, 0);
	}
	buffer_append_char(&value, '\0');
	cr_expect_not(binding_set_decode(buffer_slice(&value), NOW_S, &set));
	value.size = 0;
	writer_array(&value, BINDING_MAX + 1);
	for (int i = 0; i <= BINDING_MAX; i++)
		writer_nil(&value);
	cr_expect_not(binding_set_decode(buffer_slice(&value), NOW_S, &set));
	value.size = 0;
	writer_map(&value, 0);
	cr_expect_not(binding_set_decode(buffer_slice(&value), NOW_S, &set));
	buffer_fini(&value);
}
