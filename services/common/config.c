#include "services/common/config.h"

#include "proto/buffer.h"
#include "proto/mem.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct row {
	const char *name;
	const char *variable;
	enum config_kind kind;
	const char *fallback;
	int64_t min;
	int64_t max;
	const char *doc;
};

#define VARIABLE_PREFIX "TRUNKLINE_"

static const struct row rows[] = {
#define CONFIG_ROW(key, name, kind, fallback, min, max, doc)                   \
	{name, VARIABLE_PREFIX #key, kind, fallback, min, max, doc},
	CONFIG_LIST(CONFIG_ROW)
#undef CONFIG_ROW
};

static const char file_variable[] = VARIABLE_PREFIX "CONFIG";
static const char file_flag[] = "--config=";

static const char *const kind_names[] = {
	[CONFIG_STR] = "text",
	[CONFIG_INT] = "whole number",
	[CONFIG_BOOL] = "true or false",
};

struct config {
	char *texts[CONFIG_KEYS];     /* CONFIG_STR */
	int64_t numbers[CONFIG_KEYS]; /* CONFIG_INT, CONFIG_BOOL */
};

static enum config_key key_of(const struct row *row)
{
	return (enum config_key)(row - rows);
}

static const struct row *row_by_name(const char *name, size_t size)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (slice_is(slice_of(name, size), rows[i].name))
			return &rows[i];
	}
	return NULL;
}

static const struct row *row_by_variable(const char *name, size_t size)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (slice_is(slice_of(name, size), rows[i].variable))
			return &rows[i];
	}
	return NULL;
}

/* Values are not repeated in errors: some hold passwords. */
static enum err_code set_text(struct config *config, const struct row *row,
			      const char *text, const char *source,
			      struct err *err)
{
	size_t size = strlen(text);

	if ((int64_t)size < row->min || (int64_t)size > row->max)
		return err_set(err, ERR_VALIDATE,
			       "%s: must have %" PRId64 " to %" PRId64
			       " bytes (%s)",
			       row->name, row->min, row->max, source);
	free(config->texts[key_of(row)]);
	config->texts[key_of(row)] = mem_strdup(text);
	return ERR_OK;
}

static enum err_code set_number(struct config *config, const struct row *row,
				int64_t number, const char *source,
				struct err *err)
{
	if (number < row->min || number > row->max)
		return err_set(err, ERR_VALIDATE,
			       "%s: must be between %" PRId64 " and %" PRId64
			       " (%s)",
			       row->name, row->min, row->max, source);
	config->numbers[key_of(row)] = number;
	return ERR_OK;
}

static enum err_code wrong_kind(const struct row *row, const char *source,
				struct err *err)
{
	return err_set(err, ERR_VALIDATE, "%s: must be %s (%s)", row->name,
		       kind_names[row->kind], source);
}

static enum err_code parse_number(struct config *config, const struct row *row,
				  const char *text, const char *source,
				  struct err *err)
{
	char *end;

	/* strtoll() would take leading space and '+'. */
	if (!isdigit((unsigned char)text[0]) && text[0] != '-')
		return wrong_kind(row, source, err);
	errno = 0;

	long long number = strtoll(text, &end, 10);

	if (errno != 0 || *end != '\0' || end == text)
		return wrong_kind(row, source, err);
	return set_number(config, row, number, source, err);
}

/* A value as the environment, a flag and the table have it. */
static enum err_code parse(struct config *config, const struct row *row,
			   const char *text, const char *source,
			   struct err *err)
{
	switch (row->kind) {
	case CONFIG_STR:
		return set_text(config, row, text, source, err);
	case CONFIG_INT:
		return parse_number(config, row, text, source, err);
	case CONFIG_BOOL:
		if (strcmp(text, "true") == 0)
			return set_number(config, row, 1, source, err);
		if (strcmp(text, "false") == 0)
			return set_number(config, row, 0, source, err);
	}
	return wrong_kind(row, source, err);
}

static void set_fallbacks(struct config *config)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		enum err_code code = parse(config, &rows[i], rows[i].fallback,
					   "default", NULL);

		assert(code == ERR_OK);
		(void)code;
	}
}

static enum err_code set_json(struct config *config, const struct row *row,
			      const json_t *value, const char *path,
			      struct err *err)
{
	if (row->kind == CONFIG_STR && json_is_string(value))
		return set_text(config, row, json_string_value(value), path,
				err);
	if (row->kind == CONFIG_INT && json_is_integer(value))
		return set_number(config, row, json_integer_value(value), path,
				  err);
	if (row->kind == CONFIG_BOOL && json_is_boolean(value))
		return set_number(config, row, json_is_true(value), path, err);
	return wrong_kind(row, path, err);
}

static enum err_code read_object(struct config *config, json_t *object,
				 const char *path, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		const struct row *row = row_by_name(name, strlen(name));

		if (!row)
			return err_set(err, ERR_VALIDATE,
				       "%s: unknown key (%s)", name, path);

		enum err_code code = set_json(config, row, value, path, err);

		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

static enum err_code read_file(struct config *config, const char *path,
			       struct err *err)
{
	json_error_t error;
	json_t *object = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (!object && error.line > 0)
		return err_set(err, ERR_VALIDATE, "line %d: not JSON (%s)",
			       error.line, path);
	if (!object)
		return err_set(err, ERR_VALIDATE, "cannot be read (%s)", path);

	enum err_code code = json_is_object(object)
				     ? read_object(config, object, path, err)
				     : err_set(err, ERR_VALIDATE,
					       "not a JSON object (%s)", path);

	json_decref(object);
	return code;
}

/* The last --config, else the variable; NULL where neither names a file. */
static const char *file_path(int argc, char **argv)
{
	const char *path = getenv(file_variable);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], file_flag, strlen(file_flag)) == 0)
			path = argv[i] + strlen(file_flag);
	}
	return path && path[0] != '\0' ? path : NULL;
}

