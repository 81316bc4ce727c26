#ifndef PROTO_ID_H
#define PROTO_ID_H

/*
 * Resource ids: positive 63-bit integers that the database makes
 * (deploy/migrations/0001_common.sql), and the text form of each dialect.
 * Decoding is strict: only the very text that encoding gives is an id.
 */

#include "proto/buffer.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Base64 of the decimal digits, as in PortSIP v22:
 * 700551909773148160 <-> NzAwNTUxOTA5NzczMTQ4MTYw */
void id_v22_append(struct buffer *out, int64_t id);
bool id_v22_decode(struct slice text, int64_t *id);

/* Decimal digits, no sign, no leading zero. */
void id_decimal_append(struct buffer *out, int64_t id);
bool id_decimal_decode(struct slice text, int64_t *id);

#endif
