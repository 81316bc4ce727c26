#ifndef COMMON_SESSION_H
#define COMMON_SESSION_H

/*
 * Sign-in sessions in Redis: who a token stands for. Only digests of tokens
 * are kept (secrets_token_digest), so that a copy of Redis opens nothing.
 *
 *   session:<digest of access token>   msgpack [principal, expires_at,
 *                                      refresh digest]; TTL SESSION_ACCESS_S
 *   refresh:<digest of refresh token>  msgpack [principal, access digest];
 *                                      TTL SESSION_REFRESH_S
 *   sessions:<id>                      sorted set of both keys by when they
 *                                      end: one for each id of the principal
 *                                      (its own, its tenant's, its dealer's),
 *                                      so that a changed password, a disabled
 *                                      tenant or dealer ends them all
 *
 * Every change is one script, hence atomic: a refresh token works once. Values
 * that cannot be read count as absent.
 */

#include "proto/principal.h"
#include "services/common/cache.h"
#include "services/common/secrets.h"

#include <stdint.h>

enum {
	SESSION_ACCESS_S = 1800,	    /* what PortSIP v22 gives */
	SESSION_REFRESH_S = 14 * 24 * 3600, /* likewise */
};

struct session {
	struct principal principal;
	int64_t expires_at; /* seconds since 1970 UTC */
};

/* A pair of tokens, to be shown once. */
struct session_tokens {
	char access[SECRETS_TOKEN_BYTES];
	char refresh[SECRETS_TOKEN_BYTES];
	int64_t expires_at;
};

/* session is NULL unless code is ERR_OK and good until the function returns.
 * ERR_UNAUTHORIZED: no such token, or it has expired. ERR_UNAVAILABLE: Redis is
 * away. */
typedef void session_get_fn(void *arg, const struct session *session,
			    enum err_code code);

/* tokens is NULL unless code is ERR_OK, and wiped after the function returns.
 * ERR_REFRESH: unknown refresh token. ERR_UNAVAILABLE: nothing was done.
 * ERR_LOST, ERR_DEADLINE: it may have been. ERR_INTERNAL: Redis refused it. */
typedef void session_tokens_fn(void *arg, const struct session_tokens *tokens,
			       enum err_code code);

/* code is one of the last four, or ERR_OK. */
typedef void session_done_fn(void *arg, enum err_code code);

/* Whom an access token stands for. Callbacks never run from within. */
void session_get(struct cache *cache, struct slice access_token,
		 uint32_t deadline_ms, session_get_fn *done, void *arg);

/* Makes a pair of tokens for a principal whose password was proved. */
void session_create(struct cache *cache, const struct principal *principal,
		    uint32_t deadline_ms, session_tokens_fn *done, void *arg);

/* A new pair for an old one; both old tokens are dead afterwards. */
void session_refresh(struct cache *cache, struct slice refresh_token,
		     uint32_t deadline_ms, session_tokens_fn *done, void *arg);

/* Ends the session of an access token, its refresh token too. Ending what is
 * not there is good. */
void session_end(struct cache *cache, struct slice access_token,
		 uint32_t deadline_ms, session_done_fn *done, void *arg);

/* The same session from now on acts as a tenant (0: as itself again): both
 * tokens stay, and their life goes on as it was. ERR_UNAUTHORIZED: no such
 * session. */
void session_act_as(struct cache *cache, struct slice access_token,
		    int64_t tenant_id, uint32_t deadline_ms,
		    session_done_fn *done, void *arg);

/* What the caller of a change is told where session_end_...() failed after it:
 * half of it was done, and it has to know which half. Returns ERR_LOST. */
enum err_code session_end_unknown(struct err *err);

/* Ends every session that there is when it is called, and those made from them
 * meanwhile, of a principal, or of all of a tenant or a dealer: ids are those
 * of trunkline.next_id(), unique over all of them. */
void session_end_all(struct cache *cache, int64_t id, uint32_t deadline_ms,
		     session_done_fn *done, void *arg);

/* Of these, only those that act as a tenant (0: all): those of a dealer who has
 * lost it. One that is refreshed meanwhile may be passed over: who refreshes
 * looks whether it may still act. */
void session_end_acting(struct cache *cache, int64_t id, int64_t tenant_id,
			uint32_t deadline_ms, session_done_fn *done, void *arg);

#endif
