/* The resource engine towards the processes that follow a resource: events,
 * versions, fetch, and a follow over all of it. What clients see of it is
 * tested in tests/integration. */

#include "services/common/resource.h"

#include "proto/json.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "servers.h"
#include "services/common/bus_client.h"
#include "services/common/follow.h"
#include "services/common/log.h"
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SOON_MS = 30000, /* a deadline no test reaches */
	HEARD_MAX = 16,
	ROWS = 2300, /* three pages of versions */
};

struct world {
	struct servers_postgres postgres;
	char directory[64];
	char address[96];
	struct loop *loop;
	struct metrics metrics;
	struct database *database;
	struct secrets_key *key;
	struct events_publisher *publisher;
	struct resource_store *store;
	struct bus_server *server;
	struct bus_client *client;
	struct events_subscriber *subscriber;
	struct event heard[HEARD_MAX];
	size_t heard_count;
	bool stale;
};

static struct world world;

static void on_event(void *arg, const struct event *event)
{
	(void)arg;
	cr_assert(slice_is(event->resource, "provider"));
	cr_assert_lt(world.heard_count, HEARD_MAX);
	world.heard[world.heard_count++] = *event;
}

static void on_stale(void *arg)
{
	(void)arg;
	world.stale = true;
}

static void key_load(const char *name)
{
	char path[128];
	struct err err = {0};

	snprintf(path, sizeof(path), "%s/%s", world.directory, name);
	cr_assert_eq(secrets_key_load(path, &world.key, &err), ERR_OK, "%s",
		     err.text);
}

static void serve(void)
{
	static struct bus_method methods[RESOURCE_METHODS];
	struct err err = {0};

	cr_assert_eq(events_publisher_new(world.loop, world.address, NULL,
					  &world.publisher, &err),
		     ERR_OK, "%s", err.text);
	const struct resource_store_options store_options = {
		.database = world.database,
		.key = world.key,
		.events = world.publisher,
	};

	world.store = resource_store_new(&provider_resource, &store_options);
	resource_methods(world.store, methods);
	const struct bus_server_options options = {
		.address = world.address,
		.methods = methods,
		.method_count = RESOURCE_METHODS,
		.metrics = &world.metrics,
	};

	cr_assert_eq(bus_server_new(world.loop, &options, &world.server, &err),
		     ERR_OK, "%s", err.text);
}

