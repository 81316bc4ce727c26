#ifndef TENANT_EXTENSION_NUMBER_H
#define TENANT_EXTENSION_NUMBER_H

/* extension_number.get {extension_number} -> extension_number_record: who has a
 * number in the caller's tenant. */

#include "services/common/resource_service.h"

bus_handler_fn extension_number_get;

#endif
