/* SIP providers ("trunks"): PortSIP v22 "Providers" (document 000). */

#include "proto/resources/resources.h"

#include "proto/error.h"
#include "proto/principal.h"
#include "proto/resources/checks.h"

static const struct choices auth_modes = CHOICES(
	"IP_AUTH", "REGISTER_AUTH", "ACCEPT_REGISTER", "TEAMS", "WHATS_APP");

static const struct choices transports = CHOICES("UDP", "TCP", "TLS");

/* IDENTIFY is the vendor's spelling, and part of the wire format. */
static const struct choices inbound_sources = CHOICES(
	"REQUEST_LINE_URI_USER_PART", "CONTACT_USER_PART", "TO_DISPLAY_NAME",
	"TO_USER_PART", "FROM_DISPLAY_NAME", "FROM_USER_PART",
	"REMOTE_PARTY_ID_CALLED_PARTY_DISPLAY_NAME",
	"REMOTE_PARTY_ID_CALLED_PARTY_USER_PART",
	"REMOTE_PARTY_ID_CALLING_PARTY_DISPLAY_NAME",
	"REMOTE_PARTY_ID_CALLING_PARTY_USER_PART",
	"P_ASSERTED_IDENTITY_DISPLAY_NAME", "P_ASSERTED_IDENTITY_USER_PART",
	"P_PREFERRED_IDENTIFY_DISPLAY_NAME", "P_PREFERRED_IDENTIFY_USER_PART",
	"P_CALLED_PARTY_ID_DISPLAY_NAME", "P_CALLED_PARTY_ID_USER_PART",
	"DEFAULT");

static const struct choices privacy_types =
	CHOICES("DEFAULT", "NONE", "ID", "USER", "HEADER", "SESSION");

static const struct choices verification_statuses = CHOICES(
	"No-TN-Validation", "TN-Validation-Failed", "TN-Validation-Passed-B",
	"TN-Validation-Passed-C", "TN-Validation-Failed-A",
	"TN-Validation-Failed-B", "TN-Validation-Failed-C");

static const struct choices user_values =
	CHOICES("AUTH_ID", "CALLER_NUM", "CALLED_NUM", "CALLER_DISPLAY_NAME",
		"OUTBOUND_CALLER_ID", "ORIGINATOR_CALLER_ID",
		"OUTBOUND_CALLER_ID_AND_ORIGINATOR_CALLER_ID", "ANONYMOUS",
		"DEFAULT", "CUSTOM");

static const struct choices host_values =
	CHOICES("TRUNK_HOST_PORT", "OUT_HOST_PORT", "CONTACT_URI", "SIP_DOMAIN",
		"DEFAULT", "CUSTOM");

static const struct choices statuses = CHOICES("ONLINE", "OFFLINE");

enum {
	HOST_CHARS_MAX = 255,	/* a DNS name: RFC 1035, 2.3.4 */
	CUSTOM_CHARS_MAX = 255, /* one part of a SIP header */
	PASSWORD_CHARS_MAX = 256,
	CIDRS_CHARS_MAX = 16384, /* some 400 IPv6 blocks */
};

/* clang-format off: tables */

static const struct field inbound_fields[] = {
	{"caller_num", FIELD_ENUM, .choices = &inbound_sources,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "Where in an INVITE the caller's number is read."},
	{"caller_display_name", FIELD_ENUM, .choices = &inbound_sources,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "Where the caller's display name is read."},
	{"called_num", FIELD_ENUM, .choices = &inbound_sources,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "Where the called number is read."},
	{"privacy_types_supported", FIELD_ENUM, .choices = &privacy_types,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "Privacy (RFC 3323) understood from the trunk."},
	{"enable_stir_shaken_validation", FIELD_BOOL,
	 .fallback = DEFAULT_BOOL(false),
	 .doc = "Look at the STIR/SHAKEN verification status of calls."},
	{"pai_header_parameter_name", FIELD_STRING, .min = 1, .max = 64,
	 .fallback = DEFAULT_STR("verstat"), .check = check_token,
	 .doc = "Parameter of P-Asserted-Identity that carries the "
		"verification status."},
	{"drop_calls_with_verification_status", FIELD_ENUM_LIST,
	 .choices = &verification_statuses, .fallback = DEFAULT_EMPTY,
	 .doc = "Calls with one of these verification statuses are dropped."},
	{"pass_api_header_to_uad", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
	 .doc = "Hand API headers on to the called device."},
};

