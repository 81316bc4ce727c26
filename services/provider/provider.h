#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

/* The provider service: SIP providers (trunks), schema `provider`. */

#include "services/common/process.h"

extern const struct process_kind provider_process;

#endif
