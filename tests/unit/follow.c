#include "services/common/follow.h"

#include "proto/writer.h"
#include "servers.h"
#include "services/common/bus_server.h"
#include "services/common/events.h"
#include "services/common/log.h"
#include "services/common/resource.h"
#include "turn.h"

#include <stdio.h>

enum {
	THINGS_MAX = 5001, /* ids from 1 */
	PAGE = 1000,
	HELD_MAX = 256,
	OFTEN_MS = 20,	   /* between lists, where a test waits for one */
	NEVER_MS = 600000, /* longer than a test lasts */
	LISTS = 3,    /* of a start: at once, when connected, when settled */
	MANY = 500,   /* objects changed at once */
	PRESSED = 16, /* fetches no back-off makes in a test's time */
};

/* What the service has of an object, and what the consumer was told. */
struct thing {
	uint64_t version; /* 0: there is none */
	uint64_t told;
	unsigned upserts;
	unsigned removals;
	bool refused; /* the service cannot tell it */
};

struct world {
	struct loop *loop;
	char dir[64];
	char address[96];
	struct metrics metrics; /* of the follow */
	struct metrics server_metrics;
	struct bus_server *server;
	struct events_publisher *publisher;
	struct bus_client *client;
	struct follow *follow;
	unsigned synced;
	struct thing things[THINGS_MAX];
	const char *bad_page; /* answered in place of a page */
	size_t bad_page_size;
	const char *bad_fetch; /* answered in place of objects */
	size_t bad_fetch_size;
	unsigned lists; /* first pages asked for */

	/* Calls of fetch are kept unanswered: as many as leave in the batches
	 * of BUS_WINDOW, of one call each where none was on its way before. */
	bool holding;
	struct bus_call *held[HELD_MAX];
	size_t held_count;
	size_t held_most;
};

static struct world world;

/* ---- the service ---- */

static int64_t argument(const struct bus_call *call, const char *name)
{
	struct reader reader;

	reader_init(&reader, bus_call_request(call)->args);
	if (reader_map(&reader) == 0)
		return 0;
	cr_assert(slice_is(reader_str(&reader), name));
	return reader_id(&reader);
}

static void on_versions(void *service, struct bus_call *call)
{
	struct buffer *out = bus_call_body(call);
	int64_t ids[PAGE];
	uint32_t count = 0;
	int64_t id = argument(call, "after") + 1;

	(void)service;
	world.lists += id == 1;
	if (world.bad_page) {
		buffer_append(out, world.bad_page, world.bad_page_size);
		bus_reply_ok(call, 0);
		return;
	}
	for (; id < THINGS_MAX && count < PAGE; id++)
		if (world.things[id].version > 0)
			ids[count++] = id;
	writer_map(out, 2);
	writer_text(out, "items");
	writer_array(out, count);
	for (uint32_t i = 0; i < count; i++) {
		writer_array(out, 2);
		writer_id(out, ids[i]);
		writer_uint(out, world.things[ids[i]].version);
	}
	writer_text(out, "after");
	if (count == PAGE)
		writer_id(out, ids[count - 1]);
	else
		writer_nil(out);
	bus_reply_ok(call, 0);
}

static void write_thing(struct buffer *out, int64_t id, uint64_t version)
{
	writer_array(out, 3);
	writer_id(out, id);
	writer_uint(out, version);
	if (world.things[id].refused) {
		writer_nil(out);
		return;
	}
	writer_map(out, 1);
	writer_text(out, "twice");
	writer_uint(out, 2 * version);
}

/* Answers a fetch with one thing as it was. */
static void answer_as(struct bus_call *call, int64_t id, uint64_t version)
{
	struct buffer *out = bus_call_body(call);

	writer_map(out, 1);
	writer_text(out, "items");
	writer_array(out, 1);
	write_thing(out, id, version);
	bus_reply_ok(call, 0);
}

static void answer(struct bus_call *call)
{
	struct buffer *out = bus_call_body(call);
	int64_t ids[RESOURCE_FETCH_MAX];
	const size_t count = resource_fetch_ids(call, ids);
	uint32_t there = 0;

	cr_assert_gt(count, 0);
	if (world.bad_fetch) {
		buffer_append(out, world.bad_fetch, world.bad_fetch_size);
		bus_reply_ok(call, 0);
		return;
	}
	for (size_t i = 0; i < count; i++)
		there += world.things[ids[i]].version > 0;
	writer_map(out, 1);
	writer_text(out, "items");
	writer_array(out, there);
	for (size_t i = 0; i < count; i++)
		if (world.things[ids[i]].version > 0)
			write_thing(out, ids[i], world.things[ids[i]].version);
	bus_reply_ok(call, 0);
}

