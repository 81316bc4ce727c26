/*
 * What two registrars do with one address of record, each on a connection of
 * its own. The decisions themselves are those of unit.binding; how REGISTER
 * requests come to them is unit.inbound's.
 */
#include "services/registrar/bindings.h"

#include "services/common/secrets.h"

#include "relay.h"
#include "servers.h"
#include "turn.h"

#include <signal.h>
#include <stdio.h>

enum { DEADLINE_MS = 10000, SOON_MS = 50, TENANT = 5 };

struct side {
	struct cache *cache;
	struct bindings *bindings;
	struct metrics metrics;
};

static struct {
	struct servers_redis redis;
	struct loop *loop;
	struct side a, b;
	struct relay *relay; /* of a, where a test asks for it */
} bench;

static void side_start(struct side *side, const char *url)
{
	cr_assert_eq(cache_new(bench.loop, url, NULL, &side->cache, NULL),
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
	side_start(&bench.a, bench.redis.url);
	side_start(&bench.b, bench.redis.url);
}

static void tear_down(void)
{
	side_stop(&bench.a);
	side_stop(&bench.b);
	relay_free(bench.relay);
	loop_free(bench.loop);
	servers_redis_stop(&bench.redis);
}

TestSuite(bindings, .init = set_up, .fini = tear_down);

/* From here on what side a sends can be kept back. */
static void relay_start(void)
{
	char path[96], url[112];

	snprintf(path, sizeof(path), "%s/relay", bench.redis.dir);
	snprintf(url, sizeof(url), "unix:%s", path);
	side_stop(&bench.a);
	bench.relay = relay_new(bench.loop, path, bench.redis.socket_path);
	side_start(&bench.a, url);
}

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

static struct binding item_of(const char *contact, uint32_t cseq,
			      uint32_t expires_s)
{
	return (struct binding){
		.contact = slice_str(contact),
		.call_id = slice_str("c1"),
		.cseq = cseq,
		.expires_s = expires_s,
		.q = 1000,
		.user_id = 100,
		.tenant_id = TENANT,
	};
}

static void begin_items(struct side *side, const char *aor,
			const struct binding *items, size_t count,
			uint32_t deadline_ms, struct asked *asked)
{
	const struct binding_change change = {.call_id = items[0].call_id,
					      .cseq = items[0].cseq,
					      .contacts = items,
					      .count = count};

	*asked = (struct asked){0};
	bindings_change(side->bindings, slice_str(aor), &change, deadline_ms,
			on_done, asked);
	cr_assert_not(asked->done, "called back from within");
}

static void begin(struct side *side, const char *aor, const char *contact,
		  uint32_t cseq, uint32_t expires_s, struct asked *asked)
{
	const struct binding item = item_of(contact, cseq, expires_s);

	begin_items(side, aor, &item, 1, DEADLINE_MS, asked);
}

static struct asked change_aor(struct side *side, const char *aor,
			       const char *contact, uint32_t cseq,
			       uint32_t expires_s)
{
	struct asked asked;

	begin(side, aor, contact, cseq, expires_s, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	return asked;
}

static struct asked bind_for(struct side *side, const char *contact,
			     uint32_t cseq, uint32_t expires_s)
{
	return change_aor(side, "alice@x", contact, cseq, expires_s);
}

static struct asked bind_one(struct side *side, const char *contact,
			     uint32_t cseq)
{
	return bind_for(side, contact, cseq, 600);
}

static struct asked query_aor(struct side *side, const char *aor)
{
	const struct binding_change nothing = {0};
	struct asked asked = {0};

	bindings_change(side->bindings, slice_str(aor), &nothing, DEADLINE_MS,
			on_done, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	cr_assert_eq(asked.code, ERR_OK);
	return asked;
}

static struct asked query(struct side *side)
{
	return query_aor(side, "alice@x");
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
static uint32_t learn_aor(struct side *side, const char *aor,
			  const char *contact, uint32_t cseq)
{
	const uint64_t before = renewed(side);

	for (uint32_t end = cseq + 10; renewed(side) == before; cseq++) {
		cr_assert_lt(cseq, end, "never learned");
		cr_assert_eq(change_aor(side, aor, contact, cseq, 600).code,
			     ERR_OK);
	}
	return cseq;
}

static uint32_t learn(struct side *side, const char *contact, uint32_t cseq)
{
	return learn_aor(side, "alice@x", contact, cseq);
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

static void wait_all(const struct asked *asked, size_t count)
{
	for (size_t i = 0; i < count; i++)
		TURN_UNTIL(bench.loop, asked[i].done);
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
	wait_all(asked, 4);
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
	wait_all(asked, 3);
	cr_expect_eq(asked[0].outcome, BINDING_REFRESHED);
	cr_expect_eq(asked[1].outcome, BINDING_REFRESHED);
	cr_expect_eq(asked[2].outcome, BINDING_ADDED);
	cr_expect_eq(query(&bench.b).count, 2);
}

/* What is known can be renewed from here on. */
static void guard(struct side *side)
{
	bindings_flush(side->bindings);
	query(side);
}

/* The watch of a claim that was made anew is not the watch of the new one. */
Test(bindings, failed_watch_is_given_up)
{
	uint64_t before;

	bind_one(&bench.a, "sip:a@h", 1);
	guard(&bench.a);
	change_aor(&bench.b, "bob@x", "sip:b@h", 1, 600);
	change_aor(&bench.a, "carol@x", "sip:c@h", 1, 600);
	guard(&bench.a);
	before = renewed(&bench.a);
	change_aor(&bench.a, "carol@x", "sip:c@h", 2, 600);
	cr_expect_eq(renewed(&bench.a), before + 1);
}

/* Nor by the same contact that comes from elsewhere. */
Test(bindings, not_overtaken_by_itself)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct binding moved = item_of("sip:a@h", cseq + 2, 600);
	struct asked asked[3];

	moved.received = slice_str("192.0.2.7:5060");
	begin(&bench.a, "alice@x", "sip:a@h", cseq, 600, &asked[0]);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:a@h", cseq + 1, 600, &asked[1]);
	begin_items(&bench.a, "alice@x", &moved, 1, DEADLINE_MS, &asked[2]);
	wait_all(asked, 3);
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(asked[i].outcome, BINDING_REFRESHED);
	cr_expect_eq(query(&bench.b).cseq, cseq + 2);
}

/* A removal does not go before the first registration of the same turn. */
Test(bindings, first_and_last_at_once)
{
	struct asked asked[2];

	/* Redis holds the script that reads, and not the other. */
	query(&bench.a);
	begin(&bench.a, "alice@x", "sip:a@h", 1, 600, &asked[0]);
	begin(&bench.a, "alice@x", "sip:a@h", 2, 0, &asked[1]);
	wait_all(asked, 2);
	cr_expect_eq(asked[0].outcome, BINDING_ADDED);
	cr_expect_eq(asked[1].outcome, BINDING_REMOVED);
	cr_expect_eq(query(&bench.b).count, 0);
}

/* Of an address of record with a change under way nothing is learned, and what
 * was known is forgotten. */
Test(bindings, second_contact_is_kept)
{
	struct asked asked[2];

	/* The claim stands. */
	change_aor(&bench.a, "bob@x", "sip:b@h", 1, 600);
	begin(&bench.a, "alice@x", "sip:a@h", 1, 600, &asked[0]);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:b@h", 1, 600, &asked[1]);
	wait_all(asked, 2);
	guard(&bench.a);
	for (uint32_t cseq = 2; cseq < 6; cseq++)
		cr_assert_eq(bind_one(&bench.a, "sip:a@h", cseq).count, 2);
	cr_assert_eq(bind_for(&bench.a, "sip:b@h", 2, 0).count, 1);
	learn(&bench.a, "sip:a@h", 6);
	cr_assert_eq(bind_one(&bench.a, "sip:b@h", 3).count, 2);
	for (uint32_t cseq = 20; cseq < 24; cseq++)
		cr_assert_eq(bind_one(&bench.a, "sip:a@h", cseq).count, 2);
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

static size_t list_of(struct side *side, int64_t tenant_id)
{
	size_t count = SIZE_MAX;

	bindings_list(side->bindings, tenant_id, 0, 10, DEADLINE_MS, on_listed,
		      &count);
	TURN_UNTIL(bench.loop, count != SIZE_MAX);
	return count;
}

static size_t list(struct side *side)
{
	return list_of(side, 0);
}

static void on_counted(void *arg, size_t users, enum err_code code)
{
	cr_assert_eq(code, ERR_OK);
	*(size_t *)arg = users;
}

static size_t online_of(struct side *side, int64_t tenant_id)
{
	size_t users = SIZE_MAX;

	bindings_online(side->bindings, tenant_id, DEADLINE_MS, on_counted,
			&users);
	TURN_UNTIL(bench.loop, users != SIZE_MAX);
	return users;
}

static size_t online(struct side *side)
{
	return online_of(side, TENANT);
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

/* --- What comes late --- */

/* Comes so late that its sender was told that it failed; another registrar has
 * added and removed meanwhile. */
Test(bindings, late_first_one)
{
	const struct binding item = item_of("sip:a@h", 1, 600);
	struct asked asked;

	relay_start();
	/* It knows the clock. */
	cr_assert_eq(change_aor(&bench.a, "bob@x", "sip:b@h", 1, 600).code,
		     ERR_OK);
	relay_hold(bench.relay);
	begin_items(&bench.a, "alice@x", &item, 1, SOON_MS, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	cr_expect_eq(asked.code, ERR_DEADLINE);
	cr_assert_eq(bind_one(&bench.b, "sip:a@h", 2).outcome, BINDING_ADDED);
	cr_assert_eq(bind_for(&bench.b, "sip:a@h", 3, 0).outcome,
		     BINDING_REMOVED);
	relay_release(bench.relay);
	cr_expect_eq(query(&bench.a).count, 0);
}

/* The same of what is read first. */
Test(bindings, late_first_two)
{
	const struct binding items[] = {item_of("sip:a@h", 1, 600),
					item_of("sip:b@h", 1, 600)};
	struct asked asked;
	uint64_t heard;

	relay_start();
	query(&bench.a);
	heard = relay_heard(bench.relay);
	begin_items(&bench.a, "alice@x", items, 2, SOON_MS, &asked);
	TURN_UNTIL(bench.loop, relay_heard(bench.relay) > heard);
	relay_hold(bench.relay);
	TURN_UNTIL(bench.loop, asked.done);
	cr_expect_eq(asked.code, ERR_DEADLINE);
	cr_assert_eq(bind_one(&bench.b, "sip:a@h", 2).outcome, BINDING_ADDED);
	cr_assert_eq(bind_for(&bench.b, "sip:a@h", 3, 0).outcome,
		     BINDING_REMOVED);
	relay_release(bench.relay);
	cr_expect_eq(query(&bench.a).count, 0);
}

/* A renewal on a connection that was lost, after what the next one brought. */
Test(bindings, late_renewal)
{
	const uint32_t cseq = (relay_start(), learn(&bench.a, "sip:a@h", 1));
	struct asked asked;

	relay_hold(bench.relay);
	begin(&bench.a, "alice@x", "sip:a@h", cseq, 600, &asked);
	bindings_flush(bench.a.bindings);
	const uint64_t heard = relay_heard(bench.relay);

	TURN_UNTIL(bench.loop, relay_heard(bench.relay) > heard);
	relay_cut(bench.relay);
	TURN_UNTIL(bench.loop, asked.done);
	cr_expect_eq(asked.code, ERR_LOST);
	cr_assert_eq(bind_for(&bench.a, "sip:a@h", cseq + 1, 0).outcome,
		     BINDING_REMOVED);
	relay_release(bench.relay);
	cr_expect_eq(query(&bench.a).count, 0);
}

/* A renewal that another registrar has made void, with a removal behind it. */
Test(bindings, refused_renewal_does_not_overtake)
{
	const uint32_t cseq = (relay_start(), learn(&bench.a, "sip:a@h", 1));
	struct asked asked[2];

	relay_hold(bench.relay);
	begin(&bench.a, "alice@x", "sip:a@h", cseq, 600, &asked[0]);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:a@h", cseq + 1, 0, &asked[1]);
	cr_assert_eq(change_aor(&bench.b, "bob@x", "sip:b@h", 1, 600).code,
		     ERR_OK);
	relay_release(bench.relay);
	wait_all(asked, 2);
	cr_expect_eq(asked[0].code, ERR_CONFLICT);
	cr_expect_eq(asked[1].outcome, BINDING_REMOVED);
	cr_expect_eq(query(&bench.b).count, 0);
}

/* What waits was judged by what was known before this side made its claim
 * anew: it was made first, then asked for. */
Test(bindings, waiting_renewal_is_judged_anew)
{
	struct asked asked[2];

	relay_start();
	bind_one(&bench.a, "sip:a@h", 1);
	relay_hold(bench.relay);
	begin(&bench.a, "carol@x", "sip:c@h", 1, 600, &asked[0]);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:a@h", 2, 600, &asked[1]);
	bindings_flush(bench.a.bindings);
	cr_assert_eq(bind_one(&bench.b, "sip:other@h", 1).outcome,
		     BINDING_ADDED);
	relay_release(bench.relay);
	wait_all(asked, 2);
	cr_expect_eq(asked[1].outcome, BINDING_REFRESHED);
	cr_expect_eq(query(&bench.b).count, 2);
}

/* Another registrar has written since it was learned, and before the claim is
 * watched. */
Test(bindings, claim_is_asked_for)
{
	struct asked asked;

	relay_start();
	bind_one(&bench.a, "sip:a@h", 1);
	relay_hold(bench.relay);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:a@h", 2, 600, &asked);
	cr_assert_eq(bind_one(&bench.b, "sip:other@h", 1).outcome,
		     BINDING_ADDED);
	relay_release(bench.relay);
	TURN_UNTIL(bench.loop, asked.done);
	cr_expect_eq(query(&bench.b).count, 2);
}

/* A clock that was learned from an answer that came late makes the next one
 * come late, once. */
Test(bindings, clock_is_learned_again)
{
	const struct binding item = item_of("sip:a@h", 1, 600);
	struct asked asked;
	uint64_t end_ms;

	relay_start();
	change_aor(&bench.a, "bob@x", "sip:b@h", 1, 600);
	relay_hold_answers(bench.relay, true);
	begin(&bench.a, "carol@x", "sip:c@h", 1, 600, &asked);
	end_ms = loop_now_ms(bench.loop) + 3 * SOON_MS;
	TURN_UNTIL(bench.loop, loop_now_ms(bench.loop) > end_ms);
	relay_hold_answers(bench.relay, false);
	TURN_UNTIL(bench.loop, asked.done);
	begin_items(&bench.a, "alice@x", &item, 1, 2 * SOON_MS, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	cr_expect_eq(asked.outcome, BINDING_ADDED);
	cr_expect_eq(query(&bench.b).count, 1);
}

/* --- Redis in trouble --- */

/* It refuses MSET within MULTI, and then all that writes; nothing was written,
 * nothing is taken for known, and the connection is good for others. */
Test(bindings, out_of_memory)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct asked asked;

	REDIS("CONFIG", "SET", "maxmemory", "1");
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq).code, ERR_INTERNAL);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq + 1).code,
		     ERR_INTERNAL);
	asked = query(&bench.a);
	cr_expect_eq(asked.count, 1);
	cr_expect_eq(asked.cseq, cseq - 1);
	REDIS("CONFIG", "SET", "maxmemory", "0");
	/* A retransmission, since this side does not know better. */
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq - 1).outcome,
		     BINDING_SAME);
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq).outcome,
		     BINDING_REFRESHED);
	cr_expect_eq(query(&bench.b).cseq, cseq);
}

