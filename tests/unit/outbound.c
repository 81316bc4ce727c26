#include "services/registrar/outbound.h"

#include "carrier.h"
#include "certificates.h"
#include "outbound_sip.h"
#include "proto/buffer.h"
#include "servers.h"
#include "services/common/secrets.h"
#include "turn.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	T1_MS = 10, /* a silence is over after 640 ms, or 160 with another
		       destination left */
	SHORT_LEASE_MS = 600,
	TRUNK = 7,
	DNS_PORT = 10053, /* of the address of this process */
	ROOT_WORDS = 5,
	SECOND = 1000,
	MINUTE = 60 * SECOND,
};

/*
 * A registrar's outbound half against real Redis and carriers. Its clock is the
 * machine's and what the test adds to it, so that nothing has to be waited for.
 */
struct registrar {
	struct loop *loop;
	const uint64_t *added_ms;
	bool frozen; /* what the test adds is all the time there is */
	struct cache *cache;
	struct sip_transports *transports;
	struct sip_tls_context *client;
	struct outbound *outbound;
	unsigned changes;
	bool online;
};

struct world {
	struct servers_redis redis;
	struct loop *loop;
	uint64_t added_ms;
	struct registrar one, two;
	struct carrier carrier, other;
	struct world_trunk trunk;
};

static uint64_t monotonic(void *arg)
{
	const struct registrar *registrar = arg;

	if (registrar->frozen)
		return *registrar->added_ms;
	return loop_now_ms(registrar->loop) + *registrar->added_ms;
}

/* The same, so that the two go together. */
static int64_t wall(void *arg)
{
	return INT64_C(1700000000000) + (int64_t)monotonic(arg);
}

static void on_changed(void *arg, int64_t id, bool online)
{
	struct registrar *registrar = arg;

	(void)id;
	registrar->changes++;
	registrar->online = online;
}

static void outbound_begin(struct registrar *registrar,
			   const struct outbound_options *given)
{
	static const unsigned char key[SECRETS_TAG_KEY_BYTES] = "tag key";
	const struct agenda_clock clock = {monotonic, wall, registrar};
	struct outbound_options options = *given;
	struct err err = {0};

	options.loop = registrar->loop;
	options.cache = registrar->cache;
	options.transports = registrar->transports;
	options.port = outbound_sip_port;
	options.changed = on_changed;
	options.arg = registrar;
	options.user_agent = "Trunkline";
	options.tag_key = key;
	if (options.lease_ttl_ms == 0)
		options.lease_ttl_ms = SHORT_LEASE_MS;
	options.clock = &clock;
	options.seed = 1;
	registrar->changes = 0;
	cr_assert_eq(outbound_new(&options, &registrar->outbound, &err), ERR_OK,
		     "%s", err.text);
}

static void registrar_start(struct world *world, struct registrar *registrar,
			    const struct outbound_options *options)
{
	struct err err = {0};

	registrar->loop = world->loop;
	registrar->added_ms = &world->added_ms;
	cr_assert_eq(cache_new(world->loop, world->redis.url, NULL,
			       &registrar->cache, &err),
		     ERR_OK);
	registrar->transports = outbound_sip_new(world->loop, registrar->client,
						 &registrar->outbound);
	outbound_begin(registrar, options);
}

static void registrar_end(struct registrar *registrar)
{
	if (!registrar->transports)
		return;
	outbound_free(registrar->outbound);
	registrar->outbound = NULL;
	sip_transports_free(registrar->transports);
	registrar->transports = NULL;
	cache_free(registrar->cache);
	registrar->cache = NULL;
}

static const struct outbound_options plain;

/* For silence that is to end. With it a busy machine sees requests twice. */
static const struct outbound_options hasty = {.t1_ms = T1_MS};

static void world_start(struct world *world,
			const struct outbound_options *options)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	world->loop = loop_new();
	servers_redis_start(&world->redis, NULL);
	registrar_start(world, &world->one, options);
	carrier_start(&world->carrier, world->loop, SIP_TRANSPORT_UDP, NULL);
	world->trunk = (struct world_trunk){
		.id = TRUNK,
		.version = 1,
		.auth = WORLD_REGISTER_AUTH,
		.enabled = true,
		.registration = true,
		.transport = SIP_TRANSPORT_UDP,
		.name = "Trunk",
		.hostname = "carrier.example",
		.auth_id = "auth",
		.username = "user",
		.password = "secret",
		.outbound_server = "127.0.0.1",
		.outbound_server_port = world->carrier.port,
		.register_interval_s = 600,
		.single_via_header = true,
		.rewrite_via_ip = true,
	};
}

static void world_end(struct world *world)
{
	registrar_end(&world->one);
	registrar_end(&world->two);
	carrier_stop(&world->carrier);
	if (world->other.transports)
		carrier_stop(&world->other);
	sip_tls_context_free(world->one.client);
	loop_free(world->loop);
	servers_redis_stop(&world->redis);
}

static void step(struct world *world, unsigned wait_ms)
{
	loop_turn(world->loop, wait_ms);
	if (world->one.outbound)
		agenda_run(outbound_agenda(world->one.outbound));
	if (world->two.outbound)
		agenda_run(outbound_agenda(world->two.outbound));
}

