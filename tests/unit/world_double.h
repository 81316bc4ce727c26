#ifndef UNIT_WORLD_DOUBLE_H
#define UNIT_WORLD_DOUBLE_H

/* A world (services/registrar/world.h) that says what a test tells it: linked
 * in the place of the one that follows the other services. */

#include "services/registrar/world.h"

enum { WORLD_DOUBLE_TRUNKS = 16 };

struct world {
	bool synced;
	struct world_trunk trunks[WORLD_DOUBLE_TRUNKS];
	size_t count;
	struct phones *phones; /* the test's; or NULL */
};

#endif
