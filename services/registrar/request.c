#include "services/registrar/request.h"

#include "services/common/secrets.h"
#include "services/registrar/settings.h"
#include "services/registrar/sip/build.h"

void request_tag(char out[REQUEST_TAG_BYTES])
{
	secrets_random_hex(out, (REQUEST_TAG_BYTES - 1) / 2);
}

void request_call_id(char out[REQUEST_CALL_ID_BYTES])
{
	secrets_random_hex(out, (REQUEST_CALL_ID_BYTES - 1) / 2);
}

/* Where we are told to be, or are, for this family. */
static struct sip_endpoint reach(const struct trunk_request *request,
				 bool outside)
{
	struct sip_endpoint at = request->way->at;
	const struct sip_endpoint *public = sip_endpoint_family(&at) == AF_INET6
						    ? &request->self->public_v6
						    : &request->self->public_v4;

	if (outside && !request->trunk->inlan &&
	    sip_endpoint_family(public) != AF_UNSPEC) {
		const uint16_t port = sip_endpoint_port(&at);

		at = *public;
		if (sip_endpoint_port(&at) == 0)
			sip_endpoint_port_set(&at, port);
	}
	return at;
}

static struct sip_host host_of(const struct sip_endpoint *endpoint,
			       char text[SIP_ENDPOINT_TEXT])
{
	const char *name = sip_endpoint_host_text(endpoint, text);
	const size_t size = strcspn(name, "%"); /* a scope is ours alone */

	return (struct sip_host){
		.kind = sip_endpoint_family(endpoint) == AF_INET6
				? SIP_HOST_IPV6
				: SIP_HOST_IPV4,
		.name = slice_of(name, size),
		.port = sip_endpoint_port(endpoint),
	};
}

static void hostname_append(struct buffer *out, const struct world_trunk *trunk)
{
	struct sip_host host;

	if (sip_host_decode(slice_str(trunk->hostname), &host) == ERR_OK)
		sip_host_append(out, &host);
	else
		sip_build_text(out, slice_str(trunk->hostname));
}

void request_uri_append(struct buffer *out, const struct world_trunk *trunk)
{
	buffer_append_str(out, "sip:");
	hostname_append(out, trunk);
}

static void user_append(struct buffer *out, const struct world_trunk *trunk)
{
	const char *user = settings_user(trunk);

	if (*user == '\0')
		return;
	sip_user_append(out, slice_str(user));
	buffer_append_char(out, '@');
}

static const char *transport_parameter(enum sip_transport transport)
{
	if (transport == SIP_TRANSPORT_TCP)
		return ";transport=tcp";
	return transport == SIP_TRANSPORT_TLS ? ";transport=tls" : "";
}

void request_contact_append(struct buffer *out,
			    const struct trunk_request *request)
{
	const struct sip_endpoint at = reach(request, true);
	char text[SIP_ENDPOINT_TEXT];
	const struct sip_host host = host_of(&at, text);

	buffer_append_str(out, "sip:");
	user_append(out, request->trunk);
	sip_host_append(out, &host);
	buffer_append_str(out,
			  transport_parameter(request->way->flow.transport));
}

static void address_append(struct buffer *out, enum sip_header_name name,
			   const struct world_trunk *trunk, struct slice tag)
{
	sip_build_begin(out, name);
	buffer_append_str(out, "<sip:");
	user_append(out, trunk);
	hostname_append(out, trunk);
	buffer_append_char(out, '>');
	if (tag.size > 0) {
		buffer_append_str(out, ";tag=");
		buffer_append_slice(out, tag);
	}
	sip_build_line_end(out);
}

/* To of OPTIONS names the domain alone: nobody's phone is meant. */
static void to_append(struct buffer *out, enum sip_method method,
		      const struct world_trunk *trunk)
{
	if (method == SIP_METHOD_REGISTER) {
		address_append(out, SIP_TO, trunk, (struct slice){0});
		return;
	}
	sip_build_begin(out, SIP_TO);
	buffer_append_char(out, '<');
	request_uri_append(out, trunk);
	buffer_append_char(out, '>');
	sip_build_line_end(out);
}

static void contact_line(struct buffer *out, struct slice contact)
{
	sip_build_begin(out, SIP_CONTACT);
	buffer_append_char(out, '<');
	sip_build_text(out, contact);
	buffer_append_char(out, '>');
	sip_build_line_end(out);
}

static void head(struct buffer *out, const struct trunk_request *request,
		 enum sip_method method)
{
	const struct sip_endpoint via =
		reach(request, request->trunk->rewrite_via_ip);
	char text[SIP_ENDPOINT_TEXT];
	const struct sip_host sent_by = host_of(&via, text);
	struct buffer uri = {0};

	request_uri_append(&uri, request->trunk);
	sip_build_request(out, method, buffer_slice(&uri));
	buffer_fini(&uri);
	sip_build_via(out, request->way->flow.transport, &sent_by,
		      request->branch);
	sip_build_number(out, SIP_MAX_FORWARDS, REQUEST_MAX_FORWARDS);
	address_append(out, SIP_FROM, request->trunk, request->tag);
	to_append(out, method, request->trunk);
	sip_build_header(out, SIP_CALL_ID, request->call_id);
	sip_build_cseq(out, request->cseq, method);
	sip_build_header(out, SIP_USER_AGENT,
			 slice_str(request->self->user_agent));
}

void request_register(struct buffer *out, const struct trunk_request *request,
		      struct slice contact, uint32_t expires_s)
{
	head(out, request, SIP_METHOD_REGISTER);
	contact_line(out, contact);
	sip_build_number(out, SIP_EXPIRES, expires_s);
}

void request_options(struct buffer *out, const struct trunk_request *request)
{
	struct buffer contact = {0};

	head(out, request, SIP_METHOD_OPTIONS);
	request_contact_append(&contact, request);
	contact_line(out, buffer_slice(&contact));
	buffer_fini(&contact);
	sip_build_header(out, SIP_ACCEPT, slice_str("application/sdp"));
}

void request_end(struct buffer *out)
{
	sip_build_end(out, (struct slice){0}, (struct slice){0});
}
