#ifndef PROTO_RESOURCES_DEALERS_H
#define PROTO_RESOURCES_DEALERS_H

/*
 * dealers.c: PortSIP v22 "Dealers" and the signed-in dealer's own calls
 * (document 004).
 */

#include "proto/field.h"

extern const struct resource dealer_resource;
extern const struct resource own_dealer_resource;
extern const struct record dealer_status_record;
extern const struct record dealer_password_record; /* what is sent */
extern const struct record dealer_password_args_record;
extern const struct record dealer_own_username_record;
extern const struct record dealer_own_password_record;

/* Indexes into the values of dealer_resource's record. */
enum {
	DEALER_ID,
	DEALER_ENABLED,
	DEALER_LEVEL,
	DEALER_NAME,
	DEALER_PASSWORD,
	DEALER_EMAIL,
	DEALER_DISPLAY_NAME,
	DEALER_WEBSITE,
	DEALER_PHONE,
	DEALER_ADDRESS,
	DEALER_DESCRIPTION,
	DEALER_MAX_TENANTS,
	DEALER_MAX_EXTENSIONS,
	DEALER_TENANT_FULL_ACCESS,
	DEALER_CREATED_AT,
	DEALER_UPDATED_AT,
	DEALER_FIELDS
};

/* Indexes into the values of the other records. */
enum {
	DEALER_STATUS_VERSION,
	DEALER_STATUS_MAX_DEALERS,
	DEALER_STATUS_CURRENT_DEALERS,
	DEALER_STATUS_MAX_USERS,
	DEALER_STATUS_CURRENT_USERS,
	DEALER_STATUS_MAX_TENANTS,
	DEALER_STATUS_CURRENT_TENANTS,
	DEALER_STATUS_FIELDS
};

enum { DEALER_PASSWORD_PASSWORD, DEALER_PASSWORD_ID, DEALER_PASSWORD_FIELDS };

enum { DEALER_OWN_USERNAME_NAME, DEALER_OWN_USERNAME_FIELDS };

enum {
	DEALER_OWN_PASSWORD_OLD_PASSWORD,
	DEALER_OWN_PASSWORD_NEW_PASSWORD,
	DEALER_OWN_PASSWORD_FIELDS
};

#endif
