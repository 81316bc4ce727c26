#include "services/system/system.h"

#include "proto/json.h"
#include "proto/writer.h"
#include "servers.h"
#include "services/common/bus_client.h"
#include "turn.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum {
	SOON_MS = 30000, /* a deadline no test reaches */
	PATH_BYTES = 128,
	TEXT_BYTES = 4096,
};

/* A database and a Redis of the test's own. */
static struct world {
	struct servers_postgres postgres;
	struct servers_redis redis;
	struct loop *loop;
	char directory[64];
	char file[PATH_BYTES]; /* admin_file */
} world;

/* A running system service and a client of it: whom calls go to. */
static struct service {
	struct config *config;
	void *self;
	struct bus_client *client;
} service;

static void world_init(void)
{
	servers_postgres_migrated(&world.postgres);
	/* Not a configuration key, as it looks. */
	unsetenv("TRUNKLINE_TEST_POSTGRES_DIR");
	servers_redis_start(&world.redis, NULL);
	servers_dir_make(world.directory);
	snprintf(world.file, sizeof(world.file), "%s/admin", world.directory);
	world.loop = loop_new();
}

static void world_fini(void)
{
	loop_free(world.loop);
	servers_dir_remove(world.directory);
	servers_redis_stop(&world.redis);
}

static long number(const char *sql)
{
	return servers_postgres_number(&world.postgres, sql);
}

