#ifndef REGISTRAR_SIP_ENDPOINT_H
#define REGISTRAR_SIP_ENDPOINT_H

/*
 * An IP address with a port, as a value: it can be copied, stored and compared.
 * A zeroed one is no address. IPv6 addresses of link scope keep their scope.
 */

#include "proto/slice.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	/* "[" 45 characters of IPv6 "%" 10 digits of scope "]:65535" NUL */
	SIP_ENDPOINT_TEXT = 66,
};

struct sip_endpoint {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

/* AF_INET, AF_INET6; AF_UNSPEC: none. */
static inline int sip_endpoint_family(const struct sip_endpoint *endpoint)
{
	return endpoint->any.sa_family;
}

/* What the kernel gave us. An IPv4 address in IPv6 clothes becomes IPv4, so
 * that an address is written in one way only; other families give none. */
struct sip_endpoint sip_endpoint_of(const struct sockaddr *address);

/* The wildcard address of a family. */
struct sip_endpoint sip_endpoint_wildcard(int family, uint16_t port);

/* Reads a numeric address, IPv6 with brackets or without, no port in it.
 * False: it is none; *out is untouched. */
bool sip_endpoint_parse(struct slice host, uint16_t port,
			struct sip_endpoint *out);

/* What bind(), connect() and sendto() take as the length. */
socklen_t sip_endpoint_size(const struct sip_endpoint *endpoint);

uint16_t sip_endpoint_port(const struct sip_endpoint *endpoint);
void sip_endpoint_port_set(struct sip_endpoint *endpoint, uint16_t port);

bool sip_endpoint_is_wildcard(const struct sip_endpoint *endpoint);

/* Address and port, or the address alone. */
bool sip_endpoint_eq(const struct sip_endpoint *a,
		     const struct sip_endpoint *b);
bool sip_endpoint_host_eq(const struct sip_endpoint *a,
			  const struct sip_endpoint *b);

/* Spreads address and port over 64 bits. The seed is random where peers choose
 * the addresses, or they could choose ones that collide. */
uint64_t sip_endpoint_hash(const struct sip_endpoint *endpoint, uint64_t seed);

/* Who is to be held to a limit: without the port, and IPv6 cut to its /64,
 * since whoever has one address of it mostly has all. */
struct sip_endpoint sip_endpoint_source(const struct sip_endpoint *endpoint);

/* "127.0.0.1:5060", "[::1]:5060"; the host alone: "127.0.0.1", "::1". None:
 * "". Both return out. */
const char *sip_endpoint_text(const struct sip_endpoint *endpoint,
			      char out[SIP_ENDPOINT_TEXT]);
const char *sip_endpoint_host_text(const struct sip_endpoint *endpoint,
				   char out[SIP_ENDPOINT_TEXT]);

#endif
