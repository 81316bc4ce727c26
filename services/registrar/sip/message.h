#ifndef REGISTRAR_SIP_MESSAGE_H
#define REGISTRAR_SIP_MESSAGE_H

/*
 * One SIP message as views over the bytes it was received in (RFC 3261 7).
 *
 * Parsing splits start line, header lines and body and knows the names; what
 * is in a header is decoded when it is asked for. What is asked for again and
 * again is decoded once, by the parser: the Request-URI, the topmost Via, To,
 * CSeq and the first Contact. Nothing is copied, allocated or written: the
 * bytes have to outlive the struct. Parsing is linear in the bytes; each
 * accessor is linear in the lines it looks at.
 *
 * A message that parses may still be nonsense: check.h says what to answer it.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/registrar/sip/address.h"
#include "services/registrar/sip/names.h"
#include "services/registrar/sip/uri.h"
#include "services/registrar/sip/via.h"

#include <stdint.h>

enum {
	/* Header lines, folded ones included. The longest of RFC 4475 has 45
	 * (34 of them Via); a REGISTER 15. Bounds the struct to some 6 kB and
	 * an index to one byte. */
	SIP_LINES_MAX = 128,

	/* Values of one header over all its lines, for the lists below. */
	SIP_VALUES_MAX = 128,
};

/* How the bytes came, which decides what Content-Length means (RFC 3261 18.3).
 */
enum sip_framing {
	SIP_DATAGRAM, /* bytes behind the body are ignored; no Content-Length:
			 the body goes to the end */
	SIP_STREAM,   /* frame.h cut exactly one message; Content-Length has
			 to be there */
};

struct sip_header {
	enum sip_header_name name;
	uint8_t next;		/* index of the next of this name, 0: none */
	struct slice name_text; /* as written */
	struct slice value;	/* no space at either end; may hold folds */
};

struct sip_cseq {
	uint32_t number;
	enum sip_method method;
	struct slice method_text;
};

struct sip_message {
	struct slice text; /* what was given, leading empty lines aside */
	bool request;	   /* else a response */

	enum sip_method method;	  /* requests */
	struct slice method_text; /* requests */
	struct slice uri_text;	  /* requests; absent where the line is broken
				   */
	unsigned status;	  /* responses: 100 to 699 */
	struct slice reason;	  /* responses; may be empty */

	/* Headers in order are headers[1] to headers[count]: 0 is "none". */
	size_t count;
	struct sip_header headers[SIP_LINES_MAX + 1];
	uint8_t first[SIP_HEADER_COUNT];
	uint8_t last[SIP_HEADER_COUNT];

	struct slice body;

	/* As sip_message_uri(), sip_message_via(), sip_message_address() and
	 * sip_message_cseq() give them. */
	enum err_code uri_code, via_code, to_code, cseq_code;
	struct sip_uri uri;
	struct sip_via via;
	struct slice via_rest; /* of its line, behind its comma */
	struct sip_address to;
	struct sip_cseq cseq;

	/* What sip_address_next() says of the first line of Contact. */
	enum err_code contact_code;
	struct sip_address contact;
	struct slice contact_rest;

	/* A fault that leaves enough to answer the sender with: the status to
	 * refuse with and why. 0 and NULL: none. check.h acts on it. */
	unsigned fault_status;
	const char *fault;
};

/* Splits the bytes of one message; empty lines before it are passed over (RFC
 * 3261 7.5). ERR_MALFORMED: this is no SIP message, or nothing that could be
 * answered; *out is undefined. ERR_OK with out->fault set: read as far as
 * possible, to be refused. Lines end with CR LF; a CR or LF by itself is
 * ERR_MALFORMED, since hops that see different lines can be played against
 * each other. */
enum err_code sip_message_parse(struct slice bytes, enum sip_framing framing,
				struct sip_message *out);

/* The first header of a name and the next of the same name; NULL: no more. */
static inline const struct sip_header *
sip_message_first(const struct sip_message *message, enum sip_header_name name)
{
	const uint8_t index = message->first[name];

	return index == 0 ? NULL : &message->headers[index];
}

static inline const struct sip_header *
sip_message_next(const struct sip_message *message,
		 const struct sip_header *header)
{
	return header->next == 0 ? NULL : &message->headers[header->next];
}

/* The value of the first header of a name; absent: there is none. For Call-ID,
 * User-Agent, Server, Subject, Authorization and so on. */
struct slice sip_message_value(const struct sip_message *message,
			       enum sip_header_name name);

/* The next ones decode on each call what the parser did not: keep what you need
 * again. All return ERR_NOT_FOUND where the header is missing, ERR_MALFORMED
 * where it is broken. */

/* The Request-URI. */
enum err_code sip_message_uri(const struct sip_message *message,
			      struct sip_uri *out);

/* The topmost Via value. See sip_via_next() for what a broken one leaves. */
enum err_code sip_message_via(const struct sip_message *message,
			      struct sip_via *out);

/* From, To and the like: the one address of a header. */
enum err_code sip_message_address(const struct sip_message *message,
				  enum sip_header_name name,
				  struct sip_address *out);

enum err_code sip_message_cseq(const struct sip_message *message,
			       struct sip_cseq *out);

/* Expires, Min-Expires, Max-Forwards, Content-Length: a 32-bit number.
 * Retry-After: its seconds, whatever comment or parameters follow. */
enum err_code sip_message_number(const struct sip_message *message,
				 enum sip_header_name name, uint32_t *out);

enum err_code sip_message_date(const struct sip_message *message,
			       int64_t *unix_s);

/*
 * All values of a header, over its lines and the commas in them:
 *
 *	struct sip_list list = sip_list_of(message, SIP_CONTACT);
 *	struct sip_address contact;
 *	enum err_code code;
 *
 *	while ((code = sip_list_address(&list, &contact)) == ERR_OK)
 *		...
 *	if (code != ERR_NOT_FOUND)
 *		a value was broken or one too many; the list ends there
 */
struct sip_list {
	const struct sip_message *message;
	const struct sip_header *header; /* the line being read; NULL: end */
	struct slice rest;
	unsigned left; /* values until SIP_VALUES_MAX */
};

struct sip_list sip_list_of(const struct sip_message *message,
			    enum sip_header_name name);

/* Contact, Path, Route, Record-Route, Service-Route, P-Asserted-Identity. */
enum err_code sip_list_address(struct sip_list *list, struct sip_address *out);
enum err_code sip_list_via(struct sip_list *list, struct sip_via *out);
/* Require, Proxy-Require, Supported, Unsupported, Allow. */
enum err_code sip_list_token(struct sip_list *list, struct slice *out);

/* An option tag stands in Supported (or Require, ...), its case aside. */
bool sip_message_lists(const struct sip_message *message,
		       enum sip_header_name name, const char *tag);

#endif
