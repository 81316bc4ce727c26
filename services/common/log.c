#include "services/common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_BYTES = 4096, /* PIPE_BUF: lines of several writers stay whole */
	TAIL_BYTES = 5, /* what may follow the last put(): quote ... newline */
};

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static const char *process_name = "-";
static enum log_level level_max = LOG_INFO;

struct line {
	char data[LINE_BYTES];
	size_t size;
	bool cut; /* full: nothing more is taken */
};

void log_init(const char *process, enum log_level level)
{
	process_name = process;
	level_max = level;
}

bool log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]);
	     i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* Past the bound of put(), within TAIL_BYTES. */
static void put_tail(struct line *line, const char *text)
{
	size_t size = strlen(text);

	memcpy(line->data + line->size, text, size);
	line->size += size;
}

/* All of text or nothing, so that no escape is cut in two. */
static void put(struct line *line, const char *text, size_t size)
{
	if (line->cut)
		return;
	if (line->size + size > LINE_BYTES - TAIL_BYTES) {
		put_tail(line, "...");
		line->cut = true;
		return;
	}
	memcpy(line->data + line->size, text, size);
	line->size += size;
}

static void put_str(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return text.size > 0;
}

static void put_escaped(struct line *line, char c)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char byte = (unsigned char)c;

	if (c == '"' || c == '\\')
		put(line, (char[]){'\\', c}, 2);
	else if (c == '\n')
		put(line, "\\n", 2);
	else if (c == '\r')
		put(line, "\\r", 2);
	else if (c == '\t')
		put(line, "\\t", 2);
	else if (byte < ' ' || byte > '~')
		put(line, (char[]){'\\', 'x', hex[byte >> 4], hex[byte & 15]},
		    4);
	else
		put(line, &c, 1);
}

/* Only printable ASCII comes out: beyond it lie more line ends (U+0085,
 * U+2028) and terminal controls than a reader of logs can be trusted to know.
 */
static void put_value(struct line *line, struct slice text)
{
	bool quoted = !is_plain(text);

	if (quoted)
		put(line, "\"", 1);
	if (line->cut)
		return;
	for (size_t i = 0; i < text.size && !line->cut; i++)
		put_escaped(line, text.data[i]);
	if (quoted)
		put_tail(line, "\"");
}

static void put_field(struct line *line, const struct log_field *field)
{
	if (field->kind == LOG_FIELD_STR && !field->text.data)
		return;
	put(line, " ", 1);
	put_str(line, field->key);
	put(line, "=", 1);
	if (field->kind == LOG_FIELD_STR) {
		put_value(line, field->text);
	} else {
		char number[24];

		snprintf(number, sizeof(number), "%" PRId64, field->number);
		put_str(line, number);
	}
}

static void put_head(struct line *line, enum log_level level, const char *event)
{
	char head[128];
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);

	size_t size =
		strftime(head, sizeof(head), "time=%Y-%m-%dT%H:%M:%S", &utc);

	snprintf(head + size, sizeof(head) - size,
		 ".%03ldZ level=%s process=", now.tv_nsec / 1000000,
		 level_names[level]);
	put_str(line, head);
	put_str(line, process_name);
	put_str(line, " event=");
	put_str(line, event);
}

bool log_writes(enum log_level level)
{
	return level <= level_max;
}

void log_write(enum log_level level, const char *event,
	       const struct log_field *fields, size_t count)
{
	if (!log_writes(level))
		return;

	struct line line;

	line.size = 0;
	line.cut = false;
	put_head(&line, level, event);
	for (size_t i = 0; i < count && !line.cut; i++)
		put_field(&line, &fields[i]);
	put_tail(&line, "\n");

	/* Where the log cannot be written there is nowhere to say so. */
	while (write(STDERR_FILENO, line.data, line.size) < 0 && errno == EINTR)
		continue;
}
