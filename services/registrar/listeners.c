#include "services/registrar/listeners.h"

#include "proto/mem.h"
#include "proto/record.h"
#include "proto/resources/resources.h"
#include "services/common/id_table.h"
#include "services/common/log.h"

#include <stdlib.h>

enum { VERIFICATIONS = WORLD_MANDATORY + 1 };

struct entry {
	struct id_node node; /* first: see id_table.h */
	struct world_transport transport;
	struct sip_listener *sip;
};

struct listeners {
	struct sip_transports *transports;
	struct id_table table;
	/* The certificate, once for each way clients are looked at. */
	struct sip_tls_context *contexts[VERIFICATIONS];
	struct err key_err; /* of the last certificate that was refused */
	struct sip_tls_authorities *authorities;
};

struct listeners *listeners_new(struct sip_transports *transports,
				struct sip_tls_authorities *authorities)
{
	struct listeners *listeners = mem_alloc(sizeof(*listeners));

	listeners->transports = transports;
	listeners->authorities = authorities;
	return listeners;
}

static void entry_end(struct listeners *listeners, struct entry *entry)
{
	id_table_remove(&listeners->table, &entry->node);
	free(entry);
}

static void contexts_free(struct sip_tls_context **contexts)
{
	for (int i = 0; i < VERIFICATIONS; i++) {
		sip_tls_context_free(contexts[i]);
		contexts[i] = NULL;
	}
}

void listeners_free(struct listeners *listeners)
{
	if (!listeners)
		return;
	ID_TABLE_FOREACH(node, &listeners->table)
		entry_end(listeners, (struct entry *)node);
	id_table_fini(&listeners->table);
	contexts_free(listeners->contexts);
	free(listeners);
}

/* Lent; NULL where it is not TLS or there is no certificate yet. */
static struct sip_tls_context *context_of(const struct listeners *listeners,
					  const struct world_transport *of)
{
	if (of->protocol != SIP_TRANSPORT_TLS)
		return NULL;
	return listeners->contexts[of->verification];
}

void listeners_set(struct listeners *listeners,
		   const struct world_transport *transport)
{
	struct entry *entry =
		(struct entry *)id_table_find(&listeners->table, transport->id);
	const struct sip_listener_options options = {
		.transport = transport->protocol,
		.port = transport->port,
		.context = context_of(listeners, transport),
	};

	if (!entry) {
		entry = mem_alloc(sizeof(*entry));
		entry->node.id = transport->id;
		id_table_add(&listeners->table, &entry->node);
		entry->sip =
			sip_transports_listen(listeners->transports, &options);
	} else {
		sip_listener_change(entry->sip, &options);
	}
	entry->transport = *transport;
	struct sip_listener_detail detail;

	sip_listener_detail(entry->sip, &detail);
	log_event(
		LOG_INFO, "listener.set",
		LOG_SLICE("protocol", sip_transport_text(transport->protocol)),
		LOG_INT("port", transport->port),
		LOG_STR("state", sip_listener_state_text(detail.state)),
		LOG_STR("reason", detail.reason[0] ? detail.reason : NULL));
}

void listeners_remove(struct listeners *listeners, int64_t id)
{
	struct entry *entry =
		(struct entry *)id_table_find(&listeners->table, id);

	if (!entry)
		return;
	log_event(LOG_INFO, "listener.removed",
		  LOG_SLICE("protocol",
			    sip_transport_text(entry->transport.protocol)),
		  LOG_INT("port", entry->transport.port));
	sip_transports_unlisten(listeners->transports, entry->sip);
	entry_end(listeners, entry);
}

/* All three, or none. */
static enum err_code contexts_make(struct sip_tls_context **contexts,
				   struct slice crt, struct slice key,
				   struct sip_tls_authorities *authorities,
				   struct err *err)
{
	static const enum sip_tls_verify verify[VERIFICATIONS] = {
		[WORLD_DISABLE] = SIP_TLS_DISABLE,
		[WORLD_OPTIONAL] = SIP_TLS_OPTIONAL,
		[WORLD_MANDATORY] = SIP_TLS_MANDATORY,
	};
	enum err_code code = sip_tls_prove(crt, key, err);

	for (int i = 0; code == ERR_OK && i < VERIFICATIONS; i++) {
		const struct sip_tls_server_options options = {
			.certificate = crt,
			.key = key,
			.verify = verify[i],
			.authorities = authorities,
		};

		code = sip_tls_server_new(&options, &contexts[i], err);
	}
	if (code != ERR_OK)
		contexts_free(contexts);
	return code;
}

