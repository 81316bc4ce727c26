/*
 * The floor of the SIP benchmark: sends every datagram back as it is, many to
 * a system call. Usage: bench_sip_floor; prints the port it listens on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	BATCH = 64,
	MESSAGE_BYTES_MAX = 2048,
	BUFFER_BYTES = 4 * 1024 * 1024,
};

struct floor {
	int fd;
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_in remotes[BATCH];
	char bytes[BATCH][MESSAGE_BYTES_MAX];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_any(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr =
					      htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int bytes = BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		die("bench_sip_floor: cannot listen");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void prepare(struct floor *floor)
{
	for (int i = 0; i < BATCH; i++) {
		struct msghdr *header = &floor->headers[i].msg_hdr;

		floor->vectors[i] =
			(struct iovec){.iov_base = floor->bytes[i],
				       .iov_len = MESSAGE_BYTES_MAX};
		*header = (struct msghdr){
			.msg_name = &floor->remotes[i],
			.msg_namelen = sizeof(floor->remotes[i]),
			.msg_iov = &floor->vectors[i],
			.msg_iovlen = 1,
		};
	}
}

static void echo(struct floor *floor)
{
	struct pollfd wait = {.fd = floor->fd, .events = POLLIN};

	if (poll(&wait, 1, -1) < 0)
		die("bench_sip_floor: poll");
	prepare(floor);

	int got =
		recvmmsg(floor->fd, floor->headers, BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < got; i++)
		floor->vectors[i].iov_len = floor->headers[i].msg_len;
	for (int sent = 0; sent < got;) {
		int now = sendmmsg(floor->fd, floor->headers + sent,
				   (unsigned)(got - sent), 0);

		/* A client that is gone: the next one may be there. */
		sent += now > 0 ? now : 1;
	}
}

int main(void)
{
	static struct floor floor;

	floor.fd = listen_any();
	for (;;)
		echo(&floor);
}
