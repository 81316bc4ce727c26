/* The resource engine for callers of all kinds: what each sees and may change,
 * what hooks add, and what the audit log keeps. */

#include "services/common/resource_service.h"

#include "proto/json.h"
#include "proto/writer.h"
#include "servers.h"
#include "services/common/bus_client.h"
#include "services/common/log.h"
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	SOON_MS = 30000, /* a deadline no test reaches */
	TENANT = 71,	 /* and one that has things of its own */
	OTHER_TENANT = 72,
	DISABLED_TENANT = 73,
	TENANT_USER = 81,
};

/* ---- the resources ---- */

static const struct field setting_fields[] = {
	{"loud", FIELD_BOOL, .fallback = DEFAULT_BOOL(false)},
	{"colour", FIELD_STRING, .max = 16, .fallback = DEFAULT_STR("red")},
};

static const struct record setting_record = {.name = "Setting",
					     RECORD_FIELDS(setting_fields)};

/* clang-format off: a table */
static const struct field fields[] = {
	{"id", FIELD_ID, FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER,
	 .column = "id"},
	{"tenant_id", FIELD_ID, FIELD_SUMMARY, .column = "tenant_id"},
	{"name", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |
		 FIELD_SEARCH,
	 .max = 16, .column = "name"},
	{"size", FIELD_INT, FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .max = 1000, .fallback = DEFAULT_INT(1), .column = "size"},
	{"brand", FIELD_STRING, FIELD_IMMUTABLE, .max = 16, .column = "brand"},
	{"setting", FIELD_OBJECT, .record = &setting_record,
	 .column = "setting"},
	{"secret", FIELD_STRING, FIELD_SECRET, .max = 16, .column = "secret"},
	{"password", FIELD_STRING, FIELD_HASHED, .max = 16,
	 .column = "password_hash"},
	{"note", FIELD_STRING, FIELD_HIDDEN, .max = 16, .column = "note"},
};
/* clang-format on */

static const struct record record = {.name = "Thing", RECORD_FIELDS(fields)};

static const struct resource_overlay overlays[] = {{"size", "l.size"}};

static const struct resource_loan loan = {
	.join = "JOIN thing.loans l ON l.thing_id = t.id",
	.rows = "l.tenant_id = $1",
	.overlays = overlays,
	.overlay_count = 1,
};

static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_SYSTEM, .verbs = RESOURCE_ALL},
	{.who = PRINCIPAL_ADMIN,
	 .verbs = RESOURCE_ALL,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.tenant_id = $1",
	 .owner = "tenant_id",
	 .guard = "(SELECT enabled FROM thing.tenants WHERE id = $1)",
	 .loan = &loan},
	/* Admitted above. */
	{.who = PRINCIPAL_ADMIN | PRINCIPAL_USER,
	 .verbs = RESOURCE_SEE | RESOURCE_UPDATE,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.tenant_id = $1"},
};

static const struct resource_constraint constraints[] = {
	{"things_name_key", "name", "another thing has this name"},
	{"things_size_check", NULL, "too large in all", ERR_LIMIT},
	{"things_raised", NULL, "raised"},
};

static const struct resource thing_resource = {
	.name = "thing",
	.schema = "thing",
	.table = "things",
	.record = &record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	RESOURCE_SCOPES(scopes),
	.audit = "THING",
	.label = "t.name",
};

/* The thing whose id is the dealer's. */
static const struct resource_scope own_scopes[] = {
	{.who = PRINCIPAL_DEALER,
	 .verbs = RESOURCE_ALL,
	 .by = RESOURCE_BY_DEALER},
};

static const struct resource own_resource = {
	.name = "own_thing",
	.schema = "thing",
	.table = "things",
	.record = &record,
	RESOURCE_SCOPES(own_scopes),
	.own = true,
	.event = "thing",
};

static const char schema[] =
	"CREATE SCHEMA thing;"
	"CREATE TABLE thing.tenants (id bigint PRIMARY KEY, enabled boolean);"
	"INSERT INTO thing.tenants VALUES (71, true), (72, true), (73, false);"
	"CREATE TABLE thing.things ("
	" id bigint PRIMARY KEY DEFAULT trunkline.next_id(),"
	" version bigint NOT NULL DEFAULT 1,"
	" updated_at timestamptz,"
	" tenant_id bigint, name text COLLATE \"C\" NOT NULL,"
	" size integer NOT NULL, brand text COLLATE \"C\","
	" setting jsonb NOT NULL, secret text,"
	" password_hash text, note text COLLATE \"C\","
	" CONSTRAINT things_name_key UNIQUE (name),"
	" CONSTRAINT things_size_check CHECK (size < 900));"
	"CREATE TABLE thing.loans (thing_id bigint, tenant_id bigint,"
	" size integer);"
	"CREATE TABLE thing.idempotency_keys"
	" (LIKE provider.idempotency_keys INCLUDING ALL);"
	"CREATE FUNCTION thing.raise() RETURNS trigger LANGUAGE plpgsql AS $$"
	" BEGIN RAISE EXCEPTION 'x' USING constraint ="
	" CASE new.name WHEN 'raise' THEN 'things_raised' ELSE '' END;"
	" END $$;"
	"CREATE TRIGGER raise BEFORE INSERT ON thing.things FOR EACH ROW"
	" WHEN (new.name LIKE 'raise%') EXECUTE FUNCTION thing.raise();"
	/* Everybody's id is a number below 100; the engine makes others. */
	"INSERT INTO thing.things (id, tenant_id, name, size, setting) VALUES"
	" (1, 71, 'own', 10, '{}'), (2, 72, 'lent', 20, '{}'),"
	" (3, 72, 'foreign', 30, '{}'), (4, NULL, 'shared', 40, '{}'),"
	" (5, NULL, 'lent too', 50, '{}');"
	"INSERT INTO thing.loans VALUES (2, 71, 2), (5, 71, 5), (5, 72, 6);"
	"GRANT USAGE ON SCHEMA thing TO trunkline_provider;"
	"GRANT ALL ON ALL TABLES IN SCHEMA thing TO trunkline_provider;";