void listeners_key(struct listeners *listeners, const char *crt,
		   const char *key)
{
	struct sip_tls_context *fresh[VERIFICATIONS] = {0};

	listeners->key_err.code =
		contexts_make(fresh, slice_str(crt), slice_str(key),
			      listeners->authorities, &listeners->key_err);
	if (listeners->key_err.code != ERR_OK) {
		log_event(LOG_ERROR, "listener.certificate_refused",
			  LOG_STR("reason", listeners->key_err.text));
		return;
	}
	contexts_free(listeners->contexts);
	memcpy(listeners->contexts, fresh, sizeof(fresh));
	ID_TABLE_FOREACH(node, &listeners->table) {
		struct entry *entry = (struct entry *)node;

		if (entry->transport.protocol == SIP_TRANSPORT_TLS)
			sip_listener_tls_set(
				entry->sip,
				context_of(listeners, &entry->transport));
	}
	log_event(LOG_INFO, "listener.certificate_set",
		  LOG_INT("expires", sip_tls_context_expires_s(fresh[0])));
}

/* An open listener of a protocol; NULL: there is none. */
static const struct entry *active(const struct listeners *listeners,
				  enum sip_transport protocol)
{
	ID_TABLE_FOREACH(node, &listeners->table) {
		const struct entry *entry = (const struct entry *)node;
		struct sip_listener_detail detail;

		sip_listener_detail(entry->sip, &detail);
		if (entry->transport.protocol == protocol &&
		    detail.state == SIP_LISTENER_ACTIVATED)
			return entry;
	}
	return NULL;
}

bool listeners_active(const struct listeners *listeners,
		      enum sip_transport protocol)
{
	return active(listeners, protocol) != NULL;
}

uint16_t listeners_port(const struct listeners *listeners,
			enum sip_transport protocol)
{
	const struct entry *entry = active(listeners, protocol);

	return entry ? entry->transport.port : 0;
}

/* "0.0.0.0:5060, [::]:5060" */
static void append_bound(const struct sip_listener_detail *detail,
			 struct buffer *out)
{
	for (size_t i = 0; i < detail->bound_count; i++) {
		char text[SIP_ENDPOINT_TEXT];

		buffer_printf(out, "%s%s", i ? ", " : "",
			      sip_endpoint_text(&detail->bound[i], text));
	}
}

static struct value text_value(struct slice text)
{
	return (struct value){.kind = text.size ? VALUE_STR : VALUE_NULL,
			      .string = text};
}

static struct value int_value(uint64_t number)
{
	return (struct value){.kind = VALUE_INT, .integer = (int64_t)number};
}

/* Why it is not open, or does not use the newest certificate. */
static struct slice reason_of(const struct listeners *listeners,
			      const struct entry *entry,
			      const struct sip_listener_detail *detail)
{
	if (entry->transport.protocol == SIP_TRANSPORT_TLS &&
	    listeners->key_err.code != ERR_OK)
		return slice_str(listeners->key_err.text);
	return slice_str(detail->reason);
}

static void write_detail(const struct listeners *listeners,
			 const struct entry *entry, struct slice bound,
			 const struct sip_listener_detail *detail,
			 struct buffer *out)
{
	const int64_t expires_s = detail->certificate_expires_s;
	const struct value values[TRANSPORT_DETAIL_FIELDS] = {
		[TRANSPORT_DETAIL_ID] = int_value((uint64_t)entry->node.id),
		[TRANSPORT_DETAIL_PROTOCOL] = text_value(
			sip_transport_text(entry->transport.protocol)),
		[TRANSPORT_DETAIL_PORT] = int_value(entry->transport.port),
		[TRANSPORT_DETAIL_STATUS] = text_value(
			slice_str(sip_listener_state_text(detail->state))),
		[TRANSPORT_DETAIL_REASON] =
			text_value(reason_of(listeners, entry, detail)),
		[TRANSPORT_DETAIL_BOUND] = text_value(bound),
		[TRANSPORT_DETAIL_CONNECTIONS] = int_value(detail->connections),
		[TRANSPORT_DETAIL_PACKETS_IN] = int_value(detail->packets_in),
		[TRANSPORT_DETAIL_PACKETS_OUT] = int_value(detail->packets_out),
		[TRANSPORT_DETAIL_DROPPED] =
			int_value(detail->dropped + detail->lost),
		[TRANSPORT_DETAIL_REFUSED] = int_value(detail->refused),
		[TRANSPORT_DETAIL_CERTIFICATE_EXPIRES_AT] =
			{.kind = expires_s ? VALUE_INT : VALUE_NULL,
			 .integer = expires_s},
	};

	record_encode(&transport_detail_record, RECORD_FULL, values, out);
}

bool listeners_detail(const struct listeners *listeners, int64_t id,
		      struct buffer *out)
{
	const struct entry *entry =
		(const struct entry *)id_table_find(&listeners->table, id);
	struct sip_listener_detail detail;
	struct buffer bound = {0};

	if (!entry)
		return false;
	sip_listener_detail(entry->sip, &detail);
	append_bound(&detail, &bound);
	write_detail(listeners, entry, buffer_slice(&bound), &detail, out);
	buffer_fini(&bound);
	return true;
}
