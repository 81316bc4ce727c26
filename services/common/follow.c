#include "services/common/follow.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "proto/writer.h"
#include "services/common/events.h"
#include "services/common/id_table.h"
#include "services/common/log.h"
#include "services/common/resource.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	FETCH_DEADLINE_MS = 5000, /* indexed reads */
	LIST_DEADLINE_MS = 30000, /* a page of ids, on the slow lane */
};

/* A version no object has: the hint that it may be gone. */
static const uint64_t version_gone = UINT64_MAX;

/*
 *   RESTING -> QUEUED -> FETCHING -> RESTING
 *                 ^         |    \
 *                 '---------'     '-> gone
 *              lost, or changed
 *                 meanwhile
 */
enum object_phase { OBJECT_RESTING, OBJECT_QUEUED, OBJECT_FETCHING };

struct object {
	struct id_node node;	   /* first: see id_table.h */
	TAILQ_ENTRY(object) queue; /* QUEUED */
	enum object_phase phase;
	struct asking *page; /* FETCHING: the call that asks for it */
	bool owed;	     /* named by the first list, not concluded */
	uint32_t proven;  /* the list in or after which it was seen to exist */
	uint64_t version; /* told of; 0: nothing was yet */
	uint64_t wanted;  /* FETCHING: heard of since it began */
};

/* A call under way. It outlives a follow that is freed meanwhile. */
struct asking {
	LIST_ENTRY(asking) link;
	struct follow *follow; /* NULL: freed */
	size_t count;	       /* of objects; 0: a list */
	struct object *objects[RESOURCE_FETCH_MAX];
};

struct follow {
	struct bus_client *client;
	struct events_subscriber *events;
	struct follow_handlers handlers;
	struct slice resource;
	struct slice process;
	struct slice fetch;
	struct slice versions;
	uint32_t reconcile_ms;
	size_t objects_max;
	struct arena names;

	struct id_table objects;
	TAILQ_HEAD(, object) queue;
	size_t queued;
	LIST_HEAD(, asking) asking;
	size_t pages;		/* fetched now */
	struct waiting waiting; /* follow_ask() */
	struct loop_timer *gather;
	bool gathering; /* gather runs */
	size_t owed;
	bool synced;

	/* The list. */
	struct loop_timer *due; /* the next one, while none is under way */
	bool listing;
	bool list_again; /* something came up during it */
	bool settling;	 /* a replica was connected since the last */
	uint32_t list;	 /* counts them, from 1 */
	int64_t after;	 /* the id its last page ended with */

	/* Set: nothing is fetched until retry. */
	bool paused;
	struct loop_timer *retry;
	uint32_t retry_ms;

	uint64_t known; /* objects told of */
	uint64_t lists;
	uint64_t fetches;
	uint64_t calls; /* that the fetches were asked in */
	uint64_t failures;
	uint64_t beyond; /* objects over objects_max */
};

static void pump(struct follow *follow);
static void list_start(struct follow *follow);

static uint32_t retry_next_ms(struct follow *follow)
{
	const uint32_t delay_ms = follow->retry_ms;

	follow->retry_ms = delay_ms * 2 > FOLLOW_RETRY_MAX_MS
				   ? FOLLOW_RETRY_MAX_MS
				   : delay_ms * 2;
	return delay_ms;
}

static void retry_reset(struct follow *follow)
{
	follow->retry_ms = FOLLOW_RETRY_MIN_MS;
}

/* ---- calls ---- */

static struct asking *asking_new(struct follow *follow)
{
	struct asking *asking = mem_alloc(sizeof(*asking));

	asking->follow = follow;
	LIST_INSERT_HEAD(&follow->asking, asking, link);
	return asking;
}

static void ask(struct asking *asking, enum bus_lane lane, struct slice method,
		uint32_t deadline_ms, struct slice args, bus_done_fn *done)
{
	const struct follow *follow = asking->follow;
	const struct request request = {
		.request_id = SLICE("follow"),
		.method = method,
		.deadline_ms = deadline_ms,
		.principal = {.kind = PRINCIPAL_SERVICE,
			      .name = follow->process},
		.args = args,
	};

	bus_client_call(follow->client, lane, &request, done, asking);
}

