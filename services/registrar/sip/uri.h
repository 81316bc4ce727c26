#ifndef REGISTRAR_SIP_URI_H
#define REGISTRAR_SIP_URI_H

/*
 * SIP, SIPS and tel URIs (RFC 3261 19.1 and 25.1, RFC 3966) as views into the
 * text they were read from. A URI of any other scheme is taken as it stands.
 * Nothing here allocates but what is appended to a caller's buffer.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"
#include "services/registrar/sip/host.h"
#include "services/registrar/sip/names.h"
#include "services/registrar/sip/parameter.h"

#include <stdint.h>

enum {
	/* Comparing looks each parameter (or header) of one URI up in the
	 * other, so both get a bound: a phone's contact has under ten. */
	SIP_URI_COMPARE_MAX = 32,
};

enum sip_scheme {
	SIP_SCHEME_OTHER, /* zero */
	SIP_SCHEME_SIP,
	SIP_SCHEME_SIPS,
	SIP_SCHEME_TEL,
};

struct sip_uri {
	enum sip_scheme scheme;
	struct slice text;	  /* all of it */
	struct slice scheme_text; /* "sip" */
	struct slice user;	  /* as written, escapes and all; absent: none.
				     tel: the number. Other: all behind ':' */
	struct slice password;	  /* as written; absent: none */
	struct sip_host host;
	struct slice parameters; /* ";a=b;c" or empty, well-formed */
	struct slice headers;	 /* "a=b&c=d" without '?'; absent: none */
};

/* Reads a URI that is all of text. ERR_MALFORMED: broken, or more than
 * SIP_PARAMETERS_MAX parameters or headers; *out is undefined. */
enum err_code sip_uri_decode(struct slice text, struct sip_uri *out);

/* The value of a parameter, its name's case aside: absent where it is missing,
 * empty where it stands without a value. Still escaped. */
struct slice sip_uri_parameter(const struct sip_uri *uri, const char *name);

/* What the `transport` parameter says: _OTHER where it is missing or unknown.
 */
enum sip_transport sip_uri_transport(const struct sip_uri *uri);

/* RFC 3261 19.1.4. URIs of unknown schemes are equal when their texts are. More
 * than SIP_URI_COMPARE_MAX parameters or headers on a side: equal only where
 * they are written the same. */
bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b);

/* Appends a user, password or parameter value without its %XX. */
void sip_unescape_append(struct buffer *out, struct slice escaped);

/* Appends any bytes as the user part of a URI, escaping what has to be. */
void sip_user_append(struct buffer *out, struct slice user);

/* Appends the canonical key of an address of record (RFC 3261 10.3, step 5):
 * "user@host", user without escapes, host in lower case, no scheme, port or
 * parameters; "host" where there is no user, the bare number for tel. The
 * last '@' is the separator. ERR_MALFORMED: neither SIP, SIPS nor tel; nothing
 * is appended. */
enum err_code sip_uri_aor_append(struct buffer *out, const struct sip_uri *uri);

#endif
