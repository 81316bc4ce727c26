#include "services/registrar/sip/udp.h"

#include "proto/buffer.h"
#include "sip_peer.h"
#include "turn.h"

#include <stdlib.h>

struct end {
	struct loop *loop;
	struct sip_udp *udp;
	unsigned count;
	unsigned refused; /* by the network, and where */
	struct sip_endpoint refused_by;
	bool answers; /* sends each datagram back */
	bool ends;    /* frees the socket in the callback */
	struct sip_endpoint remote;
	struct sip_endpoint local;
	struct buffer last;
};

static void on_refused(void *arg, const struct sip_endpoint *remote)
{
	struct end *end = arg;

	end->refused++;
	end->refused_by = *remote;
}

static void on_datagram(void *arg, struct slice bytes,
			const struct sip_endpoint *remote,
			const struct sip_endpoint *local)
{
	struct end *end = arg;

	end->count++;
	end->remote = *remote;
	end->local = *local;
	end->last.size = 0;
	buffer_append_slice(&end->last, bytes);
	if (end->answers)
		cr_assert_eq(sip_udp_send(end->udp, remote, local, bytes),
			     ERR_OK);
	if (end->ends) {
		sip_udp_free(end->udp);
		end->udp = NULL;
	}
}

static void end_open_at(struct end *end, struct loop *loop,
			const struct sip_endpoint *local)
{
	struct err err = {0};

	*end = (struct end){.loop = loop};
	cr_assert_eq(sip_udp_new(loop, local, on_datagram, on_refused, end,
				 &end->udp, &err),
		     ERR_OK, "%s", err.text);
}

static void end_open(struct end *end, struct loop *loop, int family)
{
	struct sip_endpoint local = peer_loopback(family);

	end_open_at(end, loop, &local);
}

static void end_close(struct end *end)
{
	sip_udp_free(end->udp);
	buffer_fini(&end->last);
}

static enum err_code send_text(struct end *from, const struct end *to,
			       struct slice text)
{
	return sip_udp_send(from->udp, sip_udp_local(to->udp), NULL, text);
}