#define WAIT_FOR(world, condition)                                             \
	do {                                                                   \
		uint64_t end_ms =                                              \
			loop_now_ms((world)->loop) + TURN_DEADLINE_MS;         \
                                                                               \
		while (!(condition)) {                                         \
			cr_assert_lt(loop_now_ms((world)->loop), end_ms,       \
				     "waited in vain for " #condition);        \
			step(world, 1);                                        \
		}                                                              \
	} while (0)

/* Lets a time pass in steps in which everything that is due happens. */
static void pass(struct world *world, uint64_t ms)
{
	enum { STEPS = 50, TURNS = 4 };

	for (int i = 0; i < STEPS; i++) {
		world->added_ms += ms / STEPS;
		for (int turn = 0; turn < TURNS; turn++)
			step(world, 0);
	}
}

/* Once what was sent last is answered or known to be lost. */
static void settle(struct world *world)
{
	enum { TURNS = 50 };

	for (int turn = 0; turn < TURNS; turn++)
		step(world, 1);
}

static struct trunk_status status_in(struct registrar *registrar)
{
	struct trunk_status status = {.phase = TRUNK_PHASES};
	struct trunk *trunk;

	if (outbound_trunk_get(registrar->outbound, TRUNK, &trunk) == ERR_OK)
		trunk_status_get(trunk, &status);
	return status;
}

static struct trunk_status status_of(struct world *world)
{
	return status_in(&world->one);
}

static uint16_t target_port(struct world *world)
{
	const struct trunk_status status = status_of(world);

	return sip_endpoint_port(&status.target);
}

static void set(struct world *world)
{
	outbound_trunk_set(world->one.outbound, &world->trunk);
}

static void set_and_wait(struct world *world, enum trunk_phase phase)
{
	set(world);
	WAIT_FOR(world, status_of(world).phase == phase);
}

static void register_trunk(struct world *world)
{
	set_and_wait(world, TRUNK_REGISTERED);
}

/* --- The happy path --- */

static const struct algorithm_row {
	const char *name;
	unsigned offered;
	enum digest_algorithm used;
	bool proxy;
} algorithm_rows[] = {
	{"none", 0, DIGEST_OTHER, false},
	{"MD5", DIGEST_BIT(DIGEST_MD5), DIGEST_MD5, false},
	{"MD5 of a proxy", DIGEST_BIT(DIGEST_MD5), DIGEST_MD5, true},
	{"SHA-256", DIGEST_BIT(DIGEST_SHA_256), DIGEST_SHA_256, false},
	{"SHA-512-256", DIGEST_BIT(DIGEST_SHA_512_256), DIGEST_SHA_512_256,
	 false},
	{"the strongest of three",
	 DIGEST_BIT(DIGEST_MD5) | DIGEST_BIT(DIGEST_SHA_256) |
		 DIGEST_BIT(DIGEST_SHA_512_256),
	 DIGEST_SHA_512_256, false},
};

Test(outbound, registers_with_each_algorithm)
{
	for (size_t i = 0; i < sizeof(algorithm_rows) / sizeof(*algorithm_rows);
	     i++) {
		const struct algorithm_row *row = &algorithm_rows[i];
		struct world world = {0};

		world_start(&world, &plain);
		world.carrier.algorithms = row->offered;
		world.carrier.challenge_in_proxy = row->proxy;
		register_trunk(&world);

		const struct trunk_status status = status_of(&world);

		cr_expect_eq(world.carrier.granted, 1, "%s", row->name);
		cr_expect_eq(world.carrier.registers, row->offered ? 2 : 1,
			     "%s", row->name);
		cr_expect_eq(status.algorithm, row->used, "%s", row->name);
		cr_expect_eq(world.carrier.algorithm, row->used, "%s",
			     row->name);
		cr_expect(status.online, "%s", row->name);
		cr_expect_eq(status.last_code, 200, "%s", row->name);
		cr_expect_eq(status.failures, 0, "%s", row->name);
		cr_expect_eq(world.one.changes, 1, "%s", row->name);
		cr_expect(world.one.online, "%s", row->name);
		world_end(&world);
	}
}

Test(outbound, the_register_says_who_and_where)
{
	struct world world = {0};
	char contact[CARRIER_TEXT], via[CARRIER_TEXT];

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	register_trunk(&world);
	cr_expect_str_eq(world.carrier.uri, "sip:carrier.example");
	cr_expect_str_eq(world.carrier.to, "<sip:user@carrier.example>");
	cr_expect_str_eq(world.carrier.user, "auth");
	cr_expect_eq(world.carrier.expires_s, 600);
	snprintf(contact, sizeof(contact), "<sip:user@127.0.0.1:%u>",
		 sip_endpoint_port(&world.carrier.flow.remote));
	cr_expect_str_eq(world.carrier.contact, contact);
	snprintf(via, sizeof(via), "SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK",
		 sip_endpoint_port(&world.carrier.flow.remote));
	cr_expect_eq(strncmp(world.carrier.via, via, strlen(via)), 0, "%s",
		     world.carrier.via);
	world_end(&world);
}

static const struct address_row {
	const char *name;
	bool inlan, rewrite;
	const char *contact, *via; /* hosts */
} address_rows[] = {
	{"public", false, true, "203.0.113.9", "203.0.113.9"},
	{"Via stays", false, false, "203.0.113.9", "127.0.0.1"},
	{"in our network", true, true, "127.0.0.1", "127.0.0.1"},
	{"in our network, Via stays", true, false, "127.0.0.1", "127.0.0.1"},
};

Test(outbound, addresses_are_told_as_the_trunk_wants_them)
{
	const struct outbound_options options = {.public_ipv4 = "203.0.113.9"};

	for (size_t i = 0; i < sizeof(address_rows) / sizeof(*address_rows);
	     i++) {
		const struct address_row *row = &address_rows[i];
		struct world world = {0};

		world_start(&world, &options);
		world.trunk.inlan = row->inlan;
		world.trunk.rewrite_via_ip = row->rewrite;
		register_trunk(&world);
		cr_expect(strstr(world.carrier.contact, row->contact), "%s: %s",
			  row->name, world.carrier.contact);
		cr_expect(strstr(world.carrier.via, row->via), "%s: %s",
			  row->name, world.carrier.via);
		world_end(&world);
	}
}

Test(outbound, refreshes_before_the_expiry_with_the_nonce_it_has)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_SHA_256);
	world.carrier.granted_s = 100;
	register_trunk(&world);
	cr_expect_eq(world.carrier.granted, 1);
	pass(&world, 79 * SECOND);
	cr_expect_eq(world.carrier.registers, 2, "too early");
	pass(&world, 11 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 2);
	cr_expect_eq(world.carrier.registers, 3, "challenged again");
	cr_expect_eq(world.one.changes, 1, "went OFFLINE meanwhile");
	world_end(&world);
}

