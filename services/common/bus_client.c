#include "services/common/bus_client.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "services/common/bus_replica.h"
#include "services/common/log.h"

#include <stdlib.h>
#include <sys/queue.h>

enum {
	/* Replicas of one service: far more than share one database. */
	REPLICAS_MAX = 16,

	/* How late a call may end after its deadline. One timer looks at all of
	 * them; a timer each would cost more than the call. */
	SWEEP_MS = 20,

	/* How long a slot is kept for a reply nobody waits for any more. As
	 * long as it is kept nothing further is sent to a replica that has
	 * stopped answering; its late answer frees it at once. Past it the
	 * replica is tried again. */
	STALL_MS = 10000,

	/* The most a request frame has beside the bytes of its views: heads,
	 * numbers and ids of full length. */
	FRAME_HEAD_BYTES_MAX = 128,

	/* Calls of a batch on the slow lane: it is answered with its slowest
	 * call, and pages of exports have to fit into one reply batch. */
	SLOW_FRAMES_MAX = 8,

	SLOTS = BUS_LANES * BUS_WINDOW,
};

/* In a lane's queue while slot is NULL, else in its slot, by index. */
struct bus_client_call {
	TAILQ_ENTRY(bus_client_call) link;
	enum bus_lane lane;
	enum err_code refused; /* why it is ended without being queued */
	uint32_t passed; /* bits of the replicas that said ERR_ELSEWHERE */
	uint64_t deadline_at_ms;
	size_t bytes_max; /* of its frame */
	bus_done_fn *done;
	void *arg;
	struct request request; /* views into copy */
	char copy[];
};

TAILQ_HEAD(call_list, bus_client_call);

struct lane {
	struct call_list queue;
	size_t count;
};

struct replica {
	struct bus_replica *bus;
	bool connected; /* as of the last wake */
};

struct bus_client {
	struct loop *loop;
	struct bus_inbox inbox;
	struct loop_timer *sweep;
	bool sweeping;
	bool closing;
	char *service;
	struct lane lanes[BUS_LANES];
	struct call_list refused;
	struct replica replicas[REPLICAS_MAX];
	size_t replica_count;
	size_t turn;	      /* where the search for a replica begins */
	struct buffer frames; /* the batch being put together */
	struct arena names;   /* of the metrics */
	uint64_t calls;
	uint64_t batches;
	uint64_t lost;
	uint64_t deadlines;
	uint64_t unavailable;
	uint64_t dropped;
	uint64_t in_flight;
	uint64_t connected;
};

/* The call is gone afterwards. */
static void call_end(struct bus_client *client, struct bus_client_call *call,
		     const struct reply *reply, const struct err *err)
{
	client->in_flight--;
	call->done(call->arg, reply, err);
	free(call);
}

static void call_fail(struct bus_client *client, struct bus_client_call *call,
		      enum err_code code)
{
	struct err err = {0};

	if (code == ERR_LOST)
		client->lost++;
	else if (code == ERR_DEADLINE)
		client->deadlines++;
	else if (code == ERR_UNAVAILABLE)
		client->unavailable++;
	err_code_set(&err, code);
	call_end(client, call, NULL, &err);
}

static void lane_push(struct lane *lane, struct bus_client_call *call)
{
	TAILQ_INSERT_TAIL(&lane->queue, call, link);
	lane->count++;
}

static void lane_remove(struct lane *lane, struct bus_client_call *call)
{
	TAILQ_REMOVE(&lane->queue, call, link);
	lane->count--;
}

/* Puts calls that were certainly not sent back where they came from. */
static void slot_put_back(struct bus_client *client, struct bus_slot *slot)
{
	struct lane *lane = &client->lanes[slot->lane];

	for (size_t i = slot->count; i > 0; i--) {
		TAILQ_INSERT_HEAD(&lane->queue, slot->calls[i - 1], link);
		lane->count++;
	}
}

/* passed: bits of replicas that are not asked for. index: of the one picked. */
static struct bus_slot *slot_pick(struct bus_client *client, enum bus_lane lane,
				  uint32_t passed, size_t *index)
{
	struct bus_slot *best = NULL;
	size_t best_load = SIZE_MAX;

	for (size_t i = 0; i < client->replica_count; i++) {
		const size_t at = (client->turn + i) % client->replica_count;
		struct replica *replica = &client->replicas[at];
		struct bus_slot *slot =
			replica->connected && !(passed & (1u << at))
				? bus_replica_slot_free(replica->bus, lane)
				: NULL;

		if (!slot)
			continue;
		const size_t load = bus_replica_load(replica->bus, lane);

		if (load < best_load) {
			best = slot;
			best_load = load;
			*index = at;
		}
	}
	client->turn++;
	return best;
}

