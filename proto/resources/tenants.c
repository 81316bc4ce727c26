/* Tenants: PortSIP v22 "Tenants" (document 004). One table, two views of it:
 * the seller's (/api/tenants) and the tenant's own (/api/tenant). */

#include "proto/resources/tenants.h"

#include "proto/principal.h"
#include "proto/resources/checks.h"
#include "proto/resources/hours.h"

#include <stdio.h>

static const struct choices event_auths =
	CHOICES("DISABLE", "BASIC", "DIGEST", "BEARER");

static const struct choices match_types =
	CHOICES("DISABLE", "MATCH_EXACTLY", "MATCH_LENGTH");

static const struct choices append_types =
	CHOICES("DISABLE", "APPEND", "PREPEND");

static const struct choices dealer_levels =
	CHOICES("DISTRIBUTOR", "SUB_DISTRIBUTOR", "RESELLER");

enum {
	/* PortSIP v22's own bounds */
	NAME_CHARS_MAX = 1024,
	DOMAIN_CHARS_MAX = 280,
	WEBSITE_CHARS_MAX = 255,
	CALLER_ID_CHARS_MAX = 64,
	EVENT_TEXT_CHARS_MAX = 64,
	EVENT_URL_CHARS_MAX = 128,
	UPDATE_INTERVAL_MINUTES_MAX = 43200,

	/* Where it names none, ours: so that a tenant stays a row. */
	ZONE_CHARS_MAX = 64,
	QUOTA_CHARS_MAX = 16,
	OPTIONS_CHARS_MAX = 16384,
	EMAILS_CHARS_MAX = 15 * (254 + 2), /* 15 addresses (RFC 5321) */
	PREFIX_CHARS_MAX = 64,
	TOKEN_CHARS_MAX = 4096,
	DESCRIPTION_CHARS_MAX = 255,
	PEM_CHARS_MAX = 16384,
	CALLER_IDS_MAX = 256, /* one for each trunk, and many trunks */
};

/* clang-format off: tables */

static const struct field caller_id_fields[] = {
	{"provider_id", FIELD_ID, FIELD_REQUIRED,
	 .doc = "The trunk the caller id is for."},
	{"caller_id", FIELD_STRING, FIELD_REQUIRED, .min = 1,
	 .max = CALLER_ID_CHARS_MAX, .doc = "The number that is shown."},
	{"description", FIELD_STRING, .max = DESCRIPTION_CHARS_MAX,
	 .doc = "What it is for."},
};

static const struct record caller_id_record = {.name = "TenantOutboundCallerId",
					       RECORD_FIELDS(caller_id_fields)};

static const struct field e164_fields[] = {
	{"enabled", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
	 .doc = "Bring dialled numbers into the form of E.164."},
	{"international_code", FIELD_STRING, .max = PREFIX_CHARS_MAX,
	 .doc = "Prefix of international calls."},
	{"country", FIELD_STRING, .max = PREFIX_CHARS_MAX,
	 .doc = "Country with its code, such as Angola(244)."},
	{"area_code", FIELD_STRING, .max = PREFIX_CHARS_MAX,
	 .doc = "Area code."},
	{"national_code", FIELD_STRING, .max = PREFIX_CHARS_MAX,
	 .doc = "Prefix of national calls."},
	{"prefix", FIELD_STRING, .max = PREFIX_CHARS_MAX,
	 .doc = "What is put in front of the number."},
	{"remove_special_chars", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
	 .doc = "Take out what is no digit."},
	{"remove_duplicate_countries", FIELD_BOOL,
	 .fallback = DEFAULT_BOOL(true),
	 .doc = "Take out a country code that stands there twice."},
	{"remove_duplicate_area_codes", FIELD_BOOL,
	 .fallback = DEFAULT_BOOL(true),
	 .doc = "Take out an area code that stands there twice."},
};

static const struct record e164_record = {.name = "TenantE164",
					  RECORD_FIELDS(e164_fields)};