/* The call is over; NULL: nobody waits for it any more. The caller frees it. */
static struct follow *answered(struct asking *asking)
{
	if (asking->follow)
		LIST_REMOVE(asking, link);
	return asking->follow;
}

/* The service, or the way to it, is in trouble: any other call would fare no
 * better. */
static bool is_passing(enum err_code code)
{
	return code == ERR_UNAVAILABLE || code == ERR_LOST ||
	       code == ERR_DEADLINE || code == ERR_RATE_LIMITED;
}

static void log_failure(const struct follow *follow, const char *method,
			int64_t id, const struct err *err)
{
	log_event(LOG_WARN, "follow.failed",
		  LOG_SLICE("resource", follow->resource),
		  LOG_STR("call", method), LOG_INT("id", id),
		  LOG_STR("code", err_name(err->code)),
		  LOG_STR("text", err->text));
}

/* ---- objects ---- */

static void sync_check(struct follow *follow)
{
	if (follow->synced || follow->owed > 0 || follow->lists == 0)
		return;
	follow->synced = true;
	log_event(LOG_INFO, "follow.synced",
		  LOG_SLICE("resource", follow->resource),
		  LOG_INT("objects", follow->known));
	if (follow->handlers.synced)
		follow->handlers.synced(follow->handlers.arg);
}

/* What the first list says of it was heard. */
static void object_conclude(struct follow *follow, struct object *object)
{
	follow->owed -= object->owed;
	object->owed = false;
}

static void object_owe(struct follow *follow, struct object *object)
{
	follow->owed += !object->owed;
	object->owed = true;
}

static struct object *object_find(const struct follow *follow, int64_t id)
{
	return (struct object *)id_table_find(&follow->objects, id);
}

/* NULL: there are too many. */
static struct object *object_new(struct follow *follow, int64_t id)
{
	if (follow->objects.count >= follow->objects_max) {
		if (follow->beyond++ == 0)
			log_event(LOG_ERROR, "follow.too_many",
				  LOG_SLICE("resource", follow->resource),
				  LOG_INT("max", follow->objects_max));
		return NULL;
	}
	struct object *object = mem_alloc(sizeof(*object));

	object->node.id = id;
	id_table_add(&follow->objects, &object->node);
	return object;
}

static void object_queue(struct follow *follow, struct object *object)
{
	assert(object->phase == OBJECT_RESTING);
	object->phase = OBJECT_QUEUED;
	TAILQ_INSERT_TAIL(&follow->queue, object, queue);
	follow->queued++;
}

/* It has, or may have, another version than was told of. */
static void object_want(struct follow *follow, struct object *object,
			uint64_t version)
{
	if (object->phase == OBJECT_RESTING)
		object_queue(follow, object);
	else if (object->phase == OBJECT_FETCHING && version > object->wanted)
		object->wanted = version;
}

/* There is no such object. */
static void object_end(struct follow *follow, struct object *object)
{
	const int64_t id = object->node.id;
	const bool told = object->version > 0;

	object_conclude(follow, object);
	id_table_remove(&follow->objects, &object->node);
	free(object);
	if (told) {
		follow->known--;
		follow->handlers.removed(follow->handlers.arg, id);
	}
	waiting_tell(&follow->waiting, id, ERR_OK);
}

/* ---- fetch ---- */

/* What a fetch answered of one object. */
struct item {
	int64_t id;
	uint64_t version;
	bool told; /* else the service could not tell it */
	struct slice object;
};

struct items {
	size_t count;
	struct item items[RESOURCE_FETCH_MAX];
};

/* [id, version, object or nil] */
static struct item item_read(struct reader *reader)
{
	struct item item;
	const uint32_t members = reader_array(reader);