/* Moves calls from the queue to the slot and its frame into the batch. Returns
 * the longest wait among them. */
static uint32_t slot_fill(struct bus_client *client, struct bus_slot *slot,
			  size_t index)
{
	struct lane *lane = &client->lanes[slot->lane];
	const uint64_t now = loop_now_ms(client->loop);
	const size_t frames_max = slot->lane == BUS_SLOW
					  ? SLOW_FRAMES_MAX
					  : MESSAGE_BATCH_FRAMES_MAX;
	size_t bytes_left = MESSAGE_BATCH_BYTES_MAX;
	uint32_t longest_ms = 0;
	struct bus_client_call *next;

	client->frames.size = 0;
	for (struct bus_client_call *call = TAILQ_FIRST(&lane->queue);
	     call && slot->count < frames_max && call->bytes_max <= bytes_left;
	     call = next) {
		next = TAILQ_NEXT(call, link);
		/* The sweep is about to end it. */
		if (now >= call->deadline_at_ms)
			continue;
		if (call->passed & (1u << index))
			continue;
		lane_remove(lane, call);
		slot->calls[slot->count++] = call;
		bytes_left -= call->bytes_max;
		call->request.id = slot->count;
		call->request.deadline_ms =
			(uint32_t)(call->deadline_at_ms - now);
		if (call->request.deadline_ms > longest_ms)
			longest_ms = call->request.deadline_ms;
		message_request_encode(&call->request, &client->frames);
	}
	return longest_ms;
}

/* Sends what waits, as far as there are slots. Ends no call. */
static void lane_flush(struct bus_client *client, enum bus_lane lane)
{
	uint32_t passed = 0; /* replicas for which nothing waits */

	while (!client->closing && client->lanes[lane].count > 0) {
		size_t index;
		struct bus_slot *slot = slot_pick(client, lane, passed, &index);

		if (!slot)
			return;
		const uint32_t longest_ms = slot_fill(client, slot, index);

		if (slot->count == 0) {
			passed |= 1u << index;
			continue;
		}
		client->batches++;
		bus_slot_send(slot, buffer_slice(&client->frames),
			      longest_ms + STALL_MS);
	}
}

static void slot_fail(struct bus_client *client, struct bus_slot *slot,
		      enum err_code code)
{
	for (size_t i = 0; i < slot->count; i++) {
		struct bus_client_call *call = slot->calls[i];

		slot->calls[i] = NULL;
		if (call)
			call_fail(client, call, code);
	}
}

static size_t replica_index(const struct bus_client *client,
			    const struct bus_replica *bus)
{
	size_t i = 0;

	while (client->replicas[i].bus != bus)
		i++;
	return i;
}

/* Queues a call that a replica passed on. False: all that are connected have.
 */
static bool pass_on(struct bus_client *client, const struct bus_slot *slot,
		    struct bus_client_call *call)
{
	bool left = false;

	call->passed |= 1u << replica_index(client, slot->replica);
	for (size_t i = 0; i < client->replica_count && !left; i++)
		left = client->replicas[i].connected &&
		       !(call->passed & (1u << i));
	if (left)
		lane_push(&client->lanes[call->lane], call);
	return left;
}

/* Ends the call a reply is for. */
static void reply_take(struct bus_client *client, struct bus_slot *slot,
		       const struct reply *reply)
{
	struct bus_client_call *call =
		reply->id <= slot->count ? slot->calls[reply->id - 1] : NULL;
	struct err err = {0};

	if (!call) {
		client->dropped++;
		return;
	}
	slot->calls[reply->id - 1] = NULL;
	if (reply->status == ERR_OK) {
		call_end(client, call, reply, NULL);
		return;
	}
	if (reply->status == ERR_ELSEWHERE && pass_on(client, slot, call))
		return;
	message_error_decode(reply->status, reply->body, &err);
	call_end(client, call, NULL, &err);
}

/* Ends the calls a reply batch has no reply for, with what it says of them as a
 * whole (the reply with id 0), if anything. */
