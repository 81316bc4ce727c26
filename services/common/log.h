#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/*
 * The structured log: one line per event on stderr, `key=value` pairs
 * (logfmt), values quoted where they are empty or hold a space, a quote, '=',
 * '\' or a byte that is not printable ASCII. Such bytes are escaped (\n, \r,
 * \t, \xNN), so that no value can forge a line.
 *
 *   time=2026-01-02T03:04:05.678Z level=info process=provider
 *   event=database.connected request=... lane=read
 *
 * The level and the process name are the one state at file scope: a log has to
 * be reachable from everywhere. Secrets have no place here.
 */

#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_field_kind { LOG_FIELD_STR, LOG_FIELD_INT };

struct log_field {
	const char *key;
	enum log_field_kind kind;
	struct slice text;
	int64_t number;
};

#define LOG_STR(k, v)                                                          \
	((struct log_field){                                                   \
		.key = (k), .kind = LOG_FIELD_STR, .text = slice_str(v)})
#define LOG_SLICE(k, v)                                                        \
	((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .text = (v)})
#define LOG_INT(k, v)                                                          \
	((struct log_field){                                                   \
		.key = (k), .kind = LOG_FIELD_INT, .number = (int64_t)(v)})

/* log_event(LOG_INFO, "bus.connected", LOG_STR("address", address)); */
#define log_event(level, event, ...)                                           \
	log_write((level), (event), (const struct log_field[]){__VA_ARGS__},   \
		  sizeof((const struct log_field[]){__VA_ARGS__}) /            \
			  sizeof(struct log_field))

/* Sets what is written: events up to this level, under this process name,
 * which is kept by pointer. Called once, before the first thread. */
void log_init(const char *process, enum log_level level);

/* "error", "warn", "info", "debug". Returns false for another text. */
bool log_level_parse(const char *text, enum log_level *level);

/* Whether events of a level are written: asked where what they would say costs
 * more than asking, each time something happens. */
bool log_writes(enum log_level level);

/* Writes one line with one write(2), at most 4 KiB, cut with "..." past it.
 * From any thread. Use log_event(). Fields with an absent text are left out. */
void log_write(enum log_level level, const char *event,
	       const struct log_field *fields, size_t count);

#endif
