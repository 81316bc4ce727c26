#include "services/registrar/known.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	PLACES_FIRST = 1024, /* a power of two */

	/* Of four places three are taken at most: a search then takes some
	 * eight steps where nothing is found. */
	TAKEN_OF_FOUR = 3,
};

struct entry {
	uint64_t aor;
	struct known_binding binding; /* registered_at 0: dropped */
};

static_assert(sizeof(struct entry) == 24, "the memory known.h tells of");

struct known {
	struct entry *entries; /* aor 0 and registered_at 0: free */
	size_t places;
	size_t taken; /* dropped ones too: others lie behind them */
};

static void begin(struct known *known, size_t places)
{
	known->places = places;
	known->entries = mem_alloc(places * sizeof(*known->entries));
	known->taken = 0;
}

struct known *known_new(void)
{
	struct known *known = mem_alloc(sizeof(*known));

	begin(known, PLACES_FIRST);
	return known;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	free(known->entries);
	free(known);
}

/* 0 is what a free place has. */
static uint64_t name_of(uint64_t aor)
{
	return aor ? aor : 1;
}

/* The entry of this name, or the free place where it would be. */
static struct entry *look(const struct known *known, uint64_t name)
{
	size_t at = name & (known->places - 1);

	while (known->entries[at].aor != 0 && known->entries[at].aor != name)
		at = (at + 1) & (known->places - 1);
	return &known->entries[at];
}

static bool is_known(const struct entry *entry)
{
	return entry->binding.registered_at != 0;
}

struct known_binding *known_find(struct known *known, uint64_t aor)
{
	struct entry *entry = look(known, name_of(aor));

	return is_known(entry) ? &entry->binding : NULL;
}

static void take(struct known *known, const struct entry *entry)
{
	*look(known, entry->aor) = *entry;
	known->taken++;
}

/* Twice the places, unless it is the dropped ones that fill them. */
static void make_room(struct known *known)
{
	const struct known old = *known;
	size_t kept = 0;

	for (size_t i = 0; i < old.places; i++)
		kept += is_known(&old.entries[i]);
	begin(known, 2 * kept > old.places ? 2 * old.places : old.places);
	for (size_t i = 0; i < old.places; i++)
		if (is_known(&old.entries[i]))
			take(known, &old.entries[i]);
	free(old.entries);
}

void known_put(struct known *known, uint64_t aor,
	       const struct known_binding *binding)
{
	const struct entry entry = {.aor = name_of(aor), .binding = *binding};
	struct entry *found = look(known, entry.aor);

	assert(is_known(&entry));
	if (found->aor != 0) {
		*found = entry;
		return;
	}
	if (known->taken == KNOWN_MAX)
		known_clear(known);
	if (4 * (known->taken + 1) > TAKEN_OF_FOUR * known->places)
		make_room(known);
	take(known, &entry);
}

size_t known_count(const struct known *known)
{
	return known->taken;
}

void known_drop(struct known *known, uint64_t aor)
{
	look(known, name_of(aor))->binding.registered_at = 0;
}

/* With several registrars it may be cleared a thousand times a second: what is
 * large is given back, not wiped. */
void known_clear(struct known *known)
{
	if (known->taken == 0)
		return;
	free(known->entries);
	begin(known, PLACES_FIRST);
}
