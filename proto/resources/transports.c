/* SIP listeners and their certificate: PortSIP v22 "Transports" and "Key"
 * (document 004, portsip-v22-facts, 7). */

#include "proto/resources/resources.h"

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

const struct resource transport_resource = {
	.name = "transport",
	.plural = "transports",
	.schema = "transport",
	.table = "transports",
	.record = &transport_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
};

static const struct field status_fields[] = {
	{"status", FIELD_ENUM, FIELD_READ_ONLY, .choices = &statuses,
	 .doc = "ACTIVATED while a listener of the protocol is open."},
};

const struct record transport_status_record = {.name = "TransportStatus",
					       RECORD_FIELDS(status_fields)};

static const struct field key_fields[KEY_FIELDS] = {
	[KEY_CRT] = {"crt", FIELD_STRING, FIELD_REQUIRED | FIELD_FREE_TEXT,
		     .min = 1, .max = PEM_CHARS_MAX,
		     .doc = "The certificate and its chain, PEM."},
	[KEY_KEY] = {"key", FIELD_STRING, FIELD_REQUIRED | FIELD_FREE_TEXT,
		     .min = 1, .max = PEM_CHARS_MAX,
		     .doc = "The private key of the certificate, PEM."},
};

/* clang-format on */

const struct record key_record = {.name = "Key", RECORD_FIELDS(key_fields)};