static void rest_fail(struct bus_client *client, struct bus_slot *slot,
		      const struct err *rest)
{
	size_t missing = 0;

	for (size_t i = 0; i < slot->count; i++) {
		struct bus_client_call *call = slot->calls[i];

		slot->calls[i] = NULL;
		if (!call)
			continue;
		missing++;
		call_end(client, call, NULL, rest);
	}
	if (missing > 0)
		log_event(
			LOG_ERROR, "bus.replies_missing",
			LOG_STR("service", client->service),
			LOG_STR("address", bus_replica_address(slot->replica)),
			LOG_INT("calls", missing),
			LOG_STR("code", err_name(rest->code)));
}

static void replies_take(struct bus_client *client, struct bus_slot *slot)
{
	struct reader reader;
	struct err rest = {0};

	err_code_set(&rest, ERR_INTERNAL);
	reader_init(&reader, bus_nng_body(slot->reply));
	while (reader.at != reader.end) {
		struct reply reply = {0};
		const enum err_code code =
			message_reply_decode(&reader, &reply);

		if (code == ERR_MALFORMED) {
			client->dropped++;
			break;
		}
		if (code == ERR_VERSION)
			reply.status = ERR_VERSION;
		if (reply.id > 0)
			reply_take(client, slot, &reply);
		else if (reply.status != ERR_OK)
			message_error_decode(reply.status, reply.body, &rest);
	}
	rest_fail(client, slot, &rest);
}

static void on_slot(struct bus_client *client, struct bus_slot *slot)
{
	const enum bus_lane lane = slot->lane;

	switch (slot->outcome) {
	case BUS_SLOT_ANSWERED:
		replies_take(client, slot);
		break;
	case BUS_SLOT_NOT_SENT:
		slot_put_back(client, slot);
		break;
	case BUS_SLOT_LOST:
		slot_fail(client, slot, ERR_LOST);
		break;
	case BUS_SLOT_TIMED_OUT:
		slot_fail(client, slot, ERR_DEADLINE);
		break;
	}
	bus_slot_release(slot);
	lane_flush(client, lane);
}

static void slots_take(struct bus_client *client)
{
	struct bus_event *event = bus_inbox_take(&client->inbox);

	while (event) {
		struct bus_event *next = event->next;

		on_slot(client, (struct bus_slot *)event);
		event = next;
	}
}

static void replica_check(struct bus_client *client, struct replica *replica)
{
	const bool connected = bus_replica_connected(replica->bus);

	if (connected == replica->connected)
		return;
	replica->connected = connected;
	client->connected += connected ? 1 : -1;
	log_event(connected ? LOG_INFO : LOG_WARN,
		  connected ? "bus.connected" : "bus.disconnected",
		  LOG_STR("service", client->service),
		  LOG_STR("address", bus_replica_address(replica->bus)));
	/* What it has not taken yet may go to another one. */
	for (size_t i = 0; !connected && i < SLOTS; i++)
		bus_slot_cancel(bus_replica_slot(replica->bus, i));
}

/* A call made by a done function waits for the next wake. */
static void refused_end(struct bus_client *client)
{
	struct call_list refused = TAILQ_HEAD_INITIALIZER(refused);
	struct bus_client_call *call;

	TAILQ_CONCAT(&refused, &client->refused, link);
	while ((call = TAILQ_FIRST(&refused))) {
		TAILQ_REMOVE(&refused, call, link);
		call_fail(client, call, call->refused);
	}
}

static void on_wake(void *arg)
{
	struct bus_client *client = arg;

	slots_take(client);
	for (size_t i = 0; i < client->replica_count; i++)
		replica_check(client, &client->replicas[i]);
	refused_end(client);
	for (int lane = 0; lane < BUS_LANES; lane++)
		lane_flush(client, (enum bus_lane)lane);
}

/* Moves the queued calls whose deadline has passed to out. */
static void lane_expire(struct lane *lane, uint64_t now, struct call_list *out)
{
	struct bus_client_call *next;

	for (struct bus_client_call *call = TAILQ_FIRST(&lane->queue); call;
	     call = next) {
		next = TAILQ_NEXT(call, link);
		if (now < call->deadline_at_ms)
			continue;
		lane_remove(lane, call);
		TAILQ_INSERT_TAIL(out, call, link);
	}
}

