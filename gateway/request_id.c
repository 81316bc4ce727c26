#include "gateway/request_id.h"

#include <sodium.h>

static bool acceptable(struct slice sent)
{
	if (sent.size == 0 || sent.size >= REQUEST_ID_BYTES)
		return false;
	for (size_t i = 0; i < sent.size; i++) {
		char c = sent.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '.' || c == '_' ||
		      c == '-'))
			return false;
	}
	return true;
}

void request_id_make(struct request_ids *ids, struct slice sent,
		     char out[REQUEST_ID_BYTES])
{
	if (acceptable(sent)) {
		memcpy(out, sent.data, sent.size);
		out[sent.size] = '\0';
		return;
	}
	if (ids->left == 0) {
		randombytes_buf(ids->pool, sizeof(ids->pool));
		ids->left = REQUEST_ID_POOL;
	}
	sodium_bin2hex(out, REQUEST_ID_BYTES, ids->pool[--ids->left],
		       REQUEST_ID_RANDOM_BYTES);
}
