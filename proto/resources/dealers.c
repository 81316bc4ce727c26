/* Dealers: PortSIP v22 "Dealers", and the calls of a dealer about itself
 * (document 004). */

#include "proto/resources/dealers.h"

#include "proto/principal.h"
#include "proto/resources/checks.h"

static const struct choices levels =
	CHOICES("DISTRIBUTOR", "SUB_DISTRIBUTOR", "RESELLER");

enum {
	NAME_CHARS_MAX = 64,
	/* Longer than any policy allows, so that the policy is what is told. */
	PASSWORD_CHARS_MAX = 256,
	MAIL_CHARS_MAX = 128,
	DISPLAY_NAME_CHARS_MAX = 1024,
	PHONE_CHARS_MAX = 32,
	ADDRESS_CHARS_MAX = 128,
	/* The document gives these two no bound. */
	WEBSITE_CHARS_MAX = 255,
	DESCRIPTION_CHARS_MAX = 1024,
	VERSION_CHARS_MAX = 32,
};

/* clang-format off: tables */

/* What a dealer may change of itself too. */
#define CONTACT_ROWS                                                           \
	{"email",                                                              \
	 FIELD_STRING,                                                         \
	 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,             \
	 .max = MAIL_CHARS_MAX,                                                \
	 .check = check_email,                                                 \
	 .column = "email",                                                    \
	 .doc = "Its mail address."},                                          \
		{"display_name",                                               \
		 FIELD_STRING,                                                 \
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,     \
		 .max = DISPLAY_NAME_CHARS_MAX,                                \
		 .column = "display_name",                                     \
		 .doc = "What it is called where people read."},               \
		{"website",                                                    \
		 FIELD_STRING,                                                 \
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,                    \
		 .max = WEBSITE_CHARS_MAX,                                     \
		 .column = "website",                                          \
		 .doc = "Its web site."},                                      \
		{"phone",                                                      \
		 FIELD_STRING,                                                 \
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,                    \
		 .max = PHONE_CHARS_MAX,                                       \
		 .column = "phone",                                            \
		 .doc = "Its phone number."},                                  \
		{"address",                                                    \
		 FIELD_STRING,                                                 \
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,                    \
		 .max = ADDRESS_CHARS_MAX,                                     \
		 .column = "address",                                          \
		 .doc = "Its postal address."},                                \
	{                                                                      \
		"description", FIELD_STRING, FIELD_SUMMARY | FIELD_FILTER,     \
			.max = DESCRIPTION_CHARS_MAX, .column = "description", \
			.doc = "What else there is to say of it."              \
	}

static const struct field fields[DEALER_FIELDS] = {
	[DEALER_ID] = {"id", FIELD_ID,
		       FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER |
			       FIELD_SORT,
		       .column = "id", .doc = "The dealer's id."},
	[DEALER_ENABLED] =
		{"enabled", FIELD_BOOL,
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
		 .fallback = DEFAULT_BOOL(true), .column = "enabled",
		 .doc = "A disabled dealer cannot sign in; its tenants go on."},
	[DEALER_LEVEL] =
		{"level", FIELD_ENUM,
		 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY |
			 FIELD_FILTER | FIELD_SORT,
		 .choices = &levels, .column = "level",
		 .doc = "Each level makes, changes and destroys dealers of "
			"the levels after it, below itself."},
	[DEALER_NAME] =
		{"name", FIELD_STRING,
		 FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_SUMMARY |
			 FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,
		 .min = 1, .max = NAME_CHARS_MAX, .check = check_account_name,
		 .column = "name",
		 .doc = "The name it signs in with: letters, digits and _ - ' "
			". with no period at either end."},
	[DEALER_PASSWORD] =
		{"password", FIELD_STRING, FIELD_REQUIRED | FIELD_HASHED,
		 .max = PASSWORD_CHARS_MAX, .column = "password_hash",
		 .doc = "8 to 32 characters with letters and digits; never "
			"shown."},
	CONTACT_ROWS,
	[DEALER_MAX_TENANTS] =
		{"max_tenants", FIELD_INT,
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT, .max = INT32_MAX,
		 .fallback = DEFAULT_INT(100), .column = "max_tenants",
		 .doc = "Tenants it and the dealers below it may have."},
	[DEALER_MAX_EXTENSIONS] =
		{"max_extensions", FIELD_INT,
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT, .max = INT32_MAX,
		 .fallback = DEFAULT_INT(50000), .column = "max_extensions",
		 .doc = "Extensions these tenants may have together."},
	[DEALER_TENANT_FULL_ACCESS] =
		{"tenant_full_access", FIELD_BOOL,
		 FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
		 .fallback = DEFAULT_BOOL(true), .column = "tenant_full_access",
		 .doc = "Whether it may act as its tenants. Left as it is, on "
			"a create as the maker's own, where another than a "
			"system administrator or a DISTRIBUTOR sends it."},
	[DEALER_CREATED_AT] = {"created_at", FIELD_TIME,
			       FIELD_READ_ONLY | FIELD_HIDDEN | FIELD_FILTER |
				       FIELD_SORT,
			       .column = "created_at",
			       .doc = "When the dealer was made."},
	[DEALER_UPDATED_AT] = {"updated_at", FIELD_TIME,
			       FIELD_READ_ONLY | FIELD_HIDDEN | FIELD_FILTER |
				       FIELD_SORT,
			       .column = "updated_at",
			       .doc = "When the dealer was last changed."},
};

