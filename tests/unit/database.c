#include "services/common/database.h"

#include "proto/mem.h"
#include "servers.h"
#include "turn.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	SOON_MS = 30000, /* a deadline no test reaches */
	TEXT_BYTES = 64,
	PARAMS = 2,
};

/* A database of the suite's server, or of one of the test's own. */
struct world {
	struct servers_postgres postgres;
	struct loop *loop;
	struct metrics metrics;
	struct database *database;
};

static void world_open(struct world *world)
{
	struct database_options options = {
		.url = world->postgres.url,
		.default_role = "postgres",
		.process = "test",
		.metrics = &world->metrics,
	};
	struct err err = {0};

	world->loop = loop_new();
	cr_assert_eq(
		database_new(world->loop, &options, &world->database, &err),
		ERR_OK, "%s", err.text);
	TURN_UNTIL(world->loop, database_ready(world->database));
}

static void world_init(struct world *world)
{
	*world = (struct world){0};
	servers_postgres_shared(&world->postgres);
	world_open(world);
}

static void world_fini(struct world *world)
{
	database_free(world->database);
	loop_free(world->loop);
}

/* With a server of its own, for tests that harm it or that look at all its
 * connections. At file scope so that the server, perhaps stopped by a signal,
 * is ended even when the test was cut short. */
static struct world own;

static void own_init(void)
{
	servers_postgres_start(&own.postgres);
	world_open(&own);
}

static void own_fini(void)
{
	servers_postgres_stop(&own.postgres);
}

static uint64_t metric(const struct world *world, const char *name)
{
	const struct metrics_entry *entry = world->metrics.entries;

	while (strcmp(entry->name, name) != 0)
		entry++;
	return *entry->value;
}

static void exec(const struct world *world, const char *sql)
{
	servers_postgres_exec(&world->postgres, sql);
}

static long number(const struct world *world, const char *sql)
{
	return servers_postgres_number(&world->postgres, sql);
}

/* Holds a lock in an open transaction until it is let go. */
static PGconn *hold(const struct world *world, const char *sql)
{
	const char *keywords[] = {"dbname", "user", NULL};
	const char *values[] = {world->postgres.url, "postgres", NULL};
	PGconn *conn = PQconnectdbParams(keywords, values, true);

	PQclear(PQexec(conn, "begin"));

	PGresult *pg = PQexec(conn, sql);

	cr_assert(PQresultStatus(pg) == PGRES_COMMAND_OK ||
			  PQresultStatus(pg) == PGRES_TUPLES_OK,
		  "%s", PQerrorMessage(conn));
	PQclear(pg);
	return conn;
}

static void let_go(PGconn *conn)
{
	PQclear(PQexec(conn, "commit"));
	PQfinish(conn);
}

/* A statement and what became of it. What it borrows is freed in done, so that
 * the sanitizer sees any later use. */
struct ask {
	struct world *world;
	enum database_lane lane;
	char *name;
	char *sql;
	char *params[PARAMS];
	const char **borrowed;
	bool running; /* within database_run() */
	int done;
	enum err_code code;
	char constraint[DATABASE_CONSTRAINT_BYTES];
	char reason[ERR_TEXT_BYTES];
	size_t rows;
	char text[TEXT_BYTES]; /* the first cell, cut */
	size_t text_bytes;
	int64_t seen; /* of seen_sql, when done was called */
	const char *seen_sql;
	struct ask *next; /* run from within done */
};

static void ask_run(struct ask *ask, uint32_t deadline_ms);

static void ask_release(struct ask *ask)
{
	free(ask->name);
	free(ask->sql);
	for (size_t i = 0; i < PARAMS; i++)
		free(ask->params[i]);
	free(ask->borrowed);
}

static void on_done(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct ask *ask = arg;

	cr_expect(!ask->running, "done within database_run()");
	cr_expect(!result != !error);
	ask->done++;
	if (error) {
		ask->code = error->code;
		strcpy(ask->constraint, error->constraint);
		strcpy(ask->reason, error->text);
	} else {
		ask->rows = database_rows(result);
	}
	if (result && ask->lane != DATABASE_WRITE && ask->rows > 0) {
		struct slice cell = database_cell(result, 0, 0);

		ask->text_bytes = cell.size;
		snprintf(ask->text, TEXT_BYTES, "%.*s", SLICE_ARG(cell));
	}
	if (ask->seen_sql)
		ask->seen = number(ask->world, ask->seen_sql);
	ask_release(ask);
	if (ask->next)
		ask_run(ask->next, SOON_MS);
}

