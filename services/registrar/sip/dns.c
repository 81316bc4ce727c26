#include "services/registrar/sip/dns.h"

#include "proto/mem.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* c-ares is asked that often whether a query has to be sent again. */
	TICK_MS = 50,
};

/* A socket of c-ares. */
struct dns_socket {
	struct dns *dns;
	struct dns_socket *next;
	struct loop_watch *watch;
	int fd;
};

struct dns {
	struct loop *loop;
	ares_channel channel;
	struct dns_socket *sockets; /* two a server at most: a list will do */
	struct loop_timer *tick;    /* runs while queries do */
	size_t queries;
};

struct query {
	struct dns *dns;
	dns_fn *fn;
	void *arg;
};

static const char *const reason_texts[] = {
	[DNS_OK] = "found",
	[DNS_NO_NAME] = "the name does not exist",
	[DNS_NO_RECORD] = "the name has no such record",
	[DNS_BAD_NAME] = "not a DNS name",
	[DNS_FAILED] = "the name server failed",
	[DNS_UNREACHABLE] = "no name server could be reached or would answer",
	[DNS_TIMEOUT] = "no answer in time",
};

const char *dns_reason_text(enum dns_reason reason)
{
	return reason_texts[reason];
}

static enum dns_reason reason_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return DNS_OK;
	case ARES_ENOTFOUND:
		return DNS_NO_NAME;
	case ARES_ENODATA:
		return DNS_NO_RECORD;
	case ARES_EBADNAME:
		return DNS_BAD_NAME;
	case ARES_ECONNREFUSED:
		return DNS_UNREACHABLE;
	case ARES_ETIMEOUT:
		return DNS_TIMEOUT;
	default:
		return DNS_FAILED;
	}
}

