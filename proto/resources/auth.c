/* Sign-in and the administrator's account: PortSIP v22 "Authentication"
 * and its older logins, `/admin/username` and `/admin/password` (document
 * 004). */

#include "proto/resources/resources.h"

#include "proto/resources/checks.h"

enum {
	NAME_CHARS_MAX = 64,
	DOMAIN_CHARS_MAX = 280,
	/* The document has no bound. Longer than any policy allows, short
	 * enough that hashing what was sent costs nothing beside argon2id. */
	PASSWORD_CHARS_MAX = 256,
	/* PortSIP's policy for administrators. */
	POLICY_CHARS_MIN = 8,
	POLICY_CHARS_MAX = 32,
	/* Ours have 48; what else is sent is no token, but not malformed. */
	TOKEN_CHARS_MAX = 512,
	OAUTH_CHARS_MAX = 256, /* scope, client_id: not looked into */
	ROLE_CHARS_MAX = 64,
};

static const struct choices grant_types = CHOICES("password", "refresh_token");

/* clang-format off: tables */

static const struct field sign_in_fields[SIGN_IN_FIELDS] = {
	[SIGN_IN_USERNAME] = {"username", FIELD_STRING, FIELD_REQUIRED,
			      .min = 1, .max = NAME_CHARS_MAX,
			      .doc = "The account's name."},
	[SIGN_IN_PASSWORD] = {"password", FIELD_STRING,
			      FIELD_REQUIRED | FIELD_SECRET,
			      .max = PASSWORD_CHARS_MAX,
			      .doc = "The account's password."},
	[SIGN_IN_DOMAIN] =
		{"domain", FIELD_STRING, .min = 1, .max = DOMAIN_CHARS_MAX,
		 .doc = "SIP domain of the tenant whose user signs in; left "
			"out by administrators and dealers."},
	[SIGN_IN_QR] = {"qr", FIELD_BOOL, .fallback = DEFAULT_BOOL(false),
			.doc = "Whether the name and password were read from a "
			       "QR code; changes nothing here."},
};

static const struct field token_set_fields[TOKEN_SET_FIELDS] = {
	[TOKEN_SET_TOKEN_TYPE] = {"token_type", FIELD_STRING, .max = 16,
				  .doc = "Always Bearer."},
	[TOKEN_SET_ACCESS_TOKEN] =
		{"access_token", FIELD_STRING, .max = TOKEN_CHARS_MAX,
		 .doc = "What to send in the Authorization header."},
	[TOKEN_SET_REFRESH_TOKEN] = {"refresh_token", FIELD_STRING,
				     .max = TOKEN_CHARS_MAX,
				     .doc = "Good for one new pair of tokens."},
	[TOKEN_SET_EXPIRES_IN] =
		{"expires_in", FIELD_INT, .max = INT32_MAX,
		 .doc = "Seconds the access token is good for."},
};

static const struct field login_tokens_fields[LOGIN_TOKENS_FIELDS] = {
	[LOGIN_TOKENS_TOKEN_TYPE] = {"token_type", FIELD_STRING, .max = 16,
				     .doc = "Always Bearer."},
	[LOGIN_TOKENS_ACCESS_TOKEN] =
		{"access_token", FIELD_STRING, .max = TOKEN_CHARS_MAX,
		 .doc = "What to send in the Authorization header."},
	[LOGIN_TOKENS_REFRESH_TOKEN] =
		{"refresh_token", FIELD_STRING, .max = TOKEN_CHARS_MAX,
		 .doc = "Good for one new pair of tokens."},
	[LOGIN_TOKENS_EXPIRES_AT] = {"expires_at", FIELD_TIME,
				     .doc = "When the access token ends."},
	[LOGIN_TOKENS_EXPIRES_IN] =
		{"expires_in", FIELD_INT, .max = INT32_MAX,
		 .doc = "Seconds the access token is good for."},
	[LOGIN_TOKENS_ROLE] = {"role", FIELD_STRING, .min = 1,
			       .max = ROLE_CHARS_MAX,
			       .doc = "The account's role."},
};

static const struct field refresh_fields[REFRESH_FIELDS] = {
	[REFRESH_REFRESH_TOKEN] =
		{"refresh_token", FIELD_STRING, FIELD_REQUIRED | FIELD_SECRET,
		 .max = TOKEN_CHARS_MAX,
		 .doc = "The refresh token of the last answer; it works once."},
};

