#include "services/common/database_internal.h"

#include "proto/mem.h"

#include <stdlib.h>
#include <string.h>

/* Where the name is, or would be. */
static size_t position(const struct database_prepared *prepared,
		       const char *name)
{
	size_t low = 0;
	size_t high = prepared->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(prepared->names[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *database_prepared_find(const struct database_prepared *prepared,
				   const char *name)
{
	size_t at = position(prepared, name);

	if (at == prepared->count || strcmp(prepared->names[at], name) != 0)
		return NULL;
	return prepared->names[at];
}

const char *database_prepared_add(struct database_prepared *prepared,
				  const char *name)
{
	size_t at = position(prepared, name);
	char **place = &prepared->names[at];

	if (prepared->count == DATABASE_PREPARED_MAX)
		return NULL;
	memmove(place + 1, place, (prepared->count - at) * sizeof(*place));
	*place = mem_strdup(name);
	prepared->count++;
	return *place;
}

void database_prepared_remove(struct database_prepared *prepared,
			      const char *copy)
{
	size_t at = position(prepared, copy);
	char **place = &prepared->names[at];

	free(*place);
	prepared->count--;
	memmove(place, place + 1, (prepared->count - at) * sizeof(*place));
}

void database_prepared_clear(struct database_prepared *prepared)
{
	for (size_t i = 0; i < prepared->count; i++)
		free(prepared->names[i]);
	prepared->count = 0;
}
