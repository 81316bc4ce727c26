#include "services/registrar/sip/resolve.h"

#include "proto/buffer.h"
#include "servers.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/resolve_order.h"
#include "turn.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DEADLINE_MS = 15000, /* far more than a local server needs */
	SHORT_MS = 100,	     /* for deadlines that are to pass */
	DNS_PORT = 10053,    /* of the address of this process */
	ROOT_WORDS = 5,	     /* of the command line, for setpriv */
};

/* A private name server, and one that never answers, to which the first
 * forwards what is in silent.example. */
struct names {
	pid_t pid;
	char dir[64];
	char address[INET_ADDRSTRLEN];
	int silent_fd;
	int silent_port;
	struct loop *loop;
	struct resolver *resolver;
};

/* A loopback address of this process alone: its ports are taken by nobody
 * else, whatever runs beside it. (Each test is a process.) */
static struct in_addr own_address(void)
{
	return (struct in_addr){htonl(0x7f800000U | (uint32_t)getpid())};
}

/* A UDP socket on a free port. */
static int bound_socket(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = own_address()};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0, "bind");
	getsockname(fd, (struct sockaddr *)&address, &size);
	*port = ntohs(address.sin_port);
	return fd;
}

/* Any answer to a query for the root will do. */
static int server_answers(void *arg)
{
	static const char query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1";
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = own_address(),
				      .sin_port = htons(DNS_PORT)};
	char answer[512];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	(void)arg;

	int ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) ==
			 0 &&
		 write(fd, query, sizeof(query) - 1) > 0 &&
		 poll(&readable, 1, 100) == 1 &&
		 read(fd, answer, sizeof(answer)) > 0;

	close(fd);
	return ok;
}

static void server_start(struct names *names)
{
	char listen[64], port[32], silent[64], log_path[96];

	servers_dir_make(names->dir);
	snprintf(listen, sizeof(listen), "--listen-address=%s", names->address);
	snprintf(port, sizeof(port), "--port=%d", DNS_PORT);
	snprintf(silent, sizeof(silent), "--server=/silent.example/%s#%d",
		 names->address, names->silent_port);
	snprintf(log_path, sizeof(log_path), "%s/log", names->dir);

	/* clang-format off */
	const char *const argv[] = {
		/* For root alone: dnsmasq would change its user itself, which
		 * makes the kernel forget that it is to end with the test. */
		"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"--pdeathsig=SIGKILL",
		"dnsmasq", "--keep-in-foreground", "--conf-file=", "--pid-file=",
		"--no-resolv", "--no-hosts", port, silent,
		listen, "--bind-interfaces",
		"--local=/example/",
		/* Addresses. */
		"--host-record=a.example,192.0.2.1",
		"--host-record=b.example,192.0.2.2",
		"--host-record=six.example,2001:db8::6",
		"--host-record=both.example,192.0.2.3,2001:db8::3",
		"--host-record=two.example,192.0.2.4",
		"--host-record=two.example,192.0.2.5",
		"--cname=alias.example,a.example",
		/* NAPTR, TLS wanted before UDP. */
		"--naptr-record=full.example,20,10,s,SIP+D2U,,_sip._udp.full.example",
		"--naptr-record=full.example,10,10,S,SIPS+D2T,,_sips._tcp.full.example",
		"--naptr-record=full.example,5,10,s,SIP+D2S,,_sip._sctp.full.example",
		"--naptr-record=full.example,5,10,u,E2U+sip,!^.*$!sip:x@y!",
		"--srv-host=_sips._tcp.full.example,a.example,5081,10,1",
		"--srv-host=_sip._udp.full.example,b.example,5082,10,1",
		/* NAPTR to the SRV records of others; there are none of its own. */
		"--naptr-record=lent.example,10,10,s,SIP+D2T,,_sip._tcp.srv.example",
		"--naptr-record=lent.example,20,10,s,SIP+D2U,,_sip._udp.full.example",
		"--naptr-record=lent.example,10,10,s,SIP+D2U,,_sip._udp.srv.example",
		"--host-record=lent.example,192.0.2.97",
		/* To what is not there. */
		"--naptr-record=lost.example,10,10,s,SIP+D2U,,_sip._udp.gone.example",
		"--host-record=lost.example,192.0.2.96",
		/* NAPTR of nothing we have. */
		"--naptr-record=odd.example,5,10,s,SIP+D2S,,_sip._sctp.odd.example",
		"--srv-host=_sip._udp.odd.example,a.example,5083,10,1",
		/* SRV alone, by priority. */
		"--srv-host=_sip._udp.srv.example,b.example,5071,20,1",
		"--srv-host=_sip._udp.srv.example,alias.example,5070,10,1",
		"--srv-host=_sip._tcp.srv.example,a.example,5072,10,1",
		"--host-record=srv.example,192.0.2.99",
		/* By weight. */
		"--srv-host=_sip._udp.weight.example,a.example,5060,1,90",
		"--srv-host=_sip._udp.weight.example,b.example,5060,1,10",
		/* Not offered, although there is an address. */
		"--srv-host=_sip._udp.closed.example",
		"--srv-host=_sip._tcp.closed.example",
		"--srv-host=_sips._tcp.closed.example",
		"--host-record=closed.example,192.0.2.98",
		/* A target that is not there; a name without an address. */
		"--srv-host=_sip._udp.broken.example,nowhere.example,5060,1,1",
		"--txt-record=text.example,text",
		/* One target of two answers. */
		"--srv-host=_sip._udp.half.example,host.silent.example,5060,1,1",
		"--srv-host=_sip._udp.half.example,b.example,5061,2,1",
		/* An address and no SRV; of NAPTR it says nothing. */
		"--host-record=mute.silent.example,192.0.2.95",
		"--local=/_udp.mute.silent.example/",
		NULL,
	};
	/* clang-format on */

	names->pid = servers_spawn(geteuid() == 0 ? argv : argv + ROOT_WORDS,
				   log_path);
	cr_assert(servers_wait(server_answers, names), "dnsmasq: see %s",
		  log_path);
}

