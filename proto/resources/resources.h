#ifndef PROTO_RESOURCES_RESOURCES_H
#define PROTO_RESOURCES_RESOURCES_H

/*
 * Every resource and every method's arguments and answer, one file per
 * resource beside this one. Order of fields is the order of the API documents.
 */

#include "proto/field.h"

/* providers.c: PortSIP v22 "Providers" (document 000) */
extern const struct resource provider_resource;
extern const struct record provider_record;
extern const struct record provider_status_record;

/* Indexes into the values of provider_status_record. */
enum { PROVIDER_STATUS_STATUS, PROVIDER_STATUS_FIELDS };

/* transports.c: PortSIP v22 "Transports" and "Key" (document 004) */
extern const struct resource transport_resource;
extern const struct record transport_status_record;
extern const struct record key_record; /* sent: both have to be there */
extern const struct record
	transport_detail_record; /* ours: GET
				  * /api/transports/{id}/detail */
extern const struct record key_answer_record;

/* Indexes into the values of these two. */
enum { KEY_CRT, KEY_KEY, KEY_FIELDS };

/* Indexes into the values of transport_detail_record. */
enum {
	TRANSPORT_DETAIL_ID,
	TRANSPORT_DETAIL_PROTOCOL,
	TRANSPORT_DETAIL_PORT,
	TRANSPORT_DETAIL_STATUS,
	TRANSPORT_DETAIL_REASON,
	TRANSPORT_DETAIL_BOUND,
	TRANSPORT_DETAIL_CONNECTIONS,
	TRANSPORT_DETAIL_PACKETS_IN,
	TRANSPORT_DETAIL_PACKETS_OUT,
	TRANSPORT_DETAIL_DROPPED,
	TRANSPORT_DETAIL_REFUSED,
	TRANSPORT_DETAIL_CERTIFICATE_EXPIRES_AT,
	TRANSPORT_DETAIL_FIELDS
};

/* registrations.c: who is registered here, and what a list of them is asked
 * with */
extern const struct record registration_record;
extern const struct record registration_query_record;
extern const struct record trunk_registration_record;
extern const struct record trial_record; /* POST /api/providers/test */

/* Indexes into the values of these records. */
enum {
	REGISTRATION_ID,
	REGISTRATION_AOR,
	REGISTRATION_TRUNK_ID,
	REGISTRATION_USER_ID,
	REGISTRATION_TENANT_ID,
	REGISTRATION_CONTACT,
	REGISTRATION_RECEIVED,
	REGISTRATION_TRANSPORT,
	REGISTRATION_EXPIRES_IN,
	REGISTRATION_USER_AGENT,
	REGISTRATION_PATH,
	REGISTRATION_INSTANCE_ID,
	REGISTRATION_REG_ID,
	REGISTRATION_REGISTERED_AT,
	REGISTRATION_FIELDS
};

enum {
	REGISTRATION_QUERY_AOR,
	REGISTRATION_QUERY_TRUNK_ID,
	REGISTRATION_QUERY_USER_ID,
	REGISTRATION_QUERY_SKIP,
	REGISTRATION_QUERY_TOP,
	REGISTRATION_QUERY_FIELDS
};

/* Arguments of a method that names one transport protocol. */
extern const struct record transport_protocol_record;

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

/* A create's idempotency_key, which is a header's value. */
enum { IDEMPOTENCY_KEY_BYTES_MAX = 255 };

/* query.c: the arguments of a method that reads one object */
extern const struct record id_record;

/* Indexes into the values of id_record. */
enum { ID_ID, ID_FIELDS };

/* auth.c: sign-in and the administrator's account */
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
