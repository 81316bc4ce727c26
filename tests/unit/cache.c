#include "services/common/cache.h"

#include "servers.h"
#include "turn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LONG_MS = 60000, /* a deadline that is not to be met */
	SHORT_MS = 50,	 /* one that is */
	TEXT_BYTES = 256,
};

/* What a command ended with. */
struct ended {
	int count;
	enum err_code code;
	enum cache_kind kind;
	int64_t integer;
	size_t size;	       /* of the text, or items of the array */
	char text[TEXT_BYTES]; /* CACHE_STR, or the items' texts joined by ','
				*/
};

struct fixture {
	struct servers_redis redis;
	struct loop *loop;
	struct metrics metrics;
	struct cache *cache;
};

static void join(struct ended *ended, const struct cache_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		const struct cache_reply *item = &reply->items[i];
		size_t used = strlen(ended->text);

		snprintf(ended->text + used, TEXT_BYTES - used, "%s%.*s",
			 i ? "," : "",
			 SLICE_ARG(item->kind == CACHE_NIL ? slice_str("(nil)")
							   : item->text));
	}
}

static void on_done(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct ended *ended = arg;

	ended->count++;
	ended->code = code;
	cr_assert_eq(reply == NULL, code != ERR_OK);
	if (!reply)
		return;
	ended->kind = reply->kind;
	ended->integer = reply->integer;
	ended->text[0] = '\0';
	if (reply->kind == CACHE_ARRAY) {
		ended->size = reply->count;
		join(ended, reply);
	} else if (reply->kind == CACHE_STR) {
		ended->size = reply->text.size;
		snprintf(ended->text, TEXT_BYTES, "%.*s",
			 SLICE_ARG(reply->text));
	}
}

/* A command of words without spaces. */
static void run(struct cache *cache, const char *line, uint32_t deadline_ms,
		struct ended *ended)
{
	struct slice words[8];
	size_t count = 0;

	while (*line != '\0') {
		size_t size = strcspn(line, " ");

		words[count++] = slice_of(line, size);
		line += size;
		line += strspn(line, " ");
	}
	cache_run(cache, words, count, deadline_ms, on_done, ended);
}

/* Runs a command and waits for its end. */
static struct ended ask(struct fixture *fixture, const char *line)
{
	struct ended ended = {0};

	run(fixture->cache, line, LONG_MS, &ended);
	cr_assert_eq(ended.count, 0, "called from within cache_run()");
	TURN_UNTIL(fixture->loop, ended.count > 0);
	cr_assert_eq(ended.count, 1);
	return ended;
}

static void make_cache(struct fixture *fixture, const char *url)
{
	struct err err = {0};

	cr_assert_eq(cache_new(fixture->loop, url, &fixture->metrics,
			       &fixture->cache, &err),
		     ERR_OK, "%s", err.text);
}

static void start(struct fixture *fixture, const char *password)
{
	servers_redis_start(&fixture->redis, password);
	fixture->loop = loop_new();
	make_cache(fixture, fixture->redis.url);
}

static void start_ready(struct fixture *fixture)
{
	start(fixture, NULL);
	TURN_UNTIL(fixture->loop, cache_ready(fixture->cache));
}

static void end(struct fixture *fixture)
{
	cache_free(fixture->cache);
	loop_free(fixture->loop);
	servers_redis_stop(&fixture->redis);
}

static uint64_t metric(const struct fixture *fixture, const char *name)
{
	for (size_t i = 0; i < fixture->metrics.count; i++) {
		if (strcmp(fixture->metrics.entries[i].name, name) == 0)
			return *fixture->metrics.entries[i].value;
	}
	cr_expect_fail("no metric %s", name);
	return 0;
}

struct reply_row {
	const char *line;
	enum cache_kind kind;
	const char *text;
	int64_t integer;
	size_t size;
};

