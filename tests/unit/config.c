#include "services/common/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MAX = 4 };

static enum err_code load(const char *const *flags, struct config **out,
			  struct err *err)
{
	char *argv[ARGS_MAX + 2] = {"program"};
	int argc = 1;

	while (flags && flags[argc - 1] && argc <= ARGS_MAX) {
		argv[argc] = (char *)flags[argc - 1];
		argc++;
	}
	return config_load(argc, argv, out, err);
}

/* A file with this text; its path is allocated. */
static char *file_with(const char *text)
{
	char *path = strdup("/tmp/trunkline-test-XXXXXX");
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void file_remove(char *path)
{
	unlink(path);
	free(path);
}

Test(config, defaults)
{
	struct config *config;

	cr_assert_eq(load(NULL, &config, NULL), ERR_OK);
	cr_expect_eq(config_int(config, CONFIG_HTTP_PORT), 8887);
	cr_expect_eq(config_int(config, CONFIG_RATE_LIMIT), 5000);
	cr_expect_str_eq(config_str(config, CONFIG_HTTP_HOST), "0.0.0.0");
	cr_expect(config_bool(config, CONFIG_ACCESS_LOG));
	config_free(config);
	config_free(NULL);
}

Test(config, later_source_wins)
{
	char *path = file_with("{\"http_port\": 1, \"drain_ms\": 2, "
			       "\"call_deadline_ms\": 30, "
			       "\"access_log\": false, \"web_domain\": \"x\"}");
	struct config *config;
	const char *flags[] = {"--http_port=3", NULL};

	setenv("TRUNKLINE_CONFIG", path, 1);
	setenv("TRUNKLINE_HTTP_PORT", "2", 1);
	setenv("TRUNKLINE_DRAIN_MS", "4", 1);
	cr_assert_eq(load(flags, &config, NULL), ERR_OK);
	cr_expect_eq(config_int(config, CONFIG_HTTP_PORT), 3, "flag");
	cr_expect_eq(config_int(config, CONFIG_DRAIN_MS), 4, "environment");
	cr_expect_eq(config_int(config, CONFIG_CALL_DEADLINE_MS), 30, "file");
	cr_expect_not(config_bool(config, CONFIG_ACCESS_LOG), "file");
	cr_expect_str_eq(config_str(config, CONFIG_WEB_DOMAIN), "x", "file");
	config_free(config);
	file_remove(path);
}

Test(config, flag_names_the_file)
{
	char *path = file_with("{\"http_port\": 1}");
	char flag[64];
	struct config *config;

	snprintf(flag, sizeof(flag), "--config=%s", path);
	setenv("TRUNKLINE_CONFIG", "/nowhere", 1);
	cr_assert_eq(load((const char *[]){flag, NULL}, &config, NULL), ERR_OK);
	cr_expect_eq(config_int(config, CONFIG_HTTP_PORT), 1);
	config_free(config);
	file_remove(path);
}

/* Each is refused, with a text that names the key, and without the value. */
struct refused_row {
	const char *name;
	const char *flag;
	const char *file;
	const char *text;
};

static const struct refused_row refused_rows[] = {
	{"unknown flag", "--nothing=secret", NULL, "--nothing: unknown flag"},
	{"flag without a value", "--http_port", NULL, "--http_port: unknown"},
	{"positional", "secret=x", NULL, "secret: unknown flag"},
	{"no number", "--http_port=secret", NULL, "http_port: must be whole"},
	{"number and more", "--http_port=1x", NULL, "http_port: must be whole"},
	{"number with space", "--http_port= 1", NULL, "http_port: must be"},
	{"empty number", "--http_port=", NULL, "http_port: must be whole"},
	{"number past 64 bits", "--http_port=99999999999999999999", NULL,
	 "http_port: must be whole"},
	{"too large", "--http_port=65536", NULL,
	 "http_port: must be between 0 and 65535 (command line)"},
	{"negative", "--http_port=-1", NULL, "http_port: must be between"},
	{"no boolean", "--access_log=yes", NULL,
	 "access_log: must be true or false"},
	{"text too short", "--admin_name=", NULL,
	 "admin_name: must have 1 to 64 bytes"},
	{"text too long", "--public_ipv4=1234567890123456", NULL,
	 "public_ipv4: must have 0 to 15 bytes"},
	{"help is not ours", "--help", NULL, "--help: unknown flag"},
	{"file: unknown key", NULL, "{\"nothing\": 1}", "nothing: unknown key"},
	{"file: wrong kind", NULL, "{\"http_port\": \"1\"}",
	 "http_port: must be whole"},
	{"file: real", NULL, "{\"http_port\": 1.5}", "http_port: must be"},
	{"file: null", NULL, "{\"http_port\": null}", "http_port: must be"},
	{"file: out of range", NULL, "{\"http_port\": 70000}",
	 "http_port: must be between"},
	{"file: no object", NULL, "[]", "not a JSON object"},
	{"file: not JSON", NULL, "{\n\"http_port\" 1}", "line 2: not JSON"},
	{"file: twice", NULL, "{\"http_port\": 1, \"http_port\": 1}",
	 "not JSON"},
};

static void check_refused(const struct refused_row *row)
{
	char *path = row->file ? file_with(row->file) : NULL;
	struct config *config = NULL;
	struct err err = {0};

	if (path)
		setenv("TRUNKLINE_CONFIG", path, 1);
	cr_expect_eq(load((const char *[]){row->flag, NULL}, &config, &err),
		     ERR_VALIDATE, "%s", row->name);
	cr_expect(strstr(err.text, row->text), "%s: %s", row->name, err.text);
	cr_expect_not(strstr(err.text, "=secret"), "%s", row->name);
	cr_expect_null(config, "%s", row->name);
	unsetenv("TRUNKLINE_CONFIG");
	if (path)
		file_remove(path);
}

Test(config, refused)
{
	for (size_t i = 0; i < sizeof(refused_rows) / sizeof(refused_rows[0]);
	     i++)
		check_refused(&refused_rows[i]);
}

Test(config, unknown_variable_is_refused)
{
	struct config *config;
	struct err err = {0};

	setenv("TRUNKLINE_HTTP_PROT", "secret", 1);
	cr_assert_eq(load(NULL, &config, &err), ERR_VALIDATE);
	cr_expect(strstr(err.text, "TRUNKLINE_HTTP_PROT: unknown"), "%s",
		  err.text);
	cr_expect_not(strstr(err.text, "secret"));
}

Test(config, missing_file_is_refused)
{
	struct config *config;
	struct err err = {0};

	setenv("TRUNKLINE_CONFIG", "/nowhere/config.json", 1);
	cr_assert_eq(load(NULL, &config, &err), ERR_VALIDATE);
	cr_expect(strstr(err.text, "/nowhere/config.json"), "%s", err.text);
}

struct address_row {
	const char *name;
	const char *flag;
	const char *service;
	const char *address;
};

static const struct address_row address_rows[] = {
	{"default", NULL, "provider", "ipc:///run/trunkline/provider.sock"},
	{"other directory", "--bus_dir=/tmp/x", "system",
	 "ipc:///tmp/x/system.sock"},
	{"given", "--provider_address=tcp://127.0.0.1:1,tcp://127.0.0.1:2",
	 "provider", "tcp://127.0.0.1:1,tcp://127.0.0.1:2"},
	{"another's", "--provider_address=tcp://127.0.0.1:1", "system",
	 "ipc:///run/trunkline/system.sock"},
	{"service without a key", NULL, "new", "ipc:///run/trunkline/new.sock"},
};

Test(config, service_address)
{
	for (size_t i = 0; i < sizeof(address_rows) / sizeof(address_rows[0]);
	     i++) {
		const struct address_row *row = &address_rows[i];
		struct config *config;

		cr_assert_eq(
			load((const char *[]){row->flag, NULL}, &config, NULL),
			ERR_OK);

		char *address = config_service_address(config, row->service);

		cr_expect_str_eq(address, row->address, "%s", row->name);
		free(address);
		config_free(config);
	}
}

static char *printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print(out);
	fclose(out);
	return text;
}

Test(config, tables)
{
	char *table = printed(config_table_print);
	char *usage = printed(config_usage_print);

	cr_expect(strstr(table, "| `http_port` | whole number, 0 to 65535 | "
				"`8887` | port"),
		  "%s", table);
	cr_expect(strstr(table, "| `tls_key` | text | empty | PEM"), "%s",
		  table);
	cr_expect(
		strstr(usage, "--http_port=NUMBER (0 to 65535), default 8887"),
		"%s", usage);
	free(table);
	free(usage);
}