static char *dup_or_null(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

static struct ask *ask_new(struct world *world, enum database_lane lane,
			   const char *name, const char *sql, const char *first)
{
	struct ask *ask = mem_alloc(sizeof(*ask));

	ask->world = world;
	ask->lane = lane;
	ask->name = dup_or_null(name);
	ask->sql = mem_strdup(sql);
	ask->params[0] = dup_or_null(first);
	return ask;
}

static void ask_run(struct ask *ask, uint32_t deadline_ms)
{
	ask->borrowed = mem_alloc(PARAMS * sizeof(*ask->borrowed));
	for (size_t i = 0; i < PARAMS; i++)
		ask->borrowed[i] = ask->params[i];
	ask->running = true;
	database_run(ask->world->database,
		     &(struct database_statement){
			     .lane = ask->lane,
			     .name = ask->name,
			     .sql = ask->sql,
			     .params = ask->borrowed,
			     .param_count = strstr(ask->sql, "$2")   ? 2
					    : strstr(ask->sql, "$1") ? 1
								     : 0,
			     .deadline_ms = deadline_ms,
			     .done = on_done,
			     .arg = ask,
		     });
	ask->running = false;
}

/* Starts a statement that has until SOON_MS. */
static struct ask *start(struct world *world, enum database_lane lane,
			 const char *name, const char *sql, const char *first)
{
	struct ask *ask = ask_new(world, lane, name, sql, first);

	ask_run(ask, SOON_MS);
	return ask;
}

/* Waits for its end. */
static void wait_for(struct ask *ask)
{
	TURN_UNTIL(ask->world->loop, ask->done > 0);
	cr_expect_eq(ask->done, 1);
}

/* Waits for success. */
static void wait_good(struct ask *ask)
{
	wait_for(ask);
	cr_expect_eq(ask->code, ERR_OK, "%s", err_name(ask->code));
}

static void wait_failed(struct ask *ask, enum err_code code)
{
	wait_for(ask);
	cr_expect_eq(ask->code, code, "%s, not %s", err_name(ask->code),
		     err_name(code));
}

/* Runs a read that must succeed; its first cell. Lent until the next call. */
static const char *read_text(struct world *world, const char *sql)
{
	static char text[TEXT_BYTES];
	struct ask *ask = start(world, DATABASE_READ, NULL, sql, NULL);

	wait_good(ask);
	memcpy(text, ask->text, sizeof(text));
	free(ask);
	return text;
}

/* Turns the loop until so many statements of ours wait for a lock. */
static void wait_blocked(struct world *world, long count)
{
	TURN_UNTIL(world->loop,
		   number(world, "select count(*) from pg_stat_activity where "
				 "application_name = 'trunkline-test' and "
				 "wait_event_type = 'Lock'") == count);
}

static void on_cells(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	bool *done = arg;

	cr_assert(!error);
	cr_expect_eq(database_rows(result), 2);
	cr_expect_eq(database_int(result, 0, 0), INT64_MIN);
	cr_expect_eq(database_int(result, 1, 0), INT64_MAX);
	cr_expect(database_bool(result, 0, 1));
	cr_expect(!database_bool(result, 1, 1));
	cr_expect(slice_is(database_cell(result, 0, 2), "a"));
	cr_expect(database_cell(result, 0, 2).data[1] == '\0');
	cr_expect(!database_null(result, 0, 2));
	cr_expect(database_null(result, 1, 2));
	cr_expect(!database_cell(result, 1, 2).data);
	cr_expect_eq(database_int(result, 0, 3), 0);
	cr_expect(!database_bool(result, 0, 3));
	*done = true;
}

Test(database, cells_of_a_select)
{
	struct world world;
	bool done = false;

	world_init(&world);
	database_run(world.database,
		     &(struct database_statement){
			     .sql = "values (-9223372036854775808, true, 'a', "
				    "null), (9223372036854775807, false, null, "
				    "null)",
			     .deadline_ms = SOON_MS,
			     .done = on_cells,
			     .arg = &done,
		     });
	TURN_UNTIL(world.loop, done);
	cr_expect(database_idle(world.database));
	world_fini(&world);
}

Test(database, parameters_and_null)
{
	struct world world;

	world_init(&world);

	struct ask *ask =
		ask_new(&world, DATABASE_READ, NULL,
			"select $1::text || coalesce($2::text, '-')", "ä'\"");

	ask_run(ask, SOON_MS);
	wait_good(ask);
	cr_expect_str_eq(ask->text, "ä'\"-");
	free(ask);
	world_fini(&world);
}

Test(database, rows_affected)
{
	struct world world;

	world_init(&world);
	exec(&world, "create table affected (id int primary key)");

	struct ask *ask = start(&world, DATABASE_WRITE, NULL,
				"insert into affected "
				"select generate_series(1, 3)",
				NULL);

	wait_good(ask);
	cr_expect_eq(ask->rows, 3);
	free(ask);
	world_fini(&world);
}

struct error_row {
	const char *name;
	const char *sql;
	enum err_code code;
	const char *constraint;
	const char *text;
};

static const struct error_row errors[] = {
	{"unique", "insert into e values (1, 1, 1, '[1,2]')", ERR_CONFLICT,
	 "e_pkey"},
	{"exclusion", "insert into e values (2, 1, 1, '[2,3]')", ERR_CONFLICT,
	 "e_apart"},
	{"foreign key", "insert into e values (2, 7, 1, '[5,6]')", ERR_IN_USE,
	 "e_parent"},
	{"referenced", "delete from e where id = 1", ERR_IN_USE, "e_parent"},
	{"check", "insert into e values (2, 1, 0, '[5,6]')", ERR_VALIDATE,
	 "e_positive"},
	{"not null", "insert into e values (2, 1, null, '[5,6]')", ERR_VALIDATE,
	 ""},
	{"data", "insert into e values (2, 1, 1 / 0, '[5,6]')", ERR_VALIDATE,
	 ""},
	{"raised",
	 "do $$ begin raise exception 'full' using errcode = '23514', "
	 "constraint = 'e_quota'; end $$",
	 ERR_VALIDATE, "e_quota"},
	{"limit",
	 "do $$ begin raise exception 'no more' using errcode = 'TL001', "
	 "constraint = 'e_quota'; end $$",
	 ERR_LIMIT, "e_quota", "no more"},
	{"not allowed",
	 "do $$ begin raise exception 'not you' using errcode = 'TL002'; end "
	 "$$",
	 ERR_FORBIDDEN, "", "not you"},
	{"overlap",
	 "do $$ begin raise exception '2 overlaps 1-3' using "
	 "errcode = 'TL003', constraint = 'e_quota'; end $$",
	 ERR_DID_OVERLAP, "e_quota", "2 overlaps 1-3"},
	{"in use",
	 "do $$ begin raise exception '7 is used' using errcode = 'TL004'; "
	 "end $$",
	 ERR_IN_USE, "", "7 is used"},
	{"syntax", "insert into", ERR_INTERNAL, ""},
	{"no table", "insert into nowhere values (1)", ERR_INTERNAL, ""},
};

Test(database, errors_are_translated)
{
	struct world world;

	world_init(&world);
	exec(&world, "create table e (id int primary key, "
		     "parent int constraint e_parent references e, "
		     "n int not null constraint e_positive check (n > 0), "
		     "span int4range, "
		     "constraint e_apart exclude using gist (span with &&))");
	exec(&world, "insert into e values (1, 1, 1, '[1,2]'), "
		     "(3, 1, 1, '[8,9]')");
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const struct error_row *row = &errors[i];
		struct ask *ask =
			start(&world, DATABASE_WRITE, NULL, row->sql, NULL);

		wait_for(ask);
		cr_expect_eq(ask->code, row->code, "%s: %s", row->name,
			     err_name(ask->code));
		cr_expect_str_eq(ask->constraint, row->constraint, "%s: %s",
				 row->name, ask->constraint);
		cr_expect_str_eq(ask->reason, row->text ? row->text : "",
				 "%s: %s", row->name, ask->reason);
		free(ask);
	}
	cr_expect_eq(metric(&world, "database_errors_total"),
		     sizeof(errors) / sizeof(errors[0]));
	world_fini(&world);
}

