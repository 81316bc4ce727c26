#include "gateway/dialect.h"

static const struct dialect *const dialects[] = {&dialect_v22};

enum { DIALECTS = sizeof(dialects) / sizeof(dialects[0]) };

const struct dialect *dialect_of_route(const struct route *route)
{
	for (size_t i = 0; i < DIALECTS; i++) {
		const struct dialect *dialect = dialects[i];

		if (route >= dialect->routes &&
		    route < dialect->routes + dialect->route_count)
			return dialect;
	}
	return NULL;
}

const struct dialect *dialect_of_path(struct slice path)
{
	for (size_t i = 0; i < DIALECTS; i++) {
		if (slice_starts(path, slice_str(dialects[i]->prefix)))
			return dialects[i];
	}
	return dialects[0];
}

void dialects_add(struct router *router)
{
	for (size_t i = 0; i < DIALECTS; i++)
		router_add(router, dialects[i]->routes,
			   dialects[i]->route_count);
}
