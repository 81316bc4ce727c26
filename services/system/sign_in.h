#ifndef SYSTEM_SIGN_IN_H
#define SYSTEM_SIGN_IN_H

/* A sign-in: from a name and a password to a pair of tokens. */

#include "services/common/session.h"
#include "services/system/account.h"

/* Answers a good sign-in's call. tokens are wiped afterwards. */
typedef void sign_in_reply_fn(struct bus_call *call,
			      const struct session_tokens *tokens,
			      const struct principal *principal);

struct sign_in_request {
	struct slice name;
	struct slice password;
	struct slice domain; /* absent: of no tenant */
	sign_in_reply_fn *reply;
};

/* Answers the call, whatever comes of it. The texts are views into its
 * request. */
void sign_in_run(struct system *system, struct bus_call *call,
		 const struct sign_in_request *request);

#endif
