#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

/*
 * The HTTP/1.1 server, plain or TLS (h2o stands behind it; HTTP/2 is off, see
 * README, limits). It reads whole requests, hands each to one function and
 * writes what that answers, at once or later:
 *
 *   handle(request) -> ... -> http_reply()                      one answer
 *                   -> ... -> http_stream_begin() -> http_stream_send() ...
 *                             -> http_stream_end()              a stream
 *
 * Each request is answered once, by one of the two ways, also when it carries
 * a fault. A client may go away at any time: nothing is told of it before the
 * answer, which is then dropped.
 *
 * Bounds: request head HTTP_HEAD_BYTES_MAX and 100 fields, body
 * HTTP_BODY_BYTES_MAX, connections HTTP_CONNECTIONS_MAX, requests at work
 * options.in_flight_max, time to send a request or idle options.idle_ms, time
 * to take an answer (or one piece of a stream) HTTP_WRITE_MS.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;

enum {
	/* The largest provider is 16 kB of JSON; room for long lists in it. */
	HTTP_BODY_BYTES_MAX = 1024 * 1024,
	/* More than any client of an API sends; h2o's own bound is 417 kB. */
	HTTP_HEAD_BYTES_MAX = 32 * 1024,
	/* About 10 kB each while idle. */
	HTTP_CONNECTIONS_MAX = 10000,
	/* A client on a poor line takes 64 kB in this time. */
	HTTP_WRITE_MS = 30000,
	HTTP_PEER_BYTES = 46, /* INET6_ADDRSTRLEN */
	HTTP_HEADERS_MAX = 8, /* of an answer, beside the server's own */
};

/* A request. The views are good until handle() returns. */
struct http_request {
	struct slice verb;  /* as sent: "GET" */
	struct slice path;  /* raw, without the query; starts with '/' unless
			     * the fault says that it does not */
	struct slice query; /* raw, behind the '?'; may be empty */
	struct slice body;
	const char *peer; /* numeric address; good until it is answered */
	/* What the server found wrong with it and the answer has to say, from
	 * within handle(). */
	enum err_code fault;
	const char *fault_text;
};

struct http_header {
	const char *name; /* a literal */
	struct slice value;
};

/* An answer; all of it is copied. */
struct http_answer {
	int status;
	const char *content_type; /* NULL: none */
	struct slice body;	  /* not sent in answer to HEAD, nor with 204 */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t header_count;
};

typedef void http_handle_fn(void *arg, struct http_request *request);

/* The last piece was taken: open, the next may be sent. Or the client is gone:
 * not open, the request is over and nothing more may be done with it. */
typedef void http_stream_fn(void *arg, bool open);

struct http_options {
	const char *host;	 /* numeric, IPv4 or IPv6 */
	uint16_t port;		 /* 0: any */
	const char *certificate; /* PEM file; empty: plain HTTP */
	const char *key;
	uint32_t idle_ms;
	size_t in_flight_max;
	http_handle_fn *handle;
	void *arg;
	struct metrics *metrics; /* http_... counters are added */
};

/* Starts to listen (the process ignores SIGPIPE) and tells where in the event
 * http.listening. ERR_VALIDATE: host is not numeric, or certificate or key
 * cannot be used (the text names the file); ERR_UNAVAILABLE: cannot listen
 * there. */
enum err_code http_server_new(struct loop *loop,
			      const struct http_options *options,
			      struct http_server **out, struct err *err);

/* The port it listens on. */
uint16_t http_server_port(const struct http_server *server);

/* Stops to listen, ends idle connections and, with their answer, the others. */
void http_server_stop(struct http_server *server);

/* No connection is open. */
bool http_server_idle(const struct http_server *server);

/* Every request was answered before, or is a stream whose piece is in flight.
 * Ends what is open, for which it turns the loop, and frees. */
void http_server_free(struct http_server *server);

/* The value of a header field, absent where there is none; the first where it
 * is repeated. name is in lower case. Only from within handle(). */
struct slice http_request_header(const struct http_request *request,
				 const char *name);

/* Whether it came over TLS. Only from within handle(). */
bool http_request_tls(const struct http_request *request);

/* Answers; the request is over. */
void http_reply(struct http_request *request, const struct http_answer *answer);

/* Sends the head of an answer without a known length. answer->body is not
 * looked at. Later pieces end with one call of fn each. */
void http_stream_begin(struct http_request *request,
		       const struct http_answer *answer, http_stream_fn *fn,
		       void *arg);

/* Sends a piece, not empty, whose bytes stay until fn is called. False: the
 * client is gone (or asked with HEAD for no body), the request is over and fn
 * is not called. */
bool http_stream_send(struct http_request *request, struct slice piece);

/* Ends a stream; the request is over. Not good: the connection is cut so that
 * the client sees that something is missing. */
void http_stream_end(struct http_request *request, bool good);

#endif