enum { OWN = 1, LENT, FOREIGN, SHARED, LENT_TOO, MISSING };

/* ---- the world ---- */

struct world {
	struct servers_postgres postgres;
	char directory[64];
	char address[96];
	struct resource_service service;
	struct resource_store *thing;
	struct resource_store *own;
	struct bus_server *server;
	struct bus_client *client;
	struct events_subscriber *subscriber;
	struct metrics metrics;
	struct bus_method methods[2 * RESOURCE_METHODS];
	struct loop_timer *timer;
	struct resource_change *waiting; /* a hook's, until the timer */
	unsigned before_count;
	unsigned after_count;
	int64_t after_id;
	unsigned event_count;
	bool stale;
};

static struct world world;

static void on_event(void *arg, const struct event *event)
{
	(void)arg;
	cr_assert(slice_is(event->resource, "thing"));
	world.event_count++;
}

static void on_stale(void *arg)
{
	(void)arg;
	world.stale = true;
}

/* Hooks may end later: these do, by a timer. */
static void on_timer(void *arg)
{
	struct resource_change *change = world.waiting;

	(void)arg;
	world.waiting = NULL;
	if (change->own) {
		resource_change_answer(change);
		return;
	}
	change->own = &world;
	resource_change_go_on(change);
}

static struct value *value_of(struct resource_change *change, const char *name)
{
	return &change->values[record_find(&record, slice_str(name), 0)];
}

static void wait(struct resource_change *change)
{
	world.waiting = change;
	loop_timer_start(world.timer, 1, 0);
}

static void before(struct resource_change *change)
{
	const struct value *name = value_of(change, "name");

	world.before_count++;
	cr_assert_eq(change->id == 0, change->kind == EVENT_CREATED);
	if (name->kind == VALUE_STR && slice_is(name->string, "refused")) {
		bus_reply_code(change->call, ERR_LIMIT);
		return;
	}
	if (name->kind == VALUE_STR && slice_is(name->string, "other"))
		value_of(change, "size")->integer = 77;
	wait(change);
}

static void after(struct resource_change *change)
{
	world.after_count++;
	world.after_id = change->id;
	change->own = &world;
	wait(change);
}

static const struct resource_hooks hooks = {&thing_resource, before, after};

static void stores_make(void)
{
	struct resource_store_options options = {
		.database = world.service.database,
		.key = world.service.key,
		.passwords = world.service.passwords,
		.events = world.service.events,
		.service = &world.service,
	};

	world.own = resource_store_new(&own_resource, &options);
	options.hooks = &hooks;
	world.thing = resource_store_new(&thing_resource, &options);
	resource_methods(world.thing, world.methods);
	resource_methods(world.own, world.methods + RESOURCE_METHODS);
}

static void serve(void)
{
	struct err err = {0};

	cr_assert_eq(events_publisher_new(world.service.loop, world.address,
					  NULL, &world.service.events, &err),
		     ERR_OK, "%s", err.text);
	stores_make();
	const struct bus_server_options options = {
		.address = world.address,
		.methods = world.methods,
		.method_count = sizeof(world.methods) / sizeof(*world.methods),
		.metrics = &world.metrics,
	};

	cr_assert_eq(bus_server_new(world.service.loop, &options, &world.server,
				    &err),
		     ERR_OK, "%s", err.text);
}

