/* Users (extensions) of tenants: PortSIP v22 "Users", "Extension numbers",
 * "Tenant password policy". */

#include "proto/resources/users.h"

#include "proto/error.h"
#include "proto/principal.h"
#include "proto/resources/checks.h"
#include "proto/resources/hours.h"

/* Those of a tenant; the vendor's others are of the system, or custom roles,
 * which there are not. */
static const struct choices roles = CHOICES(
	"Admin", "StandardUser", "StandardInternationalUser", "QueueManager");

static const struct choices sms_modes =
	CHOICES("DISABLE", "ALLOW", "ALLOW_WITH_SENDER_ID");

static const struct choices hours_modes = CHOICES("GLOBAL", "CUSTOM");

static const struct choices actions = CHOICES(
	"FORWARD_TO_NUMBER", "FORWARD_TO_VOICEMAIL", "RING_ANYWAY", "HANGUP");

static const struct choices absence_actions =
	CHOICES("FORWARD_TO_NUMBER", "FORWARD_TO_VOICEMAIL", "HANGUP");

static const struct choices rule_hours =
	CHOICES("ALL_HOURS", "SPECIFIC_HOURS", "OUTSIDE_SPECIFIC_HOURS");

static const struct choices datetime_modes =
	CHOICES("DISABLE", "12_HOUR_CLOCK", "24_HOUR_CLOCK");

static const struct choices interfaces =
	CHOICES("WEB_DOMAIN", "PUBLIC_IPV4", "PUBLIC_IPV6", "PRIVATE_IPV4",
		"PRIVATE_IPV6", "SBC_DOMAIN");

static const struct choices transports = CHOICES("UDP", "TCP", "TLS");

static const struct choices sync_types = CHOICES("Microsoft 365");

static const struct choices statuses = CHOICES("ONLINE", "ON_CALL", "OFFLINE");

static const struct choices presences =
	CHOICES("DO_NOT_DISTURB", "AVAILABLE", "AWAY", "BUSINESS_TRIP", "LUNCH",
		"ON_CALL", "OFFLINE");

static const struct choices extension_types =
	CHOICES("EXTENSION", "RING_GROUP", "CALL_QUEUE", "CONFERENCE_ROOM",
		"VIRTUAL_RECEPTIONIST");

enum {
	NAME_CHARS_MAX = 64,
	EMAIL_CHARS_MAX = 128,
	DISPLAY_NAME_CHARS_MAX = 1024,
	PHONE_CHARS_MAX = 32,
	ADDRESS_CHARS_MAX = 128,
	NUMBER_CHARS_MAX = 64,
	/* The document has no bound; longer than any policy allows. */
	PASSWORD_CHARS_MAX = 256,
	PIN_DIGITS_MIN = 6,
	PIN_DIGITS_MAX = 10,
	DESCRIPTION_CHARS_MAX = 1024,
	/* Not bounded by the document either: what a phone's display, a JSON
	 * text of options and a menu need, and no row grows past all bounds. */
	LABEL_CHARS_MAX = 256,
	OPTIONS_CHARS_MAX = 16384,
	LANGUAGE_CHARS_MAX = 64,
	CALLER_IDS_MAX = 64,
	FORWARD_RULES_MAX = 64,
	BLFS_MAX = 128,
	INSTANCE_ID_CHARS_MAX = 255,
};

/* clang-format off: tables */

static const struct field caller_id_fields[] = {
	{"provider_id", FIELD_ID, FIELD_REQUIRED, .doc = "The trunk."},
	{"caller_id", FIELD_STRING, FIELD_REQUIRED, .min = 1,
	 .max = NUMBER_CHARS_MAX, .doc = "The number shown on calls over it."},
	{"preferred", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
	 .doc = "Taken before the others."},
	{"description", FIELD_STRING, .max = DESCRIPTION_CHARS_MAX,
	 .doc = "What it is for."},
};

static const struct record caller_id_record = {.name = "UserOutboundCallerId",
					       RECORD_FIELDS(caller_id_fields)};

static const struct field office_hours_fields[] = {
	{"mode", FIELD_ENUM, .choices = &hours_modes,
	 .fallback = DEFAULT_STR("GLOBAL"),
	 .doc = "Whether the tenant's hours count, or these."},
	HOURS_DAYS,
};

static const struct record office_hours_record = {
	.name = "UserOfficeHours", RECORD_FIELDS(office_hours_fields)};