static void setup(void)
{
	const struct events_handlers handlers = {on_event, on_stale, NULL};
	struct err err = {0};

	log_init("test", LOG_ERROR);
	cr_assert(secrets_init());
	servers_postgres_migrated(&world.postgres);
	servers_dir_make(world.directory);
	key_load("key");
	snprintf(world.address, sizeof(world.address), "ipc://%s/p.sock",
		 world.directory);
	world.loop = loop_new();
	const struct database_options options = {
		.url = world.postgres.url,
		.default_role = "trunkline_provider",
		.process = "test",
	};

	cr_assert_eq(database_new(world.loop, &options, &world.database, &err),
		     ERR_OK, "%s", err.text);
	serve();
	cr_assert_eq(bus_client_new(world.loop, "provider", world.address, NULL,
				    &world.client, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(events_subscriber_new(world.loop, world.address, &handlers,
					   &world.subscriber, &err),
		     ERR_OK, "%s", err.text);
	TURN_UNTIL(world.loop, world.stale && database_ready(world.database));
}

static void teardown(void)
{
	events_subscriber_free(world.subscriber);
	bus_client_free(world.client);
	database_free(world.database);
	bus_server_free(world.server);
	resource_store_free(world.store);
	events_publisher_free(world.publisher);
	secrets_key_free(world.key);
	loop_free(world.loop);
	servers_dir_remove(world.directory);
}

TestSuite(resource, .init = setup, .fini = teardown);

/* ---- calls ---- */

struct answer {
	bool done;
	enum err_code code;
	uint64_t version;
	struct buffer body;
};

static void on_answer(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct answer *answer = arg;

	answer->done = true;
	answer->code = err ? err->code : ERR_OK;
	if (!reply)
		return;
	answer->version = reply->object_version;
	buffer_append_slice(&answer->body, reply->body);
}

static void call_as(enum principal_kind kind, const char *method,
		    const struct buffer *args, struct answer *answer)
{
	const struct request request = {.method = slice_str(method),
					.deadline_ms = SOON_MS,
					.principal = {.kind = kind},
					.args = buffer_slice(args)};

	buffer_fini(&answer->body);
	*answer = (struct answer){0};
	bus_client_call(world.client, BUS_SLOW, &request, on_answer, answer);
	TURN_UNTIL(world.loop, answer->done);
}

static void add_json(struct buffer *args, const char *json)
{
	struct err err = {0};

	cr_assert_eq(json_to_msgpack(slice_str(json), args, &err), ERR_OK);
}

static int64_t create(const char *host, const char *key)
{
	struct buffer args = {0};
	struct answer answer = {0};
	struct reader reader;
	char json[512];

	snprintf(json, sizeof(json),
		 "{\"name\":\"t\",\"auth_mode\":\"REGISTER_AUTH\","
		 "\"transport\":\"UDP\",\"hostname\":\"%s\",\"port\":5060,"
		 "\"outbound_server\":\"o.example\",\"outbound_server_port\":"
		 "5060,"
		 "\"concurrency\":4,"
		 "\"auth_id\":\"a\",\"password\":\"s3cret-%s\"}",
		 host, host);
	writer_map(&args, key ? 2 : 1);
	if (key) {
		writer_text(&args, "idempotency_key");
		writer_text(&args, key);
	}
	writer_text(&args, "object");
	add_json(&args, json);
	call_as(PRINCIPAL_SYSTEM, "provider.create", &args, &answer);
	cr_assert_eq(answer.code, ERR_OK, "%s", err_name(answer.code));
	reader_init(&reader, buffer_slice(&answer.body));
	reader_map(&reader);
	reader_str(&reader);
	const int64_t id = reader_id(&reader);

	buffer_fini(&args);
	buffer_fini(&answer.body);
	return id;
}

/* A call with an id, and an object where json is not NULL. */
static void call_id(enum principal_kind kind, const char *method, int64_t id,
		    const char *json, struct answer *answer)
{
	struct buffer args = {0};

	writer_map(&args, json ? 2 : 1);
	writer_text(&args, "id");
	writer_id(&args, id);
	if (json) {
		writer_text(&args, "object");
		add_json(&args, json);
	}
	call_as(kind, method, &args, answer);
	buffer_fini(&args);
}

static void call_ids(enum principal_kind kind, const int64_t *ids,
		     uint32_t count, struct answer *answer)
{
	struct buffer args = {0};

	writer_map(&args, 1);
	writer_text(&args, "ids");
	writer_array(&args, count);
	for (uint32_t i = 0; i < count; i++)
		writer_id(&args, ids[i]);
	call_as(kind, "provider.fetch", &args, answer);
	buffer_fini(&args);
}

static enum err_code change(const char *method, int64_t id, const char *json)
{
	struct answer answer = {0};

	call_id(PRINCIPAL_SYSTEM, method, id, json, &answer);
	buffer_fini(&answer.body);
	return answer.code;
}

/* Everything told so far was heard: events come in order. */
static void hear(size_t count)
{
	TURN_UNTIL(world.loop, world.heard_count >= count);
	cr_assert_eq(world.heard_count, count);
}

static void heard_is(size_t index, int64_t id, uint64_t version,
		     enum event_kind kind)
{
	cr_assert_eq(world.heard[index].id, id);
	cr_assert_eq(world.heard[index].version, version);
	cr_assert_eq(world.heard[index].kind, kind);
}

/* ---- tests ---- */

Test(resource, changes_are_told)
{
	const int64_t id = create("a.example", NULL);

	cr_assert_eq(change("provider.update", id, "{\"port\":5062}"), ERR_OK);
	cr_assert_eq(change("provider.destroy", id, NULL), ERR_OK);
	hear(3);
	heard_is(0, id, 1, EVENT_CREATED);
	heard_is(1, id, 2, EVENT_UPDATED);
	heard_is(2, id, 2, EVENT_DESTROYED);
}

Test(resource, what_changes_nothing_is_not_told)
{
	const int64_t id = create("a.example", "once");

	/* The same create again, an update of nothing, failures. */
	cr_assert_eq(create("a.example", "once"), id);
	cr_assert_eq(change("provider.update", id, "{}"), ERR_OK);
	cr_assert_eq(change("provider.update", id, "{\"port\":-1}"),
		     ERR_VALIDATE);
	cr_assert_eq(change("provider.update", id + 1, "{\"port\":1}"),
		     ERR_NOT_FOUND);
	cr_assert_eq(change("provider.destroy", id + 1, NULL), ERR_NOT_FOUND);

	const int64_t other = create("b.example", NULL);

	hear(2);
	heard_is(0, id, 1, EVENT_CREATED);
	heard_is(1, other, 1, EVENT_CREATED);
}

static const char many[] = "INSERT INTO provider.providers (name, enabled,"
			   " auth_mode, transport, hostname, port,"
			   " registration, register_interval,"
			   " outbound_server, outbound_server_port, inlan,"
			   " single_via_header, rewrite_via_ip,"
			   " verify_port, keep_alive, keep_alive_interval,"
			   " concurrency, adjust_sdp_direction,"
			   " remove_srtp_info,"
			   " stir_shaken_signature_required)"
			   " SELECT 'n' || n, true, 'IP_AUTH', 'UDP',"
			   " 'h', 5060, false, 600, '', 5060, false, false,"
			   " false, false, false, 60, 1, false, false,"
			   " false FROM generate_series(1, %d) n";

static void rows_make(void)
{
	char sql[1024];

	snprintf(sql, sizeof(sql), many, ROWS);
	servers_postgres_exec(&world.postgres, sql);
}

/* Reads a page behind after; returns what the next begins behind. */
static int64_t page(int64_t after, size_t *count)
{
	struct buffer args = {0};
	struct answer answer = {0};
	struct reader reader;
	int64_t last = after;

	writer_map(&args, after > 0);
	if (after > 0) {
		writer_text(&args, "after");
		writer_id(&args, after);
	}
	call_as(PRINCIPAL_SERVICE, "provider.versions", &args, &answer);
	cr_assert_eq(answer.code, ERR_OK);
	reader_init(&reader, buffer_slice(&answer.body));
	cr_assert_eq(reader_map(&reader), 2);
	cr_assert(slice_is(reader_str(&reader), "items"));
	for (uint32_t n = reader_array(&reader); n > 0; n--, (*count)++) {
		cr_assert_eq(reader_array(&reader), 2);
		const int64_t id = reader_id(&reader);

		cr_assert_gt(id, last);
		last = id;
		cr_assert_eq(reader_uint(&reader), 1);
	}
	cr_assert(slice_is(reader_str(&reader), "after"));
	const bool more = reader_peek(&reader) == READER_ID;

	if (more)
		cr_assert_eq(reader_id(&reader), last);
	buffer_fini(&args);
	buffer_fini(&answer.body);
	return more ? last : 0;
}

Test(resource, versions_come_page_by_page)
{
	size_t count = 0;
	size_t pages = 1;

	rows_make();
	for (int64_t after = page(0, &count); after > 0; pages++)
		after = page(after, &count);
	cr_assert_eq(count, ROWS);
	cr_assert_eq(pages, 3);
}

Test(resource, versions_with_other_arguments_are_refused)
{
	static const char *const rows[] = {"{\"after\":1}", "{\"top\":1}",
					   "{\"after\":null}"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer args = {0};
		struct answer answer = {0};

		add_json(&args, rows[i]);
		call_as(PRINCIPAL_SERVICE, "provider.versions", &args, &answer);
		cr_assert_eq(answer.code, ERR_MALFORMED, "%s", rows[i]);
		buffer_fini(&args);
	}
}

static bool shows(struct slice body, const char *secret)
{
	return body.size > 0 &&
	       memmem(body.data, body.size, secret, strlen(secret));
}

Test(resource, secrets_are_for_services_alone)
{
	static const struct {
		const char *method; /* NULL: fetch */
		enum principal_kind kind;
		enum err_code code;
		bool shown;
	} rows[] = {
		{NULL, PRINCIPAL_SERVICE, ERR_OK, true},
		{NULL, PRINCIPAL_SYSTEM, ERR_FORBIDDEN, false},
		{NULL, PRINCIPAL_USER, ERR_FORBIDDEN, false},
		{"provider.versions", PRINCIPAL_SYSTEM, ERR_FORBIDDEN, false},
		{"provider.get", PRINCIPAL_SERVICE, ERR_OK, false},
		{"provider.get", PRINCIPAL_SYSTEM, ERR_OK, false},
	};
	const int64_t id = create("a.example", NULL);
	struct answer answer = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].method)
			call_id(rows[i].kind, rows[i].method, id, NULL,
				&answer);
		else
			call_ids(rows[i].kind, &id, 1, &answer);
		cr_assert_eq(answer.code, rows[i].code, "%zu", i);
		cr_assert_eq(
			shows(buffer_slice(&answer.body), "s3cret-a.example"),
			rows[i].shown, "%zu", i);
	}
	buffer_fini(&answer.body);
}

