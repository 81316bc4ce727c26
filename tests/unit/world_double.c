#include "world_double.h"

#include <string.h>

bool world_synced(const struct world *world)
{
	return world->synced;
}

const struct world_trunk *world_trunk_get(const struct world *world, int64_t id)
{
	for (size_t i = 0; i < world->count; i++)
		if (world->trunks[i].id == id)
			return &world->trunks[i];
	return NULL;
}

static bool accepts(const struct world_trunk *trunk, const char *hostname)
{
	return trunk->enabled && trunk->auth == WORLD_ACCEPT_REGISTER &&
	       strcmp(trunk->hostname, hostname) == 0;
}

const struct world_trunk *world_trunk_accepting(const struct world *world,
						const char *hostname,
						const char *auth_id)
{
	for (size_t i = 0; i < world->count; i++)
		if (accepts(&world->trunks[i], hostname) &&
		    strcmp(world->trunks[i].auth_id, auth_id) == 0)
			return &world->trunks[i];
	return NULL;
}

bool world_realm(const struct world *world, const char *hostname)
{
	for (size_t i = 0; i < world->count; i++)
		if (accepts(&world->trunks[i], hostname))
			return true;
	return false;
}

size_t world_trunks(const struct world *world)
{
	return world->count;
}
