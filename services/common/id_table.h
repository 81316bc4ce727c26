#ifndef COMMON_ID_TABLE_H
#define COMMON_ID_TABLE_H

/*
 * Objects found by their id. The caller's struct has a struct id_node as its
 * first member and stays the caller's; the table holds only links. A zeroed
 * struct is an empty table. Nothing here fails: see proto/mem.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_node {
	int64_t id;
	struct id_node *next; /* the table's */
};

struct id_table {
	struct id_node **buckets;
	unsigned bits; /* of the bucket count's power of two */
	size_t count;
};

/* Gives the links back; the objects are not looked at. */
void id_table_fini(struct id_table *table);

struct id_node *id_table_find(const struct id_table *table, int64_t id);

/* node->id is set and not in the table. */
void id_table_add(struct id_table *table, struct id_node *node);

/* The node is in the table. */
void id_table_remove(struct id_table *table, struct id_node *node);

/* Every node once, in no order: NULL gives the first, NULL comes after the
 * last. The table is not changed meanwhile, but a node may be removed once its
 * next was asked for. */
struct id_node *id_table_next(const struct id_table *table,
			      const struct id_node *node);

/* Likewise, a loop over struct id_node *node, which it may remove and free. */
#define ID_TABLE_FOREACH(node, table)                                          \
	for (struct id_node *node = id_table_next(table, NULL),                \
			    *node##_next = NULL;                               \
	     node && (node##_next = id_table_next(table, node), true);         \
	     node = node##_next)

#endif
