#include "gateway/http.h"

#include "gateway/closer.h"
#include "gateway/status.h"
#include "gateway/tls.h"
#include "proto/mem.h"
#include "services/common/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <h2o.h>
#include <h2o/http1.h>

enum {
	LISTEN_BACKLOG = 1024,
	SWEEP_MS = 1000,
	/* A closed connection is gone within a turn or two of the loop. */
	FREE_TURNS_MAX = 1000,
	FREE_TURN_MS = 10,
};

struct connection {
	uv_tcp_t tcp; /* first: what libuv closes is what we free */
	struct http_server *server;
	TAILQ_ENTRY(connection) link;
	char peer[HTTP_PEER_BYTES];
};

/*
 * A request and its answer. It is freed when both h2o and the handler are done
 * with it, in either order:
 *
 *   working ----- http_reply() ------------> sending -- h2o done --> freed
 *     |  `- http_stream_begin() -> ready <-----.  |
 *     |                              `- send -> piece in flight
 *     `-- h2o done (client gone) --> working, h2o NULL -- answer --> freed
 */
struct exchange {
	struct http_request request; /* first: what the handler sees */
	struct http_server *server;
	h2o_req_t *h2o; /* NULL once h2o is done with it */
	h2o_generator_t generator;
	bool working; /* the handler has still to answer */
	bool refusal; /* h2o refused it: the answer replaces h2o's own */
	bool unread;  /* input is left unread when it closes */
	bool piece;   /* a piece of a stream is in flight */
	bool writing; /* in server->writing */
	h2o_iovec_t refusal_body;
	http_stream_fn *fn;
	void *arg;
	uint64_t write_by_ms;
	TAILQ_ENTRY(exchange) link;
	char peer[HTTP_PEER_BYTES];
};

/* What h2o holds of an exchange: lives as long as the request there. */
struct guard {
	struct exchange *exchange;
};

struct handler {
	h2o_handler_t super;
	struct http_server *server;
};

struct filter {
	h2o_filter_t super;
	struct http_server *server;
};

/* Replaces the body h2o made for a refusal of its own. */
struct refusal_stream {
	h2o_ostream_t super;
	h2o_iovec_t body;
};

struct http_server {
	struct loop *loop;
	struct http_options options;
	uv_tcp_t listener;
	bool stopping;
	bool ending; /* the handler's own means are gone */
	uv_timer_t marker;
	bool closed; /* the marker is */
	SSL_CTX *tls;
	struct closer *closer;
	struct loop_timer *sweep; /* runs while there are connections */
	h2o_globalconf_t config;
	h2o_context_t context;
	h2o_accept_ctx_t accept;
	TAILQ_HEAD(connections, connection) connections;
	TAILQ_HEAD(writing, exchange) writing; /* the first is due first */
	uint64_t connection_count;
	uint64_t connections_total;
	uint64_t connections_refused;
	uint64_t in_flight;
	uint64_t in_flight_refused;
	uint64_t slow_readers;
};

static h2o_socket_t *socket_of(h2o_req_t *h2o)
{
	return h2o->conn->callbacks->get_socket(h2o->conn);
}

static struct exchange *exchange_of(struct http_request *request)
{
	return (struct exchange *)(void *)request;
}

/* ---- the life of an exchange ---- */

static void writing_leave(struct exchange *exchange)
{
	if (exchange->writing)
		TAILQ_REMOVE(&exchange->server->writing, exchange, link);
	exchange->writing = false;
}

static void writing_enter(struct exchange *exchange)
{
	struct http_server *server = exchange->server;

	writing_leave(exchange);
	exchange->write_by_ms = loop_now_ms(server->loop) + HTTP_WRITE_MS;
	TAILQ_INSERT_TAIL(&server->writing, exchange, link);
	exchange->writing = true;
}

/* The handler is done with it. */
static void working_end(struct exchange *exchange)
{
	assert(exchange->working);
	exchange->working = false;
	exchange->server->in_flight--;
}

