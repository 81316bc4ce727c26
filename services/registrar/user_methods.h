#ifndef REGISTRAR_USER_METHODS_H
#define REGISTRAR_USER_METHODS_H

/*
 * What the tenant service asks of phones: it knows who may see them
 * (services/tenant/user_status.h).
 *
 * A phone that tells no +sip.instance (RFC 5626) is named by 16 hexadecimal
 * digits made of its address of record and Contact: the same for as long as it
 * refreshes that one. Else it is its instance id, without angle brackets.
 */

#include "services/common/bus_server.h"

/* registrar.user_status {id} -> {status, registration: [{instance_id,
 * user_agent, application, ip, enable_push, contact_address}]}. application is
 * the product User-Agent begins with. Of a user that may not register there is
 * nothing. */
void user_status(void *service, struct bus_call *call);

/* registrar.drop_user_registration {id, instance_id}. ERR_NOT_FOUND: the user
 * has no such phone. */
void user_registration_drop(void *service, struct bus_call *call);

/* registrar.tenant_status {id} -> {online_users} */
void user_tenant_status(void *service, struct bus_call *call);

#endif
