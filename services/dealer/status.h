#ifndef DEALER_STATUS_H
#define DEALER_STATUS_H

/* dealer.status: what the calling dealer has, and may have. */

#include "services/common/bus_server.h"

bus_handler_fn status_get;

#endif
