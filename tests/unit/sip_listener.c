#include "services/registrar/sip/listener.h"

#include "certificates.h"
#include "proto/buffer.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/socket.h"
#include "services/registrar/sip/transport.h"
#include "sip_peer.h"
#include "turn.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
	struct loop *loop;
	struct sip_transports *transports;
	unsigned messages; /* each is sent back where it came from */
	struct sip_flow flow;
	unsigned ends;
	unsigned admitted;
	bool bans;
};

static void on_message(void *arg, const struct sip_flow *flow,
		       struct slice message)
{
	struct world *world = arg;

	world->messages++;
	world->flow = *flow;
	cr_expect_eq(sip_transports_send(world->transports, flow, message),
		     ERR_OK);
}

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	struct world *world = arg;

	(void)flow;
	(void)stage;
	(void)reason;
	world->ends++;
}

static bool on_admit(void *arg, const struct sip_endpoint *remote,
		     enum sip_transport transport)
{
	struct world *world = arg;

	(void)remote;
	(void)transport;
	world->admitted++;
	return !world->bans;
}

static const struct sip_transports_events events = {on_message, on_close,
						    on_admit};

static void world_open(struct world *world)
{
	static const struct sip_transports_options options = {.retry_ms = 10};

	signal(SIGPIPE, SIG_IGN);
	cr_assert(secrets_init());
	*world = (struct world){.loop = loop_new()};
	world->transports =
		sip_transports_new(world->loop, &options, &events, world);
}

static void world_close(struct world *world)
{
	sip_transports_free(world->transports);
	loop_free(world->loop);
}

static struct sip_listener_detail detail_of(const struct sip_listener *listener)
{
	struct sip_listener_detail detail;

	sip_listener_detail(listener, &detail);
	return detail;
}

/* A port of the loopback that is taken until the descriptor is closed. */
static int take_port(int family, int type, uint16_t port,
		     struct sip_endpoint *taken)
{
	struct sip_endpoint local = peer_loopback(family);
	struct err err = {0};
	int fd = -1;

	sip_endpoint_port_set(&local, port);
	cr_assert_eq(sip_socket_bind(&local, type, &fd, &err), ERR_OK, "%s",
		     err.text);
	if (type == SOCK_STREAM)
		cr_assert_eq(listen(fd, 1), 0);
	*taken = sip_socket_local(fd);
	return fd;
}

/* A port nobody has just now. */
static uint16_t free_port(int type)
{
	struct sip_endpoint taken;

	close(take_port(AF_INET, type, 0, &taken));
	return sip_endpoint_port(&taken);
}

static struct sip_listener_options options_at(enum sip_transport transport,
					      const struct sip_endpoint *at,
					      uint16_t port)
{
	return (struct sip_listener_options){
		.transport = transport,
		.port = port,
		.addresses = at,
		.address_count = 1,
	};
}

static int socket_type(enum sip_transport transport)
{
	return transport == SIP_TRANSPORT_UDP ? SOCK_DGRAM : SOCK_STREAM;
}

static const struct slice hello = SLICE("A b SIP/2.0\r\nl:0\r\n\r\n");

/* Sends hello by a connected socket and waits for it to come back. */
static void exchange(struct world *world, int fd)
{
	struct buffer got = {0};

	peer_send(world->loop, fd, hello);
	peer_read(world->loop, fd, &got, hello.size);
	cr_assert(slice_eq(buffer_slice(&got), hello));
	buffer_fini(&got);
}

static int udp_connect(const struct sip_endpoint *remote)
{
	int fd = socket(sip_endpoint_family(remote),
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, &remote->any, sip_endpoint_size(remote)), 0);
	return fd;
}

static void port_in_use(enum sip_transport transport)
{
	struct world world;
	struct sip_endpoint taken;
	struct sip_endpoint at = peer_loopback(AF_INET);
	int holder = take_port(AF_INET, socket_type(transport), 0, &taken);

	world_open(&world);

	const struct sip_listener_options options =
		options_at(transport, &at, sip_endpoint_port(&taken));
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &options);
	struct sip_listener_detail detail = detail_of(listener);

	cr_expect_eq(detail.state, SIP_LISTENER_DEACTIVATED);
	cr_expect(strstr(detail.reason, "in use"), "%s", detail.reason);
	cr_expect_eq(detail.bound_count, 0);
	for (int i = 0; i < 5; i++)
		loop_turn(world.loop, 10);
	cr_expect_eq(detail_of(listener).state, SIP_LISTENER_DEACTIVATED);

	close(holder);
	TURN_UNTIL(world.loop,
		   detail_of(listener).state == SIP_LISTENER_ACTIVATED);
	detail = detail_of(listener);
	cr_expect_str_eq(detail.reason, "");
	cr_expect_eq(detail.bound_count, 1);
	cr_expect(sip_endpoint_eq(&detail.bound[0], &taken));

	int fd = transport == SIP_TRANSPORT_UDP ? udp_connect(&taken)
						: peer_connect(&taken);

	exchange(&world, fd);
	close(fd);
	detail = detail_of(listener);
	cr_expect_eq(detail.packets_in, 1);
	cr_expect_eq(detail.packets_out, 1);
	world_close(&world);
}

