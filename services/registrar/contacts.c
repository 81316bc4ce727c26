#include "services/registrar/contacts.h"

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/number.h"
#include "services/registrar/sip/parameter.h"

#include <limits.h>

enum {
	/* What an `expires` that is no number counts as (RFC 3261 20.10). */
	EXPIRES_BROKEN_S = 3600,
};

static const struct contacts_fault no_fault = {0};

static struct contacts_fault fault(unsigned status, const char *reason)
{
	return (struct contacts_fault){.status = status, .reason = reason};
}

/* All values of Path as one text, and whether the hop next to the user agent,
 * which is the last, does outbound (RFC 5626 5.1). */
static bool read_path(const struct sip_message *message, struct buffer *path)
{
	struct sip_list list = sip_list_of(message, SIP_PATH);
	struct sip_address hop;
	bool outbound = false;

	path->size = 0;
	while (sip_list_address(&list, &hop) == ERR_OK) {
		if (path->size > 0)
			buffer_append_str(path, ", ");
		sip_build_text(path, hop.text);
		outbound = sip_uri_parameter(&hop.uri, "ob").data != NULL;
	}
	return outbound;
}

static bool has_one_via(const struct sip_message *message)
{
	struct sip_list list = sip_list_of(message, SIP_VIA);
	struct sip_via via;
	size_t count = 0;

	while (count < 2 && sip_list_via(&list, &via) == ERR_OK)
		count++;
	return count == 1;
}

/* 0 where there is none or it is out of range: it is then ignored (RFC 5626
 * 6). */
static uint32_t reg_id_of(const struct sip_address *contact)
{
	uint32_t value;

	if (sip_number_decode(
		    sip_parameter_value(contact->parameters, "reg-id"),
		    &value) != ERR_OK ||
	    value > INT_MAX)
		return 0;
	return value;
}

/* RFC 3261 10.3, step 7: the contact's own, that of the request, ours. */
static uint32_t expires_of(const struct sip_message *message,
			   const struct sip_address *contact,
			   const struct contacts_bounds *bounds)
{
	uint32_t expires_s = 0;
	const enum err_code code = sip_address_expires(contact, &expires_s);

	if (code == ERR_MALFORMED)
		expires_s = EXPIRES_BROKEN_S;
	else if (code != ERR_OK &&
		 sip_message_number(message, SIP_EXPIRES, &expires_s) != ERR_OK)
		expires_s = bounds->default_s;
	return expires_s < bounds->max_s ? expires_s : bounds->max_s;
}

static struct contacts_fault add_contact(const struct sip_message *message,
					 const struct contacts_bounds *bounds,
					 const struct sip_address *contact,
					 const struct binding *common,
					 bool outbound, struct contacts *out)
{
	if (out->change.count == BINDING_MAX)
		return fault(403, "Too Many Contacts");

	struct binding *item = &out->items[out->change.count++];

	*item = *common;
	item->contact = contact->uri.text;
	item->expires_s = expires_of(message, contact, bounds);
	item->q = sip_address_q(contact);
	item->instance = contact->instance;
	if (outbound && item->instance.size > 0)
		item->reg_id = reg_id_of(contact);
	if (item->contact.size == 0)
		return fault(400, "Bad Contact");
	if (item->contact.size > BINDING_CONTACT_BYTES ||
	    item->instance.size > BINDING_INSTANCE_BYTES)
		return fault(400, "Contact Too Long");
	if (item->expires_s > 0 && item->expires_s < bounds->min_s)
		return fault(423, "Interval Too Brief");
	return no_fault;
}

static struct contacts_fault add_contacts(const struct sip_message *message,
					  const struct contacts_bounds *bounds,
					  const struct binding *common,
					  struct contacts *out)
{
	const bool outbound =
		sip_message_lists(message, SIP_SUPPORTED, "outbound");
	struct sip_list list = sip_list_of(message, SIP_CONTACT);
	struct sip_address contact;

	while (sip_list_address(&list, &contact) == ERR_OK) {
		/* That it stands alone, with an Expires of 0, was checked. */
		if (contact.star) {
			out->change.all = true;
			return no_fault;
		}
		const struct contacts_fault broken = add_contact(
			message, bounds, &contact, common, outbound, out);

		if (broken.status)
			return broken;
	}
	return no_fault;
}

/* RFC 5626 6: one flow a request, and the hop next to the user agent has to
 * know which flow it is: that is us, or the edge proxy. */
static struct contacts_fault check_flow(const struct sip_message *message,
					bool path_outbound,
					struct contacts *out)
{
	for (size_t i = 0; i < out->change.count; i++) {
		const struct binding *item = &out->items[i];

		if (item->reg_id == 0)
			continue;
		if (item->expires_s > 0 && out->change.count > 1)
			return fault(400, "Several Contacts With reg-id");
		out->outbound = true;
	}
	if (out->outbound && !path_outbound && !has_one_via(message))
		return fault(439, "First Hop Lacks Outbound Support");
	return no_fault;
}

struct contacts_fault contacts_read(const struct sip_message *message,
				    const struct sip_flow *flow,
				    const struct contacts_bounds *bounds,
				    const struct world_account *account,
				    struct contacts *out)
{
	const bool path_outbound = read_path(message, out->path);
	struct sip_cseq cseq = {0};

	sip_message_cseq(message, &cseq);
	out->outbound = false;
	out->change = (struct binding_change){
		.call_id = sip_message_value(message, SIP_CALL_ID),
		.cseq = cseq.number,
		.contacts = out->items,
	};
	struct binding common = {
		.call_id = out->change.call_id,
		.cseq = cseq.number,
		.path = buffer_slice(out->path),
		.received = slice_str(
			sip_endpoint_text(&flow->remote, out->received)),
		.transport = flow->transport,
		.user_agent = sip_message_value(message, SIP_USER_AGENT),
		.trunk_id = account->trunk_id,
		.user_id = account->user_id,
		.tenant_id = account->tenant_id,
	};

	/* RFC 3327 5.3: a user agent that does not know of Path would not see
	 * whom its calls are sent by. */
	if (common.path.size > 0 &&
	    !sip_message_lists(message, SIP_SUPPORTED, "path"))
		return fault(420, "Bad Extension");
	if (common.call_id.size > BINDING_CALL_ID_BYTES)
		return fault(400, "Call-ID Too Long");
	if (common.path.size > BINDING_PATH_BYTES)
		return fault(400, "Path Too Long");
	if (common.user_agent.size > BINDING_AGENT_BYTES)
		common.user_agent.size = BINDING_AGENT_BYTES;

	const struct contacts_fault broken =
		add_contacts(message, bounds, &common, out);

	if (broken.status)
		return broken;
	return check_flow(message, path_outbound, out);
}
