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
				   .doc = "The trunk that registered; null: "
					  "it is a user's phone."},
	[REGISTRATION_USER_ID] = {"user_id", FIELD_ID,
				  FIELD_READ_ONLY | FIELD_SUMMARY,
				  .doc = "The user whose phone registered; "
					 "null: it is a trunk."},
	[REGISTRATION_TENANT_ID] = {"tenant_id", FIELD_ID,
				    FIELD_READ_ONLY | FIELD_SUMMARY,
				    .doc = "Whose the user or trunk is; null: "
					   "the system's."},
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
	[REGISTRATION_QUERY_USER_ID] = {"user_id", FIELD_ID,
					.doc = "Only this user's."},
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

/* What services/registrar/status.c and ladder.c write. */

static const struct choices trunk_states = CHOICES(
	"unregistered", "resolving", "connecting", "trying", "challenged",
	"registered", "backing_off", "unregistering", "disabled");

static const struct choices failed_stages =
	CHOICES("dns", "connect", "tls", "auth", "timeout", "rejected");

static const struct choices directions = CHOICES("out", "in", "note");

static const struct choices onlines = CHOICES("ONLINE", "OFFLINE");

/* clang-format off: tables */

static const struct field keep_alive_fields[] = {
	{"answered", FIELD_BOOL,
	 .doc = "Whether the last OPTIONS was answered; null: none was sent."},
	{"at", FIELD_TIME, .doc = "When that was."},
	{"failed_stage", FIELD_ENUM, .choices = &failed_stages,
	 .doc = "How far it came."},
	{"code", FIELD_INT, .min = 100, .max = 699,
	 .doc = "The answer's status code."},
	{"reason", FIELD_STRING, .max = 256,
	 .doc = "The answer's words, or why there was none."},
};

static const struct record keep_alive_record = {
	.name = "TrunkKeepAlive", RECORD_FIELDS(keep_alive_fields)};

static const struct field ladder_fields[] = {
	{"time", FIELD_INT, FIELD_READ_ONLY, .max = INT64_MAX,
	 .doc = "Milliseconds since 1970 UTC."},
	{"direction", FIELD_ENUM, FIELD_READ_ONLY, .choices = &directions,
	 .doc = "Sent, received, or a remark of ours."},
	{"transport", FIELD_STRING, FIELD_READ_ONLY, .max = 8,
	 .doc = "What it went over."},
	{"local", FIELD_STRING, FIELD_READ_ONLY, .max = 80,
	 .doc = "Our address and port."},
	{"remote", FIELD_STRING, FIELD_READ_ONLY, .max = 80,
	 .doc = "The peer's address and port."},
	{"text", FIELD_STRING, FIELD_READ_ONLY, .max = 4096,
	 .doc = "The message; what proves a password is masked."},
};

static const struct record ladder_record = {.name = "TrunkLadderEntry",
					    RECORD_FIELDS(ladder_fields)};

static const struct field trunk_registration_fields[] = {
	{"status", FIELD_ENUM, FIELD_READ_ONLY, .choices = &onlines,
	 .doc = "ONLINE or OFFLINE."},
	{"status_since", FIELD_TIME, .doc = "Since when."},
	{"state", FIELD_ENUM, FIELD_READ_ONLY, .choices = &trunk_states,
	 .doc = "What it is at."},
	{"state_since", FIELD_TIME, .doc = "Since when."},
	{"failed_stage", FIELD_ENUM, .choices = &failed_stages,
	 .doc = "Where the last failure was."},
	{"failed_code", FIELD_INT, .min = 100, .max = 699,
	 .doc = "Its SIP status code."},
	{"failed_reason", FIELD_STRING, .max = 256,
	 .doc = "Its reason, in words."},
	{"last_code", FIELD_INT, .min = 100, .max = 699,
	 .doc = "The last answer's SIP status code."},
	{"last_reason", FIELD_STRING, .max = 256,
	 .doc = "The last answer's reason phrase."},
	{"transport", FIELD_STRING, .max = 8, .doc = "Of the target."},
	{"target", FIELD_STRING, .max = 80,
	 .doc = "The address and port tried last."},
	{"algorithm", FIELD_STRING, .max = 32, .doc = "The digest's."},
	{"consecutive_failures", FIELD_INT, FIELD_READ_ONLY, .max = UINT32_MAX,
	 .doc = "Attempts that failed in a row."},
	{"expires", FIELD_TIME,
	 .doc = "When the registration ends unless it is refreshed."},
	{"next_attempt", FIELD_TIME, .doc = "When the next REGISTER is due."},
	{"keep_alive", FIELD_OBJECT, .record = &keep_alive_record,
	 .doc = "The last OPTIONS."},
	{"ladder", FIELD_OBJECTS, FIELD_READ_ONLY, .record = &ladder_record,
	 .doc = "The messages of the last attempts."},
};

/* clang-format on */

const struct record trunk_registration_record = {
	.name = "TrunkRegistration", RECORD_FIELDS(trunk_registration_fields)};

/* What services/registrar/trial.c writes. */

static const struct choices trial_steps =
	CHOICES("resolve", "connect", "options", "register", "unregister");

/* clang-format off: tables */

static const struct field trial_step_fields[] = {
	{"name", FIELD_ENUM, FIELD_READ_ONLY, .choices = &trial_steps,
	 .doc = "What was done."},
	{"ok", FIELD_BOOL, FIELD_READ_ONLY, .doc = "Whether it went well."},
	{"stage", FIELD_ENUM, .choices = &failed_stages,
	 .doc = "Where it failed."},
	{"code", FIELD_INT, .min = 100, .max = 699,
	 .doc = "The answer's SIP status code."},
	{"reason", FIELD_STRING, .max = 256,
	 .doc = "The answer's words, or why there was none."},
	{"transport", FIELD_STRING, .max = 8, .doc = "Of the target."},
	{"target", FIELD_STRING, .max = 80,
	 .doc = "The address and port it went to."},
	{"milliseconds", FIELD_INT, FIELD_READ_ONLY, .max = INT32_MAX,
	 .doc = "How long it took."},
};

static const struct record trial_step_record = {
	.name = "ProviderTestStep", RECORD_FIELDS(trial_step_fields)};

static const struct field trial_fields[] = {
	{"ok", FIELD_BOOL, FIELD_READ_ONLY,
	 .doc = "Whether a trunk of these settings would work."},
	{"diagnosis", FIELD_STRING, FIELD_READ_ONLY, .max = 256,
	 .doc = "What it comes to, in plain words."},
	{"failed_stage", FIELD_ENUM, .choices = &failed_stages,
	 .doc = "Where it failed."},
	{"milliseconds", FIELD_INT, FIELD_READ_ONLY, .max = INT32_MAX,
	 .doc = "How long all of it took."},
	{"steps", FIELD_OBJECTS, FIELD_READ_ONLY, .record = &trial_step_record,
	 .doc = "What was done, in this order."},
	{"ladder", FIELD_OBJECTS, FIELD_READ_ONLY, .record = &ladder_record,
	 .doc = "The messages sent and received."},
};

/* clang-format on */

const struct record trial_record = {.name = "ProviderTest",
				    RECORD_FIELDS(trial_fields)};
