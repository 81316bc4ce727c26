#ifndef REGISTRAR_SIP_SOCKET_H
#define REGISTRAR_SIP_SOCKET_H

/* Opening sockets: what UDP and TCP share. All are non-blocking and closed on
 * exec. */

#include "proto/error.h"
#include "services/registrar/sip/endpoint.h"

#include <stdbool.h>

/* A socket bound to local, IPv6 for IPv6 only; type SOCK_DGRAM or SOCK_STREAM.
 * TCP ports of ended connections can be bound again. ERR_IN_USE: the port is
 * another's. ERR_NOT_FOUND: the machine has no such address or family.
 * ERR_FORBIDDEN: a port we may not have. ERR_LIMIT: out of descriptors or
 * memory. err tells the address and the reason. */
enum err_code sip_socket_bind(const struct sip_endpoint *local, int type,
			      int *fd, struct err *err);

/* The same for a failed call on an open socket; number is its errno. */
enum err_code sip_socket_fail(struct err *err, const char *what,
			      const struct sip_endpoint *endpoint, int number);

/* The address the socket has now; none where it was lost. */
struct sip_endpoint sip_socket_local(int fd);

/* The address of ours, port 0, that the kernel would send to remote from.
 * Errors as above: there is no route, or no such family. */
enum err_code sip_socket_source(const struct sip_endpoint *remote,
				struct sip_endpoint *local, struct err *err);

/* setsockopt() of an int. */
bool sip_socket_set(int fd, int level, int option, int value);

#endif
