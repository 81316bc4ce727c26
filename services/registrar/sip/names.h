#ifndef REGISTRAR_SIP_NAMES_H
#define REGISTRAR_SIP_NAMES_H

/*
 * The closed word lists of SIP: methods, header fields and transports, each one
 * table read both ways. A word that is in no list is _OTHER, and its text stays
 * with whoever read it. Nothing here allocates.
 */

#include "proto/slice.h"

#include <stdint.h>

/* RFC 3261 and the methods that phones send to a registrar by mistake. */
#define SIP_METHOD_LIST(X)                                                     \
	X(SIP_METHOD_INVITE, "INVITE")                                         \
	X(SIP_METHOD_ACK, "ACK")                                               \
	X(SIP_METHOD_BYE, "BYE")                                               \
	X(SIP_METHOD_CANCEL, "CANCEL")                                         \
	X(SIP_METHOD_REGISTER, "REGISTER")                                     \
	X(SIP_METHOD_OPTIONS, "OPTIONS")                                       \
	X(SIP_METHOD_INFO, "INFO")                                             \
	X(SIP_METHOD_PRACK, "PRACK")                                           \
	X(SIP_METHOD_UPDATE, "UPDATE")                                         \
	X(SIP_METHOD_SUBSCRIBE, "SUBSCRIBE")                                   \
	X(SIP_METHOD_NOTIFY, "NOTIFY")                                         \
	X(SIP_METHOD_REFER, "REFER")                                           \
	X(SIP_METHOD_MESSAGE, "MESSAGE")                                       \
	X(SIP_METHOD_PUBLISH, "PUBLISH")

enum sip_method {
	SIP_METHOD_OTHER, /* zero; no name of its own */
#define SIP_METHOD_ENUM(name, text) name,
	SIP_METHOD_LIST(SIP_METHOD_ENUM)
#undef SIP_METHOD_ENUM
		SIP_METHOD_COUNT,
};

/* A method as a member of a set of methods. */
#define SIP_METHOD_BIT(method) (UINT32_C(1) << (method))

/* Header fields that are told apart: enum, name, compact form (or 0), whether a
 * second one makes the message ambiguous (RFC 4475 3.3.8). In order of length:
 * the lookup relies on it. */