Test(sip_listener, a_udp_port_in_use_is_told_and_taken_when_free)
{
	port_in_use(SIP_TRANSPORT_UDP);
}

Test(sip_listener, a_tcp_port_in_use_is_told_and_taken_when_free)
{
	port_in_use(SIP_TRANSPORT_TCP);
}

Test(sip_listener, one_address_of_two_is_better_than_none)
{
	struct world world;
	struct sip_endpoint taken;
	struct sip_endpoint at[2] = {peer_loopback(AF_INET),
				     peer_loopback(AF_INET6)};
	int holder = take_port(AF_INET, SOCK_DGRAM, 0, &taken);

	world_open(&world);

	const struct sip_listener_options options = {
		.transport = SIP_TRANSPORT_UDP,
		.port = sip_endpoint_port(&taken),
		.addresses = at,
		.address_count = 2,
	};
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &options);
	struct sip_listener_detail detail = detail_of(listener);

	cr_expect_eq(detail.state, SIP_LISTENER_ACTIVATED);
	cr_expect_eq(detail.bound_count, 1);
	cr_expect(strstr(detail.reason, "127.0.0.1"), "%s", detail.reason);
	close(holder);
	TURN_UNTIL(world.loop, detail_of(listener).bound_count == 2);
	cr_expect_str_eq(detail_of(listener).reason, "");
	world_close(&world);
}

Test(sip_listener, an_address_the_machine_has_not_is_told)
{
	struct world world;
	struct sip_endpoint at;

	cr_assert(sip_endpoint_parse(slice_str("192.0.2.1"), 0, &at));
	world_open(&world);

	const struct sip_listener_options options =
		options_at(SIP_TRANSPORT_TCP, &at, 0);
	struct sip_listener_detail detail =
		detail_of(sip_transports_listen(world.transports, &options));

	cr_expect_eq(detail.state, SIP_LISTENER_DEACTIVATED);
	cr_expect(strstr(detail.reason, "192.0.2.1"), "%s", detail.reason);
	world_close(&world);
}

Test(sip_listener, without_addresses_it_listens_on_all)
{
	struct world world;

	world_open(&world);

	const struct sip_listener_options options = {
		.transport = SIP_TRANSPORT_UDP, .port = free_port(SOCK_DGRAM)};
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &options);

	cr_assert_eq(detail_of(listener).bound_count, 2);
	for (int i = 0; i < 2; i++) {
		struct sip_endpoint at = peer_loopback(i ? AF_INET6 : AF_INET);

		sip_endpoint_port_set(&at, options.port);

		int fd = udp_connect(&at);

		exchange(&world, fd);
		cr_expect(sip_endpoint_eq(&world.flow.local, &at));
		close(fd);
	}
	world_close(&world);
}

Test(sip_listener, a_change_touches_what_changes)
{
	struct world world;
	struct sip_endpoint first = peer_loopback(AF_INET);
	struct sip_endpoint both[2] = {first, peer_loopback(AF_INET6)};
	uint16_t port = free_port(SOCK_STREAM);

	world_open(&world);

	struct sip_listener_options options =
		options_at(SIP_TRANSPORT_TCP, &first, port);
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &options);
	struct sip_endpoint bound = detail_of(listener).bound[0];
	int fd = peer_connect(&bound);

	exchange(&world, fd);

	/* One address more. */
	options.addresses = both;
	options.address_count = 2;
	sip_listener_change(listener, &options);
	cr_expect_eq(detail_of(listener).bound_count, 2);
	exchange(&world, fd);
	cr_expect_eq(detail_of(listener).connections, 1);

	/* Another port. */
	options.port = free_port(SOCK_STREAM);
	sip_listener_change(listener, &options);
	cr_expect(peer_ended(world.loop, fd));
	cr_expect_eq(world.ends, 1);
	close(fd);
	bound = detail_of(listener).bound[0];
	cr_expect_eq(sip_endpoint_port(&bound), options.port);
	fd = peer_connect(&bound);
	exchange(&world, fd);
	cr_expect_eq(detail_of(listener).packets_in, 3);
	close(fd);
	world_close(&world);
}

