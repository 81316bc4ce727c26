/* What a stream is cut into is the same however its bytes arrive: whole things
 * and errors, which lie in the input, one behind the other. */

#include "services/registrar/sip/inbox.h"

#include "proto/buffer.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 512 };

static void expect(bool good)
{
	if (!good)
		abort();
}

/* All that was told: the bytes, and where each thing ended. */
struct told {
	struct buffer bytes;
	struct buffer ends;
};

static bool on_thing(void *arg, enum sip_inbox_event event,
		     struct slice message)
{
	struct told *told = arg;

	expect((event == SIP_INBOX_CRLF) == (message.size == 0));
	expect(message.size <= MESSAGE_MAX);
	if (event == SIP_INBOX_CRLF)
		message = slice_str("\r\n");
	buffer_append_slice(&told->bytes, message);
	buffer_append(&told->ends, &told->bytes.size, sizeof(size_t));
	return true;
}

/* Puts all in, in pieces whose sizes a small generator gives; 0: at once. */
static enum err_code cut(struct slice all, uint32_t seed, struct told *told)
{
	struct sip_inbox inbox = {0};
	enum err_code code = ERR_OK;

	while (all.size > 0 && code == ERR_OK) {
		seed = seed * 1664525 + 1013904223 * (seed != 0);

		size_t size = seed ? 1 + (seed >> 16) % 37 : all.size;

		if (size > all.size)
			size = all.size;
		/* Of its own, so that a view past it is seen. */
		char *piece = malloc(size);

		expect(piece != NULL);
		memcpy(piece, all.data, size);
		code = sip_inbox_put(&inbox, slice_of(piece, size), MESSAGE_MAX,
				     on_thing, told);
		free(piece);
		expect(code == ERR_OK || code == ERR_MALFORMED ||
		       code == ERR_TOO_LARGE);
		all = slice_of(all.data + size, all.size - size);
	}
	expect(code != ERR_OK || inbox.bytes.size <= MESSAGE_MAX);
	sip_inbox_fini(&inbox);
	return code;
}

static void told_fini(struct told *told)
{
	buffer_fini(&told->bytes);
	buffer_fini(&told->ends);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_of(data, size);
	struct told whole = {0};
	enum err_code code = cut(all, 0, &whole);
	uint32_t seed = size > 0 ? data[size - 1] + 1U : 1;

	expect(slice_starts(all, buffer_slice(&whole.bytes)));
	for (int i = 0; i < 3; i++) {
		struct told pieces = {0};

		expect(cut(all, seed + (uint32_t)i * 7919, &pieces) == code);
		expect(slice_eq(buffer_slice(&whole.bytes),
				buffer_slice(&pieces.bytes)));
		expect(slice_eq(buffer_slice(&whole.ends),
				buffer_slice(&pieces.ends)));
		told_fini(&pieces);
	}
	told_fini(&whole);
	return 0;
}
