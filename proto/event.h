#ifndef PROTO_EVENT_H
#define PROTO_EVENT_H

/*
 * The frames a service tells its changes with. One nng message is one or more
 * of them end to end, each one msgpack array; proto/README.md tells the same.
 *
 *   [version, resource, id, object_version, kind]
 *
 * An event is a hint and not the data: whoever cares fetches the object.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/reader.h"

#include <stdint.h>

enum {
	EVENT_RESOURCE_BYTES_MAX = 64,
	/* The longest frame: heads, name, id, version and kind. */
	EVENT_BYTES_MAX = 96,
	/* The largest message: bounds what a subscriber that stopped reading
	 * costs, and holds the events of several commits. */
	EVENT_MESSAGE_BYTES_MAX = 64 * 1024,
};

/* Numbers of the wire: added, never changed. */
enum event_kind {
	EVENT_CREATED = 1,
	EVENT_UPDATED = 2,
	EVENT_DESTROYED = 3,
};

struct event {
	struct slice resource; /* the descriptor's name: "provider" */
	int64_t id;
	uint64_t version; /* the object's; of a destroyed one its last */
	enum event_kind kind;
};

/* The resource's name is 1 to EVENT_RESOURCE_BYTES_MAX bytes, asserted. */
void event_encode(const struct event *event, struct buffer *out);

/* Reads the next frame; the name is a view into what is read. ERR_MALFORMED:
 * not an event, nothing of the rest can be trusted. ERR_VERSION: the frame is
 * whole and was read past, but its version or kind is not ours. */
enum err_code event_decode(struct reader *reader, struct event *out);

#endif
