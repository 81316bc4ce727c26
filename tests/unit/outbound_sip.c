#include "outbound_sip.h"

#include <criterion/criterion.h>

static void on_message(void *arg, const struct sip_flow *flow,
		       struct slice bytes)
{
	struct outbound **outbound = arg;
	struct sip_message message;

	(void)flow;
	cr_assert_eq(sip_message_parse(bytes, SIP_DATAGRAM, &message), ERR_OK);
	outbound_receive(*outbound, &message);
}

static void on_open(void *arg, const struct sip_flow *flow)
{
	struct outbound **outbound = arg;

	outbound_on_open(*outbound, flow);
}

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	struct outbound **outbound = arg;

	if (*outbound)
		outbound_on_close(*outbound, flow, stage, reason);
}

struct sip_transports *outbound_sip_new(struct loop *loop,
					struct sip_tls_context *client,
					struct outbound **outbound)
{
	static const struct sip_transports_events events = {
		.on_message = on_message,
		.on_close = on_close,
		.on_open = on_open,
	};
	const struct sip_transports_options options = {.client = client};
	struct sip_transports *transports =
		sip_transports_new(loop, &options, &events, outbound);
	struct sip_endpoint local;

	cr_assert(sip_endpoint_parse(slice_str("127.0.0.1"), 0, &local));

	const struct sip_listener_options listen = {
		.transport = SIP_TRANSPORT_UDP,
		.addresses = &local,
		.address_count = 1,
	};

	sip_transports_listen(transports, &listen);
	return transports;
}

uint16_t outbound_sip_port(void *arg, enum sip_transport transport)
{
	(void)arg;
	return transport == SIP_TRANSPORT_TLS ? 5061 : 5060;
}
