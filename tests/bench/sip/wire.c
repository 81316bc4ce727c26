#include "tests/bench/sip/wire.h"

#include "proto/buffer.h"
#include "proto/mem.h"
#include "services/registrar/sip/frame.h"
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	BATCH = 64,
	MESSAGE_BYTES_MAX = 2048,	/* a 200 with one contact: under 600 */
	BUFFER_BYTES = 4 * 1024 * 1024, /* a burst of answers fits */
	STREAM_BYTES_MAX = 1024 * 1024, /* answers waiting in one connection */
	EVENTS = 256,
};

struct connection {
	int fd;
	SSL *tls; /* NULL: plain */
	char *in;
	size_t in_bytes;
};

struct wire {
	enum sip_transport transport;
	wire_fn *fn;
	void *arg;
	int epoll_fd;
	struct connection *connections;
	unsigned count;
	/* UDP */
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	char out[BATCH][MESSAGE_BYTES_MAX];
	unsigned out_count;
	struct mmsghdr in_headers[BATCH];
	struct iovec in_vectors[BATCH];
	char in[BATCH][MESSAGE_BYTES_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "bench_sip_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int socket_open(enum sip_transport transport, uint16_t port)
{
	const int type =
		transport == SIP_TRANSPORT_UDP ? SOCK_DGRAM : SOCK_STREAM;
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int bytes = BUFFER_BYTES, on = 1;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("cannot connect");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
			    sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static void watch(struct wire *wire, unsigned index)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};

	if (epoll_ctl(wire->epoll_fd, EPOLL_CTL_ADD,
		      wire->connections[index].fd, &event) < 0)
		die("epoll_ctl");
}

static void vectors_init(struct wire *wire)
{
	for (unsigned i = 0; i < BATCH; i++) {
		wire->vectors[i].iov_base = wire->out[i];
		wire->headers[i].msg_hdr.msg_iov = &wire->vectors[i];
		wire->headers[i].msg_hdr.msg_iovlen = 1;
		wire->in_vectors[i].iov_base = wire->in[i];
		wire->in_vectors[i].iov_len = MESSAGE_BYTES_MAX;
		wire->in_headers[i].msg_hdr.msg_iov = &wire->in_vectors[i];
		wire->in_headers[i].msg_hdr.msg_iovlen = 1;
	}
}

/* The handshake blocks: none of it is measured. */
static SSL *tls_open(SSL_CTX *context, int fd)
{
	SSL *tls = SSL_new(context);

	SSL_set_fd(tls, fd);
	if (SSL_connect(tls) != 1)
		die("the TLS handshake failed");
	return tls;
}

struct wire *wire_new(enum sip_transport transport, uint16_t port,
		      unsigned connections, wire_fn *fn, void *arg)
{
	struct wire *wire = mem_alloc(sizeof(*wire));
	SSL_CTX *context = NULL;

	wire->transport = transport;
	wire->fn = fn;
	wire->arg = arg;
	wire->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	wire->count = transport == SIP_TRANSPORT_UDP ? 1 : connections;
	wire->connections = mem_alloc(wire->count * sizeof(*wire->connections));
	vectors_init(wire);
	if (transport == SIP_TRANSPORT_TLS)
		context = SSL_CTX_new(TLS_client_method());
	for (unsigned i = 0; i < wire->count; i++) {
		struct connection *connection = &wire->connections[i];

		connection->fd = socket_open(transport, port);
		if (transport != SIP_TRANSPORT_UDP)
			connection->in = mem_alloc(STREAM_BYTES_MAX);
		if (context)
			connection->tls = tls_open(context, connection->fd);
		watch(wire, i);
	}
	SSL_CTX_free(context);
	return wire;
}

void wire_flush(struct wire *wire)
{
	for (unsigned first = 0; first < wire->out_count;) {
		int sent =
			sendmmsg(wire->connections[0].fd, wire->headers + first,
				 wire->out_count - first, 0);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			die("cannot send");
		first += (unsigned)sent;
	}
	wire->out_count = 0;
}

/* A connection's requests under way are few: its buffer takes them. */
static void stream_send(struct connection *connection, struct slice message)
{
	const int size = (int)message.size;

	if ((connection->tls ? SSL_write(connection->tls, message.data, size)
			     : (int)send(connection->fd, message.data,
					 message.size, MSG_NOSIGNAL)) != size)
		die("a connection was lost while sending");
}

void wire_send(struct wire *wire, uint32_t number, struct slice message)
{
	if (wire->transport != SIP_TRANSPORT_UDP) {
		stream_send(&wire->connections[number % wire->count], message);
		return;
	}
	if (message.size > MESSAGE_BYTES_MAX)
		die("a message is too long");
	if (wire->out_count == BATCH)
		wire_flush(wire);
	memcpy(wire->out[wire->out_count], message.data, message.size);
	wire->vectors[wire->out_count++].iov_len = message.size;
}

static void datagrams_take(struct wire *wire)
{
	for (;;) {
		int got = recvmmsg(wire->connections[0].fd, wire->in_headers,
				   BATCH, MSG_DONTWAIT, NULL);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0)
			die("cannot receive");
		for (int i = 0; i < got; i++)
			wire->fn(wire->arg,
				 slice_of(wire->in[i],
					  wire->in_headers[i].msg_len));
		if (got < BATCH)
			return;
	}
}

static void frames_take(struct wire *wire, struct connection *connection)
{
	size_t at = 0;

	for (;;) {
		const struct slice rest = slice_of(connection->in + at,
						   connection->in_bytes - at);
		size_t searched = 0, size = 0;

		if (sip_frame_find(rest, STREAM_BYTES_MAX, &searched, &size) !=
		    ERR_OK)
			die("an answer has no end");
		if (size == 0 || size > rest.size)
			break;
		wire->fn(wire->arg, slice_of(rest.data, size));
		at += size;
	}
	connection->in_bytes -= at;
	memmove(connection->in, connection->in + at, connection->in_bytes);
}

static void stream_take(struct wire *wire, struct connection *connection)
{
	do {
		char *to = connection->in + connection->in_bytes;
		const size_t room = STREAM_BYTES_MAX - connection->in_bytes;
		const int got = connection->tls ? SSL_read(connection->tls, to,
							   (int)room)
						: (int)recv(connection->fd, to,
							    room, MSG_DONTWAIT);

		if (got <= 0)
			die("a connection was lost");
		connection->in_bytes += (size_t)got;
	} while (connection->tls && SSL_pending(connection->tls) > 0);
	frames_take(wire, connection);
}

void wire_receive(struct wire *wire, uint64_t wait_us)
{
	struct epoll_event events[EVENTS];
	const struct timespec wait = {
		.tv_sec = (time_t)(wait_us / MEASURE_US_PER_S),
		.tv_nsec = (long)(wait_us % MEASURE_US_PER_S) * 1000,
	};
	int count = epoll_pwait2(wire->epoll_fd, events, EVENTS, &wait, NULL);

	for (int i = 0; i < count; i++) {
		if (wire->transport == SIP_TRANSPORT_UDP)
			datagrams_take(wire);
		else
			stream_take(wire,
				    &wire->connections[events[i].data.u32]);
	}
}
