#include "services/tenant/user_status.h"

#include "proto/resources/resources.h"
#include "proto/resources/users.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/tenant/tenant.h"

/* A registrar that is away must not make the answer wait. */
enum { REGISTRAR_DEADLINE_MS = 500 };

/* $1 user, $2 tenant, $3 the caller where it sees itself alone. */
struct work {
	struct ask ask;
	bool dnd, acb;
};

static struct work *work_new(void *service, struct bus_call *call, int64_t id)
{
	struct work *work = resource_service_ask(service, call, sizeof(*work));
	const struct principal *who = &work->ask.who;

	ask_id(&work->ask, id);
	ask_tenant(&work->ask);
	ask_id(&work->ask,
	       principal_acts(who) == PRINCIPAL_ADMIN ? 0 : who->id);
	return work;
}

/* Looks for the user among those the caller may see. */
static void find(struct work *work, database_done_fn *found)
{
	ask_run(&work->ask, DATABASE_READ, "user.status",
		"SELECT enable_dnd, enable_acb FROM tenant.users "
		"WHERE id = $1 AND tenant_id = $2 "
		"AND id = coalesce($3::bigint, id)",
		found);
}

/* Asks the registrar, for ourselves: that the caller may was proved. */
static void ask_registrar(struct work *work, const char *method,
			  bus_done_fn *told)
{
	const struct resource_service *service = work->ask.service;
	const struct tenant *tenant = service->own;
	struct request request = *bus_call_request(work->ask.call);

	request.method = slice_str(method);
	request.deadline_ms = REGISTRAR_DEADLINE_MS;
	request.principal = (struct principal){.kind = PRINCIPAL_SERVICE};
	bus_client_call(tenant->registrar, BUS_READ, &request, told, work);
}

/* ---- status ---- */

/* What the registrar said; nothing: OFFLINE, without registrations. */
struct told {
	struct slice status;
	struct slice registration; /* msgpack */
};

static struct told told_read(const struct reply *reply)
{
	struct told told = {.status = SLICE("OFFLINE")};
	struct reader reader;

	if (!reply)
		return told;
	reader_init(&reader, reply->body);
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		const struct slice key = reader_str(&reader);

		if (slice_is(key, "status"))
			told.status = reader_str(&reader);
		else if (slice_is(key, "registration"))
			told.registration = reader_value(&reader);
		else
			reader_value(&reader);
	}
	if (!reader_done(&reader))
		return (struct told){.status = SLICE("OFFLINE")};
	return told;
}

/* Nobody says more of it than the status and the user's own setting. */
static struct slice presence_of(const struct work *work, struct slice status)
{
	if (!slice_is(status, "ONLINE"))
		return status;
	return work->dnd ? (struct slice)SLICE("DO_NOT_DISTURB")
			 : (struct slice)SLICE("AVAILABLE");
}

static void reply_status(struct work *work, const struct told *told)
{
	struct buffer *out = bus_call_body(work->ask.call);

	writer_map(out, 6);
	writer_text(out, "status");
	writer_str(out, told->status);
	writer_text(out, "presence");
	writer_str(out, presence_of(work, told->status));
	writer_text(out, "presence_note");
	writer_nil(out);
	writer_text(out, "registration");
	if (told->registration.size > 0)
		writer_raw(out, told->registration);
	else
		writer_array(out, 0);
	writer_text(out, "enable_dnd");
	writer_bool(out, work->dnd);
	writer_text(out, "enable_acb");
	writer_bool(out, work->acb);
	bus_reply_ok(work->ask.call, 0);
}

static void on_status(void *arg, const struct reply *reply,
		      const struct err *err)
{
	const struct told told = told_read(reply);

	(void)err;
	reply_status(arg, &told);
}

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct work *work = arg;

	if (!ask_found(&work->ask, result, error))
		return;
	work->dnd = database_bool(result, 0, 0);
	work->acb = database_bool(result, 0, 1);
	ask_registrar(work, "registrar.user_status", on_status);
}

void user_status(void *service, struct bus_call *call)
{
	struct value args[ID_FIELDS];

	if (bus_call_args(call, &id_record, args))
		find(work_new(service, call, args[ID_ID].integer), on_found);
}

/* ---- the end of a registration ---- */

static void on_dropped(void *arg, const struct reply *reply,
		       const struct err *err)
{
	struct work *work = arg;

	(void)reply;
	if (err)
		bus_reply_error(work->ask.call, err);
	else
		bus_reply_ok(work->ask.call, 0);
}

static void on_found_to_drop(void *arg, const struct database_result *result,
			     const struct database_error *error)
{
	struct work *work = arg;

	if (ask_found(&work->ask, result, error))
		ask_registrar(work, "registrar.drop_user_registration",
			      on_dropped);
}

void user_destroy_status(void *service, struct bus_call *call)
{
	struct value args[USER_REGISTRATION_FIELDS];

	if (bus_call_args(call, &user_registration_args_record, args))
		find(work_new(service, call,
			      args[USER_REGISTRATION_ID].integer),
		     on_found_to_drop);
}
