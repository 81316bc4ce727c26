#ifndef PROTO_ERROR_H
#define PROTO_ERROR_H

/*
 * Every error a function, a bus reply or a REST answer can carry, once.
 *
 * The number is the `status` of a bus reply (proto/README.md): numbers are
 * added, never changed. The HTTP status and the v22 code name are what the
 * gateway answers; the text is what a client reads where nothing better is
 * known. Library errors (errno, libpq, hiredis, nng) are translated at their
 * module's edge and go no further.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, number, HTTP status, PortSIP v22 code, text */
#define ERR_LIST(X)                                                            \
	X(ERR_OK, 0, 200, "OK", "no error")                                    \
	X(ERR_VALIDATE, 1, 400, "VALIDATE_FAILED", "field validation failed")  \
	X(ERR_MALFORMED, 2, 400, "VALIDATE_FAILED", "malformed request")       \
	X(ERR_SIGN_IN, 3, 400, "UNAUTHORIZED",                                 \
	  "Login failed, authentication error")                                \
	X(ERR_REFRESH, 4, 400, "UNKNOWN", "unknown refresh token")             \
	X(ERR_UNAUTHORIZED, 5, 401, "UNAUTHORIZED",                            \
	  "missing or unknown access token")                                   \
	X(ERR_FORBIDDEN, 6, 403, "FORBIDDEN", "not allowed for this account")  \
	X(ERR_NOT_FOUND, 7, 404, "NOT_FOUND", "no such resource")              \
	X(ERR_METHOD, 8, 405, "METHOD_NOT_ALLOWED", "method not allowed here") \
	X(ERR_CONFLICT, 9, 409, "CONFLICT", "conflicts with what exists")      \
	X(ERR_IN_USE, 10, 409, "IN_USE", "the resource is in use")             \
	X(ERR_DID_OVERLAP, 11, 409, "DID_OVERLAP", "DID numbers overlap")      \
	X(ERR_LIMIT, 12, 409, "LIMIT_EXCEEDED", "a limit is reached")          \
	X(ERR_PRECONDITION, 13, 412, "PRECONDITION_FAILED",                    \
	  "the resource was changed meanwhile")                                \
	X(ERR_TOO_LARGE, 14, 413, "PAYLOAD_TOO_LARGE",                         \
	  "the request is too large")                                          \
	X(ERR_MEDIA_TYPE, 15, 415, "UNSUPPORTED_MEDIA_TYPE",                   \
	  "the content type is not served")                                    \
	X(ERR_RATE_LIMITED, 16, 429, "RATE_LIMITED", "too many requests")      \
	X(ERR_INTERNAL, 17, 500, "UNKNOWN", "unknown error")                   \
	X(ERR_UNKNOWN_METHOD, 18, 501, "NOT_IMPLEMENTED", "no such method")    \
	X(ERR_LOST, 19, 502, "BAD_GATEWAY",                                    \
	  "the service was lost while it worked: the outcome of a write is "   \
	  "unknown")                                                           \
	X(ERR_UNAVAILABLE, 20, 503, "UNAVAILABLE",                             \
	  "the service is not available: nothing was done")                    \
	X(ERR_DEADLINE, 21, 504, "DEADLINE_EXCEEDED",                          \
	  "no answer in time: the outcome of a write is unknown")              \
	X(ERR_VERSION, 22, 501, "NOT_IMPLEMENTED", "unknown protocol version") \
	X(ERR_ELSEWHERE, 23, 503, "UNAVAILABLE",                               \
	  "no replica of the service has it at this moment")

enum err_code {
#define ERR_ENUM(name, number, http, v22, text) name = number,
	ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

enum {
	ERR_TEXT_BYTES = 240, /* a sentence */
	ERR_DETAILS_MAX =
		8, /* more broken fields than a person mends at once */
	ERR_FIELD_BYTES = 96, /* the longest dotted field path is 83 */
	ERR_REASON_BYTES =
		160, /* a rule, or the list of a field's choices, cut */
};

/* One broken field and the rule it broke. */
struct err_detail {
	char field[ERR_FIELD_BYTES];
	char reason[ERR_REASON_BYTES];
};

/* An error with its reason. A zeroed struct is ERR_OK. */
struct err {
	enum err_code code;
	unsigned retry_after_s; /* 0: not said */
	char text[ERR_TEXT_BYTES];
	size_t detail_count;
	struct err_detail details[ERR_DETAILS_MAX];
};

/* Whether a number off the wire is a code of the list. */
bool err_known(uint64_t number);

/* What the list says of a code. A number that is in no row gives the row of
 * ERR_INTERNAL. */
int err_http(enum err_code code);
const char *err_v22(enum err_code code);
const char *err_text(enum err_code code);
const char *err_name(enum err_code code); /* "ERR_NOT_FOUND" */

/* Sets code and text and forgets what err held. Returns code, so that a
 * function can fail with `return err_set(err, ...)`. err may be NULL. */
enum err_code err_set(struct err *err, enum err_code code, const char *format,
		      ...) __attribute__((format(printf, 3, 4)));

/* Sets a code with the list's own text. err may be NULL. Returns code. */
enum err_code err_code_set(struct err *err, enum err_code code);

/* Adds a broken field, making err an ERR_VALIDATE with the list's text. Past
 * ERR_DETAILS_MAX further ones are dropped. Returns ERR_VALIDATE. */
enum err_code err_field(struct err *err, const char *field, const char *format,
			...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the text, on the way up. */
void err_wrap(struct err *err, const char *prefix);

#endif