/* Likewise those of a batch, once it is known whether it was sent. */
static void slot_expire(struct bus_slot *slot, uint64_t now,
			struct call_list *out)
{
	for (size_t i = 0; i < slot->count; i++) {
		struct bus_client_call *call = slot->calls[i];

		if (!call || now < call->deadline_at_ms)
			continue;
		/* Either the cancel finds the batch unsent, and its calls are
		 * queued again, or the next sweep finds it sent. */
		if (bus_slot_cancel(slot) != BUS_SLOT_WAITING)
			return;
		slot->calls[i] = NULL;
		TAILQ_INSERT_TAIL(out, call, link);
	}
}

static void all_fail(struct bus_client *client, struct call_list *calls,
		     enum err_code code)
{
	struct bus_client_call *call;

	while ((call = TAILQ_FIRST(calls))) {
		TAILQ_REMOVE(calls, call, link);
		call_fail(client, call, code);
	}
}

static void on_sweep(void *arg)
{
	struct bus_client *client = arg;
	const uint64_t now = loop_now_ms(client->loop);
	struct call_list unsent = TAILQ_HEAD_INITIALIZER(unsent);
	struct call_list sent = TAILQ_HEAD_INITIALIZER(sent);

	for (int lane = 0; lane < BUS_LANES; lane++)
		lane_expire(&client->lanes[lane], now, &unsent);
	for (size_t i = 0; i < client->replica_count; i++)
		for (size_t slot = 0; slot < SLOTS; slot++)
			slot_expire(
				bus_replica_slot(client->replicas[i].bus, slot),
				now, &sent);
	all_fail(client, &unsent, ERR_UNAVAILABLE);
	all_fail(client, &sent, ERR_DEADLINE);
	if (client->in_flight > 0)
		return;
	client->sweeping = false;
	loop_timer_stop(client->sweep);
}

static struct slice copy_add(char **to, struct slice from)
{
	char *at = *to;

	if (from.size > 0)
		memcpy(at, from.data, from.size);
	*to += from.size;
	return slice_of(at, from.size);
}

static struct bus_client_call *call_new(const struct request *request)
{
	const struct principal *who = &request->principal;
	const size_t bytes = request->request_id.size + request->method.size +
			     who->role.size + who->name.size +
			     who->address.size + request->args.size;
	struct bus_client_call *call = mem_resize(NULL, sizeof(*call) + bytes);
	char *to = call->copy;

	call->passed = 0;
	call->bytes_max = bytes + FRAME_HEAD_BYTES_MAX;
	call->request = *request;
	call->request.request_id = copy_add(&to, request->request_id);
	call->request.method = copy_add(&to, request->method);
	call->request.principal.role = copy_add(&to, who->role);
	call->request.principal.name = copy_add(&to, who->name);
	call->request.principal.address = copy_add(&to, who->address);
	call->request.args = copy_add(&to, request->args);
	return call;
}

/* Why a call cannot be queued. Over-long names would make the frame, and with
 * it the whole batch, unreadable for the service. */
static enum err_code call_check(const struct bus_client *client,
				const struct bus_client_call *call)
{
	if (call->bytes_max > MESSAGE_BATCH_BYTES_MAX)
		return ERR_TOO_LARGE;
	if (call->request.method.size > MESSAGE_METHOD_BYTES_MAX ||
	    call->request.request_id.size > MESSAGE_REQUEST_ID_BYTES_MAX)
		return ERR_MALFORMED;
	if (client->closing || client->lanes[call->lane].count >= BUS_QUEUE_MAX)
		return ERR_UNAVAILABLE;
	return ERR_OK;
}

void bus_client_call(struct bus_client *client, enum bus_lane lane,
		     const struct request *request, bus_done_fn *done,
		     void *arg)
{
	struct bus_client_call *call = call_new(request);
	const uint32_t deadline_ms =
		request->deadline_ms > MESSAGE_DEADLINE_MS_MAX
			? MESSAGE_DEADLINE_MS_MAX
			: request->deadline_ms;

	call->lane = lane;
	call->done = done;
	call->arg = arg;
	call->deadline_at_ms = loop_now_ms(client->loop) + deadline_ms;
	client->calls++;
	client->in_flight++;
	if (!client->sweeping) {
		client->sweeping = true;
		loop_timer_start(client->sweep, SWEEP_MS, SWEEP_MS);
	}
	call->refused = call_check(client, call);
	if (call->refused != ERR_OK) {
		TAILQ_INSERT_TAIL(&client->refused, call, link);
		bus_inbox_wake(&client->inbox);
		return;
	}
	lane_push(&client->lanes[lane], call);
	lane_flush(client, lane);
}

