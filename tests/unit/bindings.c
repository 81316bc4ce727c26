/*
 * What two registrars do with one address of record, each on a connection of
 * its own. The decisions themselves are those of unit.binding; how REGISTER
 * requests come to them is unit.inbound's.
 */
#include "services/registrar/bindings.h"

#include "services/common/secrets.h"

#include "servers.h"
#include "turn.h"

#include <signal.h>
#include <stdio.h>

enum { DEADLINE_MS = 10000, TENANT = 5 };

struct side {
	struct cache *cache;
	struct bindings *bindings;
	struct metrics metrics;
};

static struct {
	struct servers_redis redis;
	struct loop *loop;
	struct side a, b;
} bench;

static void side_start(struct side *side)
{
	cr_assert_eq(cache_new(bench.loop, bench.redis.url, NULL, &side->cache,
			       NULL),
		     ERR_OK);
	side->bindings = bindings_new(bench.loop, side->cache, &side->metrics);
	TURN_UNTIL(bench.loop, cache_ready(side->cache));
}

static void side_stop(struct side *side)
{
	bindings_flush(side->bindings);
	cache_free(side->cache);
	bindings_free(side->bindings);
	side->metrics = (struct metrics){0};
}

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	servers_redis_start(&bench.redis, NULL);
	bench.loop = loop_new();
	side_start(&bench.a);
	side_start(&bench.b);
}

static void tear_down(void)
{
	side_stop(&bench.a);
	side_stop(&bench.b);
	loop_free(bench.loop);
	servers_redis_stop(&bench.redis);
}

TestSuite(bindings, .init = set_up, .fini = tear_down);

/* A change and its end. */
struct asked {
	bool done;
	enum binding_outcome outcome;
	enum err_code code;
	size_t count;
	char contacts[256]; /* joined by spaces */
	uint32_t cseq;	    /* of the first */
	uint32_t expires_s; /* likewise */
	int64_t registered_at;
};

static void on_done(void *arg, enum binding_outcome outcome,
		    const struct binding_set *set, enum err_code code)
{
	struct asked *asked = arg;

	asked->done = true;
	asked->outcome = outcome;
	asked->code = code;
	if (code)
		return;
	asked->count = set->count;
	for (size_t i = 0; i < set->count; i++)
		snprintf(asked->contacts + strlen(asked->contacts),
			 sizeof(asked->contacts) - strlen(asked->contacts),
			 "%.*s ", SLICE_ARG(set->items[i].contact));
	if (set->count > 0) {
		asked->cseq = set->items[0].cseq;
		asked->expires_s = set->items[0].expires_s;
		asked->registered_at = set->items[0].registered_at;
	}
}

static void begin(struct side *side, const char *aor, const char *contact,
		  uint32_t cseq, uint32_t expires_s, struct asked *asked)
{
	const struct binding item = {
		.contact = slice_str(contact),
		.call_id = slice_str("c1"),
		.cseq = cseq,
		.expires_s = expires_s,
		.q = 1000,
		.user_id = 100,
		.tenant_id = TENANT,
	};
	const struct binding_change change = {.call_id = item.call_id,
					      .cseq = cseq,
					      .contacts = &item,
					      .count = 1};

	*asked = (struct asked){0};
	bindings_change(side->bindings, slice_str(aor), &change, DEADLINE_MS,
			on_done, asked);
	cr_assert_not(asked->done, "called back from within");
}

