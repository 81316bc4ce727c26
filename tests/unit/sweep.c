#include "services/registrar/sweep.h"

#include "services/common/cache.h"
#include "services/common/secrets.h"

#include "servers.h"
#include "turn.h"
#include "world_double.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

enum {
	DEADLINE_MS = 10000,
	TENANT = 5,
	USER = 100,  /* the first's id */
	USERS = 250, /* more than two rounds */
	TRUNK = 11,
};

#define DOMAIN "pbx.example.com"

static struct {
	struct servers_redis redis;
	struct loop *loop;
	struct cache *cache;
	struct bindings *bindings;
	struct world world;
	struct sweep *sweep;
} bench;

static void on_user_gone(void *arg, struct slice aor)
{
	(void)arg;
	sweep_aor(bench.sweep, aor);
}

static void on_tenant_gone(void *arg, int64_t id)
{
	(void)arg;
	sweep_tenant(bench.sweep, id);
}

static void user_set(int64_t id, bool enabled)
{
	char extension[32];
	const struct phones_user user = {.id = id,
					 .tenant_id = TENANT,
					 .extension = extension,
					 .password = "secret",
					 .enabled = enabled};

	snprintf(extension, sizeof(extension), "%" PRId64, id);
	phones_user_set(bench.world.phones, &user);
}

static void set_up(void)
{
	const struct phones_listener listener = {
		.on_user_gone = on_user_gone, .on_tenant_gone = on_tenant_gone};

	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	servers_redis_start(&bench.redis, NULL);
	bench.loop = loop_new();
	cr_assert_eq(cache_new(bench.loop, bench.redis.url, NULL, &bench.cache,
			       NULL),
		     ERR_OK);
	bench.bindings = bindings_new(bench.loop, bench.cache, NULL);
	bench.world = (struct world){
		.synced = true,
		.count = 1,
		.trunks[0] = {.id = TRUNK,
			      .tenant_id = TENANT,
			      .auth = WORLD_ACCEPT_REGISTER,
			      .enabled = true,
			      .hostname = "trunk.example.com",
			      .auth_id = "gateway",
			      .username = "",
			      .password = "secret"},
		.phones = phones_new(&listener),
	};
	phones_tenant_set(bench.world.phones, TENANT, DOMAIN, true);
	for (int i = 0; i < USERS; i++)
		user_set(USER + i, true);
	bench.sweep = sweep_new(bench.loop, bench.bindings, &bench.world, NULL);
}

static void tear_down(void)
{
	cache_free(bench.cache);
	sweep_free(bench.sweep);
	phones_free(bench.world.phones);
	bindings_free(bench.bindings);
	loop_free(bench.loop);
	servers_redis_stop(&bench.redis);
}

TestSuite(sweep, .init = set_up, .fini = tear_down);

static void on_bound(void *arg, enum binding_outcome outcome,
		     const struct binding_set *set, enum err_code code)
{
	(void)set;
	cr_expect_eq(outcome, BINDING_ADDED);
	cr_expect_eq(code, ERR_OK);
	(*(size_t *)arg)--;
}

static void bind_for(const char *aor, int64_t trunk_id, int64_t user_id,
		     int64_t tenant_id, uint32_t expires_s, size_t *pending)
{
	const struct binding contact = {
		.contact = slice_str("sip:a@192.0.2.1"),
		.call_id = slice_str("c1"),
		.cseq = 1,
		.expires_s = expires_s,
		.q = 1000,
		.transport = SIP_TRANSPORT_UDP,
		.trunk_id = trunk_id,
		.user_id = user_id,
		.tenant_id = tenant_id,
	};
	const struct binding_change change = {.call_id = contact.call_id,
					      .cseq = 1,
					      .contacts = &contact,
					      .count = 1};

	(*pending)++;
	bindings_change(bench.bindings, slice_str(aor), &change, DEADLINE_MS,
			on_bound, pending);
}

static void bind_one(const char *aor, int64_t trunk_id, int64_t user_id,
		     int64_t tenant_id, size_t *pending)
{
	bind_for(aor, trunk_id, user_id, tenant_id, 600, pending);
}

/* All users and the trunk. */
static void bind_all(void)
{
	size_t pending = 0;
	char aor[64];

	for (int i = 0; i < USERS; i++) {
		snprintf(aor, sizeof(aor), "%d@" DOMAIN, USER + i);
		bind_one(aor, 0, USER + i, TENANT, &pending);
	}
	bind_one("gateway@trunk.example.com", TRUNK, 0, TENANT, &pending);
	TURN_UNTIL(bench.loop, pending == 0);
}

struct counted {
	bool done;
	size_t total;
};

static void on_listed(void *arg, const struct bindings_page *page,
		      enum err_code code)
{
	struct counted *counted = arg;

