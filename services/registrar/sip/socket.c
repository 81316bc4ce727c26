#include "services/registrar/sip/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum err_code code_of(int number)
{
	switch (number) {
	case EADDRINUSE:
		return ERR_IN_USE;
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERR_FORBIDDEN;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return ERR_LIMIT;
	default:
		return ERR_UNAVAILABLE;
	}
}

enum err_code sip_socket_fail(struct err *err, const char *what,
			      const struct sip_endpoint *endpoint, int number)
{
	char text[SIP_ENDPOINT_TEXT];

	return err_set(err, code_of(number), "%s %s: %s", what,
		       sip_endpoint_text(endpoint, text), strerror(number));
}

bool sip_socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

struct sip_endpoint sip_socket_local(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return (struct sip_endpoint){0};
	return sip_endpoint_of((const struct sockaddr *)&address);
}

/* Both families are bound apart, so that each address has one form. */
static bool prepare(int fd, int family, int type)
{
	if (family == AF_INET6 &&
	    !sip_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
		return false;
	/* A UDP port with it could be shared with another process, which would
	 * then take our datagrams. */
	return type != SOCK_STREAM ||
	       sip_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

enum err_code sip_socket_bind(const struct sip_endpoint *local, int type,
			      int *fd, struct err *err)
{
	int family = sip_endpoint_family(local);
	int opened = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (opened < 0)
		return sip_socket_fail(err, "socket for", local, errno);
	if (!prepare(opened, family, type) ||
	    bind(opened, &local->any, sip_endpoint_size(local)) != 0) {
		enum err_code code = sip_socket_fail(err, "bind", local, errno);

		close(opened);
		return code;
	}
	*fd = opened;
	return ERR_OK;
}

enum err_code sip_socket_source(const struct sip_endpoint *remote,
				struct sip_endpoint *local, struct err *err)
{
	int fd = socket(sip_endpoint_family(remote), SOCK_DGRAM | SOCK_CLOEXEC,
			0);

	if (fd < 0)
		return sip_socket_fail(err, "socket for", remote, errno);

	/* Sends nothing: it looks the route up. */
	int result = connect(fd, &remote->any, sip_endpoint_size(remote));
	enum err_code code =
		result == 0 ? ERR_OK
			    : sip_socket_fail(err, "route to", remote, errno);

	if (code == ERR_OK) {
		*local = sip_socket_local(fd);
		sip_endpoint_port_set(local, 0);
	}
	close(fd);
	return code;
}
