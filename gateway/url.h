#ifndef GATEWAY_URL_H
#define GATEWAY_URL_H

/*
 * The parts of a request target: path segments and query strings, and forms,
 * which are written like a query (RFC 3986; WHATWG URL,
 * application/x-www-form-urlencoded). h2o decodes the whole path before it
 * looks for '/', so that %2F and %00 get lost in it: we decode piece by piece.
 *
 * Everything decoded lives in the arena and is never absent, only empty. It is
 * valid UTF-8 without NUL; other control characters are left to the rules of
 * the fields. Nothing here blocks.
 */

#include "proto/arena.h"
#include "proto/error.h"
#include "proto/slice.h"

#include <stddef.h>

enum {
	/* The largest query has 20 parameters; the bound keeps looking them
	 * up, one by one, cheap. */
	URL_PAIRS_MAX = 64,
};

struct url_pair {
	struct slice name;
	struct slice value;
};

struct url_query {
	size_t count;
	struct url_pair pairs[URL_PAIRS_MAX]; /* as they came */
};

/* Decodes the %XX of one path segment; '+' stands for itself. ERR_MALFORMED:
 * a '%' without two hexadecimal digits, %00, not UTF-8; *out is untouched. */
enum err_code url_segment_decode(struct slice raw, struct arena *arena,
				 struct slice *out, struct err *err);

/* Reads "name=value&name=value", without the '?'; an absent or empty text has
 * no pairs. '+' is a space. A name without '=' has an empty value; nothing
 * between two '&' is no pair. ERR_MALFORMED as above, or more than
 * URL_PAIRS_MAX pairs. */
enum err_code url_query_parse(struct slice raw, struct arena *arena,
			      struct url_query *out, struct err *err);

/* The value of a name, absent where it is not given. ERR_VALIDATE, with the
 * name as the field: it is given more than once; *value is untouched. */
enum err_code url_query_get(const struct url_query *query, const char *name,
			    struct slice *value, struct err *err);

#endif