static void there_and_back(int family)
{
	struct loop *loop = loop_new();
	struct end client, server;

	end_open(&client, loop, family);
	end_open(&server, loop, family);
	server.answers = true;
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(send_text(&client, &server, slice_str("hello")),
			     ERR_OK);
	TURN_UNTIL(loop, client.count == 100);
	cr_expect(slice_is(buffer_slice(&client.last), "hello"));
	cr_expect(sip_endpoint_eq(&client.remote, sip_udp_local(server.udp)));
	cr_expect(sip_endpoint_eq(&server.remote, sip_udp_local(client.udp)));
	cr_expect(sip_endpoint_eq(&server.local, sip_udp_local(server.udp)));
	cr_expect_eq(sip_udp_stats(server.udp)->packets_in, 100);
	cr_expect_eq(sip_udp_stats(server.udp)->packets_out, 100);
	cr_expect_eq(sip_udp_stats(client.udp)->errors, 0);
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

Test(sip_udp, there_and_back_over_ipv4)
{
	there_and_back(AF_INET);
}

Test(sip_udp, there_and_back_over_ipv6)
{
	there_and_back(AF_INET6);
}

static void closed_port(const struct sip_endpoint *local)
{
	const int family = sip_endpoint_family(local);
	struct loop *loop = loop_new();
	struct end client, server, closed;

	end_open_at(&client, loop, local);
	end_open(&server, loop, family);
	end_open(&closed, loop, family);
	const struct sip_endpoint nobody = *sip_udp_local(closed.udp);

	end_close(&closed);
	server.answers = true;
	cr_assert_eq(
		sip_udp_send(client.udp, &nobody, NULL, slice_str("hello")),
		ERR_OK);
	TURN_UNTIL(loop, client.refused == 1);
	cr_expect(sip_endpoint_eq(&client.refused_by, &nobody));
	/* Nobody else suffers. */
	cr_assert_eq(
		sip_udp_send(client.udp, &nobody, NULL, slice_str("hello")),
		ERR_OK);
	for (unsigned i = 0; i < 10; i++)
		cr_assert_eq(send_text(&client, &server, slice_str("hello")),
			     ERR_OK);
	TURN_UNTIL(loop, client.count == 10 && client.refused == 2);
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

static const struct closed_row {
	const char *name;
	int family;
	bool wildcard;
} closed_rows[] = {
	{"IPv4", AF_INET, false},
	{"IPv6", AF_INET6, false},
	/* As listeners are: more comes with the error. */
	{"IPv4, a wildcard", AF_INET, true},
	{"IPv6, a wildcard", AF_INET6, true},
};

Test(sip_udp, a_closed_port_is_told)
{
	for (size_t i = 0; i < sizeof(closed_rows) / sizeof(*closed_rows);
	     i++) {
		const struct closed_row *row = &closed_rows[i];
		const struct sip_endpoint local =
			row->wildcard ? sip_endpoint_wildcard(row->family, 0)
				      : peer_loopback(row->family);

		cr_log_info("%s", row->name);
		closed_port(&local);
	}
}

Test(sip_udp, a_wildcard_answers_from_the_address_it_was_asked_at)
{
	struct loop *loop = loop_new();
	struct sip_endpoint any = sip_endpoint_wildcard(AF_INET, 0);
	struct end client, server;

	end_open(&client, loop, AF_INET);
	end_open_at(&server, loop, &any);
	server.answers = true;

	struct sip_endpoint to;
	uint16_t port = sip_endpoint_port(sip_udp_local(server.udp));

	cr_assert(sip_endpoint_parse(slice_str("127.0.0.77"), port, &to));
	sip_udp_send(client.udp, &to, NULL, slice_str("x"));
	TURN_UNTIL(loop, client.count == 1);
	cr_expect(sip_endpoint_eq(&server.local, &to));
	cr_expect(sip_endpoint_eq(&client.remote, &to));
	cr_expect(sip_udp_owns(server.udp, &to));
	cr_expect(!sip_udp_owns(client.udp, &to));
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

Test(sip_udp, a_burst_is_kept_and_read_in_turns)
{
	enum { BURST = 2000, TURN_MAX = 128 };
	struct loop *loop = loop_new();
	struct loop *other = loop_new();
	struct end client, server;

	end_open(&client, other, AF_INET);
	end_open(&server, loop, AF_INET);
	for (unsigned i = 0; i < BURST; i++)
		send_text(&client, &server, slice_str("burst"));
	TURN_UNTIL(other, sip_udp_stats(client.udp)->packets_out == BURST);
	loop_turn(loop, 0);
	cr_expect_gt(server.count, 0);
	cr_expect_leq(server.count, TURN_MAX, "others have their turn too");
	TURN_UNTIL(loop, server.count == BURST);
	cr_expect_eq(sip_udp_stats(server.udp)->lost, 0);
	end_close(&client);
	end_close(&server);
	loop_free(loop);
	loop_free(other);
}

Test(sip_udp, a_full_queue_drops_and_counts)
{
	struct loop *loop = loop_new();
	struct end client, server;

	end_open(&client, loop, AF_INET);
	end_open(&server, loop, AF_INET);
	for (unsigned i = 0; i < SIP_UDP_QUEUE_MAX; i++)
		cr_assert_eq(send_text(&client, &server, slice_str("x")),
			     ERR_OK);
	cr_expect_eq(send_text(&client, &server, slice_str("x")), ERR_LIMIT);
	cr_expect_eq(sip_udp_stats(client.udp)->dropped, 1);
	TURN_UNTIL(loop, server.count == SIP_UDP_QUEUE_MAX);
	cr_expect_eq(send_text(&client, &server, slice_str("x")), ERR_OK);
	TURN_UNTIL(loop, server.count == SIP_UDP_QUEUE_MAX + 1);
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

Test(sip_udp, takes_what_a_datagram_takes)
{
	struct loop *loop = loop_new();
	struct end client, server;
	char *bytes = calloc(1, SIP_UDP_BYTES_MAX + 1);
	struct sip_endpoint other_family = peer_loopback(AF_INET6);

	end_open(&client, loop, AF_INET);
	end_open(&server, loop, AF_INET);
	cr_expect_eq(send_text(&client, &server,
			       slice_of(bytes, SIP_UDP_BYTES_MAX + 1)),
		     ERR_TOO_LARGE);
	cr_expect_eq(
		sip_udp_send(client.udp, &other_family, NULL, slice_str("x")),
		ERR_VALIDATE);
	send_text(&client, &server, slice_of(bytes, 0));
	TURN_UNTIL(loop, server.count == 1);
	cr_expect_eq(server.last.size, 0);
	send_text(&client, &server, slice_of(bytes, SIP_UDP_BYTES_MAX));
	TURN_UNTIL(loop, server.count == 2);
	cr_expect_eq(server.last.size, SIP_UDP_BYTES_MAX);
	free(bytes);
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

Test(sip_udp, goes_on_after_what_the_kernel_refuses)
{
	struct loop *loop = loop_new();
	struct end client, server, gone;
	struct sip_endpoint broadcast;

	cr_assert(sip_endpoint_parse(slice_str("255.255.255.255"), 5060,
				     &broadcast));
	end_open(&client, loop, AF_INET);
	end_open(&server, loop, AF_INET);
	end_open(&gone, loop, AF_INET);

	struct sip_endpoint closed_port = *sip_udp_local(gone.udp);

	end_close(&gone);
	sip_udp_send(client.udp, &broadcast, NULL, slice_str("refused"));
	sip_udp_send(client.udp, &closed_port, NULL, slice_str("bounced"));
	send_text(&client, &server, slice_str("arrives"));
	TURN_UNTIL(loop, server.count == 1);
	cr_expect(slice_is(buffer_slice(&server.last), "arrives"));
	cr_expect_eq(sip_udp_stats(client.udp)->errors, 1);
	cr_expect_eq(sip_udp_stats(client.udp)->packets_out, 2);
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

Test(sip_udp, can_be_freed_by_its_callback)
{
	struct loop *loop = loop_new();
	struct end client, server;

	end_open(&client, loop, AF_INET);
	end_open(&server, loop, AF_INET);
	server.answers = true;
	server.ends = true;
	send_text(&client, &server, slice_str("one"));
	send_text(&client, &server, slice_str("two"));
	TURN_UNTIL(loop, client.count == 1);
	cr_expect_eq(server.count, 1, "nothing after the end");
	end_close(&client);
	end_close(&server);
	loop_free(loop);
}

Test(sip_udp, a_port_in_use_is_told)
{
	struct loop *loop = loop_new();
	struct end first;
	struct sip_udp *second = NULL;
	struct err err = {0};

	end_open(&first, loop, AF_INET);
	cr_expect_eq(sip_udp_new(loop, sip_udp_local(first.udp), on_datagram,
				 NULL, NULL, &second, &err),
		     ERR_IN_USE);
	cr_expect_null(second);
	cr_expect(strstr(err.text, "127.0.0.1:") && strstr(err.text, "in use"),
		  "%s", err.text);
	end_close(&first);
	loop_free(loop);
}
