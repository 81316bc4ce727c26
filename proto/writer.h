#ifndef PROTO_WRITER_H
#define PROTO_WRITER_H

/*
 * Writes msgpack to the end of a buffer, each value in its shortest form
 * (msgpack-c stands behind it). Nothing here fails. A map or array head is
 * followed by as many values as it says: the caller counts.
 */

#include "proto/buffer.h"

#include <stdbool.h>
#include <stdint.h>

void writer_nil(struct buffer *out);
void writer_bool(struct buffer *out, bool value);
void writer_int(struct buffer *out, int64_t value);
void writer_uint(struct buffer *out, uint64_t value);
void writer_float(struct buffer *out, double value);
void writer_str(struct buffer *out, struct slice value); /* UTF-8 */
void writer_text(struct buffer *out, const char *value); /* NULL: nil */
void writer_bin(struct buffer *out, struct slice value);
void writer_id(struct buffer *out, int64_t id);
void writer_time(struct buffer *out, int64_t seconds); /* since 1970 UTC */
void writer_array(struct buffer *out, uint32_t count);
void writer_map(struct buffer *out, uint32_t pairs);

/* Bytes that are msgpack already. */
void writer_raw(struct buffer *out, struct slice msgpack);

#endif