static void resolver_start(struct names *names, int port, int family)
{
	char servers[32];
	struct resolver_options options = {
		.dns_servers = servers, .family = family, .seed = 1};
	struct err err = {0};

	snprintf(servers, sizeof(servers), "%s:%d", names->address, port);
	cr_assert_eq(
		resolver_new(names->loop, &options, &names->resolver, &err),
		ERR_OK, "%s", err.text);
}

static void names_prepare(struct names *names)
{
	const struct in_addr address = own_address();

	*names = (struct names){.loop = loop_new()};
	inet_ntop(AF_INET, &address, names->address, sizeof(names->address));
	names->silent_fd = bound_socket(&names->silent_port);
}

static void names_start(struct names *names)
{
	names_prepare(names);
	server_start(names);
	resolver_start(names, DNS_PORT, AF_INET);
}

static void names_stop(struct names *names)
{
	resolver_free(names->resolver);
	loop_free(names->loop);
	if (names->pid > 0)
		servers_end(names->pid, SIGTERM);
	if (names->dir[0])
		servers_dir_remove(names->dir);
	close(names->silent_fd);
}

/* No server but the silent one. */
static void silence_start(struct names *names)
{
	names_prepare(names);
	resolver_start(names, names->silent_port, AF_INET);
}

static void set_up(void)
{
	cr_assert(secrets_init());
}

TestSuite(sip_resolve, .init = set_up);

/* What came of a lookup: "192.0.2.1:5060/UDP 192.0.2.2:5060/TCP". */
struct seen {
	int calls;
	enum dns_reason reason;
	enum resolve_stage stage;
	struct buffer text;
};

