/* What is decoded is UTF-8 without NUL, in no more bytes than were given, and
 * reads back the same when all of it is percent-encoded again. */

#include "gateway/url.h"

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

static void check_text(struct slice text)
{
	expect(text.data != NULL);
	expect(utf8_valid(text));
	expect(!memchr(text.data, '\0', text.size));
}

static void encode(struct slice text, struct buffer *out)
{
	for (size_t i = 0; i < text.size; i++)
		buffer_printf(out, "%%%02X", (unsigned char)text.data[i]);
}

static void check_segment(struct slice raw, struct arena *arena)
{
	struct buffer encoded = {0};
	struct slice text, again;

	if (url_segment_decode(raw, arena, &text, NULL) != ERR_OK)
		return;
	check_text(text);
	expect(text.size <= raw.size);
	encode(text, &encoded);
	expect(url_segment_decode(buffer_slice(&encoded), arena, &again,
				  NULL) == ERR_OK);
	expect(slice_eq(text, again));
	buffer_fini(&encoded);
}

static void check_query(struct slice raw, struct arena *arena)
{
	struct buffer encoded = {0};
	struct url_query query, again;

	if (url_query_parse(raw, arena, &query, NULL) != ERR_OK)
		return;
	for (size_t i = 0; i < query.count; i++) {
		check_text(query.pairs[i].name);
		check_text(query.pairs[i].value);
		encode(query.pairs[i].name, &encoded);
		buffer_append_char(&encoded, '=');
		encode(query.pairs[i].value, &encoded);
		buffer_append_char(&encoded, '&');
	}
	expect(url_query_parse(buffer_slice(&encoded), arena, &again, NULL) ==
	       ERR_OK);
	expect(again.count == query.count);
	for (size_t i = 0; i < query.count; i++) {
		expect(slice_eq(query.pairs[i].name, again.pairs[i].name));
		expect(slice_eq(query.pairs[i].value, again.pairs[i].value));
	}
	buffer_fini(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};

	check_segment(slice_of(data, size), &arena);
	check_query(slice_of(data, size), &arena);
	arena_fini(&arena);
	return 0;
}