#define FORWARD_NUMBER                                                         \
	{                                                                      \
		"number", FIELD_STRING,                                        \
			.max = NUMBER_CHARS_MAX,                               \
			.check = check_dialled_number,                         \
			.doc = "Where FORWARD_TO_NUMBER forwards to."          \
	}

#define FORWARD_ACTION(choices_)                                               \
	{                                                                      \
		"action", FIELD_ENUM, .choices = (choices_),                   \
				      .doc = "What is done with a call; "      \
					     "null: nothing was said."         \
	}

static const struct field rule_fields[] = {
	FORWARD_ACTION(&actions),
	FORWARD_NUMBER,
};

static const struct record rule_record = {.name = "ForwardRule",
					  RECORD_FIELDS(rule_fields)};

static const struct field no_answer_fields[] = {
	FORWARD_ACTION(&absence_actions),
	FORWARD_NUMBER,
	{"timeout", FIELD_INT, .max = INT32_MAX, .fallback = DEFAULT_INT(60),
	 .doc = "Seconds of ringing that are no answer."},
};

static const struct record no_answer_record = {.name = "NoAnswerForwardRule",
					       RECORD_FIELDS(no_answer_fields)};

static const struct field absence_fields[] = {
	FORWARD_ACTION(&absence_actions),
	FORWARD_NUMBER,
};

static const struct record absence_record = {.name = "AbsenceForwardRule",
					     RECORD_FIELDS(absence_fields)};

static const struct field custom_rule_fields[] = {
	FORWARD_ACTION(&actions),
	FORWARD_NUMBER,
	{"caller_id", FIELD_STRING, .max = NUMBER_CHARS_MAX,
	 .doc = "Callers it is for: a mask."},
	{"type", FIELD_ENUM, .choices = &rule_hours, .doc = "When it is for."},
	{"hours", FIELD_OBJECT, .record = &hours_week_record,
	 .doc = "The hours type speaks of."},
};

static const struct record custom_rule_record = {
	.name = "CustomForwardRule", RECORD_FIELDS(custom_rule_fields)};

static const struct field blf_fields[] = {
	{"key", FIELD_STRING, .max = LABEL_CHARS_MAX, .doc = "The key."},
	{"value", FIELD_STRING, .max = LABEL_CHARS_MAX,
	 .doc = "What the key watches."},
	{"first_name", FIELD_STRING, .max = LABEL_CHARS_MAX,
	 .doc = "First name shown with it."},
	{"last_name", FIELD_STRING, .max = LABEL_CHARS_MAX,
	 .doc = "Last name shown with it."},
};

static const struct record blf_record = {.name = "UserBlf",
					 RECORD_FIELDS(blf_fields)};