static void record_print(struct buffer *out, const struct resolve_record *r)
{
	char address[INET6_ADDRSTRLEN];
	const void *bytes = r->address.any.sa_family == AF_INET
				    ? (const void *)&r->address.v4.sin_addr
				    : (const void *)&r->address.v6.sin6_addr;

	inet_ntop(r->address.any.sa_family, bytes, address, sizeof(address));
	buffer_printf(out, "%s%s:%u/%.*s", out->size > 0 ? " " : "", address,
		      ntohs(r->address.v4.sin_port),
		      SLICE_ARG(sip_transport_text(r->transport)));
}

static void on_resolved(void *arg, const struct resolve_result *result)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->reason = result->reason;
	seen->stage = result->stage;
	for (size_t i = 0; i < result->count; i++)
		record_print(&seen->text, &result->records[i]);
}

static void resolve(struct names *names, const struct resolve_target *target,
		    unsigned deadline_ms, struct seen *seen)
{
	*seen = (struct seen){0};
	cr_assert(resolve_start(names->resolver, target, deadline_ms,
				on_resolved, seen));
	cr_assert_eq(seen->calls, 0, "called at once");
	TURN_UNTIL(names->loop, seen->calls > 0);
	cr_assert_eq(seen->calls, 1);
}

#define UDP SIP_TRANSPORT_UDP
#define TCP SIP_TRANSPORT_TCP
#define TLS SIP_TRANSPORT_TLS

