#include "gateway/credentials.h"

#include <strings.h>

static const struct slice cookie_name = SLICE("trunkline_login=");

/* The characters of a b64token (RFC 6750 section 2.1). */
static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~+/=", c));
}

static struct slice token_check(struct slice token)
{
	bool good = token.size > 0 && token.size <= CREDENTIALS_TOKEN_BYTES_MAX;

	for (size_t i = 0; good && i < token.size; i++)
		good = is_token_char(token.data[i]);
	return good ? token : slice_of(NULL, 0);
}

static struct slice bearer_token(struct slice authorization)
{
	static const struct slice scheme = SLICE("bearer ");
	if (authorization.size <= scheme.size ||
	    strncasecmp(authorization.data, scheme.data, scheme.size) != 0)
		return slice_of(NULL, 0);
	return token_check(
		slice_trim(slice_of(authorization.data + scheme.size,
				    authorization.size - scheme.size)));
}

static struct slice cookie_token(struct slice cookie)
{
	while (cookie.size > 0) {
		const char *end = memchr(cookie.data, ';', cookie.size);
		size_t size = end ? (size_t)(end - cookie.data) : cookie.size;
		struct slice pair = slice_trim(slice_of(cookie.data, size));

		if (slice_starts(pair, cookie_name))
			return token_check(
				slice_of(pair.data + cookie_name.size,
					 pair.size - cookie_name.size));
		size += end != NULL;
		cookie = slice_of(cookie.data + size, cookie.size - size);
	}
	return slice_of(NULL, 0);
}

struct slice credentials_token(struct slice authorization, struct slice cookie)
{
	struct slice token = bearer_token(authorization);

	return token.data ? token : cookie_token(cookie);
}

void credentials_cookie_append(struct slice token, int64_t max_age_s,
			       bool secure, struct buffer *out)
{
	buffer_append_slice(out, cookie_name);
	buffer_append_slice(out, token);
	buffer_printf(out,
		      "; Path=/api; HttpOnly; SameSite=Strict; Max-Age=%lld",
		      (long long)(token.data ? max_age_s : 0));
	if (secure)
		buffer_append_str(out, "; Secure");
}
