#include "proto/error.h"

#include "proto/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct error_row {
	enum err_code code;
	int http;
	const char *name;
	const char *v22;
	const char *text;
};

static const struct error_row rows[] = {
#define ERR_ROW(name, number, http, v22, text) {name, http, #name, v22, text},
	ERR_LIST(ERR_ROW)
#undef ERR_ROW
};

bool err_known(uint64_t number)
{
	return number < sizeof(rows) / sizeof(rows[0]);
}

/* The rows stand in the order of their numbers. */
static const struct error_row *row_of(enum err_code code)
{
	return &rows[err_known(code) ? code : ERR_INTERNAL];
}

int err_http(enum err_code code)
{
	return row_of(code)->http;
}

const char *err_v22(enum err_code code)
{
	return row_of(code)->v22;
}

const char *err_text(enum err_code code)
{
	return row_of(code)->text;
}

const char *err_name(enum err_code code)
{
	return row_of(code)->name;
}

/* Only the head: details past detail_count are never read. */
static void reset(struct err *err, enum err_code code)
{
	err->code = code;
	err->retry_after_s = 0;
	err->detail_count = 0;
	err->text[0] = '\0';
}

enum err_code err_set(struct err *err, enum err_code code, const char *format,
		      ...)
{
	if (err) {
		va_list args;

		reset(err, code);
		va_start(args, format);
		vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}
	return code;
}

enum err_code err_code_set(struct err *err, enum err_code code)
{
	return err_set(err, code, "%s", err_text(code));
}

enum err_code err_field(struct err *err, const char *field, const char *format,
			...)
{
	if (!err)
		return ERR_VALIDATE;
	if (err->code != ERR_VALIDATE)
		err_code_set(err, ERR_VALIDATE);
	if (err->detail_count < ERR_DETAILS_MAX) {
		struct err_detail *detail = &err->details[err->detail_count++];
		va_list args;

		snprintf(detail->field, sizeof(detail->field), "%s", field);
		va_start(args, format);
		vsnprintf(detail->reason, sizeof(detail->reason), format, args);
		va_end(args);
	}
	return ERR_VALIDATE;
}

void err_wrap(struct err *err, const char *prefix)
{
	struct buffer text = {0};

	buffer_printf(&text, "%s: %s", prefix, err->text);
	if (text.size >= sizeof(err->text))
		text.size = sizeof(err->text) - 1;
	memcpy(err->text, text.data, text.size);
	err->text[text.size] = '\0';
	buffer_fini(&text);
}