static const struct field event_fields[] = {
	{"enabled", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
	 .doc = "Tell the URL of events."},
	{"auth", FIELD_ENUM, .choices = &event_auths,
	 .fallback = DEFAULT_STR("DISABLE"), .doc = "How to sign in there."},
	{"username", FIELD_STRING, .max = EVENT_TEXT_CHARS_MAX,
	 .check = check_hook_name,
	 .doc = "Name for BASIC and DIGEST: 6 to 64 of a-z and 0-9."},
	{"password", FIELD_STRING, FIELD_SECRET, .max = EVENT_TEXT_CHARS_MAX,
	 .check = check_hook_name,
	 .doc = "Password for BASIC and DIGEST, likewise; never shown."},
	{"token", FIELD_STRING, FIELD_SECRET, .max = TOKEN_CHARS_MAX,
	 .doc = "Token for BEARER; never shown."},
	{"url", FIELD_STRING, .max = EVENT_URL_CHARS_MAX,
	 .check = check_http_url, .doc = "http or https URL."},
};

const struct record tenant_event_record = {.name = "TenantEvent",
					   RECORD_FIELDS(event_fields)};

#define BOOL_ROW(what, flags, value, text)                                     \
	{                                                                      \
#what, FIELD_BOOL, (flags) | FIELD_FILTER | FIELD_SORT,        \
			.fallback = DEFAULT_BOOL(value), .column = #what,      \
			.doc = (text)                                          \
	}

#define INT_ROW(what, flags, least, value, text)                               \
	{                                                                      \
#what, FIELD_INT, (flags) | FIELD_FILTER | FIELD_SORT,         \
			.min = (least), .max = INT32_MAX,                      \
			.fallback = DEFAULT_INT(value), .column = #what,       \
			.doc = (text)                                          \
	}

#define QUOTA_ROW(what, flags, value, text)                                    \
	{                                                                      \
#what, FIELD_STRING, (flags) | FIELD_FILTER,                   \
			.max = QUOTA_CHARS_MAX,                                \
			.fallback = DEFAULT_STR(value), .check = check_quota,  \
			.column = #what, .doc = (text)                         \
	}

/* The rows both views have, in the documents' order. `sold` are the flags of
 * what only the seller sets. */

#define ROWS_IDENTITY                                                          \
	{"domain",                                                             \
	 FIELD_STRING,                                                         \
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |          \
		 FIELD_SEARCH,                                                 \
	 .min = 1,                                                             \
	 .max = DOMAIN_CHARS_MAX,                                              \
	 .check = check_domain,                                                \
	 .column = "domain",                                                   \
	 .doc = "SIP domain: a host name or IP address no other tenant has."}, \
		{"website",                                                    \
		 FIELD_STRING,                                                 \
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,     \
		 .max = WEBSITE_CHARS_MAX,                                     \
		 .column = "website",                                          \
		 .doc = "The tenant's web site."},                             \
		{"timezone",                                                   \
		 FIELD_STRING,                                                 \
		 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,   \
		 .min = 1,                                                     \
		 .max = ZONE_CHARS_MAX,                                        \
		 .column = "timezone",                                         \
		 .doc = "IANA time zone name, such as Asia/Shanghai."},        \
		{"currency",                                                   \
		 FIELD_STRING,                                                 \
		 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,   \
		 .min = 3,                                                     \
		 .max = 3,                                                     \
		 .column = "currency",                                         \
		 .doc = "Currency code (ISO 4217), such as USD."},             \
	{                                                                      \
		"region", FIELD_STRING,                                        \
			FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER |        \
				FIELD_SORT,                                    \
			.min = 3, .max = 3, .column = "region",                \
			.doc = "Country code (ISO 3166-1 alpha-3), such as "   \
			       "USA."                                          \
	}

#define ROWS_RECORDING                                                         \
	BOOL_ROW(enable_video_recording, 0, false,                             \
		 "Allow extensions to record video."),                         \
		BOOL_ROW(enable_audio_recording, 0, false,                     \
			 "Allow extensions to record audio."),                 \
		BOOL_ROW(enable_dual_track_recording, 0, false,                \
			 "Record each side of a call on its own track.")

