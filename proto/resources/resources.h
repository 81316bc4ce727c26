#ifndef PROTO_RESOURCES_RESOURCES_H
#define PROTO_RESOURCES_RESOURCES_H

/*
 * Every resource and every method's arguments and answer, one file per
 * resource beside this one. Order of fields is the order of the API documents.
 */

#include "proto/field.h"

/* providers.c: PortSIP v22 "Providers" (document 000) */
extern const struct resource provider_resource;
extern const struct record provider_status_record;

/* Indexes into the values of provider_status_record. */
enum { PROVIDER_STATUS_STATUS, PROVIDER_STATUS_FIELDS };

/* transports.c: PortSIP v22 "Transports" and "Key" (document 004) */
extern const struct resource transport_resource;
extern const struct record transport_status_record;
extern const struct record key_record;

/* Indexes into the values of key_record. */
enum { KEY_CRT, KEY_KEY, KEY_FIELDS };

/* query.c: the options of every list */
extern const struct record query_record;

/* Indexes into the values of query_record. */
enum {
	QUERY_FILTER,
	QUERY_ORDERBY,
	QUERY_SEARCH,
	QUERY_SKIP,
	QUERY_TOP,
	QUERY_COUNT,
	QUERY_AFTER, /* export: the id the last page ended with */
	QUERY_FIELDS
};

/* query.c: the arguments of a method that reads one object */
extern const struct record id_record;

/* Indexes into the values of id_record. */
enum { ID_ID, ID_FIELDS };

/* auth.c: sign-in (portsip-v22-facts, 2) and the administrator's account */
extern const struct record sign_in_record;
extern const struct record oauth_token_record;
extern const struct record refresh_record;
extern const struct record access_token_record; /* what ROUTE_TOKEN adds */
extern const struct record admin_username_record;
extern const struct record admin_password_record;
extern const struct record info_query_record;

/* Answers: of every sign-in, of POST /api/login in its place, of GET
 * /api/login, GET /api/auth/user and GET /api/info. */
extern const struct record token_set_record;
extern const struct record login_tokens_record;
extern const struct record login_record;
extern const struct record signed_in_user_record;
extern const struct record info_record;

/* Indexes into the values of these records. */
enum {
	SIGN_IN_USERNAME,
	SIGN_IN_PASSWORD,
	SIGN_IN_DOMAIN,
	SIGN_IN_QR,
	SIGN_IN_FIELDS
};

enum {
	TOKEN_SET_TOKEN_TYPE,
	TOKEN_SET_ACCESS_TOKEN,
	TOKEN_SET_REFRESH_TOKEN,
	TOKEN_SET_EXPIRES_IN,
	TOKEN_SET_FIELDS
};

enum {
	LOGIN_TOKENS_TOKEN_TYPE,
	LOGIN_TOKENS_ACCESS_TOKEN,
	LOGIN_TOKENS_REFRESH_TOKEN,
	LOGIN_TOKENS_EXPIRES_AT,
	LOGIN_TOKENS_EXPIRES_IN,
	LOGIN_TOKENS_ROLE,
	LOGIN_TOKENS_FIELDS
};

enum { REFRESH_REFRESH_TOKEN, REFRESH_FIELDS };

enum { ACCESS_TOKEN_ACCESS_TOKEN, ACCESS_TOKEN_FIELDS };

enum {
	OAUTH_TOKEN_GRANT_TYPE,
	OAUTH_TOKEN_USERNAME,
	OAUTH_TOKEN_PASSWORD,
	OAUTH_TOKEN_SCOPE,
	OAUTH_TOKEN_CLIENT_ID,
	OAUTH_TOKEN_DOMAIN,
	OAUTH_TOKEN_REFRESH_TOKEN,
	OAUTH_TOKEN_FIELDS
};

enum {
	SIGNED_IN_USER_ROLE,
	SIGNED_IN_USER_PASSWORD_VERIFIED,
	SIGNED_IN_USER_PASSWORD_FORCE_RESET,
	SIGNED_IN_USER_FIELDS
};

enum {
	LOGIN_ACCESS_TOKEN,
	LOGIN_EXPIRES_AT,
	LOGIN_EXPIRES_IN,
	LOGIN_ROLE,
	LOGIN_FIELDS
};

enum { INFO_QUERY_DOMAIN, INFO_QUERY_FIELDS };

enum {
	INFO_WEB_DOMAIN,
	INFO_PRIVATE_IPV4,
	INFO_PUBLIC_IPV4,
	INFO_ENABLE_IPV6,
	INFO_PRIVATE_IPV6,
	INFO_PUBLIC_IPV6,
	INFO_PRIMARY_DNS_SERVER,
	INFO_SECONDARY_DNS_SERVER,
	INFO_NAME,
	INFO_DOMAIN,
	INFO_WEBSITE,
	INFO_AVATAR_URL,
	INFO_ENABLE_MS365_INTEGRATION,
	INFO_MS365_AUTHORIZATION_ENDPOINT,
	INFO_FIELDS
};

enum { ADMIN_USERNAME_NAME, ADMIN_USERNAME_FIELDS };

enum {
	ADMIN_PASSWORD_OLD_PASSWORD,
	ADMIN_PASSWORD_NEW_PASSWORD,
	ADMIN_PASSWORD_FIELDS
};

#endif
