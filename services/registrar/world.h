#ifndef REGISTRAR_WORLD_H
#define REGISTRAR_WORLD_H

/*
 * What the other services say there is, as the registrar needs it: SIP
 * transports, the TLS certificate, trunks. It is kept true by
 * services/common/follow.h; a service that is away leaves the last known state.
 *
 * Structs handed out are the world's: good until the callback returns, or until
 * the next turn of the loop where they were looked up. Copy what outlives it.
 */

#include "proto/error.h"
#include "proto/field.h"
#include "services/common/config.h"
#include "services/common/loop.h"
#include "services/registrar/sip/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

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

/* Fills in what values of provider_record say, defaults included; not id and
 * version. Texts are copied to the arena. */
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
	void *arg;
};

/* Starts to follow. ERR_VALIDATE: an address is malformed. */
enum err_code world_new(struct loop *loop, const struct config *config,
			const struct world_listener *listener,
			struct world **out, struct err *err);
void world_free(struct world *world);

/* Everything was read once: a trunk that is not here does not exist. Before
 * that, an unknown trunk may only be unknown yet. */
bool world_synced(const struct world *world);

const struct world_trunk *world_trunk_get(const struct world *world,
					  int64_t id);

/* The enabled ACCEPT_REGISTER trunk that registers as auth_id at a host name
 * (its realm); NULL: none. O(1). */
const struct world_trunk *world_trunk_accepting(const struct world *world,
						const char *hostname,
						const char *auth_id);

/* Whether a host name is the realm of anything that registers here. */
bool world_realm(const struct world *world, const char *hostname);

size_t world_trunks(const struct world *world);

#endif
