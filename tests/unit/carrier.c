#include "carrier.h"

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/message.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char realm[] = "carrier.example";

static void copy(char out[CARRIER_TEXT], struct slice text)
{
	snprintf(out, CARRIER_TEXT, "%.*s", SLICE_ARG(text));
}

/* The answer up to its own headers. */
static void answer_begin(struct buffer *out, const struct sip_message *request,
			 const struct sip_flow *flow, unsigned status)
{
	char host[SIP_ENDPOINT_TEXT];
	const struct sip_reply reply = {
		.status = status,
		.to_tag = slice_str("carrier"),
		.source = {.kind = SIP_HOST_IPV4,
			   .name = slice_str(
				   sip_endpoint_host_text(&flow->remote, host)),
			   .port = sip_endpoint_port(&flow->remote)},
	};

	sip_build_response(out, request, &reply);
}

static void answer_end(struct carrier *carrier, struct buffer *out,
		       const struct sip_flow *flow)
{
	sip_build_end(out, (struct slice){0}, (struct slice){0});
	sip_transports_send(carrier->transports, flow, buffer_slice(out));
	buffer_fini(out);
}

static void answer(struct carrier *carrier, const struct sip_message *request,
		   const struct sip_flow *flow, unsigned status,
		   const char *headers)
{
	struct buffer out = {0};

	answer_begin(&out, request, flow, status);
	buffer_append_str(&out, headers);
	answer_end(carrier, &out, flow);
}

static void nonce_print(const struct carrier *carrier, char out[CARRIER_TEXT])
{
	snprintf(out, CARRIER_TEXT, "nonce-%u-of-the-carrier", carrier->nonce);
}

static void challenge(struct carrier *carrier,
		      const struct sip_message *request,
		      const struct sip_flow *flow, bool stale)
{
	struct buffer out = {0};
	char nonce[CARRIER_TEXT];

	carrier->nonce++;
	carrier->nonce_used = 0;
	carrier->challenged++;
	nonce_print(carrier, nonce);

	const struct digest_offer offer = {
		.realm = slice_str(realm),
		.nonce = slice_str(nonce),
		.opaque = slice_str("opaque-of-the-carrier"),
		.algorithms = carrier->algorithms,
		.qop = DIGEST_QOP_AUTH,
		.stale = stale && !carrier->never_stale,
	};

	answer_begin(&out, request, flow,
		     carrier->challenge_in_proxy ? 407 : 401);
	digest_challenge_build(&out,
			       carrier->challenge_in_proxy
				       ? SIP_PROXY_AUTHENTICATE
				       : SIP_WWW_AUTHENTICATE,
			       &offer);
	answer_end(carrier, &out, flow);
}

static void grant(struct carrier *carrier, const struct sip_message *request,
		  const struct sip_flow *flow)
{
	uint32_t granted_s = carrier->expires_s;
	struct buffer out = {0};

	if (carrier->granted_s > 0 && carrier->granted_s < granted_s)
		granted_s = carrier->granted_s;
	if (carrier->expires_s == 0)
		carrier->removed++;
	else
		carrier->granted++;
	answer_begin(&out, request, flow, 200);
	if (granted_s > 0)
		buffer_printf(&out, "Contact: %s;expires=%u\r\n",
			      carrier->contact, granted_s);
	answer_end(carrier, &out, flow);
}

/* True: the credentials are good. False: it was answered. */
static bool proved(struct carrier *carrier, const struct sip_message *request,
		   const struct sip_flow *flow)
{
	const struct slice value = sip_message_value(
		request, carrier->challenge_in_proxy ? SIP_PROXY_AUTHORIZATION
						     : SIP_AUTHORIZATION);
	struct digest_credentials credentials;
	char nonce[CARRIER_TEXT];

	if (!value.data ||
	    digest_credentials_decode(value, &credentials) != ERR_OK) {
		challenge(carrier, request, flow, false);
		return false;
	}
	nonce_print(carrier, nonce);
	carrier->algorithm = credentials.algorithm;
	copy(carrier->user, credentials.username);

	const struct digest_secret secret = {
		.password = slice_str(carrier->password)};

	if (digest_verify(carrier->digest, &credentials, &secret,
			  request->method_text, request->body) != DIGEST_GOOD) {
		carrier->refused++;
		if (carrier->wrong_code)
			answer(carrier, request, flow, carrier->wrong_code, "");
		else
			challenge(carrier, request, flow, false);
		return false;
	}
	if (slice_is(credentials.nonce, nonce) &&
	    (carrier->nonce_uses == 0 ||
	     carrier->nonce_used < carrier->nonce_uses)) {
		carrier->nonce_used++;
		return true;
	}
	challenge(carrier, request, flow, true);
	return false;
}

