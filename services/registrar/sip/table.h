#ifndef REGISTRAR_SIP_TABLE_H
#define REGISTRAR_SIP_TABLE_H

/*
 * A hash table of links that are members of the caller's structs (found again
 * with TABLE_OF). Keys are the caller's: it gives their hash and compares what
 * has the same one. A zeroed table is empty. It grows; it does not shrink.
 */

#include <stddef.h>
#include <stdint.h>

struct sip_link {
	struct sip_link *next;
	uint64_t hash;
};

struct sip_table {
	struct sip_link **buckets; /* owned; NULL while nothing was added */
	size_t bucket_count;
	size_t count;
};

/* The struct a link is a member of. */
#define TABLE_OF(link, type, member)                                           \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The links in it are not touched. */
void sip_table_fini(struct sip_table *table);

/* The link stays where it is until it is removed. Equal keys are fine. */
void sip_table_add(struct sip_table *table, struct sip_link *link,
		   uint64_t hash);
void sip_table_remove(struct sip_table *table, struct sip_link *link);

/* The first link of a hash and the next of the same; NULL: no more. */
struct sip_link *sip_table_first(const struct sip_table *table, uint64_t hash);
struct sip_link *sip_table_next(const struct sip_link *link);

#endif
