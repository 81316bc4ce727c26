/* The audit log: PortSIP v22 "List audit logs". */

#include "proto/resources/audit.h"

#include "proto/principal.h"

static const struct choices actions =
	CHOICES("CREATE", "UPDATE", "DELETE", "LOGIN", "LOGOUT", "RECHARGE");

static const struct choices object_types = CHOICES(
	"ALLOWED_COUNTRY_CODES", "AUTOMATIC_CALLBACK", "BILLING",
	"BLACKLISTED_NUMBER", "BLOCK_CODE", "CALL_PARK_GROUP",
	"CALL_PARK_SERVER", "CALL_PICKUP_GROUP", "CALL_QUEUE",
	"CALL_QUEUE_BLACKLISTED_NUM", "CALL_QUEUE_SERVER", "CALL_RECORDING",
	"CALL_REPORT", "CONFERENCE_ROOM", "CONFERENCE_SERVER", "CONTACT",
	"CONTACT_GROUP", "CUSTOM_EMAIL_TEMPLATE", "DEALER", "EMERGENCY_NUMBER",
	"EXCLUSIVE_NUMBER", "FEATURE_ACCESS_CODE", "HOLIDAY", "HOT_DESKING",
	"INBOUND_RULE", "IP_BLACKLIST", "IVR", "IVR_SERVER", "LOGIN",
	"MEDIA_SERVER", "MICROSOFT_365_INTEGRATION", "MOBILE_PUSH", "MOH",
	"MONITOR_GROUP", "MONITOR_SERVER", "OUTBOUND_RULE", "PHONE_TEMPLATE",
	"PROVIDER", "RATING", "RING_GROUP", "ROLE", "SHARED_VOICEMAIL",
	"SYSTEM", "TENANT", "TRANSPORT", "USER", "USER_GROUP", "VIP_NUMBER",
	"VOICEMAIL_SERVER");

enum {
	/* Read only: what they bound is what is written. */
	ADDRESS_CHARS_MAX = 45,
	NAME_CHARS_MAX = 1024,
	STATE_CHARS_MAX = 1 << 20,
};

/* Nobody writes them here: what is not marked as read-only is what can be null
 * (gateway/openapi.c). */
/* clang-format off: table */
static const struct field fields[] = {
	{"id", FIELD_ID, FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_SORT,
	 .column = "id", .doc = "The entry's id: later ones are greater."},
	{"created_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "created_at", .doc = "When it was done."},
	{"source", FIELD_STRING, FIELD_READ_ONLY | FIELD_SUMMARY,
	 .max = NAME_CHARS_MAX, .column = "source",
	 .doc = "Where it came from."},
	{"ip", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .max = ADDRESS_CHARS_MAX, .column = "ip",
	 .doc = "The address it came from."},
	{"action", FIELD_ENUM,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .choices = &actions, .column = "action", .doc = "What was done."},
	{"object_type", FIELD_ENUM,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .choices = &object_types, .column = "object_type",
	 .doc = "What it was done to."},
	{"user_name", FIELD_STRING,
	 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,
	 .max = NAME_CHARS_MAX, .column = "user_name", .doc = "Who did it."},
	{"object_name", FIELD_STRING,
	 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,
	 .max = NAME_CHARS_MAX, .column = "object_name",
	 .doc = "The name of what it was done to."},
	{"old_state", FIELD_STRING, FIELD_SUMMARY, .max = STATE_CHARS_MAX,
	 .column = "old_state", .doc = "What that was like, without secrets."},
	{"new_state", FIELD_STRING, FIELD_SUMMARY, .max = STATE_CHARS_MAX,
	 .column = "new_state",
	 .doc = "What it was like afterwards, without secrets."},
};
/* clang-format on */

/* What was done by dealers of the caller's branch, itself included, and by
 * those who acted for a tenant of theirs. Arrays, since only of these both
 * indexes are used: two IN would read the whole log. */
#define BRANCH                                                                 \
	"(t.dealer_id = ANY (ARRAY(SELECT d.id FROM dealer.dealers d "         \
	"WHERE d.path @> ARRAY[$1::bigint])) "                                 \
	"OR t.tenant_id = ANY (ARRAY(SELECT s.id FROM tenant.tenants s "       \
	"JOIN dealer.dealers d ON d.id = s.dealer_id "                         \
	"WHERE d.path @> ARRAY[$1::bigint])))"

static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_SYSTEM, .verbs = RESOURCE_SEE},
	{.who = PRINCIPAL_ADMIN,
	 .verbs = RESOURCE_SEE,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.tenant_id = $1::bigint"},
	{.who = PRINCIPAL_DEALER,
	 .verbs = RESOURCE_SEE,
	 .by = RESOURCE_BY_DEALER,
	 .rows = BRANCH},
};

static const struct record record = {.name = "AuditLog", RECORD_FIELDS(fields)};

const struct resource audit_resource = {
	.name = "audit",
	.plural = "audit_logs",
	.schema = "system",
	.table = "audit_logs",
	.record = &record,
	RESOURCE_SCOPES(scopes),
	.order = "id DESC",
};
