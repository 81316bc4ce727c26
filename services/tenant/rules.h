#ifndef TENANT_RULES_H
#define TENANT_RULES_H

/*
 * The hooks of both views of a tenant. Before a write: its time zone, currency
 * and region exist (ERR_VALIDATE naming the field), and the passwords and
 * tokens of its event hooks are sealed, since they are stored within a record.
 * After one that disables it: its sessions are ended.
 */

#include "services/common/resource_service.h"

void rules_before(struct resource_change *change);
void rules_after(struct resource_change *change);

#endif
