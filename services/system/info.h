#ifndef SYSTEM_INFO_H
#define SYSTEM_INFO_H

/* What the machine tells of itself before sign-in: the method info.get. */

#include "proto/slice.h"
#include "services/common/bus_server.h"
#include "services/common/config.h"

#include <netinet/in.h>

enum { INFO_DNS_SERVERS = 2 };

/* Empty texts are not known. */
struct info {
	const char *web_domain;
	const char *public_ipv4;
	const char *public_ipv6;
	char private_ipv4[INET6_ADDRSTRLEN];
	char private_ipv6[INET6_ADDRSTRLEN];
	char dns_servers[INFO_DNS_SERVERS][INET6_ADDRSTRLEN];
};

/* What the configuration says, which outlives info, and what is found on the
 * machine now: the first addresses that are not loopback or link-local, and
 * the servers of /etc/resolv.conf. Once, at start: it blocks, and a call before
 * sign-in shall cost no system calls. */
void info_init(struct info *info, const struct config *config);

/* Reads the name servers of a resolv.conf(5). */
void info_dns_parse(struct info *info, struct slice text);

bus_handler_fn info_get;

#endif
