#include "services/common/session.h"

#include "servers.h"
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEADLINE_MS = 10000 };

/* One Redis, cache and loop per test. */
struct world {
	struct servers_redis redis;
	struct loop *loop;
	struct cache *cache;
};

static struct world world;

static const struct principal admin = {.kind = PRINCIPAL_SYSTEM,
				       .id = 700551909773148160,
				       .role = SLICE("SystemAdmin"),
				       .name = SLICE("admin"),
				       .address = SLICE("192.0.2.1")};

/* Two ids that a session ends by. */
static const struct principal user = {.kind = PRINCIPAL_USER,
				      .id = 700551909773148161,
				      .tenant_id = 700551909773148170,
				      .role = SLICE("StandardUser"),
				      .name = SLICE("erika"),
				      .address = SLICE("192.0.2.1")};

static void set_up(void)
{
	cr_assert(secrets_init());
	servers_redis_start(&world.redis, NULL);
	world.loop = loop_new();
	cr_assert_eq(cache_new(world.loop, world.redis.url, NULL, &world.cache,
			       NULL),
		     ERR_OK);
}

static void tear_down(void)
{
	cache_free(world.cache);
	loop_free(world.loop);
	servers_redis_stop(&world.redis);
}

TestSuite(session, .init = set_up, .fini = tear_down);

/* The end of one operation, whichever. */
struct end {
	bool done;
	enum err_code code;
	struct session_tokens tokens;
	int64_t id;
	int64_t acting_as;
	int64_t expires_at;
	char name[64];
};

static void on_tokens(void *arg, const struct session_tokens *tokens,
		      enum err_code code)
{
	struct end *end = arg;

	cr_assert_eq(tokens != NULL, code == ERR_OK);
	end->done = true;
	end->code = code;
	if (tokens)
		end->tokens = *tokens;
}

static void on_session(void *arg, const struct session *session,
		       enum err_code code)
{
	struct end *end = arg;

	cr_assert_eq(session != NULL, code == ERR_OK);
	end->done = true;
	end->code = code;
	if (!session)
		return;
	end->id = session->principal.id;
	end->acting_as = session->principal.acting_as;
	end->expires_at = session->expires_at;
	snprintf(end->name, sizeof(end->name), "%.*s",
		 SLICE_ARG(session->principal.name));
}

static void on_done(void *arg, enum err_code code)
{
	struct end *end = arg;

	end->done = true;
	end->code = code;
}

static void await(const struct end *end)
{
	TURN_UNTIL(world.loop, end->done);
}

static struct session_tokens create_for(const struct principal *principal)
{
	struct end end = {0};

	session_create(world.cache, principal, DEADLINE_MS, on_tokens, &end);
	cr_assert_not(end.done, "a callback ran from within");
	await(&end);
	cr_assert_eq(end.code, ERR_OK);
	return end.tokens;
}

static struct session_tokens create(void)
{
	return create_for(&admin);
}

static struct end get(const char *access)
{
	struct end end = {0};

	session_get(world.cache, slice_str(access), DEADLINE_MS, on_session,
		    &end);
	await(&end);
	return end;
}

static struct end refresh(const char *token)
{
	struct end end = {0};

	session_refresh(world.cache, slice_str(token), DEADLINE_MS, on_tokens,
			&end);
	await(&end);
	return end;
}

static enum err_code end_one(const char *access)
{
	struct end end = {0};

	session_end(world.cache, slice_str(access), DEADLINE_MS, on_done, &end);
	await(&end);
	return end.code;
}

static enum err_code end_all(int64_t id)
{
	struct end end = {0};

	session_end_all(world.cache, id, DEADLINE_MS, on_done, &end);
	await(&end);
	return end.code;
}

static enum err_code act_as(const char *access, int64_t tenant_id)
{
	struct end end = {0};

	session_act_as(world.cache, slice_str(access), tenant_id, DEADLINE_MS,
		       on_done, &end);
	cr_assert_not(end.done, "a callback ran from within");
	await(&end);
	return end.code;
}