static struct asked bind_for(struct side *side, const char *contact,
			     uint32_t cseq, uint32_t expires_s)
{
	struct asked asked;

	begin(side, "alice@x", contact, cseq, expires_s, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	return asked;
}

static struct asked bind_one(struct side *side, const char *contact,
			     uint32_t cseq)
{
	return bind_for(side, contact, cseq, 600);
}

static struct asked query(struct side *side)
{
	const struct binding_change nothing = {0};
	struct asked asked = {0};

	bindings_change(side->bindings, slice_str("alice@x"), &nothing,
			DEADLINE_MS, on_done, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	cr_assert_eq(asked.code, ERR_OK);
	return asked;
}

static uint64_t renewed(const struct side *side)
{
	for (size_t i = 0; i < side->metrics.count; i++)
		if (strcmp(side->metrics.entries[i].name,
			   "registrar_bindings_renewed_total") == 0)
			return *side->metrics.entries[i].value;
	cr_assert_fail("no such counter");
	return 0;
}

/* Until this side knows what is there: it writes without a look. Returns the
 * CSeq after the last. */
static uint32_t learn(struct side *side, const char *contact, uint32_t cseq)
{
	const uint64_t before = renewed(side);

	for (uint32_t end = cseq + 10; renewed(side) == before; cseq++) {
		cr_assert_lt(cseq, end, "never learned");
		cr_assert_eq(bind_one(side, contact, cseq).code, ERR_OK);
	}
	return cseq;
}

static void on_command(void *arg, const struct cache_reply *reply,
		       enum err_code code)
{
	cr_assert_eq(code, ERR_OK);
	*(int64_t *)arg = reply->kind == CACHE_INT ? reply->integer : 0;
}

/* Something done by hand; returns its number. */
static int64_t redis_do(const char *const *texts, size_t count)
{
	struct slice words[8];
	int64_t result = -1;

	for (size_t i = 0; i < count; i++)
		words[i] = slice_str(texts[i]);
	cache_run(bench.b.cache, words, count, DEADLINE_MS, on_command,
		  &result);
	TURN_UNTIL(bench.loop, result >= 0);
	return result;
}

#define REDIS(...)                                                             \
	redis_do((const char *const[]){__VA_ARGS__},                           \
		 sizeof((const char *const[]){__VA_ARGS__}) /                  \
			 sizeof(const char *))

Test(bindings, what_is_known_is_renewed)
{
	const struct asked added = bind_one(&bench.a, "sip:a@h", 1);
	struct asked asked;

	cr_expect_eq(added.outcome, BINDING_ADDED);
	for (uint32_t cseq = learn(&bench.a, "sip:a@h", 2); cseq < 20; cseq++) {
		const uint64_t before = renewed(&bench.a);

		asked = bind_for(&bench.a, "sip:a@h", cseq, 700);
		cr_expect_eq(asked.outcome, BINDING_REFRESHED);
		cr_expect_eq(renewed(&bench.a), before + 1);
	}
	asked = query(&bench.b);
	cr_expect_str_eq(asked.contacts, "sip:a@h ");
	cr_expect_eq(asked.cseq, 19);
	cr_expect_gt(asked.expires_s, 690);
	cr_expect_leq(asked.expires_s, 700);
	cr_expect_gt(asked.registered_at, 0);
	/* Of the same second or the next. */
	cr_expect_leq(asked.registered_at - added.registered_at,
		      asked.registered_at);
	cr_expect_eq(REDIS("ZCARD", "bindings"), 1);
	cr_expect_eq(REDIS("ZCARD", "bindings:5"), 1);
}

/* An older request is refused, an equal one answered, whoever knows. */
Test(bindings, order_holds_for_what_is_known)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);

	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq - 2).outcome,
		     BINDING_OUT_OF_ORDER);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq - 1).outcome,
		     BINDING_SAME);
	cr_expect_eq(query(&bench.b).cseq, cseq - 1);
}

/* What another registrar has put there is not written over. */
Test(bindings, another_registrar_is_seen)
{
	uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct asked asked;

	cr_assert_eq(bind_one(&bench.b, "sip:b@h", cseq + 100).outcome,
		     BINDING_ADDED);
	asked = bind_one(&bench.a, "sip:a@h", cseq);
	cr_expect_eq(asked.outcome, BINDING_REFRESHED);
	cr_expect_eq(asked.count, 2);
	cr_expect_eq(query(&bench.b).count, 2);
	/* And one that only refreshes: its CSeq is the later one. */
	cr_assert_eq(bind_for(&bench.b, "sip:b@h", cseq + 200, 0).outcome,
		     BINDING_REMOVED);
	cseq = learn(&bench.a, "sip:a@h", cseq + 1);
	cr_assert_eq(bind_one(&bench.b, "sip:a@h", cseq + 50).outcome,
		     BINDING_REFRESHED);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq + 1).outcome,
		     BINDING_OUT_OF_ORDER);
	cr_expect_eq(query(&bench.a).cseq, cseq + 50);
}

/* Both at once, again and again: what was acknowledged last is there. */
Test(bindings, two_registrars_at_once)
{
	enum { PHONES = 20, ROUNDS = 30 };

	struct asked asked[PHONES];
	char aors[PHONES][16];
	uint64_t by_knowledge;

	for (size_t i = 0; i < PHONES; i++)
		snprintf(aors[i], sizeof(aors[i]), "%zu@x", i);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		size_t left;

		/* The first ones alone, then half of them elsewhere. */
		for (size_t i = 0; i < PHONES; i++)
			begin(round > 10 && (i + round) % 2 ? &bench.b
							    : &bench.a,
			      aors[i], "sip:a@h", round, 600, &asked[i]);
		do {
			left = 0;
			loop_turn(bench.loop, 10);
			for (size_t i = 0; i < PHONES; i++)
				left += !asked[i].done;
		} while (left > 0);
		for (size_t i = 0; i < PHONES; i++) {
			cr_assert_eq(asked[i].code, ERR_OK);
			cr_assert_eq(asked[i].outcome,
				     round == 1 ? BINDING_ADDED
						: BINDING_REFRESHED);
		}
	}
	by_knowledge = renewed(&bench.a);
	cr_expect_gt(by_knowledge, 0);
	for (size_t i = 0; i < PHONES; i++) {
		begin(&bench.b, aors[i], "sip:a@h", ROUNDS, 600, &asked[i]);
		TURN_UNTIL(bench.loop, asked[i].done);
		cr_expect_eq(asked[i].outcome, BINDING_SAME);
		cr_expect_eq(asked[i].cseq, ROUNDS);
	}
}

