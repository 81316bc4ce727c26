#include "services/common/cache_url.h"

#include "proto/mem.h"
#include "proto/slice.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const struct slice scheme_redis = SLICE("redis://");
static const struct slice scheme_unix = SLICE("unix:");

static char *dup(struct slice text)
{
	char *copy = mem_alloc(text.size + 1);

	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	return copy;
}

/* Cuts text in front of the first c; *rest is what follows it, absent where
 * there is none. */
static struct slice cut(struct slice text, char c, struct slice *rest)
{
	const char *at = text.size ? memchr(text.data, c, text.size) : NULL;

	if (!at) {
		*rest = (struct slice){0};
		return text;
	}

	size_t size = (size_t)(at - text.data);

	*rest = slice_of(at + 1, text.size - size - 1);
	return slice_of(text.data, size);
}

/* Decimal digits alone, up to max. */
static bool parse_number(struct slice text, int max, int *out)
{
	int number = 0;

	if (text.size == 0)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (!isdigit((unsigned char)text.data[i]))
			return false;
		number = number * 10 + (text.data[i] - '0');
		if (number > max)
			return false;
	}
	*out = number;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: a broken percent-encoding, or %00. */
static char *percent_decode(struct slice text)
{
	char *out = mem_alloc(text.size + 1);
	size_t size = 0;

	for (size_t i = 0; i < text.size; i++) {
		out[size] = text.data[i];
		if (text.data[i] == '%') {
			int high = i + 2 < text.size
					   ? hex_value(text.data[i + 1])
					   : -1;
			int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;

			if (low < 0 || high + low == 0) {
				free(out);
				return NULL;
			}
			out[size] = (char)(high * 16 + low);
			i += 2;
		}
		size++;
	}
	return out;
}

static enum err_code parse_unix(struct slice text, struct cache_url *url,
				struct err *err)
{
	const size_t path_max = sizeof(((struct sockaddr_un *)0)->sun_path);
	struct slice query;
	struct slice path = cut(text, '?', &query);

	if (path.size == 0 || path.data[0] != '/' || path.size >= path_max)
		return err_set(err, ERR_VALIDATE,
			       "redis_url: must have an absolute path of at "
			       "most %zu bytes",
			       path_max - 1);
	if (query.data) {
		const struct slice name = SLICE("db=");

		if (!slice_starts(query, name) ||
		    !parse_number(slice_of(query.data + name.size,
					   query.size - name.size),
				  CACHE_URL_DB_MAX, &url->db))
			return err_set(
				err, ERR_VALIDATE,
				"redis_url: the query must be db=NUMBER");
	}
	url->path = dup(path);
	return ERR_OK;
}

static enum err_code parse_host(struct slice text, struct cache_url *url,
				struct err *err)
{
	struct slice port = {0};
	struct slice host;

	if (text.size > 0 && text.data[0] == '[') {
		struct slice rest;

		host = cut(slice_of(text.data + 1, text.size - 1), ']', &rest);
		if (!rest.data || (rest.size > 0 && rest.data[0] != ':'))
			return err_set(err, ERR_VALIDATE,
				       "redis_url: broken IPv6 address");
		cut(rest, ':', &port);
	} else {
		host = cut(text, ':', &port);
	}
	if (host.size == 0)
		return err_set(err, ERR_VALIDATE, "redis_url: no host");
	if (port.data &&
	    (!parse_number(port, 65535, &url->port) || url->port == 0))
		return err_set(err, ERR_VALIDATE,
			       "redis_url: the port must be 1 to 65535");
	url->host = dup(host);
	return ERR_OK;
}

static enum err_code parse_redis(struct slice text, struct cache_url *url,
				 struct err *err)
{
	struct slice db;
	struct slice authority = cut(text, '/', &db);
	struct slice host;
	struct slice user = cut(authority, '@', &host);

	if (db.size > 0 && !parse_number(db, CACHE_URL_DB_MAX, &url->db))
		return err_set(err, ERR_VALIDATE,
			       "redis_url: the database must be a number");
	if (!host.data)
		return parse_host(authority, url, err);
	if (user.size < 2 || user.data[0] != ':')
		return err_set(err, ERR_VALIDATE,
			       "redis_url: must have :password in front of @");
	url->password = percent_decode(slice_of(user.data + 1, user.size - 1));
	if (!url->password)
		return err_set(err, ERR_VALIDATE,
			       "redis_url: broken percent-encoding in the "
			       "password");
	return parse_host(host, url, err);
}

enum err_code cache_url_parse(const char *text, struct cache_url *out,
			      struct err *err)
{
	struct cache_url url = {.port = CACHE_URL_PORT};
	struct slice whole = slice_str(text);
	enum err_code code;

	if (slice_starts(whole, scheme_redis))
		code = parse_redis(slice_of(text + scheme_redis.size,
					    whole.size - scheme_redis.size),
				   &url, err);
	else if (slice_starts(whole, scheme_unix))
		code = parse_unix(slice_of(text + scheme_unix.size,
					   whole.size - scheme_unix.size),
				  &url, err);
	else
		code = err_set(err, ERR_VALIDATE,
			       "redis_url: must begin with redis:// or unix:/");
	if (code == ERR_OK)
		*out = url;
	else
		cache_url_fini(&url);
	return code;
}

void cache_url_fini(struct cache_url *url)
{
	if (url->password)
		explicit_bzero(url->password, strlen(url->password));
	free(url->password);
	free(url->path);
	free(url->host);
	*url = (struct cache_url){0};
}