/* A raw command's answer: text, lines of an array, or an integer's digits. */
struct raw {
	bool done;
	char text[8192];
};

static void on_raw(void *arg, const struct cache_reply *reply,
		   enum err_code code)
{
	struct raw *raw = arg;
	size_t used = 0;

	raw->done = true;
	cr_assert_eq(code, ERR_OK);
	if (reply->kind == CACHE_INT)
		snprintf(raw->text, sizeof(raw->text), "%lld",
			 (long long)reply->integer);
	if (reply->kind == CACHE_STR)
		snprintf(raw->text, sizeof(raw->text), "%.*s",
			 SLICE_ARG(reply->text));
	for (size_t i = 0; i < reply->count; i++)
		used += (size_t)snprintf(raw->text + used,
					 sizeof(raw->text) - used, "%.*s\n",
					 SLICE_ARG(reply->items[i].text));
}

static struct raw redis(const char *a, const char *b, const char *c)
{
	struct slice words[] = {slice_str(a), slice_str(b), slice_str(c)};
	struct raw raw = {0};

	cache_run(world.cache, words,
		  c   ? 3
		  : b ? 2
		      : 1,
		  DEADLINE_MS, on_raw, &raw);
	TURN_UNTIL(world.loop, raw.done);
	return raw;
}

static void key_of(char *key, size_t size, const char *prefix,
		   const char *token)
{
	char digest[SECRETS_DIGEST_BYTES];

	secrets_token_digest(slice_str(token), digest);
	snprintf(key, size, "%s:%s", prefix, digest);
}

static long ttl(const char *prefix, const char *token)
{
	char key[128];

	key_of(key, sizeof(key), prefix, token);
	return atol(redis("TTL", key, NULL).text);
}

Test(session, created_and_got)
{
	struct session_tokens tokens = create();
	struct end end = get(tokens.access);

	cr_assert_eq(end.code, ERR_OK);
	cr_assert_eq(end.id, admin.id);
	cr_assert_str_eq(end.name, "admin");
	cr_assert_eq(end.expires_at, tokens.expires_at);
	cr_assert_gt(end.expires_at, time(NULL));
	cr_assert_leq(end.expires_at, time(NULL) + SESSION_ACCESS_S);
}

Test(session, unknown_tokens)
{
	static const char *const rows[] = {"", "x", "*", "session:*"};

	create();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(get(rows[i]).code, ERR_UNAUTHORIZED, "'%s'",
			     rows[i]);
		cr_assert_eq(refresh(rows[i]).code, ERR_REFRESH, "'%s'",
			     rows[i]);
		cr_assert_eq(end_one(rows[i]), ERR_OK, "'%s'", rows[i]);
	}
}

Test(session, tokens_do_not_stand_for_each_other)
{
	struct session_tokens tokens = create();

	cr_assert_eq(get(tokens.refresh).code, ERR_UNAUTHORIZED);
	cr_assert_eq(refresh(tokens.access).code, ERR_REFRESH);
	cr_assert_eq(get(tokens.access).code, ERR_OK);
}

Test(session, keys_end_by_themselves)
{
	struct session_tokens tokens = create();
	long all = atol(redis("TTL", "sessions:700551909773148160", NULL).text);

	cr_assert_gt(ttl("session", tokens.access), SESSION_ACCESS_S - 60);
	cr_assert_leq(ttl("session", tokens.access), SESSION_ACCESS_S);
	cr_assert_gt(ttl("refresh", tokens.refresh), SESSION_REFRESH_S - 60);
	cr_assert_leq(ttl("refresh", tokens.refresh), SESSION_REFRESH_S);
	cr_assert_gt(all, SESSION_REFRESH_S - 60);
	cr_assert_leq(all, SESSION_REFRESH_S);
}