Test(sip_listener, tls_waits_for_its_certificate)
{
	const struct certificate_options self = {.name = "self"};
	struct certificate *certificate = certificate_new(&self);
	struct world world;
	struct sip_endpoint at = peer_loopback(AF_INET);
	struct sip_tls_context *context = NULL;
	const struct sip_tls_server_options tls = {
		.certificate = certificate_pem(certificate),
		.key = certificate_key(certificate),
	};

	world_open(&world);

	const struct sip_listener_options options =
		options_at(SIP_TRANSPORT_TLS, &at, 0);
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &options);

	cr_expect_eq(detail_of(listener).state, SIP_LISTENER_DEACTIVATED);
	cr_expect(strstr(detail_of(listener).reason, "certificate"));
	cr_expect_eq(detail_of(listener).certificate_expires_s, 0);
	cr_assert_eq(sip_tls_server_new(&tls, &context, NULL), ERR_OK);
	sip_listener_tls_set(listener, context);
	cr_expect_eq(detail_of(listener).state, SIP_LISTENER_ACTIVATED);
	cr_expect_eq(detail_of(listener).certificate_expires_s,
		     sip_tls_context_expires_s(context));
	sip_tls_context_free(context);
	world_close(&world);
	certificate_free(certificate);
}

Test(sip_listener, a_thousand_cycles_beside_traffic)
{
	enum { CYCLES = 1000 };
	static const enum sip_transport kinds[] = {SIP_TRANSPORT_UDP,
						   SIP_TRANSPORT_TCP};
	struct world world;
	struct sip_endpoint at;
	uint16_t port = free_port(SOCK_STREAM);

	/* Other tests that run meanwhile take no ports of this address. */
	cr_assert(sip_endpoint_parse(slice_str("127.0.77.1"), 0, &at));
	world_open(&world);

	const struct sip_listener_options udp =
		options_at(SIP_TRANSPORT_UDP, &at, 0);
	const struct sip_listener_options tcp =
		options_at(SIP_TRANSPORT_TCP, &at, 0);
	struct sip_listener *udp_listener =
		sip_transports_listen(world.transports, &udp);
	struct sip_listener *tcp_listener =
		sip_transports_listen(world.transports, &tcp);
	int fds[2] = {
		udp_connect(&detail_of(udp_listener).bound[0]),
		peer_connect(&detail_of(tcp_listener).bound[0]),
	};
	size_t descriptors = 0;

	for (int i = 0; i < CYCLES; i++) {
		const struct sip_listener_options cycled =
			options_at(kinds[i % 2], &at, port);
		struct sip_listener *listener =
			sip_transports_listen(world.transports, &cycled);

		cr_assert_eq(detail_of(listener).state, SIP_LISTENER_ACTIVATED,
			     "%s", detail_of(listener).reason);
		/* On its way while the other is closed. */
		peer_send(world.loop, fds[i % 2], hello);
		sip_transports_unlisten(world.transports, listener);
		exchange(&world, fds[1 - i % 2]);
		if (i == 0)
			descriptors = peer_descriptors();
	}

	struct buffer got = {0};

	for (int i = 0; i < 2; i++) {
		peer_read(world.loop, fds[i], &got, CYCLES / 2 * hello.size);
		close(fds[i]);
	}
	cr_expect_eq(world.messages, 2 * CYCLES);
	cr_expect_eq(detail_of(udp_listener).packets_in, CYCLES);
	cr_expect_eq(detail_of(tcp_listener).packets_in, CYCLES);
	cr_expect_eq(peer_descriptors(), descriptors - 2);
	buffer_fini(&got);
	world_close(&world);
}

/* --- The transport layer above --- */

Test(sip_listener, the_banned_are_not_heard)
{
	struct world world;
	struct sip_endpoint at = peer_loopback(AF_INET);

	world_open(&world);
	world.bans = true;

	const struct sip_listener_options udp =
		options_at(SIP_TRANSPORT_UDP, &at, 0);
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &udp);
	int fd = udp_connect(&detail_of(listener).bound[0]);

	peer_send(world.loop, fd, hello);
	TURN_UNTIL(world.loop, world.admitted == 1);
	cr_expect_eq(world.messages, 0);

	/* Keep-alives count, but are no messages. */
	world.bans = false;
	peer_send(world.loop, fd, slice_str("\r\n\r\n"));
	TURN_UNTIL(world.loop, world.admitted == 2);
	cr_expect_eq(world.messages, 0);
	exchange(&world, fd);
	close(fd);
	world_close(&world);
}

