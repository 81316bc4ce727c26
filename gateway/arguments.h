#ifndef GATEWAY_ARGUMENTS_H
#define GATEWAY_ARGUMENTS_H

/* From what a REST call carries to the arguments of its bus method, by the
 * shape of its route (services/common/resource.h says what each takes). */

#include "gateway/dialect.h"
#include "gateway/route.h"
#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/error.h"

/* What a call carries beside its path. Absent where it was not sent. */
struct arguments_input {
	struct slice query; /* raw */
	struct slice body;
	struct slice content_type;
	struct slice if_match;
	struct slice idempotency_key;
	struct slice token; /* the session's own, for ROUTE_TOKEN */
};

/*
 * Appends the msgpack map of arguments. The body is transcoded in one pass; an
 * empty one is {}. Query parameters nobody knows are not looked at. On failure
 * out holds rubbish behind what it held: ERR_VALIDATE (a field names the
 * parameter or header), ERR_MALFORMED, ERR_MEDIA_TYPE, ERR_NOT_FOUND (the
 * path's id is none; ERR_VALIDATE for ROUTE_DESTROY, as PortSIP v22 has it).
 */
enum err_code arguments_build(const struct dialect *dialect,
			      const struct route_match *match,
			      const struct arguments_input *input,
			      struct arena *arena, struct buffer *out,
			      struct err *err);

/* The arguments of the next page of an export: those of the first with
 * "after", one msgpack value, added. */
void arguments_page(struct slice first, struct slice after, struct buffer *out);

#endif