static void service_begin(const char *name, const char *file)
{
	char flags[5][256];
	char address[PATH_BYTES];
	char *argv[] = {(char *)"test", flags[0], flags[1],
			flags[2],	flags[3], NULL};
	struct err err = {0};

	snprintf(address, sizeof(address), "ipc://%s/%s.sock", world.directory,
		 name);
	snprintf(flags[0], sizeof(flags[0]), "--database_url=%s",
		 world.postgres.url);
	snprintf(flags[1], sizeof(flags[1]), "--redis_url=%s", world.redis.url);
	snprintf(flags[2], sizeof(flags[2]), "--listen=%s", address);
	snprintf(flags[3], sizeof(flags[3]), "--admin_file=%s", file);
	cr_assert_eq(config_load(5, argv, &service.config, &err), ERR_OK, "%s",
		     err.text);
	cr_assert_eq(system_process.start(&system_process, world.loop,
					  service.config, &service.self, &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(bus_client_new(world.loop, "system", address, NULL,
				    &service.client, &err),
		     ERR_OK, "%s", err.text);
}

static void service_end(void)
{
	system_process.stop(service.self);
	TURN_UNTIL(world.loop, system_process.idle(service.self));
	bus_client_free(service.client);
	system_process.free(service.self);
	config_free(service.config);
}

/* What a call was answered. */
struct answer {
	bool done;
	struct err err;
	uint64_t version;
	char json[TEXT_BYTES];
};

static void on_answer(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct answer *answer = arg;
	struct buffer json = {0};

	answer->done = true;
	if (err) {
		answer->err = *err;
		return;
	}
	cr_assert_eq(json_from_msgpack(reply->body, NULL, &json, NULL), ERR_OK);
	answer->version = reply->object_version;
	snprintf(answer->json, sizeof(answer->json), "%.*s",
		 SLICE_ARG(buffer_slice(&json)));
	buffer_fini(&json);
}

static void call_send(enum bus_lane lane, const struct principal *principal,
		      const char *method, struct slice args,
		      struct answer *answer)
{
	bus_client_call(service.client, lane,
			&(struct request){.request_id = SLICE("test"),
					  .method = slice_str(method),
					  .deadline_ms = SOON_MS,
					  .principal = *principal,
					  .args = args},
			on_answer, answer);
}

static void call_begin(enum bus_lane lane, const struct principal *principal,
		       const char *method, const char *json,
		       struct answer *answer)
{
	struct buffer args = {0};

	*answer = (struct answer){0};
	cr_assert_eq(json_to_msgpack(slice_str(json), &args, NULL), ERR_OK);
	call_send(lane, principal, method, buffer_slice(&args), answer);
	buffer_fini(&args);
}

static struct answer call_as(const struct principal *principal,
			     const char *method, const char *json)
{
	struct answer answer;

	call_begin(BUS_SLOW, principal, method, json, &answer);
	TURN_UNTIL(world.loop, answer.done);
	return answer;
}

static struct principal nobody(const char *address)
{
	return (struct principal){.kind = PRINCIPAL_NOBODY,
				  .address = slice_str(address)};
}

static struct answer call(const char *method, const char *json)
{
	const struct principal principal = nobody("192.0.2.1");

	return call_as(&principal, method, json);
}

/* The text of a string member; "" where there is none. */
static void member(const char *json, const char *name, char *text, size_t size)
{
	char key[64];

	snprintf(key, sizeof(key), "\"%s\":\"", name);

	const char *at = strstr(json, key);

	text[0] = '\0';
	if (at)
		snprintf(text, size, "%.*s",
			 (int)strcspn(at + strlen(key), "\""),
			 at + strlen(key));
}

static bool service_ready(void)
{
	static const struct principal asker = {.kind = PRINCIPAL_SERVICE};
	const struct answer answer = call_as(&asker, "service.health", "{}");

	return strstr(answer.json, "\"ready\":true");
}

static void service_start(void)
{
	service_begin("system", world.file);
	TURN_UNTIL(world.loop, service_ready());
}

/* The password in the administrator's file. */
static void password_read(char password[64])
{
	char name[64] = "";
	FILE *file = fopen(world.file, "r");

	cr_assert_not_null(file, "%s", world.file);
	cr_assert_eq(fscanf(file, "name=%63[^\n]\npassword=%63[^\n]\n", name,
			    password),
		     2);
	cr_assert_eq(fgetc(file), EOF);
	fclose(file);
	cr_assert_str_eq(name, "admin");
	cr_assert_eq(strlen(password), 20);
}

static struct answer sign_in_from(const char *address, const char *password)
{
	const struct principal principal = nobody(address);
	char json[256];

	snprintf(json, sizeof(json),
		 "{\"username\":\"admin\",\"password\":\"%s\"}", password);
	return call_as(&principal, "auth.sign_in", json);
}

static enum err_code sign_in(const char *password)
{
	return sign_in_from("192.0.2.1", password).err.code;
}

/* Files in the directory of admin_file but sockets. */
static size_t files(void)
{
	DIR *directory = opendir(world.directory);
	size_t count = 0;

	for (struct dirent *at = readdir(directory); at;
	     at = readdir(directory))
		count += at->d_type == DT_REG;
	closedir(directory);
	return count;
}

/* Most find a service that runs; some start it themselves. */
static void setup(void)
{
	world_init();
	service_start();
}

static void teardown(void)
{
	service_end();
	world_fini();
}

TestSuite(system, .init = setup, .fini = teardown);
TestSuite(system_starts, .init = world_init, .fini = world_fini);

static const char count_sql[] = "SELECT count(*) FROM system.administrators";
static const char id_sql[] = "SELECT id FROM system.administrators";

Test(system_starts, first_administrator)
{
	struct stat status;
	char password[64];
	char again[64];

	service_start();
	cr_assert_eq(stat(world.file, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	cr_assert_eq(files(), 1);
	password_read(password);
	cr_assert_eq(sign_in(password), ERR_OK);
	service_end();

	service_start();
	password_read(again);
	cr_assert_str_eq(again, password);
	cr_assert_eq(number(count_sql), 1);
	cr_assert_eq(sign_in(password), ERR_OK);
	service_end();
}

Test(system_starts, first_administrator_of_replicas_that_start_at_once)
{
	enum { REPLICAS = 4 };
	struct service services[REPLICAS];
	char password[64];

	for (int i = 0; i < REPLICAS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "system%d", i);
		service_begin(name, world.file);
		services[i] = service;
	}
	for (int i = 0; i < REPLICAS; i++) {
		service = services[i];
		TURN_UNTIL(world.loop, service_ready());
	}
	cr_assert_eq(number(count_sql), 1);
	cr_assert_eq(files(), 1);
	password_read(password);
	for (int i = 0; i < REPLICAS; i++) {
		service = services[i];
		cr_assert_eq(sign_in(password), ERR_OK);
	}
	for (int i = 0; i < REPLICAS; i++) {
		service = services[i];
		service_end();
	}
}

/* A crash between the commit and the renaming of the file. */
Test(system_starts, first_administrator_file_is_found_again)
{
	char password[64];
	char again[64];
	char path[2 * PATH_BYTES];

	service_start();
	password_read(password);
	service_end();
	snprintf(path, sizeof(path), "%s.%ld", world.file, number(id_sql));
	cr_assert_eq(rename(world.file, path), 0);

	service_start();
	password_read(again);
	cr_assert_str_eq(again, password);
	service_end();
}

static void health_is(const char *reason)
{
	static const struct principal asker = {.kind = PRINCIPAL_SERVICE};
	char text[64];

	TURN_UNTIL(world.loop, ({
			   const struct answer answer =
				   call_as(&asker, "service.health", "{}");

			   member(answer.json, "reason", text, sizeof(text));
			   strcmp(text, reason) == 0;
		   }));
}

Test(system_starts, first_administrator_is_not_made_without_a_file)
{
	service_begin("system", "");
	health_is("administrator");
	cr_assert_eq(number(count_sql), 0);
	service_end();

	service_begin("system", "/nowhere/at/all/admin");
	health_is("administrator");
	cr_assert_eq(number(count_sql), 0);
	service_end();
}

Test(system, refused_sign_ins)
{
	static const struct {
		const char *name;
		const char *method;
		const char *json;
		enum err_code code;
		const char *field;
	} rows[] = {
		{"wrong password", "auth.sign_in",
		 "{\"username\":\"admin\",\"password\":\"x\"}", ERR_SIGN_IN,
		 NULL},
		{"unknown name", "auth.login",
		 "{\"username\":\"nobody\",\"password\":\"x\"}", ERR_SIGN_IN,
		 NULL},
		{"empty password", "auth.sign_in",
		 "{\"username\":\"admin\",\"password\":\"\"}", ERR_SIGN_IN,
		 NULL},
		{"no tenant", "auth.oauth_token",
		 "{\"grant_type\":\"password\",\"username\":\"admin\","
		 "\"password\":\"x\",\"domain\":\"a.example\"}",
		 ERR_SIGN_IN, NULL},
		{"no password", "auth.sign_in", "{\"username\":\"admin\"}",
		 ERR_VALIDATE, "password"},
		{"empty name", "auth.sign_in",
		 "{\"username\":\"\",\"password\":\"x\"}", ERR_VALIDATE,
		 "username"},
		{"no grant", "auth.oauth_token", "{}", ERR_VALIDATE,
		 "grant_type"},
		{"other grant", "auth.oauth_token",
		 "{\"grant_type\":\"client_credentials\"}", ERR_VALIDATE,
		 "grant_type"},
		{"password grant without", "auth.oauth_token",
		 "{\"grant_type\":\"password\",\"username\":\"admin\"}",
		 ERR_VALIDATE, "password"},
		{"refresh grant without", "auth.oauth_token",
		 "{\"grant_type\":\"refresh_token\"}", ERR_VALIDATE,
		 "refresh_token"},
		{"refresh grant", "auth.oauth_token",
		 "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"x\"}",
		 ERR_REFRESH, NULL},
		{"refresh", "auth.refresh", "{\"refresh_token\":\"x\"}",
		 ERR_REFRESH, NULL},
		{"no session", "auth.session", "{}", ERR_UNAUTHORIZED, NULL},
		{"unknown session", "auth.session", "{\"access_token\":\"x\"}",
		 ERR_UNAUTHORIZED, NULL},
		{"not signed in", "auth.user", "{}", ERR_FORBIDDEN, NULL},
		{"not administrator", "admin.username", "{\"name\":\"bob\"}",
		 ERR_FORBIDDEN, NULL},
		{"no such tenant", "info.get", "{\"domain\":\"a.example\"}",
		 ERR_NOT_FOUND, NULL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer answer = call(rows[i].method, rows[i].json);

		cr_assert_eq(answer.err.code, rows[i].code, "%s: %s %s",
			     rows[i].name, err_name(answer.err.code),
			     answer.err.text);
		if (rows[i].field)
			cr_assert_str_eq(answer.err.details[0].field,
					 rows[i].field, "%s", rows[i].name);
	}
}

/* Fills the tokens of a good answer and sees to its other members. */
static void tokens_of(const struct answer *answer, char *access, char *refresh)
{
	char type[32];

	cr_assert_eq(answer->err.code, ERR_OK, "%s", answer->err.text);
	member(answer->json, "token_type", type, sizeof(type));
	cr_assert_str_eq(type, "Bearer");
	cr_assert_not_null(strstr(answer->json, "\"expires_in\":1"));
	member(answer->json, "access_token", access, 64);
	member(answer->json, "refresh_token", refresh, 64);
	cr_assert_eq(strlen(access), 48);
	cr_assert_eq(strlen(refresh), 48);
}

static struct answer call_with(const char *method, const char *format,
			       const char *text)
{
	char json[512];

	snprintf(json, sizeof(json), "{\"%s\":\"%s\"}", format, text);
	return call(method, json);
}

Test(system, tokens_from_sign_in_to_sign_out)
{
	char password[64], access[64], refresh[64], old[64], json[512];

	password_read(password);

	struct answer answer = sign_in_from("192.0.2.1", password);

	tokens_of(&answer, access, refresh);
	answer = call_with("auth.session", "access_token", access);
	cr_assert_not_null(strstr(answer.json, access));
	cr_assert_not_null(strstr(answer.json, "\"role\":\"SystemAdmin\""));
	cr_assert_not_null(strstr(answer.json, "\"expires_at\":\"20"));

	memcpy(old, access, sizeof(old));
	answer = call_with("auth.refresh", "refresh_token", refresh);
	tokens_of(&answer, access, refresh);
	cr_assert_eq(call_with("auth.session", "access_token", old).err.code,
		     ERR_UNAUTHORIZED);

	snprintf(json, sizeof(json),
		 "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"%s\"}",
		 refresh);
	answer = call("auth.oauth_token", json);
	tokens_of(&answer, access, refresh);

	answer = call_with("auth.sign_out", "access_token", access);
	cr_assert_str_eq(answer.json, "null");
	cr_assert_eq(
		call_with("auth.refresh", "refresh_token", refresh).err.code,
		ERR_REFRESH);
}

Test(system, other_sign_ins)
{
	char password[64], access[64], refresh[64], json[512];

	password_read(password);

	snprintf(json, sizeof(json),
		 "{\"username\":\"admin\",\"password\":\"%s\",\"qr\":true}",
		 password);

	struct answer answer = call("auth.login", json);

	tokens_of(&answer, access, refresh);
	cr_assert_not_null(strstr(answer.json, "\"role\":\"SystemAdmin\""));
	cr_assert_not_null(strstr(answer.json, "\"expires_at\":\"20"));

	snprintf(json, sizeof(json),
		 "{\"grant_type\":\"password\",\"username\":\"admin\","
		 "\"password\":\"%s\",\"scope\":\"all\",\"client_id\":\"x\"}",
		 password);
	answer = call("auth.oauth_token", json);
	tokens_of(&answer, access, refresh);
	cr_assert_null(strstr(answer.json, "role"));
}

Test(system, failures_lock_their_address_out)
{
	struct answer answer;
	char password[64];

	password_read(password);

	/* A right password in time clears the count. */
	for (int i = 0; i < LOCKOUT_FAILURES_MAX - 1; i++)
		cr_assert_eq(sign_in("x"), ERR_SIGN_IN);
	cr_assert_eq(sign_in(password), ERR_OK);

	for (int i = 0; i < LOCKOUT_FAILURES_MAX; i++)
		cr_assert_eq(sign_in("x"), ERR_SIGN_IN);
	for (int i = 0; i < 2; i++) {
		answer = sign_in_from("192.0.2.1", password);
		cr_assert_eq(answer.err.code, ERR_RATE_LIMITED);
		cr_assert_gt(answer.err.retry_after_s, LOCKOUT_BLOCK_S - 60);
		cr_assert_leq(answer.err.retry_after_s, LOCKOUT_BLOCK_S);
	}
	answer = sign_in_from("192.0.2.2", password);
	cr_assert_eq(answer.err.code, ERR_OK);
}

/* Guesses sent at the same time gain nothing: the right one, behind the wrong
 * ones, is refused too. */
Test(system, guesses_at_once)
{
	enum { WRONG = 8 };
	struct answer answers[WRONG];
	const struct principal principal = nobody("2001:db8::1");
	size_t refused = 0;

	for (size_t i = 0; i < WRONG; i++)
		call_begin(BUS_SLOW, &principal, "auth.sign_in",
			   "{\"username\":\"admin\",\"password\":\"x\"}",
			   &answers[i]);
	for (size_t i = 0; i < WRONG; i++) {
		TURN_UNTIL(world.loop, answers[i].done);
		refused += answers[i].err.code == ERR_SIGN_IN;
		if (answers[i].err.code != ERR_SIGN_IN)
			cr_assert_eq(answers[i].err.code, ERR_RATE_LIMITED);
	}
	cr_assert_eq(refused, LOCKOUT_FAILURES_MAX);
}

static struct principal administrator(void)
{
	return (struct principal){.kind = PRINCIPAL_SYSTEM,
				  .id = number(id_sql),
				  .role = SLICE("SystemAdmin"),
				  .name = SLICE("admin"),
				  .address = SLICE("192.0.2.1")};
}

static struct answer change_password(const char *from, const char *to)
{
	const struct principal admin = administrator();
	char json[512];

	snprintf(json, sizeof(json),
		 "{\"old_password\":\"%s\",\"new_password\":\"%s\"}", from, to);
	return call_as(&admin, "admin.password", json);
}

Test(system, change_of_password)
{
	char password[64], access[64], refresh[64];

	password_read(password);

	struct answer answer = sign_in_from("192.0.2.1", password);

	tokens_of(&answer, access, refresh);
	answer = change_password("wrong", "new password");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_str_eq(answer.err.details[0].field, "old_password");
	answer = change_password(password, "7 chars");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_str_eq(answer.err.details[0].field, "new_password");
	answer = change_password(password, "123456789 123456789 123456789 123");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_eq(call_with("auth.session", "access_token", access).err.code,
		     ERR_OK);

	answer = change_password(password, "new password");
	cr_assert_eq(answer.err.code, ERR_OK, "%s", answer.err.text);
	cr_assert_eq(answer.version, 2);
	cr_assert_eq(call_with("auth.session", "access_token", access).err.code,
		     ERR_UNAUTHORIZED);
	cr_assert_eq(
		call_with("auth.refresh", "refresh_token", refresh).err.code,
		ERR_REFRESH);
	cr_assert_eq(sign_in(password), ERR_SIGN_IN);
	cr_assert_eq(sign_in("new password"), ERR_OK);
}

/* Who has only a session cannot find out the password by trying. */
Test(system, old_passwords_are_counted)
{
	char password[64];

	password_read(password);
	for (int i = 0; i < LOCKOUT_FAILURES_MAX; i++)
		cr_assert_eq(change_password("x", "new password").err.code,
			     ERR_VALIDATE);
	cr_assert_eq(change_password(password, "new password").err.code,
		     ERR_RATE_LIMITED);
	cr_assert_eq(sign_in(password), ERR_RATE_LIMITED);
}

Test(system, change_of_name)
{
	static const struct {
		const char *name;
		enum err_code code;
	} rows[] = {
		{"bob", ERR_OK},
		{"b_o-b's.2", ERR_OK},
		{"a.b", ERR_OK},
		{".bob", ERR_VALIDATE},
		{"bob.", ERR_VALIDATE},
		{"b b", ERR_VALIDATE},
		{"b@b", ERR_VALIDATE},
		{"b\u00f6b", ERR_VALIDATE},
		{"", ERR_VALIDATE},
		{"12345678901234567890123456789012345678901234567890"
		 "123456789012345",
		 ERR_VALIDATE},
		{"taken", ERR_CONFLICT},
		{"admin", ERR_OK},
	};
	struct answer answer;
	char json[256];

	const struct principal admin = administrator();
	struct principal gone = admin;

	number("INSERT INTO system.administrators (name, password_hash)"
	       " VALUES ('taken', '')");
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(json, sizeof(json), "{\"name\":\"%s\"}", rows[i].name);
		answer = call_as(&admin, "admin.username", json);
		cr_assert_eq(answer.err.code, rows[i].code, "'%s': %s",
			     rows[i].name, answer.err.text);
	}
	gone.id = 1;
	answer = call_as(&gone, "admin.username", "{\"name\":\"x\"}");
	cr_assert_eq(answer.err.code, ERR_NOT_FOUND);
	answer = call_as(&admin, "auth.user", "{}");
	cr_assert_str_eq(answer.json, "{\"role\":\"SystemAdmin\","
				      "\"password_verified\":true,"
				      "\"password_force_reset\":false}");
}

/* ---- dealers, tenants' users ---- */

enum {
	DEALER = 11,
	DEALER_BELOW = 12,
	DEALER_ELSEWHERE = 13,
	DEALER_DISABLED = 14,
	TENANT = 21, /* of DEALER_BELOW */
	TENANT_ELSEWHERE = 22,
	TENANT_DISABLED = 23,
	TENANT_DELETING = 24,
	USER_ADMIN = 31, /* of TENANT */
	USER_QUEUES = 32,
	USER_STANDARD = 33,
	USER_DISABLED = 34,
};

static void dealer_make(int id, const char *name, const char *parent,
			bool enabled, bool full_access)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO dealer.dealers (id, enabled, level, parent_id, "
		 "name, password_hash, max_tenants, max_extensions, "
		 "tenant_full_access) SELECT %d, true, '%s', %s, '%s', "
		 "password_hash, 9, 99, %s FROM system.administrators",
		 id, strcmp(parent, "NULL") == 0 ? "DISTRIBUTOR" : "RESELLER",
		 parent, name, full_access ? "true" : "false");
	number(sql);
	if (enabled)
		return;
	snprintf(sql, sizeof(sql),
		 "UPDATE dealer.dealers SET enabled = false WHERE id = %d", id);
	number(sql);
}

static void tenant_make(int id, const char *domain, const char *dealer)
{
	char sql[2048];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO tenant.tenants SELECT t.* FROM "
		 "jsonb_populate_record(NULL::tenant.tenants, "
		 "(SELECT jsonb_object_agg(column_name, CASE data_type "
		 "WHEN 'boolean' THEN to_jsonb(false) "
		 "WHEN 'integer' THEN to_jsonb(CASE column_name "
		 "WHEN 'extension_count' THEN 0 WHEN 'log_retention' THEN 30 "
		 "ELSE 99 END) "
		 "WHEN 'jsonb' THEN '{}'::jsonb "
		 "WHEN 'bigint' THEN to_jsonb(1) "
		 "WHEN 'timestamp with time zone' THEN to_jsonb(now()) "
		 "ELSE to_jsonb(''::text) END) "
		 "FROM information_schema.columns "
		 "WHERE table_schema = 'tenant' AND table_name = 'tenants' "
		 "AND is_nullable = 'NO') || jsonb_build_object('id', %d, "
		 "'name', 'Tenant %d', 'domain', '%s', 'enabled', true, "
		 "'dealer_id', %s::bigint)) t",
		 id, id, domain, dealer);
	number(sql);
}

static void user_make(int id, int tenant, const char *name, const char *role)
{
	char sql[2048];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO tenant.users SELECT u.* FROM "
		 "jsonb_populate_record(NULL::tenant.users, "
		 "(SELECT jsonb_object_agg(column_name, CASE data_type "
		 "WHEN 'boolean' THEN to_jsonb(false) "
		 "WHEN 'jsonb' THEN '{}'::jsonb "
		 "WHEN 'bigint' THEN to_jsonb(1) "
		 "WHEN 'timestamp with time zone' THEN to_jsonb(now()) "
		 "ELSE to_jsonb(''::text) END) "
		 "FROM information_schema.columns "
		 "WHERE table_schema = 'tenant' AND table_name = 'users' "
		 "AND is_nullable = 'NO') || jsonb_build_object('id', %d, "
		 "'tenant_id', %d, 'name', '%s', 'enabled', true, "
		 "'role', '%s', 'extension_number', '%d', 'password_hash', "
		 "(SELECT password_hash FROM system.administrators))) u",
		 id, tenant, name, role, 1000 + id);
	number(sql);
}

