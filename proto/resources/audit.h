#ifndef PROTO_RESOURCES_AUDIT_H
#define PROTO_RESOURCES_AUDIT_H

/* audit.c: the audit log, PortSIP v22 "Troubleshooting". Its rows are written
 * by services/common/audit.h; here they are read. */

#include "proto/field.h"

extern const struct resource audit_resource;

#endif