static const struct {
	const char *name;
	const char *host;
	struct resolve_target target; /* all but the host */
	const char *records;	      /* "": none */
	enum dns_reason reason;
	enum resolve_stage stage;
} rows[] = {
	{"an address", "192.0.2.7", {.port = 0}, "192.0.2.7:5060/UDP"},
	{"an address and a port",
	 "192.0.2.7",
	 {.port = 5066, .transport = TCP},
	 "192.0.2.7:5066/TCP"},
	{"an address by TLS",
	 "192.0.2.7",
	 {.transport = TLS},
	 "192.0.2.7:5061/TLS"},
	{"an address of sips",
	 "192.0.2.7",
	 {.secure = true},
	 "192.0.2.7:5061/TLS"},
	{"sips over TCP is TLS",
	 "192.0.2.7",
	 {.secure = true, .transport = TCP},
	 "192.0.2.7:5061/TLS"},
	{"IPv6", "2001:db8::7", {.port = 0}, "2001:db8::7:5060/UDP"},
	{"IPv6 in brackets",
	 "[2001:db8::7]",
	 {.port = 5062},
	 "2001:db8::7:5062/UDP"},
	{"the transport we prefer",
	 "192.0.2.7",
	 {.transports = {TCP, UDP}},
	 "192.0.2.7:5060/TCP"},
	{"a port: addresses at once",
	 "srv.example",
	 {.port = 5090},
	 "192.0.2.99:5090/UDP"},
	{"NAPTR",
	 "full.example",
	 {.port = 0},
	 "192.0.2.1:5081/TLS 192.0.2.2:5082/UDP"},
	{"NAPTR, UDP only",
	 "full.example",
	 {.transports = {UDP}},
	 "192.0.2.2:5082/UDP"},
	{"NAPTR for sips",
	 "full.example",
	 {.secure = true},
	 "192.0.2.1:5081/TLS"},
	{"a transport: its SRV records",
	 "full.example",
	 {.transport = UDP},
	 "192.0.2.2:5082/UDP"},
	{"a transport, NAPTR to another's SRV",
	 "lent.example",
	 {.transport = UDP},
	 "192.0.2.1:5070/UDP 192.0.2.2:5071/UDP 192.0.2.2:5082/UDP"},
	{"another transport, likewise",
	 "lent.example",
	 {.transport = TCP},
	 "192.0.2.1:5072/TCP"},
	{"a transport that NAPTR does not have",
	 "lent.example",
	 {.transport = TLS},
	 "192.0.2.97:5061/TLS"},
	{"a transport, NAPTR to nothing",
	 "lost.example",
	 {.transport = UDP},
	 "192.0.2.96:5060/UDP"},
	{"a transport, a name that is not there",
	 "gone.example",
	 {.transport = UDP},
	 "",
	 DNS_NO_NAME,
	 RESOLVE_ADDRESS},
	{"NAPTR of others", "odd.example", {.port = 0}, "192.0.2.1:5083/UDP"},
	{"SRV, priorities, a CNAME",
	 "srv.example",
	 {.transport = UDP},
	 "192.0.2.1:5070/UDP 192.0.2.2:5071/UDP"},
	{"SRV, all transports",
	 "srv.example",
	 {.port = 0},
	 "192.0.2.1:5070/UDP 192.0.2.2:5071/UDP 192.0.2.1:5072/TCP"},
	{"SRV, our preference",
	 "srv.example",
	 {.transports = {TLS, TCP}},
	 "192.0.2.1:5072/TCP"},
	{"no SRV of this transport",
	 "srv.example",
	 {.transport = TLS},
	 "192.0.2.99:5061/TLS"},
	{"an address record alone",
	 "a.example",
	 {.port = 0},
	 "192.0.2.1:5060/UDP"},
	{"of sips", "a.example", {.secure = true}, "192.0.2.1:5061/TLS"},
	{"CNAME", "alias.example", {.port = 0}, "192.0.2.1:5060/UDP"},
	{"not offered",
	 "closed.example",
	 {.port = 0},
	 "",
	 DNS_NO_RECORD,
	 RESOLVE_SRV},
	{"no such name",
	 "gone.example",
	 {.port = 0},
	 "",
	 DNS_NO_NAME,
	 RESOLVE_ADDRESS},
	{"no address",
	 "text.example",
	 {.port = 0},
	 "",
	 DNS_NO_RECORD,
	 RESOLVE_ADDRESS},
	{"no IPv4 address",
	 "six.example",
	 {.port = 0},
	 "",
	 DNS_NO_RECORD,
	 RESOLVE_ADDRESS},
	{"a target that is not there",
	 "broken.example",
	 {.port = 0},
	 "",
	 DNS_NO_NAME,
	 RESOLVE_ADDRESS},
	/* dnsmasq knows no server for it. */
	{"refused at SRV",
	 "carrier.test",
	 {.port = 0},
	 "",
	 DNS_FAILED,
	 RESOLVE_SRV},
	{"refused", "x.test", {.port = 1}, "", DNS_FAILED, RESOLVE_ADDRESS},
	{"a label too long",
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "a"
	 ".example",
	 {.port = 0},
	 "",
	 DNS_BAD_NAME,
	 RESOLVE_ADDRESS},
	{"nothing", "", {.port = 0}, "", DNS_BAD_NAME, RESOLVE_TARGET},
	{"two dots",
	 "a..example",
	 {.port = 0},
	 "",
	 DNS_BAD_NAME,
	 RESOLVE_ADDRESS},
};

Test(sip_resolve, targets)
{
	struct names names;

	names_start(&names);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct resolve_target target = rows[i].target;
		struct seen seen;

		target.host = slice_str(rows[i].host);
		resolve(&names, &target, DEADLINE_MS, &seen);
		cr_expect(slice_is(buffer_slice(&seen.text), rows[i].records),
			  "%s: %.*s", rows[i].name,
			  SLICE_ARG(buffer_slice(&seen.text)));
		cr_expect_eq(seen.reason, rows[i].reason, "%s: %s",
			     rows[i].name, dns_reason_text(seen.reason));
		if (rows[i].reason)
			cr_expect_eq(seen.stage, rows[i].stage, "%s: %s",
				     rows[i].name,
				     resolve_stage_text(seen.stage));
		buffer_fini(&seen.text);
	}
	names_stop(&names);
}

