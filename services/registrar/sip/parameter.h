#ifndef REGISTRAR_SIP_PARAMETER_H
#define REGISTRAR_SIP_PARAMETER_H

/*
 * The small grammars that all SIP header fields are made of: parameters, words
 * between commas and quoted strings (RFC 3261 25.1).
 *
 * Readers take a view and move its start past what they read. They return
 *   ERR_OK         one was read, *out is set;
 *   ERR_NOT_FOUND  nothing but space was left;
 *   ERR_MALFORMED  the grammar is broken there. *rest is then the absent view,
 *                  so that a loop that forgets to ask ends anyway.
 * Line folds (CR LF followed by a space or tab) count as space everywhere.
 * Each byte is looked at a bounded number of times; nothing here allocates.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"

#include <stdbool.h>

enum {
	/* Parameters of one value. A contact with push parameters has some 15.
	 * Keeps a value of thousands from being read thousands of times. */
	SIP_PARAMETERS_MAX = 64,
};

/* name, name=token, name=host or name="quoted". */
struct sip_parameter {
	struct slice name;
	struct slice value; /* absent: no '='. Without its quotes, still
			       escaped, where `quoted` */
	bool quoted;
};

/* Reads ";name" or ";name=value" (generic-param, RFC 3261 25.1). Values may
 * hold any token, host, IPv6 reference or quoted string. */
enum err_code sip_parameter_next(struct slice *rest, struct sip_parameter *out);

/* The first parameter of that name (case aside) in a view of ";a=b;c" that a
 * decoder has accepted. ERR_NOT_FOUND where it is missing or broken. */
enum err_code sip_parameter_find(struct slice parameters, const char *name,
				 struct sip_parameter *out);

/* The value of such a parameter: absent where it is missing, empty where it is
 * there without a value. */
struct slice sip_parameter_value(struct slice parameters, const char *name);

/* All of `parameters` reads as parameters to the last byte, and there are no
 * more than SIP_PARAMETERS_MAX of them. */
bool sip_parameters_valid(struct slice parameters);

/* Credentials and challenges: "Digest realm="x", nonce="y"" (RFC 3261 20.7). */
struct sip_credentials {
	struct slice scheme; /* "Digest" */
	struct slice pairs;  /* "name=value, name=value", for sip_pair_next() */
};

/* ERR_MALFORMED: no scheme followed by space. The pairs are not looked at. */
enum err_code sip_credentials_decode(struct slice value,
				     struct sip_credentials *out);

/* Reads one name=value and the comma that follows it. Commas with nothing
 * between them, a comma at the end and a name without '=' are ERR_MALFORMED,
 * as the grammar has it: `Digest , , , ,` costs one look. */
enum err_code sip_pair_next(struct slice *rest, struct sip_parameter *out);

/* Reads one word (token) of a comma list: option tags, methods. */
enum err_code sip_token_next(struct slice *rest, struct slice *out);

/* Appends the text of a quoted string without its escapes. */
void sip_quoted_append(struct buffer *out, struct slice escaped);

/* Appends text as a quoted string, quotes included; '"' and '\' are escaped,
 * control characters (CR, LF, NUL and so on) become spaces. */
void sip_quote_append(struct buffer *out, struct slice text);

#endif
