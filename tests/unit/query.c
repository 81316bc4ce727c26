/* The filter grammar, orderby and search, compiled to SQL. */

#include "services/common/query.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct field fields[] = {
	{"id", FIELD_ID, FIELD_FILTER | FIELD_SORT, .column = "id"},
	{"name", FIELD_STRING, FIELD_FILTER | FIELD_SORT | FIELD_SEARCH,
	 .column = "name"},
	{"brand", FIELD_STRING, FIELD_FILTER | FIELD_SEARCH, .column = "brand"},
	{"port", FIELD_INT, FIELD_FILTER | FIELD_SORT, .column = "port"},
	{"enabled", FIELD_BOOL, FIELD_FILTER, .column = "enabled"},
	{"made", FIELD_TIME, FIELD_FILTER | FIELD_SORT, .column = "created_at"},
	{"password", FIELD_STRING, FIELD_SECRET, .column = "password"},
};
static const struct record record = {.name = "Thing", RECORD_FIELDS(fields)};
static const struct resource resource = {.name = "thing", .record = &record};

typedef enum err_code rule_fn(struct query *query, struct slice option,
			      struct err *err);

struct compiled {
	struct arena arena;
	struct query query;
	struct err err;
	enum err_code code;
	char *text; /* sql, then " <- " and the parameters, joined by '|' */
};

static void compile(struct compiled *out, rule_fn *rule, const char *option)
{
	*out = (struct compiled){0};
	out->query.resource = &resource;
	out->query.arena = &out->arena;
	out->code = rule(&out->query, slice_str(option), &out->err);
	for (size_t i = 0; i < out->query.param_count; i++) {
		buffer_append_str(&out->query.sql, i ? "|" : " <- ");
		buffer_append_str(&out->query.sql, out->query.params[i]);
	}
	out->text = arena_strdup(&out->arena, buffer_slice(&out->query.sql));
	buffer_fini(&out->query.sql);
}

struct good_case {
	rule_fn *rule;
	const char *option;
	const char *expected;
};

static const struct good_case good_cases[] = {
	{query_filter, "", ""},
	{query_filter, "   ", ""},
	{query_filter, "name eq 'a'", " AND (name = $1::text) <- a"},
	{query_filter, "name ne 'a'", " AND (name <> $1::text) <- a"},
	{query_filter, "port gt 1", " AND (port > $1::bigint) <- 1"},
	{query_filter, "port ge -1", " AND (port >= $1::bigint) <- -1"},
	{query_filter, "port lt 1", " AND (port < $1::bigint) <- 1"},
	{query_filter, "port le 1", " AND (port <= $1::bigint) <- 1"},
	{query_filter, "enabled eq true", " AND (enabled = true)"},
	{query_filter, "enabled ne false", " AND (enabled <> false)"},
	{query_filter, "brand eq null", " AND (brand IS NULL)"},
	{query_filter, "brand ne null", " AND (brand IS NOT NULL)"},
	{query_filter, "name eq 'O''Hara'", " AND (name = $1::text) <- O'Hara"},
	{query_filter, "name eq ''", " AND (name = $1::text) <- "},
	{query_filter, "name eq 'x''; DROP TABLE t; --'",
	 " AND (name = $1::text) <- x'; DROP TABLE t; --"},
	{query_filter, "made ge '2022-01-01T00:00:00Z'",
	 " AND (created_at >= $1::timestamptz) <- 2022-01-01T00:00:00Z"},
	{query_filter, "made lt '2022-01-01T00:00:00.25+01:30'",
	 " AND (created_at < $1::timestamptz) <- "
	 "2022-01-01T00:00:00.25+01:30"},
	{query_filter, "id eq 'NzAwNTUxOTA5NzczMTQ4MTYw'",
	 " AND (id = $1::bigint) <- 700551909773148160"},
	{query_filter, "id eq 7", " AND (id = $1::bigint) <- 7"},
	{query_filter, "startswith(name,'10%_\\')",
	 " AND (name LIKE $1) <- 10\\%\\_\\\\%"},
	{query_filter, "endswith( name , 'x' )",
	 " AND (name COLLATE \"default\" LIKE $1) <- %x"},
	{query_filter, "contains(name,'')",
	 " AND (name COLLATE \"default\" LIKE $1) <- %%"},
	{query_filter, "name eq 'a' or port eq 1 and not enabled eq true",
	 " AND (name = $1::text OR port = $2::bigint AND NOT enabled = true)"
	 " <- a|1"},
	{query_filter, "not (name eq 'a' or (port eq 1))",
	 " AND (NOT (name = $1::text OR (port = $2::bigint))) <- a|1"},
	{query_orderby, "", " ORDER BY id"},
	{query_orderby, "name", " ORDER BY name, id"},
	{query_orderby, "name asc, made desc",
	 " ORDER BY name, created_at DESC, id DESC"},
	{query_search, "", ""},
	{query_search, "  ", ""},
	{query_search, "a_b",
	 " AND (name COLLATE \"default\" ILIKE $1 OR "
	 "brand COLLATE \"default\" ILIKE $2) <- %a\\_b%|%a\\_b%"},
	{query_search, "101 or 102",
	 " AND (name COLLATE \"default\" ILIKE $1 OR "
	 "brand COLLATE \"default\" ILIKE $2 OR "
	 "name COLLATE \"default\" ILIKE $3 OR "
	 "brand COLLATE \"default\" ILIKE $4) <- %101%|%101%|%102%|%102%"},
};

