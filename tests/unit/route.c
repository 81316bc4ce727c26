#include "gateway/route.h"

#include "gateway/dialect.h"

#include <criterion/criterion.h>

static const struct route rows[] = {
	{ROUTE_GET, "/api/things", .method = "list"},
	{ROUTE_POST, "/api/things", .method = "create"},
	{ROUTE_GET, "/api/things/{id}", .method = "get"},
	{ROUTE_POST, "/api/things/{id}", .method = "update"},
	{ROUTE_GET, "/api/things/export", .method = "export"},
	{ROUTE_POST, "/api/things/test", .method = "test"},
	{ROUTE_POST, "/api/things/{id}/parts/{part}", .method = "part"},
	{ROUTE_GET, "/health", .method = "health"},
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

struct matching {
	const char *name;
	const char *verb;
	const char *path;
	enum route_result result;
	const char *method; /* of ROUTE_FOUND */
	const char *first;  /* parameter */
	const char *allow;  /* of ROUTE_NO_VERB */
};

static const struct matching matchings[] = {
	{"literal", "GET", "/api/things", ROUTE_FOUND, "list"},
	{"other verb", "POST", "/api/things", ROUTE_FOUND, "create"},
	{"parameter", "GET", "/api/things/a1", ROUTE_FOUND, "get", "a1"},
	{"HEAD is GET", "HEAD", "/api/things/a1", ROUTE_FOUND, "get", "a1"},
	{"literal wins", "GET", "/api/things/export", ROUTE_FOUND, "export"},
	{"two parameters", "POST", "/api/things/7/parts/x", ROUTE_FOUND, "part",
	 "7"},
	{"escapes in a literal", "GET", "/api/%74hings", ROUTE_FOUND, "list"},
	{"escaped literal wins too", "GET", "/api/things/%65xport", ROUTE_FOUND,
	 "export"},
	{"escapes in a parameter", "GET", "/api/things/a%2Fb%20c", ROUTE_FOUND,
	 "get", "a/b c"},
	{"plus is a plus", "GET", "/api/things/a+b", ROUTE_FOUND, "get", "a+b"},
	{"UTF-8", "GET", "/api/things/%C3%A9", ROUTE_FOUND, "get", "é"},
	{"dots are a parameter", "GET", "/api/things/..", ROUTE_FOUND, "get",
	 ".."},

	{"root", "GET", "/", ROUTE_NO_PATH},
	{"unknown", "GET", "/api/thing", ROUTE_NO_PATH},
	{"case", "GET", "/api/Things", ROUTE_NO_PATH},
	{"inner node", "GET", "/api", ROUTE_NO_PATH},
	{"slash at the end", "GET", "/api/things/", ROUTE_NO_PATH},
	{"doubled slash", "GET", "/api//things", ROUTE_NO_PATH},
	{"slash in front", "GET", "//health", ROUTE_NO_PATH},
	{"escaped slash", "GET", "/api%2Fthings", ROUTE_NO_PATH},
	{"too deep", "GET", "/api/things/1/2", ROUTE_NO_PATH},
	{"empty parameter", "POST", "/api/things//parts/x", ROUTE_NO_PATH},
	{"no way back from a literal", "POST", "/api/things/export/parts/x",
	 ROUTE_NO_PATH},

	{"verb of another row", "POST", "/api/things/export", ROUTE_NO_VERB,
	 .allow = "GET, HEAD"},
	{"literal wins for all verbs", "GET", "/api/things/test", ROUTE_NO_VERB,
	 .allow = "POST"},
	{"POST only", "GET", "/api/things/7/parts/x", ROUTE_NO_VERB,
	 .allow = "POST"},
	{"known, nowhere served", "DELETE", "/api/things/7", ROUTE_NO_VERB,
	 .allow = "GET, HEAD, POST"},
	{"OPTIONS", "OPTIONS", "/health", ROUTE_NO_VERB, .allow = "GET, HEAD"},
	{"known, unknown path", "PUT", "/api/thing", ROUTE_NO_PATH},

	{"unknown verb", "LOOKUP", "/health", ROUTE_BAD_VERB},
	{"lower case verb", "get", "/health", ROUTE_BAD_VERB},
	{"empty verb", "", "/health", ROUTE_BAD_VERB},

	{"bad escape", "GET", "/api/things/%zz", ROUTE_BAD_PATH},
	{"cut escape", "GET", "/api/things/%4", ROUTE_BAD_PATH},
	{"NUL", "GET", "/api/things/a%00", ROUTE_BAD_PATH},
	{"Latin-1", "GET", "/api/things/%e9", ROUTE_BAD_PATH},
	{"bad escape below an unknown path", "GET", "/x/y/%zz", ROUTE_BAD_PATH},
	{"no slash", "GET", "api/things", ROUTE_BAD_PATH},
	{"asterisk", "OPTIONS", "*", ROUTE_BAD_PATH},
	{"empty", "GET", "", ROUTE_BAD_PATH},
};

static void check(const struct router *router, const struct matching *m)
{
	struct arena arena = {0};
	struct route_match match;
	const char *allow = NULL;
	enum route_result result =
		router_match(router, slice_str(m->verb), slice_str(m->path),
			     &arena, &match, &allow);

	cr_expect_eq(result, m->result, "%s: %d", m->name, result);
	if (result == ROUTE_FOUND) {
		cr_expect_str_eq(match.route->method, m->method, "%s", m->name);
		cr_expect_eq(match.route, router_get(router, match.index), "%s",
			     m->name);
	}
	if (m->first)
		cr_expect(slice_is(match.params[0], m->first), "%s: %.*s",
			  m->name, SLICE_ARG(match.params[0]));
	if (m->allow)
		cr_expect_str_eq(allow, m->allow, "%s", m->name);
	arena_fini(&arena);
}

Test(route, matches)
{
	struct router *router = router_new();

	router_add(router, rows, ROWS);
	for (size_t i = 0; i < sizeof(matchings) / sizeof(*matchings); i++)
		check(router, &matchings[i]);
	router_free(router);
}

Test(route, all_parameters_in_order)
{
	struct router *router = router_new();
	struct arena arena = {0};
	struct route_match match;
	const char *allow;

	router_add(router, rows, ROWS);
	cr_assert_eq(router_match(router, slice_str("POST"),
				  slice_str("/api/things/a/parts/b"), &arena,
				  &match, &allow),
		     ROUTE_FOUND);
	cr_assert_eq(match.param_count, 2);
	cr_expect(slice_is(match.params[0], "a"));
	cr_expect(slice_is(match.params[1], "b"));
	arena_fini(&arena);
	router_free(router);
}

Test(route, tables_end_to_end)
{
	struct router *router = router_new();

	router_add(router, rows, 2);
	router_add(router, rows + 2, ROWS - 2);
	cr_assert_eq(router_count(router), (size_t)ROWS);
	for (size_t i = 0; i < ROWS; i++)
		cr_expect_eq(router_get(router, i), &rows[i]);
	router_free(router);
}

Test(route, empty)
{
	struct router *router = router_new();
	struct arena arena = {0};
	struct route_match match;
	const char *allow;

	cr_expect_eq(router_match(router, slice_str("GET"), slice_str("/"),
				  &arena, &match, &allow),
		     ROUTE_NO_PATH);
	arena_fini(&arena);
	router_free(router);
	router_free(NULL);
}

/* Every row of every dialect is found by its own path and says what it needs
 * to. */
Test(route, dialects)
{
	struct router *router = router_new();
	struct arena arena = {0};

	dialects_add(router);
	cr_assert_gt(router_count(router), 0);
	for (size_t i = 0; i < router_count(router); i++) {
		const struct route *row = router_get(router, i);
		struct route_match match;
		const char *allow;
		enum route_result result = router_match(
			router,
			slice_str(row->verb == ROUTE_POST ? "POST" : "GET"),
			slice_str(row->path), &arena, &match, &allow);

		cr_expect_eq(result, ROUTE_FOUND, "%s", row->path);
		cr_expect_eq(match.route, row, "%s", row->path);
		cr_expect(dialect_of_route(row), "%s", row->path);
		cr_expect(row->summary, "%s", row->path);
		cr_expect(row->resource || row->shape == ROUTE_READ ||
				  row->shape == ROUTE_CALL,
			  "%s", row->path);
		cr_expect(!(row->flags & ROUTE_OPEN) ||
				  !(row->flags & ROUTE_TOKEN),
			  "%s", row->path);
	}
	arena_fini(&arena);
	router_free(router);
}