static void connect_all(void)
{
	const struct events_handlers handlers = {on_event, on_stale, NULL};
	const struct database_options options = {
		.url = world.postgres.url,
		.default_role = "trunkline_provider",
		.process = "test",
	};
	struct loop *loop = world.service.loop;
	struct err err = {0};

	cr_assert_eq(
		database_new(loop, &options, &world.service.database, &err),
		ERR_OK, "%s", err.text);
	serve();
	cr_assert_eq(bus_client_new(loop, "thing", world.address, NULL,
				    &world.client, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(events_subscriber_new(loop, world.address, &handlers,
					   &world.subscriber, &err),
		     ERR_OK, "%s", err.text);
	TURN_UNTIL(loop, world.stale && database_ready(world.service.database));
}

static void setup(void)
{
	char path[128];
	struct err err = {0};

	log_init("test", LOG_ERROR);
	cr_assert(secrets_init());
	servers_postgres_migrated(&world.postgres);
	servers_postgres_exec(&world.postgres, schema);
	servers_dir_make(world.directory);
	snprintf(path, sizeof(path), "%s/key", world.directory);
	cr_assert_eq(secrets_key_load(path, &world.service.key, &err), ERR_OK,
		     "%s", err.text);
	snprintf(world.address, sizeof(world.address), "ipc://%s/t.sock",
		 world.directory);
	world.service.loop = loop_new();
	world.service.passwords = passwords_new(world.service.loop);
	world.timer = loop_timer_new(world.service.loop, on_timer, NULL);
	connect_all();
}

static void teardown(void)
{
	events_subscriber_free(world.subscriber);
	bus_client_free(world.client);
	database_free(world.service.database);
	bus_server_free(world.server);
	resource_store_free(world.thing);
	resource_store_free(world.own);
	events_publisher_free(world.service.events);
	secrets_key_free(world.service.key);
	passwords_free(world.service.passwords);
	loop_timer_free(world.timer);
	loop_free(world.service.loop);
	servers_dir_remove(world.directory);
}

TestSuite(resource_scope, .init = setup, .fini = teardown);

/* ---- callers ---- */

static const struct principal system_admin = {
	.kind = PRINCIPAL_SYSTEM, .id = 61, .name = SLICE("root")};
static const struct principal tenant_admin = {.kind = PRINCIPAL_ADMIN,
					      .id = TENANT_USER,
					      .tenant_id = TENANT,
					      .name = SLICE("alice"),
					      .address = SLICE("127.0.0.9")};
static const struct principal other_admin = {
	.kind = PRINCIPAL_ADMIN, .id = 82, .tenant_id = OTHER_TENANT};
static const struct principal disabled_admin = {
	.kind = PRINCIPAL_ADMIN, .id = 83, .tenant_id = DISABLED_TENANT};
/* Not of any tenant: nothing is its. */
static const struct principal lost_admin = {.kind = PRINCIPAL_ADMIN, .id = 84};
static const struct principal acting = {
	.kind = PRINCIPAL_SYSTEM, .id = 61, .acting_as = TENANT};
static const struct principal tenant_user = {
	.kind = PRINCIPAL_USER, .id = 85, .tenant_id = TENANT};
static const struct principal queue_manager = {
	.kind = PRINCIPAL_QUEUE_MANAGER, .id = 86, .tenant_id = TENANT};
static const struct principal dealer = {
	.kind = PRINCIPAL_DEALER, .id = OWN, .dealer_id = OWN};
static const struct principal gone_dealer = {
	.kind = PRINCIPAL_DEALER, .id = MISSING, .dealer_id = MISSING};
static const struct principal process = {.kind = PRINCIPAL_SERVICE};

struct answer {
	bool done;
	enum err_code code;
	uint64_t version;
	struct err err;
	struct buffer body;
};

static void on_answer(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct answer *answer = arg;

	answer->done = true;
	if (err) {
		answer->code = err->code;
		answer->err = *err;
	}
	if (!reply)
		return;
	answer->version = reply->object_version;
	buffer_append_slice(&answer->body, reply->body);
}

/* Appends a text in which ' stands for ", and ` for '. */
static void json_append(struct buffer *wire, const char *text)
{
	struct err err = {0};
	char json[512];

	snprintf(json, sizeof(json), "%s", text);
	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
		else if (*c == '`')
			*c = '\'';
	cr_assert_eq(json_to_msgpack(slice_str(json), wire, &err), ERR_OK, "%s",
		     json);
}

/* Takes the arguments. */
static void call_with(const struct principal *who, const char *method,
		      struct buffer *wire, struct answer *answer)
{
	const struct request request = {.request_id = SLICE("r-1"),
					.method = slice_str(method),
					.deadline_ms = SOON_MS,
					.principal = *who,
					.args = buffer_slice(wire)};

	buffer_fini(&answer->body);
	*answer = (struct answer){0};
	bus_client_call(world.client, BUS_SLOW, &request, on_answer, answer);
	TURN_UNTIL(world.service.loop, answer->done);
	buffer_fini(wire);
}

static void call(const struct principal *who, const char *method,
		 const char *args, struct answer *answer)
{
	struct buffer wire = {0};

	json_append(&wire, args);
	call_with(who, method, &wire, answer);
}

static enum err_code code_of(const struct principal *who, const char *method,
			     const char *args)
{
	struct answer answer = {0};

	call(who, method, args, &answer);
	buffer_fini(&answer.body);
	return answer.code;
}

/* An id goes over the wire as what it is, and JSON has none. */
static void call_id(const struct principal *who, const char *method, int64_t id,
		    const char *object, struct answer *answer)
{
	struct buffer wire = {0};

	writer_map(&wire, object ? 2 : 1);
	writer_text(&wire, "id");
	writer_id(&wire, id);
	if (object) {
		writer_text(&wire, "object");
		json_append(&wire, object);
	}
	call_with(who, method, &wire, answer);
}

static enum err_code change(const struct principal *who, const char *method,
			    int64_t id, const char *object)
{
	struct answer answer = {0};

	call_id(who, method, id, object, &answer);
	buffer_fini(&answer.body);
	return answer.code;
}

static long number(const char *sql)
{
	return servers_postgres_number(&world.postgres, sql);
}

/* How many rows of the audit log meet a condition. */
static long audited(const char *condition)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM system.audit_logs WHERE %s", condition);
	return number(sql);
}

/* ---- who may do what ---- */

struct reach_case {
	const char *name;
	const struct principal *who;
	enum err_code codes[MISSING]; /* of OWN, LENT, ... MISSING */
};

#define EVERY(code)                                                            \
	{                                                                      \
		code, code, code, code, code, ERR_NOT_FOUND                    \
	}

static const struct reach_case get_cases[] = {
	{"system", &system_admin, EVERY(ERR_OK)},
	{"service", &process, EVERY(ERR_OK)},
	{"admin",
	 &tenant_admin,
	 {ERR_OK, ERR_OK, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_OK, ERR_NOT_FOUND}},
	{"acting",
	 &acting,
	 {ERR_OK, ERR_OK, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_OK, ERR_NOT_FOUND}},
	{"user, without loans",
	 &tenant_user,
	 {ERR_OK, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND,
	  ERR_NOT_FOUND}},
	{"other admin",
	 &other_admin,
	 {ERR_NOT_FOUND, ERR_OK, ERR_OK, ERR_NOT_FOUND, ERR_OK, ERR_NOT_FOUND}},
	{"nobody's admin", &lost_admin, EVERY(ERR_NOT_FOUND)},
	{"no scope",
	 &queue_manager,
	 {ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN,
	  ERR_FORBIDDEN, ERR_FORBIDDEN}},
};

/* The verb is had, the row is seen but lent: forbidden; not seen: not found. */
static const struct reach_case change_cases[] = {
	{"user has no destroy",
	 &tenant_user,
	 {ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN,
	  ERR_FORBIDDEN, ERR_FORBIDDEN}},
	{"no scope",
	 &queue_manager,
	 {ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN,
	  ERR_FORBIDDEN, ERR_FORBIDDEN}},
	{"nobody's admin", &lost_admin, EVERY(ERR_NOT_FOUND)},
	{"admin",
	 &tenant_admin,
	 {ERR_OK, ERR_FORBIDDEN, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_FORBIDDEN,
	  ERR_NOT_FOUND}},
	{"system",
	 &system_admin,
	 {ERR_NOT_FOUND /* just gone */, ERR_OK, ERR_OK, ERR_OK, ERR_OK,
	  ERR_NOT_FOUND}},
};

static void check(const struct reach_case *cases, size_t count,
		  const char *method, const char *object)
{
	for (size_t i = 0; i < count; i++)
		for (int64_t id = OWN; id <= MISSING; id++) {
			const enum err_code code =
				change(cases[i].who, method, id, object);

			cr_expect_eq(code, cases[i].codes[id - OWN],
				     "%s, %s of %d: %s", cases[i].name, method,
				     (int)id, err_name(code));
		}
}

Test(resource_scope, gets)
{
	check(get_cases, sizeof(get_cases) / sizeof(*get_cases), "thing.get",
	      NULL);
}

Test(resource_scope, destroys)
{
	check(change_cases, sizeof(change_cases) / sizeof(*change_cases),
	      "thing.destroy", NULL);
	cr_expect_eq(number("SELECT count(*) FROM thing.things"), 0);
	cr_expect_eq(audited("action = 'DELETE'"), 5);
}

Test(resource_scope, updates)
{
	static const struct reach_case rows[] = {
		{"admin",
		 &tenant_admin,
		 {ERR_OK, ERR_FORBIDDEN, ERR_NOT_FOUND, ERR_NOT_FOUND,
		  ERR_FORBIDDEN, ERR_NOT_FOUND}},
		{"user",
		 &tenant_user,
		 {ERR_OK, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND,
		  ERR_NOT_FOUND, ERR_NOT_FOUND}},
		{"nobody's admin", &lost_admin, EVERY(ERR_NOT_FOUND)},
		{"no scope",
		 &queue_manager,
		 {ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN,
		  ERR_FORBIDDEN, ERR_FORBIDDEN}},
		{"system", &system_admin, EVERY(ERR_OK)},
	};

	check(rows, sizeof(rows) / sizeof(*rows), "thing.update",
	      "{'size':11}");
}

Test(resource_scope, creates_are_the_callers)
{
	cr_expect_eq(code_of(&tenant_admin, "thing.create",
			     "{'object':{'name':'a'}}"),
		     ERR_OK);
	cr_expect_eq(code_of(&acting, "thing.create",
			     "{'object':{'name':'b'},'idempotency_key':'k'}"),
		     ERR_OK);
	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'c'}}"),
		     ERR_OK);
	cr_expect_eq(code_of(&tenant_user, "thing.create",
			     "{'object':{'name':'d'}}"),
		     ERR_FORBIDDEN);
	cr_expect_eq(code_of(&disabled_admin, "thing.create",
			     "{'object':{'name':'e'}}"),
		     ERR_FORBIDDEN);
	cr_expect_eq(code_of(&disabled_admin, "thing.create",
			     "{'object':{'name':'f'},'idempotency_key':'k'}"),
		     ERR_FORBIDDEN);
	cr_expect_eq(
		code_of(&lost_admin, "thing.create", "{'object':{'name':'g'}}"),
		ERR_FORBIDDEN);
	cr_expect_eq(number("SELECT count(*) FROM thing.things "
			    "WHERE id > 100 AND tenant_id = 71"),
		     2);
	cr_expect_eq(number("SELECT count(*) FROM thing.things "
			    "WHERE id > 100 AND tenant_id IS NULL"),
		     1);
	cr_expect_eq(number("SELECT count(*) FROM thing.things"), 5 + 3);
}

