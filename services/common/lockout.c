#include "services/common/lockout.h"

#include "proto/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * KEYS: the count of a source. ARGV: the event, the failures allowed, the
 * window and the block in seconds. Answers the seconds a full count is still
 * kept, or 0, and how many failures there are now.
 */
static const char script[] =
	"local failures = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
	"local most = tonumber(ARGV[2])\n"
	"if failures >= most then\n"
	"  return {math.max(redis.call('TTL', KEYS[1]), 1), failures}\n"
	"end\n"
	"if ARGV[1] == 'passed' then\n"
	"  redis.call('DEL', KEYS[1])\n"
	"  return {0, 0}\n"
	"end\n"
	"if ARGV[1] == 'failed' then\n"
	"  failures = redis.call('INCR', KEYS[1])\n"
	"  if failures >= most then\n"
	"    redis.call('EXPIRE', KEYS[1], ARGV[4])\n"
	"  elseif failures == 1 then\n"
	"    redis.call('EXPIRE', KEYS[1], ARGV[3])\n"
	"  end\n"
	"end\n"
	"return {0, failures}\n";

static const char *const events[] = {
	[LOCKOUT_ASKED] = "asked",
	[LOCKOUT_FAILED] = "failed",
	[LOCKOUT_PASSED] = "passed",
};

struct tell {
	enum lockout_event event;
	lockout_fn *done;
	void *arg;
};

void lockout_key(struct slice address, char key[LOCKOUT_KEY_BYTES])
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr v6;
	struct in_addr v4;

	if (address.size < sizeof(text))
		memcpy(text, address.data ? address.data : "", address.size);
	if (inet_pton(AF_INET6, text, &v6) == 1) {
		if (IN6_IS_ADDR_V4MAPPED(&v6)) {
			memcpy(&v4, v6.s6_addr + 12, sizeof(v4));
			inet_ntop(AF_INET, &v4, text, sizeof(text));
		} else {
			memset(v6.s6_addr + 8, 0, 8);
			inet_ntop(AF_INET6, &v6, text, sizeof(text));
		}
	} else if (inet_pton(AF_INET, text, &v4) != 1) {
		text[0] = '\0';
	}
	snprintf(key, LOCKOUT_KEY_BYTES, "signin:%s", text);
}

static bool verdict_read(const struct cache_reply *reply,
			 enum lockout_event event, struct lockout_verdict *out)
{
	if (reply->kind != CACHE_ARRAY || reply->count != 2 ||
	    reply->items[0].kind != CACHE_INT ||
	    reply->items[1].kind != CACHE_INT)
		return false;
	out->left_s = (unsigned)reply->items[0].integer;
	out->filled = event == LOCKOUT_FAILED && out->left_s == 0 &&
		      reply->items[1].integer >= LOCKOUT_FAILURES_MAX;
	return true;
}

static void on_script(void *arg, const struct cache_reply *reply,
		      enum err_code code)
{
	struct tell *tell = arg;
	struct lockout_verdict verdict;

	if (!code && verdict_read(reply, tell->event, &verdict))
		tell->done(tell->arg, &verdict, ERR_OK);
	else
		tell->done(tell->arg, NULL, ERR_UNAVAILABLE);
	free(tell);
}

void lockout_tell(struct cache *cache, struct slice address,
		  enum lockout_event event, uint32_t deadline_ms,
		  lockout_fn *done, void *arg)
{
	struct tell *tell = mem_alloc(sizeof(*tell));
	char key[LOCKOUT_KEY_BYTES];
	char numbers[3][16];

	*tell = (struct tell){.event = event, .done = done, .arg = arg};
	lockout_key(address, key);
	snprintf(numbers[0], sizeof(numbers[0]), "%d", LOCKOUT_FAILURES_MAX);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", LOCKOUT_WINDOW_S);
	snprintf(numbers[2], sizeof(numbers[2]), "%d", LOCKOUT_BLOCK_S);

	const struct slice words[] = {
		slice_str(key),	       slice_str(events[event]),
		slice_str(numbers[0]), slice_str(numbers[1]),
		slice_str(numbers[2]),
	};

	cache_script(cache, script, words, 5, 1, deadline_ms, on_script, tell);
}

bool lockout_admits(struct bus_call *call,
		    const struct lockout_verdict *verdict, enum err_code code)
{
	struct err err;

	if (code) {
		bus_reply_code(call, code);
		return false;
	}
	if (verdict->left_s == 0)
		return true;
	err_set(&err, ERR_RATE_LIMITED, "too many failed sign-ins");
	err.retry_after_s = verdict->left_s;
	bus_reply_error(call, &err);
	return false;
}