static enum err_code read_environment(struct config *config, struct err *err)
{
	for (char **entry = environ; *entry; entry++) {
		const char *equals = strchr(*entry, '=');

		if (strncmp(*entry, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) !=
			    0 ||
		    !equals)
			continue;

		size_t size = (size_t)(equals - *entry);

		if (slice_is(slice_of(*entry, size), file_variable))
			continue;

		const struct row *row = row_by_variable(*entry, size);

		if (!row)
			return err_set(err, ERR_VALIDATE,
				       "%.*s: unknown variable (environment)",
				       (int)size, *entry);

		enum err_code code =
			parse(config, row, equals + 1, "environment", err);

		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

static enum err_code read_flag(struct config *config, const char *flag,
			       struct err *err)
{
	const char *equals = strchr(flag, '=');
	const struct row *row = NULL;

	if (strncmp(flag, file_flag, strlen(file_flag)) == 0)
		return ERR_OK;
	if (strncmp(flag, "--", 2) == 0 && equals)
		row = row_by_name(flag + 2, (size_t)(equals - flag - 2));
	if (!row)
		return err_set(err, ERR_VALIDATE,
			       "%.*s: unknown flag, must be --key=value "
			       "(command line)",
			       (int)strcspn(flag, "="), flag);
	return parse(config, row, equals + 1, "command line", err);
}

static enum err_code read_all(struct config *config, int argc, char **argv,
			      struct err *err)
{
	const char *path = file_path(argc, argv);
	enum err_code code = ERR_OK;

	set_fallbacks(config);
	if (path)
		code = read_file(config, path, err);
	if (code == ERR_OK)
		code = read_environment(config, err);
	for (int i = 1; i < argc && code == ERR_OK; i++)
		code = read_flag(config, argv[i], err);
	return code;
}

enum err_code config_load(int argc, char **argv, struct config **out,
			  struct err *err)
{
	struct config *config = mem_alloc(sizeof(*config));
	enum err_code code = read_all(config, argc, argv, err);

	if (code != ERR_OK) {
		config_free(config);
		return code;
	}
	*out = config;
	return ERR_OK;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		/* A URL may hold a password. */
		if (config->texts[i])
			explicit_bzero(config->texts[i],
				       strlen(config->texts[i]));
		free(config->texts[i]);
	}
	free(config);
}

const char *config_str(const struct config *config, enum config_key key)
{
	assert(rows[key].kind == CONFIG_STR);
	return config->texts[key];
}

int64_t config_int(const struct config *config, enum config_key key)
{
	assert(rows[key].kind == CONFIG_INT);
	return config->numbers[key];
}

bool config_bool(const struct config *config, enum config_key key)
{
	assert(rows[key].kind == CONFIG_BOOL);
	return config->numbers[key] != 0;
}

void config_usage_print(FILE *out)
{
	static const char *const values[] = {
		[CONFIG_STR] = "TEXT",
		[CONFIG_INT] = "NUMBER",
		[CONFIG_BOOL] = "true|false",
	};

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct row *row = &rows[i];

		fprintf(out, "  --%s=%s", row->name, values[row->kind]);
		if (row->kind == CONFIG_INT)
			fprintf(out, " (%" PRId64 " to %" PRId64 ")", row->min,
				row->max);
		fprintf(out, ", default %s\n      %s\n",
			row->fallback[0] ? row->fallback : "empty", row->doc);
	}
}

void config_table_print(FILE *out)
{
	fputs("| key | value | default | what it does |\n"
	      "| --- | --- | --- | --- |\n",
	      out);
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct row *row = &rows[i];

		fprintf(out, "| `%s` | %s", row->name, kind_names[row->kind]);
		if (row->kind == CONFIG_INT)
			fprintf(out, ", %" PRId64 " to %" PRId64, row->min,
				row->max);
		if (row->fallback[0] != '\0')
			fprintf(out, " | `%s` | %s |\n", row->fallback,
				row->doc);
		else
			fprintf(out, " | empty | %s |\n", row->doc);
	}
}

char *config_service_address(const struct config *config, const char *service)
{
	struct buffer text = {0};

	buffer_printf(&text, "%s_address", service);

	const struct row *row = row_by_name(text.data, text.size);
	const char *address = row ? config_str(config, key_of(row)) : "";

	text.size = 0;
	if (address[0] != '\0')
		buffer_append_str(&text, address);
	else
		buffer_printf(&text, "ipc://%s/%s.sock",
			      config_str(config, CONFIG_BUS_DIR), service);
	buffer_append_char(&text, '\0');
	return text.data; /* malloc'ed, as the caller's free() needs */
}

char *config_listen_address(const struct config *config, const char *service)
{
	const char *listen = config_str(config, CONFIG_LISTEN);

	if (listen[0] != '\0')
		return mem_strdup(listen);
	char *address = config_service_address(config, service);

	address[strcspn(address, ",")] = '\0';
	return address;
}
