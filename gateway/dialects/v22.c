/* PortSIP PBX v22: documents 000 (Providers) and 004 (Administrations), and
 * the sign-in calls those leave out. */

#include "gateway/dialect.h"
#include "proto/id.h"
#include "proto/resources/assignees.h"
#include "proto/resources/audit.h"
#include "proto/resources/dealers.h"
#include "proto/resources/resources.h"
#include "proto/resources/switch.h"
#include "proto/resources/tenants.h"
#include "proto/resources/users.h"

/* clang-format off */
/* Rows of a resource, by their shape. A create says its lane: one that hashes a
 * password is slow. */
#define LIST(PATH, SERVICE, METHOD, RESOURCE, SUMMARY)                         \
	{ROUTE_GET, (PATH), (SERVICE), (METHOD), ROUTE_LIST, BUS_SLOW,         \
	 .resource = (RESOURCE), .summary = (SUMMARY)}
#define CREATE(PATH, SERVICE, METHOD, LANE, RESOURCE, SUMMARY)                 \
	{ROUTE_POST, (PATH), (SERVICE), (METHOD), ROUTE_CREATE, (LANE),        \
	 .resource = (RESOURCE), .summary = (SUMMARY)}
#define READ(PATH, SERVICE, METHOD, RESOURCE, SUMMARY)                         \
	{ROUTE_GET, (PATH), (SERVICE), (METHOD), ROUTE_READ, BUS_READ,         \
	 .resource = (RESOURCE), .summary = (SUMMARY)}
#define UPDATE(PATH, SERVICE, METHOD, RESOURCE, SUMMARY)                       \
	{ROUTE_POST, (PATH), (SERVICE), (METHOD), ROUTE_UPDATE, BUS_WRITE,     \
	 .resource = (RESOURCE), .summary = (SUMMARY)}
#define DESTROY(PATH, SERVICE, METHOD, RESOURCE, SUMMARY)                      \
	{ROUTE_POST, (PATH), (SERVICE), (METHOD), ROUTE_DESTROY, BUS_WRITE,    \
	 .resource = (RESOURCE), .summary = (SUMMARY)}

