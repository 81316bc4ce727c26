#include "proto/error.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct code_row {
	enum err_code code;
	int number;
	int http;
	const char *name;
	const char *v22;
};

/* The numbers are on the wire: they may never change. */
static const struct code_row code_rows[] = {
	{ERR_OK, 0, 200, "ERR_OK", "OK"},
	{ERR_VALIDATE, 1, 400, "ERR_VALIDATE", "VALIDATE_FAILED"},
	{ERR_NOT_FOUND, 7, 404, "ERR_NOT_FOUND", "NOT_FOUND"},
	{ERR_INTERNAL, 17, 500, "ERR_INTERNAL", "UNKNOWN"},
	{ERR_LOST, 19, 502, "ERR_LOST", "BAD_GATEWAY"},
	{ERR_UNAVAILABLE, 20, 503, "ERR_UNAVAILABLE", "UNAVAILABLE"},
	{ERR_DEADLINE, 21, 504, "ERR_DEADLINE", "DEADLINE_EXCEEDED"},
	{ERR_VERSION, 22, 501, "ERR_VERSION", "NOT_IMPLEMENTED"},
	{ERR_ELSEWHERE, 23, 503, "ERR_ELSEWHERE", "UNAVAILABLE"},
	/* Off the wire may come any number. */
	{(enum err_code)9999, 9999, 500, "ERR_INTERNAL", "UNKNOWN"},
};

Test(error, list)
{
	for (size_t i = 0; i < sizeof(code_rows) / sizeof(code_rows[0]); i++) {
		const struct code_row *row = &code_rows[i];

		cr_expect_eq((int)row->code, row->number, "%s", row->name);
		cr_expect_eq(err_http(row->code), row->http, "%s", row->name);
		cr_expect_str_eq(err_name(row->code), row->name);
		cr_expect_str_eq(err_v22(row->code), row->v22);
		cr_expect(err_text(row->code)[0] != '\0', "%s", row->name);
	}
}

Test(error, set_replaces)
{
	struct err err = {0};

	err_field(&err, "name", "too short");
	err.retry_after_s = 7;
	cr_expect_eq(err_set(&err, ERR_IN_USE, "by %d", 3), ERR_IN_USE);
	cr_expect_eq(err.code, ERR_IN_USE);
	cr_expect_str_eq(err.text, "by 3");
	cr_expect_eq(err.detail_count, 0);
	cr_expect_eq(err.retry_after_s, 0);
	err_code_set(&err, ERR_NOT_FOUND);
	cr_expect_str_eq(err.text, err_text(ERR_NOT_FOUND));
}

Test(error, null_is_allowed)
{
	cr_expect_eq(err_set(NULL, ERR_LIMIT, "x"), ERR_LIMIT);
	cr_expect_eq(err_code_set(NULL, ERR_LIMIT), ERR_LIMIT);
	cr_expect_eq(err_field(NULL, "x", "y"), ERR_VALIDATE);
}

Test(error, texts_are_cut)
{
	struct err err = {0};

	err_set(&err, ERR_INTERNAL, "%1000s", "x");
	cr_expect_eq(strlen(err.text), ERR_TEXT_BYTES - 1);
	err_wrap(&err, "prefix");
	cr_expect_eq(strlen(err.text), ERR_TEXT_BYTES - 1);
	cr_expect(strncmp(err.text, "prefix: ", 8) == 0);
	err_field(&err, "f", "%1000s", "x");
	cr_expect_eq(strlen(err.details[0].reason), ERR_REASON_BYTES - 1);
}

Test(error, fields_add_up_to_their_bound)
{
	struct err err = {0};

	err_set(&err, ERR_NOT_FOUND, "forgotten");
	for (int i = 0; i < ERR_DETAILS_MAX + 2; i++) {
		char field[24];

		snprintf(field, sizeof(field), "field%d", i);
		cr_expect_eq(err_field(&err, field, "rule %d", i),
			     ERR_VALIDATE);
	}
	cr_expect_eq(err.code, ERR_VALIDATE);
	cr_expect_eq(err.detail_count, ERR_DETAILS_MAX);
	cr_expect_str_eq(err.details[ERR_DETAILS_MAX - 1].field, "field7");
	cr_expect_str_eq(err.details[0].reason, "rule 0");
	cr_expect_str_eq(err.text, err_text(ERR_VALIDATE));
}