static void on_fetch(void *service, struct bus_call *call)
{
	(void)service;
	cr_assert_eq(bus_call_request(call)->principal.kind, PRINCIPAL_SERVICE);
	if (!world.holding) {
		answer(call);
		return;
	}
	cr_assert_lt(world.held_count, HELD_MAX);
	world.held[world.held_count++] = call;
	if (world.held_count > world.held_most)
		world.held_most = world.held_count;
}

static void release(void)
{
	const size_t count = world.held_count;

	world.held_count = 0;
	for (size_t i = 0; i < count; i++)
		answer(world.held[i]);
}

static void serve(void)
{
	static const struct bus_method methods[] = {
		{"thing.versions", on_versions, PRINCIPAL_SERVICE, NULL},
		{"thing.fetch", on_fetch, PRINCIPAL_SERVICE, NULL},
	};
	const struct bus_server_options options = {
		.address = world.address,
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
		.metrics = &world.server_metrics,
	};
	struct err err = {0};

	world.server_metrics.count = 0;
	cr_assert_eq(events_publisher_new(world.loop, world.address, NULL,
					  &world.publisher, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(bus_server_new(world.loop, &options, &world.server, &err),
		     ERR_OK, "%s", err.text);
}

static void service_die(void)
{
	events_publisher_free(world.publisher);
	bus_server_free(world.server);
	world.publisher = NULL;
	world.server = NULL;
	world.held_count = 0;
}

static void tell(int64_t id, enum event_kind kind)
{
	events_publish(world.publisher,
		       &(struct event){.resource = SLICE("thing"),
				       .id = id,
				       .version = world.things[id].version,
				       .kind = kind});
}

/* A change, told where it is to be. */
static void set(int64_t id, uint64_t version, bool told)
{
	const uint64_t before = world.things[id].version;

	world.things[id].version = version;
	if (told)
		tell(id, before == 0	? EVENT_CREATED
			 : version == 0 ? EVENT_DESTROYED
					: EVENT_UPDATED);
}

/* ---- the consumer ---- */

static void on_upsert(void *arg, int64_t id, uint64_t version,
		      struct slice object)
{
	struct reader reader;

	(void)arg;
	reader_init(&reader, object);
	cr_assert_eq(reader_map(&reader), 1);
	cr_assert(slice_is(reader_str(&reader), "twice"));
	cr_assert_eq(reader_uint(&reader), 2 * version);
	cr_assert(reader_done(&reader));
	cr_assert_neq(world.things[id].told, version, "told twice of %d",
		      (int)id);
	world.things[id].told = version;
	world.things[id].upserts++;
}

static void on_removed(void *arg, int64_t id)
{
	(void)arg;
	cr_assert_gt(world.things[id].told, 0);
	world.things[id].told = 0;
	world.things[id].removals++;
}

static void on_synced(void *arg)
{
	(void)arg;
	world.synced++;
}

static void follow_begin(uint32_t reconcile_ms, size_t objects_max)
{
	const struct follow_options options = {
		.client = world.client,
		.addresses = world.address,
		.process = "test",
		.resource = "thing",
		.handlers = {.upsert = on_upsert,
			     .removed = on_removed,
			     .synced = on_synced},
		.metrics = &world.metrics,
		.reconcile_ms = reconcile_ms,
		.objects_max = objects_max,
	};
	struct err err = {0};

	cr_assert_eq(follow_new(world.loop, &options, &world.follow, &err),
		     ERR_OK, "%s", err.text);
}

/* The consumer knows what the service has. */
static bool same(void)
{
	for (size_t id = 1; id < THINGS_MAX; id++)
		if (world.things[id].told != world.things[id].version)
			return false;
	return true;
}

static uint64_t metric(const char *name)
{
	for (size_t i = 0; i < world.metrics.count; i++)
		if (strcmp(world.metrics.entries[i].name, name) == 0)
			return *world.metrics.entries[i].value;
	cr_assert_fail("no metric %s", name);
	return 0;
}

/* The lists that follow a connection are over, so that from here on only an
 * event makes a change known. */
static void settle(void)
{
	TURN_UNTIL(world.loop, metric("follow_thing_lists_total") == LISTS);
}

static void setup(void)
{
	struct err err = {0};

	log_init("test", LOG_ERROR);
	world.loop = loop_new();
	servers_dir_make(world.dir);
	snprintf(world.address, sizeof(world.address), "ipc://%s/thing.sock",
		 world.dir);
	cr_assert_eq(bus_client_new(world.loop, "thing", world.address, NULL,
				    &world.client, &err),
		     ERR_OK, "%s", err.text);
}

static void teardown(void)
{
	follow_free(world.follow);
	bus_client_free(world.client);
	service_die();
	loop_free(world.loop);
	servers_dir_remove(world.dir);
}

TestSuite(follow, .init = setup, .fini = teardown);

Test(follow, first_sync)
{
	for (int64_t id = 1; id <= 3; id++)
		set(id, (uint64_t)id, false);
	serve();
	follow_begin(NEVER_MS, 0);
	cr_assert_not(follow_synced(world.follow));
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert(same());
	cr_assert_eq(world.synced, 1);
	cr_assert_eq(follow_count(world.follow), 3);
	cr_assert_eq(metric("follow_thing_objects"), 3);
}

Test(follow, nothing_is_in_sync_too)
{
	serve();
	follow_begin(NEVER_MS, 0);
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert_eq(follow_count(world.follow), 0);
}

Test(follow, events_make_changes_known)
{
	set(1, 1, false);
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	const unsigned lists = world.lists;

	set(2, 1, true);
	TURN_UNTIL(world.loop, same());
	set(1, 2, true);
	TURN_UNTIL(world.loop, same());
	set(2, 0, true);
	TURN_UNTIL(world.loop, same());
	cr_assert_eq(world.things[2].removals, 1);
	cr_assert_eq(world.lists, lists);
	cr_assert_eq(follow_count(world.follow), 1);
}

Test(follow, events_of_the_past_and_of_others_ask_for_nothing)
{
	set(1, 5, false);
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	const uint64_t fetches = metric("follow_thing_fetches_total");

	tell(1, EVENT_UPDATED);
	tell(2, EVENT_DESTROYED);
	events_publish(world.publisher,
		       &(struct event){.resource = SLICE("thin"),
				       .id = 3,
				       .version = 1,
				       .kind = EVENT_CREATED});
	set(4, 1, true);
	TURN_UNTIL(world.loop, same());
	cr_assert_eq(metric("follow_thing_fetches_total"), fetches + 1);
	cr_assert_eq(world.things[1].upserts, 1);
}

Test(follow, lost_events_are_healed_by_the_next_list)
{
	set(1, 1, false);
	set(2, 1, false);
	serve();
	follow_begin(OFTEN_MS, 0);
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	set(1, 2, false);
	set(2, 0, false);
	set(3, 1, false);
	TURN_UNTIL(world.loop, same());
	/* Restored from a backup: an older version is another one too. */
	set(1, 1, false);
	TURN_UNTIL(world.loop, same());
}

Test(follow, publisher_started_anew)
{
	struct err err = {0};

	set(1, 1, false);
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	events_publisher_free(world.publisher);
	set(1, 2, false);
	set(2, 1, false);
	cr_assert_eq(events_publisher_new(world.loop, world.address, NULL,
					  &world.publisher, &err),
		     ERR_OK, "%s", err.text);
	TURN_UNTIL(world.loop, same());
}

Test(follow, service_that_is_away_leaves_the_last_state)
{
	set(1, 1, false);
	set(2, 1, false);
	serve();
	follow_begin(OFTEN_MS, 0);
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	service_die();
	TURN_UNTIL(world.loop, !bus_client_connected(world.client));
	set(1, 2, false);
	set(2, 0, false);
	cr_assert_eq(follow_count(world.follow), 2);
	cr_assert(follow_synced(world.follow));
	serve();
	TURN_UNTIL(world.loop, same());
}

Test(follow, service_that_comes_later)
{
	set(1, 1, false);
	follow_begin(NEVER_MS, 0);
	loop_turn(world.loop, 10);
	cr_assert_not(follow_synced(world.follow));
	serve();
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert(same());
}

Test(follow, service_lost_while_it_has_the_fetches)
{
	for (int64_t id = 1; id <= 200; id++)
		set(id, 1, false);
	serve();
	world.holding = true;
	follow_begin(NEVER_MS, 0);
	TURN_UNTIL(world.loop, world.held_count == BUS_WINDOW);
	service_die();
	TURN_UNTIL(world.loop, metric("follow_thing_failures_total") > 0);
	cr_assert_not(follow_synced(world.follow));
	world.holding = false;
	serve();
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert(same());
}

Test(follow, first_sync_of_thousands_is_bounded_in_flight)
{
	for (int64_t id = 1; id < THINGS_MAX; id++)
		set(id, 1, false);
	serve();
	world.holding = true;
	follow_begin(NEVER_MS, 0);
	const uint64_t end_ms = loop_now_ms(world.loop) + TURN_DEADLINE_MS;

	while (!follow_synced(world.follow)) {
		cr_assert_lt(loop_now_ms(world.loop), end_ms);
		loop_turn(world.loop, 1);
		release();
	}
	cr_assert(same());
	cr_assert_leq(world.held_most, FOLLOW_WINDOW);
	/* Full pages, and perhaps one that is not behind each of the list. */
	cr_assert_leq(metric("follow_thing_fetch_calls_total"),
		      THINGS_MAX / RESOURCE_FETCH_MAX + THINGS_MAX / PAGE + 1);
	cr_assert_eq(follow_count(world.follow), THINGS_MAX - 1);
	for (int64_t id = 1; id < THINGS_MAX; id++)
		cr_assert_eq(world.things[id].upserts, 1);
}

Test(follow, hundreds_made_in_one_go_are_fetched_in_few_calls)
{
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	for (int64_t id = 1; id <= MANY; id++)
		set(id, 1, true);
	TURN_UNTIL(world.loop, same());
	cr_assert_eq(metric("follow_thing_fetches_total"), MANY);
	cr_assert_leq(metric("follow_thing_fetch_calls_total"),
		      MANY / RESOURCE_FETCH_MAX + 1 + FOLLOW_WINDOW);
	for (int64_t id = 1; id <= MANY; id++)
		set(id, 0, true);
	TURN_UNTIL(world.loop, same());
	cr_assert_leq(metric("follow_thing_fetch_calls_total"),
		      2 * (MANY / RESOURCE_FETCH_MAX + 1 + FOLLOW_WINDOW));
	cr_assert_eq(follow_count(world.follow), 0);
}

Test(follow, service_that_refuses_is_not_pressed)
{
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	bus_server_stop(world.server);
	set(1, 1, true);
	for (int i = 0; i < 500; i++)
		loop_turn(world.loop, 1);
	TURN_UNTIL(world.loop, metric("follow_thing_failures_total") > 1);
	cr_assert_leq(metric("follow_thing_fetches_total"), PRESSED);
	service_die();
	serve();
	TURN_UNTIL(world.loop, same());
}

/* The answer under way is of before the event. */
Test(follow, change_during_a_fetch_is_fetched_again)
{
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	world.holding = true;
	set(1, 1, true);
	TURN_UNTIL(world.loop, world.held_count == 1);
	set(1, 2, true);
	const uint64_t events = metric("follow_thing_events_total");

	TURN_UNTIL(world.loop, metric("follow_thing_events_total") > events);
	world.held_count = 0;
	answer_as(world.held[0], 1, 1);
	TURN_UNTIL(world.loop, world.held_count == 1);
	cr_assert_eq(world.things[1].told, 1);
	release();
	TURN_UNTIL(world.loop, same());
	cr_assert_eq(world.things[1].upserts, 2);
}

Test(follow, end_during_a_fetch)
{
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	world.holding = true;
	set(1, 1, true);
	TURN_UNTIL(world.loop, world.held_count == 1);
	set(1, 0, true);
	const uint64_t events = metric("follow_thing_events_total");

	TURN_UNTIL(world.loop, metric("follow_thing_events_total") > events);
	world.held_count = 0;
	answer_as(world.held[0], 1, 1);
	TURN_UNTIL(world.loop, world.held_count == 1);
	release();
	TURN_UNTIL(world.loop, world.things[1].removals == 1);
	cr_assert_eq(follow_count(world.follow), 0);
}

Test(follow, object_the_service_fails_on_holds_up_no_other)
{
	set(1, 1, false);
	set(2, 1, false);
	world.things[1].refused = true;
	serve();
	follow_begin(OFTEN_MS, 0);
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert_eq(world.things[2].told, 1);
	cr_assert_eq(world.things[1].told, 0);
	world.things[1].refused = false;
	TURN_UNTIL(world.loop, same());
}

Test(follow, pages_that_are_none)
{
	static const struct {
		const char *name;
		struct slice body;
	} rows[] = {
		{"nil", SLICE("\xc0")},
		{"items no array", SLICE("\x81\xa5items\x01")},
		{"item of three", SLICE("\x81\xa5items\x91\x93\x01\x01\x01")},
		{"item without id", SLICE("\x81\xa5items\x91\x92\x01\x01")},
		{"version 0",
		 SLICE("\x81\xa5items\x91\x92\xd7\x01\0\0\0\0\0\0\0\x01\0")},
		{"after that goes back",
		 SLICE("\x82\xa5items\x90\xa5"
		       "after\xd7\x01\xff\xff\xff\xff\xff\xff\xff\xff")},
	};

	set(1, 1, false);
	serve();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world.bad_page = rows[i].body.data;
		world.bad_page_size = rows[i].body.size;
		world.metrics.count = 0;
		follow_free(world.follow);
		follow_begin(NEVER_MS, 0);
		TURN_UNTIL(world.loop,
			   metric("follow_thing_failures_total") > 0);
		cr_assert_not(follow_synced(world.follow), "%s", rows[i].name);
	}
	world.bad_page = NULL;
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert(same());
}

/* An object that is there stays known, and another is not made known, by an
 * answer that cannot be trusted. */
Test(follow, fetches_that_are_none)
{
	static const struct {
		const char *name;
		struct slice body;
	} rows[] = {
		{"nil", SLICE("\xc0")},
		{"nothing", SLICE("\x80")},
		{"items no array", SLICE("\x81\xa5items\x01")},
		{"items twice", SLICE("\x82\xa5items\x90\xa5"
				      "items\x90")},
		{"item of two",
		 SLICE("\x81\xa5items\x91\x92\xd7\x01\0\0\0\0\0\0\0\x01\x02")},
		{"id 0", SLICE("\x81\xa5items\x91\x93\xd7\x01\0\0\0\0\0\0\0\0"
			       "\x02\x80")},
		{"version 0", SLICE("\x81\xa5items\x91\x93\xd7\x01\0\0\0\0\0\0"
				    "\0\x01\0\x80")},
		{"object an integer", SLICE("\x81\xa5items\x91\x93\xd7\x01\0\0"
					    "\0\0\0\0\0\x01\x02\x05")},
		{"more than were asked for",
		 SLICE("\x81\xa5items\x92"
		       "\x93\xd7\x01\0\0\0\0\0\0\0\x01\x02\xc0"
		       "\x93\xd7\x01\0\0\0\0\0\0\0\x02\x02\xc0")},
	};

	set(1, 1, false);
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint64_t failures = metric("follow_thing_failures_total");

		world.bad_fetch = rows[i].body.data;
		world.bad_fetch_size = rows[i].body.size;
		set(1, world.things[1].version + 1, true);
		TURN_UNTIL(world.loop, metric("follow_thing_failures_total") ==
					       failures + 1);
		cr_assert_eq(world.things[1].told, 1, "%s", rows[i].name);
		cr_assert_eq(follow_count(world.follow), 1, "%s", rows[i].name);
	}
	world.bad_fetch = NULL;
	set(1, world.things[1].version + 1, true);
	TURN_UNTIL(world.loop, same());
}

