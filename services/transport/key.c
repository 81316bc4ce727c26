#include "services/transport/key.h"

#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/resource_service.h"
#include "services/transport/certificate.h"

/* There is one key: its id among events and versions. */
enum { KEY_ID = 1 };

/* One request. */
struct work {
	struct ask ask;
	const struct resource_service *service;
	bool asked; /* key.fetch: the ids have the key's */
};

static struct work *work_new(void *service, struct bus_call *call)
{
	struct work *work = resource_service_ask(service, call, sizeof(*work));

	work->service = service;
	return work;
}

/* Fills in the pair of a row. False: the key cannot be opened. */
static bool read_row(const struct work *work,
		     const struct database_result *result, struct value *values,
		     struct buffer *clear)
{
	if (!secrets_open(work->service->key, database_cell(result, 0, 1),
			  clear)) {
		log_event(LOG_ERROR, "key.unreadable",
			  LOG_STR("reason", "sealed with another key file"));
		return false;
	}
	values[KEY_CRT].kind = values[KEY_KEY].kind = VALUE_STR;
	values[KEY_CRT].string = database_cell(result, 0, 0);
	values[KEY_KEY].string = buffer_slice(clear);
	return true;
}

static void on_read(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct work *work = arg;
	struct value values[KEY_FIELDS] = {0};
	struct buffer clear = {0};

	if (error) {
		bus_reply_code(work->ask.call, error->code);
		return;
	}
	const bool given = database_rows(result) > 0;

	if (given && !read_row(work, result, values, &clear)) {
		bus_reply_code(work->ask.call, ERR_INTERNAL);
		return;
	}
	bus_reply_record(work->ask.call, &key_answer_record, values,
			 given ? (uint64_t)database_int(result, 0, 2) : 0);
	secrets_wipe(clear.data, clear.size);
	buffer_fini(&clear);
}

static void read_run(struct work *work, database_done_fn *done)
{
	ask_run(&work->ask, DATABASE_READ, "key.get",
		"SELECT crt, key, version FROM transport.key", done);
}

void key_get(void *service, struct bus_call *call)
{
	read_run(work_new(service, call), on_read);
}

/* The one item of a fetch; nil where the key cannot be opened. */
static void write_item(const struct work *work,
		       const struct database_result *result, struct buffer *out)
{
	struct value values[KEY_FIELDS] = {0};
	struct buffer clear = {0};

	writer_array(out, 3);
	writer_id(out, KEY_ID);
	writer_int(out, database_int(result, 0, 2));
	if (read_row(work, result, values, &clear))
		record_encode(&key_answer_record, RECORD_FULL, values, out);
	else
		writer_nil(out);
	secrets_wipe(clear.data, clear.size);
	buffer_fini(&clear);
}

static void on_fetched(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct work *work = arg;
	struct buffer *out = bus_call_body(work->ask.call);

	if (error) {
		bus_reply_code(work->ask.call, error->code);
		return;
	}
	const bool given = work->asked && database_rows(result) > 0;

	writer_map(out, 1);
	writer_text(out, "items");
	writer_array(out, given);
	if (given)
		write_item(work, result, out);
	bus_reply_ok(work->ask.call, 0);
}

void key_fetch(void *service, struct bus_call *call)
{
	struct work *work = work_new(service, call);
	int64_t ids[RESOURCE_FETCH_MAX];
	const size_t count = resource_fetch_ids(call, ids);

	if (count == 0) {
		bus_reply_code(call, ERR_MALFORMED);
		return;
	}
	for (size_t i = 0; i < count; i++)
		work->asked |= ids[i] == KEY_ID;
	read_run(work, on_fetched);
}

static void on_versions(void *arg, const struct database_result *result,
			const struct database_error *error)
{
	struct work *work = arg;
	struct buffer *out = bus_call_body(work->ask.call);

	if (error) {
		bus_reply_code(work->ask.call, error->code);
		return;
	}
	const bool given = database_rows(result) > 0;

	writer_map(out, 2);
	writer_text(out, "items");
	writer_array(out, given);
	if (given) {
		writer_array(out, 2);
		writer_id(out, KEY_ID);
		writer_int(out, database_int(result, 0, 0));
	}
	writer_text(out, "after");
	writer_nil(out);
	bus_reply_ok(work->ask.call, 0);
}

void key_versions(void *service, struct bus_call *call)
{
	ask_run(&work_new(service, call)->ask, DATABASE_READ, "key.versions",
		"SELECT version FROM transport.key", on_versions);
}

static void on_written(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct work *work = arg;

	if (error) {
		bus_reply_code(work->ask.call, error->code);
		return;
	}
	const struct event event = {
		.resource = SLICE("key"),
		.id = KEY_ID,
		.version = (uint64_t)database_int(result, 0, 0),
		.kind = EVENT_UPDATED,
	};

	events_publish(work->service->events, &event);
	bus_reply_ok(work->ask.call, event.version);
}

/* The arguments, checked. False: it was answered. */
static bool read_pair(struct bus_call *call, struct value *values)
{
	enum err_code code;
	struct err err = {0};

	if (!bus_call_args(call, &key_record, values))
		return false;
	if (values[KEY_KEY].string.size > SECRETS_CLEAR_MAX)
		code = err_field(&err, "key", "is longer than %d bytes",
				 SECRETS_CLEAR_MAX);
	else
		code = certificate_check(values[KEY_CRT].string,
					 values[KEY_KEY].string, &err);
	if (code != ERR_OK)
		bus_reply_error(call, &err);
	return code == ERR_OK;
}

void key_set(void *service, struct bus_call *call)
{
	struct work *work = work_new(service, call);
	struct value values[KEY_FIELDS];

	if (!read_pair(call, values))
		return;
	ask_slice(&work->ask, values[KEY_CRT].string);
	ask_text(&work->ask,
		 secrets_seal_dup(work->service->key, values[KEY_KEY].string,
				  work->ask.arena));
	ask_run(&work->ask, DATABASE_WRITE, "key.set",
		"INSERT INTO transport.key (crt, key) VALUES ($1, $2) "
		"ON CONFLICT (id) DO UPDATE SET crt = $1, key = $2, "
		"version = transport.key.version + 1 RETURNING version",
		on_written);
}