Test(database, reads_cannot_write)
{
	static const enum database_lane lanes[] = {DATABASE_READ,
						   DATABASE_SLOW};
	struct world world;

	world_init(&world);
	exec(&world, "create table kept (id int)");
	for (size_t i = 0; i < 2; i++) {
		struct ask *ask = start(&world, lanes[i], NULL,
					"insert into kept values (1)", NULL);

		wait_failed(ask, ERR_INTERNAL);
		free(ask);
	}
	cr_expect_eq(number(&world, "select count(*) from kept"), 0);
	world_fini(&world);
}

static void terminate(const struct world *world)
{
	exec(world, "select pg_terminate_backend(pid) from pg_stat_activity "
		    "where application_name = 'trunkline-test'");
}

Test(database, prepares_once_per_connection, .init = own_init, .fini = own_fini)
{
	static const char *sql = "select $1::int + 1";
	struct ask *asks[10];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 10; i++)
			asks[i] = start(&own, DATABASE_READ, "plus_one", sql,
					"41");
		for (size_t i = 0; i < 10; i++) {
			wait_good(asks[i]);
			cr_expect_str_eq(asks[i]->text, "42");
			free(asks[i]);
		}
		cr_expect_str_eq(read_text(&own, "select count(*) from "
						 "pg_prepared_statements "
						 "where name = 'plus_one'"),
				 "1");
		if (round == 0) {
			terminate(&own);
			TURN_UNTIL(own.loop,
				   metric(&own, "database_reconnects_total") ==
					   DATABASE_LANES);
			TURN_UNTIL(own.loop, database_ready(own.database));
		}
	}
	world_fini(&own);
}

