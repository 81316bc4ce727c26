/* Whatever verb and path come, matching ends; what is found has whole,
 * readable parameters, and is found again by the row's path with these
 * parameters percent-encoded in it. The first byte is the verb's length. */

#include "gateway/route.h"
#include "gateway/dialect.h"
#include "proto/buffer.h"
#include "proto/utf8.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void param_append(struct slice param, struct buffer *out)
{
	expect(param.size > 0 && utf8_valid(param));
	expect(!memchr(param.data, '\0', param.size));
	for (size_t i = 0; i < param.size; i++)
		buffer_printf(out, "%%%02X", (unsigned char)param.data[i]);
}

/* The row's path with the parameters in their places. */
static void path_append(const struct route_match *match, struct buffer *out)
{
	size_t param = 0;

	for (const char *at = match->route->path; *at; at++) {
		if (*at != '{') {
			buffer_append_char(out, *at);
			continue;
		}
		param_append(match->params[param++], out);
		at = strchr(at, '}');
	}
	expect(param == match->param_count);
}

static void check(const struct router *router, struct slice verb,
		  struct slice path, struct arena *arena)
{
	struct route_match match;
	struct route_match again;
	const char *allow = NULL;
	struct buffer text = {0};
	enum route_result result =
		router_match(router, verb, path, arena, &match, &allow);

	expect((result == ROUTE_NO_VERB) == (allow != NULL));
	if (result != ROUTE_FOUND)
		return;
	expect(match.route == router_get(router, match.index));
	path_append(&match, &text);
	expect(router_match(router, verb, buffer_slice(&text), arena, &again,
			    &allow) == ROUTE_FOUND);
	expect(again.route == match.route);
	for (size_t i = 0; i < match.param_count; i++)
		expect(slice_eq(again.params[i], match.params[i]));
	buffer_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || data[0] > size - 1)
		return 0;
	struct router *router = router_new();
	struct arena arena = {0};
	const char *text = (const char *)data + 1;

	dialects_add(router);
	check(router, slice_of(text, data[0]),
	      slice_of(text + data[0], size - 1 - data[0]), &arena);
	arena_fini(&arena);
	router_free(router);
	return 0;
}