/* A copy of Redis opens nothing: no token is in it, in no key and no value. */
Test(session, redis_holds_digests_only)
{
	struct session_tokens tokens = create();
	char script[512];
	static const char holds[] =
		"local held = 0 "
		"for _, key in ipairs(redis.call('KEYS', '*:*')) do "
		"local text = key "
		"if redis.call('TYPE', key).ok == 'string' then "
		"text = key .. redis.call('GET', key) end "
		"if string.find(text, '%s', 1, true) then held = held + 1 end "
		"end return held";
	const char *const secrets[] = {tokens.access, tokens.refresh};

	/* The search finds what is there: the principal's name. */
	snprintf(script, sizeof(script), holds, "SystemAdmin");
	cr_assert_str_eq(redis("EVAL", script, "0").text, "2");
	for (size_t i = 0; i < 2; i++) {
		snprintf(script, sizeof(script), holds, secrets[i]);
		cr_assert_str_eq(redis("EVAL", script, "0").text, "0");
	}
}

Test(session, refresh_rotates_both)
{
	struct session_tokens old = create();
	struct end end = refresh(old.refresh);

	cr_assert_eq(end.code, ERR_OK);
	cr_assert_str_neq(end.tokens.access, old.access);
	cr_assert_str_neq(end.tokens.refresh, old.refresh);
	cr_assert_eq(get(old.access).code, ERR_UNAUTHORIZED);
	cr_assert_eq(refresh(old.refresh).code, ERR_REFRESH);

	struct end found = get(end.tokens.access);

	cr_assert_eq(found.code, ERR_OK);
	cr_assert_eq(found.id, admin.id);
	cr_assert_str_eq(found.name, "admin");
	cr_assert_eq(refresh(end.tokens.refresh).code, ERR_OK);
}

Test(session, refresh_works_after_the_access_token_ended)
{
	struct session_tokens tokens = create();
	char key[128];

	key_of(key, sizeof(key), "session", tokens.access);
	cr_assert_str_eq(redis("DEL", key, NULL).text, "1");
	cr_assert_eq(get(tokens.access).code, ERR_UNAUTHORIZED);
	cr_assert_eq(refresh(tokens.refresh).code, ERR_OK);
}

Test(session, refresh_token_shown_by_many_at_once_works_once)
{
	enum { MANY = 8 };
	struct session_tokens tokens = create();
	struct end ends[MANY] = {0};
	size_t good = 0;

	for (size_t i = 0; i < MANY; i++)
		session_refresh(world.cache, slice_str(tokens.refresh),
				DEADLINE_MS, on_tokens, &ends[i]);
	for (size_t i = 0; i < MANY; i++) {
		await(&ends[i]);
		if (ends[i].code == ERR_OK) {
			good++;
			cr_assert_eq(get(ends[i].tokens.access).code, ERR_OK);
		} else {
			cr_assert_eq(ends[i].code, ERR_REFRESH);
		}
	}
	cr_assert_eq(good, 1);
}

Test(session, end_kills_both)
{
	struct session_tokens tokens = create();
	struct session_tokens other = create();

	cr_assert_eq(end_one(tokens.access), ERR_OK);
	cr_assert_eq(get(tokens.access).code, ERR_UNAUTHORIZED);
	cr_assert_eq(refresh(tokens.refresh).code, ERR_REFRESH);
	cr_assert_eq(end_one(tokens.access), ERR_OK);
	cr_assert_eq(get(other.access).code, ERR_OK);
}

/* More than one batch, some of them refreshed, and another principal's. */
Test(session, end_all)
{
	enum { MANY = 200 };
	struct session_tokens tokens[MANY];
	struct principal other = admin;

	other.id = 2;

	struct session_tokens others = create_for(&other);

	for (size_t i = 0; i < MANY; i++) {
		tokens[i] = create();
		if (i % 3 == 0)
			tokens[i] = refresh(tokens[i].refresh).tokens;
	}
	cr_assert_eq(end_all(admin.id), ERR_OK);
	for (size_t i = 0; i < MANY; i++) {
		cr_assert_eq(get(tokens[i].access).code, ERR_UNAUTHORIZED);
		cr_assert_eq(refresh(tokens[i].refresh).code, ERR_REFRESH);
	}
	cr_assert_eq(get(others.access).code, ERR_OK);
	cr_assert_eq(end_all(admin.id), ERR_OK);
	/* Nothing but the other's pair and set is left. */
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "3");
}