Test(database, more_names_than_are_prepared)
{
	enum { NAMES = 600 };
	struct world world;
	struct ask *asks[NAMES];

	world_init(&world);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < NAMES; i++) {
			char name[TEXT_BYTES];
			char sql[TEXT_BYTES];

			snprintf(name, sizeof(name), "name_%d", i);
			snprintf(sql, sizeof(sql), "select %d", i);
			asks[i] = start(&world, DATABASE_READ, name, sql, NULL);
		}
		for (int i = 0; i < NAMES; i++) {
			wait_good(asks[i]);
			cr_expect_eq(atoi(asks[i]->text), i);
			free(asks[i]);
		}
	}
	world_fini(&world);
}

/* A Prepare that fails leaves the name unprepared, for its own batch and the
 * ones after; what others prepared in a failed batch stays prepared. */
Test(database, failed_prepare)
{
	static const enum database_lane lanes[] = {DATABASE_READ,
						   DATABASE_WRITE};
	struct world world;

	world_init(&world);
	for (size_t i = 0; i < 2; i++) {
		enum database_lane lane = lanes[i];
		struct ask *first = start(&world, lane, "ok", "select 1", NULL);
		struct ask *bad = start(&world, lane, "bad", "select no", NULL);
		struct ask *bad_again =
			start(&world, lane, "bad", "select no", NULL);
		struct ask *last = start(&world, lane, "ok2", "select 2", NULL);

		wait_good(first);
		wait_failed(bad, ERR_INTERNAL);
		wait_failed(bad_again, ERR_INTERNAL);
		wait_good(last);
		free(first);
		free(bad);
		free(bad_again);
		free(last);

		struct ask *after =
			start(&world, lane, "ok2", "select 2", NULL);

		wait_good(after);
		free(after);
	}
	world_fini(&world);
}

/* The schema changes under a prepared statement: "cached plan must not change
 * result type" is mended by a new connection. */
Test(database, stale_plan)
{
	static const enum database_lane lanes[] = {DATABASE_READ,
						   DATABASE_WRITE};
	struct world world;

	world_init(&world);
	exec(&world, "create table stale (a int)");
	exec(&world, "insert into stale values (1)");
	for (size_t i = 0; i < 2; i++) {
		struct ask *ask = start(&world, lanes[i], "all",
					"select * from stale", NULL);

		wait_good(ask);
		free(ask);
		exec(&world, i == 0 ? "alter table stale add b int"
				    : "alter table stale add c int");
		ask = start(&world, lanes[i], "all", "select * from stale",
			    NULL);
		wait_good(ask);
		cr_expect_eq(ask->rows, 1);
		free(ask);
	}
	cr_expect_eq(metric(&world, "database_reconnects_total"), 2);
	world_fini(&world);
}

Test(database, one_bad_read_among_many)
{
	enum { COUNT = 50, BAD = 20 };
	struct world world;
	struct ask *asks[COUNT];

	world_init(&world);
	for (int i = 0; i < COUNT; i++) {
		char first[16];

		snprintf(first, sizeof(first), "%d", i);
		asks[i] = start(&world, DATABASE_READ, "tenth",
				"select 1000 / ($1::int - 20)", first);
	}
	for (int i = 0; i < COUNT; i++) {
		wait_for(asks[i]);
		cr_expect_eq(asks[i]->code, i == BAD ? ERR_VALIDATE : ERR_OK);
		if (i != BAD)
			cr_expect_eq(atoi(asks[i]->text), 1000 / (i - BAD));
		free(asks[i]);
	}
	cr_expect_eq(metric(&world, "database_errors_total"), 1);
	cr_expect_eq(metric(&world, "database_batches_total"), 2);
	world_fini(&world);
}