static const struct reply_row reply_rows[] = {
	{"SET a one", CACHE_STR, "OK", 0, 2},
	{"GET a", CACHE_STR, "one", 0, 3},
	{"GET none", CACHE_NIL, "", 0, 0},
	{"DECRBY n 7", CACHE_INT, "", -7, 0},
	{"MGET a none", CACHE_ARRAY, "one,(nil)", 0, 2},
	{"LRANGE none 0 -1", CACHE_ARRAY, "", 0, 0},
};

Test(cache, replies)
{
	struct fixture fixture = {0};

	/* The first commands wait for the connection. */
	start(&fixture, NULL);
	cr_expect_not(cache_ready(fixture.cache));
	for (size_t i = 0; i < sizeof(reply_rows) / sizeof(reply_rows[0]);
	     i++) {
		const struct reply_row *row = &reply_rows[i];
		struct ended ended = ask(&fixture, row->line);

		cr_expect_eq(ended.code, ERR_OK, "%s", row->line);
		cr_expect_eq(ended.kind, row->kind, "%s", row->line);
		cr_expect_eq(ended.integer, row->integer, "%s", row->line);
		cr_expect_eq(ended.size, row->size, "%s", row->line);
		cr_expect_str_eq(ended.text, row->text, "%s", row->line);
	}
	cr_expect(cache_ready(fixture.cache));
	cr_expect(cache_idle(fixture.cache));
	cr_expect_eq(metric(&fixture, "cache_connected"), 1);
	cr_expect_eq(metric(&fixture, "cache_errors_total"), 0);
	end(&fixture);
}

Test(cache, words_hold_any_bytes)
{
	struct fixture fixture = {0};
	const struct slice set[] = {SLICE("SET"), SLICE("k\r\n\0 "), SLICE("")};
	const struct slice get[] = {SLICE("EXISTS"), SLICE("k\r\n\0 ")};
	struct ended ended = {0};

	start(&fixture, NULL);
	cache_run(fixture.cache, set, 3, LONG_MS, NULL, NULL);
	cache_run(fixture.cache, get, 2, LONG_MS, on_done, &ended);
	TURN_UNTIL(fixture.loop, ended.count == 1);
	cr_expect_eq(ended.integer, 1);
	end(&fixture);
}

Test(cache, refused_commands)
{
	struct fixture fixture = {0};

	start(&fixture, NULL);
	cr_expect_eq(ask(&fixture, "NOSUCH command").code, ERR_INTERNAL);
	cr_expect_eq(ask(&fixture, "SET a").code, ERR_INTERNAL);
	cr_expect_eq(ask(&fixture, "PING").code, ERR_OK, "still connected");
	cr_expect_eq(metric(&fixture, "cache_errors_total"), 2);
	cr_expect_eq(metric(&fixture, "cache_commands_total"), 3);
	cr_expect_eq(metric(&fixture, "cache_reconnects_total"), 0);
	end(&fixture);
}

static long long server_reads(struct fixture *fixture)
{
	static char script[] = "local s = redis.call('INFO', 'stats') "
			       "return tonumber(string.match(s, "
			       "'total_reads_processed:(%d+)'))";
	struct ended ended = {0};

	cache_script(fixture->cache, script, NULL, 0, 0, LONG_MS, on_done,
		     &ended);
	TURN_UNTIL(fixture->loop, ended.count == 1);
	cr_assert_eq(ended.kind, CACHE_INT);
	return ended.integer;
}

Test(cache, one_turn_is_one_write)
{
	enum { COUNT = 400 };
	struct fixture fixture = {0};
	static struct ended ended[COUNT];

	start_ready(&fixture);
	server_reads(&fixture); /* the script is known from here on */

	long long before = server_reads(&fixture);

	for (int i = 0; i < COUNT; i++)
		run(fixture.cache, "INCR n", LONG_MS, &ended[i]);
	TURN_UNTIL(fixture.loop, cache_idle(fixture.cache));
	for (int i = 0; i < COUNT; i++) {
		cr_assert_eq(ended[i].count, 1);
		cr_assert_eq(ended[i].integer, i + 1, "out of order");
	}

	/* All in one piece of less than Redis reads at once (16 KiB), and the
	 * question after it. */
	cr_expect_eq(server_reads(&fixture) - before, 2);
	end(&fixture);
}