static const struct record inbound_record = {
	.name = "ProviderInboundParameters", RECORD_FIELDS(inbound_fields)};

static const struct field user_part_fields[] = {
	{"value", FIELD_ENUM, .choices = &user_values,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "What this part of the header is filled with."},
	{"custom_value", FIELD_STRING, .max = CUSTOM_CHARS_MAX,
	 .doc = "The text, where value is CUSTOM."},
};

static const struct record user_part_record = {.name = "ProviderUserPart",
					       RECORD_FIELDS(user_part_fields)};

static const struct field host_part_fields[] = {
	{"value", FIELD_ENUM, .choices = &host_values,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "What this host part is filled with."},
	{"custom_value", FIELD_STRING, .max = CUSTOM_CHARS_MAX,
	 .doc = "The text, where value is CUSTOM."},
};

static const struct record host_part_record = {.name = "ProviderHostPart",
					       RECORD_FIELDS(host_part_fields)};

static const struct field privacy_fields[] = {
	{"value", FIELD_ENUM, .choices = &privacy_types,
	 .fallback = DEFAULT_STR("DEFAULT"),
	 .doc = "Privacy (RFC 3323) asked for."},
};

static const struct record privacy_record = {.name = "ProviderPrivacy",
					     RECORD_FIELDS(privacy_fields)};

static const struct field outbound_fields[] = {
	{"request_line_uri_user_part", FIELD_OBJECT,
	 .record = &user_part_record, .doc = "User part of the Request-URI."},
	{"request_line_uri_host_part", FIELD_OBJECT,
	 .record = &host_part_record, .doc = "Host part of the Request-URI."},
	{"contact_user_part", FIELD_OBJECT, .record = &user_part_record,
	 .doc = "User part of Contact."},
	{"contact_host_part", FIELD_OBJECT, .record = &host_part_record,
	 .doc = "Host part of Contact."},
	{"to_display_name", FIELD_OBJECT, .record = &user_part_record,
	 .doc = "Display name of To."},
	{"to_user_part", FIELD_OBJECT, .record = &user_part_record,
	 .doc = "User part of To."},
	{"to_host_part", FIELD_OBJECT, .record = &host_part_record,
	 .doc = "Host part of To."},
	{"from_display_name", FIELD_OBJECT, .record = &user_part_record,
	 .doc = "Display name of From."},
	{"from_user_part", FIELD_OBJECT, .record = &user_part_record,
	 .doc = "User part of From."},
	{"from_host_part", FIELD_OBJECT, .record = &host_part_record,
	 .doc = "Host part of From."},
	{"remote_party_id_called_party_display_name", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "Display name of the called Remote-Party-ID."},
	{"remote_party_id_called_party_user_part", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "User part of the called Remote-Party-ID."},
	{"remote_party_id_called_party_host_part", FIELD_OBJECT,
	 .record = &host_part_record,
	 .doc = "Host part of the called Remote-Party-ID."},
	{"remote_party_id_calling_party_display_name", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "Display name of the calling Remote-Party-ID."},
	{"remote_party_id_calling_party_user_part", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "User part of the calling Remote-Party-ID."},
	{"remote_party_id_calling_party_host_part", FIELD_OBJECT,
	 .record = &host_part_record,
	 .doc = "Host part of the calling Remote-Party-ID."},
	{"p_asserted_identity_display_name", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "Display name of P-Asserted-Identity."},
	{"p_asserted_identity_user_part", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "User part of P-Asserted-Identity."},
	{"p_asserted_identity_host_part", FIELD_OBJECT,
	 .record = &host_part_record,
	 .doc = "Host part of P-Asserted-Identity."},
	{"p_preferred_identify_display_name", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "Display name of P-Preferred-Identity."},
	{"p_preferred_identify_user_part", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "User part of P-Preferred-Identity."},
	{"p_preferred_identify_host_part", FIELD_OBJECT,
	 .record = &host_part_record,
	 .doc = "Host part of P-Preferred-Identity."},
	{"p_called_party_id_display_name", FIELD_OBJECT,
	 .record = &user_part_record,
	 .doc = "Display name of P-Called-Party-ID."},
	{"p_called_party_id_user_part", FIELD_OBJECT,
	 .record = &user_part_record, .doc = "User part of P-Called-Party-ID."},
	{"p_called_party_id_host_part", FIELD_OBJECT,
	 .record = &host_part_record, .doc = "Host part of P-Called-Party-ID."},
	{"privacy_types_supported", FIELD_OBJECT, FIELD_SHORTHAND,
	 .record = &privacy_record,
	 .doc = "Privacy asked of the trunk; a bare value is accepted too."},
};