/* Some of each kind, all with the administrator's password. */
static void people_make(void)
{
	dealer_make(DEALER, "Upper", "NULL", true, true);
	dealer_make(DEALER_BELOW, "Lower", "11", true, false);
	dealer_make(DEALER_ELSEWHERE, "Elsewhere", "NULL", true, true);
	dealer_make(DEALER_DISABLED, "Disabled", "NULL", false, true);
	tenant_make(TENANT, "a.example", "12");
	tenant_make(TENANT_ELSEWHERE, "b.example", "NULL");
	tenant_make(TENANT_DISABLED, "c.example", "NULL");
	tenant_make(TENANT_DELETING, "d.example", "NULL");
	user_make(USER_ADMIN, TENANT, "Alice", "Admin");
	user_make(USER_QUEUES, TENANT, "quentin", "QueueManager");
	user_make(USER_STANDARD, TENANT, "steve", "StandardUser");
	user_make(USER_DISABLED, TENANT, "dora", "Admin");
	user_make(41, TENANT_ELSEWHERE, "alice", "Dealer");
	user_make(42, TENANT_DISABLED, "alice", "Admin");
	user_make(43, TENANT_DELETING, "alice", "Admin");
	number("UPDATE tenant.users SET enabled = false WHERE id = 34");
	number("UPDATE tenant.tenants SET enabled = false WHERE id = 23");
	number("UPDATE tenant.tenants SET deleting_at = now() "
	       "WHERE id = 24");
}