#define ROWS_FEATURES(sold)                                                    \
	BOOL_ROW(enable_billing, sold, false, "Bill calls."),                  \
		BOOL_ROW(enable_feature_billing, sold, false,                  \
			 "Sell billing."),                                     \
		BOOL_ROW(enable_feature_call_statistics, sold, true,           \
			 "Sell call statistics."),                             \
		BOOL_ROW(enable_feature_contact_center, sold, true,            \
			 "Sell the contact center."),                          \
		BOOL_ROW(enable_feature_message_channels, sold, true,          \
			 "Sell message channels."),                            \
		BOOL_ROW(enable_feature_microsoft_teams, sold, true,           \
			 "Sell Microsoft Teams."),                             \
		BOOL_ROW(enable_feature_trunks, sold, true,                    \
			 "Sell trunks of its own."),                           \
		BOOL_ROW(enable_feature_whats_app, sold, true,                 \
			 "Sell WhatsApp.")

#define ROWS_OPTIONS                                                           \
	BOOL_ROW(enable_night_mode, 0, false, "Night mode is on."),            \
		BOOL_ROW(enable_two_factor_authentication, 0, false,           \
			 "Users sign in with two factors."),                   \
	{                                                                      \
		"custom_options", FIELD_STRING, FIELD_FREE_TEXT,               \
			.max = OPTIONS_CHARS_MAX, .check = check_json,         \
			.column = "custom_options",                            \
			.doc = "Further options, as a JSON text."              \
	}

#define ROWS_LIMITS(sold)                                                      \
	INT_ROW(max_extensions, (sold) | FIELD_SUMMARY, 0, 1000,               \
		"Users at the most."),                                         \
		INT_ROW(max_concurrent_calls, (sold) | FIELD_SUMMARY, 0, 20,   \
			"Concurrent calls at the most."),                      \
		INT_ROW(max_ring_groups, sold, 0, 20,                          \
			"Ring groups at the most."),                           \
		INT_ROW(max_virtual_receptionists, sold, 0, 20,                \
			"Virtual receptionists at the most."),                 \
		INT_ROW(max_call_queues, sold, 0, 20,                          \
			"Call queues at the most."),                           \
		INT_ROW(max_conference_rooms, sold, 0, 20,                     \
			"Conference rooms at the most."),                      \
		QUOTA_ROW(disk_quota, sold, "",                                \
			  "Disk space: a number with KB, MB, GB, TB or PB; "   \
			  "empty: "                                            \
			  "unlimited."),                                       \
		{"used_disk_quota", FIELD_STRING, FIELD_READ_ONLY,             \
		 .fallback = DEFAULT_STR(""),                                  \
		 .doc = "Disk space in use; not kept."},                       \
		QUOTA_ROW(im_disk_quota, sold, "",                             \
			  "Disk space of instant messages, likewise.")

#define ROWS_RETENTION                                                         \
	QUOTA_ROW(extension_im_disk_quota, 0, "1GB",                           \
		  "Disk space of instant messages of each user, likewise."),   \
		INT_ROW(recording_retention, 0, 1, 180,                        \
			"Days recordings are kept."),                          \
		INT_ROW(call_report_retention, 0, 1, 30,                       \
			"Days call reports are kept."),                        \
		INT_ROW(log_retention, 0, 1, 180, "Days logs are kept."),      \
		INT_ROW(temp_file_retention, 0, 1, 30,                         \
			"Days temporary files are kept.")