static const struct field access_token_fields[ACCESS_TOKEN_FIELDS] = {
	[ACCESS_TOKEN_ACCESS_TOKEN] =
		{"access_token", FIELD_STRING, FIELD_SECRET,
		 .max = TOKEN_CHARS_MAX,
		 .doc = "The caller's own access token, added by the gateway."},
};

static const struct field oauth_token_fields[OAUTH_TOKEN_FIELDS] = {
	[OAUTH_TOKEN_GRANT_TYPE] =
		{"grant_type", FIELD_ENUM, FIELD_REQUIRED,
		 .choices = &grant_types,
		 .doc = "Whether a password or a refresh token is shown."},
	[OAUTH_TOKEN_USERNAME] =
		{"username", FIELD_STRING, .min = 1, .max = NAME_CHARS_MAX,
		 .doc = "grant_type password: the account's name."},
	[OAUTH_TOKEN_PASSWORD] =
		{"password", FIELD_STRING, FIELD_SECRET,
		 .max = PASSWORD_CHARS_MAX,
		 .doc = "grant_type password: the account's password."},
	[OAUTH_TOKEN_SCOPE] = {"scope", FIELD_STRING, .max = OAUTH_CHARS_MAX,
			       .doc = "all; any text is taken for it."},
	[OAUTH_TOKEN_CLIENT_ID] = {"client_id", FIELD_STRING,
				   .max = OAUTH_CHARS_MAX,
				   .doc = "The application; not looked at, as "
					  "every client has the same."},
	[OAUTH_TOKEN_DOMAIN] = {"domain", FIELD_STRING, .min = 1,
				.max = DOMAIN_CHARS_MAX,
				.doc = "grant_type password: SIP domain of the "
				       "tenant whose user signs in."},
	[OAUTH_TOKEN_REFRESH_TOKEN] =
		{"refresh_token", FIELD_STRING, FIELD_SECRET,
		 .max = TOKEN_CHARS_MAX,
		 .doc = "grant_type refresh_token: the refresh token of the "
			"last answer."},
};

static const struct field signed_in_user_fields[SIGNED_IN_USER_FIELDS] = {
	[SIGNED_IN_USER_ROLE] = {"role", FIELD_STRING, .min = 1,
				 .max = ROLE_CHARS_MAX,
				 .doc = "The account's role."},
	[SIGNED_IN_USER_PASSWORD_VERIFIED] =
		{"password_verified", FIELD_BOOL,
		 .fallback = DEFAULT_BOOL(true),
		 .doc = "Whether the session began with a password; always "
			"true."},
	[SIGNED_IN_USER_PASSWORD_FORCE_RESET] =
		{"password_force_reset", FIELD_BOOL,
		 .fallback = DEFAULT_BOOL(false),
		 .doc = "Whether the first password has to be changed; always "
			"false."},
};

static const struct field login_fields[LOGIN_FIELDS] = {
	[LOGIN_ACCESS_TOKEN] = {"access_token", FIELD_STRING,
				.max = TOKEN_CHARS_MAX,
				.doc = "The session's access token."},
	[LOGIN_EXPIRES_AT] = {"expires_at", FIELD_TIME, .doc = "When it ends."},
	[LOGIN_EXPIRES_IN] = {"expires_in", FIELD_INT, .max = INT32_MAX,
			      .doc = "Seconds until it ends."},
	[LOGIN_ROLE] = {"role", FIELD_STRING, .min = 1, .max = ROLE_CHARS_MAX,
			.doc = "The account's role."},
};

static const struct field info_query_fields[INFO_QUERY_FIELDS] = {
	[INFO_QUERY_DOMAIN] =
		{"domain", FIELD_STRING, .min = 1, .max = DOMAIN_CHARS_MAX,
		 .doc = "SIP domain of the tenant to tell about too."},
};