static struct answer sign_in_as(const char *method, const char *address,
				const char *name, const char *domain,
				const char *password)
{
	const struct principal principal = nobody(address);
	const bool oauth = strcmp(method, "auth.oauth_token") == 0;
	char json[512];

	snprintf(json, sizeof(json),
		 "{%s\"username\":\"%s\",\"password\":\"%s\"%s%s%s}",
		 oauth ? "\"grant_type\":\"password\"," : "", name, password,
		 domain ? ",\"domain\":\"" : "", domain ? domain : "",
		 domain ? "\"" : "");
	return call_as(&principal, method, json);
}

static void role_of(const char *access, char role[64])
{
	const struct answer answer =
		call_with("auth.session", "access_token", access);

	member(answer.json, "role", role, 64);
}

Test(system, who_signs_in)
{
	static const struct {
		const char *method;
		const char *name;
		const char *domain;
		const char *role;  /* NULL: nobody */
		const char *actor; /* in the audit log */
	} rows[] = {
		{"auth.sign_in", "admin", NULL, "SystemAdmin",
		 "tenant_id IS NULL AND dealer_id IS NULL "
		 "AND actor_kind = 'SYSTEM' AND user_name = 'admin'"},
		{"auth.sign_in", "Admin", NULL, NULL, ""},
		{"auth.sign_in", "admin", "a.example", NULL, ""},
		{"auth.sign_in", "Upper", NULL, "Dealer",
		 "tenant_id IS NULL AND dealer_id = 11 AND actor_id = 11 "
		 "AND actor_kind = 'DEALER' AND user_name = 'Upper'"},
		{"auth.login", "uPPER", NULL, "Dealer",
		 "actor_id = 11 AND user_name = 'Upper'"},
		{"auth.oauth_token", "lower", NULL, "Dealer", "actor_id = 12"},
		{"auth.sign_in", "Upper", "a.example", NULL, ""},
		{"auth.sign_in", "Disabled", NULL, NULL, ""},
		{"auth.sign_in", "Alice", "a.example", "Admin",
		 "tenant_id = 21 AND dealer_id IS NULL AND actor_id = 31 "
		 "AND actor_kind = 'ADMIN' AND user_name = 'Alice'"},
		{"auth.login", "aLICE", "A.Example", "Admin", "actor_id = 31"},
		{"auth.oauth_token", "alice", "a.example", "Admin",
		 "actor_id = 31"},
		{"auth.sign_in", "quentin", "a.example", "QueueManager",
		 "actor_kind = 'QUEUE_MANAGER'"},
		{"auth.sign_in", "steve", "a.example", "StandardUser",
		 "actor_kind = 'USER'"},
		/* A role's name makes nobody more than a tenant's user. */
		{"auth.sign_in", "alice", "b.example", "Dealer",
		 "actor_id = 41 AND actor_kind = 'USER' AND tenant_id = 22 "
		 "AND dealer_id IS NULL"},
		{"auth.sign_in", "alice", NULL, NULL, ""},
		{"auth.sign_in", "dora", "a.example", NULL, ""},
		{"auth.sign_in", "alice", "c.example", NULL, ""},
		{"auth.sign_in", "alice", "d.example", NULL, ""},
		{"auth.sign_in", "alice", "e.example", NULL, ""},
	};
	char password[64], access[64], refresh[64], role[64];

	password_read(password);
	people_make();
	for (size_t i = 0; i < COUNT(rows); i++) {
		char address[32], sql[512];

		snprintf(address, sizeof(address), "192.0.2.%zu", i + 10);

		struct answer answer =
			sign_in_as(rows[i].method, address, rows[i].name,
				   rows[i].domain, password);

		cr_assert_eq(answer.err.code,
			     rows[i].role ? ERR_OK : ERR_SIGN_IN, "row %zu: %s",
			     i, answer.err.text);
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM system.audit_logs "
			 "WHERE ip = '%s' AND action = 'LOGIN' "
			 "AND object_type = 'LOGIN' AND source = 'REST' "
			 "AND request_id = 'test' %s%s",
			 address, rows[i].actor[0] ? "AND " : "",
			 rows[i].actor);
		cr_assert_eq(number(sql), rows[i].role ? 1 : 0, "row %zu", i);
		if (!rows[i].role)
			continue;
		tokens_of(&answer, access, refresh);
		role_of(access, role);
		cr_assert_str_eq(role, rows[i].role, "row %zu", i);
	}
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs l, "
			    "system.administrators a WHERE strpos(l::text, "
			    "a.password_hash) > 0 OR l::text ~ 'argon2'"),
		     0);
}