/* Without WATCH nothing is written without a look. */
Test(bindings, watch_is_refused)
{
	REDIS("ACL", "SETUSER", "default", "-watch");
	for (uint32_t cseq = 1; cseq < 8; cseq++)
		cr_assert_eq(bind_one(&bench.a, "sip:a@h", cseq).code, ERR_OK);
	cr_expect_eq(renewed(&bench.a), 0);
	REDIS("ACL", "SETUSER", "default", "+watch");
	learn(&bench.a, "sip:a@h", 8);
}

Test(bindings, emptied_by_hand)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);

	REDIS("FLUSHALL");
	cr_expect_eq(bind_one(&bench.a, "sip:a@h", cseq).outcome,
		     BINDING_ADDED);
	cr_expect_eq(list(&bench.b), 1);
}

/* It ends with changes in every state: sent, waiting behind them, compared. */
Test(bindings, stopped_in_the_midst)
{
	struct asked asked[4];
	uint32_t bob, alice;

	relay_start();
	bob = learn_aor(&bench.a, "bob@x", "sip:b@h", 1);
	alice = learn(&bench.a, "sip:a@h", 1);
	relay_hold(bench.relay);
	begin(&bench.a, "bob@x", "sip:b@h", bob, 600, &asked[0]);
	bindings_flush(bench.a.bindings);
	begin(&bench.a, "alice@x", "sip:a@h", alice, 600, &asked[1]);
	begin(&bench.a, "carol@x", "sip:c@h", 1, 600, &asked[2]);
	begin(&bench.a, "dora@x", "sip:d@h", 1, 0, &asked[3]);
	side_stop(&bench.a);
	for (size_t i = 0; i < 4; i++) {
		cr_expect(asked[i].done);
		cr_expect_neq(asked[i].code, ERR_OK);
	}
	side_start(&bench.a, bench.redis.url);
}