Test(cache, more_than_the_socket_takes)
{
	enum { COUNT = 20, VALUE_BYTES = 1024 * 1024 };
	struct fixture fixture = {0};
	struct ended ended[2 * COUNT] = {0};
	char *value = malloc(VALUE_BYTES);

	memset(value, 'v', VALUE_BYTES);
	start_ready(&fixture);
	for (int i = 0; i < COUNT; i++) {
		const struct slice words[] = {SLICE("SET"), SLICE("big"),
					      slice_of(value, VALUE_BYTES)};

		cache_run(fixture.cache, words, 3, LONG_MS, on_done,
			  &ended[2 * i]);
		run(fixture.cache, "GET big", LONG_MS, &ended[2 * i + 1]);
	}
	TURN_UNTIL(fixture.loop, cache_idle(fixture.cache));
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(ended[2 * i + 1].size, VALUE_BYTES);
	free(value);
	end(&fixture);
}

static struct ended ask_script(struct fixture *fixture, const char *script)
{
	const struct slice words[] = {SLICE("key"), SLICE("first"),
				      SLICE("second")};
	struct ended ended = {0};

	cache_script(fixture->cache, script, words, 3, 1, LONG_MS, on_done,
		     &ended);
	cr_assert_eq(ended.count, 0);
	TURN_UNTIL(fixture->loop, ended.count > 0);
	cr_assert_eq(ended.count, 1);
	return ended;
}

Test(cache, script_known_or_not)
{
	static const char script[] =
		"return {KEYS[1], ARGV[1], ARGV[2], tostring(#ARGV)}";
	struct fixture fixture = {0};

	start(&fixture, NULL);
	for (int i = 0; i < 3; i++) {
		struct ended ended = ask_script(&fixture, script);

		cr_expect_eq(ended.code, ERR_OK);
		cr_expect_str_eq(ended.text, "key,first,second,2");
		/* The second round finds it known, the third forgotten. */
		if (i == 1)
			ask(&fixture, "SCRIPT FLUSH");
	}
	cr_expect_eq(
		ask_script(&fixture, "return redis.error_reply('no')").code,
		ERR_INTERNAL);
	cr_expect_eq(ask_script(&fixture, "not Lua").code, ERR_INTERNAL);
	end(&fixture);
}

Test(cache, killed_and_started_again)
{
	struct fixture fixture = {0};
	struct ended in_flight = {0};
	struct ended waiting = {0};
	struct ended late = {0};

	start_ready(&fixture);
	run(fixture.cache, "BLPOP never 0", LONG_MS, &in_flight);
	loop_turn(fixture.loop, 0); /* it is sent */
	loop_turn(fixture.loop, 0);
	servers_redis_kill(&fixture.redis);
	TURN_UNTIL(fixture.loop, in_flight.count == 1);
	cr_expect_eq(in_flight.code, ERR_LOST);
	cr_expect_not(cache_ready(fixture.cache));
	cr_expect_eq(metric(&fixture, "cache_connected"), 0);

	run(fixture.cache, "SET a one", LONG_MS, &waiting);
	run(fixture.cache, "GET a", SHORT_MS, &late);
	TURN_UNTIL(fixture.loop, late.count == 1);
	cr_expect_eq(late.code, ERR_UNAVAILABLE);
	cr_expect_eq(waiting.count, 0);

	servers_redis_start(&fixture.redis, NULL);
	TURN_UNTIL(fixture.loop, waiting.count == 1);
	cr_expect_eq(waiting.code, ERR_OK);
	cr_expect_str_eq(ask(&fixture, "GET a").text, "one");
	cr_expect_eq(metric(&fixture, "cache_reconnects_total"), 1);
	cr_expect_eq(in_flight.count, 1);
	end(&fixture);
}

