#ifndef REGISTRAR_SETTINGS_H
#define REGISTRAR_SETTINGS_H

/* A copy of a struct world_trunk that stays, since the world's own is good for
 * one turn only, and what of it goes on the wire. */

#include "services/common/secrets.h"
#include "services/registrar/world.h"

#include <stdint.h>

struct settings {
	struct world_trunk trunk; /* its texts are in `texts` */
	char *texts;		  /* owned; holds the password */
	size_t size;
};

void settings_init(struct settings *settings, const struct world_trunk *trunk);

/* Wipes. A zeroed struct is fine, and is what it leaves. */
void settings_fini(struct settings *settings);

/* The user of the address of record: `username`, and where that is empty
 * `auth_id`. A "3-way" trunk has both: it is known as username and proves
 * itself as auth_id. */
const char *settings_user(const struct world_trunk *trunk);

/* The digest's user: `auth_id`, and where that is empty `username`. */
const char *settings_auth_user(const struct world_trunk *trunk);

/* Where requests go: outbound_server with its port; hostname and port where
 * there is no outbound_server. */
const char *settings_next_hop(const struct world_trunk *trunk, uint16_t *port);

/* We are to register there. */
bool settings_registers(const struct world_trunk *trunk);

/* What an edit means for a registration. */
enum settings_change {
	SETTINGS_SAME,	 /* nothing of it goes on the wire */
	SETTINGS_RENEW,	 /* the same binding, told anew: credentials, interval
			  */
	SETTINGS_REBIND, /* another binding: the old one is to be removed */
};

enum settings_change settings_compare(const struct world_trunk *was,
				      const struct world_trunk *is);

/* A tag of all that goes on the wire, to be stored: keyed, or whoever reads the
 * store could try passwords against it. */
void settings_tag(const struct world_trunk *trunk,
		  const unsigned char key[SECRETS_TAG_KEY_BYTES],
		  unsigned char tag[SECRETS_TAG_BYTES]);

#endif
