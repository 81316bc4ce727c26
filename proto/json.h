#ifndef PROTO_JSON_H
#define PROTO_JSON_H

/*
 * JSON text <-> msgpack, one strict pass each way.
 *
 * It stands in proto and not in the gateway because three sides need it: the
 * gateway (REST bodies), the resource engine (jsonb columns) and the command
 * line client.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"

#include <stdint.h>

enum {
	JSON_DEPTH_MAX = 32, /* as READER_DEPTH_MAX */
	/* Offsets are 32 bits wide and msgpack takes up to three times the
	 * text; the longest text of ours is a REST body of 1 MiB. */
	JSON_BYTES_MAX = 1 << 28,
};

/*
 * Appends the msgpack of one JSON text (RFC 8259) to out. Integers without
 * fraction or exponent become msgpack integers and keep all 64 bits (int64 or
 * uint64); other numbers become floats. Refused, as ERR_MALFORMED with the
 * byte offset in the text of err: duplicate keys of one object, invalid UTF-8
 * (overlong forms and surrogates included), lone \u surrogates, control
 * characters in strings, nesting deeper than JSON_DEPTH_MAX, integers outside
 * 64 bits, numbers that overflow a double, leading zeros, trailing data, a
 * byte order mark, texts longer than JSON_BYTES_MAX. \u0000 is carried. Linear
 * in the size of the text but for the duplicate check, which is bounded: see
 * json_keys.h. On failure out is left as it was. Does not block.
 */
enum err_code json_to_msgpack(struct slice json, struct buffer *out,
			      struct err *err);

/* How one dialect writes an id. Appends the JSON value, quotes included. */
typedef void json_id_fn(struct buffer *out, int64_t id);

/*
 * Appends the JSON of one msgpack value to out, compact (no white space).
 * Ids (WIRE_EXT_ID) are written by id_fn, or as decimal numbers where it is
 * NULL; times (WIRE_EXT_TIME) as RFC 3339 in UTC, "2017-07-21T17:32:28Z".
 * Floats are written so that they read back the same, NaN and infinities as
 * null. Refused as ERR_INTERNAL: bytes that are not one whole msgpack value,
 * map keys that are not strings, bin, other ext types, strings that are not
 * UTF-8. On failure out is left as it was. Does not block.
 */
enum err_code json_from_msgpack(struct slice msgpack, json_id_fn *id_fn,
				struct buffer *out, struct err *err);

/* Appends text as a JSON string, quotes included, escaping what RFC 8259
 * section 7 asks for. Bytes that are not UTF-8 (an error text cut within a
 * character) become U+FFFD. */
void json_append_str(struct buffer *out, struct slice text);

#endif