/* The scope says whose it is, not the body. */
Test(resource_scope, owners_are_not_the_clients_to_say)
{
	static const char *const verbs[] = {"thing.create", "thing.update"};

	for (size_t i = 0; i < 2; i++) {
		struct answer answer = {0};
		struct buffer wire = {0};

		writer_map(&wire, 1 + i);
		writer_text(&wire, "object");
		writer_map(&wire, 2);
		writer_text(&wire, "name");
		writer_text(&wire, "mine");
		writer_text(&wire, "tenant_id");
		writer_id(&wire, OTHER_TENANT);
		if (i > 0) {
			writer_text(&wire, "id");
			writer_id(&wire, number("SELECT id FROM thing.things "
						"WHERE name = 'mine'"));
		}
		call_with(&tenant_admin, verbs[i], &wire, &answer);
		cr_expect_eq(answer.code, ERR_OK, "%s", answer.err.text);
		buffer_fini(&answer.body);
		cr_expect_eq(number("SELECT tenant_id FROM thing.things "
				    "WHERE name = 'mine'"),
			     TENANT);
	}
}

Test(resource_scope, a_guard_that_does_not_hold_forbids)
{
	servers_postgres_exec(&world.postgres,
			      "UPDATE thing.things SET tenant_id = 73 "
			      "WHERE id = 1");
	cr_expect_eq(change(&disabled_admin, "thing.get", OWN, NULL), ERR_OK);
	cr_expect_eq(change(&disabled_admin, "thing.update", OWN, "{'size':2}"),
		     ERR_FORBIDDEN);
	cr_expect_eq(change(&disabled_admin, "thing.destroy", OWN, NULL),
		     ERR_FORBIDDEN);
	cr_expect_eq(change(&disabled_admin, "thing.destroy", LENT, NULL),
		     ERR_NOT_FOUND);
	cr_expect_eq(number("SELECT size FROM thing.things WHERE id = 1"), 10);
	servers_postgres_exec(&world.postgres,
			      "DELETE FROM thing.tenants WHERE id = 73");
	cr_expect_eq(change(&disabled_admin, "thing.update", OWN, "{'size':2}"),
		     ERR_FORBIDDEN);
}