static enum err_code replica_add(struct bus_client *client,
				 struct slice address, struct err *err)
{
	char *text = arena_strdup(&client->names, address);

	if (address.size == 0)
		return err_set(err, ERR_VALIDATE, "an address is empty");
	if (client->replica_count == REPLICAS_MAX)
		return err_set(err, ERR_VALIDATE, "more than %d addresses",
			       REPLICAS_MAX);

	struct replica *replica = &client->replicas[client->replica_count];
	const enum err_code code =
		bus_replica_new(&client->inbox, text, &replica->bus, err);

	if (code == ERR_OK)
		client->replica_count++;
	return code;
}

static enum err_code replicas_add(struct bus_client *client,
				  const char *addresses, struct err *err)
{
	enum err_code code;

	for (;;) {
		const size_t size = strcspn(addresses, ",");

		code = replica_add(client, slice_of(addresses, size), err);
		addresses += size;
		if (code != ERR_OK || *addresses == '\0')
			return code;
		addresses++;
	}
}

static void metric_add(struct bus_client *client, struct metrics *metrics,
		       enum metrics_kind kind, const char *name,
		       const char *help, const uint64_t *value)
{
	metrics_add(metrics, kind,
		    arena_printf(&client->names, "bus_%s_%s", client->service,
				 name),
		    help, value);
}

static void metrics_set(struct bus_client *client, struct metrics *metrics)
{
	metric_add(client, metrics, METRICS_COUNTER, "calls_total",
		   "Calls made.", &client->calls);
	metric_add(client, metrics, METRICS_COUNTER, "batches_total",
		   "Batches the calls were sent in.", &client->batches);
	metric_add(client, metrics, METRICS_COUNTER, "lost_total",
		   "Calls whose replica went away while it had them.",
		   &client->lost);
	metric_add(client, metrics, METRICS_COUNTER, "deadline_total",
		   "Calls sent and not answered in time.", &client->deadlines);
	metric_add(client, metrics, METRICS_COUNTER, "unavailable_total",
		   "Calls that could not be sent.", &client->unavailable);
	metric_add(client, metrics, METRICS_COUNTER, "dropped_total",
		   "Replies that came late, twice, unasked or unreadable.",
		   &client->dropped);
	metric_add(client, metrics, METRICS_GAUGE, "in_flight",
		   "Calls not yet ended.", &client->in_flight);
	metric_add(client, metrics, METRICS_GAUGE, "connected",
		   "Replicas connected.", &client->connected);
}

enum err_code bus_client_new(struct loop *loop, const char *service,
			     const char *addresses, struct metrics *metrics,
			     struct bus_client **out, struct err *err)
{
	struct bus_client *client = mem_alloc(sizeof(*client));

	client->loop = loop;
	client->service = mem_strdup(service);
	TAILQ_INIT(&client->refused);
	for (int lane = 0; lane < BUS_LANES; lane++)
		TAILQ_INIT(&client->lanes[lane].queue);
	client->sweep = loop_timer_new(loop, on_sweep, client);
	bus_inbox_init(&client->inbox, loop, on_wake, client);

	const enum err_code code = replicas_add(client, addresses, err);

	if (code != ERR_OK) {
		bus_client_free(client);
		return code;
	}
	if (metrics)
		metrics_set(client, metrics);
	*out = client;
	return ERR_OK;
}

void bus_client_free(struct bus_client *client)
{
	if (!client)
		return;
	client->closing = true;
	for (size_t i = 0; i < client->replica_count; i++)
		bus_replica_stop(client->replicas[i].bus);
	/* Every busy slot is in the inbox now; what was not sent goes back to
	 * its queue. */
	slots_take(client);
	for (int lane = 0; lane < BUS_LANES; lane++)
		all_fail(client, &client->lanes[lane].queue, ERR_UNAVAILABLE);
	while (!TAILQ_EMPTY(&client->refused))
		refused_end(client);
	for (size_t i = 0; i < client->replica_count; i++)
		bus_replica_free(client->replicas[i].bus);
	loop_timer_free(client->sweep);
	bus_inbox_fini(&client->inbox);
	buffer_fini(&client->frames);
	arena_fini(&client->names);
	free(client->service);
	free(client);
}

bool bus_client_connected(const struct bus_client *client)
{
	return client->connected > 0;
}

const char *bus_client_service(const struct bus_client *client)
{
	return client->service;
}