Test(outbound, a_stale_nonce_is_no_wrong_password)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	world.carrier.nonce_uses = 1;
	register_trunk(&world);
	pass(&world, 541 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 2);
	cr_expect_eq(world.carrier.challenged, 2);

	/* A carrier that does not say stale=true of an old nonce. */
	world.carrier.never_stale = true;
	pass(&world, 541 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 3);
	cr_expect_eq(status_of(&world).failures, 0);
	world_end(&world);
}

/* --- What goes wrong --- */

static const struct refusal_row {
	const char *name;
	unsigned code; /* said to credentials; 0: 401 again */
	unsigned script;
	const char *headers;
	const char *password;
	enum status_stage stage;
	unsigned told;
	uint64_t at_least_ms, at_most_ms; /* until the next try */
} refusal_rows[] = {
	{"wrong password, 401 again", 0, 0, "", "wrong", STATUS_AUTH, 401,
	 225 * SECOND, 300 * SECOND},
	{"wrong password, 403", 403, 0, "", "wrong", STATUS_AUTH, 403,
	 225 * SECOND, 300 * SECOND},
	{"no password", 0, 0, "", "", STATUS_AUTH, 401, 225 * SECOND,
	 300 * SECOND},
	{"403 at once", 0, 403, "", "secret", STATUS_REJECTED, 403,
	 225 * SECOND, 300 * SECOND},
	{"404", 0, 404, "", "secret", STATUS_REJECTED, 404, 225 * SECOND,
	 300 * SECOND},
	{"302", 0, 302, "Contact: <sip:127.0.0.9>\r\n", "secret",
	 STATUS_REJECTED, 302, 225 * SECOND, 300 * SECOND},
	{"500", 0, 500, "", "secret", STATUS_REJECTED, 500, 3 * SECOND,
	 4 * SECOND},
	{"503", 0, 503, "", "secret", STATUS_REJECTED, 503, 3 * SECOND,
	 4 * SECOND},
	{"503 with Retry-After", 0, 503, "Retry-After: 120\r\n", "secret",
	 STATUS_REJECTED, 503, 120 * SECOND, 132 * SECOND},
	{"503 with a Retry-After of years", 0, 503, "Retry-After: 99999999\r\n",
	 "secret", STATUS_REJECTED, 503, 3600 * SECOND, 3960 * SECOND},
	{"603", 0, 603, "", "secret", STATUS_REJECTED, 603, 225 * SECOND,
	 300 * SECOND},
	{"an unknown algorithm", 0, 401,
	 "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", "
	 "algorithm=SHA-3\r\n",
	 "secret", STATUS_AUTH, 401, 225 * SECOND, 300 * SECOND},
	{"423 without Min-Expires", 0, 423, "", "secret", STATUS_REJECTED, 423,
	 225 * SECOND, 300 * SECOND},
};

static void check_refusal(const struct refusal_row *row)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	world.carrier.wrong_code = row->code;
	world.trunk.password = row->password;
	if (row->script)
		carrier_say(&world.carrier, row->script, row->headers);
	set_and_wait(&world, TRUNK_BACKING_OFF);

	const struct trunk_status status = status_of(&world);
	const uint64_t wait_ms =
		(uint64_t)(status.next_attempt_ms - wall(&world.one));
	const unsigned registers = world.carrier.registers;

	cr_expect_eq(status.fault.stage, row->stage, "%s: %s", row->name,
		     status_stage_text(status.fault.stage));
	cr_expect_eq(status.fault.code, row->told, "%s: %u", row->name,
		     status.fault.code);
	cr_expect_eq(status.failures, 1, "%s", row->name);
	cr_expect_not(status.online, "%s", row->name);
	/* The clock has gone on a little since. */
	cr_expect_geq(wait_ms + 2 * SECOND, row->at_least_ms, "%s: %lu",
		      row->name, (unsigned long)wait_ms);
	cr_expect_leq(wait_ms, row->at_most_ms, "%s: %lu", row->name,
		      (unsigned long)wait_ms);
	pass(&world, wait_ms > 5 * SECOND ? wait_ms - 5 * SECOND : 0);
	cr_expect_eq(world.carrier.registers, registers, "%s: hammers",
		     row->name);
	world.carrier.password = row->password;
	pass(&world, 6 * SECOND);
	if (*row->password)
		WAIT_FOR(&world, status_of(&world).phase == TRUNK_REGISTERED);
	world_end(&world);
}

Test(outbound, refusals_say_why_and_when_again)
{
	for (size_t i = 0; i < sizeof(refusal_rows) / sizeof(*refusal_rows);
	     i++)
		check_refusal(&refusal_rows[i]);
}

Test(outbound, a_wrong_password_is_tried_less_and_less)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	world.trunk.password = "wrong";
	set_and_wait(&world, TRUNK_BACKING_OFF);
	for (int i = 0; i < 24 * 60 / 5; i++)
		pass(&world, 5 * MINUTE);
	/* 5, 10, 20, 40 and then 60 minutes, at 75 to 100 %. */
	cr_expect_leq(world.carrier.refused, 36, "%u in a day",
		      world.carrier.refused);
	cr_expect_geq(world.carrier.refused, 20);
	world_end(&world);
}

Test(outbound, asks_for_longer_when_423_says_so)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	world.carrier.nonce_uses = 1;
	world.carrier.min_expires_s = 1800;
	register_trunk(&world);
	cr_expect_eq(world.carrier.expires_s, 1800);

	/* And does not have to be told twice. */
	const unsigned registers = world.carrier.registers;

	world.carrier.nonce_uses = 0;
	pass(&world, 1621 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 2);
	cr_expect_leq(world.carrier.registers, registers + 2);
	world_end(&world);
}