/* h2o is done with it: the answer left, or the connection is closed. */
static void on_h2o_done(void *memory)
{
	struct exchange *exchange = ((struct guard *)memory)->exchange;

	if (exchange->unread) {
		int fd = dup(h2o_socket_get_fd(socket_of(exchange->h2o)));
		if (fd >= 0)
			closer_add(exchange->server->closer, fd);
	}
	exchange->h2o = NULL;
	writing_leave(exchange);
	if (exchange->piece) {
		working_end(exchange);
		exchange->fn(exchange->arg, false);
	}
	if (!exchange->working)
		free(exchange);
}

/* A piece of a stream was taken. Whole answers end without it. */
static void on_proceed(h2o_generator_t *generator, h2o_req_t *h2o)
{
	struct exchange *exchange =
		H2O_STRUCT_FROM_MEMBER(struct exchange, generator, generator);
	http_stream_fn *fn = exchange->fn;
	void *arg = exchange->arg;
	bool open = !exchange->server->ending;

	writing_leave(exchange);
	exchange->piece = false;
	if (!open) {
		working_end(exchange);
		h2o_send(h2o, NULL, 0, H2O_SEND_STATE_ERROR);
	}
	fn(arg, open);
}

static struct exchange *exchange_new(struct http_server *server, h2o_req_t *h2o)
{
	struct exchange *exchange = mem_alloc(sizeof(*exchange));
	struct guard *guard =
		h2o_mem_alloc_shared(&h2o->pool, sizeof(*guard), on_h2o_done);
	struct connection *connection = socket_of(h2o)->on_close.data;

	guard->exchange = exchange;
	exchange->server = server;
	exchange->h2o = h2o;
	exchange->generator.proceed = on_proceed;
	memcpy(exchange->peer, connection->peer, sizeof(exchange->peer));
	exchange->request.peer = exchange->peer;
	exchange->working = true;
	server->in_flight++;
	return exchange;
}

/* ---- a request arrives ---- */

/* The absolute form of a target (RFC 9112 section 3.2.2) without scheme and
 * authority: "http://host/x" is "/x". */
static struct slice target_origin(struct slice target)
{
	static const struct slice schemes[] = {SLICE("http://"),
					       SLICE("https://")};
	for (size_t i = 0; i < 2; i++) {
		if (!slice_starts(target, schemes[i]))
			continue;
		const char *start = target.data + schemes[i].size;
		const char *end = target.data + target.size;
		while (start < end && *start != '/' && *start != '?')
			start++;
		if (start == end)
			return slice_str("/");
		return slice_of(start, (size_t)(end - start));
	}
	return target;
}

static void request_fill(struct http_request *request, const h2o_req_t *h2o)
{
	struct slice target = target_origin(
		slice_of(h2o->input.path.base, h2o->input.path.len));
	const char *mark = memchr(target.data, '?', target.size);
	size_t path_size = mark ? (size_t)(mark - target.data) : target.size;

	request->verb = slice_of(h2o->input.method.base, h2o->input.method.len);
	request->path = slice_of(target.data, path_size);
	if (mark)
		request->query =
			slice_of(mark + 1, target.size - path_size - 1);
	request->body = slice_of(h2o->entity.base, h2o->entity.len);
}

static size_t head_bytes(const h2o_req_t *h2o)
{
	size_t bytes = h2o->input.path.len;

	for (size_t i = 0; i < h2o->headers.size; i++)
		bytes += h2o->headers.entries[i].name->len +
			 h2o->headers.entries[i].value.len;
	return bytes;
}

/* What the fields of a head say of the body's end. */
struct framing {
	unsigned codings;
	unsigned lengths;
	bool differ; /* two Content-Length that are not the same */
	bool folded; /* a line continues the one before */
	struct slice length;
};

