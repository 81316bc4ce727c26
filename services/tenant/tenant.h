#ifndef TENANT_TENANT_H
#define TENANT_TENANT_H

/* What the methods of the tenant service share: service->own. */

#include "services/common/audit.h"
#include "services/common/bus_client.h"
#include "services/common/resource_service.h"
#include "services/tenant/places.h"
#include "services/tenant/removal.h"

struct tenant {
	struct bus_client *registrar; /* who is registered */
	struct bus_client *provider;  /* trunks of a tenant that goes */
	struct places *places;
	struct removal *removal;
};

enum err_code tenant_start(struct resource_service *service, struct err *err);
void tenant_stop(struct resource_service *service);

enum { TENANT_ASK_PARAMS_MAX = 3 + AUDIT_PARAMS };

/* One call about one tenant, answered from one statement, in its arena: a
 * handler's own struct begins with it. */
struct tenant_ask {
	struct resource_service *service;
	struct bus_call *call;
	const char *params[TENANT_ASK_PARAMS_MAX];
	size_t param_count;
};

/* size: of the handler's struct. */
void *tenant_ask_new(void *service, struct bus_call *call, size_t size);

/* Each adds the next parameter. */
void tenant_ask_number(struct tenant_ask *ask, int64_t number); /* 0: null */
void tenant_ask_dealer(struct tenant_ask *ask); /* that asks; else null */
void tenant_ask_audit(struct tenant_ask *ask);	/* those of audit_append() */

/* SQL: tenant t is one that dealer $n may reach; for null, any. */
#define TENANT_IN_REACH(n)                                                     \
	"($" #n "::bigint IS NULL OR EXISTS (SELECT FROM dealer.dealers own "  \
	"WHERE own.id = t.dealer_id AND $" #n " = ANY (own.path)))"

/* Runs a statement; sql is copied. */
void tenant_ask_run(struct tenant_ask *ask, enum database_lane lane,
		    struct slice sql, database_done_fn *done);

/* Answers with what a statement failed with, in the words of the tenants'
 * constraints. */
void tenant_reply_error(struct bus_call *call,
			const struct database_error *error);

/* Tells of a change of a tenant's row. */
void tenant_publish(const struct resource_service *service, int64_t id,
		    int64_t version, enum event_kind kind);

#endif