	item.id = reader_id(reader);
	item.version = reader_uint(reader);
	const enum reader_kind kind = reader_peek(reader);

	item.told = kind == READER_MAP;
	item.object = reader_value(reader);
	if (members != 3 || item.id <= 0 || item.version == 0 ||
	    (kind != READER_MAP && kind != READER_NIL))
		reader_fail(reader);
	return item;
}

/* {items}, as many as were asked for at most. False: it is none, and tells
 * nothing: least of all that an object is gone. */
static bool fetched_read(struct slice body, size_t asked, struct items *items)
{
	struct reader reader;
	bool given = false;

	reader_init(&reader, body);
	items->count = 0;
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		if (!slice_is(reader_str(&reader), "items")) {
			reader_value(&reader);
			continue;
		}
		const uint32_t count = reader_array(&reader);

		if (given || count > asked)
			return false;
		given = true;
		while (items->count < count)
			items->items[items->count++] = item_read(&reader);
	}
	return given && reader_done(&reader);
}

static void object_take(struct follow *follow, struct object *object,
			const struct item *item)
{
	if (item->version == object->version)
		return;
	follow->known += object->version == 0;
	object->version = item->version;
	follow->handlers.upsert(follow->handlers.arg, item->id, item->version,
				item->object);
}

static void item_take(struct follow *follow, const struct asking *page,
		      const struct item *item)
{
	struct object *object = object_find(follow, item->id);
	struct err err;

	/* Not asked for, or told twice. */
	if (!object || object->page != page)
		return;
	object->page = NULL;
	object->phase = OBJECT_RESTING;
	if (item->told) {
		object_take(follow, object, item);
	} else {
		/* The next list reminds. */
		follow->failures++;
		err_set(&err, ERR_INTERNAL, "the service cannot tell it");
		log_failure(follow, "fetch", item->id, &err);
	}
	object_conclude(follow, object);
	/* Changed since: once more, but not until the hint comes true, lest a
	 * false one keep us asking. */
	if (object->wanted > object->version)
		object_queue(follow, object);
	waiting_tell(&follow->waiting, item->id,
		     item->told ? ERR_OK : ERR_UNAVAILABLE);
}

/* A passing failure is made good when the service is back; of another the next
 * list reminds. */
static void page_failed(struct follow *follow, const struct asking *page,
			const struct err *err)
{
	const bool passing = is_passing(err->code);

	follow->failures++;
	for (size_t i = 0; i < page->count; i++) {
		struct object *object = page->objects[i];

		object->page = NULL;
		object->phase = OBJECT_RESTING;
		if (passing)
			object_queue(follow, object);
		else
			object_conclude(follow, object);
	}
	/* Nor are those who wait for others told anything soon. */
	waiting_tell_all(&follow->waiting, ERR_UNAVAILABLE);
	/* The others that were on their way fail for the same reason. */
	if (passing && follow->paused)
		return;
	log_failure(follow, "fetch", page->objects[0]->node.id, err);
	if (!passing)
		return;
	follow->paused = true;
	loop_timer_start(follow->retry, retry_next_ms(follow), 0);
}

static void page_answered(struct follow *follow, const struct asking *page,
			  const struct reply *reply, const struct err *err)
{
	struct err malformed;
	struct items items;

	if (reply)
		retry_reset(follow);
	if (reply && !fetched_read(reply->body, page->count, &items)) {
		err_set(&malformed, ERR_MALFORMED, "the answer has no objects");
		err = &malformed;
	}
	if (err) {
		page_failed(follow, page, err);
		return;
	}
	for (size_t i = 0; i < items.count; i++)
		item_take(follow, page, &items.items[i]);
	for (size_t i = 0; i < page->count; i++)
		if (page->objects[i]->page == page)
			object_end(follow, page->objects[i]);
}