Test(follow, object_not_asked_for_is_not_told)
{
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	world.holding = true;
	set(1, 1, true);
	TURN_UNTIL(world.loop, world.held_count == 1);
	world.held_count = 0;
	answer_as(world.held[0], 2, 1);
	set(3, 1, true);
	TURN_UNTIL(world.loop, world.held_count == 1);
	cr_assert_eq(world.things[2].upserts, 0);
	cr_assert_eq(follow_count(world.follow), 0);
}

Test(follow, more_objects_than_agreed_are_left_out)
{
	for (int64_t id = 1; id <= 20; id++)
		set(id, 1, false);
	serve();
	follow_begin(OFTEN_MS, 10);
	TURN_UNTIL(world.loop, follow_synced(world.follow));
	cr_assert_eq(follow_count(world.follow), 10);
	/* Room is made. */
	for (int64_t id = 1; id <= 10; id++)
		set(id, 0, true);
	TURN_UNTIL(world.loop, same());
	cr_assert_eq(follow_count(world.follow), 10);
}

/* What those who asked were told. */
struct told {
	unsigned count;
	int64_t id;
	enum err_code code;
	uint64_t version; /* that the consumer knew then */
};

static void on_asked(void *arg, int64_t id, enum err_code code)
{
	struct told *told = arg;

	told->count++;
	told->id = id;
	told->code = code;
	told->version = world.things[id].told;
}