Test(cache, server_started_later)
{
	struct fixture fixture = {0};
	struct ended ended = {0};

	servers_redis_start(&fixture.redis, NULL);
	servers_redis_kill(&fixture.redis);
	fixture.loop = loop_new();
	make_cache(&fixture, fixture.redis.url);
	run(fixture.cache, "PING", LONG_MS, &ended);
	for (int i = 0; i < 10; i++)
		loop_turn(fixture.loop, 10);
	cr_expect_eq(ended.count, 0);
	servers_redis_start(&fixture.redis, NULL);
	TURN_UNTIL(fixture.loop, ended.count == 1);
	cr_expect_str_eq(ended.text, "PONG");
	end(&fixture);
}

Test(cache, paused_server)
{
	struct fixture fixture = {0};
	struct ended late = {0};
	struct ended patient = {0};

	start_ready(&fixture);
	kill(fixture.redis.pid, SIGSTOP);
	run(fixture.cache, "SET a late", SHORT_MS, &late);
	run(fixture.cache, "GET a", LONG_MS, &patient);
	TURN_UNTIL(fixture.loop, late.count == 1);
	cr_expect_eq(late.code, ERR_DEADLINE);
	cr_expect_eq(patient.count, 0);
	kill(fixture.redis.pid, SIGCONT);
	TURN_UNTIL(fixture.loop, patient.count == 1);
	cr_expect_str_eq(patient.text, "late", "replies went out of step");
	cr_expect_eq(late.count, 1);
	end(&fixture);
}

/* A peer the network has swallowed: takes some seconds. */
Test(cache, silent_server_is_left)
{
	struct fixture fixture = {0};
	struct ended late = {0};
	struct ended patient = {0};

	start_ready(&fixture);
	kill(fixture.redis.pid, SIGSTOP);
	run(fixture.cache, "GET a", SHORT_MS, &late);
	run(fixture.cache, "GET a", LONG_MS, &patient);
	TURN_UNTIL(fixture.loop, patient.count == 1);
	cr_expect_eq(late.code, ERR_DEADLINE);
	cr_expect_eq(patient.code, ERR_LOST);
	cr_expect_not(cache_ready(fixture.cache));
	kill(fixture.redis.pid, SIGCONT);
	TURN_UNTIL(fixture.loop, cache_ready(fixture.cache));
	cr_expect_eq(ask(&fixture, "PING").code, ERR_OK);
	end(&fixture);
}

Test(cache, full_queue)
{
	struct fixture fixture = {.loop = loop_new()};
	struct ended waiting = {0};
	struct ended past = {0};

	make_cache(&fixture, "unix:/nowhere/redis");
	for (int i = 0; i < CACHE_QUEUE_MAX; i++)
		run(fixture.cache, "PING", LONG_MS, &waiting);
	run(fixture.cache, "PING", LONG_MS, &past);
	cr_expect_eq(past.count, 0, "called from within cache_run()");
	TURN_UNTIL(fixture.loop, past.count == 1);
	cr_expect_eq(past.code, ERR_UNAVAILABLE);
	cr_expect_eq(waiting.count, 0);
	cache_free(fixture.cache);
	cr_expect_eq(waiting.count, CACHE_QUEUE_MAX, "each ended once");
	cr_expect_eq(waiting.code, ERR_UNAVAILABLE);
	loop_free(fixture.loop);
}

Test(cache, free_ends_what_is_in_flight)
{
	enum { COUNT = 50 };
	struct fixture fixture = {0};
	struct ended sent = {0};
	struct ended abandoned = {0};

	start_ready(&fixture);
	run(fixture.cache, "BLPOP never 0", SHORT_MS, &abandoned);
	for (int i = 0; i < COUNT; i++)
		run(fixture.cache, "PING", LONG_MS, &sent);
	TURN_UNTIL(fixture.loop, abandoned.count == 1);
	cr_expect_eq(abandoned.code, ERR_DEADLINE);
	cr_expect_eq(sent.count, 0);
	cr_expect_not(cache_idle(fixture.cache));
	end(&fixture);
	cr_expect_eq(sent.count, COUNT, "each ended once");
	cr_expect_eq(sent.code, ERR_LOST);
	cr_expect_eq(abandoned.count, 1);
}

