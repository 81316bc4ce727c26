#ifndef REGISTRAR_SIP_HOST_H
#define REGISTRAR_SIP_HOST_H

/* host [":" port] as URIs and Via have it (RFC 3261 25.1). Names may also have
 * underscores and start with a digit, as those of containers do. */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"

#include <stdint.h>

enum {
	/* A DNS name takes 253 characters and perhaps a dot behind it. Longer
	 * hosts are ERR_MALFORMED. */
	SIP_HOST_BYTES = 254,
};

enum sip_host_kind {
	SIP_HOST_NONE, /* zero: tel and unknown schemes */
	SIP_HOST_NAME,
	SIP_HOST_IPV4,
	SIP_HOST_IPV6,
};

struct sip_host {
	enum sip_host_kind kind;
	struct slice name; /* an IPv6 address is without its brackets */
	uint16_t port;	   /* 0: not said */
};

struct cursor;

/* Reads a host without port. Private to the decoders of this folder. */
enum err_code sip_host_read(struct cursor *c, struct sip_host *out);

/* All of text is one host without a port: a name, an IPv4 address or an IPv6
 * address with or without brackets. */
enum err_code sip_host_decode(struct slice text, struct sip_host *out);

/* Appends the host, IPv6 in brackets, and ":port" where there is one. */
void sip_host_append(struct buffer *out, const struct sip_host *host);

#endif