Test(database, writes_share_a_commit)
{
	enum { COUNT = 50 };
	struct world world;
	struct ask *asks[COUNT];

	world_init(&world);
	exec(&world, "create table shared "
		     "(id int, xid xid8 default pg_current_xact_id())");
	for (int i = 0; i < COUNT; i++) {
		asks[i] = ask_new(&world, DATABASE_WRITE, "share",
				  "insert into shared values (1)", NULL);
		/* Seen from another connection: it is committed. */
		asks[i]->seen_sql = "select count(*) from shared";
		ask_run(asks[i], SOON_MS);
	}
	for (int i = 0; i < COUNT; i++) {
		wait_good(asks[i]);
		cr_expect_eq(asks[i]->seen, COUNT);
		free(asks[i]);
	}
	cr_expect_eq(number(&world, "select count(distinct xid) from shared"),
		     1);
	cr_expect_eq(metric(&world, "database_rerun_total"), 0);
	world_fini(&world);
}

/* The commit is held up by a deferred trigger, the answers of the statements
 * are not: they are more than the server keeps back. */
Test(database, answered_after_the_commit)
{
	static const char *sql =
		"insert into awaited values (1) returning repeat('x', 20000)";
	struct world world;

	world_init(&world);
	exec(&world, "create table awaited (id int)");
	exec(&world,
	     "create function await() returns trigger language plpgsql as "
	     "'begin perform pg_advisory_xact_lock_shared(1004); "
	     "return null; end'");
	exec(&world,
	     "create constraint trigger awaited after insert on awaited "
	     "deferrable initially deferred for each row "
	     "execute function await()");

	PGconn *lock = hold(&world, "select pg_advisory_xact_lock(1004)");
	struct ask *first = start(&world, DATABASE_WRITE, NULL, sql, NULL);
	struct ask *last = start(&world, DATABASE_WRITE, NULL, sql, NULL);

	TURN_UNTIL(world.loop,
		   number(&world, "select count(*) from pg_locks where "
				  "objid = 1004 and not granted") == 1);
	/* A round trip later the answers have long arrived. */
	cr_expect_str_eq(read_text(&world, "select 7"), "7");
	cr_expect_eq(first->done, 0);
	cr_expect_eq(last->done, 0);
	let_go(lock);
	wait_good(first);
	wait_good(last);
	free(first);
	free(last);
	world_fini(&world);
}

Test(database, one_bad_write_among_many)
{
	enum { COUNT = 50, BAD = 20 };
	struct world world;
	struct ask *asks[COUNT];

	world_init(&world);
	exec(&world, "create table mixed "
		     "(id int constraint mixed_once unique, "
		     "xid xid8 default pg_current_xact_id())");
	for (int i = 0; i < COUNT; i++) {
		char first[16];

		snprintf(first, sizeof(first), "%d", i == BAD ? 3 : i);
		asks[i] = start(&world, DATABASE_WRITE, "mix",
				"insert into mixed values ($1) returning id",
				first);
	}
	for (int i = 0; i < COUNT; i++) {
		wait_for(asks[i]);
		cr_expect_eq(asks[i]->code, i == BAD ? ERR_CONFLICT : ERR_OK);
		cr_expect_str_eq(asks[i]->constraint,
				 i == BAD ? "mixed_once" : "");
		free(asks[i]);
	}
	cr_expect_eq(number(&world, "select count(*) from mixed"), COUNT - 1);
	cr_expect_eq(number(&world, "select count(distinct xid) from mixed"),
		     COUNT - 1);
	cr_expect_eq(metric(&world, "database_rerun_total"), COUNT);

	struct ask *after =
		start(&world, DATABASE_WRITE, "mix",
		      "insert into mixed values ($1) returning id", "1000");

	wait_good(after);
	free(after);
	world_fini(&world);
}

/* A deferred constraint fails the commit, after every statement succeeded. */
Test(database, failing_commit)
{
	struct world world;

	world_init(&world);
	exec(&world, "create table late (id int constraint late_once unique "
		     "deferrable initially deferred)");
	exec(&world, "insert into late values (1)");
	for (int round = 0; round < 2; round++) {
		struct ask *bad = start(&world, DATABASE_WRITE, "late",
					"insert into late values ($1)", "1");
		struct ask *good = NULL;

		if (round == 1) /* the bad one is not alone in its batch */
			good = start(&world, DATABASE_WRITE, "late",
				     "insert into late values ($1)", "2");
		wait_failed(bad, ERR_CONFLICT);
		cr_expect_str_eq(bad->constraint, "late_once");
		free(bad);
		if (good)
			wait_good(good);
		free(good);
	}
	cr_expect_eq(number(&world, "select count(*) from late"), 2);
	world_fini(&world);
}