static const struct field fields[] = {
	{"id", FIELD_ID,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "id", .doc = "The user's id."},
	{"name", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY | FIELD_FILTER |
		 FIELD_SORT | FIELD_SEARCH,
	 .min = 1, .max = NAME_CHARS_MAX, .check = check_account_name,
	 .column = "name",
	 .doc = "The name signed in with: letters, digits and _ - ' . with no "
		"period at either end; one of its kind in the tenant, whatever "
		"the case."},
	{"password", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_HASHED, .min = 1,
	 .max = PASSWORD_CHARS_MAX, .column = "password_hash",
	 .doc = "The password signed in with, as the tenant's password policy "
		"asks; never shown."},
	{"email", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |
		 FIELD_SEARCH,
	 .min = 1, .max = EMAIL_CHARS_MAX, .check = check_email,
	 .column = "email", .doc = "Mail address."},
	{"display_name", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |
		 FIELD_SEARCH,
	 .max = DISPLAY_NAME_CHARS_MAX, .column = "display_name",
	 .doc = "Name shown to others."},
	{"role", FIELD_ENUM,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY | FIELD_FILTER |
		 FIELD_SORT,
	 .choices = &roles, .column = "role",
	 .doc = "What the user may do in its tenant."},
	{"enabled", FIELD_BOOL, FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .fallback = DEFAULT_BOOL(true), .column = "enabled",
	 .doc = "A disabled user neither signs in nor registers."},
	{"mobile_phone", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER,
	 .max = PHONE_CHARS_MAX, .column = "mobile_phone",
	 .doc = "Mobile phone number."},
	{"work_phone", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER,
	 .max = PHONE_CHARS_MAX, .column = "work_phone",
	 .doc = "Office phone number."},
	{"home_phone", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER,
	 .max = PHONE_CHARS_MAX, .column = "home_phone",
	 .doc = "Home phone number."},
	{"address", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER,
	 .max = ADDRESS_CHARS_MAX, .column = "address", .doc = "Address."},
	{"department", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .max = ADDRESS_CHARS_MAX, .column = "department",
	 .doc = "Department."},
	{"extension_number", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY | FIELD_FILTER |
		 FIELD_SORT | FIELD_SEARCH,
	 .min = 3, .max = NUMBER_CHARS_MAX, .check = check_extension_number,
	 .column = "extension_number",
	 .doc = "The number, 3 to 64 digits, one of its kind in the tenant."},
	{"extension_password", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SECRET, .min = 1,
	 .max = PASSWORD_CHARS_MAX, .column = "extension_password",
	 .doc = "The password phones register with, as the tenant's password "
		"policy asks; never shown."},
	{"enable_audio_recording", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "enable_audio_recording",
	 .doc = "Record the sound of all calls."},
	{"enable_video_recording", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "enable_video_recording",
	 .doc = "Record the pictures of all calls."},
	{"enable_dnd", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "enable_dnd",
	 .doc = "Do not disturb."},
	{"enable_acb", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "enable_acb",
	 .doc = "Automatic callback."},
	{"enable_hot_desking", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "enable_hot_desking",
	 .doc = "Hot desking."},
	{"anonymous_outbound_calls", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "anonymous_outbound_calls",
	 .doc = "Outbound calls hide the caller."},
	{"delivery_outbound_cid", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "delivery_outbound_cid",
	 .doc = "Outbound calls show the outbound caller id."},
	{"sms", FIELD_ENUM, FIELD_FILTER, .choices = &sms_modes,
	 .fallback = DEFAULT_STR("DISABLE"), .column = "sms",
	 .doc = "Whether text messages may be sent, and as whom."},
	{"outbound_caller_ids", FIELD_OBJECTS, .max = CALLER_IDS_MAX,
	 .record = &caller_id_record, .fallback = DEFAULT_EMPTY,
	 .column = "outbound_caller_ids",
	 .doc = "Numbers shown on outbound calls, by trunk."},
	{"custom_options", FIELD_STRING, FIELD_FREE_TEXT,
	 .max = OPTIONS_CHARS_MAX, .check = check_json,
	 .column = "custom_options",
	 .doc = "Options of the client's own: one JSON text."},
	{"office_hours", FIELD_OBJECT, .record = &office_hours_record,
	 .column = "office_hours", .doc = "When the user works."},
	{"available_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &rule_record,
	 .column = "available_office_hours_forward_rule",
	 .doc = "Where calls go while the user is available, in office hours."},
	{"available_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &rule_record,
	 .column = "available_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is available, outside office "
		"hours."},
	{"available_no_answer_forward_rule", FIELD_OBJECT,
	 .record = &no_answer_record,
	 .column = "available_no_answer_forward_rule",
	 .doc = "Where calls go while the user is available and does not "
		"answer."},
	{"busy_office_hours_forward_rule", FIELD_OBJECT, .record = &rule_record,
	 .column = "busy_office_hours_forward_rule",
	 .doc = "Where calls go while the user is busy, in office hours."},
	{"busy_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &rule_record, .column = "busy_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is busy, outside office hours."},
	{"busy_no_answer_forward_rule", FIELD_OBJECT,
	 .record = &no_answer_record, .column = "busy_no_answer_forward_rule",
	 .doc = "Where calls go while the user is busy and does not answer."},
	{"dnd_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record, .column = "dnd_office_hours_forward_rule",
	 .doc = "Where calls go while the user is not to be disturbed, in "
		"office hours."},
	{"dnd_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record,
	 .column = "dnd_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is not to be disturbed, outside "
		"office hours."},
	{"away_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record, .column = "away_office_hours_forward_rule",
	 .doc = "Where calls go while the user is away, in office hours."},
	{"away_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record,
	 .column = "away_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is away, outside office hours."},
	{"lunch_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record, .column = "lunch_office_hours_forward_rule",
	 .doc = "Where calls go while the user is at lunch, in office hours."},
	{"lunch_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record,
	 .column = "lunch_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is at lunch, outside office "
		"hours."},
	{"trip_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record, .column = "trip_office_hours_forward_rule",
	 .doc = "Where calls go while the user is on a business trip, in "
		"office hours."},
	{"trip_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record,
	 .column = "trip_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is on a business trip, outside "
		"office hours."},
	{"offline_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record,
	 .column = "offline_office_hours_forward_rule",
	 .doc = "Where calls go while the user is offline, in office hours."},
	{"offline_non_office_hours_forward_rule", FIELD_OBJECT,
	 .record = &absence_record,
	 .column = "offline_non_office_hours_forward_rule",
	 .doc = "Where calls go while the user is offline, outside office "
		"hours."},
	{"custom_forward_rules", FIELD_OBJECTS, .max = FORWARD_RULES_MAX,
	 .record = &custom_rule_record, .fallback = DEFAULT_EMPTY,
	 .column = "custom_forward_rules",
	 .doc = "Where calls of some callers go, before the rules above."},
	{"voicemail_prompt", FIELD_STRING, FIELD_FILTER, .min = 2,
	 .max = LANGUAGE_CHARS_MAX, .check = check_language,
	 .column = "voicemail_prompt",
	 .doc = "Language of the voice mail: a BCP 47 tag."},
	{"enable_voicemail_pin", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "enable_voicemail_pin",
	 .doc = "Whether the voice mail asks for the PIN."},
	{"voicemail_pin", FIELD_STRING, FIELD_REQUIRED | FIELD_SECRET,
	 .min = PIN_DIGITS_MIN, .max = PIN_DIGITS_MAX,
	 .check = check_voicemail_pin, .column = "voicemail_pin",
	 .doc = "6 to 10 digits, none repeated as in 111, none that count as "
		"in 012; never shown."},
	{"enable_voicemail_notify", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false), .column = "enable_voicemail_notify",
	 .doc = "Tell of voice mail by mail."},
	{"voicemail_play_datetime", FIELD_ENUM, FIELD_FILTER,
	 .choices = &datetime_modes, .fallback = DEFAULT_STR("DISABLE"),
	 .column = "voicemail_play_datetime",
	 .doc = "Whether the voice mail says when a message came."},
	{"interface", FIELD_ENUM, FIELD_FILTER, .choices = &interfaces,
	 .column = "interface",
	 .doc = "Which address provisioned phones are given."},
	{"preferred_transport", FIELD_ENUM, FIELD_FILTER,
	 .choices = &transports, .column = "preferred_transport",
	 .doc = "The SIP transport provisioned phones are given."},
	{"blfs", FIELD_OBJECTS, .max = BLFS_MAX, .record = &blf_record,
	 .fallback = DEFAULT_EMPTY, .column = "blfs",
	 .doc = "Busy lamp keys of provisioned phones."},
	{"profile", FIELD_ID, FIELD_READ_ONLY, .column = "profile",
	 .doc = "Id of the provisioning profile; POST /api/users/{id}/profile "
		"gives it a new one."},
	{"created_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "created_at", .doc = "When the user was made."},
	/* There are neither pictures nor directories users come from. */
	{"avatar_file_name", FIELD_STRING, FIELD_READ_ONLY | FIELD_SUMMARY,
	 .max = LABEL_CHARS_MAX, .doc = "Always null."},
	{"avatar_file_size", FIELD_INT, FIELD_READ_ONLY | FIELD_SUMMARY,
	 .max = INT64_MAX, .doc = "Always null."},
	{"avatar_file_url", FIELD_STRING, FIELD_READ_ONLY | FIELD_SUMMARY,
	 .max = LABEL_CHARS_MAX, .doc = "Always null."},
	{"sync_type", FIELD_ENUM, FIELD_READ_ONLY | FIELD_SUMMARY,
	 .choices = &sync_types, .doc = "Always null."},
	{"tenant_id", FIELD_ID, FIELD_READ_ONLY | FIELD_SECRET,
	 .column = "tenant_id",
	 .doc = "The tenant, told to processes of ours."},
	{"updated_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_HIDDEN | FIELD_FILTER | FIELD_SORT,
	 .column = "updated_at", .doc = "When the user was last changed."},
};

static const struct resource_constraint constraints[] = {
	{"users_name_key", "name", "another user has this name"},
	{"users_extension_number_key", "extension_number",
	 "another user has this extension_number"},
	{"tenants_deleting", NULL,
	 "the tenant is being deleted, or its dealer is disabled"},
	/* Whose quota it is, and how large, is no tenant's business. */
	{"dealers_max_extensions", NULL,
	 "the dealer of the tenant has all the extensions it may have",
	 .terse = PRINCIPAL_TENANT},
};

static const struct field policy_fields[] = {
	{"min_length", FIELD_INT, .min = 6, .max = 32,
	 .fallback = DEFAULT_INT(6), .column = "min_length",
	 .doc = "Characters at the least; not more than max_length."},
	{"max_length", FIELD_INT, .min = 6, .max = 32,
	 .fallback = DEFAULT_INT(32), .column = "max_length",
	 .doc = "Characters at the most."},
	{"contains_letters", FIELD_BOOL, .fallback = DEFAULT_BOOL(true),
	 .column = "contains_letters", .doc = "A latin letter."},
	{"contains_numbers", FIELD_BOOL, .fallback = DEFAULT_BOOL(true),
	 .column = "contains_numbers", .doc = "A digit."},
	{"contains_special_letters", FIELD_BOOL, .fallback = DEFAULT_BOOL(true),
	 .column = "contains_special_letters",
	 .doc = "An upper case letter or a special character."},
	{"disable_sequential_characters", FIELD_BOOL,
	 .fallback = DEFAULT_BOOL(true),
	 .column = "disable_sequential_characters",
	 .doc = "No run such as 123 or cba."},
	{"disable_repeating_characters", FIELD_BOOL,
	 .fallback = DEFAULT_BOOL(true),
	 .column = "disable_repeating_characters",
	 .doc = "No run such as 111."},
	{"disable_account_information", FIELD_BOOL,
	 .fallback = DEFAULT_BOOL(true),
	 .column = "disable_account_information",
	 .doc = "Not the account's own name, mail address or number."},
};

static const struct resource_constraint policy_constraints[] = {
	{"password_policies_length", "min_length",
	 "must not be more than max_length"},
	{"tenants_deleting", NULL, "the tenant is being deleted"},
};

#define ID_ROW                                                                 \
	{                                                                      \
		"id", FIELD_ID, FIELD_REQUIRED, .doc = "The user's id."        \
	}

static const struct field password_fields[USER_PASSWORD_FIELDS] = {
	[USER_PASSWORD_ID] = ID_ROW,
	[USER_PASSWORD_PASSWORD] =
		{"password", FIELD_STRING, FIELD_REQUIRED, .min = 1,
		 .max = PASSWORD_CHARS_MAX,
		 .doc = "The new password, as the tenant's password policy "
			"asks."},
};

static const struct field role_fields[USER_ROLE_FIELDS] = {
	[USER_ROLE_ID] = ID_ROW,
	[USER_ROLE_ROLE] = {"role", FIELD_ENUM, FIELD_REQUIRED,
			    .choices = &roles, .doc = "The new role."},
};

static const struct field registration_args_fields[] = {
	[USER_REGISTRATION_ID] = ID_ROW,
	[USER_REGISTRATION_INSTANCE_ID] =
		{"instance_id", FIELD_STRING, FIELD_REQUIRED, .min = 1,
		 .max = INSTANCE_ID_CHARS_MAX,
		 .doc = "Which of the user's registrations."},
};

static const struct field device_fields[] = {
	{"instance_id", FIELD_STRING, .max = INSTANCE_ID_CHARS_MAX,
	 .doc = "The phone's own id."},
	{"user_agent", FIELD_STRING, .max = LABEL_CHARS_MAX,
	 .doc = "What the phone says it is."},
	{"application", FIELD_STRING, .max = LABEL_CHARS_MAX,
	 .doc = "Name of the application."},
	{"ip", FIELD_STRING, .max = LABEL_CHARS_MAX,
	 .doc = "Address it registered from."},
	{"enable_push", FIELD_BOOL, .doc = "Whether it is woken by push."},
	{"contact_address", FIELD_STRING, .max = 2048,
	 .doc = "Where it is called."},
};

static const struct record device_record = {.name = "UserRegistration",
					    RECORD_FIELDS(device_fields)};

static const struct field status_fields[] = {
	{"status", FIELD_ENUM, FIELD_READ_ONLY, .choices = &statuses,
	 .doc = "ONLINE while a phone is registered."},
	{"presence", FIELD_ENUM, FIELD_READ_ONLY, .choices = &presences,
	 .doc = "DO_NOT_DISTURB where that is set, else AVAILABLE while a "
		"phone is registered."},
	{"presence_note", FIELD_STRING, .max = 128, .doc = "Always null."},
	{"registration", FIELD_OBJECTS, FIELD_READ_ONLY,
	 .record = &device_record, .doc = "The phones registered."},
	{"enable_dnd", FIELD_BOOL, FIELD_READ_ONLY, .doc = "Do not disturb."},
	{"enable_acb", FIELD_BOOL, FIELD_READ_ONLY,
	 .doc = "Automatic callback."},
};

/* What is no number at all is nobody's. */
static const struct field extension_args_fields[EXTENSION_NUMBER_ARGS_FIELDS] =
	{
		[EXTENSION_NUMBER_ARGS_EXTENSION_NUMBER] =
			{"extension_number", FIELD_STRING, FIELD_REQUIRED,
			 .min = 1, .max = LABEL_CHARS_MAX,
			 .doc = "The number."},
};

static const struct field extension_fields[EXTENSION_NUMBER_FIELDS] = {
	[EXTENSION_NUMBER_ID] = {"id", FIELD_ID, FIELD_READ_ONLY,
				 .doc = "Id of what has the number."},
	[EXTENSION_NUMBER_EXTENSION_NUMBER] = {"extension_number", FIELD_STRING,
					       FIELD_READ_ONLY, .min = 3,
					       .max = NUMBER_CHARS_MAX,
					       .doc = "The number."},
	[EXTENSION_NUMBER_NAME] = {"name", FIELD_STRING, FIELD_READ_ONLY,
				   .max = DISPLAY_NAME_CHARS_MAX,
				   .doc = "Its name."},
	[EXTENSION_NUMBER_TYPE] = {"type", FIELD_ENUM, FIELD_READ_ONLY,
				   .choices = &extension_types,
				   .doc = "What it is; always EXTENSION."},
};

/* clang-format on */

static const struct record user_record = {.name = "User",
					  RECORD_FIELDS(fields)};

static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_ADMIN,
	 .verbs = RESOURCE_ALL,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.tenant_id = $1",
	 .owner = "tenant_id"},
	{.who = PRINCIPAL_QUEUE_MANAGER | PRINCIPAL_USER,
	 .verbs = RESOURCE_SEE,
	 .by = RESOURCE_BY_SELF,
	 .rows = "t.id = $1"},
};