/* Wrong passwords count for dealers and users as they do for administrators. */
Test(system, everybody_is_locked_out)
{
	static const struct {
		const char *name, *domain;
	} rows[] = {{"upper", NULL}, {"alice", "a.example"}};
	char password[64];

	password_read(password);
	people_make();
	for (size_t i = 0; i < COUNT(rows); i++) {
		char address[32];

		snprintf(address, sizeof(address), "192.0.2.%zu", i + 10);
		for (int j = 0; j < LOCKOUT_FAILURES_MAX; j++)
			cr_assert_eq(sign_in_as("auth.sign_in", address,
						rows[i].name, rows[i].domain,
						"x")
					     .err.code,
				     ERR_SIGN_IN);
		cr_assert_eq(sign_in_as("auth.sign_in", address, rows[i].name,
					rows[i].domain, password)
				     .err.code,
			     ERR_RATE_LIMITED);
	}
}

struct keys {
	bool done;
	long long count;
};

static void on_keys(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct keys *keys = arg;

	cr_assert_eq(code, ERR_OK);
	keys->count = reply->integer;
	keys->done = true;
}

/* How many sessions there are, of both tokens and their sets. */
static long long sessions(void)
{
	static const struct slice words[] = {
		SLICE("EVAL"),
		SLICE("return #redis.call('KEYS', 'session*') + "
		      "#redis.call('KEYS', 'refresh*')"),
		SLICE("0")};
	const struct system *inside = service.self;
	struct keys keys = {0};

	cache_run(inside->cache, words, 3, SOON_MS, on_keys, &keys);
	TURN_UNTIL(world.loop, keys.done);
	return keys.count;
}

/* Between the look for the name and the session: nobody gets one. */
Test(system, disabled_while_signing_in)
{
	static const char *const rows[] = {
		"UPDATE tenant.users SET enabled = false WHERE id = 31",
		"UPDATE tenant.tenants SET enabled = false WHERE id = 21",
		"UPDATE tenant.tenants SET deleting_at = now() WHERE id = 21",
		"UPDATE tenant.users SET password_hash = 'x' WHERE id = 31",
	};
	char password[64], json[256];

	password_read(password);
	people_make();

	const struct system *inside = service.self;
	const struct principal principal = nobody("192.0.2.1");

	snprintf(json, sizeof(json),
		 "{\"username\":\"alice\",\"password\":\"%s\","
		 "\"domain\":\"a.example\"}",
		 password);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer answer;

		number("UPDATE tenant.tenants SET enabled = true, "
		       "deleting_at = NULL WHERE id = 21");
		number("UPDATE tenant.users SET enabled = true "
		       "WHERE id = 31");
		call_begin(BUS_SLOW, &principal, "auth.sign_in", json, &answer);
		TURN_UNTIL(world.loop, !passwords_idle(inside->passwords));
		number(rows[i]);
		TURN_UNTIL(world.loop, answer.done);
		cr_assert_eq(answer.err.code, ERR_SIGN_IN, "row %zu", i);
		cr_assert_eq(sessions(), 0, "row %zu", i);
	}
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs"), 0);
}

