#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

/*
 * The walkers over field descriptors: decode and validate, defaults, encode.
 * Values of a record are an array with one struct value per field, in order.
 */

#include "proto/error.h"
#include "proto/field.h"
#include "proto/json.h"
#include "proto/reader.h"

enum record_mode {
	RECORD_CREATE, /* required fields have to be there */
	RECORD_UPDATE, /* any subset; null is the default again */
};

/* What record_encode shows. */
enum record_view {
	RECORD_FULL,	/* all but secret, hidden and ignored fields */
	RECORD_SUMMARY, /* those of them flagged FIELD_SUMMARY */
	RECORD_SECRET,	/* RECORD_FULL and the secret fields, without nested
			 * records: for processes of the suite only */
	RECORD_VIEWS
};

/*
 * Reads a msgpack map into values (zeroed here). Every broken rule becomes a
 * detail of err under the field's dotted path ("hours.monday.ranges[0].from"),
 * up to err's bound, and the result is ERR_VALIDATE; bytes that are not a map
 * are ERR_VALIDATE without detail, broken msgpack is ERR_MALFORMED. Rules: type, range, length, choice,
 * the field's own check, no control characters, no unknown and no repeated
 * field, required ones present and not null. A null for another field reads as
 * VALUE_NULL.
 */
enum err_code record_decode(const struct record *record, enum record_mode mode,
			    struct reader *reader, struct arena *arena,
			    struct value *values, struct err *err);

/* Puts the defaults where values are absent or null; a field without one stays
 * as it is. Nested records keep just what was said: record_encode shows their
 * defaults. */
void record_default(const struct record *record, struct value *values);

/* Writes the msgpack map of a view. Absent and null values are written as the
 * default, or nil where there is none. */
void record_encode(const struct record *record, enum record_view view,
		   const struct value *values, struct buffer *out);

/* Whether a view shows a field. */
bool record_shows(enum record_view view, const struct field *field);

/*
 * The storage form of a nested record or list: JSON text with only what was
 * said (absent members are left out, null ones kept), for a jsonb column.
 * record_load reads it back, leniently: members that are unknown or no longer
 * valid are left absent. ERR_INTERNAL: not JSON.
 */
void record_store(const struct field *field, const struct value *value,
		  struct buffer *out);
enum err_code record_load(const struct field *field, struct slice json,
			  struct arena *arena, struct value *value);

#endif