/* ---- lists ---- */

struct list_case {
	const struct principal *who;
	const char *args;
	int64_t count;
	const char *names; /* of the items, each ended by a ; */
};

static const struct list_case list_cases[] = {
	{&system_admin, "{'orderby':'name'}", 5,
	 "foreign;lent;lent too;own;shared;"},
	{&tenant_admin, "{'orderby':'name'}", 3, "lent;lent too;own;"},
	{&tenant_admin, "{'orderby':'size desc'}", 3, "own;lent too;lent;"},
	{&tenant_admin, "{'orderby':'name','top':1,'skip':1}", 3, "lent too;"},
	{&tenant_admin, "{'filter':'size gt 9'}", 1, "own;"},
	{&tenant_admin, "{'filter':'size eq 5'}", 1, "lent too;"},
	/* The lender's value is not to be found out by asking. */
	{&tenant_admin, "{'filter':'size eq 50'}", 0, ""},
	{&tenant_admin, "{'filter':'size eq 30 or name eq `foreign`'}", 0, ""},
	{&tenant_admin, "{'filter':'not (name eq `own`)','orderby':'name'}", 2,
	 "lent;lent too;"},
	{&tenant_admin, "{'search':'e','orderby':'name'}", 2, "lent;lent too;"},
	{&tenant_user, "{'search':'e'}", 0, ""},
	{&tenant_user, "{}", 1, "own;"},
	{&lost_admin, "{}", 0, ""},
};