/* What rotation and sign-out end is taken out of the set, too. */
Test(session, set_does_not_grow)
{
	struct session_tokens tokens = create();

	for (int i = 0; i < 5; i++)
		tokens = refresh(tokens.refresh).tokens;
	cr_assert_str_eq(
		redis("ZCARD", "sessions:700551909773148160", NULL).text, "2");
	cr_assert_eq(end_one(tokens.access), ERR_OK);
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "0");
}

static long members(int64_t id)
{
	char key[64];

	snprintf(key, sizeof(key), "sessions:%lld", (long long)id);
	return atol(redis("ZCARD", key, NULL).text);
}

/* Each distinct id has a set of its own, and all of them are kept alike. */
Test(session, sets_of_all_its_ids)
{
	static const struct {
		const char *name;
		int64_t id, tenant_id, dealer_id;
		long sets;
	} rows[] = {
		{"administrator", 11, 0, 0, 1},
		{"user", 12, 112, 0, 2},
		{"user of a dealer's tenant", 13, 113, 213, 3},
		{"dealer", 14, 0, 14, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int64_t ids[] = {rows[i].id, rows[i].tenant_id,
				       rows[i].dealer_id};
		struct principal principal = user;

		principal.id = rows[i].id;
		principal.tenant_id = rows[i].tenant_id;
		principal.dealer_id = rows[i].dealer_id;

		struct session_tokens tokens = create_for(&principal);

		tokens = refresh(tokens.refresh).tokens;
		for (size_t j = 0; j < 3; j++)
			cr_assert_eq(members(ids[j]), ids[j] ? 2 : 0, "%s",
				     rows[i].name);
		cr_assert_eq(atol(redis("DBSIZE", NULL, NULL).text),
			     2 + rows[i].sets, "%s", rows[i].name);
		cr_assert_eq(end_one(tokens.access), ERR_OK);
		cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "0", "%s",
				 rows[i].name);
	}
}

/* A tenant's end is its users', and nobody else's. */
Test(session, end_all_of_a_tenant)
{
	enum { MANY = 150 };
	struct session_tokens tokens[MANY];
	struct principal principal = user;
	struct session_tokens system = create();

	principal.tenant_id = 7;

	struct session_tokens neighbour = create_for(&principal);

	principal = user;
	for (size_t i = 0; i < MANY; i++) {
		principal.id = 1000 + (int64_t)(i / 2);
		tokens[i] = create_for(&principal);
	}
	cr_assert_eq(members(user.tenant_id), 2L * MANY);
	cr_assert_eq(end_all(user.tenant_id), ERR_OK);
	for (size_t i = 0; i < MANY; i++) {
		cr_assert_eq(get(tokens[i].access).code, ERR_UNAUTHORIZED);
		cr_assert_eq(refresh(tokens[i].refresh).code, ERR_REFRESH);
	}
	cr_assert_eq(get(neighbour.access).code, ERR_OK);
	cr_assert_eq(get(system.access).code, ERR_OK);
	/* Two pairs, two sets of the neighbour and one of the administrator:
	 * the users' own sets went with the tenant's. */
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "7");
}

/* A changed password takes the user's sessions out of the tenant's set. */
Test(session, end_all_of_a_user)
{
	struct session_tokens tokens = create_for(&user);
	struct principal colleague = user;

	colleague.id = 8;

	struct session_tokens stays = create_for(&colleague);

	cr_assert_eq(end_all(user.id), ERR_OK);
	cr_assert_eq(get(tokens.access).code, ERR_UNAUTHORIZED);
	cr_assert_eq(get(stays.access).code, ERR_OK);
	cr_assert_eq(members(user.tenant_id), 2);
	cr_assert_eq(members(user.id), 0);
}

