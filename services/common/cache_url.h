#ifndef COMMON_CACHE_URL_H
#define COMMON_CACHE_URL_H

/*
 * The parts of a redis_url:
 *
 *   redis://[:password@]host[:port][/db]   password percent-encoded, host in
 *                                          brackets where it is IPv6
 *   unix:/path[?db=n]
 */

#include "proto/error.h"

enum {
	CACHE_URL_PORT = 6379,	  /* Redis' own default */
	CACHE_URL_DB_MAX = 65535, /* far more than a server is given */
};

struct cache_url {
	char *path;	/* owned; set: a unix socket, host is NULL */
	char *host;	/* owned */
	char *password; /* owned; NULL: none */
	int port;
	int db;
};

/* ERR_VALIDATE with the reason, which does not repeat the URL. On success the
 * caller frees the parts with cache_url_fini(). */
enum err_code cache_url_parse(const char *text, struct cache_url *out,
			      struct err *err);

/* Frees the parts, the password zeroed. */
void cache_url_fini(struct cache_url *url);

#endif