/* Reads {count?, items, ...}; returns the count, -1: none. */
static int64_t read_list(const struct answer *answer, struct buffer *names)
{
	struct reader reader;
	int64_t count = -1;

	reader_init(&reader, buffer_slice(&answer->body));
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		const struct slice key = reader_str(&reader);

		if (slice_is(key, "count"))
			count = reader_int(&reader);
		if (!slice_is(key, "items"))
			continue;
		for (uint32_t i = reader_array(&reader); i > 0; i--)
			for (uint32_t m = reader_map(&reader); m > 0; m--) {
				if (!slice_is(reader_str(&reader), "name")) {
					reader_value(&reader);
					continue;
				}
				buffer_append_slice(names, reader_str(&reader));
				buffer_append_char(names, ';');
			}
		break;
	}
	return count;
}

Test(resource_scope, lists)
{
	for (size_t i = 0; i < sizeof(list_cases) / sizeof(*list_cases); i++) {
		const struct list_case *row = &list_cases[i];
		struct buffer names = {0};
		struct answer answer = {0};

		call(row->who, "thing.list", row->args, &answer);
		cr_expect_eq(answer.code, ERR_OK, "%zu: %s", i,
			     answer.err.details[0].reason);
		cr_expect_eq(read_list(&answer, &names), row->count, "%zu", i);
		cr_expect(slice_is(buffer_slice(&names), row->names),
			  "%zu: %.*s", i, SLICE_ARG(buffer_slice(&names)));
		buffer_fini(&names);
		buffer_fini(&answer.body);
	}
	cr_expect_eq(code_of(&queue_manager, "thing.list", "{}"),
		     ERR_FORBIDDEN);
}

Test(resource_scope, exports_what_is_listed)
{
	struct buffer names = {0};
	struct answer answer = {0};

	call(&tenant_admin, "thing.export", "{}", &answer);
	read_list(&answer, &names);
	cr_expect(slice_is(buffer_slice(&names), "own;lent;lent too;"));
	buffer_fini(&names);
	buffer_fini(&answer.body);
}

static int64_t size_of(const struct principal *who, int64_t id)
{
	struct answer answer = {0};
	struct reader reader;
	int64_t size = -1;

	call_id(who, "thing.get", id, NULL, &answer);
	reader_init(&reader, buffer_slice(&answer.body));
	for (uint32_t n = reader_map(&reader); n > 0; n--)
		if (slice_is(reader_str(&reader), "size"))
			size = reader_int(&reader);
		else
			reader_value(&reader);
	buffer_fini(&answer.body);
	return size;
}

Test(resource_scope, loans_overlay_the_lenders_values)
{
	cr_expect_eq(size_of(&tenant_admin, OWN), 10);
	cr_expect_eq(size_of(&tenant_admin, LENT), 2);
	cr_expect_eq(size_of(&tenant_admin, LENT_TOO), 5);
	cr_expect_eq(size_of(&other_admin, LENT_TOO), 6);
	cr_expect_eq(size_of(&other_admin, LENT), 20);
	cr_expect_eq(size_of(&system_admin, LENT_TOO), 50);
}

/* ---- one's own ---- */

Test(resource_scope, own_methods_take_no_id)
{
	struct answer answer = {0};

	call(&dealer, "own_thing.get", "{}", &answer);
	cr_expect_eq(answer.code, ERR_OK);
	cr_expect_eq(answer.version, 1);
	call(&dealer, "own_thing.update",
	     "{'object':{'size':3},'if_version':1}", &answer);
	cr_expect_eq(answer.code, ERR_OK);
	cr_expect_eq(answer.version, 2);
	call(&dealer, "own_thing.update",
	     "{'object':{'size':4},'if_version':1}", &answer);
	cr_expect_eq(answer.code, ERR_PRECONDITION);
	cr_expect_eq(number("SELECT size FROM thing.things WHERE id = 1"), 3);
	TURN_UNTIL(world.service.loop, world.event_count == 1);
	cr_expect_eq(change(&dealer, "own_thing.get", LENT, NULL),
		     ERR_MALFORMED);
	cr_expect_eq(change(&process, "own_thing.get", LENT, NULL), ERR_OK);
	cr_expect_eq(code_of(&process, "own_thing.get", "{}"), ERR_MALFORMED);
	cr_expect_eq(code_of(&gone_dealer, "own_thing.get", "{}"),
		     ERR_NOT_FOUND);
	buffer_fini(&answer.body);
}

/* A row of one's own is not all rows. */
Test(resource_scope, own_methods_are_few)
{
	cr_expect_eq(code_of(&dealer, "own_thing.list", "{}"), ERR_FORBIDDEN);
	cr_expect_eq(code_of(&dealer, "own_thing.export", "{}"), ERR_FORBIDDEN);
	cr_expect_eq(
		code_of(&dealer, "own_thing.create", "{'object':{'name':'x'}}"),
		ERR_FORBIDDEN);
	cr_expect_eq(change(&dealer, "own_thing.destroy", OWN, NULL),
		     ERR_FORBIDDEN);
}

/* ---- idempotency ---- */

/* The same key of another caller, or of the same one as another tenant, is
 * another key. */