#define ROWS_CALLS(caller_ids)                                                 \
	{"office_hours", FIELD_OBJECT, .record = &hours_week_record,           \
	 .column = "office_hours", .doc = "When the office is open."},         \
		{"outbound_caller_ids",                                        \
		 FIELD_OBJECTS,                                                \
		 (caller_ids),                                                 \
		 .max = CALLER_IDS_MAX,                                        \
		 .record = &caller_id_record,                                  \
		 .fallback = DEFAULT_EMPTY,                                    \
		 .column = "outbound_caller_ids",                              \
		 .doc = "Caller ids of calls through trunks; set by the "      \
			"tenant."},                                            \
		{"e164", FIELD_OBJECT, .record = &e164_record,                 \
		 .column = "e164",                                             \
		 .doc = "How dialled numbers become those of E.164."},         \
		{"cdr_event", FIELD_OBJECT, .record = &tenant_event_record,    \
		 .column = "cdr_event",                                        \
		 .doc = "Who is told of call records."},                       \
		{"extension_event", FIELD_OBJECT,                              \
		 .record = &tenant_event_record, .column = "extension_event",  \
		 .doc = "Who is told of changes of extensions."},              \
		{"contact_match_type",                                         \
		 FIELD_ENUM,                                                   \
		 FIELD_FILTER | FIELD_SORT,                                    \
		 .choices = &match_types,                                      \
		 .fallback = DEFAULT_STR("MATCH_EXACTLY"),                     \
		 .column = "contact_match_type",                               \
		 .doc = "How contacts are matched."},                          \
		{"contact_match_length",                                       \
		 FIELD_INT,                                                    \
		 FIELD_FILTER | FIELD_SORT,                                    \
		 .max = INT32_MAX,                                             \
		 .column = "contact_match_length",                             \
		 .doc = "Characters that match, for MATCH_LENGTH."},           \
		{"contact_append_type",                                        \
		 FIELD_ENUM,                                                   \
		 FIELD_FILTER | FIELD_SORT,                                    \
		 .choices = &append_types,                                     \
		 .fallback = DEFAULT_STR("APPEND"),                            \
		 .column = "contact_append_type",                              \
		 .doc = "How names of groups, queues and DIDs join the "       \
			"caller id."},                                         \
	{                                                                      \
		"contact_update_interval", FIELD_INT,                          \
			FIELD_FILTER | FIELD_SORT,                             \
			.min = 1, .max = UPDATE_INTERVAL_MINUTES_MAX,          \
			.fallback = DEFAULT_INT(720),                          \
			.column = "contact_update_interval",                   \
			.doc = "Minutes between synchronisations of contacts." \
	}

#define ROWS_PASSWORD                                                          \
	BOOL_ROW(password_force_reset, 0, false,                               \
		 "Users have to change their first password.")

/* There is no file library: a tenant has no picture. */
#define ROWS_AVATAR                                                            \
	{"avatar_file_name", FIELD_STRING, FIELD_READ_ONLY | FIELD_SUMMARY,    \
	 .fallback = DEFAULT_STR(""), .doc = "Name of its picture; none."},    \
		{"avatar_file_size", FIELD_INT,                                \
		 FIELD_READ_ONLY | FIELD_SUMMARY, .fallback = DEFAULT_INT(0),  \
		 .doc = "Bytes of its picture."},                              \
	{                                                                      \
		"avatar_file_url", FIELD_STRING,                               \
			FIELD_READ_ONLY | FIELD_SUMMARY,                       \
			.fallback = DEFAULT_STR(""),                           \
			.doc = "URL of its picture."                           \
	}