static const struct route routes[] = {
	/* Providers */
	LIST("/api/providers", ROUTE_PROVIDER, "provider.list",
	     &provider_resource, "List providers"),
	CREATE("/api/providers", ROUTE_PROVIDER, "provider.create", BUS_WRITE,
	       &provider_resource, "Create a provider"),
	{ROUTE_GET, "/api/providers/export", ROUTE_PROVIDER, "provider.export",
	 ROUTE_EXPORT, BUS_SLOW, .resource = &provider_resource,
	 .summary = "Export providers as CSV"},
	READ("/api/providers/{id}", ROUTE_PROVIDER, "provider.get",
	     &provider_resource, "Get a provider"),
	UPDATE("/api/providers/{id}", ROUTE_PROVIDER, "provider.update",
	       &provider_resource, "Update a provider"),
	DESTROY("/api/providers/{id}/destroy", ROUTE_PROVIDER,
		"provider.destroy", &provider_resource, "Destroy a provider"),
	{ROUTE_GET, "/api/providers/{id}/status", ROUTE_PROVIDER,
	 "provider.status", ROUTE_READ, BUS_READ,
	 .answer = &provider_status_record,
	 .summary = "Get the status of a provider"},

	{ROUTE_GET, "/api/providers/{id}/registration", ROUTE_PROVIDER,
	 "provider.registration", ROUTE_CALL, BUS_READ,
	 .answer = &trunk_registration_record,
	 .summary = "Get all that is known of a trunk's registration"},
	{ROUTE_POST, "/api/providers/{id}/register", ROUTE_PROVIDER,
	 "provider.register", ROUTE_CALL, BUS_READ, ROUTE_EMPTY,
	 .summary = "Register a trunk now"},
	{ROUTE_POST, "/api/providers/test", ROUTE_PROVIDER, "provider.trial",
	 ROUTE_CALL, BUS_SLOW, .body = &provider_record,
	 .answer = &trial_record,
	 .summary = "Try settings of a provider without saving them"},

	/* Whom a trunk is assigned to */
	{ROUTE_GET, "/api/providers/{id}/assignees", ROUTE_PROVIDER,
	 "assignee.list", ROUTE_CALL, BUS_SLOW, ROUTE_BARE_ITEMS,
	 .answer = &assignee_record, .summary = "List provider assignees"},
	{ROUTE_GET, "/api/providers/{id}/assignees/{tenant_id}",
	 ROUTE_PROVIDER, "assignee.get", ROUTE_CALL, BUS_READ,
	 .answer = &assigned_record,
	 .summary = "Check whether a provider is assigned to a tenant"},
	{ROUTE_POST, "/api/providers/{id}/assignees/{tenant_id}",
	 ROUTE_PROVIDER, "assignee.set", ROUTE_CALL, BUS_WRITE,
	 ROUTE_NO_CONTENT, .body = &assigned_record,
	 .summary = "Assign a provider to a tenant"},
	{ROUTE_POST, "/api/providers/{id}/assignees/{tenant_id}/destroy",
	 ROUTE_PROVIDER, "assignee.destroy", ROUTE_CALL, BUS_WRITE,
	 ROUTE_NO_CONTENT, .summary = "Unassign a provider from a tenant"},
	{ROUTE_GET, "/api/dids/{number}", ROUTE_PROVIDER, "did.get",
	 ROUTE_CALL, BUS_READ, .answer = &did_record,
	 .summary = "Get who a DID number is of"},

	/* Transports */
	LIST("/api/transports", ROUTE_TRANSPORT, "transport.list",
	     &transport_resource, "List transports"),
	CREATE("/api/transports", ROUTE_TRANSPORT, "transport.create",
	       BUS_WRITE, &transport_resource, "Create a transport"),
	READ("/api/transports/{id}", ROUTE_TRANSPORT, "transport.get",
	     &transport_resource, "Get a transport"),
	UPDATE("/api/transports/{id}", ROUTE_TRANSPORT, "transport.update",
	       &transport_resource, "Update a transport"),
	DESTROY("/api/transports/{id}/destroy", ROUTE_TRANSPORT,
		"transport.destroy", &transport_resource,
		"Destroy a transport"),
	{ROUTE_GET, "/api/transports/{protocol}/status", ROUTE_REGISTRAR,
	 "registrar.transport_status", ROUTE_CALL, BUS_READ,
	 .answer = &transport_status_record,
	 .summary = "Get the status of the transports of a protocol"},
	{ROUTE_GET, "/api/transports/{id}/detail", ROUTE_REGISTRAR,
	 "registrar.transport_detail", ROUTE_CALL, BUS_READ,
	 .answer = &transport_detail_record,
	 .summary = "Get what a transport listens on and why not"},
	{ROUTE_GET, "/api/registrations", ROUTE_REGISTRAR,
	 "registrar.registrations", ROUTE_CALL, BUS_SLOW, ROUTE_ITEMS,
	 .query = &registration_query_record, .answer = &registration_record,
	 .summary = "List who is registered here"},
	{ROUTE_GET, "/api/key", ROUTE_TRANSPORT, "key.get",
	 ROUTE_CALL, BUS_READ, .answer = &key_answer_record,
	 .summary = "Get the TLS certificate and its key"},
	{ROUTE_POST, "/api/key", ROUTE_TRANSPORT, "key.set",
	 ROUTE_CALL, BUS_WRITE, ROUTE_NO_CONTENT, .body = &key_record,
	 .summary = "Set the TLS certificate and its key"},

	/* Dealers. A create and what sets a password hash: slow */
	LIST("/api/dealers", ROUTE_DEALER, "dealer.list", &dealer_resource,
	     "List dealers"),
	CREATE("/api/dealers", ROUTE_DEALER, "dealer.create", BUS_SLOW,
	       &dealer_resource, "Create a dealer"),
	READ("/api/dealers/{id}", ROUTE_DEALER, "dealer.get", &dealer_resource,
	     "Get a dealer"),
	UPDATE("/api/dealers/{id}", ROUTE_DEALER, "dealer.update",
	       &dealer_resource, "Update a dealer"),
	DESTROY("/api/dealers/{id}/destroy", ROUTE_DEALER, "dealer.destroy",
		&dealer_resource, "Destroy a dealer"),
	{ROUTE_POST, "/api/dealers/{id}/password", ROUTE_DEALER,
	 "dealer.password", ROUTE_CALL, BUS_SLOW, ROUTE_EMPTY,
	 .body = &dealer_password_record,
	 .summary = "Set the password of a dealer"},

	/* The signed-in dealer itself */
	READ("/api/dealer", ROUTE_DEALER, "own_dealer.get",
	     &own_dealer_resource, "Get the signed-in dealer"),
	UPDATE("/api/dealer", ROUTE_DEALER, "own_dealer.update",
	       &own_dealer_resource, "Update the signed-in dealer"),
	{ROUTE_GET, "/api/dealer/status", ROUTE_DEALER, "dealer.status",
	 ROUTE_CALL, BUS_READ, .answer = &dealer_status_record,
	 .summary = "Get what the signed-in dealer has and may have"},
	{ROUTE_POST, "/api/dealer/username", ROUTE_DEALER,
	 "dealer.own_username", ROUTE_CALL, BUS_WRITE, ROUTE_EMPTY,
	 .body = &dealer_own_username_record,
	 .summary = "Change the signed-in dealer's name"},
	{ROUTE_POST, "/api/dealer/password", ROUTE_DEALER,
	 "dealer.own_password", ROUTE_CALL, BUS_SLOW, ROUTE_EMPTY,
	 .body = &dealer_own_password_record,
	 .summary = "Change the signed-in dealer's password"},

	/* Tenants */
	LIST("/api/tenants", ROUTE_TENANT, "tenant.list", &tenant_resource,
	     "List tenants"),
	CREATE("/api/tenants", ROUTE_TENANT, "tenant.create", BUS_WRITE,
	       &tenant_resource, "Create a tenant"),
	READ("/api/tenants/{id}", ROUTE_TENANT, "tenant.get", &tenant_resource,
	     "Get a tenant"),
	UPDATE("/api/tenants/{id}", ROUTE_TENANT, "tenant.update",
	       &tenant_resource, "Update a tenant"),
	DESTROY("/api/tenants/{id}/destroy", ROUTE_TENANT, "tenant.destroy",
		&tenant_resource, "Destroy a tenant with all it owns"),
	{ROUTE_GET, "/api/tenants/{id}/dealers", ROUTE_TENANT,
	 "tenant.dealers", ROUTE_CALL, BUS_READ, ROUTE_BARE_ITEMS,
	 .answer = &tenant_dealer_record,
	 .summary = "Get the dealer a tenant belongs to"},
	{ROUTE_POST, "/api/tenants/{id}/dealers/{dealer_id}", ROUTE_TENANT,
	 "tenant.designate", ROUTE_CALL, BUS_WRITE, ROUTE_EMPTY,
	 .summary = "Give a tenant to a dealer"},
	{ROUTE_POST, "/api/tenants/{id}/dealers/{dealer_id}/destroy",
	 ROUTE_TENANT, "tenant.undesignate", ROUTE_CALL, BUS_WRITE,
	 ROUTE_NO_CONTENT, .summary = "Take a tenant from its dealer"},

	/* The tenant one is of, or acts as */
	READ("/api/tenant", ROUTE_TENANT, "own_tenant.get",
	     &own_tenant_resource, "Get the own tenant"),
	UPDATE("/api/tenant", ROUTE_TENANT, "own_tenant.update",
	       &own_tenant_resource, "Update the own tenant"),
	{ROUTE_GET, "/api/tenant/status", ROUTE_TENANT, "tenant.status",
	 ROUTE_CALL, BUS_READ, .answer = &tenant_status_record,
	 .summary = "Get what the own tenant has and may have"},

	/* Users: a create hashes a password, which is slow */
	LIST("/api/users", ROUTE_TENANT, "user.list", &user_resource,
	     "List users"),
	CREATE("/api/users", ROUTE_TENANT, "user.create", BUS_SLOW,
	       &user_resource, "Create a user"),
	READ("/api/users/{id}", ROUTE_TENANT, "user.get", &user_resource,
	     "Get a user"),
	UPDATE("/api/users/{id}", ROUTE_TENANT, "user.update", &user_resource,
	       "Update a user"),
	DESTROY("/api/users/{id}/destroy", ROUTE_TENANT, "user.destroy",
		&user_resource, "Destroy a user"),
	{ROUTE_POST, "/api/users/{id}/password", ROUTE_TENANT, "user.password",
	 ROUTE_CALL, BUS_SLOW, ROUTE_EMPTY, .body = &user_password_record,
	 .summary = "Set a user's password"},
	{ROUTE_POST, "/api/users/{id}/extension_password", ROUTE_TENANT,
	 "user.extension_password", ROUTE_CALL, BUS_WRITE, ROUTE_EMPTY,
	 .body = &user_password_record,
	 .summary = "Set a user's extension password"},
	{ROUTE_POST, "/api/users/{id}/role", ROUTE_TENANT, "user.role",
	 ROUTE_CALL, BUS_WRITE, ROUTE_EMPTY, .body = &user_role_record,
	 .summary = "Set a user's role"},
	{ROUTE_POST, "/api/users/{id}/profile", ROUTE_TENANT, "user.profile",
	 ROUTE_CALL, BUS_WRITE, ROUTE_EMPTY,
	 .summary = "Give a user's provisioning profile a new id"},
	{ROUTE_GET, "/api/users/{id}/status", ROUTE_TENANT, "user.status",
	 ROUTE_CALL, BUS_READ, .answer = &user_status_record,
	 .summary = "Get the status of a user"},
	{ROUTE_POST, "/api/users/{id}/status/{instance_id}/destroy_status",
	 ROUTE_TENANT, "user.destroy_status", ROUTE_CALL, BUS_WRITE,
	 ROUTE_NO_CONTENT, .summary = "End a registration of a user"},
	{ROUTE_GET, "/api/extension_numbers/{extension_number}", ROUTE_TENANT,
	 "extension_number.get", ROUTE_CALL, BUS_READ,
	 .answer = &extension_number_record,
	 .summary = "Get who has an extension number"},
	READ("/api/tenant/password_policy", ROUTE_TENANT, "password_policy.get",
	     &password_policy_resource,
	     "Get what the passwords of users have to be"),
	UPDATE("/api/tenant/password_policy", ROUTE_TENANT,
	       "password_policy.update", &password_policy_resource,
	       "Set what the passwords of users have to be"),

	/* Acting as a tenant, and who did what */
	{ROUTE_POST, "/api/tenants/switch", ROUTE_SYSTEM, "auth.switch",
	 ROUTE_CALL, BUS_WRITE, ROUTE_TOKEN | ROUTE_EMPTY,
	 .query = &switch_query_record,
	 .summary = "Act as a tenant, or as oneself again"},
	LIST("/api/audit_logs", ROUTE_SYSTEM, "audit.list", &audit_resource,
	     "List the audit log"),

	/* Sign-in: password checks are slow, whoever asks */
	{ROUTE_POST, "/api/auth/sign_in", ROUTE_SYSTEM, "auth.sign_in",
	 ROUTE_CALL, BUS_SLOW, ROUTE_OPEN, .body = &sign_in_record,
	 .answer = &token_set_record, .summary = "Sign in"},
	{ROUTE_POST, "/api/auth/refresh_token", ROUTE_SYSTEM, "auth.refresh",
	 ROUTE_CALL, BUS_WRITE, ROUTE_OPEN, .body = &refresh_record,
	 .answer = &token_set_record,
	 .summary = "Exchange a refresh token for new tokens"},
	{ROUTE_POST, "/api/auth/sign_out", ROUTE_SYSTEM, "auth.sign_out",
	 ROUTE_CALL, BUS_WRITE, ROUTE_TOKEN | ROUTE_EMPTY,
	 .summary = "Sign out"},
	{ROUTE_GET, "/api/auth/user", ROUTE_SYSTEM, "auth.user",
	 ROUTE_CALL, BUS_READ, .answer = &signed_in_user_record,
	 .summary = "Get the signed-in user"},
	{ROUTE_GET, "/api/info", ROUTE_SYSTEM, "info.get",
	 ROUTE_CALL, BUS_READ, ROUTE_OPEN, .query = &info_query_record,
	 .answer = &info_record, .summary = "Get the system's addresses"},
	{ROUTE_POST, "/api/login", ROUTE_SYSTEM, "auth.login",
	 ROUTE_CALL, BUS_SLOW, ROUTE_OPEN | ROUTE_COOKIE,
	 .body = &sign_in_record, .answer = &login_tokens_record,
	 .summary = "Sign in, with a cookie"},
	{ROUTE_GET, "/api/login", ROUTE_SYSTEM, "auth.session",
	 ROUTE_CALL, BUS_READ, ROUTE_TOKEN | ROUTE_COOKIE,
	 .answer = &login_record, .summary = "Get the session"},
	{ROUTE_POST, "/api/logout", ROUTE_SYSTEM, "auth.sign_out",
	 ROUTE_CALL, BUS_WRITE, ROUTE_TOKEN | ROUTE_COOKIE | ROUTE_NO_CONTENT,
	 .summary = "Sign out, ending the cookie"},
	{ROUTE_POST, "/api/login/oauth/token", ROUTE_SYSTEM, "auth.oauth_token",
	 ROUTE_CALL, BUS_SLOW, ROUTE_OPEN | ROUTE_FORM,
	 .body = &oauth_token_record, .answer = &token_set_record,
	 .summary = "Get tokens, as OAuth 2.0"},
	{ROUTE_POST, "/api/login/oauth/revoke", ROUTE_SYSTEM, "auth.sign_out",
	 ROUTE_CALL, BUS_WRITE, ROUTE_TOKEN | ROUTE_EMPTY,
	 .summary = "Revoke the tokens of the session"},

	/* The administrator's own account */
	{ROUTE_POST, "/api/admin/username", ROUTE_SYSTEM, "admin.username",
	 ROUTE_CALL, BUS_WRITE, ROUTE_EMPTY, .body = &admin_username_record,
	 .summary = "Change the administrator's name"},
	{ROUTE_POST, "/api/admin/password", ROUTE_SYSTEM, "admin.password",
	 ROUTE_CALL, BUS_SLOW, ROUTE_EMPTY, .body = &admin_password_record,
	 .summary = "Change the administrator's password"},
};
/* clang-format on */