static const struct record outbound_record = {
	.name = "ProviderOutboundParameters", RECORD_FIELDS(outbound_fields)};

static const struct field fields[] = {
	{"id", FIELD_ID,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "id", .doc = "The trunk's id."},
	{"name", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |
		 FIELD_SEARCH,
	 .min = 1, .max = 64, .column = "name", .doc = "Name of the trunk."},
	{"enabled", FIELD_BOOL, FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .fallback = DEFAULT_BOOL(true), .column = "enabled",
	 .doc = "A disabled trunk neither registers nor carries calls."},
	{"brand", FIELD_STRING,
	 FIELD_IMMUTABLE | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |
		 FIELD_SEARCH,
	 .min = 1, .max = 64, .column = "brand",
	 .doc = "The provider's brand."},
	{"auth_mode", FIELD_ENUM, FIELD_IMMUTABLE | FIELD_FILTER | FIELD_SORT,
	 .choices = &auth_modes, .column = "auth_mode",
	 .doc = "How trunk and Trunkline know each other; left out: "
		"REGISTER_AUTH where "
		"registration is on and auth_id given, else IP_AUTH."},
	{"transport", FIELD_ENUM, FIELD_REQUIRED | FIELD_FILTER | FIELD_SORT,
	 .choices = &transports, .column = "transport",
	 .doc = "SIP transport toward the trunk."},
	{"hostname", FIELD_STRING,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT |
		 FIELD_SEARCH,
	 .min = 1, .max = HOST_CHARS_MAX, .check = check_host,
	 .column = "hostname",
	 .doc = "Host name or IP address of the trunk: its SIP domain."},
	{"port", FIELD_INT,
	 FIELD_REQUIRED | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .max = 65535, .column = "port",
	 .doc = "SIP port of the trunk; 0: found by DNS."},
	{"auth_id", FIELD_STRING, FIELD_FILTER, .max = 64, .column = "auth_id",
	 .doc = "Digest user name."},
	{"username", FIELD_STRING, FIELD_FILTER, .max = 64,
	 .column = "username",
	 .doc = "User part of the address of record, where it differs from "
		"auth_id."},
	{"password", FIELD_STRING, FIELD_SECRET, .max = PASSWORD_CHARS_MAX,
	 .column = "password", .doc = "Digest password; never shown."},
	{"registration", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "registration",
	 .doc = "Whether the trunk has to be registered."},
	{"register_interval", FIELD_INT, FIELD_FILTER, .max = INT32_MAX,
	 .fallback = DEFAULT_INT(600), .column = "register_interval",
	 .doc = "Seconds between registrations."},
	{"outbound_server", FIELD_STRING, FIELD_REQUIRED | FIELD_FILTER,
	 .min = 1, .max = HOST_CHARS_MAX, .check = check_host,
	 .column = "outbound_server",
	 .doc = "Host name or IP address requests are sent to."},
	{"outbound_server_port", FIELD_INT, FIELD_REQUIRED | FIELD_FILTER,
	 .max = 65535, .column = "outbound_server_port",
	 .doc = "Port requests are sent to; 0: found by DNS."},
	{"inlan", FIELD_BOOL, FIELD_FILTER, .fallback = DEFAULT_BOOL(false),
	 .column = "inlan",
	 .doc = "The trunk is in the local network: the private address is "
		"used toward it."},
	{"single_via_header", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "single_via_header",
	 .doc = "Send one Via header only."},
	{"rewrite_via_ip", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "rewrite_via_ip",
	 .doc = "Put the public address in Via."},
	{"verify_port", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "verify_port",
	 .doc = "Know the trunk by address and port; off: by address."},
	{"keep_alive", FIELD_BOOL, FIELD_FILTER, .fallback = DEFAULT_BOOL(true),
	 .column = "keep_alive",
	 .doc = "Send OPTIONS to see whether the trunk is alive."},
	{"keep_alive_interval", FIELD_INT, FIELD_FILTER, .max = INT32_MAX,
	 .fallback = DEFAULT_INT(360), .column = "keep_alive_interval",
	 .doc = "Seconds between keep-alives."},
	{"concurrency", FIELD_INT, FIELD_REQUIRED | FIELD_FILTER | FIELD_SORT,
	 .max = INT32_MAX, .column = "concurrency",
	 .doc = "Concurrent calls at the most."},
	{"additional_ips", FIELD_STRING, FIELD_FILTER, .max = CIDRS_CHARS_MAX,
	 .check = check_cidr_list, .column = "additional_ips",
	 .doc = "Further source addresses: CIDR blocks (RFC 4632, RFC 4291) "
		"joined by ';'."},
	{"adjust_sdp_direction", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "adjust_sdp_direction",
	 .doc = "Adjust the SDP direction when a call is held."},
	{"remove_srtp_info", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(true), .column = "remove_srtp_info",
	 .doc = "Take crypto lines out of the SDP."},
	{"stir_shaken_signature_required", FIELD_BOOL, FIELD_FILTER,
	 .fallback = DEFAULT_BOOL(false),
	 .column = "stir_shaken_signature_required",
	 .doc = "Sign calls to this trunk (STIR/SHAKEN)."},
	{"did_numbers", FIELD_STRING,
	 FIELD_SUMMARY | FIELD_FILTER | FIELD_SEARCH,
	 .max = DID_NUMBERS_CHARS_MAX, .check = check_did_numbers,
	 .column = "did_numbers",
	 .doc = "The DID pool: numbers and ranges joined by ';', e.g. "
		"3000;12000-18000; none starts with 0 or +."},
	{"inbound_parameters", FIELD_OBJECT, .record = &inbound_record,
	 .column = "inbound_parameters",
	 .doc = "How calls from the trunk are read."},
	{"outbound_parameters", FIELD_OBJECT, .record = &outbound_record,
	 .column = "outbound_parameters",
	 .doc = "How calls to the trunk are written."},
	{"shared", FIELD_BOOL,
	 FIELD_READ_ONLY | FIELD_SUMMARY | FIELD_FILTER | FIELD_SORT,
	 .column = "shared", .doc = "The trunk may be assigned to tenants."},
	{"tenant_id", FIELD_ID, FIELD_READ_ONLY | FIELD_SECRET,
	 .column = "tenant_id",
	 .doc = "Whose it is, told to processes of ours; null: the system's."},
	{"created_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_HIDDEN | FIELD_FILTER | FIELD_SORT,
	 .column = "created_at", .doc = "When the trunk was made."},
	{"updated_at", FIELD_TIME,
	 FIELD_READ_ONLY | FIELD_HIDDEN | FIELD_FILTER | FIELD_SORT,
	 .column = "updated_at", .doc = "When the trunk was last changed."},
	/* Sent by clients of v22.3 to v22.6. */
	{"remove_plus_prefix", FIELD_BOOL, FIELD_IGNORED, .doc = "v22.3."},
	{"tel_uri_scheme_for_request_line", FIELD_BOOL, FIELD_IGNORED,
	 .doc = "v22.3."},
	{"tel_uri_scheme_for_to_header", FIELD_BOOL, FIELD_IGNORED,
	 .doc = "v22.3."},
	{"force_outbound_proxy", FIELD_BOOL, FIELD_IGNORED, .doc = "v22.4."},
	{"enable_sdp_codecs", FIELD_BOOL, FIELD_IGNORED, .doc = "v22.6."},
	{"sdp_codecs", FIELD_STRING, FIELD_IGNORED, .doc = "v22.6."},
};