	cr_assert_eq(code, ERR_OK);
	counted->done = true;
	counted->total = page->total;
}

static size_t listed(int64_t tenant_id)
{
	struct counted counted = {0};

	bindings_list(bench.bindings, tenant_id, 0, 1, DEADLINE_MS, on_listed,
		      &counted);
	TURN_UNTIL(bench.loop, counted.done);
	return counted.total;
}

static void on_counted(void *arg, size_t users, enum err_code code)
{
	struct counted *counted = arg;

	cr_assert_eq(code, ERR_OK);
	counted->done = true;
	counted->total = users;
}

static size_t online(int64_t tenant_id)
{
	struct counted counted = {0};

	bindings_online(bench.bindings, tenant_id, DEADLINE_MS, on_counted,
			&counted);
	TURN_UNTIL(bench.loop, counted.done);
	return counted.total;
}

static void swept(void)
{
	TURN_UNTIL(bench.loop, sweep_idle(bench.sweep));
}

Test(sweep, lists_by_tenant)
{
	bind_all();
	cr_expect_eq(listed(0), USERS + 1);
	cr_expect_eq(listed(TENANT), USERS + 1);
	cr_expect_eq(listed(TENANT + 1), 0);
	cr_expect_eq(online(TENANT), USERS);
	cr_expect_eq(online(TENANT + 1), 0);
}

Test(sweep, a_user)
{
	bind_all();
	sweep_aor(bench.sweep, slice_str("100@" DOMAIN));
	swept();
	cr_expect_eq(listed(TENANT), USERS + 1, "it is still there");
	user_set(USER, false);
	phones_user_remove(bench.world.phones, USER + 1);
	swept();
	cr_expect_eq(listed(TENANT), USERS - 1);
	cr_expect_eq(listed(0), USERS - 1);
	cr_expect_eq(online(TENANT), USERS - 2);
}

Test(sweep, a_tenant)
{
	bind_all();
	phones_tenant_set(bench.world.phones, TENANT, DOMAIN, false);
	/* Once more while it is at it. */
	TURN_UNTIL(bench.loop, listed(TENANT) < USERS);
	sweep_tenant(bench.sweep, TENANT);
	swept();
	/* The trunk is another matter. */
	cr_expect_eq(listed(TENANT), 1);
	cr_expect_eq(listed(0), 1);
	cr_expect_eq(online(TENANT), 0);
}

Test(sweep, a_domain)
{
	bind_all();
	phones_tenant_set(bench.world.phones, TENANT, "new.example.com", true);
	swept();
	cr_expect_eq(online(TENANT), 0);
	cr_expect_eq(listed(0), 1);
}

/* What went while nobody was there to hear. */
Test(sweep, all)
{
	size_t pending = 0;

	bind_all();
	bind_one("999@" DOMAIN, 0, 999, TENANT, &pending);
	bind_one("gone@trunk.example.com", 12, 0, 0, &pending);
	TURN_UNTIL(bench.loop, pending == 0);
	bench.world.trunks[0].enabled = false;
	sweep_all(bench.sweep);
	swept();
	cr_expect_eq(listed(0), USERS);
	cr_expect_eq(listed(TENANT), USERS);
}

/* Phones that were unplugged, more than a page of them may take out at once,
 * before and behind one that is there: one walk is enough. */
Test(sweep, what_has_ended)
{
	enum { ENDED = 900 };

	size_t pending = 0;
	char aor[64];

	bind_one("100@" DOMAIN, 0, USER, TENANT, &pending);
	for (int i = 0; i < ENDED; i++) {
		snprintf(aor, sizeof(aor), "%04d@" DOMAIN, 9 * i);
		bind_for(aor, 0, USER, TENANT, 1, &pending);
	}
	TURN_UNTIL(bench.loop, pending == 0);
	TURN_UNTIL(bench.loop, online(TENANT) == 1);
	sweep_all(bench.sweep);
	swept();
	cr_expect_eq(listed(0), 1);
	cr_expect_eq(listed(TENANT), 1);
}

Test(sweep, more_than_may_wait)
{
	bind_all();
	phones_user_remove(bench.world.phones, USER + 7);
	for (int i = 0; i <= SWEEP_WAITING_MAX; i++)
		sweep_aor(bench.sweep, slice_str("nobody@" DOMAIN));
	swept();
	cr_expect_eq(online(TENANT), USERS - 1);
}

Test(sweep, waits_for_redis)
{
	bind_all();
	kill(bench.redis.pid, SIGSTOP);
	user_set(USER, false);
	phones_user_remove(bench.world.phones, USER + 1);
	for (int i = 0; i < 20; i++)
		loop_turn(bench.loop, 10);
	cr_expect_not(sweep_idle(bench.sweep));
	kill(bench.redis.pid, SIGCONT);
	swept();
	cr_expect_eq(online(TENANT), USERS - 2);
}