Test(resource_scope, idempotency_keys_are_the_callers)
{
	static const char args[] =
		"{'object':{'name':'k%d'},'idempotency_key':'k'}";
	const struct principal acting_as_other = {
		.kind = PRINCIPAL_SYSTEM, .id = 61, .acting_as = OTHER_TENANT};
	const struct principal *const callers[] = {
		&system_admin, &acting, &acting_as_other, &tenant_admin};
	char text[128];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 4; i++) {
			snprintf(text, sizeof(text), args, i);
			cr_expect_eq(code_of(callers[i], "thing.create", text),
				     ERR_OK, "%d", i);
		}
	cr_expect_eq(number("SELECT count(*) FROM thing.things "
			    "WHERE name LIKE 'k_'"),
		     4);
	cr_expect_eq(audited("action = 'CREATE'"), 4);
}

/* ---- hooks ---- */

Test(resource_scope, hooks_stand_around_a_write)
{
	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'refused'}}"),
		     ERR_LIMIT);
	cr_expect_eq(world.after_count, 0);
	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'other'}}"),
		     ERR_OK);
	cr_expect_eq(world.before_count, 2);
	cr_expect_eq(world.after_count, 1);

	const int64_t id = world.after_id;

	cr_expect_eq(number("SELECT id FROM thing.things WHERE name = 'other' "
			    "AND size = 77"),
		     id);
	cr_expect_eq(change(&system_admin, "thing.update", id, "{'size':5}"),
		     ERR_OK);
	cr_expect_eq(world.before_count, 3);
	cr_expect_eq(world.after_count, 2);
	/* What it does is done again. */
	cr_expect_eq(change(&system_admin, "thing.update", id, "{'size':5}"),
		     ERR_OK);
	cr_expect_eq(world.after_count, 3);
	cr_expect_eq(change(&system_admin, "thing.destroy", id, NULL), ERR_OK);
	cr_expect_eq(world.before_count, 4);
	cr_expect_eq(world.after_count, 4);
	cr_expect_eq(change(&system_admin, "thing.destroy", id, NULL),
		     ERR_NOT_FOUND);
	cr_expect_eq(world.after_count, 4);
}

/* ---- passwords ---- */

static bool shows(const struct answer *answer, const char *text)
{
	return memmem(answer->body.data, answer->body.size, text, strlen(text));
}

Test(resource_scope, passwords_are_hashed)
{
	struct answer answer = {0};

	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'p','password':'s3cret'}}"),
		     ERR_OK);
	cr_expect_eq(number("SELECT count(*) FROM thing.things WHERE name = "
			    "'p' AND password_hash LIKE '$argon2id$%'"),
		     1);
	const int64_t id = world.after_id;

	call_id(&process, "thing.get", id, NULL, &answer);
	cr_expect_eq(answer.code, ERR_OK);
	cr_expect(!shows(&answer, "argon2id") && !shows(&answer, "password"));
	servers_postgres_exec(&world.postgres,
			      "ALTER TABLE thing.things ADD kept text;"
			      "UPDATE thing.things SET kept = password_hash");
	call_id(&system_admin, "thing.update", id, "{'password':'s3cret'}",
		&answer);
	cr_expect_eq(answer.version, 2);
	cr_expect_eq(number("SELECT count(*) FROM thing.things WHERE name = "
			    "'p' AND password_hash LIKE '$argon2id$%' "
			    "AND password_hash <> kept"),
		     1);
	cr_expect_eq(audited("old_state LIKE '%argon%' OR new_state LIKE "
			     "'%argon%' OR new_state LIKE '%s3cret%'"),
		     0);
	cr_expect_eq(audited("action = 'UPDATE' AND object_name = 'p'"), 1);
	buffer_fini(&answer.body);
}

/* ---- audit ---- */

Test(resource_scope, changes_are_audited)
{
	cr_expect_eq(code_of(&tenant_admin, "thing.create",
			     "{'object':{'name':'a','size':3,'secret':'s3',"
			     "'note':'n0te','setting':{'loud':true}}}"),
		     ERR_OK);
	const int64_t id = world.after_id;

	cr_expect_eq(audited("action = 'CREATE' AND object_type = 'THING' AND "
			     "object_name = 'a' AND old_state IS NULL AND "
			     "new_state::jsonb @> '{\"name\":\"a\",\"size\":3,"
			     "\"setting\":{\"loud\":true}}' AND "
			     "tenant_id = 71 AND dealer_id IS NULL AND "
			     "actor_kind = 'ADMIN' AND actor_id = 81 AND "
			     "user_name = 'alice' AND acting_as IS NULL AND "
			     "ip = '127.0.0.9' AND request_id = 'r-1' AND "
			     "source = 'REST' AND "
			     "object_id = (SELECT id FROM thing.things "
			     "WHERE name = 'a')"),
		     1);
	cr_expect_eq(change(&acting, "thing.update", id,
			    "{'name':'b','size':3,'secret':'s4'}"),
		     ERR_OK);
	cr_expect_eq(audited("action = 'UPDATE' AND object_name = 'b' AND "
			     "old_state::jsonb = '{\"name\":\"a\"}' AND "
			     "new_state::jsonb = '{\"name\":\"b\"}' AND "
			     "actor_kind = 'SYSTEM' AND acting_as = 71 AND "
			     "tenant_id = 71"),
		     1);
	cr_expect_eq(change(&process, "thing.destroy", id, NULL), ERR_OK);
	cr_expect_eq(audited("action = 'DELETE' AND object_name = 'b' AND "
			     "new_state IS NULL AND "
			     "old_state::jsonb ->> 'name' = 'b' AND "
			     "source = 'SERVICE' AND user_name = 'service'"),
		     1);
	cr_expect_eq(audited("true"), 3);
	/* Neither secrets nor what is hidden. */
	cr_expect_eq(audited("new_state::jsonb ?| '{secret,password,note}' OR "
			     "old_state::jsonb ?| '{secret,password,note}'"),
		     0);
}

