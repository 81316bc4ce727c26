#ifndef COMMON_RESOURCE_SERVICE_H
#define COMMON_RESOURCE_SERVICE_H

/*
 * A process whose bus methods are those of its resources (resource.h) and a
 * few of its own, over PostgreSQL: what the resource services have in common.
 * Each of them is a table handed to resource_service_run().
 */

#include "services/common/ask.h"
#include "services/common/bus_server.h"
#include "services/common/cache.h"
#include "services/common/config.h"
#include "services/common/database.h"
#include "services/common/events.h"
#include "services/common/passwords.h"
#include "services/common/resource.h"

/* The running service: the service pointer of its own methods' handlers. */
struct resource_service {
	struct loop *loop;
	const struct config *config;
	struct database *database;
	struct secrets_key *key;	 /* seals secret fields */
	struct events_publisher *events; /* tells of changes */
	struct passwords *passwords;	 /* hashes FIELD_HASHED */
	struct cache *cache;		 /* of kinds with sessions, or NULL */
	struct metrics *metrics;	 /* of the process */
	void *own;			 /* what the kind's start made */
};

/* ask_new() for a method of the service's own; service: its handler's, a
 * struct resource_service. */
void *resource_service_ask(void *service, struct bus_call *call, size_t size);

enum { RESOURCE_SERVICE_RESOURCES_MAX = 8 };

/* A write of a resource's, as its hooks see it. */
struct resource_change {
	struct resource_service *service;
	struct bus_call *call;
	const struct resource *resource;
	enum event_kind kind;
	int64_t id;	      /* 0 before a create */
	struct value *values; /* of the object sent, defaults in place on a
			       * create; NULL: a destroy. Texts the hook puts
			       * there live in the call's arena */
	void *own;	      /* the hook's */
};

/* What a service adds to the writes of one resource. Any may be NULL. */
struct resource_hooks {
	const struct resource *resource;

	/* Before the write: what asks other rows or processes. Ends, now or
	 * later, in resource_change_go_on() or in an answer of its own to the
	 * call. Not called for a destroy. */
	void (*before)(struct resource_change *change);

	/* After its commit and before its answer; also of an update that found
	 * nothing to change, since an earlier one may have failed behind its
	 * commit. Ends, now or later, in resource_change_answer(), which it may
	 * not leave out. */
	void (*after)(struct resource_change *change);
};

void resource_change_go_on(struct resource_change *change);
void resource_change_answer(struct resource_change *change);

/* Ends every session of the account that was changed (session_end_all(), of a
 * kind with sessions), then answers: ERR_LOST where they may not have ended. */
void resource_change_end_sessions(struct resource_change *change);

struct resource_service_kind {
	const char *name; /* "provider": bus address, log */
	const char *role; /* PostgreSQL's, where the URL names no user */

	const struct resource *const *resources;
	size_t resource_count; /* at most RESOURCE_SERVICE_RESOURCES_MAX */
	const struct resource_hooks *hooks; /* or NULL */
	size_t hook_count;

	bool sessions; /* it ends sessions: service->cache is there */

	/* Of its own; may be NULL. One with the name of a resource's method
	 * stands in its place. */
	const struct bus_method *methods;
	size_t method_count;

	/* What its own methods need: start sets service->own before they are
	 * served, stop ends it when they no longer are. Both or none. */
	enum err_code (*start)(struct resource_service *service,
			       struct err *err);
	void (*stop)(struct resource_service *service);
};

/* The members that stand for an array each. */
#define RESOURCE_SERVICE_RESOURCES(array)                                      \
	.resources = (array),                                                  \
	.resource_count = sizeof(array) / sizeof((array)[0])
#define RESOURCE_SERVICE_HOOKS(array)                                          \
	.hooks = (array), .hook_count = sizeof(array) / sizeof((array)[0])
#define RESOURCE_SERVICE_METHODS(array)                                        \
	.methods = (array), .method_count = sizeof(array) / sizeof((array)[0])

/* The whole life of the process; what main() returns. */
int resource_service_run(int argc, char **argv,
			 const struct resource_service_kind *kind);

#endif