/* clang-format off */
#define SIP_HEADER_LIST(X)                                                     \
	X(SIP_TO, "To", 't', true)                                             \
	X(SIP_VIA, "Via", 'v', false)                                          \
	X(SIP_CSEQ, "CSeq", 0, true)                                           \
	X(SIP_DATE, "Date", 0, true)                                           \
	X(SIP_FROM, "From", 'f', true)                                         \
	X(SIP_PATH, "Path", 0, false)                                          \
	X(SIP_ALLOW, "Allow", 0, false)                                        \
	X(SIP_EVENT, "Event", 'o', true)                                       \
	X(SIP_ROUTE, "Route", 0, false)                                        \
	X(SIP_ACCEPT, "Accept", 0, false)                                      \
	X(SIP_REASON, "Reason", 0, false)                                      \
	X(SIP_SERVER, "Server", 0, false)                                      \
	X(SIP_CALL_ID, "Call-ID", 'i', true)                                   \
	X(SIP_CONTACT, "Contact", 'm', false)                                  \
	X(SIP_EXPIRES, "Expires", 0, true)                                     \
	X(SIP_REQUIRE, "Require", 0, false)                                    \
	X(SIP_SUBJECT, "Subject", 's', false)                                  \
	X(SIP_WARNING, "Warning", 0, false)                                    \
	X(SIP_REFER_TO, "Refer-To", 'r', false)                                \
	X(SIP_SUPPORTED, "Supported", 'k', false)                              \
	X(SIP_TIMESTAMP, "Timestamp", 0, false)                                \
	X(SIP_USER_AGENT, "User-Agent", 0, false)                              \
	X(SIP_MIN_EXPIRES, "Min-Expires", 0, true)                             \
	X(SIP_REFERRED_BY, "Referred-By", 'b', false)                          \
	X(SIP_RETRY_AFTER, "Retry-After", 0, true)                             \
	X(SIP_UNSUPPORTED, "Unsupported", 0, false)                            \
	X(SIP_ALLOW_EVENTS, "Allow-Events", 'u', false)                        \
	X(SIP_CONTENT_TYPE, "Content-Type", 'c', true)                         \
	X(SIP_MAX_FORWARDS, "Max-Forwards", 0, true)                           \
	X(SIP_RECORD_ROUTE, "Record-Route", 0, false)                          \
	X(SIP_AUTHORIZATION, "Authorization", 0, false)                        \
	X(SIP_PROXY_REQUIRE, "Proxy-Require", 0, false)                        \
	X(SIP_SERVICE_ROUTE, "Service-Route", 0, false)                        \
	X(SIP_CONTENT_LENGTH, "Content-Length", 'l', true)                     \
	X(SIP_SESSION_EXPIRES, "Session-Expires", 'x', false)                  \
	X(SIP_CONTENT_ENCODING, "Content-Encoding", 'e', false)                \
	X(SIP_WWW_AUTHENTICATE, "WWW-Authenticate", 0, false)                  \
	X(SIP_PROXY_AUTHENTICATE, "Proxy-Authenticate", 0, false)              \
	X(SIP_AUTHENTICATION_INFO, "Authentication-Info", 0, false)            \
	X(SIP_P_ASSERTED_IDENTITY, "P-Asserted-Identity", 0, false)            \
	X(SIP_PROXY_AUTHORIZATION, "Proxy-Authorization", 0, false)
/* clang-format on */

enum sip_header_name {
	SIP_HEADER_OTHER, /* zero */
#define SIP_HEADER_ENUM(name, text, compact, single) name,
	SIP_HEADER_LIST(SIP_HEADER_ENUM)
#undef SIP_HEADER_ENUM
		SIP_HEADER_COUNT,
};

/* Transports as Via and the `transport` parameter name them. */
enum sip_transport {
	SIP_TRANSPORT_OTHER, /* zero */
	SIP_TRANSPORT_UDP,
	SIP_TRANSPORT_TCP,
	SIP_TRANSPORT_TLS,
	SIP_TRANSPORT_SCTP,
	SIP_TRANSPORT_WS,
	SIP_TRANSPORT_WSS,
	SIP_TRANSPORT_COUNT,
};

/* Method names are case-sensitive (RFC 3261 7.1); header and transport names
 * are not. Header names are known by their long and their compact form. */
enum sip_method sip_method_find(struct slice text);
enum sip_header_name sip_header_find(struct slice text);
enum sip_transport sip_transport_find(struct slice text);

/* The word as it is written: "REGISTER", "Call-ID", "UDP". _OTHER is empty. */
struct slice sip_method_text(enum sip_method method);
struct slice sip_header_text(enum sip_header_name name);
struct slice sip_transport_text(enum sip_transport transport);

/* A second one makes a message ambiguous. */
bool sip_header_single(enum sip_header_name name);

/* The reason phrase RFC 3261 section 21 gives a status; one that is in no row
 * gives that of its class ("Bad Request" for any other 4xx). */
struct slice sip_status_text(unsigned status);

/* ASCII case aside, the same. Mostly the sizes differ already. */
bool sip_bytes_eq(const char *a, const char *b, size_t size);

static inline bool sip_word_eq(struct slice a, struct slice b)
{
	return a.size == b.size && sip_bytes_eq(a.data, b.data, a.size);
}

static inline bool sip_word_is(struct slice a, const char *text)
{
	/* Of a literal the compiler makes one comparison. */
	return slice_is(a, text) || sip_word_eq(a, slice_str(text));
}

#endif