Test(sip_listener, a_datagram_leaves_by_the_listener_that_fits)
{
	struct world world;
	struct sip_endpoint at = peer_loopback(AF_INET);
	struct sip_flow flow;
	struct err err = {0};
	struct buffer got = {0};

	world_open(&world);

	const struct sip_listener_options udp =
		options_at(SIP_TRANSPORT_UDP, &at, 0);
	struct sip_listener *listener =
		sip_transports_listen(world.transports, &udp);
	struct sip_endpoint bound = detail_of(listener).bound[0];
	int fd = udp_connect(&bound);
	struct sip_target target = {
		.transport = SIP_TRANSPORT_UDP,
		.remote = sip_socket_local(fd),
	};

	cr_assert_eq(
		sip_transports_reach(world.transports, &target, &flow, &err),
		ERR_OK, "%s", err.text);
	cr_expect(sip_endpoint_eq(&flow.local, &bound));
	cr_expect(sip_transports_alive(world.transports, &flow));
	cr_expect_eq(sip_transports_send(world.transports, &flow, hello),
		     ERR_OK);
	peer_read(world.loop, fd, &got, hello.size);
	buffer_fini(&got);

	sip_transports_unlisten(world.transports, listener);
	cr_expect(!sip_transports_alive(world.transports, &flow));
	cr_expect_eq(sip_transports_send(world.transports, &flow, hello),
		     ERR_NOT_FOUND);
	cr_expect_eq(
		sip_transports_reach(world.transports, &target, &flow, &err),
		ERR_UNAVAILABLE);
	cr_expect(strstr(err.text, "127.0.0.1"), "%s", err.text);
	target.transport = SIP_TRANSPORT_TLS;
	cr_expect_eq(
		sip_transports_reach(world.transports, &target, &flow, &err),
		ERR_UNAVAILABLE);
	close(fd);
	world_close(&world);
}

struct asked {
	unsigned failed;
	unsigned other;
};

static void on_client(void *arg, enum sip_client_event event,
		      const struct sip_message *response)
{
	struct asked *asked = arg;

	(void)response;
	if (event == SIP_CLIENT_FAILED)
		asked->failed++;
	else
		asked->other++;
}

/* Starts a transaction by an outlet. */
static enum err_code ask(struct sip_client *client, struct sip_outlet *outlet,
			 struct asked *asked)
{
	char branch[SIP_BRANCH_BYTES];
	struct sip_transaction *transaction = NULL;

	sip_client_branch(client, branch);

	const struct sip_client_request request = {
		.sink = &outlet->sink,
		.branch = branch,
		.method = SIP_METHOD_OPTIONS,
		.message = hello,
		.fn = on_client,
		.arg = asked,
	};

	return sip_client_send(client, &request, &transaction);
}

Test(sip_listener, transactions_fail_with_their_connection)
{
	static const struct sip_client_options client_options = {
		.max_transactions = 4};
	struct world world;
	struct sip_endpoint taken;
	int holder = take_port(AF_INET, SOCK_STREAM, 0, &taken);
	struct sip_outlet outlet;
	struct sip_flow flow, again;
	struct asked asked = {0};

	world_open(&world);

	struct sip_client *client = sip_client_new(world.loop, &client_options);
	const struct sip_target target = {.transport = SIP_TRANSPORT_TCP,
					  .remote = taken};

	cr_assert_eq(
		sip_transports_reach(world.transports, &target, &flow, NULL),
		ERR_OK);
	cr_assert_eq(
		sip_transports_reach(world.transports, &target, &again, NULL),
		ERR_OK);
	cr_expect_eq(again.connection, flow.connection, "one for both");
	sip_outlet_init(&outlet, world.transports, &flow);
	cr_expect(outlet.sink.reliable);
	cr_assert_eq(ask(client, &outlet, &asked), ERR_OK);
	cr_assert_eq(ask(client, &outlet, &asked), ERR_OK);

	int fd = accept(holder, NULL, NULL);

	cr_assert_geq(fd, 0);
	close(fd);
	TURN_UNTIL(world.loop, asked.failed == 2);
	cr_expect_eq(asked.other, 0);
	cr_expect_eq(world.ends, 1);
	cr_expect(!sip_transports_alive(world.transports, &flow));
	cr_expect_eq(ask(client, &outlet, &asked), ERR_UNAVAILABLE);
	sip_outlet_fini(&outlet);
	sip_client_free(client);
	close(holder);
	world_close(&world);
}