static void on_register(struct carrier *carrier,
			const struct sip_message *request,
			const struct sip_flow *flow)
{
	char headers[CARRIER_TEXT];

	if (carrier->algorithms && !proved(carrier, request, flow))
		return;
	if (carrier->expires_s > 0 &&
	    carrier->expires_s < carrier->min_expires_s) {
		snprintf(headers, sizeof(headers), "Min-Expires: %u\r\n",
			 carrier->min_expires_s);
		answer(carrier, request, flow, 423, headers);
		return;
	}
	grant(carrier, request, flow);
}

static void note(struct carrier *carrier, const struct sip_message *request)
{
	struct sip_cseq cseq = {0};

	sip_message_cseq(request, &cseq);
	carrier->cseq = cseq.number;
	carrier->expires_s = UINT32_MAX;
	sip_message_number(request, SIP_EXPIRES, &carrier->expires_s);
	copy(carrier->call_id, sip_message_value(request, SIP_CALL_ID));
	copy(carrier->contact, sip_message_value(request, SIP_CONTACT));
	copy(carrier->to, sip_message_value(request, SIP_TO));
	copy(carrier->via, sip_message_value(request, SIP_VIA));
	copy(carrier->uri, request->uri_text);
}

static void on_message(void *arg, const struct sip_flow *flow,
		       struct slice bytes)
{
	struct carrier *carrier = arg;
	struct sip_message request;

	cr_assert_eq(sip_message_parse(bytes,
				       flow->transport == SIP_TRANSPORT_UDP
					       ? SIP_DATAGRAM
					       : SIP_STREAM,
				       &request),
		     ERR_OK);
	cr_assert(request.request && !request.fault);
	carrier->flow = *flow;
	if (request.method == SIP_METHOD_OPTIONS) {
		carrier->options++;
		if (!carrier->silent && !carrier->silent_options)
			answer(carrier, &request, flow, 405, "");
		return;
	}
	cr_assert_eq(request.method, SIP_METHOD_REGISTER);
	carrier->registers++;
	note(carrier, &request);
	if (carrier->on_register)
		carrier->on_register(carrier->arg);
	if (carrier->silent)
		return;
	if (carrier->script_at < carrier->script_count) {
		const struct carrier_line *line =
			&carrier->script[carrier->script_at++];

		answer(carrier, &request, flow, line->status, line->headers);
		return;
	}
	on_register(carrier, &request, flow);
}

static void on_close(void *arg, const struct sip_flow *flow,
		     enum sip_stream_stage stage, const struct err *reason)
{
	(void)arg;
	(void)flow;
	(void)stage;
	(void)reason;
}

static const struct sip_transports_events events = {
	.on_message = on_message,
	.on_close = on_close,
};

void carrier_start(struct carrier *carrier, struct loop *loop,
		   enum sip_transport transport,
		   struct sip_tls_context *context)
{
	static const struct sip_transports_options options;
	struct sip_listener_detail detail;
	struct sip_endpoint local;

	*carrier = (struct carrier){.loop = loop, .transport = transport};
	carrier->password = "secret";
	carrier->digest = digest_context_new();
	carrier->transports =
		sip_transports_new(loop, &options, &events, carrier);
	cr_assert(sip_endpoint_parse(slice_str("127.0.0.1"), 0, &local));

	const struct sip_listener_options listen = {
		.transport = transport,
		.addresses = &local,
		.address_count = 1,
		.context = context,
	};

	carrier->listener = sip_transports_listen(carrier->transports, &listen);
	sip_listener_detail(carrier->listener, &detail);
	cr_assert_eq(detail.state, SIP_LISTENER_ACTIVATED, "%s", detail.reason);
	carrier->port = sip_endpoint_port(&detail.bound[0]);
}

void carrier_stop(struct carrier *carrier)
{
	sip_transports_free(carrier->transports);
	digest_context_free(carrier->digest);
	carrier->transports = NULL;
}

void carrier_say(struct carrier *carrier, unsigned status, const char *headers)
{
	cr_assert_lt(carrier->script_count, CARRIER_SCRIPT_MAX);
	carrier->script[carrier->script_count++] =
		(struct carrier_line){status, headers};
}