/* Whoever cannot be told of does not sign in; signing out always works. */
Test(system, sign_in_without_audit)
{
	char password[64], access[64], refresh[64], json[128];

	password_read(password);

	struct answer answer = sign_in_from("192.0.2.1", password);

	tokens_of(&answer, access, refresh);
	number("REVOKE INSERT ON system.audit_logs "
	       "FROM trunkline_system");
	answer = sign_in_from("192.0.2.1", password);
	cr_assert_eq(answer.err.code, ERR_UNAVAILABLE);
	cr_assert_eq(sessions(), 3);

	const struct principal admin = administrator();

	snprintf(json, sizeof(json), "{\"access_token\":\"%s\"}", access);
	answer = call_as(&admin, "auth.sign_out", json);
	cr_assert_eq(answer.err.code, ERR_OK);
	cr_assert_eq(sessions(), 0);
}

Test(system, changes_of_the_account_are_audited)
{
	char password[64], access[64], refresh[64], json[128];

	password_read(password);

	const struct principal admin = administrator();
	struct answer answer = sign_in_from("192.0.2.1", password);

	tokens_of(&answer, access, refresh);
	snprintf(json, sizeof(json), "{\"access_token\":\"%s\"}", access);
	call_as(&admin, "auth.sign_out", json);
	call_as(&admin, "admin.username", "{\"name\":\"bob\"}");
	change_password(password, "new password 1");
	change_password("wrong", "new password 2");
	cr_assert_eq(
		number("SELECT count(*) FROM system.audit_logs "
		       "WHERE (action, object_type, object_name) "
		       "= ('LOGOUT', 'LOGIN', 'admin') "
		       "OR (action, object_type, object_name, old_state, "
		       "new_state) = ('UPDATE', 'SYSTEM', 'bob', "
		       "'{\"name\": \"admin\"}', '{\"name\": \"bob\"}') "
		       "OR (action, object_type, object_name) "
		       "= ('UPDATE', 'SYSTEM', 'bob') AND new_state IS NULL"),
		3);
	/* With the sign-in that is all there is, without secrets. */
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs"), 4);
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs l "
			    "WHERE l::text ~ 'argon2|new password'"),
		     0);
}

/* ---- acting as a tenant ---- */

static struct principal dealer(int id)
{
	return (struct principal){.kind = PRINCIPAL_DEALER,
				  .id = id,
				  .dealer_id = id,
				  .role = SLICE("Dealer"),
				  .name = SLICE("dealer"),
				  .address = SLICE("192.0.2.1")};
}

static struct answer switch_to(const struct principal *who, const char *access,
			       int tenant)
{
	struct buffer args = {0};
	struct answer answer = {0};

	writer_map(&args, tenant ? 2 : 1);
	writer_text(&args, "access_token");
	writer_text(&args, access);
	if (tenant) {
		writer_text(&args, "id");
		writer_id(&args, tenant);
	}
	call_send(BUS_WRITE, who, "auth.switch", buffer_slice(&args), &answer);
	buffer_fini(&args);
	TURN_UNTIL(world.loop, answer.done);
	return answer;
}

Test(system, switches)
{
	static const struct {
		const char *name;
		int dealer; /* 0: the administrator */
		int tenant; /* 0: back */
		enum err_code code;
	} rows[] = {
		{"administrator", 0, TENANT, ERR_OK},
		{"from one to the other", 0, TENANT_ELSEWHERE, ERR_OK},
		{"disabled tenant", 0, TENANT_DISABLED, ERR_OK},
		{"deleting tenant", 0, TENANT_DELETING, ERR_NOT_FOUND},
		{"no tenant", 0, 99, ERR_NOT_FOUND},
		{"back", 0, 0, ERR_OK},
		{"back again", 0, 0, ERR_OK},
		{"dealer above", DEALER, TENANT, ERR_OK},
		{"nobody's tenant", DEALER, TENANT_ELSEWHERE, ERR_NOT_FOUND},
		{"dealer's no tenant", DEALER, 99, ERR_NOT_FOUND},
		{"dealer back", DEALER, 0, ERR_OK},
		{"without full access", DEALER_BELOW, TENANT, ERR_FORBIDDEN},
		{"of another branch", DEALER_ELSEWHERE, TENANT, ERR_NOT_FOUND},
	};
	char password[64], access[64], refresh[64], role[64];

	password_read(password);
	people_make();

	struct answer answer = sign_in_from("192.0.2.1", password);
	int acting = 0;
	long audited = 1;

	tokens_of(&answer, access, refresh);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct principal who = rows[i].dealer ? dealer(rows[i].dealer)
						      : administrator();

		who.acting_as = acting;
		answer = switch_to(&who, access, rows[i].tenant);
		cr_assert_eq(answer.err.code, rows[i].code, "%s: %s",
			     rows[i].name, answer.err.text);
		if (!answer.err.code) {
			audited += acting != 0 || rows[i].tenant != 0;
			acting = rows[i].tenant;
		}
		role_of(access, role);
		cr_assert_str_eq(role, acting ? "Admin" : "SystemAdmin", "%s",
				 rows[i].name);
		cr_assert_eq(number("SELECT count(*) FROM system.audit_logs"),
			     audited, "%s", rows[i].name);
	}
	/* On and back, by the administrator and by the dealer. */
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs WHERE "
			    "action = 'UPDATE' AND object_type = 'TENANT' AND "
			    "object_name = 'Tenant 21' AND tenant_id = 21 AND "
			    "acting_as = 21"),
		     3);
	/* A tenant's own administrator is none who acts as one. */
	const struct principal own = {
		.kind = PRINCIPAL_ADMIN, .id = USER_ADMIN, .tenant_id = TENANT};

	cr_assert_eq(switch_to(&own, access, TENANT_ELSEWHERE).err.code,
		     ERR_FORBIDDEN);
	cr_assert_eq(switch_to(&own, access, 0).err.code, ERR_FORBIDDEN);

	const struct principal admin = administrator();

	cr_assert_eq(switch_to(&admin, "x", TENANT).err.code, ERR_UNAUTHORIZED);
}

/* What ends an account, or hands a tenant to another, is found out by the next
 * refresh even where its sessions were not ended then. */
