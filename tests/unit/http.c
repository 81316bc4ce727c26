#include "gateway/http.h"

#include "turn.h"

#include "proto/buffer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HELD_MAX = 8 };

/* A server whose handler answers what it was asked, or holds the request. */
struct bench {
	struct loop *loop;
	struct http_server *server;
	bool hold;
	struct http_request *held[HELD_MAX];
	size_t held_count;
	size_t pieces_left; /* of a stream */
	bool stream_gone;
	char piece[256 * 1024];
};

/* "<verb> <path> <query> <body> <header x-a>", or the fault. */
static void reply_echo(struct http_request *request)
{
	struct buffer text = {0};
	struct http_answer answer = {.status = 200,
				     .content_type = "text/plain"};

	if (request->fault != ERR_OK) {
		answer.status = err_http(request->fault);
		buffer_append_str(&text, request->fault_text);
	} else {
		buffer_printf(
			&text, "%.*s %.*s %.*s %.*s %.*s",
			SLICE_ARG(request->verb), SLICE_ARG(request->path),
			SLICE_ARG(request->query), SLICE_ARG(request->body),
			SLICE_ARG(http_request_header(request, "x-a")));
	}
	if (slice_is(request->path, "/204"))
		answer.status = 204;
	answer.body = buffer_slice(&text);
	answer.headers[answer.header_count++] =
		(struct http_header){"X-Peer", slice_str(request->peer)};
	http_reply(request, &answer);
	buffer_fini(&text);
}

static void on_request(void *arg, struct http_request *request)
{
	struct bench *bench = arg;

	if (!bench->hold || request->fault != ERR_OK) {
		reply_echo(request);
		return;
	}
	cr_assert_lt(bench->held_count, (size_t)HELD_MAX);
	bench->held[bench->held_count++] = request;
}

static void bench_init(struct bench *bench, size_t in_flight_max)
{
	struct err err = {0};
	const struct http_options options = {
		.host = "127.0.0.1",
		.certificate = "",
		.key = "",
		.idle_ms = 60000,
		.in_flight_max = in_flight_max,
		.handle = on_request,
		.arg = bench,
	};

	signal(SIGPIPE, SIG_IGN); /* as process_run() does */
	memset(bench, 0, sizeof(*bench));
	bench->loop = loop_new();
	cr_assert_eq(
		http_server_new(bench->loop, &options, &bench->server, &err),
		ERR_OK, "%s", err.text);
}

static void bench_fini(struct bench *bench)
{
	http_server_free(bench->server);
	loop_free(bench->loop);
}

/* ---- a client ---- */

static int client_connect(const struct bench *bench)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(http_server_port(bench->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)),
		     0);
	return fd;
}

static void client_send(int fd, struct slice text)
{
	cr_assert_eq(send(fd, text.data, text.size, MSG_NOSIGNAL),
		     (ssize_t)text.size);
}