static void id_append(struct buffer *out, int64_t id)
{
	buffer_append_char(out, '"');
	id_v22_append(out, id);
	buffer_append_char(out, '"');
}

static void detail_append(const struct err *err, struct buffer *out)
{
	for (size_t i = 0; i < err->detail_count; i++) {
		const struct err_detail *detail = &err->details[i];

		buffer_append_str(out, i == 0 ? "{\"field\":" : ",{\"field\":");
		json_append_str(out, slice_str(detail->field));
		buffer_append_str(out, ",\"reason\":");
		json_append_str(out, slice_str(detail->reason));
		buffer_append_char(out, '}');
	}
}

/* {"errors":[{"code","message","detail":[{"field","reason"}]}]} */
static void error_append(const struct err *err, struct buffer *out)
{
	buffer_append_str(out, "{\"errors\":[{\"code\":");
	json_append_str(out, slice_str(err_v22(err->code)));
	buffer_append_str(out, ",\"message\":");
	json_append_str(out, slice_str(err->text));
	if (err->detail_count > 0) {
		buffer_append_str(out, ",\"detail\":[");
		detail_append(err, out);
		buffer_append_char(out, ']');
	}
	buffer_append_str(out, "}]}");
}

const struct dialect dialect_v22 = {
	.name = "v22",
	.prefix = "/api/",
	.routes = routes,
	.route_count = sizeof(routes) / sizeof(*routes),
	.id_append = id_append,
	.id_decode = id_v22_decode,
	.error_append = error_append,
};