/* Several of one phone within a turn, one of them of another contact. */
Test(bindings, one_after_the_other)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct asked asked[4];

	begin(&bench.a, "alice@x", "sip:a@h", cseq, 600, &asked[0]);
	begin(&bench.a, "alice@x", "sip:a@h", cseq + 1, 600, &asked[1]);
	begin(&bench.a, "alice@x", "sip:b@h", cseq + 2, 600, &asked[2]);
	begin(&bench.a, "alice@x", "sip:a@h", cseq + 3, 0, &asked[3]);
	TURN_UNTIL(bench.loop, asked[0].done && asked[1].done &&
				       asked[2].done && asked[3].done);
	cr_expect_eq(asked[0].outcome, BINDING_REFRESHED);
	cr_expect_eq(asked[1].outcome, BINDING_REFRESHED);
	cr_expect_eq(asked[2].outcome, BINDING_ADDED);
	cr_expect_eq(asked[3].outcome, BINDING_REMOVED);
	cr_expect_str_eq(query(&bench.b).contacts, "sip:b@h ");
}

/* One that gathers while a renewal is under way is not overtaken. */
Test(bindings, not_overtaken)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct asked asked[3];

	begin(&bench.a, "alice@x", "sip:a@h", cseq, 600, &asked[0]);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:a@h", cseq + 1, 600, &asked[1]);
	begin(&bench.a, "alice@x", "sip:b@h", cseq + 2, 600, &asked[2]);
	TURN_UNTIL(bench.loop, asked[0].done && asked[1].done && asked[2].done);
	cr_expect_eq(asked[0].outcome, BINDING_REFRESHED);
	cr_expect_eq(asked[1].outcome, BINDING_REFRESHED);
	cr_expect_eq(asked[2].outcome, BINDING_ADDED);
	cr_expect_eq(query(&bench.b).count, 2);
}

/* Redis that has lost what was known, or has it from before. */
Test(bindings, after_a_loss_it_is_looked_at)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);

	servers_redis_kill(&bench.redis);
	cr_expect_neq(bind_one(&bench.a, "sip:a@h", cseq).code, ERR_OK);
	servers_redis_start(&bench.redis, NULL);
	TURN_UNTIL(bench.loop,
		   cache_ready(bench.a.cache) && cache_ready(bench.b.cache));
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq + 1).outcome,
		     BINDING_ADDED);
	cr_expect_eq(REDIS("ZCARD", "bindings"), 1);
	cr_expect_eq(query(&bench.b).cseq, cseq + 1);
}

/* Somebody removes it by hand: its next refresh puts it back, and into the
 * lists. */
Test(bindings, removed_by_hand)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);

	cr_assert_eq(REDIS("DEL", "binding:alice@x", "bindings", "bindings:5"),
		     3);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq).code, ERR_OK);
	cr_expect_eq(query(&bench.b).count, 1);
	cr_expect_eq(REDIS("ZCARD", "bindings"), 1);
	cr_expect_eq(REDIS("ZCARD", "bindings:5"), 1);
}

static void on_listed(void *arg, const struct bindings_page *page,
		      enum err_code code)
{
	cr_assert_eq(code, ERR_OK);
	*(size_t *)arg = page->count;
}

static size_t list(struct side *side)
{
	size_t count = SIZE_MAX;

	bindings_list(side->bindings, 0, 0, 10, DEADLINE_MS, on_listed, &count);
	TURN_UNTIL(bench.loop, count != SIZE_MAX);
	return count;
}

static void on_counted(void *arg, size_t users, enum err_code code)
{
	cr_assert_eq(code, ERR_OK);
	*(size_t *)arg = users;
}

static size_t online(struct side *side)
{
	size_t users = SIZE_MAX;

	bindings_online(side->bindings, TENANT, DEADLINE_MS, on_counted,
			&users);
	TURN_UNTIL(bench.loop, users != SIZE_MAX);
	return users;
}

/* What has ended is not counted, and gone once a list was read; whoever knew it
 * begins anew. */
Test(bindings, what_has_ended_is_taken_out)
{
	uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct asked asked;

	cr_expect_eq(online(&bench.b), 1);
	asked = bind_for(&bench.a, "sip:a@h", cseq, 1);
	cr_expect_eq(asked.outcome, BINDING_REFRESHED);
	TURN_UNTIL(bench.loop, query(&bench.b).count == 0);
	cr_expect_eq(online(&bench.b), 0);
	cr_expect_eq(REDIS("EXISTS", "binding:alice@x"), 1);
	cr_expect_eq(list(&bench.b), 0);
	cr_expect_eq(
		REDIS("EXISTS", "binding:alice@x", "bindings", "bindings:5"),
		0);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq + 1).outcome,
		     BINDING_ADDED);
	cr_expect_eq(list(&bench.b), 1);
	cr_expect_eq(online(&bench.b), 1);
}

/* Ended, and not taken out yet. */
Test(bindings, what_has_ended_begins_anew)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);

	cr_assert_eq(bind_for(&bench.a, "sip:a@h", cseq, 1).code, ERR_OK);
	TURN_UNTIL(bench.loop, query(&bench.b).count == 0);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq + 1).outcome,
		     BINDING_ADDED);
	cr_expect_eq(REDIS("ZCARD", "bindings"), 1);
}