static const struct resource_constraint constraints[] = {
	{"providers_host_auth_id_key", "auth_id",
	 "another trunk has this hostname and auth_id"},
	{"providers_hostname_is_domain", "hostname",
	 "a trunk that registers here must not have the domain of a tenant"},
	{"providers_did_numbers_required", "did_numbers",
	 "is required of a tenant's trunk"},
	{"providers_tenant_id_fkey", NULL, "the tenant is being deleted"},
	{"assignees_provider_id_fkey", NULL,
	 "the trunk is assigned to tenants"},
	{"did_ranges_in_use", "did_numbers", "a number is in use"},
};

/* clang-format on */

const struct record provider_record = {.name = "Provider",
				       RECORD_FIELDS(fields)};

static struct value *member(struct value *values, const char *name)
{
	return &values[record_find(&provider_record, slice_str(name), 0)];
}

enum { MODES_MAX = 4 };

/* Which trunks a caller may make. */
static const struct {
	enum principal_kind who;
	const char *modes[MODES_MAX];
	const char *rule;
	bool pool; /* the DID pool has to be there */
} makers[] = {
	{PRINCIPAL_SYSTEM,
	 {"IP_AUTH", "REGISTER_AUTH", "ACCEPT_REGISTER"},
	 "must be IP_AUTH, REGISTER_AUTH or ACCEPT_REGISTER: others are "
	 "tenants' "
	 "own",
	 false},
	{PRINCIPAL_ADMIN,
	 {"REGISTER_AUTH", "ACCEPT_REGISTER", "TEAMS", "WHATS_APP"},
	 "must be REGISTER_AUTH, ACCEPT_REGISTER, TEAMS or WHATS_APP in a "
	 "tenant's trunk",
	 true},
};