/* What a fetch answered of an id. */
struct fetched {
	uint64_t version; /* 0: nothing */
	enum reader_kind kind;
	struct slice object;
};

static struct fetched fetched_find(const struct answer *answer, int64_t id)
{
	struct fetched fetched = {0};
	struct reader reader;

	cr_assert_eq(answer->code, ERR_OK, "%s", err_name(answer->code));
	reader_init(&reader, buffer_slice(&answer->body));
	cr_assert_eq(reader_map(&reader), 1);
	cr_assert(slice_is(reader_str(&reader), "items"));
	for (uint32_t n = reader_array(&reader); n > 0; n--) {
		cr_assert_eq(reader_array(&reader), 3);
		const bool found = reader_id(&reader) == id;
		const uint64_t version = reader_uint(&reader);
		const enum reader_kind kind = reader_peek(&reader);
		const struct slice object = reader_value(&reader);

		if (!found)
			continue;
		cr_assert_eq(fetched.version, 0, "told twice");
		fetched = (struct fetched){version, kind, object};
	}
	cr_assert(reader_done(&reader));
	return fetched;
}

Test(resource, fetch_answers_those_there_are)
{
	const int64_t first = create("a.example", NULL);
	const int64_t second = create("b.example", NULL);
	const int64_t gone = create("c.example", NULL);
	const int64_t ids[] = {second, gone, first, second, second + 1000};
	struct answer answer = {0};

	cr_assert_eq(change("provider.update", first, "{\"port\":1}"), ERR_OK);
	cr_assert_eq(change("provider.destroy", gone, NULL), ERR_OK);
	call_ids(PRINCIPAL_SERVICE, ids, sizeof(ids) / sizeof(ids[0]), &answer);

	const struct fetched one = fetched_find(&answer, first);
	const struct fetched two = fetched_find(&answer, second);

	cr_assert_eq(one.version, 2);
	cr_assert(shows(one.object, "s3cret-a.example"));
	cr_assert_eq(two.version, 1);
	cr_assert(shows(two.object, "s3cret-b.example"));
	cr_assert_eq(fetched_find(&answer, gone).version, 0);
	cr_assert_eq(fetched_find(&answer, second + 1000).version, 0);
	buffer_fini(&answer.body);
}

