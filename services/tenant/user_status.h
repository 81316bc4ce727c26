#ifndef TENANT_USER_STATUS_H
#define TENANT_USER_STATUS_H

/*
 * Whether a user can be called, as the registrar knows it, for the
 * administrator of its tenant and for the user itself.
 *
 *   user.status {id}                       user_status_record; OFFLINE where
 *                                          the registrar says nothing in time
 *   user.destroy_status {id, instance_id}  nil; ERR_NOT_FOUND where there is
 *                                          no such registration
 *
 * They ask registrar.user_status {id}, answered {status, registration}, and
 * registrar.drop_user_registration {id, instance_id}.
 */

#include "services/common/resource_service.h"

bus_handler_fn user_status;
bus_handler_fn user_destroy_status;

#endif
