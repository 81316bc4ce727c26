#ifndef REGISTRAR_SIP_LINE_H
#define REGISTRAR_SIP_LINE_H

/* The lines of a message (RFC 3261 7 and 7.3.1). Private to this folder. */

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/message.h"

enum sip_line {
	SIP_LINE_HEADER, /* *out is set */
	SIP_LINE_BROKEN, /* a line without a colon or with a bad name */
	SIP_LINE_EMPTY,	 /* the end of the headers; the body follows */
	SIP_LINE_CUT,	 /* the bytes end before the line does */
	SIP_LINE_TORN,	 /* a CR or LF by itself */
	SIP_LINE_MANY,	 /* no lines were left to read */
};

/* Reads the line that ends with the next CR LF, which is stepped over: _HEADER,
 * _EMPTY, _CUT or _TORN. */
enum sip_line sip_line_read(struct cursor *c, struct slice *line);

/* Reads a header and the lines folded into it, which count against *left. */
enum sip_line sip_line_header(struct cursor *c, unsigned *left,
			      struct sip_header *out);

#endif
