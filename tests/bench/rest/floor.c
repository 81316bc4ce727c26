/*
 * The floor of the REST benchmark: h2o, on the same loop as the gateway, that
 * answers everything with one file's bytes from memory. No session, no bus, no
 * database. Usage: bench_floor FILE; prints the port it listens on.
 */
#include <h2o.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum {
	BACKLOG = 128,
	BODY_BYTES_MAX = 1024 * 1024,
};

struct body {
	h2o_handler_t super; /* h2o hands it back by its first member */
	char *bytes;
	size_t size;
};

struct server {
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_signal_t stop;
	h2o_globalconf_t config;
	h2o_context_t context;
	h2o_accept_ctx_t accept;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_floor: %s\n", what);
	exit(1);
}

static int on_request(h2o_handler_t *handler, h2o_req_t *request)
{
	struct body *body = (struct body *)handler;
	request->res.status = 200;
	request->res.reason = "OK";
	request->res.content_length = body->size;
	h2o_add_header(&request->pool, &request->res.headers,
		       H2O_TOKEN_CONTENT_TYPE, NULL,
		       H2O_STRLIT("application/json"));
	h2o_send_inline(request, body->bytes, body->size);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *server = listener->data;
	if (status != 0)
		return;
	uv_tcp_t *stream = h2o_mem_alloc(sizeof(*stream));
	uv_tcp_init(&server->loop, stream);
	if (uv_accept(listener, (uv_stream_t *)stream) != 0) {
		uv_close((uv_handle_t *)stream, on_closed);
		return;
	}
	h2o_accept(&server->accept,
		   h2o_uv_socket_create((uv_stream_t *)stream, on_closed));
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	uv_stop(signal->loop);
}

static void body_read(struct body *body, const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	body->bytes = h2o_mem_alloc(BODY_BYTES_MAX);
	body->size = fread(body->bytes, 1, BODY_BYTES_MAX, file);
	fclose(file);
}

static void server_configure(struct server *server, const char *path)
{
	h2o_config_init(&server->config);
	h2o_hostconf_t *host = h2o_config_register_host(
		&server->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_pathconf_t *root = h2o_config_register_path(host, "/", 0);
	struct body *body =
		(struct body *)h2o_create_handler(root, sizeof(*body));
	body->super.on_req = on_request;
	body_read(body, path);
	uv_loop_init(&server->loop);
	h2o_context_init(&server->context, &server->loop, &server->config);
	server->accept.ctx = &server->context;
	server->accept.hosts = server->config.hosts;
}

static int server_listen(struct server *server)
{
	struct sockaddr_in address;
	int size = sizeof(address);
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_init(&server->loop, &server->listener);
	server->listener.data = server;
	if (uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0) ||
	    uv_listen((uv_stream_t *)&server->listener, BACKLOG,
		      on_connection) ||
	    uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address,
			       &size))
		die("cannot listen");
	return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
	static struct server server;
	if (argc != 2)
		die("usage: bench_floor FILE");
	signal(SIGPIPE, SIG_IGN);
	server_configure(&server, argv[1]);
	printf("%d\n", server_listen(&server));
	fflush(stdout);
	uv_signal_init(&server.loop, &server.stop);
	uv_signal_start(&server.stop, on_signal, SIGTERM);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	return 0;
}