Test(database, done_may_run_the_next)
{
	enum { COUNT = 100 };
	struct world world;
	struct ask *asks[COUNT];

	world_init(&world);
	for (int i = 0; i < COUNT; i++)
		asks[i] = ask_new(&world, (enum database_lane)(i % 3), NULL,
				  "select 1", NULL);
	for (int i = 0; i + 1 < COUNT; i++)
		asks[i]->next = asks[i + 1];
	ask_run(asks[0], SOON_MS);
	for (int i = 0; i < COUNT; i++) {
		wait_good(asks[i]);
		free(asks[i]);
	}
	world_fini(&world);
}

/* More than both sockets hold at once, in both directions: neither side may
 * wait for the other to read first. */
Test(database, large_batch)
{
	enum { COUNT = 40, BYTES = 1 << 20 };
	struct world world;
	struct ask *asks[COUNT];
	char *text = mem_alloc(BYTES + 1);

	world_init(&world);
	memset(text, 'x', BYTES);
	for (int i = 0; i < COUNT; i++)
		asks[i] = start(&world, DATABASE_READ, NULL, "select $1::text",
				text);
	for (int i = 0; i < COUNT; i++) {
		wait_good(asks[i]);
		cr_expect_eq(asks[i]->text_bytes, BYTES);
		free(asks[i]);
	}
	free(text);
	world_fini(&world);
}

Test(database, slow_lane_holds_nobody)
{
	struct world world;

	world_init(&world);

	PGconn *lock = hold(&world, "select pg_advisory_xact_lock(1001)");
	struct ask *slow =
		start(&world, DATABASE_SLOW, NULL,
		      "select pg_advisory_xact_lock_shared(1001)", NULL);
	struct ask *behind =
		start(&world, DATABASE_SLOW, NULL, "select 1", NULL);

	cr_expect_str_eq(read_text(&world, "select 7"), "7");
	cr_expect_eq(slow->done, 0);
	cr_expect_eq(behind->done, 0);
	let_go(lock);
	wait_good(slow);
	wait_good(behind);
	free(slow);
	free(behind);
	world_fini(&world);
}

/* The abandoned write is neither told again nor run again with its batch. */
Test(database, deadline_in_flight)
{
	struct world world;

	world_init(&world);
	exec(&world, "create table dead (id int unique)");
	exec(&world, "insert into dead values (1)");

	PGconn *lock = hold(&world, "lock table dead in access exclusive mode");
	struct ask *abandoned = ask_new(&world, DATABASE_WRITE, "dead",
					"insert into dead values ($1)", "2");
	struct ask *head = start(&world, DATABASE_WRITE, "dead",
				 "insert into dead values ($1)", "1");

	ask_run(abandoned, 50);
	wait_failed(abandoned, ERR_DEADLINE);
	cr_expect_eq(head->done, 0);
	cr_expect(!database_idle(world.database));
	let_go(lock);
	wait_failed(head, ERR_CONFLICT);
	cr_expect_eq(abandoned->done, 1);
	cr_expect(database_idle(world.database));
	cr_expect_eq(number(&world, "select count(*) from dead"), 1);
	free(abandoned);
	free(head);
	world_fini(&world);
}

/* A statement that does not end costs the lane its connection, and the server
 * gives it up. */
Test(database, hanging_statement)
{
	struct world world;

	world_init(&world);

	PGconn *lock = hold(&world, "select pg_advisory_xact_lock(1002)");
	struct ask *hanging =
		ask_new(&world, DATABASE_READ, NULL,
			"select pg_advisory_xact_lock_shared(1002)", NULL);
	struct ask *behind =
		ask_new(&world, DATABASE_READ, NULL, "select 1", NULL);

	ask_run(hanging, 50);
	ask_run(behind, SOON_MS);
	wait_failed(hanging, ERR_DEADLINE);
	wait_good(behind);
	cr_expect_eq(hanging->done, 1);
	TURN_UNTIL(world.loop,
		   number(&world, "select count(*) from pg_locks where "
				  "objid = 1002 and not granted") == 0);
	let_go(lock);
	free(hanging);
	free(behind);
	world_fini(&world);
}

Test(database, reads_survive_a_lost_connection, .init = own_init,
     .fini = own_fini)
{
	exec(&own, "create table held (id int)");

	PGconn *lock = hold(&own, "lock table held in access exclusive mode");
	struct ask *read = start(&own, DATABASE_READ, "held",
				 "select count(*) from held", NULL);
	struct ask *slow = start(&own, DATABASE_SLOW, NULL,
				 "select count(*) from held", NULL);
	struct ask *write = start(&own, DATABASE_WRITE, "held",
				  "insert into held values (1)", NULL);

	wait_blocked(&own, 3);
	terminate(&own);
	wait_failed(write, ERR_LOST);
	let_go(lock);
	wait_good(read);
	wait_good(slow);
	cr_expect_str_eq(read->text, "0");
	free(read);
	free(slow);
	free(write);
	world_fini(&own);
}

