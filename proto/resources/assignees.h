#ifndef PROTO_RESOURCES_ASSIGNEES_H
#define PROTO_RESOURCES_ASSIGNEES_H

/* assignees.c: which tenants a trunk is assigned to (PortSIP v22,
 * "Administrations", document 004), and whose a DID number is. */

#include "proto/field.h"

/* An item of a trunk's assignees; what is asked and told of one: the body of an
 * assignment. */
extern const struct record assignee_record;
extern const struct record assigned_record;

/* Arguments of assignee.set; of assignee.get and assignee.destroy. */
extern const struct record assign_args_record;
extern const struct record assignee_args_record;

/* Arguments of provider.forget_tenant. */
extern const struct record tenant_args_record;

/* Arguments and answer of did.get, and an item of that. */
extern const struct record did_args_record;
extern const struct record did_record;
extern const struct record did_holder_record;

/* Indexes into the values of these records. */
enum {
	ASSIGNEE_TENANT_ID,
	ASSIGNEE_DID_NUMBERS,
	ASSIGNEE_CONCURRENCY,
	ASSIGNEE_FIELDS
};

enum { ASSIGNED_DID_NUMBERS, ASSIGNED_CONCURRENCY, ASSIGNED_FIELDS };

enum {
	ASSIGN_ID,
	ASSIGN_TENANT_ID,
	ASSIGN_DID_NUMBERS,
	ASSIGN_CONCURRENCY,
	ASSIGN_FIELDS
};

enum { ASSIGNEE_ARGS_ID, ASSIGNEE_ARGS_TENANT_ID, ASSIGNEE_ARGS_FIELDS };

enum { TENANT_ARGS_TENANT_ID, TENANT_ARGS_FIELDS };

enum { DID_ARGS_NUMBER, DID_ARGS_FIELDS };

enum {
	DID_HOLDER_PROVIDER_ID,
	DID_HOLDER_TENANT_ID,
	DID_HOLDER_DID_NUMBERS,
	DID_HOLDER_FIELDS
};

#endif
