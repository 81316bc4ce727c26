/* No byte of a filter, orderby or search reaches the SQL but as a parameter:
 * the text is made of our own letters and names of columns, parentheses close,
 * and every "$n" has its parameter. */

#include "services/common/query.h"
#include "proto/resources/resources.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void check_sql(const struct query *query)
{
	const struct slice sql = buffer_slice(&query->sql);
	size_t params = 0;
	int open = 0;

	for (size_t i = 0; i < sql.size; i++) {
		const char c = sql.data[i];

		expect(isalnum((unsigned char)c) || strchr(" _$:(),=<>\"", c));
		open += c == '(' ? 1 : c == ')' ? -1 : 0;
		expect(open >= 0);
		params += c == '$';
	}
	expect(open == 0);
	expect(params == query->param_count);
}

static void check(enum err_code (*rule)(struct query *query,
					struct slice option, struct err *err),
		  struct slice option)
{
	struct arena arena = {0};
	struct query query = {.resource = &provider_resource, .arena = &arena};
	struct err err = {0};
	const enum err_code code = rule(&query, option, &err);

	if (code == ERR_OK)
		check_sql(&query);
	else
		expect(code == ERR_VALIDATE && err.detail_count == 1);
	buffer_fini(&query.sql);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice option = slice_of(data, size);

	check(query_filter, option);
	check(query_orderby, option);
	/* The service bounds it (proto/resources/query.c). */
	if (size <= 256)
		check(query_search, option);
	return 0;
}