static void framing_line(struct framing *framing, struct slice line)
{
	if (line.data[0] == ' ' || line.data[0] == '\t')
		framing->folded = true;
	const char *colon = memchr(line.data, ':', line.size);
	if (!colon)
		return;
	size_t name_size = (size_t)(colon - line.data);
	struct slice value = slice_of(colon + 1, line.size - name_size - 1);
	while (value.size > 0 && (*value.data == ' ' || *value.data == '\t'))
		value = slice_of(value.data + 1, value.size - 1);
	while (value.size > 0 && (value.data[value.size - 1] == ' ' ||
				  value.data[value.size - 1] == '\t'))
		value.size--;

	if (name_size == strlen("transfer-encoding") &&
	    strncasecmp(line.data, "transfer-encoding", name_size) == 0)
		framing->codings++;
	if (name_size != strlen("content-length") ||
	    strncasecmp(line.data, "content-length", name_size) != 0)
		return;
	if (framing->lengths++ > 0 && !slice_eq(framing->length, value))
		framing->differ = true;
	framing->length = value;
}

/*
 * RFC 9112 section 6.3: a body whose end can be read in two ways is an attack
 * on whoever forwards it. h2o takes Content-Length and Transfer-Encoding out of
 * the fields and lets both, or several, pass; but the head as it came still
 * stands at the start of the connection's input until the answer is sent.
 */
static const char *framing_fault(h2o_req_t *h2o)
{
	if (!h2o->entity.base)
		return NULL;
	const h2o_buffer_t *input = socket_of(h2o)->input;
	const char *at = input->bytes;
	const char *end = at + input->size;
	struct framing framing = {0};
	bool request_line = true;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		if (!line_end)
			break;
		struct slice line = slice_of(at, (size_t)(line_end - at));
		if (line.size > 0 && line.data[line.size - 1] == '\r')
			line.size--;
		at = line_end + 1;
		/* The parser skips an empty line in front of the first. */
		if (line.size == 0 && !request_line)
			break;
		if (line.size > 0 && !request_line)
			framing_line(&framing, line);
		if (line.size > 0)
			request_line = false;
	}
	if (framing.codings > 0 &&
	    (framing.lengths > 0 || h2o->version < 0x101))
		return "Content-Length and Transfer-Encoding do not agree";
	if (framing.codings > 1)
		return "Transfer-Encoding is repeated";
	if (framing.differ)
		return "Content-Length is repeated with another value";
	return framing.folded ? "a header field is folded" : NULL;
}

static void fault_set(struct exchange *exchange, enum err_code code,
		      const char *text)
{
	exchange->request.fault = code;
	exchange->request.fault_text = text;
}

static void faults_find(struct exchange *exchange)
{
	struct http_server *server = exchange->server;
	h2o_req_t *h2o = exchange->h2o;
	const char *framing = framing_fault(h2o);

	if (framing) {
		h2o->http1_is_persistent = 0;
		fault_set(exchange, ERR_MALFORMED, framing);
	} else if (exchange->request.path.size == 0 ||
		   exchange->request.path.data[0] != '/') {
		fault_set(exchange, ERR_MALFORMED,
			  "the request target is not a path");
	} else if (head_bytes(h2o) > HTTP_HEAD_BYTES_MAX) {
		fault_set(exchange, ERR_TOO_LARGE,
			  "the request head is too large");
	} else if (server->in_flight > server->options.in_flight_max) {
		server->in_flight_refused++;
		fault_set(exchange, ERR_UNAVAILABLE,
			  "too many calls are at work: nothing was done");
	} else if (server->ending) {
		fault_set(exchange, ERR_UNAVAILABLE,
			  "the gateway is stopping: nothing was done");
	}
}

static int on_request(h2o_handler_t *handler, h2o_req_t *h2o)
{
	struct http_server *server = ((struct handler *)handler)->server;
	struct exchange *exchange = exchange_new(server, h2o);

	request_fill(&exchange->request, h2o);
	faults_find(exchange);
	server->options.handle(server->options.arg, &exchange->request);
	return 0;
}

/* ---- answers ---- */

