/* Who is registered here: the contacts of addresses of record, RFC 3261 10. Not
 * of any vendor's API. */

#include "proto/resources/resources.h"

static const struct choices transports =
	CHOICES("UDP", "TCP", "TLS", "SCTP", "WS", "WSS");

/* clang-format off: tables */

static const struct field fields[REGISTRATION_FIELDS] = {
	[REGISTRATION_ID] = {"id", FIELD_ID, FIELD_READ_ONLY | FIELD_SUMMARY,
			     .doc = "Names the contact for as long as it is "
				    "refreshed."},
	[REGISTRATION_AOR] = {"aor", FIELD_STRING,
			      FIELD_READ_ONLY | FIELD_SUMMARY,
			      .doc = "The address of record, user@domain."},
	[REGISTRATION_TRUNK_ID] = {"trunk_id", FIELD_ID,
				   FIELD_READ_ONLY | FIELD_SUMMARY,
				   .doc = "The trunk that registered."},
	[REGISTRATION_CONTACT] = {"contact", FIELD_STRING,
				  FIELD_READ_ONLY | FIELD_SUMMARY,
				  .doc = "The URI it is reached at."},
	[REGISTRATION_RECEIVED] = {"received", FIELD_STRING,
				   FIELD_READ_ONLY | FIELD_SUMMARY,
				   .doc = "Address and port the REGISTER came "
					  "from."},
	[REGISTRATION_TRANSPORT] = {"transport", FIELD_ENUM,
				    FIELD_READ_ONLY | FIELD_SUMMARY,
				    .choices = &transports,
				    .doc = "What it came over."},
	[REGISTRATION_EXPIRES_IN] = {"expires_in", FIELD_INT,
				     FIELD_READ_ONLY | FIELD_SUMMARY,
				     .max = INT32_MAX,
				     .doc = "Seconds left unless it is "
					    "refreshed."},
	[REGISTRATION_USER_AGENT] = {"user_agent", FIELD_STRING,
				     FIELD_READ_ONLY | FIELD_SUMMARY,
				     .doc = "What the device calls itself."},
	[REGISTRATION_PATH] = {"path", FIELD_STRING,
			       FIELD_READ_ONLY | FIELD_SUMMARY,
			       .doc = "The proxies on the way to it, RFC "
				      "3327."},
	[REGISTRATION_INSTANCE_ID] = {"instance_id", FIELD_STRING,
				      FIELD_READ_ONLY | FIELD_SUMMARY,
				      .doc = "Which device it is, RFC 5626."},
	[REGISTRATION_REG_ID] = {"reg_id", FIELD_INT,
				 FIELD_READ_ONLY | FIELD_SUMMARY,
				 .max = INT32_MAX,
				 .doc = "Which of its flows, RFC 5626."},
	[REGISTRATION_REGISTERED_AT] = {"registered_at", FIELD_TIME,
					FIELD_READ_ONLY | FIELD_SUMMARY,
					.doc = "Since when without a break."},
};

static const struct field query_fields[REGISTRATION_QUERY_FIELDS] = {
	[REGISTRATION_QUERY_AOR] = {"aor", FIELD_STRING, .min = 1, .max = 320,
				    .doc = "Only this address of record."},
	[REGISTRATION_QUERY_TRUNK_ID] = {"trunk_id", FIELD_ID,
					 .doc = "Only this trunk's."},
	[REGISTRATION_QUERY_SKIP] = {"skip", FIELD_INT, .max = INT32_MAX,
				     .fallback = DEFAULT_INT(0),
				     .doc = "How many addresses of record to "
					    "leave out."},
	[REGISTRATION_QUERY_TOP] = {"top", FIELD_INT, .min = 1, .max = 100,
				    .fallback = DEFAULT_INT(100),
				    .doc = "How many addresses of record to "
					   "answer, each with all its "
					   "contacts."},
};

/* clang-format on */

const struct record registration_record = {.name = "Registration",
					   RECORD_FIELDS(fields)};

const struct record registration_query_record = {.name = "RegistrationQuery",
						 RECORD_FIELDS(query_fields)};