Test(follow, who_asks_need_not_wait_for_the_event)
{
	struct told told[2] = {0};

	set(2, 1, false);
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	set(1, 7, false);
	cr_assert(follow_ask(world.follow, 1, on_asked, &told[0]));
	cr_assert(follow_ask(world.follow, 1, on_asked, &told[1]));
	cr_assert_eq(told[0].count, 0);
	TURN_UNTIL(world.loop, told[0].count > 0 && told[1].count > 0);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(told[i].count, 1);
		cr_assert_eq(told[i].id, 1);
		cr_assert_eq(told[i].code, ERR_OK);
		cr_assert_eq(told[i].version, 7);
	}
	cr_assert_eq(metric("follow_thing_fetches_total"), 2);
}

Test(follow, who_asks_for_nothing_costs_one_fetch)
{
	struct told told = {0};

	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	cr_assert(follow_ask(world.follow, 1, on_asked, &told));
	TURN_UNTIL(world.loop, told.count == 1);
	cr_assert_eq(told.code, ERR_OK);
	cr_assert_eq(told.version, 0);
	cr_assert_eq(metric("follow_thing_fetches_total"), 1);
	cr_assert_eq(follow_count(world.follow), 0);
	cr_assert_eq(world.things[1].removals, 0);
}

/* Those behind the page that fails, too: they would wait for as long as the
 * service is away. */