Test(outbound, a_black_hole_is_a_timeout)
{
	struct world world = {0};

	world_start(&world, &hasty);
	world.carrier.silent = true;
	set_and_wait(&world, TRUNK_BACKING_OFF);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_TIMEOUT);
	cr_expect_eq(status_of(&world).fault.code, 0);
	cr_expect_gt(world.carrier.registers, 1, "sent once only");
	world.carrier.silent = false;
	pass(&world, 4 * SECOND);
	WAIT_FOR(&world, status_of(&world).online);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_NONE);
	world_end(&world);
}

Test(outbound, a_closed_port_is_a_connect_failure)
{
	struct world world = {0};

	world_start(&world, &plain);
	carrier_start(&world.other, world.loop, SIP_TRANSPORT_UDP, NULL);
	world.trunk.outbound_server_port = world.other.port;
	carrier_stop(&world.other);
	set_and_wait(&world, TRUNK_BACKING_OFF);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_CONNECT);
	cr_expect_eq(target_port(&world), world.other.port);
	world_end(&world);
}

Test(outbound, a_closed_tcp_port_is_a_connect_failure)
{
	struct world world = {0};

	world_start(&world, &plain);
	carrier_start(&world.other, world.loop, SIP_TRANSPORT_TCP, NULL);
	world.trunk.transport = SIP_TRANSPORT_TCP;
	world.trunk.outbound_server_port = world.other.port;
	carrier_stop(&world.other);
	set_and_wait(&world, TRUNK_BACKING_OFF);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_CONNECT, "%s",
		     status_of(&world).fault.reason);
	world_end(&world);
}

Test(outbound, registers_over_tcp)
{
	struct world world = {0};

	world_start(&world, &plain);
	carrier_start(&world.other, world.loop, SIP_TRANSPORT_TCP, NULL);
	world.other.algorithms = DIGEST_BIT(DIGEST_SHA_256);
	world.trunk.transport = SIP_TRANSPORT_TCP;
	world.trunk.outbound_server_port = world.other.port;
	register_trunk(&world);
	cr_expect_str_eq(world.other.contact,
			 "<sip:user@127.0.0.1:5060;transport=tcp>");
	cr_expect_eq(world.other.registers, 2);
	world_end(&world);
}

/* --- TLS --- */

static const struct tls_row {
	const char *name;
	const char *alternative; /* of the certificate */
	bool trusted;
	const char *reason; /* NULL: it registers */
} tls_rows[] = {
	{"good", "IP:127.0.0.1", true, NULL},
	{"for another name", "DNS:other.example", true, "127.0.0.1"},
	{"unknown authority", "IP:127.0.0.1", false, "authority"},
};