/* --- Lists --- */

/* What is no text cannot be ours: it leaves the lists, and is left alone. */
Test(bindings, alien_in_a_list)
{
	bind_one(&bench.a, "sip:a@h", 1);
	REDIS("SADD", "binding:alien", "x");
	REDIS("ZADD", "bindings", "0", "binding:alien");
	cr_expect_eq(list(&bench.b), 1);
	cr_expect_eq(REDIS("ZCARD", "bindings"), 1);
	cr_expect_eq(REDIS("EXISTS", "binding:alien"), 1);
}

/* The domain of an address of record becomes another tenant's: whoever knows,
 * it is that one's from its next refresh on. */
Test(bindings, another_tenant)
{
	const uint32_t cseq = learn(&bench.a, "sip:a@h", 1);
	struct binding item = item_of("sip:a@h", cseq, 600);
	struct asked asked;

	item.tenant_id = TENANT + 1;
	begin_items(&bench.a, "alice@x", &item, 1, DEADLINE_MS, &asked);
	TURN_UNTIL(bench.loop, asked.done);
	cr_expect_eq(asked.outcome, BINDING_REFRESHED);
	cr_expect_eq(online_of(&bench.b, TENANT), 0);
	cr_expect_eq(online_of(&bench.b, TENANT + 1), 1);
	cr_expect_eq(list_of(&bench.b, TENANT), 0);
	cr_expect_eq(list_of(&bench.b, TENANT + 1), 1);
}