const struct resource user_resource = {
	.name = "user",
	.plural = "users",
	.schema = "tenant",
	.table = "users",
	.record = &user_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	RESOURCE_SCOPES(scopes),
	.audit = "USER",
	.label = "t.name",
};

static const struct record policy_record = {.name = "PasswordPolicy",
					    RECORD_FIELDS(policy_fields)};

static const struct resource_scope policy_scopes[] = {
	{.who = PRINCIPAL_ADMIN,
	 .verbs = RESOURCE_SEE | RESOURCE_UPDATE,
	 .by = RESOURCE_BY_TENANT},
	{.who = PRINCIPAL_QUEUE_MANAGER | PRINCIPAL_USER,
	 .verbs = RESOURCE_SEE,
	 .by = RESOURCE_BY_TENANT},
};

/* The audit log has no kind of its own for it. */
const struct resource password_policy_resource = {
	.name = "password_policy",
	.plural = "password_policies",
	.schema = "tenant",
	.table = "password_policies",
	.record = &policy_record,
	.constraints = policy_constraints,
	.constraint_count =
		sizeof(policy_constraints) / sizeof(policy_constraints[0]),
	RESOURCE_SCOPES(policy_scopes),
	.audit = "TENANT",
	.label = "'password_policy'",
	.own = true,
};

/* A body is its method's arguments without the id, which is of the path. */
#define BODY_FIELDS(array)                                                     \
	.fields = (array) + 1, .count = sizeof(array) / sizeof((array)[0]) - 1

const struct record user_password_args_record = {
	.name = "UserPasswordArgs", RECORD_FIELDS(password_fields)};

const struct record user_password_record = {.name = "UserPassword",
					    BODY_FIELDS(password_fields)};

const struct record user_role_args_record = {.name = "UserRoleArgs",
					     RECORD_FIELDS(role_fields)};

const struct record user_role_record = {.name = "UserRole",
					BODY_FIELDS(role_fields)};

const struct record user_registration_args_record = {
	.name = "UserRegistrationArgs",
	RECORD_FIELDS(registration_args_fields)};

const struct record user_status_record = {.name = "UserStatus",
					  RECORD_FIELDS(status_fields)};

const struct record extension_number_args_record = {
	.name = "ExtensionNumberArgs", RECORD_FIELDS(extension_args_fields)};

const struct record extension_number_record = {.name = "ExtensionNumber",
					       RECORD_FIELDS(extension_fields)};
