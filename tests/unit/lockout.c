#include "services/common/lockout.h"

#include "servers.h"
#include "turn.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { SOON_MS = 30000 }; /* a deadline no test reaches */

Test(lockout, keys)
{
	static const struct {
		const char *address;
		const char *key;
	} rows[] = {
		{"192.0.2.1", "signin:192.0.2.1"},
		{"::ffff:192.0.2.1", "signin:192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "signin:2001:db8:1:2::"},
		{"2001:db8:1:2::9", "signin:2001:db8:1:2::"},
		{"::1", "signin:::"},
		{"", "signin:"},
		{"no address", "signin:"},
		{"192.0.2.1 * { } \r\n", "signin:"},
		{"2001:db8:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3:4", "signin:"},
	};
	char key[LOCKOUT_KEY_BYTES];

	for (size_t i = 0; i < COUNT(rows); i++) {
		lockout_key(slice_str(rows[i].address), key);
		cr_assert_str_eq(key, rows[i].key, "'%s'", rows[i].address);
	}
	lockout_key(slice_str(NULL), key);
	cr_assert_str_eq(key, "signin:");
}

struct told {
	bool done;
	enum err_code code;
	struct lockout_verdict verdict;
};

static void on_told(void *arg, const struct lockout_verdict *verdict,
		    enum err_code code)
{
	struct told *told = arg;

	told->done = true;
	told->code = code;
	if (verdict)
		told->verdict = *verdict;
}

Test(lockout, counts)
{
	static const struct {
		enum lockout_event event;
		bool refused;
		bool filled;
	} rows[] = {
		{LOCKOUT_ASKED, false, false},	{LOCKOUT_FAILED, false, false},
		{LOCKOUT_FAILED, false, false}, {LOCKOUT_PASSED, false, false},
		{LOCKOUT_FAILED, false, false}, {LOCKOUT_FAILED, false, false},
		{LOCKOUT_FAILED, false, false}, {LOCKOUT_FAILED, false, false},
		{LOCKOUT_ASKED, false, false},	{LOCKOUT_FAILED, false, true},
		{LOCKOUT_ASKED, true, false},	{LOCKOUT_FAILED, true, false},
		{LOCKOUT_PASSED, true, false},	{LOCKOUT_ASKED, true, false},
	};
	struct servers_redis redis = {0};
	struct loop *loop = loop_new();
	struct cache *cache = NULL;

	servers_redis_start(&redis, NULL);
	cr_assert_eq(cache_new(loop, redis.url, NULL, &cache, NULL), ERR_OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct told told = {0};

		lockout_tell(cache, slice_str("192.0.2.1"), rows[i].event,
			     SOON_MS, on_told, &told);
		TURN_UNTIL(loop, told.done);
		cr_assert_eq(told.code, ERR_OK, "row %zu", i);
		cr_assert_eq(told.verdict.left_s > 0, rows[i].refused,
			     "row %zu", i);
		cr_assert_leq(told.verdict.left_s, LOCKOUT_BLOCK_S);
		cr_assert_eq(told.verdict.filled, rows[i].filled, "row %zu", i);
	}
	cache_free(cache);
	loop_free(loop);
	servers_redis_stop(&redis);
}