static void on_fetched(void *arg, const struct reply *reply,
		       const struct err *err)
{
	struct asking *page = arg;
	struct follow *follow = answered(page);

	if (follow) {
		follow->pages--;
		page_answered(follow, page, reply, err);
		pump(follow);
		sync_check(follow);
	}
	free(page);
}

/* Takes the next object off the queue, into the page. */
static void page_add(struct follow *follow, struct asking *page)
{
	struct object *object = TAILQ_FIRST(&follow->queue);

	TAILQ_REMOVE(&follow->queue, object, queue);
	follow->queued--;
	object->phase = OBJECT_FETCHING;
	object->page = page;
	object->wanted = 0;
	object->proven = follow->list;
	page->objects[page->count++] = object;
}

static void fetch(struct follow *follow)
{
	struct asking *page = asking_new(follow);
	struct buffer args = {0};

	while (follow->queued > 0 && page->count < RESOURCE_FETCH_MAX)
		page_add(follow, page);
	follow->pages++;
	follow->calls++;
	follow->fetches += page->count;
	writer_map(&args, 1);
	writer_text(&args, "ids");
	writer_array(&args, (uint32_t)page->count);
	for (size_t i = 0; i < page->count; i++)
		writer_id(&args, page->objects[i]->node.id);
	ask(page, BUS_READ, follow->fetch, FETCH_DEADLINE_MS,
	    buffer_slice(&args), on_fetched);
	buffer_fini(&args);
}

static bool may_fetch(const struct follow *follow)
{
	return !follow->paused && follow->pages < FOLLOW_WINDOW &&
	       follow->queued > 0;
}

/* Full pages leave at once, the others when they have gathered. */
static void pump(struct follow *follow)
{
	while (may_fetch(follow) && follow->queued >= RESOURCE_FETCH_MAX)
		fetch(follow);
	if (!may_fetch(follow) || follow->gathering)
		return;
	follow->gathering = true;
	loop_timer_start(follow->gather, FOLLOW_GATHER_MS, 0);
}

static void on_gathered(void *arg)
{
	struct follow *follow = arg;

	follow->gathering = false;
	if (may_fetch(follow))
		fetch(follow);
	pump(follow);
}

static void on_retry(void *arg)
{
	struct follow *follow = arg;

	follow->paused = false;
	pump(follow);
}

/* ---- list ---- */

static void list_end(struct follow *follow, uint32_t next_ms)
{
	follow->listing = false;
	if (follow->list_again)
		list_start(follow);
	else
		loop_timer_start(follow->due, next_ms, 0);
}

static void list_failed(struct follow *follow, const struct err *err)
{
	follow->failures++;
	log_failure(follow, "list", 0, err);
	list_end(follow, retry_next_ms(follow));
}

/* What this list has not named, and no fetch begun since it started has shown,
 * may be gone: a fetch tells. */
static void list_suspect(struct follow *follow)
{
	ID_TABLE_FOREACH(node, &follow->objects) {
		struct object *object = (struct object *)node;

		if (object->proven != follow->list)
			object_want(follow, object, version_gone);
	}
}

static void list_done(struct follow *follow)
{
	/* Settled is what comes after the last connection was made. */
	const bool settle = follow->settling && !follow->list_again;

	follow->lists++;
	if (settle)
		follow->settling = false;
	list_suspect(follow);
	list_end(follow, settle ? FOLLOW_SETTLE_MS : follow->reconcile_ms);
	pump(follow);
	sync_check(follow);
}

static void list_item(struct follow *follow, int64_t id, uint64_t version)
{
	struct object *object = object_find(follow, id);

	if (!object)
		object = object_new(follow, id);
	if (!object)
		return;
	object->proven = follow->list;
	if (object->version == version)
		return;
	if (!follow->synced)
		object_owe(follow, object);
	object_want(follow, object, version);
}

/* One [id, version] per object. */
static void items_read(struct follow *follow, struct reader *reader)
{
	for (uint32_t n = reader_array(reader); n > 0; n--) {
		const uint32_t members = reader_array(reader);
		const int64_t id = reader_id(reader);
		const uint64_t version = reader_uint(reader);

		if (members != 2 || id <= 0 || version == 0)
			reader_fail(reader);
		if (!reader_ok(reader))
			return;
		list_item(follow, id, version);
	}
}