static void check_tls(const struct tls_row *row)
{
	struct certificate *authority = certificate_new(
		&(struct certificate_options){.name = "CA", .authority = 1});
	struct certificate *own = certificate_new(&(struct certificate_options){
		.name = "carrier",
		.alternative = row->alternative,
		.issuer = authority,
	});
	const struct sip_tls_server_options server = {
		.certificate = certificate_pem(own),
		.key = certificate_key(own),
	};
	char *ca_file = certificate_file(authority);
	struct sip_tls_authorities *authorities =
		sip_tls_authorities_new(row->trusted ? ca_file : NULL);
	struct sip_tls_context *context;
	struct world world = {0};
	struct err err = {0};

	cr_assert_eq(sip_tls_client_new(authorities, &world.one.client, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(sip_tls_server_new(&server, &context, &err), ERR_OK, "%s",
		     err.text);
	world_start(&world, &plain);
	carrier_start(&world.other, world.loop, SIP_TRANSPORT_TLS, context);
	world.trunk.transport = SIP_TRANSPORT_TLS;
	world.trunk.outbound_server_port = world.other.port;
	set_and_wait(&world,
		     row->reason ? TRUNK_BACKING_OFF : TRUNK_REGISTERED);

	const struct trunk_status status = status_of(&world);

	cr_expect_eq(status.fault.stage, row->reason ? STATUS_TLS : STATUS_NONE,
		     "%s: %s", row->name, status.fault.reason);
	if (row->reason)
		cr_expect(strstr(status.fault.reason, row->reason), "%s: %s",
			  row->name, status.fault.reason);
	world_end(&world);
	sip_tls_context_free(context);
	sip_tls_authorities_free(authorities);
	unlink(ca_file);
	free(ca_file);
	certificate_free(own);
	certificate_free(authority);
}

Test(outbound, tls_is_verified)
{
	for (size_t i = 0; i < sizeof(tls_rows) / sizeof(*tls_rows); i++)
		check_tls(&tls_rows[i]);
}

/* --- DNS --- */

struct names {
	pid_t pid;
	char dir[64];
	char address[INET_ADDRSTRLEN];
	char servers[40];
};

/* Any answer to a query for the root will do. */
static int name_server_answers(void *arg)
{
	static const char query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1";
	const struct names *names = arg;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(DNS_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	char answer[512];

	inet_pton(AF_INET, names->address, &address.sin_addr);

	int ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) ==
			 0 &&
		 write(fd, query, sizeof(query) - 1) > 0 &&
		 poll(&readable, 1, 100) == 1 &&
		 read(fd, answer, sizeof(answer)) > 0;

	close(fd);
	return ok;
}

/* A loopback address of this process alone; each test is a process. */
static void names_start(struct names *names, uint16_t first, uint16_t second)
{
	const struct in_addr own = {htonl(0x7f800000U | (uint32_t)getpid())};
	char listen[64], port[32], one[96], two[96], log_path[96];

	inet_ntop(AF_INET, &own, names->address, sizeof(names->address));
	snprintf(names->servers, sizeof(names->servers), "%s:%d",
		 names->address, DNS_PORT);
	servers_dir_make(names->dir);
	snprintf(log_path, sizeof(log_path), "%s/log", names->dir);
	snprintf(listen, sizeof(listen), "--listen-address=%s", names->address);
	snprintf(port, sizeof(port), "--port=%d", DNS_PORT);
	snprintf(one, sizeof(one),
		 "--srv-host=_sip._udp.srv.example,a.example,%u,1,1", first);
	snprintf(two, sizeof(two),
		 "--srv-host=_sip._udp.srv.example,a.example,%u,2,1", second);

	/* clang-format off */
	const char *const argv[] = {
		"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"--pdeathsig=SIGKILL",
		"dnsmasq", "--keep-in-foreground", "--conf-file=", "--pid-file=",
		"--no-resolv", "--no-hosts", port, listen, "--bind-interfaces",
		"--local=/example/", "--host-record=a.example,127.0.0.1",
		one, two, NULL,
	};
	/* clang-format on */

	names->pid = servers_spawn(geteuid() == 0 ? argv : argv + ROOT_WORDS,
				   log_path);
	cr_assert(servers_wait(name_server_answers, names), "dnsmasq: see %s",
		  log_path);
}

static void names_stop(struct names *names)
{
	servers_end(names->pid, SIGTERM);
	servers_dir_remove(names->dir);
}

static void srv_start(struct world *world, struct names *names)
{
	struct outbound_options options = {
		.dns_servers = names->servers,
		.t1_ms = T1_MS,
	};
	const struct in_addr own = {htonl(0x7f800000U | (uint32_t)getpid())};

	inet_ntop(AF_INET, &own, names->address, sizeof(names->address));
	snprintf(names->servers, sizeof(names->servers), "%s:%d",
		 names->address, DNS_PORT);
	world_start(world, &options);
	carrier_start(&world->other, world->loop, SIP_TRANSPORT_UDP, NULL);
	names_start(names, world->other.port, world->carrier.port);
	world->trunk.outbound_server = "srv.example";
	world->trunk.outbound_server_port = 0;
}

Test(outbound, the_next_srv_target_takes_over)
{
	struct names names = {0};
	struct world world = {0};

	srv_start(&world, &names);
	world.other.silent = true;
	register_trunk(&world);
	cr_expect_gt(world.other.registers, 0, "the first was not tried");
	cr_expect_geq(world.carrier.granted, 1);
	cr_expect_eq(target_port(&world), world.carrier.port);

	/* What took the registration is refreshed, and what fails is left. */
	const unsigned granted = world.carrier.granted;

	world.other.silent = false;
	pass(&world, 541 * SECOND);
	WAIT_FOR(&world, world.carrier.granted > granted);
	WAIT_FOR(&world, status_of(&world).phase == TRUNK_REGISTERED);
	cr_expect_eq(world.other.granted, 0);
	carrier_say(&world.carrier, 503, "");
	pass(&world, 541 * SECOND);
	WAIT_FOR(&world, world.other.granted > 0);
	cr_expect_eq(world.one.changes, 1, "went OFFLINE meanwhile");
	world_end(&world);
	names_stop(&names);
}

Test(outbound, a_name_that_is_none_fails_in_dns)
{
	struct names names = {0};
	struct world world = {0};

	srv_start(&world, &names);
	world.trunk.outbound_server = "nowhere.example";
	set_and_wait(&world, TRUNK_BACKING_OFF);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_DNS);
	cr_expect(strstr(status_of(&world).fault.reason, "nowhere.example"),
		  "%s", status_of(&world).fault.reason);
	world_end(&world);
	names_stop(&names);
}

/* --- Restart --- */

static void restart(struct world *world)
{
	settle(world);
	outbound_stop(world->one.outbound);
	settle(world); /* Redis has it all */
	outbound_free(world->one.outbound);
	outbound_begin(&world->one, &plain);
}

Test(outbound, a_restart_sends_nothing_until_it_is_due)
{
	struct world world = {0};
	char call_id[CARRIER_TEXT];

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	register_trunk(&world);
	snprintf(call_id, sizeof(call_id), "%s", world.carrier.call_id);

	const uint32_t cseq = world.carrier.cseq;
	const int64_t since_ms = status_of(&world).online_since_ms;

	pass(&world, 60 * SECOND);
	restart(&world);
	set_and_wait(&world, TRUNK_REGISTERED);
	cr_expect(status_of(&world).online);
	cr_expect_eq(status_of(&world).online_since_ms, since_ms);
	cr_expect(world.one.online, "nobody was told");
	pass(&world, 410 * SECOND);
	cr_expect_eq(world.carrier.registers, 2, "sent before it was due");
	pass(&world, 71 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 2);
	cr_expect_eq(world.carrier.registers, 3, "the nonce was forgotten");
	cr_expect_str_eq(world.carrier.call_id, call_id);
	cr_expect_eq(world.carrier.cseq, cseq + 1);
	world_end(&world);
}

Test(outbound, what_is_due_at_a_restart_waits_for_30_s)
{
	struct world world = {0};

	world_start(&world, &plain);
	register_trunk(&world);
	settle(&world);
	outbound_stop(world.one.outbound);
	settle(&world);
	outbound_free(world.one.outbound);
	world.added_ms += 545 * SECOND;
	outbound_begin(&world.one, &plain);
	set_and_wait(&world, TRUNK_REGISTERED);
	pass(&world, 29 * SECOND);
	cr_expect_eq(world.carrier.registers, 1);
	pass(&world, 2 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 2);
	world_end(&world);
}

Test(outbound, a_restart_does_not_try_a_wrong_password_anew)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	world.trunk.password = "wrong";
	set_and_wait(&world, TRUNK_BACKING_OFF);
	restart(&world);
	set_and_wait(&world, TRUNK_BACKING_OFF);
	pass(&world, 200 * SECOND);
	cr_expect_eq(world.carrier.refused, 1);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_AUTH);
	cr_expect_eq(status_of(&world).failures, 1);

	/* Mended while we were away. */
	settle(&world);
	outbound_stop(world.one.outbound);
	settle(&world);
	outbound_free(world.one.outbound);
	outbound_begin(&world.one, &plain);
	world.trunk.password = "secret";
	register_trunk(&world);
	world_end(&world);
}

