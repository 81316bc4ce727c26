#include "sip_peer.h"

#include "turn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

void peer_message(struct buffer *out, unsigned number, size_t body_bytes)
{
	buffer_printf(out,
		      "OPTIONS sip:example.com SIP/2.0\r\n"
		      "Call-ID: %u\r\n"
		      "Content-Length: %zu\r\n"
		      "\r\n",
		      number, body_bytes);
	for (size_t i = 0; i < body_bytes; i++)
		buffer_append_char(out, 'x');
}

struct sip_endpoint peer_loopback(int family)
{
	struct sip_endpoint endpoint;

	cr_assert(sip_endpoint_parse(
		slice_str(family == AF_INET ? "127.0.0.1" : "::1"), 0,
		&endpoint));
	return endpoint;
}

int peer_connect(const struct sip_endpoint *remote)
{
	int fd = socket(sip_endpoint_family(remote), SOCK_STREAM | SOCK_CLOEXEC,
			0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, &remote->any, sip_endpoint_size(remote)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

void peer_send(struct loop *loop, int fd, struct slice bytes)
{
	while (bytes.size > 0) {
		ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);

		if (sent < 0) {
			cr_assert_eq(errno, EAGAIN, "send: %s",
				     strerror(errno));
			loop_turn(loop, 1);
			continue;
		}
		bytes = slice_of(bytes.data + sent, bytes.size - (size_t)sent);
	}
}

/* Returns true once size bytes more were added. */
static bool read_more(int fd, struct buffer *out, size_t wanted)
{
	while (out->size < wanted) {
		size_t room = wanted - out->size;
		ssize_t got = recv(fd, buffer_reserve(out, room), room, 0);

		if (got < 0 && errno == EAGAIN)
			return false;
		cr_assert_gt(got, 0, "the connection ended");
		out->size += (size_t)got;
	}
	return true;
}

void peer_read(struct loop *loop, int fd, struct buffer *out, size_t size)
{
	size_t wanted = out->size + size;

	TURN_UNTIL(loop, read_more(fd, out, wanted));
}

static bool read_end(int fd)
{
	char scrap[4096];
	ssize_t got;

	while ((got = recv(fd, scrap, sizeof(scrap), 0)) > 0)
		continue;
	return got == 0 || errno != EAGAIN;
}

bool peer_ended(struct loop *loop, int fd)
{
	uint64_t end_ms = loop_now_ms(loop) + TURN_DEADLINE_MS;

	while (!read_end(fd)) {
		if (loop_now_ms(loop) > end_ms)
			return false;
		loop_turn(loop, 10);
	}
	return true;
}

size_t peer_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	cr_assert(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