/* What failed has no row: it is the same statement. */
Test(resource_scope, failures_are_not_audited)
{
	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'own'}}"),
		     ERR_CONFLICT);
	cr_expect_eq(
		change(&system_admin, "thing.update", OWN, "{'name':'lent'}"),
		ERR_CONFLICT);
	cr_expect_eq(
		change(&system_admin, "thing.update", MISSING, "{'name':'x'}"),
		ERR_NOT_FOUND);
	cr_expect_eq(change(&tenant_admin, "thing.destroy", LENT, NULL),
		     ERR_FORBIDDEN);
	cr_expect_eq(audited("true"), 0);
}

/* ---- changes of nothing ---- */

struct nothing_case {
	const char *object;
	bool changes;
};

Test(resource_scope, what_is_as_it_was_is_no_change)
{
	static const struct nothing_case rows[] = {
		{"{}", false},
		{"{'name':'n','size':1}", false},
		{"{'size':null}", false}, /* its default again */
		{"{'secret':'s3'}", false},
		{"{'note':null}", false},
		{"{'setting':{}}", false},
		{"{'setting':{'loud':true}}", false},
		/* A default said aloud, with what is there. */
		{"{'setting':{'loud':true,'colour':'red'},'size':1}", false},
		{"{'setting':{'colour':null}}", false},
		{"{'setting':{'colour':'blue'}}", true},
		{"{'setting':{'colour':'red'}}", true},
		{"{'secret':'s4'}", true},
		{"{'secret':'s4'}", false},
		{"{'secret':null}", true},
		{"{'secret':''}", false},
		{"{'note':'x'}", true},
		{"{'size':2,'name':'n'}", true},
	};
	struct answer answer = {0};
	uint64_t version = 1;

	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'n','secret':'s3',"
			     "'setting':{'loud':true}}}"),
		     ERR_OK);
	const int64_t id = world.after_id;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		call_id(&system_admin, "thing.update", id, rows[i].object,
			&answer);
		version += rows[i].changes;
		cr_expect_eq(answer.code, ERR_OK, "%s: %s", rows[i].object,
			     answer.err.text);
		cr_expect_eq(answer.version, version, "%s", rows[i].object);
		cr_expect_eq(audited("action = 'UPDATE'"), (long)version - 1,
			     "%s", rows[i].object);
	}
	/* The last event is that of another object. */
	cr_expect_eq(change(&system_admin, "thing.destroy", OWN, NULL), ERR_OK);
	TURN_UNTIL(world.service.loop, world.event_count >= version + 1);
	cr_expect_eq(world.event_count, version + 1);
	buffer_fini(&answer.body);
}

Test(resource_scope, fixed_fields_stay)
{
	cr_expect_eq(code_of(&system_admin, "thing.create",
			     "{'object':{'name':'n','brand':'x'}}"),
		     ERR_OK);
	const int64_t id = world.after_id;

	cr_expect_eq(change(&system_admin, "thing.update", id,
			    "{'brand':'x','size':2}"),
		     ERR_OK);
	cr_expect_eq(change(&system_admin, "thing.update", id,
			    "{'brand':'y','size':2}"),
		     ERR_VALIDATE);
	cr_expect_eq(change(&system_admin, "thing.update", id, "{'brand':'x'}"),
		     ERR_OK);
}

/* ---- constraints ---- */

Test(resource_scope, broken_constraints_say_what_their_row_says)
{
	static const struct {
		const char *object;
		enum err_code code;
		const char *text;
	} rows[] = {
		{"{'object':{'name':'own'}}", ERR_CONFLICT,
		 "another thing has this name"},
		{"{'object':{'name':'q','size':950}}", ERR_LIMIT,
		 "too large in all"},
		{"{'object':{'name':'raise'}}", ERR_CONFLICT, "raised"},
		{"{'object':{'name':'raise it'}}", ERR_INTERNAL,
		 "unknown error"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct answer answer = {0};

		call(&system_admin, "thing.create", rows[i].object, &answer);
		cr_expect_eq(answer.code, rows[i].code, "%s: %s",
			     rows[i].object, err_name(answer.code));
		cr_expect_str_eq(answer.err.text, rows[i].text);
		buffer_fini(&answer.body);
	}
}