/* --- Edits --- */

Test(outbound, an_edit_that_is_not_on_the_wire_sends_nothing)
{
	struct world world = {0};

	world_start(&world, &plain);
	register_trunk(&world);
	world.trunk.name = "Another name";
	world.trunk.version++;
	world.trunk.single_via_header = false;
	world.trunk.port = 5080; /* the outbound server's counts */
	set(&world);
	pass(&world, 60 * SECOND);
	cr_expect_eq(world.carrier.registers, 1);
	cr_expect_eq(world.one.changes, 1);
	world_end(&world);
}

Test(outbound, a_changed_password_counts_at_once)
{
	struct world world = {0};

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	register_trunk(&world);

	/* On our side only. */
	world.trunk.password = "new";
	set_and_wait(&world, TRUNK_BACKING_OFF);
	cr_expect_eq(status_of(&world).fault.stage, STATUS_AUTH);
	cr_expect(status_of(&world).online, "the binding has not expired");

	/* On both: nobody waits for the back-off. */
	world.trunk.password = "newer";
	world.carrier.password = "newer";
	register_trunk(&world);
	cr_expect_eq(world.carrier.removed, 0);
	world_end(&world);
}

Test(outbound, another_user_is_another_binding)
{
	struct world world = {0};
	char call_id[CARRIER_TEXT];

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	register_trunk(&world);
	snprintf(call_id, sizeof(call_id), "%s", world.carrier.call_id);
	world.trunk.username = "another";
	set(&world);
	WAIT_FOR(&world, world.carrier.granted == 2);
	cr_expect_eq(world.carrier.removed, 1, "the old one was left there");
	cr_expect_str_eq(world.carrier.to, "<sip:another@carrier.example>");
	WAIT_FOR(&world, status_of(&world).phase == TRUNK_REGISTERED);
	world_end(&world);
}

Test(outbound, disabling_takes_the_registration_back)
{
	struct world world = {0};
	char contact[CARRIER_TEXT];

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	register_trunk(&world);
	snprintf(contact, sizeof(contact), "%s", world.carrier.contact);
	world.trunk.enabled = false;
	set_and_wait(&world, TRUNK_DISABLED);
	cr_expect_eq(world.carrier.removed, 1);
	cr_expect_eq(world.carrier.expires_s, 0);
	cr_expect_str_eq(world.carrier.contact, contact);
	cr_expect_not(status_of(&world).online);
	cr_expect_not(world.one.online, "nobody was told");

	world.trunk.enabled = true;
	register_trunk(&world);
	cr_expect_eq(world.carrier.granted, 2);
	world_end(&world);
}

Test(outbound, deleting_takes_the_registration_back)
{
	struct world world = {0};
	struct trunk *trunk;

	world_start(&world, &plain);
	register_trunk(&world);
	outbound_trunk_remove(world.one.outbound, TRUNK);
	cr_expect_eq(outbound_trunk_get(world.one.outbound, TRUNK, &trunk),
		     ERR_NOT_FOUND);
	WAIT_FOR(&world, world.carrier.removed == 1);
	settle(&world);
	cr_expect_eq(outbound_stats(world.one.outbound)->online, 0);

	/* One that comes again is a new one. */
	register_trunk(&world);
	world_end(&world);
}

Test(outbound, a_dead_carrier_does_not_hold_up_the_end)
{
	struct world world = {0};

	world_start(&world, &hasty);
	register_trunk(&world);
	world.carrier.silent = true;
	world.trunk.enabled = false;
	set(&world);
	cr_expect_eq(status_of(&world).phase, TRUNK_UNREGISTERING);
	WAIT_FOR(&world, status_of(&world).phase == TRUNK_DISABLED);
	world_end(&world);
}

Test(outbound, register_now_does_not_wait)
{
	struct world world = {0};
	struct trunk *trunk;

	world_start(&world, &plain);
	carrier_say(&world.carrier, 404, "");
	set_and_wait(&world, TRUNK_BACKING_OFF);
	cr_assert_eq(outbound_trunk_get(world.one.outbound, TRUNK, &trunk),
		     ERR_OK);
	cr_expect(trunk_register_now(trunk));
	cr_expect_not(trunk_register_now(trunk), "it is at it");
	WAIT_FOR(&world, status_of(&world).phase == TRUNK_REGISTERED);
	world_end(&world);
}

/* --- Keep-alive --- */

Test(outbound, a_registered_trunk_is_asked_where_it_registered)
{
	struct world world = {0};

	world_start(&world, &hasty);
	world.trunk.keep_alive = true;
	world.trunk.keep_alive_interval_s = 60;
	register_trunk(&world);
	pass(&world, 300 * SECOND);
	cr_expect_geq(world.carrier.options, 4);
	cr_expect_leq(world.carrier.options, 8);
	cr_expect(status_of(&world).alive.alive);
	cr_expect_eq(status_of(&world).alive.fault.code, 405);

	/* Silence has it registered anew, which shows that it lives. */
	const unsigned granted = world.carrier.granted;

	world.carrier.silent_options = true;
	pass(&world, 61 * SECOND);
	WAIT_FOR(&world, world.carrier.granted > granted);
	WAIT_FOR(&world, status_of(&world).online);
	world_end(&world);
}