static bool is_one_of(struct slice text, const char *const names[MODES_MAX])
{
	for (size_t i = 0; i < MODES_MAX && names[i]; i++)
		if (slice_is(text, names[i]))
			return true;
	return false;
}

/* An auth_mode that is not said follows from the rest. */
static void complete_mode(struct value *values)
{
	struct value *mode = member(values, "auth_mode");
	const struct value *auth_id = member(values, "auth_id");
	const bool registers = member(values, "registration")->boolean &&
			       auth_id->kind == VALUE_STR &&
			       auth_id->string.size > 0;

	if (mode->kind == VALUE_STR)
		return;
	mode->kind = VALUE_STR;
	mode->string = slice_str(registers ? "REGISTER_AUTH" : "IP_AUTH");
}

/* PortSIP v22, "Configuring SIP Trunk". */
static int complete(struct value *values, const struct principal *who,
		    struct arena *arena, struct err *err)
{
	(void)arena;
	complete_mode(values);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (makers[i].who != principal_acts(who))
			continue;
		if (!is_one_of(member(values, "auth_mode")->string,
			       makers[i].modes))
			err_field(err, "auth_mode", "%s", makers[i].rule);
		if (makers[i].pool &&
		    member(values, "did_numbers")->kind != VALUE_STR)
			err_field(err, "did_numbers",
				  "is required of a tenant's trunk");
	}
	return err->code;
}

/* What a tenant sees of a trunk that is assigned to it: its own share. The
 * trunk's version rises with each of its assignments, too. */
static const struct resource_overlay overlays[] = {
	{"did_numbers", "a.did_numbers"},
	{"concurrency", "a.concurrency"},
};

static const struct resource_loan assigned = {
	.join = "JOIN provider.assignees a ON a.provider_id = t.id",
	.rows = "a.tenant_id = $1",
	.overlays = overlays,
	.overlay_count = sizeof(overlays) / sizeof(overlays[0]),
};

static const struct resource_scope scopes[] = {
	{.who = PRINCIPAL_SYSTEM, .verbs = RESOURCE_ALL},
	{.who = PRINCIPAL_ADMIN,
	 .verbs = RESOURCE_ALL,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.tenant_id = $1",
	 .owner = "tenant_id",
	 .guard = "EXISTS (SELECT FROM tenant.tenants o WHERE o.id = $1 "
		  "AND o.enabled AND o.deleting_at IS NULL "
		  "AND o.enable_feature_trunks)",
	 .loan = &assigned},
	{.who = PRINCIPAL_QUEUE_MANAGER,
	 .verbs = RESOURCE_SEE,
	 .by = RESOURCE_BY_TENANT,
	 .rows = "t.tenant_id = $1",
	 .loan = &assigned},
};

const struct resource provider_resource = {
	.name = "provider",
	.plural = "providers",
	.schema = "provider",
	.table = "providers",
	.record = &provider_record,
	.constraints = constraints,
	.constraint_count = sizeof(constraints) / sizeof(constraints[0]),
	.complete = complete,
	RESOURCE_SCOPES(scopes),
	.audit = "PROVIDER",
	.label = "t.name",
};

static const struct field status_fields[] = {
	{"status", FIELD_ENUM, FIELD_READ_ONLY, .choices = &statuses,
	 .doc = "ONLINE while the trunk is registered or answers."},
};

const struct record provider_status_record = {.name = "ProviderStatus",
					      RECORD_FIELDS(status_fields)};
