#ifndef PROVIDER_ASK_H
#define PROVIDER_ASK_H

/* One call answered from one statement of the provider service's own. */

#include "services/common/audit.h"
#include "services/common/resource_service.h"

enum { ASK_PARAMS_MAX = 8 + AUDIT_PARAMS };

/* In the call's arena, as its parameters are. */
struct ask {
	const struct resource_service *service;
	struct bus_call *call;
	struct arena *arena;
	const char *params[ASK_PARAMS_MAX];
	size_t param_count;
};

struct ask *ask_new(void *service, struct bus_call *call);

/* Each adds the next parameter; text is kept by pointer. */
void ask_text(struct ask *ask, const char *text);
void ask_number(struct ask *ask, int64_t number);

/* The tenant the call asks for; null: one that may see every trunk asks. */
void ask_tenant(struct ask *ask);

/* Those of audit_append(). */
void ask_audit(struct ask *ask);

/* Runs a statement; done is given the struct ask. name, sql: as of
 * database_run(). */
void ask_run(struct ask *ask, enum database_lane lane, const char *name,
	     const char *sql, database_done_fn *done);

/* Tells of a trunk that was changed or is gone. */
void ask_publish(const struct ask *ask, int64_t id, int64_t version,
		 enum event_kind kind);

/* SQL: the tenant $n may change trunks; for null, true. */
#define ASK_MAY_CHANGE(n)                                                      \
	"($" #n "::bigint IS NULL OR EXISTS (SELECT FROM tenant.tenants o "    \
	"WHERE o.id = $" #n " AND o.enabled AND o.deleting_at IS NULL "        \
	"AND o.enable_feature_trunks))"

#endif