Test(resource, fetch_with_other_arguments_is_refused)
{
	static const char *const rows[] = {
		"{}",
		"{\"ids\":[]}",
		"{\"ids\":[1]}",
		"{\"ids\":null}",
		"{\"id\":1}",
		"{\"ids\":[null]}",
		"{\"ids\":[],\"x\":1}",
	};
	int64_t ids[RESOURCE_FETCH_MAX + 1];
	struct answer answer = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer args = {0};

		add_json(&args, rows[i]);
		call_as(PRINCIPAL_SERVICE, "provider.fetch", &args, &answer);
		cr_assert_eq(answer.code, ERR_MALFORMED, "%s", rows[i]);
		buffer_fini(&args);
	}
	for (int i = 0; i <= RESOURCE_FETCH_MAX; i++)
		ids[i] = i + 1;
	call_ids(PRINCIPAL_SERVICE, ids, RESOURCE_FETCH_MAX, &answer);
	cr_assert_eq(answer.code, ERR_OK);
	call_ids(PRINCIPAL_SERVICE, ids, RESOURCE_FETCH_MAX + 1, &answer);
	cr_assert_eq(answer.code, ERR_MALFORMED);
	ids[1] = -1;
	call_ids(PRINCIPAL_SERVICE, ids, 2, &answer);
	cr_assert_eq(answer.code, ERR_MALFORMED);
	buffer_fini(&answer.body);
}

