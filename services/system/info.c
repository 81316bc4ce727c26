#include "services/system/info.h"

#include "proto/resources/resources.h"
#include "services/common/ask.h"
#include "services/common/bus_record.h"
#include "services/system/system.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

/* Larger ones exist only by mistake; name servers stand at the front. */
enum { RESOLV_CONF_BYTES = 4096 };

static void keep_ipv4(struct info *info, const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;

	if (!info->private_ipv4[0])
		inet_ntop(AF_INET, &in->sin_addr, info->private_ipv4,
			  sizeof(info->private_ipv4));
}

static void keep_ipv6(struct info *info, const struct sockaddr *address)
{
	const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;

	/* A link-local address means nothing without its interface. */
	if (!info->private_ipv6[0] && !IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr))
		inet_ntop(AF_INET6, &in->sin6_addr, info->private_ipv6,
			  sizeof(info->private_ipv6));
}

static void find_addresses(struct info *info)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) ||
		    (at->ifa_flags & IFF_LOOPBACK))
			continue;
		if (at->ifa_addr->sa_family == AF_INET)
			keep_ipv4(info, at->ifa_addr);
		else if (at->ifa_addr->sa_family == AF_INET6)
			keep_ipv6(info, at->ifa_addr);
	}
	freeifaddrs(all);
}

/* Keeps a name server if it is an address and there is room. */
static void keep_server(struct info *info, const char *server)
{
	char bytes[sizeof(struct in6_addr)];
	size_t i = 0;

	if (inet_pton(AF_INET, server, bytes) != 1 &&
	    inet_pton(AF_INET6, server, bytes) != 1)
		return;
	while (i < INFO_DNS_SERVERS && info->dns_servers[i][0])
		i++;
	if (i < INFO_DNS_SERVERS)
		snprintf(info->dns_servers[i], sizeof(info->dns_servers[i]),
			 "%s", server);
}

void info_dns_parse(struct info *info, struct slice text)
{
	while (text.size > 0) {
		const char *end = memchr(text.data, '\n', text.size);
		size_t size = end ? (size_t)(end - text.data) : text.size;
		char line[128];
		char server[INET6_ADDRSTRLEN];

		/* A longer line is no name server's. */
		if (size < sizeof(line)) {
			memcpy(line, text.data, size);
			line[size] = '\0';
			/* An IPv6 server may carry its interface: %eth0. */
			if (sscanf(line, "nameserver %45[0-9a-fA-F:.]",
				   server) == 1)
				keep_server(info, server);
		}
		size += end ? 1 : 0;
		text = slice_of(text.data + size, text.size - size);
	}
}

static void find_servers(struct info *info)
{
	char text[RESOLV_CONF_BYTES];
	int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;

	ssize_t size = read(fd, text, sizeof(text));

	close(fd);
	if (size > 0)
		info_dns_parse(info, slice_of(text, (size_t)size));
}

void info_init(struct info *info, const struct config *config)
{
	*info = (struct info){
		.web_domain = config_str(config, CONFIG_WEB_DOMAIN),
		.public_ipv4 = config_str(config, CONFIG_PUBLIC_IPV4),
		.public_ipv6 = config_str(config, CONFIG_PUBLIC_IPV6),
	};
	find_addresses(info);
	find_servers(info);
}

static struct value slice_or_null(struct slice text)
{
	if (text.size == 0)
		return (struct value){.kind = VALUE_NULL};
	return (struct value){.kind = VALUE_STR, .string = text};
}

static struct value text_or_null(const char *text)
{
	return slice_or_null(slice_str(text));
}

struct info_call {
	struct ask ask;
	const struct info *info;
};

static void reply(const struct info_call *asked, struct slice name,
		  struct slice domain, struct slice website)
{
	const struct info *info = asked->info;

	bus_reply_record(
		asked->ask.call, &info_record,
		(const struct value[INFO_FIELDS]){
			[INFO_WEB_DOMAIN] = text_or_null(info->web_domain),
			[INFO_PRIVATE_IPV4] = text_or_null(info->private_ipv4),
			[INFO_PUBLIC_IPV4] = text_or_null(info->public_ipv4),
			[INFO_ENABLE_IPV6] = {.kind = VALUE_BOOL,
					      .boolean =
						      info->private_ipv6[0] ||
						      info->public_ipv6[0]},
			[INFO_PRIVATE_IPV6] = text_or_null(info->private_ipv6),
			[INFO_PUBLIC_IPV6] = text_or_null(info->public_ipv6),
			[INFO_PRIMARY_DNS_SERVER] =
				text_or_null(info->dns_servers[0]),
			[INFO_SECONDARY_DNS_SERVER] =
				text_or_null(info->dns_servers[1]),
			[INFO_NAME] = slice_or_null(name),
			[INFO_DOMAIN] = slice_or_null(domain),
			[INFO_WEBSITE] = slice_or_null(website),
		},
		0);
}

static void on_tenant(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct info_call *asked = arg;

	if (ask_found(&asked->ask, result, error))
		reply(asked, database_cell(result, 0, 0),
		      database_cell(result, 0, 1), database_cell(result, 0, 2));
}

void info_get(void *service, struct bus_call *call)
{
	const struct system *system = service;
	struct value query[INFO_QUERY_FIELDS];

	if (!bus_call_args(call, &info_query_record, query))
		return;

	struct info_call *asked =
		ask_new(service, system->database, call, sizeof(*asked));

	asked->info = &system->info;
	if (query[INFO_QUERY_DOMAIN].kind != VALUE_STR) {
		const struct slice none = slice_of(NULL, 0);

		reply(asked, none, none, none);
		return;
	}
	ask_slice(&asked->ask, query[INFO_QUERY_DOMAIN].string);
	ask_run(&asked->ask, DATABASE_READ, "info_tenant",
		"SELECT name, domain, website FROM tenant.tenants "
		"WHERE domain = lower($1::text COLLATE \"C\") AND enabled "
		"AND deleting_at IS NULL",
		on_tenant);
}
