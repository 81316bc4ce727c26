#ifndef REGISTRAR_WORLD_H
#define REGISTRAR_WORLD_H

/*
 * What the other services say there is, as the registrar needs it: SIP
 * transports, the TLS certificate, trunks, and the tenants and users that are
 * phones. It is kept true by services/common/follow.h; a service that is away
 * leaves the last known state.
 *
 * Structs handed out are the world's: good until the callback returns, or until
 * the next turn of the loop where they were looked up. Copy what outlives it.
 */

#include "proto/error.h"
#include "proto/field.h"
#include "services/common/config.h"
#include "services/common/loop.h"
#include "services/common/waiting.h"
#include "services/registrar/phones.h"
#include "services/registrar/sip/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

enum {
	/* Services that were started together are read within this time; SIP
	 * clients ask again meanwhile and so are served at once, where an
	 * answer of 503 would send them away for longer. */
	WORLD_PATIENCE_MS = 3000,
};

enum world_auth {
	WORLD_IP_AUTH,	       /* known by its address; kept alive by OPTIONS */
	WORLD_REGISTER_AUTH,   /* we register there */
	WORLD_ACCEPT_REGISTER, /* it registers here */
	WORLD_NO_SIP,	       /* TEAMS, WHATS_APP: nothing to do */
};

/* A trunk: the fields of proto/resources/providers.c that steer SIP. Texts are
 * NUL-terminated and never NULL: "" where the field is null. */
struct world_trunk {
	int64_t id;
	uint64_t version;
	int64_t tenant_id; /* whose it is; 0: the system's */
	enum world_auth auth;
	bool enabled;
	bool registration;
	enum sip_transport transport;
	const char *name;
	const char *hostname; /* SIP domain; lower case */
	uint16_t port;	      /* 0: by DNS */
	const char *auth_id;
	const char *username; /* user part where it differs from auth_id */
	const char *password; /* in clear: a digest needs it; never logged */
	const char *outbound_server;
	uint16_t outbound_server_port; /* 0: by DNS */
	uint32_t register_interval_s;
	bool inlan;
	bool single_via_header;
	bool rewrite_via_ip;
	bool keep_alive;
	uint32_t keep_alive_interval_s;
};

/* Fills in what values of provider_record say, defaults included; not id,
 * version and tenant_id. Texts are copied to the arena. */
void world_trunk_read(struct world_trunk *trunk, const struct value *values,
		      struct arena *arena);

enum world_verification { WORLD_DISABLE, WORLD_OPTIONAL, WORLD_MANDATORY };

struct world_transport {
	int64_t id;
	uint64_t version;
	enum sip_transport protocol;
	uint16_t port;
	enum world_verification verification;
};

/* Told of each change, after it is in the world; on the loop. */
struct world_listener {
	void (*on_trunk)(void *arg, const struct world_trunk *trunk);
	void (*on_trunk_removed)(void *arg, int64_t id);
	void (*on_transport)(void *arg,
			     const struct world_transport *transport);
	void (*on_transport_removed)(void *arg, int64_t id);
	/* PEM; both "" where none was given yet. */
	void (*on_key)(void *arg, const char *crt, const char *key);
	/* Accounts are no more, or no more at this address of record: what they
	 * had bound is nobody's. */
	void (*on_account_gone)(void *arg, struct slice aor);
	/* All phones of a tenant, likewise. */
	void (*on_tenant_gone)(void *arg, int64_t id);
	/* Trunks, tenants and users were all read once. */
	void (*on_accounts)(void *arg);
	void *arg;
};

/* Starts to follow. ERR_VALIDATE: an address is malformed. */
enum err_code world_new(struct loop *loop, const struct config *config,
			const struct world_listener *listener,
			struct world **out, struct err *err);
void world_free(struct world *world);

/* Trunks and transports were read once: one that is not here does not exist.
 */
bool world_synced(const struct world *world);

const struct world_trunk *world_trunk_get(const struct world *world,
					  int64_t id);

/* Asks for a trunk that is not known: the event that names it may be on its
 * way. False: it cannot be asked for now. As follow_ask(). */
bool world_trunk_ask(struct world *world, int64_t id, waiting_fn *fn,
		     void *arg);

/* Who may register: a trunk of ACCEPT_REGISTER or a tenant's user, enabled. */
struct world_account {
	int64_t trunk_id; /* one of these, the other is 0 */
	int64_t user_id;
	int64_t tenant_id;    /* whose it is; 0: the system's */
	const char *user;     /* of its one address of record, */
	const char *domain;   /* which is its realm too; lower case */
	const char *password; /* "": it cannot register */
};

/* Who proves itself by this name at a realm. False: nobody. O(1). */
bool world_account(const struct world *world, const char *realm,
		   const char *name, struct world_account *out);

/* The account of a user. False: it has none, or is not known yet. */
bool world_user(const struct world *world, int64_t user_id,
		struct world_account *out);

/* Whether a host name is the realm of anything that registers here. */
bool world_realm(const struct world *world, const char *hostname);

/* Whether all accounts of a realm were read once: before that, an unknown one
 * may only be unknown yet. Of a name that is no realm: all there are. */
bool world_complete(const struct world *world, const char *realm);

/* All tenants and users were read once. */
bool world_users_synced(const struct world *world);

/* Whether what is bound to an address of record is still that of the account it
 * was bound for; true also while it is not known. */
bool world_binds(const struct world *world, struct slice aor, int64_t trunk_id,
		 int64_t user_id);

/* Appends the address of record of an account, user@domain. */
void world_aor_append(struct buffer *out, const struct world_account *account);

/* The account of an ACCEPT_REGISTER trunk, whether it is enabled or not. */
struct world_account world_trunk_account(const struct world_trunk *trunk);

size_t world_trunks(const struct world *world);

#endif
