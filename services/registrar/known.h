#ifndef REGISTRAR_KNOWN_H
#define REGISTRAR_KNOWN_H

/*
 * What this registrar knows to stand in Redis: of an address of record, by a
 * keyed hash of it, the one binding it has. A refresh of what is known need not
 * be compared with what is there. Knowing nothing is always right.
 *
 * Open addressing with linear probing; 24 bytes an entry. It grows up to
 * KNOWN_MAX entries; one more, and all is forgotten.
 */

#include <stddef.h>
#include <stdint.h>

struct known;

enum {
	/* 96 MiB with its free places. */
	KNOWN_MAX = 3 * 1024 * 1024,
};

struct known_binding {
	/* Hash of contact, Call-ID, instance, reg-id and account. */
	uint32_t identity;
	uint32_t cseq;
	uint32_t registered_at; /* seconds since 1970 UTC; never 0 */
	uint32_t expires_at;
};

struct known *known_new(void);
void known_free(struct known *known);

/* NULL: nothing is known. The result may be changed in place, but for a
 * registered_at of 0; it is good until the next known_put() or known_clear().
 */
struct known_binding *known_find(struct known *known, uint64_t aor);

void known_put(struct known *known, uint64_t aor,
	       const struct known_binding *binding);

/* Those there are, some of them dropped since. */
size_t known_count(const struct known *known);

void known_drop(struct known *known, uint64_t aor);
void known_clear(struct known *known);

#endif
