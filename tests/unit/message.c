#include "proto/message.h"

#include "proto/event.h"
#include "proto/writer.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(message);

/* The request of proto/README.md's example. */
static void example_request(struct buffer *out)
{
	struct buffer args = {0};

	writer_map(&args, 1);
	writer_text(&args, "id");
	writer_id(&args, 700551909773148160);
	message_request_encode(
		&(struct request){.id = 1,
				  .request_id = SLICE("6f1c"),
				  .method = SLICE("provider.get"),
				  .deadline_ms = 5000,
				  .principal = {.kind = PRINCIPAL_SYSTEM,
						.id = 17,
						.role = SLICE("SystemAdmin"),
						.name = SLICE("admin"),
						.address = SLICE("192.0.2.7")},
				  .args = buffer_slice(&args)},
		out);
	buffer_fini(&args);
}

static void example_reply(struct buffer *out)
{
	struct buffer body = {0};

	writer_map(&body, 3);
	writer_text(&body, "id");
	writer_id(&body, 700551909773148160);
	writer_text(&body, "name");
	writer_text(&body, "acme");
	writer_text(&body, "created_at");
	writer_time(&body, 1500658348);
	message_reply_encode(&(struct reply){.id = 1,
					     .status = ERR_OK,
					     .object_version = 3,
					     .body = buffer_slice(&body)},
			     out);
	buffer_fini(&body);
}

static void example_error(struct buffer *out)
{
	struct buffer body = {0};
	struct err err = {0};

	err_code_set(&err, ERR_NOT_FOUND);
	message_error_encode(&err, &body);
	message_reply_encode(&(struct reply){.id = 1,
					     .status = ERR_NOT_FOUND,
					     .body = buffer_slice(&body)},
			     out);
	buffer_fini(&body);
}

static void example_event(struct buffer *out)
{
	event_encode(&(struct event){.resource = SLICE("provider"),
				     .id = 700551909773148160,
				     .version = 3,
				     .kind = EVENT_UPDATED},
		     out);
}

/* Adds the bytes of a line "a1 7f  what it is" to out. */
static void hex_add(const char *line, struct buffer *out)
{
	while (isxdigit((unsigned char)line[0]) &&
	       isxdigit((unsigned char)line[1])) {
		const char digits[] = {line[0], line[1], '\0'};

		buffer_append_char(out, (char)strtol(digits, NULL, 16));
		line += line[2] == ' ' ? 3 : 2;
	}
}

/* The bytes of the code block behind "<!-- name -->" in proto/README.md. */
static void example_read(const char *name, struct buffer *out)
{
	FILE *file = fopen(PROTO_README, "r");
	char mark[64];
	char line[256];
	int fences = -1; /* seen since the mark */

	cr_assert_not_null(file, "%s", PROTO_README);
	snprintf(mark, sizeof(mark), "<!-- %s -->\n", name);
	while (fences < 2 && fgets(line, sizeof(line), file)) {
		if (strcmp(line, mark) == 0)
			fences = 0;
		else if (fences >= 0 && strncmp(line, "```", 3) == 0)
			fences++;
		else if (fences == 1)
			hex_add(line, out);
	}
	fclose(file);
	cr_assert_eq(fences, 2, "no example %s", name);
}

Test(message, examples_of_the_document)
{
	static const struct {
		const char *name;
		void (*encode)(struct buffer *out);
	} rows[] = {
		{"request", example_request},
		{"reply", example_reply},
		{"error", example_error},
		{"event", example_event},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer ours = {0};
		struct buffer told = {0};

		rows[i].encode(&ours);
		example_read(rows[i].name, &told);
		cr_expect(slice_eq(buffer_slice(&ours), buffer_slice(&told)),
			  "%s: %zu bytes, the document has %zu", rows[i].name,
			  ours.size, told.size);
		for (size_t at = 0; at < ours.size && at < told.size; at++)
			cr_assert_eq(ours.data[at], told.data[at],
				     "%s: byte %zu is %02x, not %02x",
				     rows[i].name, at,
				     (unsigned char)ours.data[at],
				     (unsigned char)told.data[at]);
		buffer_fini(&ours);
		buffer_fini(&told);
	}
}

/* Every code of the list stands in the document with its number. */
Test(message, statuses_of_the_document)
{
	static const struct {
		const char *name;
		int number;
		int http;
	} rows[] = {
#define ROW(name, number, http, v22, text) {#name, number, http},
		ERR_LIST(ROW)
#undef ROW
	};
	FILE *file = fopen(PROTO_README, "r");
	char line[256];
	size_t found = 0;

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file)) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			char row[96];

			snprintf(row, sizeof(row), "| %d | `%s` | %d |",
				 rows[i].number, rows[i].name, rows[i].http);
			found += strncmp(line, row, strlen(row)) == 0;
		}
	}
	fclose(file);
	cr_expect_eq(found, sizeof(rows) / sizeof(rows[0]));
}

Test(message, every_prefix_of_a_frame_is_malformed)
{
	struct buffer whole = {0};

	example_request(&whole);
	for (size_t size = 0; size < whole.size; size++) {
		struct reader reader;
		struct request request = {0};
		/* An exact copy, so that ASan sees a read past its end. */
		char *copy = malloc(size + 1);

		memcpy(copy, whole.data, size);
		copy = realloc(copy, size ? size : 1);
		reader_init(&reader, slice_of(copy, size));
		cr_expect_eq(message_request_decode(&reader, &request),
			     ERR_MALFORMED, "%zu bytes", size);
		free(copy);
	}
	buffer_fini(&whole);
}

Test(message, error_body)
{
	struct err err = {0};
	struct err again = {0};
	struct buffer body = {0};

	for (size_t i = 0; i < ERR_DETAILS_MAX; i++)
		err_field(&err, "inbound_parameters.port", "rule %zu", i);
	err.retry_after_s = 30;
	message_error_encode(&err, &body);
	message_error_decode(ERR_VALIDATE, buffer_slice(&body), &again);
	cr_expect_eq(again.code, ERR_VALIDATE);
	cr_expect_eq(again.retry_after_s, 30);
	cr_expect_str_eq(again.text, err.text);
	cr_assert_eq(again.detail_count, ERR_DETAILS_MAX);
	cr_expect_str_eq(again.details[7].reason, "rule 7");
	buffer_fini(&body);
}

Test(message, error_body_unreadable)
{
	static const char *const rows[] = {"", "\xc0", "\x01", "\x81\x01\x02",
					   "\x81\xa4text"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = {0};

		message_error_decode(ERR_CONFLICT, slice_str(rows[i]), &err);
		cr_expect_eq(err.code, ERR_CONFLICT);
		cr_expect_str_eq(err.text, err_text(ERR_CONFLICT));
	}
}
