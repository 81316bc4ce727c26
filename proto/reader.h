#ifndef PROTO_READER_H
#define PROTO_READER_H

/*
 * A cursor over msgpack bytes (the msgpack specification of 2013, ext types
 * included). It never reads outside its view, keeps its first error, and
 * answers zero, empty or absent from then on: read what you expect, then ask
 * reader_ok() once. Views it returns point into the bytes it reads.
 * It allocates nothing and never blocks.
 */

#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* Deeper nesting is an error: bounds the recursion of every walker. */
	READER_DEPTH_MAX = 32,

	/* Our own msgpack extension types (proto/README.md). */
	WIRE_EXT_ID = 1, /* 8 bytes, big endian: a resource's id */
	WIRE_EXT_TIME =
		-1, /* msgpack's own timestamp; written as whole seconds */
};

enum reader_kind {
	READER_END,	/* nothing left */
	READER_INVALID, /* an error is set, or the next byte is no msgpack */
	READER_NIL,
	READER_BOOL,
	READER_INT, /* any integer, signed or not */
	READER_FLOAT,
	READER_STR,
	READER_BIN,
	READER_ARRAY,
	READER_MAP,
	READER_ID,   /* ext type WIRE_EXT_ID */
	READER_TIME, /* ext type WIRE_EXT_TIME */
	READER_EXT,  /* any other ext type */
};

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

void reader_init(struct reader *reader, struct slice bytes);

/* No read has failed so far. */
bool reader_ok(const struct reader *reader);

/* No read has failed and every byte was read. */
bool reader_done(const struct reader *reader);

/* The kind of the next value, which stays where it is. */
enum reader_kind reader_peek(const struct reader *reader);

/* Each reads the next value, which has to be of its kind. */
void reader_nil(struct reader *reader);
bool reader_bool(struct reader *reader);
double reader_float(struct reader *reader);
struct slice reader_str(struct reader *reader);
struct slice reader_bin(struct reader *reader);
int64_t reader_id(struct reader *reader);
int64_t reader_time(struct reader *reader); /* seconds since 1970 UTC */

/* Integers outside the asked type are errors. */
int64_t reader_int(struct reader *reader);
uint64_t reader_uint(struct reader *reader);

/* The head of an array (items follow) or map (key, value pairs follow): the
 * count, which is never more than the bytes left can hold. */
uint32_t reader_array(struct reader *reader);
uint32_t reader_map(struct reader *reader);

/* Reads past the next value, nested ones included, and returns its bytes;
 * deeper than READER_DEPTH_MAX is an error. */
struct slice reader_value(struct reader *reader);

/* Sets the error, for a caller that found a fault of its own. */
void reader_fail(struct reader *reader);

#endif
