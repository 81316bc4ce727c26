#ifndef COMMON_CACHE_H
#define COMMON_CACHE_H

/*
 * Redis, asynchronously on the loop (hiredis stands behind it). One
 * connection; the commands of one turn of the loop leave in one write. A lost
 * connection is made again (50 ms to 2 s apart, for ever); commands in flight
 * end with ERR_LOST and are never repeated. While there is no connection
 * commands wait until their deadline, then end with ERR_UNAVAILABLE. With
 * CACHE_QUEUE_MAX waiting and in flight together, further ones end with
 * ERR_UNAVAILABLE at once. Deadlines are kept to some 20 ms.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;

enum { CACHE_QUEUE_MAX = 8192 };

enum cache_kind { CACHE_NIL, CACHE_STR, CACHE_INT, CACHE_ARRAY };

struct cache_reply {
	enum cache_kind kind;
	struct slice text;		 /* CACHE_STR, status replies too */
	int64_t integer;		 /* CACHE_INT */
	const struct cache_reply *items; /* CACHE_ARRAY */
	size_t count;
};

/* The end of a command. reply is good until the function returns. code is not
 * ERR_OK: reply is NULL; ERR_UNAVAILABLE: never sent; ERR_LOST: may have been
 * done; ERR_DEADLINE: sent, no answer in time; ERR_INTERNAL: Redis refused the
 * command, logged with its words. Runs on the loop, never from within
 * cache_run(). */
typedef void cache_done_fn(void *arg, const struct cache_reply *reply,
			   enum err_code code);

/* url: as cache_url.h has it. ERR_VALIDATE: it cannot be parsed. Connects in
 * the background. metrics may be NULL. */
enum err_code cache_new(struct loop *loop, const char *url,
			struct metrics *metrics, struct cache **out,
			struct err *err);

/* Ends every command with ERR_UNAVAILABLE or ERR_LOST, then frees. Not from
 * within a cache_done_fn. */
void cache_free(struct cache *cache);

bool cache_ready(const struct cache *cache);

/* No command waits or is in flight. */
bool cache_idle(const struct cache *cache);

/* The number of the present connection, each has another; 0: there is none. */
uint64_t cache_connection(const struct cache *cache);

/* Whether so many commands, run one after the other now, go out on this
 * connection and on no other, with none of anybody else's between them: what
 * WATCH and MULTI need. */
bool cache_takes(const struct cache *cache, uint64_t connection, size_t count);

/* Sends one command; its words are copied. done may be NULL. */
void cache_run(struct cache *cache, const struct slice *words, size_t count,
	       uint32_t deadline_ms, cache_done_fn *done, void *arg);

/* A Lua script. Its text goes along the first time on a connection, so that
 * nothing sent later is done before it, then its SHA-1 alone (EVALSHA); where
 * somebody has made Redis forget it, it is sent again with its text. Its first
 * key_count words are KEYS, the rest ARGV. The text outlives the cache. Scripts
 * are atomic and written so that they read and write only their KEYS. */
void cache_script(struct cache *cache, const char *script,
		  const struct slice *words, size_t count, size_t key_count,
		  uint32_t deadline_ms, cache_done_fn *done, void *arg);

#endif
