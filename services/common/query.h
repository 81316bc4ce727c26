#ifndef COMMON_QUERY_H
#define COMMON_QUERY_H

/*
 * The query options of a list, compiled to parameterised SQL: names come from
 * descriptor rows only, every literal becomes a parameter.
 *
 *   filter := or
 *   or     := and { "or" and }
 *   and    := unary { "and" unary }
 *   unary  := "not" unary | primary
 *   primary:= "(" or ")" | field op literal | fn "(" field "," string ")"
 *   op     := "eq" | "ne" | "gt" | "ge" | "lt" | "le"
 *   fn     := "startswith" | "endswith" | "contains"
 *   literal:= 'string' (a quote doubled inside) | number | true | false | null
 *
 * null goes with eq and ne only. A row is kept when the expression is true;
 * comparing null is not true, as in SQL. Text compares by code point and with
 * case; search is without case.
 */

#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/field.h"

#include <stddef.h>

enum {
	QUERY_FILTER_BYTES_MAX = 4096,
	QUERY_DEPTH_MAX = 32, /* nesting of parentheses and not */
	QUERY_TERMS_MAX = 64, /* comparisons of one filter */
	QUERY_ORDER_MAX = 8,  /* fields of one orderby */
	/* Parameters of one statement: DATABASE_PARAMS_MAX. */
	QUERY_PARAMS_MAX = 128,
};

/* A statement under construction; a zeroed one with the first two members set
 * is empty. */
struct query {
	const struct resource *resource;
	struct arena *arena;
	struct buffer sql; /* ended by the caller */
	const char *params[QUERY_PARAMS_MAX];
	size_t param_count;
};

/* Appends "$n" for a new parameter. text is kept by pointer; NULL: SQL null.
 * More than QUERY_PARAMS_MAX is a fault of ours and asserted: the limits above
 * keep below it. */
void query_param(struct query *query, const char *text);

/* Each appends to query->sql. ERR_VALIDATE with the detail field "filter" or
 * "orderby" and a reason with the position, counted from 1 in bytes:
 * unknown field, field that may not be filtered or sorted by, bad syntax, a
 * literal of the wrong type, a limit passed. */

/* " AND (...)": nothing where filter is empty. */
enum err_code query_filter(struct query *query, struct slice filter,
			   struct err *err);

/* " AND (...)": the words joined by " or " each match one of the resource's
 * FIELD_SEARCH fields, anywhere in it, without case. Nothing where search is
 * blank. */
enum err_code query_search(struct query *query, struct slice search,
			   struct err *err);

/* " ORDER BY ...", always ending with the id, so that pages never overlap.
 * Blank is the resource's own order. */
enum err_code query_orderby(struct query *query, struct slice orderby,
			    struct err *err);

#endif
