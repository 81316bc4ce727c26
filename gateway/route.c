#include "gateway/route.h"

#include "gateway/url.h"
#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { VERBS = ROUTE_POST + 1 };

/* What a segment may be followed by: a tree of the rows' paths. */
struct node {
	struct slice literal;  /* absent: a parameter */
	struct node *children; /* first child; the parameter, if any, last */
	struct node *next;     /* sibling */
	const struct route *rows[VERBS];
	size_t indexes[VERBS];
};

struct router {
	struct node root;
	const struct route **rows; /* owned */
	size_t count;
};

/* The methods of RFC 9110 section 9 and PATCH (RFC 5789): known, though no row
 * may have them. */
static const char *const known_verbs[] = {
	"GET",	   "POST",  "HEAD",    "PUT",	"DELETE",
	"OPTIONS", "PATCH", "CONNECT", "TRACE",
};

/* The Allow header of a path, by the verbs that have a row: bit of GET, bit of
 * POST. */
static const char *const allow_texts[1 << VERBS] = {"", "GET, HEAD", "POST",
						    "GET, HEAD, POST"};

int route_good_status(const struct route *route)
{
	if (route->shape == ROUTE_CREATE)
		return 201;
	if (route->shape == ROUTE_DESTROY || route->flags & ROUTE_NO_CONTENT)
		return 204;
	return 200;
}

struct router *router_new(void)
{
	return mem_alloc(sizeof(struct router));
}

static void free_children(struct node *node)
{
	struct node *child = node->children;
	while (child) {
		struct node *next = child->next;

		free_children(child);
		free(child);
		child = next;
	}
}

void router_free(struct router *router)
{
	if (!router)
		return;
	free_children(&router->root);
	free(router->rows);
	free(router);
}

/* Cuts the segment after the slash *rest starts with; *rest is what follows,
 * empty after the last. */
static struct slice cut_segment(struct slice *rest)
{
	const char *start = rest->data + 1;
	size_t left = rest->size - 1;
	const char *slash = memchr(start, '/', left);
	size_t size = slash ? (size_t)(slash - start) : left;

	*rest = slice_of(start + size, left - size);
	return slice_of(start, size);
}

static bool is_param(struct slice segment)
{
	return segment.size > 0 && segment.data[0] == '{';
}

static struct node *child_add(struct node *node, struct slice segment)
{
	struct slice literal = is_param(segment) ? slice_of(NULL, 0) : segment;
	struct node **link = &node->children;
	for (; *link && (*link)->literal.data; link = &(*link)->next) {
		if (literal.data && slice_eq((*link)->literal, literal))
			return *link;
	}
	if (*link && !literal.data)
		return *link;

	/* *link is the parameter or the end: literals stay in front of it. */
	struct node *child = mem_alloc(sizeof(*child));
	child->literal = literal;
	child->next = *link;
	*link = child;
	return child;
}

static void row_add(struct router *router, const struct route *route)
{
	struct slice rest = slice_str(route->path);
	struct node *node = &router->root;
	size_t params = 0;
	while (rest.size > 0) {
		assert(rest.data[0] == '/');
		struct slice segment = cut_segment(&rest);

		params += is_param(segment);
		node = child_add(node, segment);
	}
	assert(params <= ROUTE_PARAMS_MAX);
	assert(!node->rows[route->verb] && "two rows of one path and verb");
	node->rows[route->verb] = route;
	node->indexes[route->verb] = router->count;
	router->rows[router->count++] = route;
}

void router_add(struct router *router, const struct route *routes, size_t count)
{
	size_t total = router->count + count;

	router->rows =
		mem_resize(router->rows, total * sizeof(const struct route *));
	for (size_t i = 0; i < count; i++)
		row_add(router, &routes[i]);
}

size_t router_count(const struct router *router)
{
	return router->count;
}

const struct route *router_get(const struct router *router, size_t index)
{
	assert(index < router->count);
	return router->rows[index];
}

static bool verb_known(struct slice verb)
{
	for (size_t i = 0; i < sizeof(known_verbs) / sizeof(known_verbs[0]);
	     i++) {
		if (slice_is(verb, known_verbs[i]))
			return true;
	}
	return false;
}

/* Most segments are what they say: only others are decoded, into the arena. */
static bool segment_decode(struct slice *segment, struct arena *arena)
{
	for (size_t i = 0; i < segment->size; i++) {
		unsigned char c = (unsigned char)segment->data[i];

		if (c == '%' || c == '\0' || c >= 0x80)
			return url_segment_decode(*segment, arena, segment,
						  NULL) == ERR_OK;
	}
	return true;
}

/* An empty segment ("//", a slash at the end) is nobody's parameter. */
static const struct node *child_find(const struct node *node,
				     struct slice segment)
{
	const struct node *child = node->children;
	for (; child && child->literal.data; child = child->next) {
		if (slice_eq(child->literal, segment))
			return child;
	}
	return segment.size > 0 ? child : NULL;
}

/* Walks the tree along the path. Escapes are looked at to the end, so that a
 * bad one is told of wherever it stands. */
static enum route_result path_walk(const struct router *router,
				   struct slice path, struct arena *arena,
				   struct route_match *out,
				   const struct node **found)
{
	if (path.size == 0 || path.data[0] != '/')
		return ROUTE_BAD_PATH;
	const struct node *node = &router->root;
	while (path.size > 0) {
		struct slice segment = cut_segment(&path);
		if (!segment_decode(&segment, arena))
			return ROUTE_BAD_PATH;
		node = node ? child_find(node, segment) : NULL;
		if (node && !node->literal.data)
			out->params[out->param_count++] = segment;
	}
	*found = node;
	return node && (node->rows[ROUTE_GET] || node->rows[ROUTE_POST])
		       ? ROUTE_FOUND
		       : ROUTE_NO_PATH;
}

enum route_result router_match(const struct router *router, struct slice verb,
			       struct slice path, struct arena *arena,
			       struct route_match *out, const char **allow)
{
	const struct node *node = NULL;

	out->route = NULL;
	out->param_count = 0;
	if (!verb_known(verb))
		return ROUTE_BAD_VERB;
	enum route_result result = path_walk(router, path, arena, out, &node);
	if (result != ROUTE_FOUND)
		return result;

	enum route_verb row = slice_is(verb, "POST") ? ROUTE_POST : ROUTE_GET;
	bool asked = row == ROUTE_POST || slice_is(verb, "GET") ||
		     slice_is(verb, "HEAD");
	if (!asked || !node->rows[row]) {
		*allow = allow_texts[(node->rows[ROUTE_GET] ? 1 : 0) |
				     (node->rows[ROUTE_POST] ? 2 : 0)];
		return ROUTE_NO_VERB;
	}
	out->route = node->rows[row];
	out->index = node->indexes[row];
	return ROUTE_FOUND;
}