Test(query, compiles)
{
	for (size_t i = 0; i < sizeof(good_cases) / sizeof(*good_cases); i++) {
		const struct good_case *c = &good_cases[i];
		struct compiled out;

		compile(&out, c->rule, c->option);
		cr_expect_eq(out.code, ERR_OK, "%s: %s", c->option,
			     out.err.details[0].reason);
		cr_expect_str_eq(out.text, c->expected, "%s gives\n%s\nnot\n%s",
				 c->option, out.text, c->expected);
		arena_fini(&out.arena);
	}
}

struct bad_case {
	rule_fn *rule;
	const char *option;
	const char *field;
	const char *reason;
};

static const struct bad_case bad_cases[] = {
	{query_filter, "colour eq 'red'", "filter",
	 "unknown field 'colour' at position 1"},
	{query_filter, "name eq 'a' and password eq 'b'", "filter",
	 "'password' cannot be used for filtering at position 17"},
	{query_filter, "name like 'a'", "filter",
	 "eq, ne, gt, ge, lt or le is expected at position 6"},
	{query_filter, "name eq 'a", "filter",
	 "a string is not closed: it begins at position 9"},
	{query_filter, "name eq a", "filter",
	 "a quoted string is expected at position 9"},
	{query_filter, "name eq 5", "filter",
	 "a quoted string is expected at position 9"},
	{query_filter, "port eq '5'", "filter",
	 "an integer is expected at position 9"},
	{query_filter, "port eq 5.5", "filter",
	 "an integer is expected at position 9"},
	{query_filter, "port eq 9223372036854775808", "filter",
	 "an integer is expected at position 9"},
	{query_filter, "enabled eq 1", "filter",
	 "true or false is expected at position 12"},
	{query_filter, "enabled gt true", "filter",
	 "only eq and ne go with a boolean at position 9"},
	{query_filter, "port gt null", "filter",
	 "only eq and ne go with null at position 6"},
	{query_filter, "made gt 'yesterday'", "filter",
	 "a time such as '2026-01-02T03:04:05Z' is expected at position 9"},
	{query_filter, "made gt '2022-01-01T00:00:00'", "filter",
	 "a time such as '2026-01-02T03:04:05Z' is expected at position 9"},
	{query_filter, "id eq 'abc'", "filter",
	 "an id is expected at position 7"},
	{query_filter, "(name eq 'a'", "filter",
	 "')' is expected at position 13"},
	{query_filter, "name eq 'a')", "filter",
	 "unexpected ')' at position 12"},
	{query_filter, "name eq 'a' name eq 'b'", "filter",
	 "unexpected 'name' at position 13"},
	{query_filter, "name eq 'a' and", "filter",
	 "a field is expected at position 16"},
	{query_filter, "'a' eq name", "filter",
	 "a field is expected at position 1"},
	{query_filter, "contains(port,'1')", "filter",
	 "'port' is not a text at position 10"},
	{query_filter, "contains(name 'a')", "filter",
	 "',' is expected at position 15"},
	{query_filter, "contains(name,1)", "filter",
	 "a quoted string is expected at position 15"},
	{query_filter, "name eq 'a'; drop table x", "filter",
	 "unexpected ';' at position 12"},
	{query_orderby, "password", "orderby",
	 "'password' cannot be used for sorting at position 1"},
	{query_orderby, "name asc desc", "orderby",
	 "unexpected 'desc' at position 10"},
	{query_orderby, "name,,port", "orderby",
	 "a field is expected at position 6"},
	{query_orderby, "id; drop", "orderby", "unexpected ';' at position 3"},
	{query_search, "1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or 9", "search",
	 "has more than 8 terms"},
};

Test(query, refuses_with_the_position)
{
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct compiled out;

		compile(&out, c->rule, c->option);
		cr_expect_eq(out.code, ERR_VALIDATE, "%s", c->option);
		cr_expect_eq(out.err.detail_count, 1, "%s", c->option);
		cr_expect_str_eq(out.err.details[0].field, c->field);
		cr_expect_str_eq(out.err.details[0].reason, c->reason,
				 "%s says\n%s\nnot\n%s", c->option,
				 out.err.details[0].reason, c->reason);
		arena_fini(&out.arena);
	}
}

/* before, then piece as often as said, then after. */
static char *repeat(const char *before, const char *piece, size_t count,
		    const char *after)
{
	struct buffer out = {0};

	buffer_append_str(&out, before);
	for (size_t i = 0; i < count; i++)
		buffer_append_str(&out, piece);
	buffer_append_str(&out, after);
	buffer_append_char(&out, '\0');
	return out.data;
}

static enum err_code code_of(char *filter)
{
	struct compiled out;

	compile(&out, query_filter, filter);
	arena_fini(&out.arena);
	free(filter);
	return out.code;
}

Test(query, keeps_its_bounds)
{
	cr_expect_eq(
		code_of(repeat("", "not ", QUERY_DEPTH_MAX - 1, "port eq 1")),
		ERR_OK);
	cr_expect_eq(code_of(repeat("", "not ", QUERY_DEPTH_MAX, "port eq 1")),
		     ERR_VALIDATE);
	cr_expect_eq(code_of(repeat("", "(", 2000, "")), ERR_VALIDATE);
	cr_expect_eq(code_of(repeat("port eq 1", " or port eq 1",
				    QUERY_TERMS_MAX - 1, "")),
		     ERR_OK);
	cr_expect_eq(code_of(repeat("port eq 1", " or port eq 1",
				    QUERY_TERMS_MAX, "")),
		     ERR_VALIDATE);
	cr_expect_eq(
		code_of(repeat("name eq '", "a", QUERY_FILTER_BYTES_MAX, "'")),
		ERR_VALIDATE);
}
