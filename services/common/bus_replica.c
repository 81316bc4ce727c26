#include "services/common/bus_replica.h"

#include "proto/mem.h"

#include <assert.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	SLOTS = BUS_LANES * BUS_WINDOW,
};

struct bus_replica {
	struct bus_inbox *inbox;
	char *address;
	nng_socket socket;
	/* Connections made and not lost; nng's threads count. */
	atomic_int pipes;
	pthread_mutex_t lock; /* of the slots' phases */
	struct bus_slot slots[SLOTS];
};

static enum bus_slot_outcome outcome_of(enum bus_slot_phase phase, int code)
{
	if (phase == BUS_SLOT_SENDING)
		return BUS_SLOT_NOT_SENT;
	if (code == 0)
		return BUS_SLOT_ANSWERED;
	return code == NNG_ETIMEDOUT ? BUS_SLOT_TIMED_OUT : BUS_SLOT_LOST;
}

/* With the lock held. */
static void slot_done(struct bus_slot *slot, enum bus_slot_outcome outcome)
{
	nng_msg *message = nng_aio_get_msg(slot->aio);

	nng_aio_set_msg(slot->aio, NULL);
	if (outcome == BUS_SLOT_ANSWERED)
		slot->reply = message;
	else
		nng_msg_free(message);
	slot->outcome = outcome;
	slot->phase = BUS_SLOT_DONE;
}

/* On an nng thread. The receive is started here and nowhere else: a send and a
 * receive outstanding at once on one context crash nng 1.5. */
static void on_aio(void *arg)
{
	struct bus_slot *slot = arg;
	struct bus_replica *replica = slot->replica;
	const int code = nng_aio_result(slot->aio);

	pthread_mutex_lock(&replica->lock);
	const bool sent = slot->phase == BUS_SLOT_SENDING && code == 0;

	if (sent)
		slot->phase = BUS_SLOT_WAITING;
	else
		slot_done(slot, outcome_of(slot->phase, code));
	pthread_mutex_unlock(&replica->lock);
	if (sent)
		nng_ctx_recv(slot->ctx, slot->aio);
	else
		bus_inbox_put(replica->inbox, &slot->event);
}

/* On an nng thread. ADD_PRE is the event that pairs with REM_POST: a
 * connection the protocol refuses has no ADD_POST, and one lost at once may
 * tell of it late. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct bus_replica *replica = arg;

	(void)pipe;
	atomic_fetch_add(&replica->pipes,
			 event == NNG_PIPE_EV_ADD_PRE ? 1 : -1);
	bus_inbox_wake(replica->inbox);
}

static void slots_open(struct bus_replica *replica)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct bus_slot *slot = &replica->slots[i];

		slot->replica = replica;
		slot->lane = (enum bus_lane)(i / BUS_WINDOW);
		bus_nng_require(nng_ctx_open(&slot->ctx, replica->socket),
				"nng_ctx_open");
		bus_nng_require(nng_aio_alloc(&slot->aio, on_aio, slot),
				"nng_aio_alloc");
	}
}

static void socket_open(struct bus_replica *replica)
{
	nng_socket *socket = &replica->socket;

	bus_nng_require(nng_req0_open(socket), "nng_req0_open");
	bus_nng_socket_tune(*socket);
	/* nng's default sends a request again after a minute, or when its
	 * connection is lost: a write would happen twice. Contexts take the
	 * value of their socket when they are opened. */
	bus_nng_require(nng_socket_set_ms(*socket, NNG_OPT_REQ_RESENDTIME,
					  NNG_DURATION_INFINITE),
			"NNG_OPT_REQ_RESENDTIME");
	nng_pipe_notify(*socket, NNG_PIPE_EV_ADD_PRE, on_pipe, replica);
	nng_pipe_notify(*socket, NNG_PIPE_EV_REM_POST, on_pipe, replica);
}