static void head_fill(struct exchange *exchange,
		      const struct http_answer *answer)
{
	h2o_req_t *h2o = exchange->h2o;
	h2o_mem_pool_t *pool = &h2o->pool;
	h2o_headers_t *headers = &h2o->res.headers;

	assert(answer->header_count <= HTTP_HEADERS_MAX);
	h2o->res.status = answer->status;
	h2o->res.reason =
		http_statuses[http_status_index(answer->status)].reason;
	headers->size = 0;
	if (answer->content_type)
		h2o_add_header(pool, headers, H2O_TOKEN_CONTENT_TYPE,
			       "Content-Type", answer->content_type,
			       strlen(answer->content_type));
	for (size_t i = 0; i < answer->header_count; i++) {
		const struct http_header *header = &answer->headers[i];
		h2o_iovec_t value = h2o_strdup(pool, header->value.data,
					       header->value.size);

		h2o_add_header_by_str(pool, headers, header->name,
				      strlen(header->name), 0, NULL, value.base,
				      value.len);
	}
	if (exchange->server->stopping)
		h2o->http1_is_persistent = 0;
}

static bool is_head(const h2o_req_t *h2o)
{
	return h2o_memis(h2o->input.method.base, h2o->input.method.len,
			 H2O_STRLIT("HEAD"));
}

/* The bytes to send as body: none where there may be none. Sets the length
 * told of. */
static h2o_iovec_t body_fill(h2o_req_t *h2o, const struct http_answer *answer)
{
	/* A 204 has no Content-Length (RFC 9110 section 8.6). */
	h2o->res.content_length =
		answer->status == 204 ? SIZE_MAX : answer->body.size;
	if (is_head(h2o) || answer->status == 204 || answer->body.size == 0)
		return h2o_iovec_init(NULL, 0);
	return h2o_strdup(&h2o->pool, answer->body.data, answer->body.size);
}

void http_reply(struct http_request *request, const struct http_answer *answer)
{
	struct exchange *exchange = exchange_of(request);
	h2o_req_t *h2o = exchange->h2o;

	working_end(exchange);
	if (!h2o) {
		free(exchange);
		return;
	}
	head_fill(exchange, answer);
	h2o_iovec_t body = body_fill(h2o, answer);
	if (exchange->refusal) {
		exchange->refusal_body = body;
		return;
	}
	writing_enter(exchange);
	h2o_start_response(h2o, &exchange->generator);
	h2o_send(h2o, &body, body.len > 0, H2O_SEND_STATE_FINAL);
}

void http_stream_begin(struct http_request *request,
		       const struct http_answer *answer, http_stream_fn *fn,
		       void *arg)
{
	struct exchange *exchange = exchange_of(request);
	h2o_req_t *h2o = exchange->h2o;

	exchange->fn = fn;
	exchange->arg = arg;
	if (!h2o)
		return;
	/* The end of an HTTP/1.0 stream is the end of the connection. */
	if (h2o->version < 0x101)
		h2o->http1_is_persistent = 0;
	head_fill(exchange, answer);
	h2o_start_response(h2o, &exchange->generator);
}

bool http_stream_send(struct http_request *request, struct slice piece)
{
	struct exchange *exchange = exchange_of(request);
	h2o_req_t *h2o = exchange->h2o;

	assert(piece.size > 0);
	if (!h2o || is_head(h2o)) {
		http_stream_end(request, true);
		return false;
	}
	h2o_iovec_t bytes = h2o_iovec_init(piece.data, piece.size);
	exchange->piece = true;
	writing_enter(exchange);
	h2o_send(h2o, &bytes, 1, H2O_SEND_STATE_IN_PROGRESS);
	return true;
}

void http_stream_end(struct http_request *request, bool good)
{
	struct exchange *exchange = exchange_of(request);

	working_end(exchange);
	if (!exchange->h2o) {
		free(exchange);
		return;
	}
	writing_enter(exchange);
	h2o_send(exchange->h2o, NULL, 0,
		 good ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_ERROR);
}

struct slice http_request_header(const struct http_request *request,
				 const char *name)
{
	const struct exchange *exchange =
		(const struct exchange *)(const void *)request;
	const h2o_headers_t *headers = &exchange->h2o->headers;
	ssize_t index = h2o_find_header_by_str(headers, name, strlen(name), -1);

	if (index < 0)
		return slice_of(NULL, 0);
	return slice_of(headers->entries[index].value.base,
			headers->entries[index].value.len);
}