static void on_done_again(void *arg, const struct cache_reply *reply,
			  enum err_code code)
{
	struct fixture *fixture = arg;

	(void)reply;
	cr_expect_eq(code, ERR_UNAVAILABLE);
	/* A caller that does not know of the end yet. */
	cache_run(fixture->cache, (struct slice[]){SLICE("PING")}, 1, LONG_MS,
		  NULL, NULL);
}

Test(cache, command_while_freed)
{
	struct fixture fixture = {.loop = loop_new()};

	make_cache(&fixture, "unix:/nowhere/redis");
	cache_run(fixture.cache, (struct slice[]){SLICE("PING")}, 1, LONG_MS,
		  on_done_again, &fixture);
	cache_free(fixture.cache);
	loop_free(fixture.loop);
	cache_free(NULL);
}

Test(cache, password_and_database)
{
	struct fixture fixture = {0};
	char url[128];

	start(&fixture, "pass");
	cr_expect_eq(ask(&fixture, "SET a zero").code, ERR_OK);
	cache_free(fixture.cache);

	/* By name, so that the look-up is on the way too. */
	fixture.metrics.count = 0;
	snprintf(url, sizeof(url), "redis://:pass@localhost:%d/3",
		 fixture.redis.port);
	make_cache(&fixture, url);
	cr_expect_eq(ask(&fixture, "GET a").kind, CACHE_NIL, "database 3");
	cr_expect_eq(ask(&fixture, "SET a three").code, ERR_OK);
	cr_expect_eq(ask(&fixture, "SELECT 0").code, ERR_OK);
	cr_expect_str_eq(ask(&fixture, "GET a").text, "zero");
	end(&fixture);
}

/* Each is refused by the server on connecting. */
struct greeting_row {
	const char *name;
	const char *credentials;
	int db;
};

static const struct greeting_row greeting_rows[] = {
	{"wrong password", ":wrong@", 0},
	{"no password", "", 0},
	{"no such database", ":pass@", 9999},
};

Test(cache, refused_greetings)
{
	struct fixture fixture = {.loop = loop_new()};

	servers_redis_start(&fixture.redis, "pass");
	for (size_t i = 0; i < sizeof(greeting_rows) / sizeof(greeting_rows[0]);
	     i++) {
		const struct greeting_row *row = &greeting_rows[i];
		struct ended ended = {0};
		char url[128];

		snprintf(url, sizeof(url), "redis://%s127.0.0.1:%d/%d",
			 row->credentials, fixture.redis.port, row->db);
		fixture.metrics.count = 0;
		make_cache(&fixture, url);
		run(fixture.cache, "PING", 4 * SHORT_MS, &ended);
		TURN_UNTIL(fixture.loop, ended.count == 1);
		cr_expect_eq(ended.code, ERR_UNAVAILABLE, "%s", row->name);
		cr_expect_not(cache_ready(fixture.cache), "%s", row->name);
		cache_free(fixture.cache);
	}
	fixture.cache = NULL;
	end(&fixture);
}

Test(cache, freed_while_it_looks_up)
{
	struct fixture fixture = {.loop = loop_new()};

	make_cache(&fixture, "redis://localhost:1/0");
	loop_turn(fixture.loop, 10);
	cache_free(fixture.cache);
	loop_free(fixture.loop);
}

Test(cache, url_refused)
{
	struct fixture fixture = {.loop = loop_new()};
	struct err err = {0};

	cr_expect_eq(
		cache_new(fixture.loop, "http://x", NULL, &fixture.cache, &err),
		ERR_VALIDATE);
	cr_expect_null(fixture.cache);
	loop_free(fixture.loop);
}
