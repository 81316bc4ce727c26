/* SIP listeners and their certificate: PortSIP v22 "Transports" and "Key"
 * (document 004). */

#include "proto/resources/resources.h"

#include "proto/principal.h"

static const struct choices protocols = CHOICES("UDP", "TCP", "TLS");

static const struct choices verifications =
	CHOICES("DISABLE", "OPTIONAL", "MANDATORY");

static const struct choices statuses = CHOICES("ACTIVATED", "DEACTIVATED");

/* A chain of a few certificates; a key of 8192 bits has some 6 kB. */
enum { PEM_CHARS_MAX = 65536 };

/* clang-format off: tables */

static const struct field fields[] = {
	{"id", FIELD_ID,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "id", .doc = "The transport's id."},
	{"protocol", FIELD_ENUM,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY | FIELD_FILTER |
		 FIELD_SORT | FIELD_SEARCH,
	 .choices = &protocols, .column = "protocol",
	 .doc = "What the listener speaks."},
	{"port", FIELD_INT,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .max = 65535, .column = "port",
	 .doc = "The port it listens on; one per port of UDP, and of TCP and "
		"TLS together."},
	{"verification", FIELD_ENUM, FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .choices = &verifications, .fallback = DEFAULT_STR("DISABLE"),
	 .column = "verification",
	 .doc = "TLS: whether a client's certificate is not asked for, asked "
		"for, or required."},
};

static const struct resource_constraint constraints[] = {
	{"transports_port_key", "port", "another transport has this port"},
	{"transports_last_stays", NULL, "the last transport stays"},
};

static const struct record transport_record = {.name = "Transport",
					       RECORD_FIELDS(fields)};

static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_SYSTEM, .verbs = RESOURCE_ALL},
};

const struct resource transport_resource = {
	.name = "transport",
	.plural = "transports",
	.schema = "transport",
	.table = "transports",
	.record = &transport_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	RESOURCE_SCOPES(scopes),
	.audit = "TRANSPORT",
	.label = "t.protocol || ' ' || t.port",
};

static const struct field status_fields[] = {
	{"status", FIELD_ENUM, FIELD_READ_ONLY, .choices = &statuses,
	 .doc = "ACTIVATED while a listener of the protocol is open."},
};

const struct record transport_status_record = {.name = "TransportStatus",
					       RECORD_FIELDS(status_fields)};

#define KEY_ROWS(flags)                                                        \
	[KEY_CRT] = {"crt",                                                    \
		     FIELD_STRING,                                             \
		     (flags) | FIELD_FREE_TEXT,                                \
		     .min = 1,                                                 \
		     .max = PEM_CHARS_MAX,                                     \
		     .doc = "The certificate and its chain, PEM."},            \
	[KEY_KEY] = {"key",                                                    \
		     FIELD_STRING,                                             \
		     (flags) | FIELD_FREE_TEXT,                                \
		     .min = 1,                                                 \
		     .max = PEM_CHARS_MAX,                                     \
		     .doc = "The private key of the certificate, PEM."}

static const struct field detail_fields[TRANSPORT_DETAIL_FIELDS] = {
	[TRANSPORT_DETAIL_ID] = {"id", FIELD_ID, FIELD_READ_ONLY,
				 .doc = "The transport's id."},
	[TRANSPORT_DETAIL_PROTOCOL] = {"protocol", FIELD_ENUM, FIELD_READ_ONLY,
				       .choices = &protocols,
				       .doc = "What the listener speaks."},
	[TRANSPORT_DETAIL_PORT] = {"port", FIELD_INT, FIELD_READ_ONLY,
				   .max = 65535, .doc = "Its port."},
	[TRANSPORT_DETAIL_STATUS] = {"status", FIELD_ENUM, FIELD_READ_ONLY,
				     .choices = &statuses,
				     .doc = "ACTIVATED while it is open."},
	[TRANSPORT_DETAIL_REASON] =
		{"reason", FIELD_STRING, .max = 240,
		 .doc = "Why it is not open on every address, or uses an older "
			"certificate."},
	[TRANSPORT_DETAIL_BOUND] =
		{"bound", FIELD_STRING, .max = 1024,
		 .doc = "The addresses it is open on, comma separated."},
	[TRANSPORT_DETAIL_CONNECTIONS] = {"connections", FIELD_INT,
					  FIELD_READ_ONLY, .max = INT64_MAX,
					  .doc = "Connections there are."},
	[TRANSPORT_DETAIL_PACKETS_IN] =
		{"packets_in", FIELD_INT, FIELD_READ_ONLY, .max = INT64_MAX,
		 .doc = "Messages received since it was made."},
	[TRANSPORT_DETAIL_PACKETS_OUT] = {"packets_out", FIELD_INT,
					  FIELD_READ_ONLY, .max = INT64_MAX,
					  .doc = "Messages sent."},
	[TRANSPORT_DETAIL_DROPPED] = {"dropped", FIELD_INT, FIELD_READ_ONLY,
				      .max = INT64_MAX,
				      .doc = "Messages lost to full queues."},
	[TRANSPORT_DETAIL_REFUSED] =
		{"refused", FIELD_INT, FIELD_READ_ONLY, .max = INT64_MAX,
		 .doc = "Connections and datagrams that were not let in."},
	[TRANSPORT_DETAIL_CERTIFICATE_EXPIRES_AT] =
		{"certificate_expires_at", FIELD_TIME,
		 .doc = "When the certificate ends; null where there is none."},
};

static const struct field key_fields[KEY_FIELDS] = {KEY_ROWS(FIELD_REQUIRED)};

/* Null until the first were set. */
static const struct field key_answer_fields[KEY_FIELDS] = {KEY_ROWS(0)};

/* clang-format on */

const struct record key_record = {.name = "Key", RECORD_FIELDS(key_fields)};

const struct record key_answer_record = {.name = "Key",
					 RECORD_FIELDS(key_answer_fields)};

const struct record transport_detail_record = {.name = "TransportDetail",
					       RECORD_FIELDS(detail_fields)};

static const struct field protocol_fields[] = {
	{"protocol", FIELD_ENUM, FIELD_REQUIRED, .choices = &protocols,
	 .doc = "What the listeners speak."},
};

const struct record transport_protocol_record = {
	.name = "TransportProtocol", RECORD_FIELDS(protocol_fields)};
