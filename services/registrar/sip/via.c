#include "services/registrar/sip/via.h"

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/number.h"
#include "services/registrar/sip/parameter_internal.h"

/* sent-protocol = protocol-name SLASH protocol-version SLASH transport. The
 * version is not looked at: check.h refuses what is not SIP/2.0. */
static bool read_protocol(struct cursor *c, struct sip_via *out)
{
	if (cursor_span(c, CH_TOKEN).size == 0 || !cursor_separator(c, '/') ||
	    cursor_span(c, CH_TOKEN).size == 0 || !cursor_separator(c, '/'))
		return false;
	out->transport_text = cursor_span(c, CH_TOKEN);
	out->transport = sip_transport_find(out->transport_text);
	return out->transport_text.size > 0;
}

/* LWS host [ COLON port ] */
static bool read_sent_by(struct cursor *c, struct sip_host *out)
{
	const char *start = c->at;

	cursor_space(c);
	if (c->at == start)
		return false;
	if (sip_host_read(c, out) != ERR_OK)
		return false;

	const char *behind = c->at;

	if (!cursor_separator(c, ':')) {
		c->at = behind;
		return true;
	}
	return sip_port_decode(cursor_span(c, CH_DIGIT), &out->port) == ERR_OK;
}

static bool note_rport(const struct sip_parameter *parameter,
		       struct sip_via *out)
{
	out->has_rport = true;
	return !parameter->value.data ||
	       sip_port_decode(parameter->value, &out->rport) == ERR_OK;
}

/* Of two of a name the first counts. False: a broken one. */
static bool note_parameter(const struct sip_parameter *p, struct sip_via *out)
{
	if (!out->branch.data && sip_word_is(p->name, "branch"))
		out->branch = p->value;
	else if (!out->received.data && sip_word_is(p->name, "received"))
		out->received = p->value;
	else if (!out->maddr.data && sip_word_is(p->name, "maddr"))
		out->maddr = p->value;
	else if (!out->has_rport && sip_word_is(p->name, "rport"))
		return note_rport(p, out);
	return true;
}

/* Where one cannot be read, none says anything. */
static bool read_parameters(struct cursor *c, struct sip_via *out)
{
	const char *start = c->at;
	unsigned left = SIP_PARAMETERS_MAX;
	struct sip_parameter p;
	enum err_code code;
	bool good = true;

	while ((code = sip_parameter_read(c, &left, &p)) == ERR_OK)
		good = good && note_parameter(&p, out);
	out->parameters = cursor_since(c, start);
	if (code == ERR_NOT_FOUND)
		return good;
	out->branch = out->received = out->maddr = (struct slice){0};
	out->has_rport = false;
	out->rport = 0;
	return false;
}

static enum err_code read_via(struct cursor *c, struct sip_via *out)
{
	cursor_space(c);
	out->text = cursor_rest(c);
	if (cursor_ended(c))
		return ERR_NOT_FOUND;
	const char *start = c->at;

	if (!read_protocol(c, out))
		return ERR_MALFORMED;
	if (!read_sent_by(c, &out->sent_by)) {
		out->sent_by.kind = SIP_HOST_NONE;
		return ERR_MALFORMED;
	}
	if (!read_parameters(c, out))
		return ERR_MALFORMED;

	struct slice text = cursor_since(c, start);

	if (!cursor_comma(c))
		return ERR_MALFORMED;
	out->text = text;
	return ERR_OK;
}

/* Field by field, as in uri.c; `text` is set in any case. */
static void clear(struct sip_via *out)
{
	out->transport = SIP_TRANSPORT_OTHER;
	out->transport_text = out->parameters = (struct slice){0};
	out->sent_by = (struct sip_host){0};
	out->branch = out->received = out->maddr = (struct slice){0};
	out->has_rport = false;
	out->rport = 0;
}

enum err_code sip_via_next(struct slice *rest, struct sip_via *out)
{
	if (!rest->data)
		return ERR_NOT_FOUND;
	struct cursor c = cursor_of(*rest);

	clear(out);

	enum err_code code = read_via(&c, out);

	*rest = code == ERR_OK ? cursor_rest(&c) : (struct slice){0};
	return code;
}

bool sip_via_branch_unique(const struct sip_via *via)
{
	static const struct slice cookie = SLICE(SIP_BRANCH_COOKIE);

	/* RFC 3261 7.3.1: a token, so its case does not matter. */
	return via->branch.size > cookie.size &&
	       sip_word_eq(slice_of(via->branch.data, cookie.size), cookie);
}