Test(follow, who_asks_a_service_that_is_away_is_told)
{
	struct told told[2 * RESOURCE_FETCH_MAX] = {0};
	size_t answered = 0;

	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	world.holding = true;
	for (int64_t id = 0; id < 2 * RESOURCE_FETCH_MAX; id++)
		cr_assert(
			follow_ask(world.follow, id + 1, on_asked, &told[id]));
	TURN_UNTIL(world.loop, world.held_count > 0);
	service_die();
	while (answered < 2 * RESOURCE_FETCH_MAX) {
		TURN_UNTIL(world.loop, told[answered].count == 1);
		cr_assert_eq(told[answered++].code, ERR_UNAVAILABLE);
	}
	cr_assert_not(follow_ask(world.follow, 1, on_asked, &told[0]));
	world.holding = false;
	serve();
	TURN_UNTIL(world.loop, follow_ask(world.follow, 1, on_asked, &told[0]));
	TURN_UNTIL(world.loop, told[0].count == 2);
	cr_assert_eq(told[0].code, ERR_OK);
}

Test(follow, who_asks_for_what_the_service_fails_on_is_told)
{
	struct told told = {0};

	set(1, 1, false);
	world.things[1].refused = true;
	serve();
	follow_begin(NEVER_MS, 0);
	settle();
	cr_assert(follow_ask(world.follow, 1, on_asked, &told));
	TURN_UNTIL(world.loop, told.count == 1);
	cr_assert_eq(told.code, ERR_UNAVAILABLE);
}