Test(system, refresh_looks_again)
{
	static const struct {
		const char *name, *domain;
		int tenant; /* to act as */
		const char *sql;
		enum err_code code;
		const char *role;
	} rows[] = {
		{"Upper", NULL, TENANT, "SELECT 1", ERR_OK, "Admin"},
		{"Upper", NULL, TENANT,
		 "UPDATE tenant.tenants SET dealer_id = NULL WHERE id = 21",
		 ERR_OK, "Dealer"},
		{"admin", NULL, TENANT_ELSEWHERE,
		 "UPDATE tenant.tenants SET deleting_at = now() WHERE id = 22",
		 ERR_OK, "SystemAdmin"},
		{"alice", "a.example", 0, "SELECT 1", ERR_OK, "Admin"},
		{"alice", "a.example", 0,
		 "UPDATE tenant.users SET enabled = false WHERE id = 31",
		 ERR_REFRESH, NULL},
		{"Upper", NULL, 0,
		 "UPDATE dealer.dealers SET enabled = false WHERE id = 11",
		 ERR_REFRESH, NULL},
	};
	char password[64], access[64], refresh[64], role[64];

	password_read(password);
	people_make();
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct principal who = rows[i].domain ? dealer(0)
					     : strcmp(rows[i].name, "admin")
						     ? dealer(DEALER)
						     : administrator();
		struct answer answer =
			sign_in_as("auth.sign_in", "192.0.2.1", rows[i].name,
				   rows[i].domain, password);

		tokens_of(&answer, access, refresh);
		if (rows[i].tenant)
			cr_assert_eq(switch_to(&who, access, rows[i].tenant)
					     .err.code,
				     ERR_OK, "row %zu", i);
		number(rows[i].sql);
		answer = call_with("auth.refresh", "refresh_token", refresh);
		cr_assert_eq(answer.err.code, rows[i].code, "row %zu", i);
		if (!rows[i].role)
			continue;
		tokens_of(&answer, access, refresh);
		role_of(access, role);
		cr_assert_str_eq(role, rows[i].role, "row %zu", i);
	}
}

Test(system, users_of_a_tenant_are_told_to_change_their_password)
{
	people_make();
	number("UPDATE tenant.tenants SET password_force_reset = true "
	       "WHERE id = 21");

	struct principal who = {.kind = PRINCIPAL_USER,
				.id = USER_STANDARD,
				.tenant_id = TENANT,
				.role = SLICE("StandardUser")};
	struct answer answer = call_as(&who, "auth.user", "{}");

	cr_assert_str_eq(answer.json, "{\"role\":\"StandardUser\","
				      "\"password_verified\":true,"
				      "\"password_force_reset\":true}");
	who.tenant_id = TENANT_ELSEWHERE;
	answer = call_as(&who, "auth.user", "{}");
	cr_assert_not_null(
		strstr(answer.json, "\"password_force_reset\":false"));
	/* Who acts as the tenant is none of its users. */
	who = administrator();
	who.acting_as = TENANT;
	answer = call_as(&who, "auth.user", "{}");
	cr_assert_str_eq(answer.json, "{\"role\":\"Admin\","
				      "\"password_verified\":true,"
				      "\"password_force_reset\":false}");
}

/* ---- the audit log ---- */

Test(system, audit_log_is_seen_by_who_it_is_of)
{
	static const struct {
		const char *name;
		enum principal_kind kind;
		int id;
		int acting_as;
		enum err_code code;
		long count;
		const char *filter;
	} rows[] = {
		{"administrator", PRINCIPAL_SYSTEM, 1, 0, ERR_OK, 6, ""},
		{"acting", PRINCIPAL_SYSTEM, 1, TENANT, ERR_OK, 2, ""},
		{"tenant", PRINCIPAL_ADMIN, TENANT, 0, ERR_OK, 2, ""},
		{"tenant elsewhere", PRINCIPAL_ADMIN, TENANT_ELSEWHERE, 0,
		 ERR_OK, 1, ""},
		{"dealer", PRINCIPAL_DEALER, DEALER, 0, ERR_OK, 4, ""},
		{"dealer below", PRINCIPAL_DEALER, DEALER_BELOW, 0, ERR_OK, 3,
		 ""},
		{"dealer elsewhere", PRINCIPAL_DEALER, DEALER_ELSEWHERE, 0,
		 ERR_OK, 0, ""},
		{"user", PRINCIPAL_USER, TENANT, 0, ERR_FORBIDDEN, 0, ""},
		{"queue manager", PRINCIPAL_QUEUE_MANAGER, TENANT, 0,
		 ERR_FORBIDDEN, 0, ""},
		{"since", PRINCIPAL_SYSTEM, 1, 0, ERR_OK, 6,
		 "created_at ge '2026-01-01T00:00:00Z'"},
		{"before", PRINCIPAL_SYSTEM, 1, 0, ERR_OK, 0,
		 "created_at lt '2026-01-01T00:00:00+02:00'"},
		{"not a time", PRINCIPAL_SYSTEM, 1, 0, ERR_VALIDATE, 0,
		 "created_at lt 5"},
		{"what", PRINCIPAL_SYSTEM, 1, 0, ERR_OK, 2,
		 "object_type eq 'USER' and action eq 'CREATE'"},
		{"who", PRINCIPAL_DEALER, DEALER, 0, ERR_OK, 1,
		 "user_name eq 'u1'"},
		{"no such field", PRINCIPAL_SYSTEM, 1, 0, ERR_VALIDATE, 0,
		 "request_id eq 'x'"},
	};

	people_make();
	number("INSERT INTO system.audit_logs (tenant_id, dealer_id, "
	       "actor_kind, user_name, source, action, object_type, "
	       "object_name) VALUES "
	       "(NULL, NULL, 'SYSTEM', 'u0', 'REST', 'UPDATE', 'SYSTEM', 'a'), "
	       "(21, NULL, 'ADMIN', 'u1', 'REST', 'CREATE', 'USER', 'b'), "
	       "(21, NULL, 'SYSTEM', 'u2', 'REST', 'UPDATE', 'TENANT', 'c'), "
	       "(22, NULL, 'ADMIN', 'u3', 'REST', 'CREATE', 'USER', 'd'), "
	       "(NULL, 11, 'DEALER', 'u4', 'REST', 'UPDATE', 'DEALER', 'e'), "
	       "(NULL, 12, 'DEALER', 'u5', 'REST', 'UPDATE', 'DEALER', 'f')");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct principal who = {
			.kind = rows[i].kind,
			.id = rows[i].id,
			.tenant_id = rows[i].kind & PRINCIPAL_TENANT
					     ? rows[i].id
					     : 0,
			.dealer_id = rows[i].kind == PRINCIPAL_DEALER
					     ? rows[i].id
					     : 0,
			.acting_as = rows[i].acting_as};
		char json[256], count[32];

		snprintf(json, sizeof(json), "{\"filter\":\"%s\"}",
			 rows[i].filter);

		struct answer answer = call_as(&who, "audit.list",
					       rows[i].filter[0] ? json : "{}");

		cr_assert_eq(answer.err.code, rows[i].code, "%s: %s",
			     rows[i].name, answer.err.text);
		snprintf(count, sizeof(count), "{\"count\":%ld,",
			 rows[i].count);
		if (!rows[i].code)
			cr_assert_eq(strncmp(answer.json, count, strlen(count)),
				     0, "%s: %s", rows[i].name, answer.json);
	}

	const struct principal admin = administrator();
	const struct answer one =
		call_as(&admin, "audit.list", "{\"search\":\"u2\"}");

	cr_assert_not_null(strstr(one.json, "\"source\":\"REST\""));
	cr_assert_not_null(strstr(one.json, "\"object_name\":\"c\""));
	/* It is read, and nothing else. */
	cr_assert_eq(call_as(&admin, "audit.destroy", "{\"id\":1}").err.code,
		     ERR_UNKNOWN_METHOD);
}