Test(session, act_as_and_back)
{
	enum { ENDS_EARLIER_S = 600 };
	struct session_tokens tokens = create();
	struct end before = get(tokens.access);
	char key[128];
	char seconds[16];

	/* The life of the session goes on as it was. */
	key_of(key, sizeof(key), "session", tokens.access);
	snprintf(seconds, sizeof(seconds), "%d",
		 SESSION_ACCESS_S - ENDS_EARLIER_S);
	redis("EXPIRE", key, seconds);
	cr_assert_eq(before.acting_as, 0);
	cr_assert_eq(act_as(tokens.access, 7), ERR_OK);

	struct end acting = get(tokens.access);

	cr_assert_eq(acting.code, ERR_OK);
	cr_assert_eq(acting.id, admin.id);
	cr_assert_eq(acting.acting_as, 7);
	cr_assert_eq(acting.expires_at, before.expires_at);
	cr_assert_leq(ttl("session", tokens.access),
		      SESSION_ACCESS_S - ENDS_EARLIER_S);
	cr_assert_gt(ttl("session", tokens.access), 0);
	cr_assert_leq(ttl("refresh", tokens.refresh), SESSION_REFRESH_S);
	cr_assert_gt(ttl("refresh", tokens.refresh), SESSION_REFRESH_S - 60);
	/* Another tenant, and back. */
	cr_assert_eq(act_as(tokens.access, 8), ERR_OK);
	cr_assert_eq(get(tokens.access).acting_as, 8);
	cr_assert_eq(act_as(tokens.access, 0), ERR_OK);
	cr_assert_eq(get(tokens.access).acting_as, 0);
	cr_assert_eq(end_one(tokens.access), ERR_OK);
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "0");
}

Test(session, act_as_survives_a_refresh)
{
	struct session_tokens tokens = create();

	cr_assert_eq(act_as(tokens.access, 7), ERR_OK);

	struct end end = refresh(tokens.refresh);

	cr_assert_eq(end.code, ERR_OK);
	cr_assert_eq(get(end.tokens.access).acting_as, 7);
	cr_assert_eq(act_as(end.tokens.access, 0), ERR_OK);
	end = refresh(end.tokens.refresh);
	cr_assert_eq(get(end.tokens.access).acting_as, 0);
}

/* Those that act as it, among more than one batch of others. */
Test(session, end_acting)
{
	enum { MANY = 150, TENANT = 7, ANOTHER = 8 };
	struct session_tokens tokens[MANY];
	struct end end = {0};

	for (size_t i = 0; i < MANY; i++) {
		tokens[i] = create();
		if (i % 3 > 0)
			cr_assert_eq(act_as(tokens[i].access,
					    i % 3 == 1 ? TENANT : ANOTHER),
				     ERR_OK);
	}
	session_end_acting(world.cache, admin.id, TENANT, DEADLINE_MS, on_done,
			   &end);
	await(&end);
	cr_assert_eq(end.code, ERR_OK);
	for (size_t i = 0; i < MANY; i++) {
		const bool ended = i % 3 == 1;

		cr_assert_eq(get(tokens[i].access).code,
			     ended ? ERR_UNAUTHORIZED : ERR_OK);
		cr_assert_eq(refresh(tokens[i].refresh).code,
			     ended ? ERR_REFRESH : ERR_OK);
	}
	cr_assert_eq(end_all(admin.id), ERR_OK);
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "0");
}

Test(session, act_as_of_an_ended_session)
{
	struct session_tokens tokens = create();

	cr_assert_eq(act_as("x", 7), ERR_UNAUTHORIZED);
	cr_assert_eq(end_one(tokens.access), ERR_OK);
	cr_assert_eq(act_as(tokens.access, 7), ERR_UNAUTHORIZED);
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "0");
}

/* Whichever comes first: a refresh token that was good stays good, and what
 * the caller is told of its switch is so. */