/* --- At random --- */

enum {
	PHONES = 8,
	ALONE = 5, /* of them; the others share an address of record */
	STEPS = 1500,
	/* No command is done later than that; few take so long. */
	STEP_DEADLINE_MS = 300,
};

/* A phone asks for one thing at a time (RFC 3261 10.2), of whichever registrar.
 * What it was told is there; where it was told of a failure, either may be. */
struct phone {
	char aor[16], contact[16];
	uint32_t cseq;
	bool asks;
	bool bound, unbound; /* as it may be */
	bool removes;
	uint64_t free_ms; /* nothing of it is done any more */
};

struct chance {
	uint64_t state;
	struct phone phones[PHONES];
	bool kept; /* the relay keeps something until then: */
	uint64_t release_ms;
};

static uint64_t dice(struct chance *chance, uint64_t sides)
{
	chance->state ^= chance->state << 13;
	chance->state ^= chance->state >> 7;
	chance->state ^= chance->state << 17;
	return chance->state % sides;
}

static void on_told(void *arg, enum binding_outcome outcome,
		    const struct binding_set *set, enum err_code code)
{
	struct phone *phone = arg;

	(void)set;
	phone->asks = false;
	if (code) {
		phone->bound |= !phone->removes;
		phone->unbound |= phone->removes;
		return;
	}
	cr_expect_neq(outcome, BINDING_OUT_OF_ORDER, "%s %u", phone->contact,
		      phone->cseq);
	phone->bound = !phone->removes;
	phone->unbound = phone->removes;
	phone->free_ms = 0;
}