/* {items, after}. Sets after, 0 on the last page. False: it is none. */
static bool page_read(struct follow *follow, struct slice body, int64_t *after)
{
	struct reader reader;

	*after = 0;
	reader_init(&reader, body);
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		const struct slice key = reader_str(&reader);

		if (slice_is(key, "items"))
			items_read(follow, &reader);
		else if (slice_is(key, "after") &&
			 reader_peek(&reader) == READER_ID)
			*after = reader_id(&reader);
		else
			reader_value(&reader);
	}
	/* A page that does not go on would be asked for for ever. */
	return reader_done(&reader) && (*after == 0 || *after > follow->after);
}

static void page_ask(struct follow *follow);

static void on_page(void *arg, const struct reply *reply, const struct err *err)
{
	struct follow *follow = answered(arg);
	struct err malformed;
	int64_t after;

	free(arg);
	if (!follow)
		return;
	if (!reply) {
		list_failed(follow, err);
		return;
	}
	if (!page_read(follow, reply->body, &after)) {
		err_set(&malformed, ERR_MALFORMED, "the answer is no page");
		list_failed(follow, &malformed);
		return;
	}
	retry_reset(follow);
	pump(follow);
	if (after == 0) {
		list_done(follow);
		return;
	}
	follow->after = after;
	page_ask(follow);
}

static void page_ask(struct follow *follow)
{
	struct buffer args = {0};

	writer_map(&args, follow->after > 0);
	if (follow->after > 0) {
		writer_text(&args, "after");
		writer_id(&args, follow->after);
	}
	ask(asking_new(follow), BUS_SLOW, follow->versions, LIST_DEADLINE_MS,
	    buffer_slice(&args), on_page);
	buffer_fini(&args);
}

static void list_start(struct follow *follow)
{
	if (follow->listing) {
		follow->list_again = true;
		return;
	}
	loop_timer_stop(follow->due);
	follow->listing = true;
	follow->list_again = false;
	follow->list++;
	follow->after = 0;
	follow->beyond = 0;
	page_ask(follow);
}

static void on_due(void *arg)
{
	list_start(arg);
}

/* ---- events ---- */

static void on_event(void *arg, const struct event *event)
{
	struct follow *follow = arg;
	const bool destroyed = event->kind == EVENT_DESTROYED;

	if (!slice_eq(event->resource, follow->resource))
		return;
	struct object *object = object_find(follow, event->id);

	if (!object && destroyed)
		return;
	if (object && !destroyed && object->phase == OBJECT_RESTING &&
	    event->version <= object->version)
		return;
	if (!object)
		object = object_new(follow, event->id);
	if (!object)
		return;
	object_want(follow, object, destroyed ? version_gone : event->version);
	pump(follow);
}

bool follow_ask(struct follow *follow, int64_t id, waiting_fn *fn, void *arg)
{
	struct object *object = object_find(follow, id);

	if (follow->paused || waiting_full(&follow->waiting))
		return false;
	if (!object)
		object = object_new(follow, id);
	if (!object)
		return false;
	waiting_add(&follow->waiting, id, fn, arg);
	object_want(follow, object, object->version);
	pump(follow);
	return true;
}

/* A replica is there, or there again: no reason to wait any longer. */
static void on_stale(void *arg)
{
	struct follow *follow = arg;

	retry_reset(follow);
	follow->settling = true;
	loop_timer_stop(follow->retry);
	on_retry(follow);
	list_start(follow);
}

/* ---- life ---- */

static void metric(struct follow *follow, struct metrics *metrics,
		   enum metrics_kind kind, const char *name, const char *help,
		   const uint64_t *value)
{
	metrics_add(metrics, kind,
		    arena_printf(&follow->names, "follow_%.*s_%s",
				 SLICE_ARG(follow->resource), name),
		    help, value);
}

