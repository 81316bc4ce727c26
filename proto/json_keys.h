#ifndef PROTO_JSON_KEYS_H
#define PROTO_JSON_KEYS_H

/*
 * The duplicate check of a JSON parser: the keys of all objects that are still
 * open, on one stack. Of json.c alone.
 *
 * Up to JSON_KEYS_LINEAR_MAX keys of an object each new one is compared, by a
 * 32-bit tag and then whole, with those before it, if a tag with the same top
 * bits was `seen`. Past that nothing is compared until the object ends; then
 * its keys are sorted by tag, size and bytes, and equal ones are neighbours.
 *
 * The bound: n keys of b bytes together cost at most JSON_KEYS_LINEAR_MAX * b
 * while there are few, and b * log2(n) where there are many, also when
 * somebody chose all of them to have the same tag. A hash set without a secret
 * seed has no such bound.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_KEYS_LINEAR_MAX = 64 };

struct json_key {
	uint32_t tag;
	uint32_t size;
	uint32_t at;	  /* of its bytes, from the `bytes` of each call */
	uint32_t text_at; /* of its quote in the text; tells keys apart */
};

/* Zeroed: no object is open. */
struct json_keys {
	struct json_key *stack; /* owned */
	size_t count;
	size_t capacity;
};

/* An open object; those opened later are closed earlier. */
struct json_object {
	size_t first;	  /* of its keys, on the stack */
	size_t count;	  /* of its keys */
	uint64_t seen[4]; /* a bit for the top bits of each tag */
};

void json_keys_fini(struct json_keys *keys);

struct json_object json_keys_open(const struct json_keys *keys);

/* Notes the key of `size` bytes at bytes + at. False: the object is known to
 * have it already. */
bool json_keys_add(struct json_keys *keys, struct json_object *object,
		   const char *bytes, size_t at, size_t size, size_t text_at);

/* Forgets the keys of the object. False: it had one twice, the second time
 * where *text_at says. */
bool json_keys_close(struct json_keys *keys, const struct json_object *object,
		     const char *bytes, size_t *text_at);

#endif