/* What was in flight is lost and never sent again; what waited is kept. */
Test(database, server_killed_while_writing, .init = own_init, .fini = own_fini)
{
	enum { COUNT = DATABASE_BATCH_MAX + 10 };
	struct ask *asks[COUNT];

	exec(&own, "create table crash (id int)");
	exec(&own, "checkpoint");

	PGconn *lock = hold(&own, "lock table crash in access exclusive mode");

	for (int i = 0; i < COUNT; i++) {
		char first[16];

		snprintf(first, sizeof(first), "%d", i);
		asks[i] = start(&own, DATABASE_WRITE, "crash",
				"insert into crash values ($1)", first);
	}
	wait_blocked(&own, 1);
	servers_postgres_kill(&own.postgres);
	PQfinish(lock);
	for (int i = 0; i < DATABASE_BATCH_MAX; i++) {
		wait_failed(asks[i], ERR_LOST);
		free(asks[i]);
	}
	TURN_UNTIL(own.loop, metric(&own, "database_connected") == 0);
	cr_expect(!database_ready(own.database));
	servers_postgres_start(&own.postgres);
	for (int i = DATABASE_BATCH_MAX; i < COUNT; i++) {
		wait_good(asks[i]);
		free(asks[i]);
	}
	TURN_UNTIL(own.loop, database_ready(own.database));
	cr_expect_eq(number(&own, "select count(*) from crash"), 10);
	cr_expect_eq(number(&own, "select min(id) from crash"),
		     DATABASE_BATCH_MAX);
	world_fini(&own);
}

Test(database, server_stands_still, .init = own_init, .fini = own_fini)
{
	servers_postgres_signal(&own.postgres, SIGSTOP);

	struct ask *read = ask_new(&own, DATABASE_READ, NULL, "select 1", NULL);
	struct ask *write =
		ask_new(&own, DATABASE_WRITE, NULL, "select 1", NULL);
	struct ask *slow = ask_new(&own, DATABASE_SLOW, NULL, "select 1", NULL);
	struct ask *behind =
		ask_new(&own, DATABASE_SLOW, NULL, "select 1", NULL);

	ask_run(read, 50);
	ask_run(write, 50);
	ask_run(slow, 200);
	ask_run(behind, 50);
	wait_failed(read, ERR_DEADLINE);
	wait_failed(write, ERR_DEADLINE);
	wait_failed(behind, ERR_UNAVAILABLE);
	wait_failed(slow, ERR_DEADLINE);
	TURN_UNTIL(own.loop, metric(&own, "database_connected") == 0);

	struct ask *absent =
		ask_new(&own, DATABASE_READ, NULL, "select 1", NULL);

	ask_run(absent, 50);
	wait_failed(absent, ERR_UNAVAILABLE);
	servers_postgres_signal(&own.postgres, SIGCONT);
	cr_expect_str_eq(read_text(&own, "select 7"), "7");
	free(read);
	free(write);
	free(slow);
	free(behind);
	free(absent);
	world_fini(&own);
}

static int listen_at(const char *dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432",
		 dir);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

/* A server that takes connections and says nothing is given up and dialed
 * again. */
Test(database, silent_server)
{
	enum { DIALS = DATABASE_LANES + 1 };
	struct world world = {0};
	char dir[64];
	char url[128];
	int fds[DIALS];
	size_t count = 0;

	servers_dir_make(dir);
	snprintf(url, sizeof(url), "postgresql:///x?host=%s", dir);

	int fd = listen_at(dir);
	struct database_options options = {.url = url, .process = "test"};

	world.loop = loop_new();
	cr_assert_eq(database_new(world.loop, &options, &world.database, NULL),
		     ERR_OK);
	while (count < DIALS) {
		TURN_UNTIL(world.loop,
			   (fds[count] = accept(fd, NULL, NULL)) >= 0);
		count++;
	}
	world_fini(&world);
	while (count > 0)
		close(fds[--count]);
	close(fd);
	servers_dir_remove(dir);
}

static void world_nowhere(struct world *world)
{
	struct database_options options = {
		.url = "postgresql:///x?host=/nonexistent",
		.process = "test",
		.metrics = &world->metrics,
	};

	*world = (struct world){.loop = loop_new()};
	cr_assert_eq(
		database_new(world->loop, &options, &world->database, NULL),
		ERR_OK);
}