bool http_request_tls(const struct http_request *request)
{
	const struct exchange *exchange =
		(const struct exchange *)(const void *)request;

	return exchange->server->tls != NULL;
}

/* ---- refusals of h2o's own ---- */

static void refusal_send(h2o_ostream_t *stream, h2o_req_t *h2o,
			 h2o_iovec_t *bufs, size_t count,
			 h2o_send_state_t state)
{
	struct refusal_stream *refusal = (struct refusal_stream *)stream;

	(void)bufs;
	(void)count;
	h2o_ostream_send_next(&refusal->super, h2o, &refusal->body,
			      refusal->body.len > 0, state);
}

/* Every answer passes here. One that does not come from us is h2o refusing to
 * read a body: the handler says it instead, in the words of the API. */
static void on_answer(h2o_filter_t *filter, h2o_req_t *h2o,
		      h2o_ostream_t **slot)
{
	struct http_server *server = ((struct filter *)filter)->server;

	if (h2o->_generator && h2o->_generator->proceed == on_proceed) {
		h2o_setup_next_ostream(h2o, slot);
		return;
	}
	struct exchange *exchange = exchange_new(server, h2o);
	exchange->refusal = true;
	exchange->unread = true;
	request_fill(&exchange->request, h2o);
	if (h2o->res.status == 413)
		fault_set(exchange, ERR_TOO_LARGE,
			  "the body is larger than 1048576 bytes");
	else
		fault_set(exchange, ERR_MALFORMED,
			  "the body's framing is malformed");
	server->options.handle(server->options.arg, &exchange->request);
	assert(!exchange->working);

	struct refusal_stream *refusal =
		(void *)h2o_add_ostream(h2o, sizeof(*refusal), slot);
	refusal->super.do_send = refusal_send;
	refusal->body = exchange->refusal_body;
	writing_enter(exchange);
	h2o_setup_next_ostream(h2o, &refusal->super.next);
}

/* ---- connections ---- */

/* A client that takes its answer too slowly holds our memory: cut it off. */
static void on_sweep(void *arg)
{
	struct http_server *server = arg;
	struct exchange *exchange;

	while ((exchange = TAILQ_FIRST(&server->writing)) &&
	       exchange->write_by_ms <= loop_now_ms(server->loop)) {
		/* h2o learns of it by the failed write, and frees. */
		writing_leave(exchange);
		server->slow_readers++;
		shutdown(h2o_socket_get_fd(socket_of(exchange->h2o)),
			 SHUT_RDWR);
	}
}

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *connection = (struct connection *)(void *)handle;
	struct http_server *server = connection->server;

	TAILQ_REMOVE(&server->connections, connection, link);
	if (--server->connection_count == 0)
		loop_timer_stop(server->sweep);
	free(connection);
}

/* False: the client is gone already. */
static bool peer_fill(struct connection *connection)
{
	struct sockaddr_storage address;
	int size = sizeof(address);
	char *peer = connection->peer;

	if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address,
			       &size) != 0)
		return false;
	if (address.ss_family == AF_INET) {
		uv_ip4_name((struct sockaddr_in *)&address, peer,
			    HTTP_PEER_BYTES);
		return true;
	}
	uv_ip6_name((struct sockaddr_in6 *)&address, peer, HTTP_PEER_BYTES);
	/* An IPv4 peer of a socket for both is the same peer to everybody. */
	static const struct slice mapped = SLICE("::ffff:");
	if (slice_starts(slice_str(peer), mapped) && strchr(peer, '.'))
		memmove(peer, peer + mapped.size,
			strlen(peer + mapped.size) + 1);
	return true;
}

static struct connection *connection_new(struct http_server *server)
{
	struct connection *connection = mem_alloc(sizeof(*connection));

