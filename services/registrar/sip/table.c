#include "services/registrar/sip/table.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 64 }; /* a power of two */

void sip_table_fini(struct sip_table *table)
{
	free(table->buckets);
	*table = (struct sip_table){0};
}

static struct sip_link **bucket_of(const struct sip_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void push(struct sip_table *table, struct sip_link *link)
{
	struct sip_link **bucket = bucket_of(table, link->hash);

	link->next = *bucket;
	*bucket = link;
}

static void grow(struct sip_table *table)
{
	struct sip_table bigger = {
		.bucket_count = table->bucket_count ? 2 * table->bucket_count
						    : BUCKETS_FIRST,
		.count = table->count,
	};

	bigger.buckets =
		mem_alloc(bigger.bucket_count * sizeof(*bigger.buckets));
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct sip_link *next;

		for (struct sip_link *link = table->buckets[i]; link;
		     link = next) {
			next = link->next;
			push(&bigger, link);
		}
	}
	free(table->buckets);
	*table = bigger;
}

void sip_table_add(struct sip_table *table, struct sip_link *link,
		   uint64_t hash)
{
	if (table->count == table->bucket_count)
		grow(table);
	link->hash = hash;
	push(table, link);
	table->count++;
}

void sip_table_remove(struct sip_table *table, struct sip_link *link)
{
	struct sip_link **at = bucket_of(table, link->hash);

	while (*at != link) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = link->next;
	table->count--;
}

static struct sip_link *same(struct sip_link *link, uint64_t hash)
{
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

struct sip_link *sip_table_first(const struct sip_table *table, uint64_t hash)
{
	return table->count ? same(*bucket_of(table, hash), hash) : NULL;
}

struct sip_link *sip_table_next(const struct sip_link *link)
{
	return same(link->next, link->hash);
}
