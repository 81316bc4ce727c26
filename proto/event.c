#include "proto/event.h"

#include "proto/message.h"
#include "proto/writer.h"

#include <assert.h>

enum { EVENT_MEMBERS = 5 };

void event_encode(const struct event *event, struct buffer *out)
{
	assert(event->resource.size > 0 &&
	       event->resource.size <= EVENT_RESOURCE_BYTES_MAX);
	writer_array(out, EVENT_MEMBERS);
	writer_int(out, MESSAGE_VERSION);
	writer_str(out, event->resource);
	writer_id(out, event->id);
	writer_uint(out, event->version);
	writer_int(out, event->kind);
}

/* The members behind the version, which are read as ours. */
static enum err_code body_decode(struct reader *reader, struct event *out)
{
	out->resource = reader_str(reader);
	out->id = reader_id(reader);
	out->version = reader_uint(reader);
	const uint64_t kind = reader_uint(reader);

	if (!reader_ok(reader) || out->id <= 0 || out->resource.size == 0 ||
	    out->resource.size > EVENT_RESOURCE_BYTES_MAX)
		return ERR_MALFORMED;
	if (kind < EVENT_CREATED || kind > EVENT_DESTROYED)
		return ERR_VERSION;
	out->kind = (enum event_kind)kind;
	return ERR_OK;
}

enum err_code event_decode(struct reader *reader, struct event *out)
{
	const uint32_t count = reader_array(reader);
	const uint64_t version = count > 0 ? reader_uint(reader) : 0;

	if (!reader_ok(reader) || count == 0)
		return ERR_MALFORMED;
	if (version == MESSAGE_VERSION)
		return count == EVENT_MEMBERS ? body_decode(reader, out)
					      : ERR_MALFORMED;
	for (uint32_t i = 1; i < count; i++)
		reader_value(reader);
	return reader_ok(reader) ? ERR_VERSION : ERR_MALFORMED;
}