static const struct field info_fields[INFO_FIELDS] = {
	[INFO_WEB_DOMAIN] = {"web_domain", FIELD_STRING, .max = 255,
			     .doc = "Domain of the web portal."},
	[INFO_PRIVATE_IPV4] = {"private_ipv4", FIELD_STRING, .max = 15,
			       .doc = "The machine's own IPv4 address."},
	[INFO_PUBLIC_IPV4] =
		{"public_ipv4", FIELD_STRING, .max = 15,
		 .doc = "The IPv4 address it is reached by from outside."},
	[INFO_ENABLE_IPV6] = {"enable_ipv6", FIELD_BOOL,
			      .fallback = DEFAULT_BOOL(true),
			      .doc = "Whether it has an IPv6 address."},
	[INFO_PRIVATE_IPV6] = {"private_ipv6", FIELD_STRING, .max = 45,
			       .doc = "The machine's own IPv6 address."},
	[INFO_PUBLIC_IPV6] =
		{"public_ipv6", FIELD_STRING, .max = 45,
		 .doc = "The IPv6 address it is reached by from outside."},
	[INFO_PRIMARY_DNS_SERVER] = {"primary_dns_server", FIELD_STRING,
				     .max = 45,
				     .doc = "The first DNS server it asks."},
	[INFO_SECONDARY_DNS_SERVER] = {"secondary_dns_server", FIELD_STRING,
				       .max = 45,
				       .doc = "The second DNS server it asks."},
	[INFO_NAME] = {"name", FIELD_STRING, .min = 1, .max = 1024,
		       .doc = "The tenant's name."},
	[INFO_DOMAIN] = {"domain", FIELD_STRING, .min = 1,
			 .max = DOMAIN_CHARS_MAX,
			 .doc = "The tenant's SIP domain."},
	[INFO_WEBSITE] = {"website", FIELD_STRING, .max = 255,
			  .doc = "The tenant's web site."},
	[INFO_AVATAR_URL] = {"avatar_url", FIELD_STRING, .max = 255,
			     .doc = "Path of the tenant's picture."},
	[INFO_ENABLE_MS365_INTEGRATION] =
		{"enable_ms365_integration", FIELD_BOOL,
		 .doc = "Whether the tenant's users may sign in by Microsoft "
			"365."},
	[INFO_MS365_AUTHORIZATION_ENDPOINT] = {"ms365_authorization_endpoint",
					       FIELD_STRING, .max = 1024,
					       .doc = "Where they do."},
};

static const struct field admin_username_fields[ADMIN_USERNAME_FIELDS] = {
	[ADMIN_USERNAME_NAME] = {"name", FIELD_STRING, FIELD_REQUIRED, .min = 1,
				 .max = NAME_CHARS_MAX,
				 .check = check_admin_name,
				 .doc = "The new name: letters, digits and _ - "
					"' . with no period at either end."},
};

static const struct field admin_password_fields[ADMIN_PASSWORD_FIELDS] = {
	[ADMIN_PASSWORD_OLD_PASSWORD] = {"old_password", FIELD_STRING,
					 FIELD_REQUIRED | FIELD_SECRET,
					 .max = PASSWORD_CHARS_MAX,
					 .doc = "The password as it is."},
	[ADMIN_PASSWORD_NEW_PASSWORD] =
		{"new_password", FIELD_STRING, FIELD_REQUIRED | FIELD_SECRET,
		 .min = POLICY_CHARS_MIN, .max = POLICY_CHARS_MAX,
		 .doc = "The password as it shall be; every session of the "
			"account ends."},
};

/* clang-format on */

const struct record sign_in_record = {.name = "SignIn",
				      RECORD_FIELDS(sign_in_fields)};
const struct record token_set_record = {.name = "TokenSet",
					RECORD_FIELDS(token_set_fields)};
const struct record login_tokens_record = {.name = "LoginTokens",
					   RECORD_FIELDS(login_tokens_fields)};
const struct record refresh_record = {.name = "RefreshToken",
				      RECORD_FIELDS(refresh_fields)};
const struct record access_token_record = {.name = "AccessToken",
					   RECORD_FIELDS(access_token_fields)};
const struct record oauth_token_record = {.name = "OAuthToken",
					  RECORD_FIELDS(oauth_token_fields)};
const struct record signed_in_user_record = {
	.name = "SignedInUser", RECORD_FIELDS(signed_in_user_fields)};
const struct record login_record = {.name = "Login",
				    RECORD_FIELDS(login_fields)};
const struct record info_query_record = {.name = "InfoQuery",
					 RECORD_FIELDS(info_query_fields)};
const struct record info_record = {.name = "Info", RECORD_FIELDS(info_fields)};
const struct record admin_username_record = {
	.name = "AdminUsername", RECORD_FIELDS(admin_username_fields)};
const struct record admin_password_record = {
	.name = "AdminPassword", RECORD_FIELDS(admin_password_fields)};
