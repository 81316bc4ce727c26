#ifndef REGISTRAR_SIP_BUILD_H
#define REGISTRAR_SIP_BUILD_H

/*
 * Writes messages into a buffer that the caller reuses: start line, headers in
 * the order of the calls, sip_build_end() last.
 *
 * Values come from peers and from settings. Whatever is in them, they stay in
 * their line: CR, LF and NUL go out as spaces, so that nobody can write
 * headers of his own. Nothing here fails or blocks.
 */

#include "proto/buffer.h"
#include "proto/slice.h"
#include "services/registrar/sip/check.h"
#include "services/registrar/sip/message.h"

#include <stdint.h>

/* "METHOD uri SIP/2.0". */
void sip_build_request(struct buffer *out, enum sip_method method,
		       struct slice uri);

/* "Via: SIP/2.0/UDP host:port;branch=...;rport" (RFC 3581: always asked for).
 * `branch` is without the cookie, which is written here. */
void sip_build_via(struct buffer *out, enum sip_transport transport,
		   const struct sip_host *sent_by, struct slice branch);

void sip_build_header(struct buffer *out, enum sip_header_name name,
		      struct slice value);
void sip_build_number(struct buffer *out, enum sip_header_name name,
		      uint32_t value);
void sip_build_cseq(struct buffer *out, uint32_t number,
		    enum sip_method method);

/* A value of several pieces: begin, any appends that keep out CR and LF, end.
 * sip_build_text() is the append for text that is not our own. */
void sip_build_begin(struct buffer *out, enum sip_header_name name);
void sip_build_text(struct buffer *out, struct slice text);
void sip_build_line_end(struct buffer *out);

/* "Allow: REGISTER, OPTIONS" of a set of methods; none: no line. */
void sip_build_allow(struct buffer *out, uint32_t methods);

/* Content-Type (where there is a body), Content-Length, the empty line and the
 * body, which may be absent. The message is whole after it. */
void sip_build_end(struct buffer *out, struct slice content_type,
		   struct slice body);

/* How a request is answered. */
struct sip_reply {
	unsigned status;
	struct slice reason; /* absent: sip_status_text() */
	struct slice to_tag; /* put on To where it has none; absent: never (100,
				a forwarded answer) */
	struct sip_host source; /* where the request came from: an address, not
				   a name; kind NONE: Via is left as it is */
};

/* Status line, all Vias, From, To, Call-ID and CSeq of the request (RFC 3261
 * 8.2.6.2), Timestamp on a 100. The topmost Via gets `received` where sent-by
 * is not the source's address (18.2.1) or rport was asked for, and `rport` its
 * value (RFC 3581 4); a `received` or `rport` value the sender wrote himself is
 * overwritten. Headers may follow; then sip_build_end(). */
void sip_build_response(struct buffer *out, const struct sip_message *request,
			const struct sip_reply *reply);

/* The whole answer to a verdict of SIP_VERDICT_REFUSE, with the Allow of a 405
 * or 501 and the Unsupported of a 420. reply->status and reason are not looked
 * at. */
void sip_build_refusal(struct buffer *out, const struct sip_message *request,
		       const struct sip_verdict *verdict,
		       const struct sip_policy *policy,
		       const struct sip_reply *reply);

#endif
