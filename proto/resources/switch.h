#ifndef PROTO_RESOURCES_SWITCH_H
#define PROTO_RESOURCES_SWITCH_H

/* switch.c: POST /api/tenants/switch (document 004). */

#include "proto/field.h"

extern const struct record switch_query_record; /* of the REST call */
extern const struct record switch_record;	/* of the bus method */

/* Indexes into the values of switch_record; the other has but the first. */
enum { SWITCH_ID, SWITCH_QUERY_FIELDS };
enum { SWITCH_ACCESS_TOKEN = SWITCH_QUERY_FIELDS, SWITCH_FIELDS };

#endif
