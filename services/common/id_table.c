#include "services/common/id_table.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_BITS = 6 };

/* Fibonacci hashing: ids that follow each other, as time makes them, land far
 * apart. */
static size_t index_of(const struct id_table *table, int64_t id)
{
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(((uint64_t)id * golden) >> (64 - table->bits));
}

static size_t bucket_count(const struct id_table *table)
{
	return table->buckets ? (size_t)1 << table->bits : 0;
}

void id_table_fini(struct id_table *table)
{
	free(table->buckets);
	*table = (struct id_table){0};
}

struct id_node *id_table_find(const struct id_table *table, int64_t id)
{
	struct id_node *node =
		table->buckets ? table->buckets[index_of(table, id)] : NULL;

	while (node && node->id != id)
		node = node->next;
	return node;
}

static void link_in(struct id_table *table, struct id_node *node)
{
	struct id_node **bucket = &table->buckets[index_of(table, node->id)];

	node->next = *bucket;
	*bucket = node;
}

static void grow(struct id_table *table)
{
	struct id_table larger = {.bits = table->buckets ? table->bits + 1
							 : FIRST_BITS,
				  .count = table->count};

	larger.buckets = mem_alloc(sizeof(void *) << larger.bits);
	ID_TABLE_FOREACH(node, table)
		link_in(&larger, node);
	free(table->buckets);
	*table = larger;
}

void id_table_add(struct id_table *table, struct id_node *node)
{
	assert(!id_table_find(table, node->id));
	if (table->count >= bucket_count(table))
		grow(table);
	link_in(table, node);
	table->count++;
}

void id_table_remove(struct id_table *table, struct id_node *node)
{
	struct id_node **at = &table->buckets[index_of(table, node->id)];

	while (*at != node) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = node->next;
	table->count--;
}

struct id_node *id_table_next(const struct id_table *table,
			      const struct id_node *node)
{
	size_t bucket = 0;

	if (node && node->next)
		return node->next;
	if (node)
		bucket = index_of(table, node->id) + 1;
	while (bucket < bucket_count(table) && !table->buckets[bucket])
		bucket++;
	return bucket < bucket_count(table) ? table->buckets[bucket] : NULL;
}