static void on_count(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	int *count = arg;

	cr_assert(!result);
	cr_assert_eq(error->code, ERR_UNAVAILABLE);
	(*count)++;
}

Test(database, queue_is_bounded)
{
	enum { REFUSED = 10 };
	struct world world;
	int count = 0;
	struct database_statement statement = {
		.sql = "select 1",
		.deadline_ms = SOON_MS,
		.done = on_count,
		.arg = &count,
	};

	world_nowhere(&world);
	for (int i = 0; i < DATABASE_QUEUE_MAX + REFUSED; i++)
		database_run(world.database, &statement);
	cr_expect_eq(count, 0);
	cr_expect_eq(metric(&world, "database_waiting"), DATABASE_QUEUE_MAX);
	TURN_UNTIL(world.loop, count > 0);
	cr_expect_eq(count, REFUSED);
	world_fini(&world);
	cr_expect_eq(count, DATABASE_QUEUE_MAX + REFUSED);
}

Test(database, free_ends_what_is_under_way)
{
	struct world world;

	world_init(&world);

	PGconn *lock = hold(&world, "select pg_advisory_xact_lock(1003)");
	static const char *sql = "select pg_advisory_xact_lock_shared(1003)";
	struct ask *asks[DATABASE_LANES];
	struct ask *behind[DATABASE_LANES];
	struct ask *late =
		ask_new(&world, DATABASE_READ, NULL, "select 1", NULL);

	for (int i = 0; i < DATABASE_LANES; i++)
		asks[i] = start(&world, (enum database_lane)i, NULL, sql, NULL);
	TURN_UNTIL(world.loop,
		   number(&world, "select count(*) from pg_locks where "
				  "objid = 1003 and not granted") == 3);
	for (int i = 0; i < DATABASE_LANES; i++)
		behind[i] = start(&world, (enum database_lane)i, "behind",
				  "select 1", NULL);
	behind[0]->next = late;
	world_fini(&world);
	for (int i = 0; i < DATABASE_LANES; i++) {
		cr_expect_eq(asks[i]->done, 1);
		cr_expect_eq(asks[i]->code, ERR_LOST);
		cr_expect_eq(behind[i]->done, 1);
		cr_expect_eq(behind[i]->code, ERR_UNAVAILABLE);
		free(asks[i]);
		free(behind[i]);
	}
	cr_expect_eq(late->done, 1);
	cr_expect_eq(late->code, ERR_UNAVAILABLE);
	free(late);
	let_go(lock);
}

Test(database, free_while_dialing)
{
	struct world world;

	world_nowhere(&world);
	world_fini(&world);
	database_free(NULL);
}

Test(database, urls_that_cannot_be_parsed)
{
	static const char *const urls[] = {
		"nonsense",
		"postgresql://host/db?nonsense=1",
		"postgresql://host:port:port/%zz",
		"host=a password='secret",
	};
	struct loop *loop = loop_new();

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct database_options options = {.url = urls[i],
						   .process = "test"};
		struct database *database = NULL;
		struct err err = {0};

		cr_expect_eq(database_new(loop, &options, &database, &err),
			     ERR_VALIDATE, "%s", urls[i]);
		cr_expect(!database);
		cr_expect(!strstr(err.text, "secret"));
	}
	loop_free(loop);
}

Test(database, user_of_the_url_wins)
{
	struct world world = {0};
	char url[256];

	servers_postgres_shared(&world.postgres);
	exec(&world, "create role named_in_url login");
	exec(&world, "create role by_default login");
	strcpy(url, world.postgres.url);
	for (int round = 0; round < 2; round++) {
		struct database_options options = {
			.url = url,
			.default_role = "by_default",
			.process = "test",
		};

		world.loop = loop_new();
		cr_assert_eq(database_new(world.loop, &options, &world.database,
					  NULL),
			     ERR_OK);
		cr_expect_str_eq(read_text(&world, "select current_user"),
				 round == 0 ? "by_default" : "named_in_url");
		world_fini(&world);
		snprintf(url, sizeof(url), "%s&user=named_in_url",
			 world.postgres.url);
	}
}

/* Server options in the url join ours instead of replacing them. */
Test(database, options_of_the_url)
{
	struct world world = {0};

	servers_postgres_shared(&world.postgres);
	strcat(world.postgres.url, "&options=-csearch_path%3Dmine");
	world_open(&world);
	cr_expect_str_eq(
		read_text(&world,
			  "select current_setting('search_path') || ' ' || "
			  "current_setting('transaction_read_only') || ' ' || "
			  "current_setting('client_encoding')"),
		"mine on UTF8");
	world_fini(&world);
}