static const struct field own_fields[] = {
	{"id", FIELD_ID, FIELD_READ_ONLY, .column = "id",
	 .doc = "The dealer's id."},
	{"enabled", FIELD_BOOL, FIELD_READ_ONLY, .column = "enabled",
	 .doc = "Whether it may sign in."},
	{"level", FIELD_ENUM, FIELD_READ_ONLY, .choices = &levels,
	 .column = "level",
	 .doc = "It makes dealers of the levels after this one."},
	{"name", FIELD_STRING, FIELD_READ_ONLY, .min = 1, .max = NAME_CHARS_MAX,
	 .column = "name", .doc = "The name it signs in with."},
	CONTACT_ROWS,
	{"max_tenants", FIELD_INT, FIELD_READ_ONLY, .max = INT32_MAX,
	 .column = "max_tenants",
	 .doc = "Tenants it and the dealers below it may have."},
	{"max_extensions", FIELD_INT, FIELD_READ_ONLY, .max = INT32_MAX,
	 .column = "max_extensions",
	 .doc = "Extensions these tenants may have together."},
};

static const struct field status_fields[DEALER_STATUS_FIELDS] = {
	[DEALER_STATUS_VERSION] = {"version", FIELD_STRING,
				   .max = VERSION_CHARS_MAX,
				   .doc = "The version of Trunkline."},
	[DEALER_STATUS_MAX_DEALERS] =
		{"max_dealers", FIELD_INT, .max = INT32_MAX,
		 .doc = "Dealers there may be below it: no more than 0 for a "
			"RESELLER, for others as many as fit the type."},
	[DEALER_STATUS_CURRENT_DEALERS] = {"current_dealers", FIELD_INT,
					   .max = INT32_MAX,
					   .doc = "Dealers below it."},
	[DEALER_STATUS_MAX_USERS] =
		{"max_users", FIELD_INT, .max = INT32_MAX,
		 .doc = "Extensions its tenants may have: max_extensions."},
	[DEALER_STATUS_CURRENT_USERS] =
		{"current_users", FIELD_INT, .max = INT32_MAX,
		 .doc = "Extensions of its tenants, and of the tenants of "
			"dealers below it."},
	[DEALER_STATUS_MAX_TENANTS] = {"max_tenants", FIELD_INT,
				       .max = INT32_MAX,
				       .doc = "Tenants it may have."},
	[DEALER_STATUS_CURRENT_TENANTS] =
		{"current_tenants", FIELD_INT, .max = INT32_MAX,
		 .doc = "Its tenants, and those of dealers below it."},
};

static const struct field password_fields[DEALER_PASSWORD_FIELDS] = {
	[DEALER_PASSWORD_PASSWORD] =
		{"password", FIELD_STRING, FIELD_REQUIRED | FIELD_SECRET,
		 .max = PASSWORD_CHARS_MAX,
		 .doc = "The password as it shall be: 8 to 32 characters with "
			"letters and digits; every session of the dealer "
			"ends."},
	[DEALER_PASSWORD_ID] = {"id", FIELD_ID, FIELD_REQUIRED,
				.doc = "The dealer's id, of the path."},
};