/* Days are those of the tenant, or of the configuration (180). */
Test(system, audit_log_forgets)
{
	static const char sql[] =
		"INSERT INTO system.audit_logs (id, tenant_id, actor_kind, "
		"source, action, object_type) "
		"SELECT trunkline.first_id(now() - make_interval(days => age)) "
		"+ 1000 * place + n, tenant, 'SYSTEM', 'REST', 'UPDATE', kept "
		"FROM (VALUES (1, NULL::bigint, 181, 'GONE'), "
		"(2, NULL, 179, 'KEPT'), (3, 21, 31, 'GONE'), "
		"(4, 21, 29, 'KEPT'), (5, 99, 181, 'GONE'), "
		"(6, 99, 179, 'KEPT'), (7, 22, 181, 'KEPT')) "
		"rows (place, tenant, age, kept), generate_series(1, 700) n";

	people_make();
	number("UPDATE tenant.tenants SET log_retention = 2147483647 "
	       "WHERE id = 22");
	service_end();
	number(sql);
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs"), 4900);
	service_start();
	TURN_UNTIL(world.loop, number("SELECT count(*) FROM system.audit_logs "
				      "WHERE object_type = 'GONE'") == 0);
	cr_assert_eq(number("SELECT count(*) FROM system.audit_logs "
			    "WHERE object_type = 'KEPT'"),
		     2800);
}

/* Without the counts nobody signs in, right password or not. */
Test(system, redis_away)
{
	char password[64];
	char json[256];

	password_read(password);
	servers_redis_kill(&world.redis);
	health_is("cache");

	const struct principal principal = nobody("192.0.2.1");
	struct buffer args = {0};
	struct answer answer = {0};

	snprintf(json, sizeof(json),
		 "{\"username\":\"admin\",\"password\":\"%s\"}", password);
	cr_assert_eq(json_to_msgpack(slice_str(json), &args, NULL), ERR_OK);
	bus_client_call(service.client, BUS_SLOW,
			&(struct request){.method = SLICE("auth.sign_in"),
					  .deadline_ms = 1000,
					  .principal = principal,
					  .args = buffer_slice(&args)},
			on_answer, &answer);
	buffer_fini(&args);
	TURN_UNTIL(world.loop, answer.done);
	/* The service gives up when its caller does: one is a little sooner. */
	if (answer.err.code != ERR_DEADLINE)
		cr_assert_eq(answer.err.code, ERR_UNAVAILABLE);
	service_end();

	servers_redis_start(&world.redis, NULL);
	service_start();
	cr_assert_eq(sign_in(password), ERR_OK);
}

/* Many sign-ins at once, each from an address of its own. */
static void flood(struct answer *answers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.51.100.%zu", i);

		const struct principal principal = nobody(address);

		/* The slow lane would send fewer at once. */
		call_begin(BUS_READ, &principal, "auth.sign_in",
			   "{\"username\":\"admin\",\"password\":\"x\"}",
			   &answers[i]);
	}
}

Test(system, sign_ins_past_the_limit_are_sent_away)
{
	enum { MANY = PASSWORDS_WAITING_MAX + 20 };
	static struct answer answers[MANY];
	size_t away = 0;

	flood(answers, MANY);
	for (size_t i = 0; i < MANY; i++) {
		TURN_UNTIL(world.loop, answers[i].done);
		if (answers[i].err.code == ERR_SIGN_IN)
			continue;
		away++;
		cr_assert_eq(answers[i].err.code, ERR_UNAVAILABLE);
		cr_assert_eq(answers[i].err.retry_after_s, PASSWORDS_RETRY_S);
	}
	cr_assert_gt(away, 0);
	/* What was at work has ended: there is room again. */
	cr_assert_eq(sign_in("x"), ERR_SIGN_IN);
}

/* A stop that does not wait: nothing is left behind and nothing crashes. */
Test(system_starts, freed_with_sign_ins_at_work)
{
	enum { MANY = 6 };
	static struct answer answers[MANY];

	service_start();

	const struct system *inside = service.self;

	flood(answers, MANY);
	TURN_UNTIL(world.loop, !passwords_idle(inside->passwords));
	system_process.stop(service.self);
	system_process.free(service.self);
	bus_client_free(service.client);
	config_free(service.config);
	for (size_t i = 0; i < MANY; i++)
		cr_assert(answers[i].done);
}

Test(system_info, name_servers)
{
	static const struct {
		const char *text;
		const char *first;
		const char *second;
	} rows[] = {
		{"", "", ""},
		{"nameserver 192.0.2.53\n", "192.0.2.53", ""},
		{"nameserver\t192.0.2.53", "192.0.2.53", ""},
		{"# nameserver 192.0.2.1\nsearch example\n"
		 "nameserver 2001:db8::53\nnameserver 192.0.2.53\n"
		 "nameserver 192.0.2.54\n",
		 "2001:db8::53", "192.0.2.53"},
		{"nameserver fe80::1%eth0\n", "fe80::1", ""},
		{"nameserver nonsense\nnameserver 192.0.2.53\n", "192.0.2.53",
		 ""},
		{"nameserver 999.0.2.53\n", "", ""},
		{"nameserver \n\n\n", "", ""},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct info info = {0};

		info_dns_parse(&info, slice_str(rows[i].text));
		cr_assert_str_eq(info.dns_servers[0], rows[i].first, "row %zu",
				 i);
		cr_assert_str_eq(info.dns_servers[1], rows[i].second, "row %zu",
				 i);
	}
}
