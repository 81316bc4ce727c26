#ifndef PROTO_RESOURCES_USERS_H
#define PROTO_RESOURCES_USERS_H

/* users.c: PortSIP v22 "Users", "Extension numbers" and the password policy of
 * a tenant. */

#include "proto/field.h"

extern const struct resource user_resource;

/* A tenant's own: its id is the tenant's. */
extern const struct resource password_policy_resource;

/* Bodies; the arguments of the methods have the user's id beside. */
extern const struct record user_password_record;
extern const struct record user_role_record;
extern const struct record user_password_args_record;
extern const struct record user_role_args_record;

/* Arguments of user.destroy_status and extension_number.get. */
extern const struct record user_registration_args_record;
extern const struct record extension_number_args_record;

/* Answers of user.status and extension_number.get. */
extern const struct record user_status_record;
extern const struct record extension_number_record;

/* Indexes into the values of these records. */
enum { USER_PASSWORD_ID, USER_PASSWORD_PASSWORD, USER_PASSWORD_FIELDS };

enum { USER_ROLE_ID, USER_ROLE_ROLE, USER_ROLE_FIELDS };

enum {
	USER_REGISTRATION_ID,
	USER_REGISTRATION_INSTANCE_ID,
	USER_REGISTRATION_FIELDS
};

enum { EXTENSION_NUMBER_ARGS_EXTENSION_NUMBER, EXTENSION_NUMBER_ARGS_FIELDS };

enum {
	EXTENSION_NUMBER_ID,
	EXTENSION_NUMBER_EXTENSION_NUMBER,
	EXTENSION_NUMBER_NAME,
	EXTENSION_NUMBER_TYPE,
	EXTENSION_NUMBER_FIELDS
};

#endif
