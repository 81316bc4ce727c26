#include "services/common/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

/* stderr goes into a pipe, read back by taken(). */
struct capture {
	int saved;
	int read_end;
	char text[4 * LINE_MAX_BYTES];
};

static void capture_start(struct capture *capture)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	capture->saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	capture->read_end = ends[0];
}

static const char *capture_end(struct capture *capture)
{
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);

	ssize_t size = read(capture->read_end, capture->text,
			    sizeof(capture->text) - 1);

	capture->text[size < 0 ? 0 : size] = '\0';
	close(capture->read_end);
	return capture->text;
}

/* What stands behind "event=test" in the line of one text value. */
static const char *written(struct capture *capture, struct slice value)
{
	capture_start(capture);
	log_init("unit", LOG_INFO);
	log_event(LOG_INFO, "test", LOG_SLICE("key", value));

	const char *line = capture_end(capture);
	const char *rest = strstr(line, "event=test");

	cr_assert(rest, "%s", line);
	return rest + strlen("event=test");
}

struct value_row {
	const char *name;
	struct slice value;
	const char *rest;
};

static const struct value_row value_rows[] = {
	{"plain", SLICE("abc/1:2"), " key=abc/1:2\n"},
	{"empty", SLICE(""), " key=\"\"\n"},
	{"absent", {NULL, 0}, "\n"},
	{"space", SLICE("a b"), " key=\"a b\"\n"},
	{"equals", SLICE("a=b"), " key=\"a=b\"\n"},
	{"quote", SLICE("a\"b"), " key=\"a\\\"b\"\n"},
	{"backslash", SLICE("a\\"), " key=\"a\\\\\"\n"},
	{"forged line", SLICE("x\ntime=now level=error"),
	 " key=\"x\\ntime=now level=error\"\n"},
	{"carriage return and tab", SLICE("\r\t"), " key=\"\\r\\t\"\n"},
	{"NUL, escape and delete", SLICE("\0\x1b\x7f"),
	 " key=\"\\x00\\x1b\\x7f\"\n"},
	{"next line U+0085", SLICE("\xc2\x85"), " key=\"\\xc2\\x85\"\n"},
	{"line separator U+2028", SLICE("\xe2\x80\xa8"),
	 " key=\"\\xe2\\x80\\xa8\"\n"},
	{"broken UTF-8", SLICE("\xff"), " key=\"\\xff\"\n"},
};

Test(log, values_cannot_forge)
{
	for (size_t i = 0; i < sizeof(value_rows) / sizeof(value_rows[0]);
	     i++) {
		const struct value_row *row = &value_rows[i];
		struct capture capture;

		cr_expect_str_eq(written(&capture, row->value), row->rest, "%s",
				 row->name);
	}
}

Test(log, line_has_its_head)
{
	struct capture capture;
	int year;
	char level[8];
	char process[8];
	char event[8];
	char rest[32];

	capture_start(&capture);
	log_init("unit", LOG_INFO);
	log_event(LOG_WARN, "a.b", LOG_INT("n", INT64_MIN));
	cr_assert_eq(sscanf(capture_end(&capture),
			    "time=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ level=%7s "
			    "process=%7s event=%7s %31s",
			    &year, level, process, event, rest),
		     5, "%s", capture.text);
	cr_expect_geq(year, 2024);
	cr_expect_str_eq(level, "warn");
	cr_expect_str_eq(process, "unit");
	cr_expect_str_eq(event, "a.b");
	cr_expect_str_eq(rest, "n=-9223372036854775808");
}

Test(log, level_holds_back)
{
	struct capture capture;

	capture_start(&capture);
	log_init("unit", LOG_WARN);
	log_event(LOG_INFO, "quiet");
	log_event(LOG_DEBUG, "quiet");
	log_event(LOG_ERROR, "loud");
	capture_end(&capture);
	cr_expect_not(strstr(capture.text, "quiet"));
	cr_expect(strstr(capture.text, "loud"));
	cr_expect_not(log_writes(LOG_INFO));
	cr_expect(log_writes(LOG_WARN));
	cr_expect(log_writes(LOG_ERROR));
}

/* Every length around the bound: the line ends in a newline, holds no other,
 * is never longer than its bound, and a cut one says so. */
static void check_cut(char fill, const char *tail)
{
	char *value = malloc(LINE_MAX_BYTES + 1);

	memset(value, fill, LINE_MAX_BYTES + 1);
	for (size_t size = LINE_MAX_BYTES / 4 - 40; size <= LINE_MAX_BYTES;
	     size++) {
		struct capture capture;

		written(&capture, slice_of(value, size));

		size_t line_bytes = strlen(capture.text);
		const char *end = capture.text + line_bytes - 1;

		cr_assert_leq(line_bytes, LINE_MAX_BYTES);
		cr_assert_eq(strchr(capture.text, '\n'), end);
	}

	struct capture capture;

	written(&capture, slice_of(value, LINE_MAX_BYTES));
	cr_assert_str_eq(capture.text + strlen(capture.text) - strlen(tail),
			 tail);
	free(value);
}

Test(log, long_line_is_cut)
{
	check_cut('x', "x...\n");
	check_cut(' ', " ...\"\n");
	check_cut('\1', "\\x01...\"\n");
}

Test(log, nothing_follows_a_cut)
{
	char value[LINE_MAX_BYTES];
	struct capture capture;

	memset(value, 'x', sizeof(value));
	capture_start(&capture);
	log_init("unit", LOG_INFO);
	log_event(LOG_INFO, "test",
		  LOG_SLICE("a", slice_of(value, sizeof(value))),
		  LOG_STR("b", "y"));
	capture_end(&capture);
	cr_assert_not(strstr(capture.text, "b=y"));
}

Test(log, level_parse)
{
	enum log_level level = LOG_ERROR;

	cr_assert(log_level_parse("debug", &level));
	cr_assert_eq(level, LOG_DEBUG);
	cr_assert_not(log_level_parse("DEBUG", &level));
	cr_assert_not(log_level_parse("", &level));
}
