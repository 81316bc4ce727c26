#ifndef PROTO_RESOURCES_TENANTS_H
#define PROTO_RESOURCES_TENANTS_H

/* Tenants: PortSIP v22 "Tenants" (document 004) and what a tenant's own
 * administrator sees of it. */

#include "proto/field.h"

extern const struct resource tenant_resource;	  /* /api/tenants */
extern const struct resource own_tenant_resource; /* /api/tenant */

/* tenant.destroy: {id, if_version?} */
extern const struct record tenant_destroy_record;

/* tenant.designate, tenant.undesignate: {id, dealer_id} */
extern const struct record tenant_designate_record;

/* tenant.dealers {id}: an item of its answer {items} */
extern const struct record tenant_dealer_record;

/* The answer of tenant.status */
extern const struct record tenant_status_record;

/* The hooks of a tenant's events: a record that is nested in both resources,
 * with the secrets the tenant service seals. */
extern const struct record tenant_event_record;

/* Indexes into the values of these records. */
enum { TENANT_DESTROY_ID, TENANT_DESTROY_IF_VERSION, TENANT_DESTROY_FIELDS };

enum {
	TENANT_DESIGNATE_ID,
	TENANT_DESIGNATE_DEALER_ID,
	TENANT_DESIGNATE_FIELDS
};

enum {
	TENANT_DEALER_ID,
	TENANT_DEALER_ENABLED,
	TENANT_DEALER_LEVEL,
	TENANT_DEALER_NAME,
	TENANT_DEALER_DISPLAY_NAME,
	TENANT_DEALER_FIELDS
};

enum {
	TENANT_STATUS_VERSION,
	TENANT_STATUS_LICENSED_USERS,
	TENANT_STATUS_CURRENT_USERS,
	TENANT_STATUS_ONLINE_USERS,
	TENANT_STATUS_CURRENT_CALLS,
	TENANT_STATUS_CURRENT_QUEUES,
	TENANT_STATUS_CURRENT_CONFERENCE_ROOMS,
	TENANT_STATUS_CURRENT_RING_GROUPS,
	TENANT_STATUS_CURRENT_IVRS,
	TENANT_STATUS_CURRENT_TRUNKS,
	TENANT_STATUS_CALLS_IN_24_HOURS,
	TENANT_STATUS_FIELDS
};

#endif
