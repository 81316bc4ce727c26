#include "services/common/id_table.h"

#include "proto/mem.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { NODES = 5000 };

static struct id_node nodes[NODES];

/* Ids as the database makes them: time above, a counter below. */
static int64_t id_of(int i)
{
	return ((int64_t)i / 7 + 1) << 22 | i;
}

static void fill(struct id_table *table)
{
	for (int i = 0; i < NODES; i++) {
		nodes[i].id = id_of(i);
		id_table_add(table, &nodes[i]);
	}
}

Test(id_table, empty)
{
	struct id_table table = {0};

	cr_assert_null(id_table_find(&table, 1));
	cr_assert_null(id_table_next(&table, NULL));
	id_table_fini(&table);
}

Test(id_table, finds_what_was_added)
{
	struct id_table table = {0};

	fill(&table);
	cr_assert_eq(table.count, NODES);
	for (int i = 0; i < NODES; i++)
		cr_assert_eq(id_table_find(&table, id_of(i)), &nodes[i]);
	cr_assert_null(id_table_find(&table, 3));
	id_table_fini(&table);
}

Test(id_table, walks_over_each_once)
{
	static bool seen[NODES];
	struct id_table table = {0};
	size_t count = 0;

	fill(&table);
	ID_TABLE_FOREACH(node, &table) {
		cr_assert_not(seen[node - nodes]);
		seen[node - nodes] = true;
		count++;
	}
	cr_assert_eq(count, NODES);
	id_table_fini(&table);
}

Test(id_table, what_was_removed_is_gone_and_the_rest_stays)
{
	struct id_table table = {0};

	fill(&table);
	for (int i = 0; i < NODES; i += 2)
		id_table_remove(&table, &nodes[i]);
	cr_assert_eq(table.count, NODES / 2);
	for (int i = 0; i < NODES; i++)
		cr_assert_eq(id_table_find(&table, id_of(i)),
			     i % 2 ? &nodes[i] : NULL);
	id_table_fini(&table);
}

Test(id_table, a_walk_may_remove_and_free_what_it_is_at)
{
	struct id_table table = {0};

	for (int i = 0; i < NODES; i++) {
		struct id_node *node = mem_alloc(sizeof(*node));

		node->id = id_of(i);
		id_table_add(&table, node);
	}
	ID_TABLE_FOREACH(node, &table) {
		id_table_remove(&table, node);
		free(node);
	}
	cr_assert_eq(table.count, 0);
	cr_assert_null(id_table_next(&table, NULL));
	id_table_fini(&table);
}