/* With a NUL, and too long for the DNS. */
Test(sip_resolve, names_that_are_none)
{
	static const char nul[] = "a.exa\0mple";
	char longest[DNS_NAME_BYTES];
	const struct slice hosts[] = {
		slice_of(nul, sizeof(nul) - 1),
		slice_of(longest, sizeof(longest)),
	};
	struct names names;

	memset(longest, 'a', sizeof(longest));
	silence_start(&names);
	for (size_t i = 0; i < 2; i++) {
		struct seen seen;

		resolve(&names, &(struct resolve_target){.host = hosts[i]},
			DEADLINE_MS, &seen);
		cr_expect_eq(seen.reason, DNS_BAD_NAME);
		cr_expect_eq(seen.stage, RESOLVE_TARGET);
	}
	names_stop(&names);
}

static const struct {
	int family;
	const char *host;
	const char *records;
} families[] = {
	{AF_INET6, "six.example", "2001:db8::6:5060/UDP"},
	{AF_UNSPEC, "six.example", "2001:db8::6:5060/UDP"},
	{AF_INET6, "both.example", "2001:db8::3:5060/UDP"},
	{AF_INET, "both.example", "192.0.2.3:5060/UDP"},
	{AF_UNSPEC, "a.example", "192.0.2.1:5060/UDP"},
	/* In what order depends on the machine. */
	{AF_UNSPEC, "both.example", NULL},
	{AF_INET, "two.example", NULL},
};

Test(sip_resolve, families)
{
	struct names names;

	names_start(&names);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		struct seen seen;

		resolver_free(names.resolver);
		resolver_start(&names, DNS_PORT, families[i].family);
		resolve(&names,
			&(struct resolve_target){
				.host = slice_str(families[i].host)},
			DEADLINE_MS, &seen);
		cr_expect_eq(seen.reason, DNS_OK);

		struct slice text = buffer_slice(&seen.text);

		if (families[i].records)
			cr_expect(slice_is(text, families[i].records), "%.*s",
				  SLICE_ARG(text));
		else
			cr_expect(memchr(text.data, ' ', text.size),
				  "two of %s: %.*s", families[i].host,
				  SLICE_ARG(text));
		buffer_fini(&seen.text);
	}
	names_stop(&names);
}

/* Both come first, the heavy one more often; the seed decides, so this is the
 * same each time. */
Test(sip_resolve, weights)
{
	struct names names;
	int heavy = 0;
	const int rounds = 50;

	names_start(&names);
	for (int i = 0; i < rounds; i++) {
		struct seen seen;

		resolve(&names,
			&(struct resolve_target){
				.host = SLICE("weight.example")},
			DEADLINE_MS, &seen);
		heavy += slice_is(buffer_slice(&seen.text),
				  "192.0.2.1:5060/UDP 192.0.2.2:5060/UDP");
		buffer_fini(&seen.text);
	}
	cr_expect_gt(heavy, rounds * 7 / 10);
	cr_expect_lt(heavy, rounds);
	names_stop(&names);
}

/* How often each record comes first of 10 000 times. */
Test(sip_resolve, order_by_weight)
{
	static const struct dns_srv records[] = {
		{.priority = 1, .weight = 60, .port = 0},
		{.priority = 1, .weight = 30, .port = 1},
		{.priority = 1, .weight = 10, .port = 2},
		{.priority = 1, .weight = 0, .port = 3},
		{.priority = 2, .weight = 65535, .port = 4},
	};
	int first[5] = {0};
	uint64_t state = 42;

	for (int i = 0; i < 10000; i++) {
		struct dns_srv copy[5];

		memcpy(copy, records, sizeof(copy));
		resolve_order(copy, 5, &state);
		first[copy[0].port]++;
		cr_assert_eq(copy[4].port, 4, "the greater priority is last");
	}
	cr_expect(first[0] > 5700 && first[0] < 6300, "%d", first[0]);
	cr_expect(first[1] > 2700 && first[1] < 3300, "%d", first[1]);
	cr_expect(first[2] > 800 && first[2] < 1200, "%d", first[2]);
	/* RFC 2782: "a very small chance of being selected". */
	cr_expect(first[3] > 0 && first[3] < 300, "%d", first[3]);
}