Test(follow, no_more_wait_than_agreed)
{
	struct told told = {0};

	serve();
	world.holding = true;
	follow_begin(NEVER_MS, 0);
	for (int i = 0; i < WAITING_MAX; i++)
		cr_assert(follow_ask(world.follow, 1, on_asked, &told));
	cr_assert_not(follow_ask(world.follow, 1, on_asked, &told));
	cr_assert_not(follow_ask(world.follow, 2, on_asked, &told));
	TURN_UNTIL(world.loop, world.held_count == 1);
	release();
	TURN_UNTIL(world.loop, told.count == WAITING_MAX);
	/* Freed, it tells nobody. */
	cr_assert(follow_ask(world.follow, 1, on_asked, &told));
	follow_free(world.follow);
	world.follow = NULL;
	cr_assert_eq(told.count, WAITING_MAX);
}

Test(follow, freed_with_calls_under_way)
{
	for (int64_t id = 1; id <= 100; id++)
		set(id, 1, false);
	serve();
	world.holding = true;
	follow_begin(NEVER_MS, 0);
	TURN_UNTIL(world.loop, world.held_count == BUS_WINDOW);
	follow_free(world.follow);
	world.follow = NULL;
	release();
	loop_turn(world.loop, 10);
	cr_assert_eq(world.things[1].upserts, 0);
}

Test(follow, malformed_address_is_refused)
{
	struct err err = {0};

	cr_assert_eq(follow_new(world.loop,
				&(struct follow_options){.client = world.client,
							 .addresses = "nowhere",
							 .process = "test",
							 .resource = "thing"},
				&world.follow, &err),
		     ERR_VALIDATE);
	cr_assert_null(world.follow);
}
