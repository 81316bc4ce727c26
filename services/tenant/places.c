#include "services/tenant/places.h"

#include "proto/arena.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* The largest of the files has some 110 kB. */
	FILE_BYTES_MAX = 4 << 20,
};

/* Names in order. */
struct names {
	struct slice *items;
	size_t count, capacity;
};

enum { ZONES, CURRENCIES, REGIONS, KINDS };

struct places {
	struct arena arena;
	struct names kinds[KINDS];
};

static void add(struct places *places, int kind, struct slice name)
{
	struct names *names = &places->kinds[kind];

	if (names->count == names->capacity) {
		names->capacity = names->capacity ? names->capacity * 2 : 256;
		names->items = mem_resize(
			names->items, names->capacity * sizeof(*names->items));
	}
	names->items[names->count++] =
		slice_of(arena_strdup(&places->arena, name), name.size);
}

static int by_name(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	const size_t size = x->size < y->size ? x->size : y->size;
	const int order = memcmp(x->data, y->data, size);

	return order ? order : (x->size > y->size) - (x->size < y->size);
}

static bool has(const struct places *places, int kind, struct slice name)
{
	const struct names *names = &places->kinds[kind];

	return bsearch(&name, names->items, names->count, sizeof(*names->items),
		       by_name);
}

/* Cuts the text up to the separator off the front of *rest. */
static struct slice cut(struct slice *rest, char separator)
{
	const char *end = memchr(rest->data, separator, rest->size);
	const size_t size = end ? (size_t)(end - rest->data) : rest->size;
	const struct slice part = slice_of(rest->data, size);

	rest->data += size + (end ? 1 : 0);
	rest->size -= size + (end ? 1 : 0);
	return part;
}

/* tzdata.zi, the time zone database as zic compiles it: "Z name ..." begins a
 * zone, "L target name" is another name of one. */
static bool take_zones(struct places *places, int kind, struct slice text)
{
	while (text.size > 0) {
		struct slice line = cut(&text, '\n');
		const struct slice key = cut(&line, ' ');

		if (slice_is(key, "L"))
			cut(&line, ' ');
		if (slice_is(key, "L") || slice_is(key, "Z"))
			add(places, kind, cut(&line, ' '));
	}
	return places->kinds[kind].count > 0;
}

/* {"4217": [{"alpha_3": "AED", ...}, ...]} */
static bool take_codes(struct places *places, int kind, struct slice text)
{
	struct buffer wire = {0};
	struct reader reader;
	struct err err;

	json_to_msgpack(text, &wire, &err);
	reader_init(&reader, buffer_slice(&wire));
	reader_map(&reader);
	reader_str(&reader);
	for (uint32_t n = reader_array(&reader); n > 0; n--)
		for (uint32_t m = reader_map(&reader); m > 0; m--) {
			if (slice_is(reader_str(&reader), "alpha_3"))
				add(places, kind, reader_str(&reader));
			else
				reader_value(&reader);
		}
	const bool good = reader_done(&reader);

	buffer_fini(&wire);
	return good && places->kinds[kind].count > 0;
}

static const struct {
	const char *path;
	bool (*take)(struct places *places, int kind, struct slice text);
} sources[KINDS] = {
	[ZONES] = {"/usr/share/zoneinfo/tzdata.zi", take_zones},
	[CURRENCIES] = {"/usr/share/iso-codes/json/iso_4217.json", take_codes},
	[REGIONS] = {"/usr/share/iso-codes/json/iso_3166-1.json", take_codes},
};

static bool read_file(const char *path, struct buffer *out)
{
	FILE *file = fopen(path, "re");
	bool good = file;

	while (good && !feof(file) && out->size < FILE_BYTES_MAX) {
		enum { PIECE_BYTES = 65536 };

		out->size += fread(buffer_reserve(out, PIECE_BYTES), 1,
				   PIECE_BYTES, file);
		good = !ferror(file);
	}
	if (file)
		fclose(file);
	return good;
}

static bool load(struct places *places, int kind)
{
	struct names *names = &places->kinds[kind];
	struct buffer text = {0};
	const bool good = read_file(sources[kind].path, &text) &&
			  sources[kind].take(places, kind, buffer_slice(&text));

	buffer_fini(&text);
	if (good)
		qsort(names->items, names->count, sizeof(*names->items),
		      by_name);
	return good;
}

enum err_code places_new(struct places **out, struct err *err)
{
	struct places *places = mem_alloc(sizeof(*places));

	for (int kind = 0; kind < KINDS; kind++)
		if (!load(places, kind)) {
			places_free(places);
			return err_set(err, ERR_UNAVAILABLE,
				       "%s cannot be read (packages tzdata and "
				       "iso-codes)",
				       sources[kind].path);
		}
	*out = places;
	return ERR_OK;
}

void places_free(struct places *places)
{
	if (!places)
		return;
	for (int kind = 0; kind < KINDS; kind++)
		free(places->kinds[kind].items);
	arena_fini(&places->arena);
	free(places);
}

bool places_has_zone(const struct places *places, struct slice name)
{
	return has(places, ZONES, name);
}

bool places_has_currency(const struct places *places, struct slice code)
{
	return has(places, CURRENCIES, code);
}

bool places_has_region(const struct places *places, struct slice code)
{
	return has(places, REGIONS, code);
}