Test(sip_resolve, order_of_the_greatest_weights)
{
	struct dns_srv records[DNS_RECORDS_MAX];
	unsigned seen = 0;
	uint64_t state = 1;

	for (unsigned i = 0; i < DNS_RECORDS_MAX; i++)
		records[i] = (struct dns_srv){.weight = UINT16_MAX,
					      .port = (uint16_t)i};
	resolve_order(records, DNS_RECORDS_MAX, &state);
	for (unsigned i = 0; i < DNS_RECORDS_MAX; i++)
		seen |= 1U << records[i].port;
	cr_expect_eq(seen, (1U << DNS_RECORDS_MAX) - 1, "each once");
}

/* The deadline at each stage. */
static const struct {
	struct resolve_target target;
	enum resolve_stage stage;
} silences[] = {
	{{.port = 0}, RESOLVE_NAPTR},
	{{.transport = UDP}, RESOLVE_SRV},
	{{.port = 5060}, RESOLVE_ADDRESS},
};

Test(sip_resolve, silent_server)
{
	struct names names;

	silence_start(&names);
	for (size_t i = 0; i < sizeof(silences) / sizeof(silences[0]); i++) {
		struct resolve_target target = silences[i].target;
		struct seen seen;

		target.host = slice_str("a.example");
		resolve(&names, &target, SHORT_MS, &seen);
		cr_expect_eq(seen.reason, DNS_TIMEOUT);
		cr_expect_eq(seen.stage, silences[i].stage, "%s",
			     resolve_stage_text(seen.stage));
	}
	/* Freed with the queries still out. */
	names_stop(&names);
}

/* c-ares gives up by itself before a long deadline. */
Test(sip_resolve, silent_server_before_the_deadline)
{
	struct names names;
	struct seen seen;

	silence_start(&names);
	resolve(&names,
		&(struct resolve_target){.host = SLICE("a.example"), .port = 1},
		60000, &seen);
	cr_expect_eq(seen.reason, DNS_TIMEOUT);
	cr_expect_eq(seen.stage, RESOLVE_ADDRESS);
	names_stop(&names);
}

/* The deadline is not waited for: that of the test is before it. */
Test(sip_resolve, naptr_that_is_never_answered)
{
	struct names names;
	struct seen seen;

	names_start(&names);
	resolve(&names,
		&(struct resolve_target){.host = SLICE("mute.silent.example"),
					 .transport = UDP},
		2 * TURN_DEADLINE_MS, &seen);
	cr_expect_eq(seen.reason, DNS_OK, "%s", dns_reason_text(seen.reason));
	cr_expect(slice_is(buffer_slice(&seen.text), "192.0.2.95:5060/UDP"),
		  "%.*s", SLICE_ARG(buffer_slice(&seen.text)));
	buffer_fini(&seen.text);
	names_stop(&names);
}

/* What is known at the deadline is told. */
Test(sip_resolve, one_target_is_silent)
{
	struct names names;
	struct seen seen;

	names_start(&names);
	resolve(&names,
		&(struct resolve_target){.host = SLICE("half.example"),
					 .transport = UDP},
		1000, &seen);
	cr_expect_eq(seen.reason, DNS_OK, "%s", dns_reason_text(seen.reason));
	cr_expect(slice_is(buffer_slice(&seen.text), "192.0.2.2:5061/UDP"),
		  "%.*s", SLICE_ARG(buffer_slice(&seen.text)));
	buffer_fini(&seen.text);
	names_stop(&names);
}

Test(sip_resolve, killed_server)
{
	struct names names;
	struct seen seen;
	struct resolve_target target = {.host = SLICE("a.example")};

	names_start(&names);
	resolve(&names, &target, DEADLINE_MS, &seen);
	cr_expect_eq(seen.reason, DNS_OK);
	buffer_fini(&seen.text);
	servers_end(names.pid, SIGKILL);
	names.pid = 0;
	resolve(&names, &target, DEADLINE_MS, &seen);
	cr_expect_eq(seen.reason, DNS_UNREACHABLE, "%s",
		     dns_reason_text(seen.reason));
	cr_expect_eq(seen.stage, RESOLVE_SRV);
	names_stop(&names);
}