static void ask(struct phone *phone, struct side *side, bool removes)
{
	const struct binding item =
		item_of(phone->contact, ++phone->cseq, removes ? 0 : 600);
	const struct binding_change change = {.call_id = item.call_id,
					      .cseq = item.cseq,
					      .contacts = &item,
					      .count = 1};

	phone->asks = true;
	phone->removes = removes;
	phone->free_ms = loop_now_ms(bench.loop) + STEP_DEADLINE_MS;
	bindings_change(side->bindings, slice_str(phone->aor), &change,
			STEP_DEADLINE_MS, on_told, phone);
}

static bool is_free(const struct phone *phone)
{
	return !phone->asks && loop_now_ms(bench.loop) > phone->free_ms;
}

static void phone_check(const struct phone *phone)
{
	const struct asked asked = query_aor(&bench.b, phone->aor);
	const bool bound = strstr(asked.contacts, phone->contact);

	cr_expect(bound ? phone->bound : phone->unbound, "%s is%s there",
		  phone->contact, bound ? "" : " not");
}

static void connections_kill(void)
{
	const struct slice words[] = {slice_str("CLIENT"), slice_str("KILL"),
				      slice_str("TYPE"), slice_str("normal")};

	cache_run(bench.b.cache, words, 4, DEADLINE_MS, NULL, NULL);
}

