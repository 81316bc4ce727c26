#ifndef GATEWAY_CSV_H
#define GATEWAY_CSV_H

/* CSV (RFC 4180) of resources, for exports: one column for each field that an
 * answer shows, in the record's order. Lists and nested objects are JSON text
 * in their cell; null is an empty cell. A text that a spreadsheet would take
 * for a formula has an apostrophe in front. */

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/field.h"
#include "proto/json.h"
#include "proto/reader.h"

/* Appends the names of the columns. */
void csv_head_append(const struct record *record, struct buffer *out);

/* Reads the next value, the msgpack map of one object, and appends its line.
 * ERR_INTERNAL: it is no map, or cannot be shown. */
enum err_code csv_line_append(const struct record *record,
			      struct reader *reader, json_id_fn *id_append,
			      struct arena *arena, struct buffer *out,
			      struct err *err);

#endif