/* With another key the password cannot be told, and no object without it is
 * told in its place; the others of the page are. */
Test(resource, secrets_of_another_key_are_not_told)
{
	const int64_t id = create("a.example", NULL);
	struct answer answer = {0};

	bus_server_free(world.server);
	resource_store_free(world.store);
	events_publisher_free(world.publisher);
	secrets_key_free(world.key);
	world.metrics.count = 0;
	key_load("another");
	serve();

	const int64_t other = create("b.example", NULL);

	call_ids(PRINCIPAL_SERVICE, (int64_t[]){id, other}, 2, &answer);
	cr_assert_eq(fetched_find(&answer, id).version, 1);
	cr_assert_eq(fetched_find(&answer, id).kind, READER_NIL);
	cr_assert(
		shows(fetched_find(&answer, other).object, "s3cret-b.example"));
	call_id(PRINCIPAL_SERVICE, "provider.get", id, NULL, &answer);
	cr_assert_eq(answer.code, ERR_OK);
	buffer_fini(&answer.body);
}

/* ---- followed ---- */

struct consumer {
	size_t count;
	uint64_t version; /* of the last upsert */
	bool secret;	  /* it had its password */
};

static void on_upsert(void *arg, int64_t id, uint64_t version,
		      struct slice object)
{
	struct consumer *consumer = arg;

	(void)id;
	consumer->count += version == 1;
	consumer->version = version;
	consumer->secret = memmem(object.data, object.size, "s3cret-", 7);
}

static void on_removed(void *arg, int64_t id)
{
	struct consumer *consumer = arg;

	(void)id;
	consumer->count--;
}

static uint64_t metrics_value(const struct metrics *metrics, const char *name)
{
	for (size_t i = 0; i < metrics->count; i++)
		if (strcmp(metrics->entries[i].name, name) == 0)
			return *metrics->entries[i].value;
	cr_assert_fail("no metric %s", name);
	return 0;
}

Test(resource, is_followed)
{
	struct consumer consumer = {0};
	struct metrics metrics = {0};
	struct follow *follow = NULL;
	const struct follow_options options = {
		.client = world.client,
		.addresses = world.address,
		.process = "test",
		.resource = "provider",
		.handlers = {.upsert = on_upsert,
			     .removed = on_removed,
			     .arg = &consumer},
		.metrics = &metrics,
	};
	struct err err = {0};

	rows_make();
	cr_assert_eq(follow_new(world.loop, &options, &follow, &err), ERR_OK);
	TURN_UNTIL(world.loop, follow_synced(follow));
	cr_assert_eq(consumer.count, ROWS);
	/* Full pages, and one that is not behind each page of versions. */
	cr_assert_leq(
		metrics_value(&metrics, "follow_provider_fetch_calls_total"),
		ROWS / RESOURCE_FETCH_MAX + 3);

	const int64_t id = create("a.example", NULL);

	TURN_UNTIL(world.loop, consumer.count == ROWS + 1);
	cr_assert(consumer.secret);
	cr_assert_eq(change("provider.update", id, "{\"port\":5062}"), ERR_OK);
	TURN_UNTIL(world.loop, consumer.version == 2);
	cr_assert(consumer.secret);
	cr_assert_eq(change("provider.destroy", id, NULL), ERR_OK);
	TURN_UNTIL(world.loop, consumer.count == ROWS);
	cr_assert_eq(follow_count(follow), ROWS);
	follow_free(follow);
}