Test(outbound, a_trunk_known_by_address_is_online_while_it_answers)
{
	struct world world = {0};

	world_start(&world, &hasty);
	world.trunk.auth = WORLD_IP_AUTH;
	world.trunk.keep_alive = true;
	world.trunk.keep_alive_interval_s = 60;
	set_and_wait(&world, TRUNK_UNREGISTERED);
	cr_expect_not(status_of(&world).online);
	pass(&world, 11 * SECOND);
	WAIT_FOR(&world, status_of(&world).online);
	world.carrier.silent = true;
	pass(&world, 61 * SECOND);
	WAIT_FOR(&world, !status_of(&world).online);
	cr_expect_eq(status_of(&world).alive.fault.stage, STATUS_TIMEOUT);
	world.carrier.silent = false;
	pass(&world, 31 * SECOND);
	WAIT_FOR(&world, status_of(&world).online);
	cr_expect_eq(world.one.changes, 3);
	cr_expect_eq(world.carrier.registers, 0);
	world_end(&world);
}

/* --- Pace --- */

enum {
	MANY = 2000,
	CARRIERS = 8,
	WINDOW_MS = 100,
};

struct burst {
	struct world *world;
	uint64_t at_ms[2 * MANY];
	size_t count;
};

static void on_burst(void *arg)
{
	struct burst *burst = arg;

	cr_assert_lt(burst->count, 2 * MANY);
	burst->at_ms[burst->count++] = monotonic(&burst->world->one);
}