enum err_code bus_replica_new(struct bus_inbox *inbox, const char *address,
			      struct bus_replica **out, struct err *err)
{
	struct bus_replica *replica = mem_alloc(sizeof(*replica));

	replica->inbox = inbox;
	replica->address = mem_strdup(address);
	pthread_mutex_init(&replica->lock, NULL);
	socket_open(replica);
	slots_open(replica);

	const int code = bus_nng_dial(replica->socket, address);

	if (code != 0) {
		bus_replica_free(replica);
		return bus_nng_fail(err, address, code);
	}
	*out = replica;
	return ERR_OK;
}

void bus_replica_stop(struct bus_replica *replica)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct bus_slot *slot = &replica->slots[i];

		nng_aio_stop(slot->aio);
		/* A stopped aio starts nothing and calls back no more: a stop
		 * between a send and its receive is heard of here only. */
		const bool cut = slot->phase == BUS_SLOT_SENDING ||
				 slot->phase == BUS_SLOT_WAITING;

		if (!cut)
			continue;
		slot_done(slot, outcome_of(slot->phase, NNG_ECANCELED));
		bus_inbox_put(replica->inbox, &slot->event);
	}
}

void bus_replica_free(struct bus_replica *replica)
{
	if (!replica)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		nng_aio_stop(replica->slots[i].aio);
	if (!bus_nng_close(replica->socket, replica))
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		nng_msg_free(replica->slots[i].reply);
		nng_aio_free(replica->slots[i].aio);
	}
	pthread_mutex_destroy(&replica->lock);
	free(replica->address);
	free(replica);
}

const char *bus_replica_address(const struct bus_replica *replica)
{
	return replica->address;
}

bool bus_replica_connected(const struct bus_replica *replica)
{
	return atomic_load(&replica->pipes) > 0;
}

struct bus_slot *bus_replica_slot(struct bus_replica *replica, size_t index)
{
	assert(index < SLOTS);
	return &replica->slots[index];
}

/* FREE is entered and left on the loop only, so it needs no lock to be seen:
 * a busy slot always has calls. */
struct bus_slot *bus_replica_slot_free(struct bus_replica *replica,
				       enum bus_lane lane)
{
	for (size_t i = 0; i < BUS_WINDOW; i++) {
		struct bus_slot *slot =
			&replica->slots[(size_t)lane * BUS_WINDOW + i];

		if (slot->count == 0)
			return slot;
	}
	return NULL;
}

size_t bus_replica_load(const struct bus_replica *replica, enum bus_lane lane)
{
	size_t load = 0;

	for (size_t i = 0; i < BUS_WINDOW; i++)
		load += replica->slots[(size_t)lane * BUS_WINDOW + i].count;
	return load;
}

void bus_slot_send(struct bus_slot *slot, struct slice batch,
		   uint32_t timeout_ms)
{
	assert(slot->phase == BUS_SLOT_FREE && slot->count > 0);
	slot->phase = BUS_SLOT_SENDING;
	/* Of the send and of the receive, each. */
	nng_aio_set_timeout(slot->aio, (nng_duration)timeout_ms);
	nng_aio_set_msg(slot->aio, bus_nng_message(batch));
	nng_ctx_send(slot->ctx, slot->aio);
}

/* Under the lock, so that the callback of a send that was quicker has not yet
 * begun the receive, which would be cancelled in its place. */
enum bus_slot_phase bus_slot_cancel(struct bus_slot *slot)
{
	pthread_mutex_lock(&slot->replica->lock);
	const enum bus_slot_phase phase = slot->phase;

	if (phase == BUS_SLOT_SENDING)
		nng_aio_cancel(slot->aio);
	pthread_mutex_unlock(&slot->replica->lock);
	return phase;
}

void bus_slot_release(struct bus_slot *slot)
{
	assert(slot->phase == BUS_SLOT_DONE);
	nng_msg_free(slot->reply);
	slot->reply = NULL;
	slot->count = 0;
	slot->phase = BUS_SLOT_FREE;
}