/* Reads what is there; false: the server closed. */
static bool client_read(int fd, struct buffer *in)
{
	ssize_t size = recv(fd, buffer_reserve(in, 65536), 65536, MSG_DONTWAIT);

	if (size > 0)
		in->size += (size_t)size;
	return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool has(const struct buffer *in, const char *text)
{
	return in->size > 0 &&
	       memmem(in->data, in->size, text, strlen(text)) != NULL;
}

/* Sends the text and reads until the server closes or said all of it. */
static void exchange(struct bench *bench, struct slice text, const char *until,
		     struct buffer *in)
{
	int fd = client_connect(bench);

	client_send(fd, text);
	TURN_UNTIL(bench->loop,
		   !client_read(fd, in) || (until && has(in, until)));
	close(fd);
}

/* ---- what is read ---- */

struct reading {
	const char *name;
	const char *text;
	const char *status;
	const char *body; /* what the answer holds */
	bool closes;
};

#define POST "POST /p HTTP/1.1\r\nHost: a\r\n"

static const struct reading readings[] = {
	{"get", "GET /a/b?c=d HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n", "200",
	 "GET /a/b c=d  1"},
	{"path stays raw", "GET /a%2Fb/../%zz? HTTP/1.1\r\nHost: a\r\n\r\n",
	 "200", "GET /a%2Fb/../%zz   "},
	{"peer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200",
	 "X-Peer: 127.0.0.1\r\n"},
	{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "200", "GET / ", true},
	{"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	 "200", "GET / ", true},
	{"body", POST "Content-Length: 3\r\n\r\nabc", "200", "POST /p  abc"},
	{"chunked body",
	 POST
	 "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
	 "200", "POST /p  abc"},
	{"absolute form", "GET http://x:1/a?b HTTP/1.1\r\nHost: a\r\n\r\n",
	 "200", "GET /a b"},
	{"absolute form without a path",
	 "GET https://x HTTP/1.1\r\nHost: a\r\n\r\n", "200", "GET / "},
	{"repeated, equal length",
	 POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "200",
	 "POST /p  a"},
	{"any method token", "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "200",
	 "M-SEARCH / "},

	{"length and coding",
	 POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	      "0\r\n\r\n",
	 "400", "do not agree", true},
	{"coding and length",
	 POST "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n"
	      "0\r\n\r\n",
	 "400", "do not agree", true},
	{"two lengths", POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	 "400", "another value", true},
	{"two codings",
	 POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
	      "0\r\n\r\n",
	 "400", "is repeated", true},
	{"coding in HTTP/1.0",
	 "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 "400", "do not agree", true},
	{"folded field", POST "X-B: a\r\n b\r\nContent-Length: 1\r\n\r\na",
	 "400", "folded", true},
	{"unknown coding",
	 POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400",
	 "framing", true},
	{"broken length", POST "Content-Length: +1\r\n\r\na", "400", "framing",
	 true},
	{"broken chunk", POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400",
	 "framing", true},
	{"too large", POST "Content-Length: 1048577\r\n\r\n", "413",
	 "larger than 1048576", true},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400",
	 "not a path"},
	{"authority", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "400",
	 "not a path"},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", "", true},
	{"no HTTP", "\x16\x03\x01 hello\r\n\r\n", "400", "", true},
};

static void check_reading(struct bench *bench, const struct reading *r)
{
	struct buffer in = {0};
	char status[32];

	exchange(bench, slice_str(r->text), r->closes ? NULL : r->body, &in);
	snprintf(status, sizeof(status), "HTTP/1.1 %s ", r->status);
	cr_expect(slice_starts(buffer_slice(&in), slice_str(status)),
		  "%s: %.*s", r->name, SLICE_ARG(buffer_slice(&in)));
	cr_expect(has(&in, r->body), "%s: %.*s", r->name,
		  SLICE_ARG(buffer_slice(&in)));
	buffer_fini(&in);
}

Test(http, reads)
{
	struct bench bench;

	bench_init(&bench, 100);
	for (size_t i = 0; i < sizeof(readings) / sizeof(*readings); i++)
		check_reading(&bench, &readings[i]);
	bench_fini(&bench);
}

Test(http, pipelined)
{
	struct bench bench;
	struct buffer in = {0};

	bench_init(&bench, 100);
	exchange(&bench,
		 slice_str("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" POST
			   "Content-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\n"
			   "Host: a\r\n\r\n"),
		 "GET /3", &in);
	cr_expect(has(&in, "GET /1"));
	cr_expect(has(&in, "POST /p  ab"));
	buffer_fini(&in);
	bench_fini(&bench);
}

Test(http, no_body_where_there_is_none)
{
	struct bench bench;
	struct buffer in = {0};

	bench_init(&bench, 100);
	exchange(&bench,
		 slice_str("HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n"
			   "GET /204 HTTP/1.1\r\nHost: a\r\n"
			   "Connection: close\r\n\r\n"),
		 NULL, &in);
	cr_expect(has(&in, "Content-Length: 10\r\n"));
	cr_expect(has(&in, "HTTP/1.1 204 No Content\r\n"));
	cr_expect(!has(&in, "HEAD /1"));
	cr_expect(!has(&in, "GET /204"));
	buffer_fini(&in);
	bench_fini(&bench);
}

Test(http, large_head)
{
	struct bench bench;
	struct buffer in = {0};
	struct buffer text = {0};

	bench_init(&bench, 100);
	buffer_append_str(&text, "GET / HTTP/1.1\r\nX-A: ");
	for (size_t i = 0; i < HTTP_HEAD_BYTES_MAX; i++)
		buffer_append_char(&text, 'a');
	buffer_append_str(&text, "\r\nConnection: close\r\n\r\n");
	exchange(&bench, buffer_slice(&text), NULL, &in);
	cr_expect(slice_starts(buffer_slice(&in), slice_str("HTTP/1.1 413 ")));
	buffer_fini(&in);
	buffer_fini(&text);
	bench_fini(&bench);
}

/* The answer to a body that is not read arrives, though all of it is sent:
 * closing at once would reset the connection under it. */
Test(http, refusal_arrives)
{
	struct bench bench;
	struct buffer in = {0};
	size_t sent = 0;

	bench_init(&bench, 100);
	int fd = client_connect(&bench);
	client_send(fd, slice_str(POST "Content-Length: 3000000\r\n\r\n"));
	while (sent < 3000000) {
		ssize_t size = send(fd, bench.piece, sizeof(bench.piece),
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		cr_assert(size > 0 || errno == EAGAIN, "%s", strerror(errno));
		sent += size > 0 ? (size_t)size : 0;
		loop_turn(bench.loop, 1);
	}
	TURN_UNTIL(bench.loop, !client_read(fd, &in));
	cr_expect(slice_starts(buffer_slice(&in), slice_str("HTTP/1.1 413 ")));
	close(fd);
	buffer_fini(&in);
	bench_fini(&bench);
}

/* ---- held requests ---- */

static const char simple[] = "GET /held HTTP/1.1\r\nHost: a\r\n\r\n";

Test(http, client_gone_before_the_answer)
{
	struct bench bench;
	struct linger reset = {.l_onoff = 1};

	bench_init(&bench, 100);
	bench.hold = true;
	int closed = client_connect(&bench);
	int reset_one = client_connect(&bench);
	client_send(closed, slice_str(simple));
	client_send(reset_one, slice_str(simple));
	TURN_UNTIL(bench.loop, bench.held_count == 2);
	close(closed);
	setsockopt(reset_one, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(reset_one);
	loop_turn(bench.loop, 10);
	for (size_t i = 0; i < bench.held_count; i++)
		http_reply(bench.held[i], &(struct http_answer){.status = 200});
	http_server_stop(bench.server);
	TURN_UNTIL(bench.loop, http_server_idle(bench.server));
	bench_fini(&bench);
}

Test(http, in_flight_bound)
{
	struct bench bench;
	struct buffer in = {0};

	bench_init(&bench, 1);
	bench.hold = true;
	int fd = client_connect(&bench);
	client_send(fd, slice_str(simple));
	TURN_UNTIL(bench.loop, bench.held_count == 1);
	exchange(&bench, slice_str(simple), "nothing was done", &in);
	cr_expect(slice_starts(buffer_slice(&in), slice_str("HTTP/1.1 503 ")));
	http_reply(bench.held[0], &(struct http_answer){.status = 200});
	bench.hold = false;
	in.size = 0;
	exchange(&bench, slice_str(simple), "GET /held", &in);
	cr_expect(slice_starts(buffer_slice(&in), slice_str("HTTP/1.1 200 ")));
	close(fd);
	buffer_fini(&in);
	bench_fini(&bench);
}

/* A stop ends idle connections and lets the others have their answer. */
Test(http, stops)
{
	struct bench bench;
	struct buffer idle_in = {0};
	struct buffer in = {0};

	bench_init(&bench, 100);
	int idle = client_connect(&bench);
	client_send(idle, slice_str("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"));
	TURN_UNTIL(bench.loop,
		   !client_read(idle, &idle_in) || has(&idle_in, "GET /1"));
	bench.hold = true;
	int busy = client_connect(&bench);
	client_send(busy, slice_str(simple));
	TURN_UNTIL(bench.loop, bench.held_count == 1);

	http_server_stop(bench.server);
	TURN_UNTIL(bench.loop, !client_read(idle, &idle_in));
	cr_expect(!http_server_idle(bench.server));
	reply_echo(bench.held[0]);
	TURN_UNTIL(bench.loop, !client_read(busy, &in));
	cr_expect(has(&in, "Connection: close\r\n"));
	TURN_UNTIL(bench.loop, http_server_idle(bench.server));
	close(idle);
	close(busy);
	buffer_fini(&idle_in);
	buffer_fini(&in);
	bench_fini(&bench);
}

Test(http, freed_with_connections)
{
	struct bench bench;

	bench_init(&bench, 100);
	int fresh = client_connect(&bench);
	int half = client_connect(&bench);
	client_send(half, slice_str("GET / HT"));
	loop_turn(bench.loop, 10);
	bench_fini(&bench);
	close(fresh);
	close(half);
}

/* ---- streams ---- */

static void on_taken(void *arg, bool open)
{
	struct bench *bench = arg;
	struct http_request *request = bench->held[0];

	if (!open) {
		bench->stream_gone = true;
		return;
	}
	if (bench->pieces_left == 0) {
		http_stream_end(request, true);
		return;
	}
	bench->pieces_left--;
	cr_expect(http_stream_send(
		request, slice_of(bench->piece, sizeof(bench->piece))));
}

static int stream_start(struct bench *bench, const char *text, size_t pieces)
{
	int fd = client_connect(bench);

	bench->hold = true;
	memset(bench->piece, 'p', sizeof(bench->piece));
	client_send(fd, slice_str(text));
	TURN_UNTIL(bench->loop, bench->held_count == 1);
	bench->pieces_left = pieces;
	http_stream_begin(bench->held[0], &(struct http_answer){.status = 200},
			  on_taken, bench);
	return fd;
}

Test(http, stream)
{
	struct bench bench;
	struct buffer in = {0};

	bench_init(&bench, 100);
	int fd = stream_start(&bench, simple, 8);
	on_taken(&bench, true);
	TURN_UNTIL(bench.loop,
		   !client_read(fd, &in) || has(&in, "\r\n0\r\n\r\n"));
	cr_expect(has(&in, "\r\ntransfer-encoding: chunked\r\n"));
	cr_expect_gt(in.size, 8 * sizeof(bench.piece));
	close(fd);
	buffer_fini(&in);
	bench_fini(&bench);
}

Test(http, stream_to_HTTP_1_0)
{
	struct bench bench;
	struct buffer in = {0};

	bench_init(&bench, 100);
	int fd = stream_start(
		&bench, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2);
	on_taken(&bench, true);
	TURN_UNTIL(bench.loop, !client_read(fd, &in));
	const char *body = memmem(in.data, in.size, "\r\n\r\n", 4);
	cr_assert(body);
	cr_expect_eq(in.size - (size_t)(body + 4 - in.data),
		     2 * sizeof(bench.piece));
	close(fd);
	buffer_fini(&in);
	bench_fini(&bench);
}

Test(http, stream_cut)
{
	struct bench bench;
	struct buffer in = {0};

	bench_init(&bench, 100);
	int fd = stream_start(&bench, simple, 0);
	http_stream_end(bench.held[0], false);
	TURN_UNTIL(bench.loop, !client_read(fd, &in));
	cr_expect(!has(&in, "\r\n0\r\n\r\n"));
	close(fd);
	buffer_fini(&in);
	bench_fini(&bench);
}

/* The piece is larger than the sockets take: it waits for the client, which
 * goes away. */
Test(http, stream_to_a_gone_client)
{
	struct bench bench;

	bench_init(&bench, 100);
	int fd = stream_start(&bench, simple, 1000);
	on_taken(&bench, true);
	TURN_UNTIL(bench.loop, bench.pieces_left < 995);
	size_t left = bench.pieces_left;
	for (int i = 0; i < 100; i++)
		loop_turn(bench.loop, 0);
	cr_expect_gt(bench.pieces_left, left - 50, "no backpressure");
	close(fd);
	TURN_UNTIL(bench.loop, bench.stream_gone);
	bench_fini(&bench);
}

/* Freeing the server ends a stream whose piece nobody takes. */
Test(http, freed_with_a_stream)
{
	struct bench bench;

	bench_init(&bench, 100);
	int fd = stream_start(&bench, simple, 1000);
	on_taken(&bench, true);
	TURN_UNTIL(bench.loop, bench.pieces_left < 995);
	bench_fini(&bench);
	cr_expect(bench.stream_gone);
	close(fd);
}

/* ---- start ---- */

static void check_start(struct http_options options, enum err_code code,
			const char *text)
{
	struct loop *loop = loop_new();
	struct http_server *server = NULL;
	struct err err = {0};

	options.idle_ms = 1000;
	cr_expect_eq(http_server_new(loop, &options, &server, &err), code);
	cr_expect_null(server);
	cr_expect(strstr(err.text, text), "%s", err.text);
	loop_free(loop);
}

Test(http, start_fails)
{
	struct bench bench;

	bench_init(&bench, 1);
	check_start((struct http_options){.host = "localhost",
					  .certificate = "",
					  .key = ""},
		    ERR_VALIDATE, "http_host");
	check_start(
		(struct http_options){.host = "127.0.0.1",
				      .port = http_server_port(bench.server),
				      .certificate = "",
				      .key = ""},
		ERR_UNAVAILABLE, "address already in use");
	check_start((struct http_options){.host = "127.0.0.1",
					  .certificate = "/nowhere/cert.pem",
					  .key = "/nowhere/key.pem"},
		    ERR_VALIDATE, "/nowhere/cert.pem");
	bench_fini(&bench);
}