static const struct field fields[] = {
	{"id", FIELD_ID,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "id", .doc = "The tenant's id."},
	{"name", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY | FIELD_FILTER |
		 FIELD_SORT | FIELD_SEARCH,
	 .min = 1, .max = NAME_CHARS_MAX, .column = "name",
	 .doc = "Name of the tenant."},
	ROWS_IDENTITY,
	BOOL_ROW(enabled, FIELD_SUMMARY, true,
		 "Nobody of a disabled tenant signs in or registers."),
	ROWS_RECORDING,
	ROWS_FEATURES(0),
	ROWS_OPTIONS,
	ROWS_LIMITS(0),
	ROWS_RETENTION,
	ROWS_CALLS(FIELD_READ_ONLY),
	{"email_recipients", FIELD_STRING, .max = EMAILS_CHARS_MAX,
	 .check = check_email_list, .column = "email_recipients",
	 .doc = "Who gets notifications: up to 15 mail addresses joined by "
		"','."},
	ROWS_PASSWORD,
	{"created_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "created_at", .doc = "When the tenant was made."},
	ROWS_AVATAR,
	{"updated_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_HIDDEN | FIELD_FILTER | FIELD_SORT,
	 .column = "updated_at", .doc = "When the tenant was last changed."},
};

/* A tenant sees all of itself, and sets what it was not sold. */
static const struct field own_fields[] = {
	{"id", FIELD_ID, FIELD_READ_ONLY, .column = "id",
	 .doc = "The tenant's id."},
	{"name", FIELD_STRING, FIELD_REQUIRED | FIELD_IMMUTABLE, .min = 1,
	 .max = NAME_CHARS_MAX, .column = "name", .doc = "Name of the tenant."},
	ROWS_IDENTITY,
	ROWS_RECORDING,
	ROWS_FEATURES(FIELD_READ_ONLY),
	ROWS_OPTIONS,
	ROWS_LIMITS(FIELD_READ_ONLY),
	ROWS_RETENTION,
	ROWS_CALLS(0),
	ROWS_PASSWORD,
	ROWS_AVATAR,
	{"avatar_file_id", FIELD_ID, FIELD_IGNORED,
	 .doc = "There is no file library."},
	{"stir_shaken_cert", FIELD_STRING, FIELD_FREE_TEXT,
	 .max = PEM_CHARS_MAX, .column = "stir_shaken_cert",
	 .doc = "PEM: the certificate calls are signed with."},
	{"stir_shaken_key", FIELD_STRING, FIELD_SECRET | FIELD_FREE_TEXT,
	 .max = PEM_CHARS_MAX, .column = "stir_shaken_key",
	 .doc = "PEM: the key of that certificate; never shown."},
};

static const struct resource_constraint constraints[] = {
	{"tenants_domain_key", "domain", "another tenant has this domain"},
	{"tenants_domain_is_trunk", "domain",
	 "a trunk that registers here has this host name"},
	{"tenants_max_extensions", "max_extensions",
	 "is less than the users there are"},
	{"tenants_deleting", NULL, "the tenant is being deleted"},
	{"tenants_dealer_disabled", NULL, "the dealer is disabled"},
	{"dealers_max_tenants", NULL,
	 "the dealer, or one above it, has all the tenants it may have"},
	{"dealers_max_extensions", NULL,
	 "the dealer, or one above it, has all the extensions it may have"},
};

/* Deleting one takes more than its row: tenant.destroy is the service's own. */
enum { SEE_AND_CHANGE = RESOURCE_SEE | RESOURCE_CREATE | RESOURCE_UPDATE };

static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_SYSTEM, .verbs = RESOURCE_ALL},
	{.who = PRINCIPAL_DEALER,
	 .verbs = RESOURCE_ALL,
	 .by = RESOURCE_BY_DEALER,
	 .owner = "dealer_id",
	 .rows = "EXISTS (SELECT FROM dealer.dealers d "
		 "WHERE d.id = t.dealer_id AND $1 = ANY (d.path))",
	 .guard = "EXISTS (SELECT FROM dealer.dealers me "
		  "WHERE me.id = $1 AND me.enabled)"},
};