static void scripts_flush(void)
{
	const struct slice words[] = {slice_str("SCRIPT"), slice_str("FLUSH")};

	cache_run(bench.b.cache, words, 2, DEADLINE_MS, NULL, NULL);
}

/* What side a has sent comes when all of it has failed, its next connection
 * long in use. */
static void keep_late(struct chance *chance)
{
	if (chance->kept)
		return;
	relay_hold(bench.relay);
	for (size_t i = 0; i < PHONES; i++)
		if (is_free(&chance->phones[i]))
			ask(&chance->phones[i], &bench.a, dice(chance, 2));
	bindings_flush(bench.a.bindings);
	for (size_t i = 0; i < 3; i++)
		loop_turn(bench.loop, 1);
	relay_cut(bench.relay);
	chance->kept = true;
	chance->release_ms = loop_now_ms(bench.loop) + STEP_DEADLINE_MS;
}

static void step(struct chance *chance)
{
	/* Both know something now and then. */
	struct side *const side = dice(chance, 30) ? &bench.a : &bench.b;
	struct phone *phone = &chance->phones[dice(chance, PHONES)];
	const uint64_t what = dice(chance, 1000);

	if (what < 2)
		connections_kill();
	else if (what < 7)
		keep_late(chance);
	else if (what < 12)
		scripts_flush();
	else if (is_free(phone))
		ask(phone, side, what < 100);
	for (uint64_t turns = dice(chance, 3); turns > 0; turns--)
		loop_turn(bench.loop, 1);
	if (chance->kept && loop_now_ms(bench.loop) > chance->release_ms) {
		relay_release(bench.relay);
		chance->kept = false;
	}
}

static void settle(struct chance *chance)
{
	for (size_t i = 0; i < PHONES; i++)
		TURN_UNTIL(bench.loop, is_free(&chance->phones[i]));
	if (!chance->kept)
		return;
	TURN_UNTIL(bench.loop, loop_now_ms(bench.loop) > chance->release_ms);
	relay_release(bench.relay);
	chance->kept = false;
}

/* Contents are as the phones were told. */
Test(bindings, at_random)
{
	relay_start();
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct chance chance = {.state = seed * 0x9e3779b97f4a7c15};

		for (size_t i = 0; i < PHONES; i++) {
			struct phone *phone = &chance.phones[i];

			phone->unbound = true;
			snprintf(phone->aor, sizeof(phone->aor), "%d-%zu@x",
				 (int)seed, i < ALONE ? i : ALONE);
			snprintf(phone->contact, sizeof(phone->contact),
				 "sip:%zu@h", i);
		}
		for (size_t i = 0; i < STEPS; i++) {
			step(&chance);
			if (i % (STEPS / 3) == 0)
				settle(&chance);
		}
		settle(&chance);
		for (size_t i = 0; i < PHONES; i++)
			phone_check(&chance.phones[i]);
	}
	cr_expect_gt(renewed(&bench.a), 0);
}