static void on_tick(void *arg)
{
	struct dns *dns = arg;

	ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_socket(void *arg, unsigned events)
{
	struct dns_socket *s = arg;
	/* Processing may close the socket, and s with it. */
	ares_channel channel = s->dns->channel;
	int fd = s->fd;

	ares_process_fd(channel, events & LOOP_READABLE ? fd : ARES_SOCKET_BAD,
			events & LOOP_WRITABLE ? fd : ARES_SOCKET_BAD);
}

static struct dns_socket **socket_find(struct dns *dns, int fd)
{
	struct dns_socket **at = &dns->sockets;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

static void socket_close(struct dns_socket **at)
{
	struct dns_socket *s = *at;

	*at = s->next;
	loop_watch_free(s->watch);
	free(s);
}

/* c-ares wants to know of a socket; of neither: it is about to be closed. */
static void on_state(void *arg, int fd, int readable, int writable)
{
	struct dns *dns = arg;
	struct dns_socket **at = socket_find(dns, fd);

	if (!readable && !writable) {
		if (*at)
			socket_close(at);
		return;
	}
	if (!*at) {
		*at = mem_alloc(sizeof(**at));
		(*at)->dns = dns;
		(*at)->fd = fd;
		(*at)->watch = loop_watch_new(dns->loop, fd, on_socket, *at);
	}
	loop_watch_set((*at)->watch, (readable ? LOOP_READABLE : 0U) |
					     (writable ? LOOP_WRITABLE : 0U));
}

static enum err_code channel_open(struct dns *dns, const char *servers,
				  int flags, struct err *err)
{
	struct ares_options options = {
		.flags = flags,
		.timeout = DNS_TRY_MS,
		.tries = DNS_TRIES,
		.ndomains = 0,
		.sock_state_cb = on_state,
		.sock_state_cb_data = dns,
	};
	int status = ares_init_options(
		&dns->channel, &options,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
			ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return err_set(err, ERR_VALIDATE, "dns: %s",
			       ares_strerror(status));
	if (!servers || servers[0] == '\0')
		return ERR_OK;
	status = ares_set_servers_ports_csv(dns->channel, servers);
	return status == ARES_SUCCESS
		       ? ERR_OK
		       : err_set(err, ERR_VALIDATE,
				 "dns servers \"%s\": not a list of address "
				 "and port",
				 servers);
}

static bool has_one_server(ares_channel channel)
{
	struct ares_addr_port_node *servers = NULL;

	if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS)
		return false;

	bool one = servers && !servers->next;

	ares_free_data(servers);
	return one;
}

/* c-ares goes to the next server after SERVFAIL and the like, and forgets that
 * answer for "could not connect". With one server there is no next, and what it
 * said can be told. */
static enum err_code channel_new(struct dns *dns, const char *servers,
				 struct err *err)
{
	enum err_code code = channel_open(dns, servers, 0, err);

	if (code || !has_one_server(dns->channel))
		return code;
	ares_destroy(dns->channel);
	dns->channel = NULL;
	return channel_open(dns, servers, ARES_FLAG_NOCHECKRESP, err);
}

enum err_code dns_new(struct loop *loop, const char *servers, struct dns **out,
		      struct err *err)
{
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return err_set(err, ERR_VALIDATE, "dns: c-ares does not start");

	struct dns *dns = mem_alloc(sizeof(*dns));

	dns->loop = loop;
	dns->tick = loop_timer_new(loop, on_tick, dns);

	enum err_code code = channel_new(dns, servers, err);

	if (code) {
		dns_free(dns);
		return code;
	}
	*out = dns;
	return ERR_OK;
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	if (dns->channel)
		ares_destroy(dns->channel);
	assert(dns->queries == 0);
	while (dns->sockets)
		socket_close(&dns->sockets);
	loop_timer_free(dns->tick);
	free(dns);
	ares_library_cleanup();
}

static struct query *query_new(struct dns *dns, dns_fn *fn, void *arg)
{
	struct query *query = mem_alloc(sizeof(*query));

	query->dns = dns;
	query->fn = fn;
	query->arg = arg;
	if (dns->queries++ == 0)
		loop_timer_start(dns->tick, TICK_MS, TICK_MS);
	return query;
}

static void query_end(struct query *query, const struct dns_answer *answer)
{
	struct dns *dns = query->dns;

	if (--dns->queries == 0)
		loop_timer_stop(dns->tick);
	query->fn(query->arg, answer);
	free(query);
}

static void query_fail(struct query *query, int status)
{
	query_end(query, &(struct dns_answer){.reason = reason_of(status)});
}

/* False: it does not fit, which no name of the DNS does. */
static bool text_copy(char *out, size_t size, const char *text)
{
	int length = snprintf(out, size, "%s", text);

	return length >= 0 && (size_t)length < size;
}

/* What records of a kind are sorted by: the lowest are the best. */
typedef uint32_t rank_fn(const void *record);

/* Keeps the array sorted, equals as they came, and the best DNS_RECORDS_MAX of
 * all. */
static void record_insert(void *all, size_t *count, const void *record,
			  size_t bytes, rank_fn *rank)
{
	char *records = all;
	size_t at = *count;

	while (at > 0 && rank(records + (at - 1) * bytes) > rank(record))
		at--;
	if (at == DNS_RECORDS_MAX)
		return;
	if (*count < DNS_RECORDS_MAX)
		(*count)++;
	memmove(records + (at + 1) * bytes, records + at * bytes,
		(*count - 1 - at) * bytes);
	memcpy(records + at * bytes, record, bytes);
}

static char flag_of(const unsigned char *flags)
{
	if (flags[0] == '\0' || flags[1] != '\0')
		return 0;
	return (char)(flags[0] | 0x20);
}

static bool naptr_read(const struct ares_naptr_reply *from,
		       struct dns_naptr *out)
{
	out->order = from->order;
	out->preference = from->preference;
	out->flag = flag_of(from->flags);
	return text_copy(out->service, sizeof(out->service),
			 (const char *)from->service) &&
	       text_copy(out->replacement, sizeof(out->replacement),
			 from->replacement);
}

static uint32_t naptr_rank(const void *record)
{
	const struct dns_naptr *naptr = record;

	return (uint32_t)naptr->order << 16 | naptr->preference;
}

static void on_naptr(void *arg, int status, int timeouts, unsigned char *bytes,
		     int size)
{
	struct query *query = arg;
	struct ares_naptr_reply *replies = NULL;
	struct dns_naptr all[DNS_RECORDS_MAX];
	struct dns_answer answer = {.naptrs = all};

	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_naptr_reply(bytes, size, &replies);
	if (status != ARES_SUCCESS) {
		query_fail(query, status);
		return;
	}
	for (const struct ares_naptr_reply *r = replies; r; r = r->next) {
		struct dns_naptr naptr;

		if (naptr_read(r, &naptr))
			record_insert(all, &answer.count, &naptr, sizeof(naptr),
				      naptr_rank);
	}
	ares_free_data(replies);
	query_end(query, &answer);
}

static bool srv_read(const struct ares_srv_reply *from, struct dns_srv *out)
{
	out->priority = from->priority;
	out->weight = from->weight;
	out->port = from->port;
	return text_copy(out->host, sizeof(out->host), from->host);
}

static uint32_t srv_rank(const void *record)
{
	const struct dns_srv *srv = record;

	return srv->priority;
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *bytes,
		   int size)
{
	struct query *query = arg;
	struct ares_srv_reply *replies = NULL;
	struct dns_srv all[DNS_RECORDS_MAX];
	struct dns_answer answer = {.srvs = all};

	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_srv_reply(bytes, size, &replies);
	if (status != ARES_SUCCESS) {
		query_fail(query, status);
		return;
	}
	for (const struct ares_srv_reply *r = replies; r; r = r->next) {
		struct dns_srv srv;

		if (srv_read(r, &srv))
			record_insert(all, &answer.count, &srv, sizeof(srv),
				      srv_rank);
	}
	ares_free_data(replies);
	query_end(query, &answer);
}

static bool address_read(const struct ares_addrinfo_node *node,
			 union dns_address *out)
{
	if (node->ai_addrlen > sizeof(*out) ||
	    (node->ai_family != AF_INET && node->ai_family != AF_INET6))
		return false;
	*out = (union dns_address){0};
	memcpy(out, node->ai_addr, node->ai_addrlen);
	return true;
}

static void on_addresses(void *arg, int status, int timeouts,
			 struct ares_addrinfo *info)
{
	struct query *query = arg;
	union dns_address all[DNS_RECORDS_MAX];
	struct dns_answer answer = {.addresses = all};

	(void)timeouts;
	if (status != ARES_SUCCESS) {
		query_fail(query, status);
		return;
	}
	for (const struct ares_addrinfo_node *node = info->nodes;
	     node && answer.count < DNS_RECORDS_MAX; node = node->ai_next)
		if (address_read(node, &all[answer.count]))
			answer.count++;
	ares_freeaddrinfo(info);
	if (answer.count == 0)
		answer.reason = DNS_NO_RECORD;
	query_end(query, &answer);
}

void dns_naptr(struct dns *dns, const char *name, dns_fn *fn, void *arg)
{
	ares_query(dns->channel, name, ns_c_in, ns_t_naptr, on_naptr,
		   query_new(dns, fn, arg));
}

void dns_srv(struct dns *dns, const char *name, dns_fn *fn, void *arg)
{
	ares_query(dns->channel, name, ns_c_in, ns_t_srv, on_srv,
		   query_new(dns, fn, arg));
}

void dns_addresses(struct dns *dns, const char *name, int family, dns_fn *fn,
		   void *arg)
{
	const struct ares_addrinfo_hints hints = {.ai_family = family};

	ares_getaddrinfo(dns->channel, name, NULL, &hints, on_addresses,
			 query_new(dns, fn, arg));
}
