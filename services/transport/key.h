#ifndef TRANSPORT_KEY_H
#define TRANSPORT_KEY_H

/*
 * The certificate and key of the TLS listeners (GET|POST /api/key).
 *
 *   key.get {}          -> {crt, key}, both nil before the first key.set
 *   key.set {crt, key}  -> nil; refused unless the two belong together
 *   key.versions {}     -> as of a resource (services/common/resource.h) with
 *   key.fetch {ids}        one object, so that it can be followed
 */

#include "services/common/bus_server.h"

bus_handler_fn key_get, key_set, key_versions, key_fetch;

#endif
