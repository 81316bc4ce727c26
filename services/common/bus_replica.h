#ifndef COMMON_BUS_REPLICA_H
#define COMMON_BUS_REPLICA_H

/*
 * One replica of a service as its client sees it: a connection of its own, and
 * for each lane BUS_WINDOW slots that carry a batch to it and bring the reply
 * batch back. Internal to bus_client.c, whose module this is the nng half of.
 *
 * What happened is told through the client's inbox: a slot is put into it once
 * for each batch sent, and it is woken when the connection comes or goes.
 */

#include "services/common/bus_client.h"
#include "services/common/bus_nng.h"

#include <stdbool.h>

struct bus_replica;
struct bus_client_call;

/*
 *   FREE -> SENDING -> WAITING -> DONE -> FREE
 *              |                   ^
 *              '---- not sent -----'
 *
 * SENDING ends when nng has taken the batch for a connection, from which
 * moment it may have reached the service.
 */
enum bus_slot_phase {
	BUS_SLOT_FREE,
	BUS_SLOT_SENDING,
	BUS_SLOT_WAITING,
	BUS_SLOT_DONE,
};

enum bus_slot_outcome {
	BUS_SLOT_ANSWERED,
	BUS_SLOT_NOT_SENT, /* certainly: nng had not begun to */
	BUS_SLOT_LOST,	   /* the replica went away while it had the batch */
	BUS_SLOT_TIMED_OUT,
};

struct bus_slot {
	struct bus_event event; /* first: see bus_inbox_take() */
	struct bus_replica *replica;
	enum bus_lane lane;
	enum bus_slot_phase phase;     /* under the replica's lock */
	enum bus_slot_outcome outcome; /* DONE */
	nng_msg *reply;		       /* DONE and ANSWERED */
	nng_ctx ctx;
	nng_aio *aio;

	/* The client's: a batch's calls by id - 1, NULL where one has ended. */
	struct bus_client_call *calls[MESSAGE_BATCH_FRAMES_MAX];
	size_t count;
};

/* Dials in the background, for ever. ERR_VALIDATE: not an address. */
enum err_code bus_replica_new(struct bus_inbox *inbox, const char *address,
			      struct bus_replica **out, struct err *err);

/* Ends what every slot is doing; those that were busy are in the inbox
 * afterwards. */
void bus_replica_stop(struct bus_replica *replica);

/* Stopped before, unless it never sent. */
void bus_replica_free(struct bus_replica *replica);

const char *bus_replica_address(const struct bus_replica *replica);
bool bus_replica_connected(const struct bus_replica *replica);

/* Every slot, to BUS_LANES * BUS_WINDOW. */
struct bus_slot *bus_replica_slot(struct bus_replica *replica, size_t index);

/* A free slot of a lane, or NULL. */
struct bus_slot *bus_replica_slot_free(struct bus_replica *replica,
				       enum bus_lane lane);

/* Calls in the busy slots of a lane, ended ones included: the replica still
 * works on them. */
size_t bus_replica_load(const struct bus_replica *replica, enum bus_lane lane);

/* Sends a batch, of which slot->calls tells; it times out after timeout_ms. */
void bus_slot_send(struct bus_slot *slot, struct slice batch,
		   uint32_t timeout_ms);

/* Gives up sending. Answers the phase it met: where that is BUS_SLOT_SENDING
 * the slot will be told of as NOT_SENT, unless nng was quicker. */
enum bus_slot_phase bus_slot_cancel(struct bus_slot *slot);

/* Frees the reply and the slot for its next batch. */
void bus_slot_release(struct bus_slot *slot);

#endif