	connection->server = server;
	uv_tcp_init(server->listener.loop, &connection->tcp);
	TAILQ_INSERT_TAIL(&server->connections, connection, link);
	server->connections_total++;
	if (server->connection_count++ == 0)
		loop_timer_start(server->sweep, SWEEP_MS, SWEEP_MS);
	return connection;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct http_server *server = listener->data;
	if (status != 0)
		return;
	struct connection *connection = connection_new(server);
	bool full = server->connection_count > HTTP_CONNECTIONS_MAX;
	server->connections_refused += full;
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0 || full ||
	    !peer_fill(connection)) {
		uv_close((uv_handle_t *)&connection->tcp, on_connection_closed);
		return;
	}
	uv_tcp_nodelay(&connection->tcp, 1);
	h2o_socket_t *socket = h2o_uv_socket_create(
		(uv_stream_t *)&connection->tcp, on_connection_closed);
	/* h2o has no other place for it: without a cb it only carries it. */
	socket->on_close.data = connection;
	h2o_accept(&server->accept, socket);
}

/* ---- the server ---- */

static enum err_code address_parse(const struct http_options *options,
				   struct sockaddr_storage *address,
				   struct err *err)
{
	if (uv_ip4_addr(options->host, options->port,
			(struct sockaddr_in *)address) == 0 ||
	    uv_ip6_addr(options->host, options->port,
			(struct sockaddr_in6 *)address) == 0)
		return ERR_OK;
	return err_set(err, ERR_VALIDATE,
		       "http_host: \"%s\" is not a numeric address",
		       options->host);
}

static enum err_code listener_start(struct http_server *server,
				    const struct sockaddr_storage *address,
				    struct err *err)
{
	uv_stream_t *stream = (uv_stream_t *)&server->listener;
	/* libuv sets SO_REUSEADDR, so that a restart finds its port free. */
	int result = uv_tcp_bind(&server->listener,
				 (const struct sockaddr *)address, 0);
	if (result == 0)
		result = uv_listen(stream, LISTEN_BACKLOG, on_connection);
	if (result == 0)
		return ERR_OK;
	return err_set(err, ERR_UNAVAILABLE, "cannot listen on %s port %u: %s",
		       server->options.host, server->options.port,
		       uv_strerror(result));
}

uint16_t http_server_port(const struct http_server *server)
{
	struct sockaddr_storage address;
	int size = sizeof(address);

	if (uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address,
			       &size) != 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6
			     ? ((struct sockaddr_in6 *)&address)->sin6_port
			     : ((struct sockaddr_in *)&address)->sin_port);
}

