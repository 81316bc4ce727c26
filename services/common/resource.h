#ifndef COMMON_RESOURCE_H
#define COMMON_RESOURCE_H

/*
 * The resource engine: the bus methods every resource has, driven by its
 * descriptor. One bus request is one SQL statement.
 *
 *   method    arguments                          answer
 *   .list     query_record                       {count, items: [summary]}
 *   .get      {id}                               full object, object_version
 *   .create   {object, idempotency_key?}         {id}, object_version; the same
 *                                                key again within a day: the
 *                                                same answer, made once
 *   .update   {id, object, if_version?}          nil, object_version: raised
 *                                                where something changed
 *   .destroy  {id, if_version?}                  nil
 *   .export   query_record                       {items: [full], after}: a
 *                                                page in order of id, after nil
 *                                                on the last
 *
 * and for processes of the suite alone, which follow a resource (follow.h):
 *
 *   .versions     {after?}      {items: [[id, version]], after}: likewise
 *   .fetch        {ids}         {items: [[id, version, object]]}: the objects
 *                               of 1 to RESOURCE_FETCH_MAX ids that there are,
 *                               in any order, secret fields in clear, nested
 *                               records left out; object is nil where a secret
 *                               field cannot be opened
 *
 * What a caller sees and may change are its scope's rows (proto/field.h):
 * others are ERR_NOT_FOUND. Of a resource that is the caller's `own`, .get and
 * .update take no id, and there is neither .list nor .create, .destroy, .export
 * for it; a process of ours names the id as elsewhere. Every change is told as
 * an event after its commit (events.h) and, where the resource says so, written
 * to the audit log by the very statement (audit.h).
 */

#include "proto/field.h"
#include "services/common/bus_server.h"
#include "services/common/database.h"
#include "services/common/events.h"
#include "services/common/passwords.h"
#include "services/common/secrets.h"

struct resource_store;
struct resource_hooks;
struct resource_service;

/* What a store works with; all of it outlives it. */
struct resource_store_options {
	struct database *database;
	const struct secrets_key *key;	 /* NULL: no secret fields */
	struct passwords *passwords;	 /* NULL: no hashed fields */
	struct events_publisher *events; /* NULL: nobody is told of changes */
	const struct resource_hooks *hooks; /* or NULL (resource_service.h) */
	struct resource_service *service;   /* the hooks' */
};

/* One per resource r and process. The service pointer of the bus server is not
 * used: a method's data is the store (see resource_methods). */
struct resource_store *
resource_store_new(const struct resource *r,
		   const struct resource_store_options *options);
void resource_store_free(struct resource_store *store);

enum {
	RESOURCE_METHODS = 8,

	/* Ids of one .fetch: the largest objects stay well below
	 * MESSAGE_BATCH_BYTES_MAX. */
	RESOURCE_FETCH_MAX = 64,
};

/* Fills out with the rows of the methods above, named "<resource>.<method>",
 * each for the kinds of callers whose scope has its verb, and for processes of
 * ours; the last two for these alone. Names live as long as the store. */
void resource_methods(struct resource_store *store,
		      struct bus_method out[RESOURCE_METHODS]);

/* Reads the arguments {ids} of a .fetch; returns how many there are. 0: they
 * are malformed. Also for a service that has such a method of its own. */
size_t resource_fetch_ids(const struct bus_call *call,
			  int64_t ids[RESOURCE_FETCH_MAX]);

/* For a service's own statements about rows of a resource: tells of a change
 * that is committed; answers with what a statement failed with, where a
 * constraint broke in the words of its row. */
void resource_tell(struct events_publisher *events, const struct resource *r,
		   int64_t id, int64_t version, enum event_kind kind);
void resource_refuse(const struct resource *r, struct bus_call *call,
		     const struct database_error *error);

/* Forgets the idempotency keys that are older than a day; to be called now and
 * then. */
void resource_sweep(struct resource_store *store);

#endif
