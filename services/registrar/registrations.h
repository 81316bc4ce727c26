#ifndef REGISTRAR_REGISTRATIONS_H
#define REGISTRAR_REGISTRATIONS_H

/* Who is registered here, over the bus: `registrar.registrations`
 * (proto/resources/registrations.c). */

#include "services/common/bus_server.h"
#include "services/registrar/bindings.h"
#include "services/registrar/world.h"

/* Answers a call whose arguments are registration_query_record's with {count,
 * items}: count addresses of record, items their contacts in order. aor,
 * trunk_id and user_id name at most one; of a trunk that does not register here
 * there are none. Who asks for a tenant sees what is the tenant's. */
void registrations_answer(struct bindings *bindings, const struct world *world,
			  struct bus_call *call);

/* Appends that answer; tenant_id: of what is that tenant's, or 0. */
void registrations_encode(const struct bindings_page *page, int64_t tenant_id,
			  struct buffer *out);

/* Names a contact for as long as it is refreshed: of its device and flow or,
 * where it does not tell them, of the contact itself. */
int64_t registrations_id(struct slice aor, const struct binding *binding,
			 struct buffer *scratch);

/* What came over SIP, as a text that is UTF-8; a view, or in the arena. */
struct slice registrations_text(struct slice bytes, struct arena *arena);

#endif