static void h2o_init(struct http_server *server)
{
	h2o_globalconf_t *config = &server->config;
	h2o_config_init(config);
	config->server_name = h2o_iovec_init("", 0);
	config->max_request_entity_size = HTTP_BODY_BYTES_MAX;
	config->handshake_timeout = server->options.idle_ms;
	config->http1.req_timeout = server->options.idle_ms;
	/* CVE-2023-44487 is not fixed in this h2o: no way to HTTP/2. */
	config->http1.upgrade_to_http2 = 0;
	h2o_hostconf_t *host = h2o_config_register_host(
		config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_pathconf_t *path = &host->fallback_path;
	struct handler *handler =
		(void *)h2o_create_handler(path, sizeof(*handler));
	handler->super.on_req = on_request;
	handler->server = server;
	struct filter *filter =
		(void *)h2o_create_filter(path, sizeof(*filter));
	filter->super.on_setup_ostream = on_answer;
	filter->server = server;

	h2o_context_init(&server->context, loop_uv(server->loop), config);
	server->accept.ctx = &server->context;
	server->accept.hosts = config->hosts;
	server->accept.ssl_ctx = server->tls;
}

static void metrics_name(struct http_server *server, struct metrics *metrics)
{
	if (!metrics)
		return;
	metrics_add(metrics, METRICS_GAUGE, "http_connections",
		    "Open client connections", &server->connection_count);
	metrics_add(metrics, METRICS_COUNTER, "http_connections_total",
		    "Client connections accepted", &server->connections_total);
	metrics_add(metrics, METRICS_COUNTER, "http_connections_refused_total",
		    "Client connections over the bound, closed at once",
		    &server->connections_refused);
	metrics_add(metrics, METRICS_GAUGE, "http_in_flight",
		    "REST calls at work", &server->in_flight);
	metrics_add(metrics, METRICS_COUNTER, "http_in_flight_refused_total",
		    "REST calls over http_in_flight_max, answered 503",
		    &server->in_flight_refused);
	metrics_add(metrics, METRICS_COUNTER, "http_slow_readers_total",
		    "Clients cut off for not taking their answer",
		    &server->slow_readers);
}

enum err_code http_server_new(struct loop *loop,
			      const struct http_options *options,
			      struct http_server **out, struct err *err)
{
	struct sockaddr_storage address;
	enum err_code code = address_parse(options, &address, err);
	if (code != ERR_OK)
		return code;
	SSL_CTX *tls = NULL;
	if (options->certificate[0])
		code = tls_server_new(options->certificate, options->key, &tls,
				      err);
	if (code != ERR_OK)
		return code;

	struct http_server *server = mem_alloc(sizeof(*server));
	server->loop = loop;
	server->options = *options;
	server->tls = tls;
	TAILQ_INIT(&server->connections);
	TAILQ_INIT(&server->writing);
	server->closer = closer_new(loop);
	server->sweep = loop_timer_new(loop, on_sweep, server);
	uv_tcp_init(loop_uv(loop), &server->listener);
	server->listener.data = server;
	h2o_init(server);
	code = listener_start(server, &address, err);
	if (code != ERR_OK) {
		http_server_stop(server);
		http_server_free(server);
		return code;
	}
	metrics_name(server, options->metrics);
	log_event(LOG_INFO, "http.listening", LOG_STR("host", options->host),
		  LOG_INT("port", http_server_port(server)),
		  LOG_STR("scheme", tls ? "https" : "http"));
	*out = server;
	return ERR_OK;
}

/* Ends the reading of a connection that has sent nothing of a request. */
static int idle_end(h2o_req_t *h2o, void *arg)
{
	h2o_socket_t *socket = socket_of(h2o);

	(void)arg;
	if (!h2o->pathconf && socket->input->size == 0)
		shutdown(h2o_socket_get_fd(socket), SHUT_RD);
	return 0;
}

void http_server_stop(struct http_server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	uv_close((uv_handle_t *)&server->listener, NULL);
	/* Not h2o_context_request_shutdown(): that leaves a timer for HTTP/2
	 * connections running, which h2o_context_dispose() then asserts on. */
	server->context.shutdown_requested = 1;
	H2O_HTTP1_CALLBACKS.foreach_request(&server->context, idle_end, NULL);
}

static void on_marker_closed(uv_handle_t *marker)
{
	struct http_server *server = marker->data;

	server->closed = true;
}

bool http_server_idle(const struct http_server *server)
{
	return server->connection_count == 0 && closer_idle(server->closer);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	http_server_stop(server);
	server->ending = true;
	struct connection *connection;
	TAILQ_FOREACH(connection, &server->connections, link) {
		int fd;

		if (uv_fileno((uv_handle_t *)&connection->tcp, &fd) == 0)
			shutdown(fd, SHUT_RDWR);
	}
	for (int i = 0; server->connection_count > 0; i++) {
		assert(i < FREE_TURNS_MAX);
		loop_turn(server->loop, FREE_TURN_MS);
	}
	assert(server->in_flight == 0);
	closer_free(server->closer);
	loop_timer_free(server->sweep);
	h2o_context_dispose(&server->context);
	h2o_config_dispose(&server->config);
	if (server->tls)
		SSL_CTX_free(server->tls);
	/* The listener and h2o's timers lie in this memory until libuv has
	 * closed them, which it does in one go with the marker. */
	uv_timer_init(loop_uv(server->loop), &server->marker);
	server->marker.data = server;
	uv_close((uv_handle_t *)&server->marker, on_marker_closed);
	while (!server->closed)
		loop_turn(server->loop, 0);
	free(server);
}
