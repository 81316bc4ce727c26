#include "services/common/own_password.h"

#include "proto/reader.h"
#include "proto/writer.h"
#include "servers.h"
#include "services/common/bus_client.h"
#include "services/common/lockout.h"
#include "turn.h"

#include <stdio.h>

enum {
	SOON_MS = 30000, /* a deadline no test reaches */
	ACCOUNT = 7,
	VERSION = 3, /* of the good answer */
	HASH_BYTES = 256,
};

static struct world {
	struct servers_postgres postgres;
	struct servers_redis redis;
	struct loop *loop;
	struct database *database;
	struct cache *cache;
	struct passwords *passwords;
	struct metrics metrics;
	struct bus_server *server;
	struct bus_client *client;
	char directory[64];
	char hash[HASH_BYTES]; /* of "right", as the account has it */
	char sql[HASH_BYTES + 128];
	uint64_t locked;
} world;

static void on_right(void *arg, const char *hash)
{
	cr_assert_str_eq(hash, world.hash);
	bus_reply_ok(arg, VERSION);
}

/* The principal's account, the arguments {password}. */
static void prove(void *service, struct bus_call *call)
{
	const struct request *request = bus_call_request(call);
	struct reader reader;

	(void)service;
	reader_init(&reader, request->args);
	cr_assert_eq(reader_map(&reader), 1);
	reader_str(&reader);

	const struct own_password own = {
		.database = world.database,
		.cache = world.cache,
		.passwords = world.passwords,
		.name = "own_password",
		.sql = world.sql,
		.id = request->principal.id,
		.old_password = reader_str(&reader),
		.refused = "test.refused",
		.locked = &world.locked,
		.right = on_right,
		.arg = call,
	};

	own_password_check(call, &own);
}

static void on_hashed(void *arg, bool good, const char *hash)
{
	(void)arg;
	cr_assert(good);
	snprintf(world.hash, sizeof(world.hash), "%s", hash);
}

static void account_make(void)
{
	secrets_password_hash(world.loop, slice_str("right"), on_hashed, NULL);
	TURN_UNTIL(world.loop, world.hash[0]);
	snprintf(world.sql, sizeof(world.sql),
		 "SELECT hash FROM (VALUES (%d, '%s')) accounts (id, hash) "
		 "WHERE id = $1",
		 ACCOUNT, world.hash);
}

static void serve(void)
{
	static const struct bus_method methods[] = {
		{"prove", prove, PRINCIPAL_DEALER, NULL}};
	char address[96];
	struct err err = {0};

	snprintf(address, sizeof(address), "ipc://%s/t.sock", world.directory);

	const struct bus_server_options options = {
		.address = address,
		.methods = methods,
		.method_count = 1,
		.metrics = &world.metrics,
	};

	cr_assert_eq(bus_server_new(world.loop, &options, &world.server, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(bus_client_new(world.loop, "test", address, NULL,
				    &world.client, &err),
		     ERR_OK, "%s", err.text);
}

static void setup(void)
{
	struct err err = {0};

	cr_assert(secrets_init());
	servers_postgres_shared(&world.postgres);
	servers_redis_start(&world.redis, NULL);
	servers_dir_make(world.directory);
	world.loop = loop_new();
	world.passwords = passwords_new(world.loop);

	const struct database_options options = {.url = world.postgres.url,
						 .default_role = "postgres",
						 .process = "test"};

	cr_assert_eq(database_new(world.loop, &options, &world.database, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(cache_new(world.loop, world.redis.url, NULL, &world.cache,
			       &err),
		     ERR_OK, "%s", err.text);
	account_make();
	serve();
	TURN_UNTIL(world.loop,
		   database_ready(world.database) && cache_ready(world.cache));
}

static void teardown(void)
{
	bus_client_free(world.client);
	bus_server_free(world.server);
	cache_free(world.cache);
	database_free(world.database);
	passwords_free(world.passwords);
	loop_free(world.loop);
	servers_dir_remove(world.directory);
	servers_redis_stop(&world.redis);
}

TestSuite(own_password, .init = setup, .fini = teardown);

struct answer {
	bool done;
	uint64_t version;
	struct err err;
};

static void on_answer(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct answer *answer = arg;

	answer->done = true;
	if (err)
		answer->err = *err;
	else
		answer->version = reply->object_version;
}

static struct answer say(int64_t id, const char *address, const char *password)
{
	struct buffer args = {0};
	struct answer answer = {0};

	writer_map(&args, 1);
	writer_text(&args, "password");
	writer_text(&args, password);
	bus_client_call(
		world.client, BUS_SLOW,
		&(struct request){.request_id = SLICE("test"),
				  .method = SLICE("prove"),
				  .deadline_ms = SOON_MS,
				  .principal = {.kind = PRINCIPAL_DEALER,
						.id = id,
						.address = slice_str(address)},
				  .args = buffer_slice(&args)},
		on_answer, &answer);
	buffer_fini(&args);
	TURN_UNTIL(world.loop, answer.done);
	return answer;
}

Test(own_password, right_and_wrong)
{
	struct answer answer = say(ACCOUNT, "192.0.2.1", "right");

	cr_assert_eq(answer.err.code, ERR_OK, "%s", answer.err.text);
	cr_assert_eq(answer.version, VERSION);
	answer = say(ACCOUNT, "192.0.2.1", "wrong");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_eq(answer.err.detail_count, 1);
	cr_assert_str_eq(answer.err.details[0].field, "old_password");
	cr_assert_eq(say(ACCOUNT + 1, "192.0.2.1", "right").err.code,
		     ERR_NOT_FOUND);
	cr_assert_eq(world.locked, 0);
}

/* A right one in time clears the count, too late it is no good. */
Test(own_password, guesses_are_counted)
{
	for (int i = 0; i < LOCKOUT_FAILURES_MAX - 1; i++)
		cr_assert_eq(say(ACCOUNT, "192.0.2.1", "x").err.code,
			     ERR_VALIDATE);
	cr_assert_eq(say(ACCOUNT, "192.0.2.1", "right").err.code, ERR_OK);
	for (int i = 0; i < LOCKOUT_FAILURES_MAX; i++)
		cr_assert_eq(say(ACCOUNT, "192.0.2.1", "x").err.code,
			     ERR_VALIDATE);
	cr_assert_eq(say(ACCOUNT, "192.0.2.1", "right").err.code,
		     ERR_RATE_LIMITED);
	cr_assert_eq(world.locked, 1);
	cr_assert_eq(say(ACCOUNT, "192.0.2.2", "right").err.code, ERR_OK);
}