static void metrics_set(struct follow *follow, struct metrics *metrics)
{
	const struct events_counts *counts =
		events_subscriber_counts(follow->events);

	metric(follow, metrics, METRICS_GAUGE, "objects",
	       "Objects that are followed.", &follow->known);
	metric(follow, metrics, METRICS_COUNTER, "lists_total",
	       "Lists compared with what is known.", &follow->lists);
	metric(follow, metrics, METRICS_COUNTER, "fetches_total",
	       "Objects asked for.", &follow->fetches);
	metric(follow, metrics, METRICS_COUNTER, "fetch_calls_total",
	       "Calls the objects were asked for in.", &follow->calls);
	metric(follow, metrics, METRICS_COUNTER, "failures_total",
	       "Lists and fetches that failed.", &follow->failures);
	metric(follow, metrics, METRICS_COUNTER, "events_total",
	       "Events heard of the service.", &counts->events);
	metric(follow, metrics, METRICS_COUNTER, "malformed_total",
	       "Messages of events that could not be read.",
	       &counts->malformed);
}

static struct slice text_of(struct follow *follow, const char *text)
{
	return slice_str(arena_strdup(&follow->names, slice_str(text)));
}

static struct slice method_of(struct follow *follow, const char *resource,
			      const char *verb)
{
	return slice_str(arena_printf(&follow->names, "%s.%s", resource, verb));
}

static void options_take(struct follow *follow,
			 const struct follow_options *options)
{
	follow->client = options->client;
	follow->handlers = options->handlers;
	follow->resource = text_of(follow, options->resource);
	follow->process = text_of(follow, options->process);
	follow->versions = method_of(follow, options->resource, "versions");
	follow->fetch = method_of(follow, options->resource, "fetch");
	follow->reconcile_ms = options->reconcile_ms ? options->reconcile_ms
						     : FOLLOW_RECONCILE_MS;
	follow->objects_max = options->objects_max ? options->objects_max
						   : FOLLOW_OBJECTS_MAX;
}

enum err_code follow_new(struct loop *loop,
			 const struct follow_options *options,
			 struct follow **out, struct err *err)
{
	struct follow *follow = mem_alloc(sizeof(*follow));
	const struct events_handlers handlers = {
		.event = on_event, .stale = on_stale, .arg = follow};

	TAILQ_INIT(&follow->queue);
	LIST_INIT(&follow->asking);
	options_take(follow, options);
	retry_reset(follow);
	follow->due = loop_timer_new(loop, on_due, follow);
	follow->retry = loop_timer_new(loop, on_retry, follow);
	follow->gather = loop_timer_new(loop, on_gathered, follow);
	const enum err_code code = events_subscriber_new(
		loop, options->addresses, &handlers, &follow->events, err);

	if (code != ERR_OK) {
		follow_free(follow);
		return code;
	}
	if (options->metrics)
		metrics_set(follow, options->metrics);
	/* Not only once events can come: a replica that cannot be subscribed
	 * to still answers. */
	list_start(follow);
	*out = follow;
	return ERR_OK;
}

void follow_free(struct follow *follow)
{
	struct asking *asking;

	if (!follow)
		return;
	/* Their ends still come; they free themselves. */
	while ((asking = LIST_FIRST(&follow->asking))) {
		LIST_REMOVE(asking, link);
		asking->follow = NULL;
	}
	events_subscriber_free(follow->events);
	loop_timer_free(follow->due);
	loop_timer_free(follow->retry);
	loop_timer_free(follow->gather);
	ID_TABLE_FOREACH(node, &follow->objects)
		free(node);
	id_table_fini(&follow->objects);
	waiting_fini(&follow->waiting);
	arena_fini(&follow->names);
	free(follow);
}

bool follow_synced(const struct follow *follow)
{
	return follow->synced;
}

size_t follow_count(const struct follow *follow)
{
	return follow->known;
}
