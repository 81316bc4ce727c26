/* What we accept libosip2 accepts, too, and reads the same CSeq and From tag
 * out of it. It is an oracle of one direction only: of RFC 4475's 19 invalid
 * messages it takes ten. */

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/check.h"

#include <osipparser2/osip_parser.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void compare(osip_message_t *theirs, const struct sip_message *ours)
{
	struct sip_cseq cseq;
	struct sip_address from;
	osip_generic_param_t *tag = NULL;

	expect(sip_message_cseq(ours, &cseq) == ERR_OK);
	expect(strtoul(osip_cseq_get_number(osip_message_get_cseq(theirs)),
		       NULL, 10) == cseq.number);
	expect(slice_is(cseq.method_text,
			osip_cseq_get_method(osip_message_get_cseq(theirs))));
	expect(sip_message_address(ours, SIP_FROM, &from) == ERR_OK);
	osip_from_get_tag(osip_message_get_from(theirs), &tag);
	if (from.tag.size > 0 && tag && tag->gvalue)
		expect(memmem(tag->gvalue, strlen(tag->gvalue), from.tag.data,
			      from.tag.size) != NULL);
}

/* What libosip2 refuses of the URIs that RFC 3261 allows. */
static bool uri_refused(const struct sip_uri *uri)
{
	/* It looks for user and host in schemes it does not know. */
	if (uri->scheme == SIP_SCHEME_OTHER)
		return true;
	/* "password" may be empty (25.1). */
	if (uri->password.data && uri->password.size == 0)
		return true;
	/* A host may be one letter, and nothing else be there. */
	return uri->text.size < sizeof("sip:ab") - 1;
}

static bool addresses_refused(const struct sip_message *m,
			      enum sip_header_name name)
{
	struct sip_list list = sip_list_of(m, name);
	struct sip_address address;

	while (sip_list_address(&list, &address) == ERR_OK)
		if (!address.star && uri_refused(&address.uri))
			return true;
	return false;
}

static bool refused(const struct sip_message *m)
{
	struct sip_uri uri;

	return (sip_message_uri(m, &uri) == ERR_OK && uri_refused(&uri)) ||
	       addresses_refused(m, SIP_FROM) || addresses_refused(m, SIP_TO) ||
	       addresses_refused(m, SIP_CONTACT) ||
	       addresses_refused(m, SIP_ROUTE);
}

/* The message with the headers we check and without its body. Of the others we
 * say nothing, and neither is libosip2 asked: it reads thirty. */
static void rebuild(const struct sip_message *m, struct buffer *out)
{
	static const enum sip_header_name checked[] = {
		SIP_VIA,     SIP_FROM,	  SIP_TO,	    SIP_CALL_ID,
		SIP_CSEQ,    SIP_CONTACT, SIP_MAX_FORWARDS, SIP_EXPIRES,
		SIP_REQUIRE, SIP_ROUTE,	  SIP_SUPPORTED,
	};

	if (m->request) {
		sip_build_text(out, m->method_text);
		buffer_append_char(out, ' ');
		sip_build_text(out, m->uri_text);
		buffer_append_str(out, " SIP/2.0\r\n");
	} else {
		buffer_printf(out, "SIP/2.0 %u x\r\n", m->status);
	}
	for (size_t i = 0; i < sizeof(checked) / sizeof(checked[0]); i++)
		for (const struct sip_header *h =
			     sip_message_first(m, checked[i]);
		     h; h = sip_message_next(m, h))
			sip_build_header(out, checked[i], h->value);
	sip_build_end(out, (struct slice){0}, (struct slice){0});
	/* It takes a tab for LWS in some places only. */
	for (size_t i = 0; i < out->size; i++)
		if (out->data[i] == '\t')
			out->data[i] = ' ';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sip_policy policy = {.methods = UINT32_MAX};
	struct sip_message m;
	struct buffer text = {0};
	osip_message_t *theirs;

	if (sip_message_parse(slice_of(data, size), SIP_DATAGRAM, &m) !=
		    ERR_OK ||
	    sip_message_check(&m, &policy).outcome != SIP_VERDICT_ACCEPT ||
	    refused(&m))
		return 0;
	rebuild(&m, &text);
	/* libosip2 wants the NUL behind. */
	buffer_append_char(&text, '\0');
	parser_init();
	expect(osip_message_init(&theirs) == 0);
	expect(osip_message_parse(theirs, text.data, text.size - 1) == 0);
	compare(theirs, &m);
	osip_message_free(theirs);
	buffer_fini(&text);
	return 0;
}
