#include "proto/json_keys.h"

#include "proto/mem.h"
#include "proto/slice.h"

#include <stdlib.h>

/* Everyday bodies fit in the first allocation. */
enum { FIRST_CAPACITY = 128 };

void json_keys_fini(struct json_keys *keys)
{
	free(keys->stack);
	*keys = (struct json_keys){0};
}

struct json_object json_keys_open(const struct json_keys *keys)
{
	return (struct json_object){.first = keys->count};
}

/* Cheap, and good enough to keep different keys apart most of the time. The
 * last word of a long key overlaps the one before it. */
static uint32_t tag_of(struct slice key)
{
	const uint64_t odd = 0x9e3779b97f4a7c15;
	uint64_t tag = key.size, word = 0;

	if (key.size < sizeof(word)) {
		memcpy(&word, key.data, key.size);
		return (uint32_t)((tag ^ word) * odd >> 32);
	}
	for (size_t at = 0; at < key.size; at += sizeof(word)) {
		size_t last = key.size - sizeof(word);

		memcpy(&word, key.data + (at < last ? at : last), sizeof(word));
		tag = (tag ^ word) * odd;
		tag ^= tag >> 29;
	}
	return (uint32_t)(tag >> 32);
}

static int order(const struct json_key *a, const struct json_key *b,
		 const char *bytes)
{
	if (a->tag != b->tag)
		return a->tag < b->tag ? -1 : 1;
	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return memcmp(bytes + a->at, bytes + b->at, a->size);
}

/* Equal keys stay in the order of the text. */
static int sort_order(const void *left, const void *right, void *bytes)
{
	const struct json_key *a = left, *b = right;
	int by_key = order(a, b, bytes);

	return by_key ? by_key : a->text_at < b->text_at ? -1 : 1;
}

static struct json_key *push(struct json_keys *keys)
{
	if (keys->count == keys->capacity) {
		keys->capacity =
			keys->capacity ? 2 * keys->capacity : FIRST_CAPACITY;
		keys->stack = mem_resize(keys->stack,
					 keys->capacity * sizeof(*keys->stack));
	}
	return &keys->stack[keys->count++];
}

bool json_keys_add(struct json_keys *keys, struct json_object *object,
		   const char *bytes, size_t at, size_t size, size_t text_at)
{
	/* The top bits: what a multiplication mixed best. */
	uint32_t tag = tag_of(slice_of(bytes + at, size));
	uint64_t *seen = &object->seen[tag >> 30];
	uint64_t bit = (uint64_t)1 << (tag >> 24 & 63);
	struct json_key *added = push(keys);

	*added = (struct json_key){.tag = tag,
				   .size = (uint32_t)size,
				   .at = (uint32_t)at,
				   .text_at = (uint32_t)text_at};
	object->count++;
	if (object->count > JSON_KEYS_LINEAR_MAX || !(*seen & bit)) {
		*seen |= bit;
		return true;
	}
	for (struct json_key *k = keys->stack + object->first; k < added; k++)
		if (order(k, added, bytes) == 0)
			return false;
	return true;
}

bool json_keys_close(struct json_keys *keys, const struct json_object *object,
		     const char *bytes, size_t *text_at)
{
	keys->count = object->first;
	if (object->count <= JSON_KEYS_LINEAR_MAX)
		return true;

	struct json_key *first = keys->stack + object->first;

	qsort_r(first, object->count, sizeof(*first), sort_order,
		(void *)bytes);
	for (size_t i = 1; i < object->count; i++)
		if (order(&first[i - 1], &first[i], bytes) == 0) {
			*text_at = first[i].text_at;
			return false;
		}
	return true;
}