Test(sip_resolve, cancelled_is_never_told)
{
	struct names names;
	struct seen seen = {0}, other;
	struct resolve_target target = {.host = SLICE("srv.example")};

	names_start(&names);
	resolve_cancel(resolve_start(names.resolver, &target, SHORT_MS,
				     on_resolved, &seen));
	resolve_cancel(NULL);
	/* Halfway: one of its targets is silent, so that it cannot end yet. */
	struct resolve_target half = {.host = SLICE("half.example"),
				      .transport = UDP};
	struct resolve *late = resolve_start(names.resolver, &half, DEADLINE_MS,
					     on_resolved, &seen);

	for (int i = 0; i < 5; i++)
		loop_turn(names.loop, 20);
	resolve_cancel(late);
	/* One after it, so that the answers of the others are in. */
	resolve(&names, &target, DEADLINE_MS, &other);
	cr_expect_eq(other.reason, DNS_OK);
	cr_expect_eq(seen.calls, 0);
	buffer_fini(&other.text);
	names_stop(&names);
}

Test(sip_resolve, as_many_as_allowed)
{
	struct names names;
	struct seen seen = {0};
	struct resolve_target target = {.host = SLICE("192.0.2.1")};

	silence_start(&names);
	for (int i = 0; i < RESOLVE_PENDING_MAX; i++)
		cr_assert(resolve_start(names.resolver, &target, DEADLINE_MS,
					on_resolved, &seen));
	cr_expect_null(resolve_start(names.resolver, &target, DEADLINE_MS,
				     on_resolved, &seen));
	TURN_UNTIL(names.loop, seen.calls == RESOLVE_PENDING_MAX);
	cr_assert(resolve_start(names.resolver, &target, DEADLINE_MS,
				on_resolved, &seen));
	buffer_fini(&seen.text);
	names_stop(&names);
}

/* The owner may start the next from the callback. */
struct chain {
	struct resolver *resolver;
	int left;
};

static void on_chain(void *arg, const struct resolve_result *result)
{
	struct chain *chain = arg;
	struct resolve_target target = {.host = SLICE("a.example"), .port = 1};

	cr_assert_eq(result->reason, DNS_OK);
	if (--chain->left > 0)
		resolve_start(chain->resolver, &target, DEADLINE_MS, on_chain,
			      chain);
}

Test(sip_resolve, next_from_the_callback)
{
	struct names names;
	struct resolve_target target = {.host = SLICE("a.example"), .port = 1};

	names_start(&names);

	struct chain chain = {names.resolver, 3};

	resolve_start(names.resolver, &target, DEADLINE_MS, on_chain, &chain);
	TURN_UNTIL(names.loop, chain.left == 0);
	names_stop(&names);
}

static const struct {
	const char *servers;
	enum err_code code;
} server_lists[] = {
	{NULL, ERR_OK},
	{"", ERR_OK},
	{"127.0.0.1", ERR_OK},
	{"127.0.0.1:5353,[::1]:53", ERR_OK},
	{"dns.example", ERR_VALIDATE},
	{"127.0.0.1:x", ERR_VALIDATE},
};

Test(sip_resolve, server_lists)
{
	struct loop *loop = loop_new();

	for (size_t i = 0; i < sizeof(server_lists) / sizeof(server_lists[0]);
	     i++) {
		struct resolver_options options = {
			.dns_servers = server_lists[i].servers};
		struct resolver *resolver = NULL;
		struct err err = {0};

		cr_expect_eq(resolver_new(loop, &options, &resolver, &err),
			     server_lists[i].code, "%s",
			     server_lists[i].servers);
		cr_expect_eq(err.code, server_lists[i].code);
		resolver_free(resolver);
	}
	loop_free(loop);
}
