#include "services/common/cache_url.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

struct good_row {
	const char *text;
	struct cache_url url;
};

static const struct good_row good_rows[] = {
	{"redis://127.0.0.1:6379/0", {.host = "127.0.0.1", .port = 6379}},
	{"redis://h", {.host = "h", .port = 6379}},
	{"redis://h/", {.host = "h", .port = 6379}},
	{"redis://h:1/12", {.host = "h", .port = 1, .db = 12}},
	{"redis://[::1]:65535/3", {.host = "::1", .port = 65535, .db = 3}},
	{"redis://[::1]", {.host = "::1", .port = 6379}},
	{"redis://:p%40%2f%3A@h:2/1",
	 {.host = "h", .port = 2, .db = 1, .password = "p@/:"}},
	{"unix:/run/redis", {.path = "/run/redis", .port = 6379}},
	{"unix:/run/redis?db=7", {.path = "/run/redis", .port = 6379, .db = 7}},
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

Test(cache_url, parsed)
{
	for (size_t i = 0; i < sizeof(good_rows) / sizeof(good_rows[0]); i++) {
		const struct good_row *row = &good_rows[i];
		struct cache_url url;
		struct err err = {0};

		cr_assert_eq(cache_url_parse(row->text, &url, &err), ERR_OK,
			     "%s: %s", row->text, err.text);
		cr_expect(same(url.host, row->url.host), "%s", row->text);
		cr_expect(same(url.path, row->url.path), "%s", row->text);
		cr_expect(same(url.password, row->url.password), "%s",
			  row->text);
		cr_expect_eq(url.port, row->url.port, "%s", row->text);
		cr_expect_eq(url.db, row->url.db, "%s", row->text);
		cache_url_fini(&url);
	}
}

static const char *const bad_texts[] = {
	"",
	"http://h",
	"redis:/h",
	"redis://",
	"redis://:1",
	"redis://h:",
	"redis://h:0",
	"redis://h:65536",
	"redis://h:99999999999999999999",
	"redis://h:1x",
	"redis://h/x",
	"redis://h/-1",
	"redis://h/65536",
	"redis://secret@h",
	"redis://user:secret@h",
	"redis://:@h",
	"redis://:secret%@h",
	"redis://:secret%4@h",
	"redis://:secret%4g@h",
	"redis://:secret%00@h",
	"redis://:secret@",
	"redis://[::1",
	"redis://[::1]x",
	"redis://[]",
	"unix:",
	"unix:run",
	"unix:/run?",
	"unix:/run?db=",
	"unix:/run?db=x",
	"unix:/run?password=secret",
	"unix:/ 0123456789 0123456789 0123456789 0123456789 0123456789 "
	"0123456789 0123456789 0123456789 0123456789 01234567890",
};

Test(cache_url, refused)
{
	for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++) {
		struct cache_url url;
		struct err err = {0};

		cr_expect_eq(cache_url_parse(bad_texts[i], &url, &err),
			     ERR_VALIDATE, "%s", bad_texts[i]);
		cr_expect(strncmp(err.text, "redis_url: ", 11) == 0, "%s",
			  err.text);
		cr_expect_not(strstr(err.text, "secret"), "%s", err.text);
	}
}
