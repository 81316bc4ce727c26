#ifndef COMMON_RESOURCE_SERVICE_H
#define COMMON_RESOURCE_SERVICE_H

/*
 * A process whose bus methods are those of its resources (resource.h) and a
 * few of its own, over PostgreSQL: what the resource services have in common.
 * Each of them is a table handed to resource_service_run().
 */

#include "services/common/bus_server.h"
#include "services/common/config.h"
#include "services/common/database.h"
#include "services/common/events.h"
#include "services/common/resource.h"

/* The running service: the service pointer of its own methods' handlers. */
struct resource_service {
	struct loop *loop;
	const struct config *config;
	struct database *database;
	struct secrets_key *key;	 /* seals secret fields */
	struct events_publisher *events; /* tells of changes */
	struct metrics *metrics;	 /* of the process */
	void *own;			 /* what the kind's start made */
};

enum { RESOURCE_SERVICE_RESOURCES_MAX = 8 };

struct resource_service_kind {
	const char *name; /* "provider": bus address, log */
	const char *role; /* PostgreSQL's, where the URL names no user */

	/* Who may call the methods of the resources. */
	unsigned who;
	const struct resource *const *resources;
	size_t resource_count; /* at most RESOURCE_SERVICE_RESOURCES_MAX */

	const struct bus_method *methods; /* of its own; may be NULL */
	size_t method_count;

	/* What its own methods need: start sets service->own before they are
	 * served, stop ends it when they no longer are. Both or none. */
	enum err_code (*start)(struct resource_service *service,
			       struct err *err);
	void (*stop)(struct resource_service *service);
};

/* The whole life of the process; what main() returns. */
int resource_service_run(int argc, char **argv,
			 const struct resource_service_kind *kind);

#endif