Test(session, act_as_while_refreshing)
{
	for (int round = 0; round < 20; round++) {
		struct session_tokens tokens = create();
		struct end acted = {0};
		struct end refreshed = {0};

		session_refresh(world.cache, slice_str(tokens.refresh),
				DEADLINE_MS, on_tokens, &refreshed);
		if (round % 2)
			loop_turn(world.loop, 1);
		session_act_as(world.cache, slice_str(tokens.access), 7,
			       DEADLINE_MS, on_done, &acted);
		await(&acted);
		await(&refreshed);
		cr_assert_eq(refreshed.code, ERR_OK);
		cr_assert(acted.code == ERR_OK ||
			  acted.code == ERR_UNAUTHORIZED);
		cr_assert_eq(get(refreshed.tokens.access).acting_as,
			     acted.code ? 0 : 7);
	}
}

Test(session, corrupt_values)
{
	static const char *const rows[] = {
		"",
		"x",
		"\x93",
		"\x93\xc0\xc0\xc0",
		"\x93\x98\x02\x01",
		"\x93\x01\x02\xa3"
		"abc",
		"\x92\xc0\xd9\xff"
		"ab",
		"\xdf\xff\xff\xff\xff",
	};
	char session_key[128];
	char refresh_key[128];

	key_of(session_key, sizeof(session_key), "session", "token");
	key_of(refresh_key, sizeof(refresh_key), "refresh", "token");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		redis("SET", session_key, rows[i]);
		redis("SET", refresh_key, rows[i]);
		cr_assert_eq(get("token").code, ERR_UNAUTHORIZED, "row %zu", i);
		cr_assert_eq(refresh("token").code, ERR_REFRESH, "row %zu", i);
		cr_assert_eq(end_one("token"), ERR_OK, "row %zu", i);
		cr_assert_eq(act_as("token", 7), ERR_UNAUTHORIZED, "row %zu",
			     i);
	}
}

/* Every prefix of a real value, too. */
Test(session, cut_values)
{
	struct session_tokens tokens = create();
	char key[128];

	key_of(key, sizeof(key), "session", tokens.access);
	for (long size = atol(redis("STRLEN", key, NULL).text) - 1; size >= 0;
	     size--) {
		char cut[512];

		snprintf(cut, sizeof(cut),
			 "redis.call('SET', '%s', string.sub(redis.call('GET', "
			 "'%s'), 1, %ld)) return 1",
			 key, key, size);
		cr_assert_str_eq(redis("EVAL", cut, "0").text, "1");
		cr_assert_eq(get(tokens.access).code, ERR_UNAUTHORIZED);
		cr_assert_eq(end_one(tokens.access), ERR_OK);
	}
}

/* What is in a set without being a session does not stay there. */
Test(session, end_all_of_what_is_none)
{
	redis("EVAL",
	      "redis.call('ZADD', 'sessions:9', 1, 'session:gone', 2, '', 3, "
	      "'refresh:broken')"
	      "redis.call('SET', 'refresh:broken', 'x') return 1",
	      "0");
	cr_assert_eq(end_all(9), ERR_OK);
	cr_assert_str_eq(redis("DBSIZE", NULL, NULL).text, "0");
}

Test(session, redis_away)
{
	struct session_tokens tokens = create();

	servers_redis_kill(&world.redis);
	TURN_UNTIL(world.loop, !cache_ready(world.cache));

	struct end ends[6] = {0};

	session_get(world.cache, slice_str(tokens.access), 1, on_session,
		    &ends[0]);
	session_create(world.cache, &admin, 1, on_tokens, &ends[1]);
	session_refresh(world.cache, slice_str(tokens.refresh), 1, on_tokens,
			&ends[2]);
	session_end(world.cache, slice_str(tokens.access), 1, on_done,
		    &ends[3]);
	session_act_as(world.cache, slice_str(tokens.access), 7, 1, on_done,
		       &ends[4]);
	session_end_all(world.cache, admin.id, 1, on_done, &ends[5]);
	for (size_t i = 0; i < 6; i++) {
		await(&ends[i]);
		cr_assert_eq(ends[i].code, ERR_UNAVAILABLE, "row %zu", i);
	}
}
