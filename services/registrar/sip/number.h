#ifndef REGISTRAR_SIP_NUMBER_H
#define REGISTRAR_SIP_NUMBER_H

/* The scalar values of SIP header fields. ERR_MALFORMED: not of that form, or
 * out of range; *out is untouched. */

#include "proto/error.h"
#include "proto/slice.h"

#include <stdint.h>

/* All of text is decimal digits (space around them is not allowed) and the
 * number fits 32 bits. Leading zeros are fine (RFC 4475 3.1.1.1). */
enum err_code sip_number_decode(struct slice text, uint32_t *out);

/* A port of 1 to 65535, as above. */
enum err_code sip_port_decode(struct slice text, uint16_t *out);

/* A q value in thousandths: 0 to 1000 (RFC 3261 25.1 qvalue). */
enum err_code sip_qvalue_decode(struct slice text, unsigned *thousandths);

/* An RFC 1123 date in GMT, as SIP-date asks (RFC 3261 20.17), as seconds since
 * 1970 UTC. Other zones, a weekday that does not fit and days a month does not
 * have are ERR_MALFORMED. */
enum err_code sip_date_decode(struct slice text, int64_t *unix_s);

#endif