static size_t largest(const struct burst *burst)
{
	size_t most = 0;

	for (size_t i = 0, first = 0; i < burst->count; i++) {
		while (burst->at_ms[i] - burst->at_ms[first] >= WINDOW_MS)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	return most;
}

static uint64_t arrived(const struct carrier *carriers)
{
	uint64_t count = 0;

	for (int i = 0; i < CARRIERS; i++)
		count += carriers[i].registers;
	return count;
}

static uint64_t sent(const struct world *world)
{
	return outbound_stats(world->one.outbound)->registers;
}

Test(outbound, two_thousand_trunks_start_in_small_bursts, .timeout = 120)
{
	static struct carrier carriers[CARRIERS];
	static struct burst all, each[CARRIERS];
	/* Nothing is sent twice, however busy the machine is. */
	const struct outbound_options options = {.t1_ms = 60 * SECOND};
	struct world world = {0};
	unsigned granted = 0;

	world.one.frozen = true;
	world_start(&world, &options);
	all.world = &world;
	for (int i = 0; i < CARRIERS; i++) {
		each[i].world = &world;
		carrier_start(&carriers[i], world.loop, SIP_TRANSPORT_UDP,
			      NULL);
		carriers[i].on_register = on_burst;
		carriers[i].arg = &each[i];
	}
	for (int64_t id = 1; id <= MANY; id++) {
		world.trunk.id = id;
		world.trunk.outbound_server_port = carriers[id % CARRIERS].port;
		set(&world);
	}

	uint64_t end_ms = loop_now_ms(world.loop) + 60 * SECOND;

	while (granted < MANY && loop_now_ms(world.loop) < end_ms) {
		/* Time goes on once what was sent has arrived. */
		step(&world, 0);
		if (arrived(carriers) == sent(&world))
			world.added_ms++;
		granted = 0;
		for (int i = 0; i < CARRIERS; i++)
			granted += carriers[i].granted;
	}
	cr_expect_eq(granted, MANY);
	for (int i = 0; i < CARRIERS; i++) {
		cr_expect_leq(largest(&each[i]), PACING_DESTINATION_BURST);
		for (size_t n = 0; n < each[i].count; n++)
			all.at_ms[all.count++] = each[i].at_ms[n];
	}
	/* Those of all carriers, in order of time. */
	for (size_t i = 1; i < all.count; i++)
		for (size_t n = i; n > 0 && all.at_ms[n] < all.at_ms[n - 1];
		     n--) {
			const uint64_t at_ms = all.at_ms[n];

			all.at_ms[n] = all.at_ms[n - 1];
			all.at_ms[n - 1] = at_ms;
		}
	cr_expect_leq(largest(&all), PACING_BURST, "%zu", largest(&all));
	for (int i = 0; i < CARRIERS; i++)
		carrier_stop(&carriers[i]);
	world_end(&world);
}

/* --- Several registrars --- */

static size_t parts(struct registrar *registrar)
{
	struct trunk *trunk;
	size_t count = 0;

	for (int64_t id = 1; id <= 40; id++)
		count += outbound_trunk_get(registrar->outbound, id, &trunk) ==
			 ERR_OK;
	return count;
}

static size_t registered(struct registrar *registrar)
{
	return outbound_stats(registrar->outbound)->phases[TRUNK_REGISTERED];
}

Test(outbound, registrars_share_and_take_over)
{
	struct world world = {0};

	world_start(&world, &plain);
	for (world.trunk.id = 1; world.trunk.id <= 40; world.trunk.id++)
		set(&world);
	WAIT_FOR(&world, registered(&world.one) == 40);

	/* The second one gets its share, and registers nothing anew. */
	registrar_start(&world, &world.two, &plain);
	for (world.trunk.id = 1; world.trunk.id <= 40; world.trunk.id++)
		outbound_trunk_set(world.two.outbound, &world.trunk);
	WAIT_FOR(&world,
		 registered(&world.two) > 0 &&
			 registered(&world.one) + registered(&world.two) == 40);
	cr_expect_lt(parts(&world.one), 40);
	cr_expect_eq(parts(&world.one) + parts(&world.two), 40,
		     "one trunk has two registrars, or none");
	cr_expect_eq(world.carrier.registers, 40);

	/* The first one dies; its lease runs out. */
	registrar_end(&world.one);
	WAIT_FOR(&world, registered(&world.two) == 40);
	cr_expect_eq(world.carrier.registers, 40);
	cr_expect_eq(world.carrier.removed, 0);
	world_end(&world);
}

/* Its lease outlives every wait of this test: only its own name opens it. */
Test(outbound, a_crashed_registrar_finds_its_trunks_as_it_left_them)
{
	const struct outbound_options named = {
		.owner = "host ipc:///registrar.sock",
		.lease_ttl_ms = 3600000,
	};
	const struct outbound_options other = {
		.owner = "host ipc:///another.sock",
		.lease_ttl_ms = 3600000,
	};
	struct world world = {0};
	struct trunk *trunk;

	world_start(&world, &named);
	register_trunk(&world);
	registrar_end(&world.one);

	registrar_start(&world, &world.one, &named);
	outbound_trunk_set(world.one.outbound, &world.trunk);
	WAIT_FOR(&world, registered(&world.one) == 1);
	cr_expect_eq(world.carrier.registers, 1);

	registrar_end(&world.one);
	registrar_start(&world, &world.two, &other);
	outbound_trunk_set(world.two.outbound, &world.trunk);
	settle(&world);
	cr_expect_eq(
		outbound_trunk_get(world.two.outbound, world.trunk.id, &trunk),
		ERR_ELSEWHERE);
	world_end(&world);
}

/* No lease is renewed meanwhile. */
Test(outbound, trunks_go_over_long_before_the_next_renewal)
{
	const struct outbound_options slow = {.lease_ttl_ms = 3600000};
	struct world world = {0};

	world_start(&world, &slow);
	for (world.trunk.id = 1; world.trunk.id <= 40; world.trunk.id++)
		set(&world);
	WAIT_FOR(&world, registered(&world.one) == 40);
	registrar_start(&world, &world.two, &slow);
	for (world.trunk.id = 1; world.trunk.id <= 40; world.trunk.id++)
		outbound_trunk_set(world.two.outbound, &world.trunk);
	WAIT_FOR(&world, parts(&world.two) > 0 &&
				 parts(&world.one) + parts(&world.two) == 40);
	outbound_stop(world.two.outbound);
	WAIT_FOR(&world, parts(&world.one) == 40);
	cr_expect_eq(world.carrier.registers, 40);
	world_end(&world);
}

/* What one who waits for a trunk was told. */
struct told {
	unsigned count;
	int64_t id;
	enum err_code code;
};

static void on_told(void *arg, int64_t id, enum err_code code)
{
	struct told *told = arg;

	told->count++;
	told->id = id;
	told->code = code;
}

/* A trunk whose state is not read yet, and who waits for that. */
static void set_and_await(struct world *world, struct told *told)
{
	struct trunk *trunk;

	world->trunk.id++;
	set(world);
	cr_expect_eq(outbound_trunk_get(world->one.outbound, world->trunk.id,
					&trunk),
		     ERR_UNAVAILABLE);
	cr_expect(outbound_trunk_await(world->one.outbound, world->trunk.id,
				       on_told, told));
}

Test(outbound, who_waits_for_a_state_is_told)
{
	struct world world = {0};
	struct told told = {0};
	struct trunk *trunk;

	world_start(&world, &plain);
	register_trunk(&world);
	cr_expect_not(
		outbound_trunk_await(world.one.outbound, TRUNK, on_told, &told),
		"it is there");
	cr_expect_not(outbound_trunk_await(world.one.outbound, TRUNK + 1,
					   on_told, &told),
		      "there is none");
	set_and_await(&world, &told);
	WAIT_FOR(&world, told.count == 1);
	cr_expect_eq(told.id, TRUNK + 1);
	cr_expect_eq(told.code, ERR_OK);
	cr_expect_eq(outbound_trunk_get(world.one.outbound, TRUNK + 1, &trunk),
		     ERR_OK);
	set_and_await(&world, &told);
	outbound_stop(world.one.outbound);
	cr_expect_eq(told.count, 2);
	cr_expect_eq(told.id, TRUNK + 2);
	cr_expect_eq(told.code, ERR_UNAVAILABLE);
	world_end(&world);
}

Test(outbound, a_lost_redis_is_no_lost_registration)
{
	struct world world = {0};

	world_start(&world, &plain);
	register_trunk(&world);
	settle(&world);
	servers_redis_kill(&world.redis);
	pass(&world, 541 * SECOND);
	WAIT_FOR(&world, world.carrier.granted == 2);
	cr_expect(status_of(&world).online);

	/* What it did not store it stores when Redis is back: empty as it is,
	 * a restart after that sends nothing. */
	servers_redis_start(&world.redis, NULL);
	WAIT_FOR(&world, cache_ready(world.one.cache));
	pass(&world, 10 * SECOND);
	restart(&world);
	set_and_wait(&world, TRUNK_REGISTERED);
	cr_expect_eq(world.carrier.registers, 2);
	world_end(&world);
}

/* --- What is told --- */

Test(outbound, the_ladder_shows_the_attempt_and_no_secret)
{
	struct buffer text = {0};
	struct world world = {0};
	struct trunk *trunk;

	world_start(&world, &plain);
	world.carrier.algorithms = DIGEST_BIT(DIGEST_MD5);
	register_trunk(&world);
	cr_assert_eq(outbound_trunk_get(world.one.outbound, TRUNK, &trunk),
		     ERR_OK);
	ladder_text(trunk_ladder(trunk), &text);
	buffer_append_char(&text, '\0');
	cr_expect(strstr(text.data, "REGISTER sip:carrier.example SIP/2.0"));
	cr_expect(strstr(text.data, "SIP/2.0 401"));
	cr_expect(strstr(text.data, "SIP/2.0 200"));
	cr_expect(strstr(text.data, "response=\"***\""), "%s", text.data);
	cr_expect(strstr(text.data, "nonce=\"nonce-***\""));
	cr_expect_not(strstr(text.data, "of-the-carrier"));
	buffer_fini(&text);
	world_end(&world);
}