static const struct resource_scope own_scopes[] = {
	{.who = PRINCIPAL_ADMIN,
	 .verbs = RESOURCE_SEE | RESOURCE_UPDATE,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.id = $1"},
};

/* clang-format on */

static const struct record tenant_record = {.name = "Tenant",
					    RECORD_FIELDS(fields)};

static const struct record own_tenant_record = {.name = "OwnTenant",
						RECORD_FIELDS(own_fields)};

const struct resource tenant_resource = {
	.name = "tenant",
	.plural = "tenants",
	.schema = "tenant",
	.table = "tenants",
	.record = &tenant_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	RESOURCE_SCOPES(scopes),
	.audit = "TENANT",
	.label = "t.name",
};

const struct resource own_tenant_resource = {
	.name = "own_tenant",
	.plural = "tenants",
	.schema = "tenant",
	.table = "tenants",
	.record = &own_tenant_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	RESOURCE_SCOPES(own_scopes),
	.audit = "TENANT",
	.label = "t.name",
	.own = true,
	.event = "tenant",
};

/* clang-format off: tables */

static const struct field destroy_fields[] = {
	{"id", FIELD_ID, FIELD_REQUIRED, .doc = "The tenant."},
	{"if_version", FIELD_INT, .max = INT64_MAX,
	 .doc = "The version it has to have."},
};

const struct record tenant_destroy_record = {.name = "TenantDestroy",
					     RECORD_FIELDS(destroy_fields)};

static const struct field designate_fields[] = {
	{"id", FIELD_ID, FIELD_REQUIRED, .doc = "The tenant."},
	{"dealer_id", FIELD_ID, FIELD_REQUIRED, .doc = "The dealer."},
};

const struct record tenant_designate_record = {.name = "TenantDesignate",
					       RECORD_FIELDS(designate_fields)};

static const struct field dealer_fields[] = {
	{"id", FIELD_ID, FIELD_READ_ONLY, .doc = "The dealer's id."},
	{"enabled", FIELD_BOOL, FIELD_READ_ONLY,
	 .doc = "The dealer is enabled."},
	{"level", FIELD_ENUM, FIELD_READ_ONLY, .choices = &dealer_levels,
	 .doc = "Its level."},
	{"name", FIELD_STRING, FIELD_READ_ONLY, .doc = "Its account's name."},
	{"display_name", FIELD_STRING, .max = NAME_CHARS_MAX,
	 .doc = "Its name, as shown."},
};

const struct record tenant_dealer_record = {.name = "TenantDealer",
					    RECORD_FIELDS(dealer_fields)};

static const struct field hour_fields[] = {
	{"time", FIELD_TIME, FIELD_READ_ONLY, .doc = "When the hour begins."},
	{"count", FIELD_INT, FIELD_READ_ONLY, .doc = "Calls in it."},
};

static const struct record hour_record = {.name = "TenantHour",
					  RECORD_FIELDS(hour_fields)};

static const struct field status_fields[] = {
	{"version", FIELD_STRING, FIELD_READ_ONLY, .doc = "Of Trunkline."},
	{"licensed_users", FIELD_INT, FIELD_READ_ONLY,
	 .doc = "Users it may have."},
	{"current_users", FIELD_INT, FIELD_READ_ONLY, .doc = "Users it has."},
	{"online_users", FIELD_INT, FIELD_READ_ONLY,
	 .doc = "Users with a phone that is registered."},
	{"current_calls", FIELD_INT, FIELD_READ_ONLY,
	 .fallback = DEFAULT_INT(0), .doc = "Calls; none are carried."},
	{"current_queues", FIELD_INT, FIELD_READ_ONLY,
	 .fallback = DEFAULT_INT(0), .doc = "Call queues; there are none."},
	{"current_conference_rooms", FIELD_INT, FIELD_READ_ONLY,
	 .fallback = DEFAULT_INT(0),
	 .doc = "Conference rooms; there are none."},
	{"current_ring_groups", FIELD_INT, FIELD_READ_ONLY,
	 .fallback = DEFAULT_INT(0), .doc = "Ring groups; there are none."},
	{"current_ivrs", FIELD_INT, FIELD_READ_ONLY, .fallback = DEFAULT_INT(0),
	 .doc = "Virtual receptionists; there are none."},
	{"current_trunks", FIELD_INT, FIELD_READ_ONLY,
	 .doc = "Trunks of its own and assigned to it."},
	{"calls_in_24_hours", FIELD_OBJECTS, FIELD_READ_ONLY,
	 .record = &hour_record, .fallback = DEFAULT_EMPTY,
	 .doc = "Calls by the hour; none are carried."},
};

const struct record tenant_status_record = {.name = "TenantStatus",
					    RECORD_FIELDS(status_fields)};

/* clang-format on */
