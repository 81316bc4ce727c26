#ifndef REGISTRAR_REGISTRATIONS_H
#define REGISTRAR_REGISTRATIONS_H

/* Who is registered here, over the bus: `registrar.registrations`
 * (proto/resources/registrations.c). */

#include "services/common/bus_server.h"
#include "services/registrar/bindings.h"
#include "services/registrar/world.h"

/* Answers a call whose arguments are registration_query_record's with {count,
 * items}: count addresses of record, items their contacts in order. aor and
 * trunk_id name at most one; of a trunk that does not register here there are
 * none. */
void registrations_answer(struct bindings *bindings, const struct world *world,
			  struct bus_call *call);

/* Appends that answer. */
void registrations_encode(const struct bindings_page *page, struct buffer *out);

#endif