static const struct field own_username_fields[DEALER_OWN_USERNAME_FIELDS] = {
	[DEALER_OWN_USERNAME_NAME] =
		{"name", FIELD_STRING, FIELD_REQUIRED, .min = 1,
		 .max = NAME_CHARS_MAX, .check = check_account_name,
		 .doc = "The new name: letters, digits and _ - ' . with no "
			"period at either end."},
};

static const struct field own_password_fields[DEALER_OWN_PASSWORD_FIELDS] = {
	[DEALER_OWN_PASSWORD_OLD_PASSWORD] = {"old_password", FIELD_STRING,
					      FIELD_REQUIRED | FIELD_SECRET,
					      .max = PASSWORD_CHARS_MAX,
					      .doc = "The password as it is."},
	[DEALER_OWN_PASSWORD_NEW_PASSWORD] =
		{"new_password", FIELD_STRING, FIELD_REQUIRED | FIELD_SECRET,
		 .max = PASSWORD_CHARS_MAX,
		 .doc = "The password as it shall be: 8 to 32 characters with "
			"letters and digits; every session of the dealer "
			"ends."},
};

static const struct resource_constraint constraints[] = {
	{"dealers_name_key", "name", "name is taken"},
	{"dealers_level", "level", "the level is not below its maker's"},
	{"dealers_max_tenants", "max_tenants",
	 "there are more tenants already"},
	{"dealers_max_extensions", "max_extensions",
	 "there are more extensions already"},
	{"dealers_parent_id_fkey", NULL, "there are dealers below it"},
	{"tenants_dealer_id_fkey", NULL, "it has tenants"},
};

/* clang-format on */

static const struct record dealer_record = {.name = "Dealer",
					    RECORD_FIELDS(fields)};

/* The guard: who was disabled a moment ago changes nothing any more. */
static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_SYSTEM, .verbs = RESOURCE_ALL},
	{.who = PRINCIPAL_DEALER,
	 .verbs = RESOURCE_ALL,
	 .by = RESOURCE_BY_DEALER,
	 .rows = "t.path @> ARRAY[$1::bigint] AND t.id <> $1",
	 .owner = "parent_id",
	 .guard = "EXISTS (SELECT FROM dealer.dealers me WHERE me.id = $1 "
		  "AND me.enabled AND me.level <> 'RESELLER')"},
};

const struct resource dealer_resource = {
	.name = "dealer",
	.plural = "dealers",
	.schema = "dealer",
	.table = "dealers",
	.record = &dealer_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	RESOURCE_SCOPES(scopes),
	.audit = "DEALER",
	.label = "t.name",
};

static const struct record own_dealer_record = {.name = "OwnDealer",
						RECORD_FIELDS(own_fields)};

static const struct resource_scope own_scopes[] = {
	{.who = PRINCIPAL_DEALER,
	 .verbs = RESOURCE_SEE | RESOURCE_UPDATE,
	 .by = RESOURCE_BY_DEALER,
	 .rows = "t.id = $1"},
};

const struct resource own_dealer_resource = {
	.name = "own_dealer",
	.plural = "own_dealers",
	.schema = "dealer",
	.table = "dealers",
	.record = &own_dealer_record,
	RESOURCE_SCOPES(own_scopes),
	.audit = "DEALER",
	.label = "t.name",
	.own = true,
	.event = "dealer",
};

const struct record dealer_status_record = {.name = "DealerStatus",
					    RECORD_FIELDS(status_fields)};
const struct record dealer_password_record = {
	.name = "DealerPassword",
	.fields = password_fields,
	.count = DEALER_PASSWORD_ID, /* those before it */
};
const struct record dealer_password_args_record = {
	.name = "DealerPasswordArguments", RECORD_FIELDS(password_fields)};
const struct record dealer_own_username_record = {
	.name = "DealerUsername", RECORD_FIELDS(own_username_fields)};
const struct record dealer_own_password_record = {
	.name = "DealerOwnPassword", RECORD_FIELDS(own_password_fields)};
