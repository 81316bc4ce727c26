#include "services/system/system.h"

#include "proto/json.h"
#include "servers.h"
#include "services/common/bus_client.h"
#include "services/system/lockout.h"
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
	TEXT_BYTES = 1024,
};

/* A database and a Redis of the test's own. */
struct world {
	struct servers_postgres postgres;
	struct servers_redis redis;
	struct loop *loop;
	char directory[64];
	char file[PATH_BYTES]; /* admin_file */
};

/* A running system service and a client of it. */
struct service {
	struct world *world;
	struct config *config;
	void *self;
	struct bus_client *client;
};

static void world_init(struct world *world)
{
	*world = (struct world){0};
	servers_postgres_migrated(&world->postgres);
	/* Not a configuration key, as it looks. */
	unsetenv("TRUNKLINE_TEST_POSTGRES_DIR");
	servers_redis_start(&world->redis, NULL);
	servers_dir_make(world->directory);
	snprintf(world->file, sizeof(world->file), "%s/admin",
		 world->directory);
	world->loop = loop_new();
}

static void world_fini(struct world *world)
{
	loop_free(world->loop);
	servers_dir_remove(world->directory);
	servers_redis_stop(&world->redis);
}

static long number(const struct world *world, const char *sql)
{
	return servers_postgres_number(&world->postgres, sql);
}

static void service_begin(struct service *service, struct world *world,
			  const char *name, const char *file)
{
	char flags[5][256];
	char address[PATH_BYTES];
	char *argv[] = {(char *)"test", flags[0], flags[1],
			flags[2],	flags[3], NULL};
	struct err err = {0};

	*service = (struct service){.world = world};
	snprintf(address, sizeof(address), "ipc://%s/%s.sock", world->directory,
		 name);
	snprintf(flags[0], sizeof(flags[0]), "--database_url=%s",
		 world->postgres.url);
	snprintf(flags[1], sizeof(flags[1]), "--redis_url=%s",
		 world->redis.url);
	snprintf(flags[2], sizeof(flags[2]), "--listen=%s", address);
	snprintf(flags[3], sizeof(flags[3]), "--admin_file=%s", file);
	cr_assert_eq(config_load(5, argv, &service->config, &err), ERR_OK, "%s",
		     err.text);
	cr_assert_eq(system_process.start(&system_process, world->loop,
					  service->config, &service->self,
					  &err),
		     ERR_OK, "%s", err.text);
	cr_assert_eq(bus_client_new(world->loop, "system", address, NULL,
				    &service->client, &err),
		     ERR_OK, "%s", err.text);
}

static void service_end(struct service *service)
{
	system_process.stop(service->self);
	TURN_UNTIL(service->world->loop, system_process.idle(service->self));
	bus_client_free(service->client);
	system_process.free(service->self);
	config_free(service->config);
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

static void call_begin(const struct service *service, enum bus_lane lane,
		       const struct principal *principal, const char *method,
		       const char *json, struct answer *answer)
{
	struct buffer args = {0};

	*answer = (struct answer){0};
	cr_assert_eq(json_to_msgpack(slice_str(json), &args, NULL), ERR_OK);
	bus_client_call(service->client, lane,
			&(struct request){.request_id = SLICE("test"),
					  .method = slice_str(method),
					  .deadline_ms = SOON_MS,
					  .principal = *principal,
					  .args = buffer_slice(&args)},
			on_answer, answer);
	buffer_fini(&args);
}

static struct answer call_as(const struct service *service,
			     const struct principal *principal,
			     const char *method, const char *json)
{
	struct answer answer;

	call_begin(service, BUS_SLOW, principal, method, json, &answer);
	TURN_UNTIL(service->world->loop, answer.done);
	return answer;
}

static struct principal nobody(const char *address)
{
	return (struct principal){.kind = PRINCIPAL_NOBODY,
				  .address = slice_str(address)};
}

static struct answer call(const struct service *service, const char *method,
			  const char *json)
{
	const struct principal principal = nobody("192.0.2.1");

	return call_as(service, &principal, method, json);
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

static bool service_ready(const struct service *service)
{
	static const struct principal asker = {.kind = PRINCIPAL_SERVICE};
	const struct answer answer =
		call_as(service, &asker, "service.health", "{}");

	return strstr(answer.json, "\"ready\":true");
}

static void service_start(struct service *service, struct world *world)
{
	service_begin(service, world, "system", world->file);
	TURN_UNTIL(world->loop, service_ready(service));
}

/* The password in the administrator's file. */
static void password_read(const struct world *world, char password[64])
{
	char name[64] = "";
	FILE *file = fopen(world->file, "r");

	cr_assert_not_null(file, "%s", world->file);
	cr_assert_eq(fscanf(file, "name=%63[^\n]\npassword=%63[^\n]\n", name,
			    password),
		     2);
	cr_assert_eq(fgetc(file), EOF);
	fclose(file);
	cr_assert_str_eq(name, "admin");
	cr_assert_eq(strlen(password), 20);
}

static struct answer sign_in_from(const struct service *service,
				  const char *address, const char *password)
{
	const struct principal principal = nobody(address);
	char json[256];

	snprintf(json, sizeof(json),
		 "{\"username\":\"admin\",\"password\":\"%s\"}", password);
	return call_as(service, &principal, "auth.sign_in", json);
}

static enum err_code sign_in(const struct service *service,
			     const char *password)
{
	return sign_in_from(service, "192.0.2.1", password).err.code;
}

/* Files in the directory of admin_file but sockets. */
static size_t files(const struct world *world)
{
	DIR *directory = opendir(world->directory);
	size_t count = 0;

	for (struct dirent *at = readdir(directory); at;
	     at = readdir(directory))
		count += at->d_type == DT_REG;
	closedir(directory);
	return count;
}

static const char count_sql[] = "SELECT count(*) FROM system.administrators";
static const char id_sql[] = "SELECT id FROM system.administrators";

Test(system, first_administrator)
{
	struct world world;
	struct service service;
	struct stat status;
	char password[64];
	char again[64];

	world_init(&world);
	service_start(&service, &world);
	cr_assert_eq(stat(world.file, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	cr_assert_eq(files(&world), 1);
	password_read(&world, password);
	cr_assert_eq(sign_in(&service, password), ERR_OK);
	service_end(&service);

	service_start(&service, &world);
	password_read(&world, again);
	cr_assert_str_eq(again, password);
	cr_assert_eq(number(&world, count_sql), 1);
	cr_assert_eq(sign_in(&service, password), ERR_OK);
	service_end(&service);
	world_fini(&world);
}

Test(system, first_administrator_of_replicas_that_start_at_once)
{
	enum { REPLICAS = 4 };
	struct world world;
	struct service services[REPLICAS];
	char password[64];

	world_init(&world);
	for (int i = 0; i < REPLICAS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "system%d", i);
		service_begin(&services[i], &world, name, world.file);
	}
	for (int i = 0; i < REPLICAS; i++)
		TURN_UNTIL(world.loop, service_ready(&services[i]));
	cr_assert_eq(number(&world, count_sql), 1);
	cr_assert_eq(files(&world), 1);
	password_read(&world, password);
	for (int i = 0; i < REPLICAS; i++)
		cr_assert_eq(sign_in(&services[i], password), ERR_OK);
	for (int i = 0; i < REPLICAS; i++)
		service_end(&services[i]);
	world_fini(&world);
}

/* A crash between the commit and the renaming of the file. */
Test(system, first_administrator_file_is_found_again)
{
	struct world world;
	struct service service;
	char password[64];
	char again[64];
	char path[2 * PATH_BYTES];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);
	service_end(&service);
	snprintf(path, sizeof(path), "%s.%ld", world.file,
		 number(&world, id_sql));
	cr_assert_eq(rename(world.file, path), 0);

	service_start(&service, &world);
	password_read(&world, again);
	cr_assert_str_eq(again, password);
	service_end(&service);
	world_fini(&world);
}

static void health_is(const struct service *service, const char *reason)
{
	static const struct principal asker = {.kind = PRINCIPAL_SERVICE};
	char text[64];

	TURN_UNTIL(service->world->loop, ({
			   const struct answer answer = call_as(
				   service, &asker, "service.health", "{}");

			   member(answer.json, "reason", text, sizeof(text));
			   strcmp(text, reason) == 0;
		   }));
}

Test(system, first_administrator_is_not_made_without_a_file)
{
	struct world world;
	struct service service;

	world_init(&world);
	service_begin(&service, &world, "system", "");
	health_is(&service, "administrator");
	cr_assert_eq(number(&world, count_sql), 0);
	service_end(&service);

	service_begin(&service, &world, "system", "/nowhere/at/all/admin");
	health_is(&service, "administrator");
	cr_assert_eq(number(&world, count_sql), 0);
	service_end(&service);
	world_fini(&world);
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
	struct world world;
	struct service service;

	world_init(&world);
	service_start(&service, &world);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer answer =
			call(&service, rows[i].method, rows[i].json);

		cr_assert_eq(answer.err.code, rows[i].code, "%s: %s %s",
			     rows[i].name, err_name(answer.err.code),
			     answer.err.text);
		if (rows[i].field)
			cr_assert_str_eq(answer.err.details[0].field,
					 rows[i].field, "%s", rows[i].name);
	}
	service_end(&service);
	world_fini(&world);
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

static struct answer call_with(const struct service *service,
			       const char *method, const char *format,
			       const char *text)
{
	char json[512];

	snprintf(json, sizeof(json), "{\"%s\":\"%s\"}", format, text);
	return call(service, method, json);
}

Test(system, tokens_from_sign_in_to_sign_out)
{
	struct world world;
	struct service service;
	char password[64], access[64], refresh[64], old[64], json[512];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);

	struct answer answer = sign_in_from(&service, "192.0.2.1", password);

	tokens_of(&answer, access, refresh);
	answer = call_with(&service, "auth.session", "access_token", access);
	cr_assert_not_null(strstr(answer.json, access));
	cr_assert_not_null(strstr(answer.json, "\"role\":\"SystemAdmin\""));
	cr_assert_not_null(strstr(answer.json, "\"expires_at\":\"20"));

	memcpy(old, access, sizeof(old));
	answer = call_with(&service, "auth.refresh", "refresh_token", refresh);
	tokens_of(&answer, access, refresh);
	cr_assert_eq(call_with(&service, "auth.session", "access_token", old)
			     .err.code,
		     ERR_UNAUTHORIZED);

	snprintf(json, sizeof(json),
		 "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"%s\"}",
		 refresh);
	answer = call(&service, "auth.oauth_token", json);
	tokens_of(&answer, access, refresh);

	answer = call_with(&service, "auth.sign_out", "access_token", access);
	cr_assert_str_eq(answer.json, "null");
	cr_assert_eq(
		call_with(&service, "auth.refresh", "refresh_token", refresh)
			.err.code,
		ERR_REFRESH);
	service_end(&service);
	world_fini(&world);
}

Test(system, other_sign_ins)
{
	struct world world;
	struct service service;
	char password[64], access[64], refresh[64], json[512];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);

	snprintf(json, sizeof(json),
		 "{\"username\":\"admin\",\"password\":\"%s\",\"qr\":true}",
		 password);

	struct answer answer = call(&service, "auth.login", json);

	tokens_of(&answer, access, refresh);
	cr_assert_not_null(strstr(answer.json, "\"role\":\"SystemAdmin\""));
	cr_assert_not_null(strstr(answer.json, "\"expires_at\":\"20"));

	snprintf(json, sizeof(json),
		 "{\"grant_type\":\"password\",\"username\":\"admin\","
		 "\"password\":\"%s\",\"scope\":\"all\",\"client_id\":\"x\"}",
		 password);
	answer = call(&service, "auth.oauth_token", json);
	tokens_of(&answer, access, refresh);
	cr_assert_null(strstr(answer.json, "role"));
	service_end(&service);
	world_fini(&world);
}

Test(system, failures_lock_their_address_out)
{
	struct world world;
	struct service service;
	struct answer answer;
	char password[64];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);

	/* A right password in time clears the count. */
	for (int i = 0; i < LOCKOUT_FAILURES_MAX - 1; i++)
		cr_assert_eq(sign_in(&service, "x"), ERR_SIGN_IN);
	cr_assert_eq(sign_in(&service, password), ERR_OK);

	for (int i = 0; i < LOCKOUT_FAILURES_MAX; i++)
		cr_assert_eq(sign_in(&service, "x"), ERR_SIGN_IN);
	for (int i = 0; i < 2; i++) {
		answer = sign_in_from(&service, "192.0.2.1", password);
		cr_assert_eq(answer.err.code, ERR_RATE_LIMITED);
		cr_assert_gt(answer.err.retry_after_s, LOCKOUT_BLOCK_S - 60);
		cr_assert_leq(answer.err.retry_after_s, LOCKOUT_BLOCK_S);
	}
	answer = sign_in_from(&service, "192.0.2.2", password);
	cr_assert_eq(answer.err.code, ERR_OK);
	service_end(&service);
	world_fini(&world);
}

/* Guesses sent at the same time gain nothing: the right one, behind the wrong
 * ones, is refused too. */
Test(system, guesses_at_once)
{
	enum { WRONG = 8 };
	struct world world;
	struct service service;
	struct answer answers[WRONG];
	const struct principal principal = nobody("2001:db8::1");
	size_t refused = 0;

	world_init(&world);
	service_start(&service, &world);
	for (size_t i = 0; i < WRONG; i++)
		call_begin(&service, BUS_SLOW, &principal, "auth.sign_in",
			   "{\"username\":\"admin\",\"password\":\"x\"}",
			   &answers[i]);
	for (size_t i = 0; i < WRONG; i++) {
		TURN_UNTIL(world.loop, answers[i].done);
		refused += answers[i].err.code == ERR_SIGN_IN;
		if (answers[i].err.code != ERR_SIGN_IN)
			cr_assert_eq(answers[i].err.code, ERR_RATE_LIMITED);
	}
	cr_assert_eq(refused, LOCKOUT_FAILURES_MAX);
	service_end(&service);
	world_fini(&world);
}

static struct principal administrator(const struct world *world)
{
	return (struct principal){.kind = PRINCIPAL_SYSTEM,
				  .id = number(world, id_sql),
				  .role = SLICE("SystemAdmin"),
				  .name = SLICE("admin"),
				  .address = SLICE("192.0.2.1")};
}

static struct answer change_password(const struct service *service,
				     const char *from, const char *to)
{
	const struct principal admin = administrator(service->world);
	char json[512];

	snprintf(json, sizeof(json),
		 "{\"old_password\":\"%s\",\"new_password\":\"%s\"}", from, to);
	return call_as(service, &admin, "admin.password", json);
}

Test(system, change_of_password)
{
	struct world world;
	struct service service;
	char password[64], access[64], refresh[64];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);

	struct answer answer = sign_in_from(&service, "192.0.2.1", password);

	tokens_of(&answer, access, refresh);
	answer = change_password(&service, "wrong", "new password");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_str_eq(answer.err.details[0].field, "old_password");
	answer = change_password(&service, password, "7 chars");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_str_eq(answer.err.details[0].field, "new_password");
	answer = change_password(&service, password,
				 "123456789 123456789 123456789 123");
	cr_assert_eq(answer.err.code, ERR_VALIDATE);
	cr_assert_eq(call_with(&service, "auth.session", "access_token", access)
			     .err.code,
		     ERR_OK);

	answer = change_password(&service, password, "new password");
	cr_assert_eq(answer.err.code, ERR_OK, "%s", answer.err.text);
	cr_assert_eq(answer.version, 2);
	cr_assert_eq(call_with(&service, "auth.session", "access_token", access)
			     .err.code,
		     ERR_UNAUTHORIZED);
	cr_assert_eq(
		call_with(&service, "auth.refresh", "refresh_token", refresh)
			.err.code,
		ERR_REFRESH);
	cr_assert_eq(sign_in(&service, password), ERR_SIGN_IN);
	cr_assert_eq(sign_in(&service, "new password"), ERR_OK);
	service_end(&service);
	world_fini(&world);
}

/* Who has only a session cannot find out the password by trying. */
Test(system, old_passwords_are_counted)
{
	struct world world;
	struct service service;
	char password[64];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);
	for (int i = 0; i < LOCKOUT_FAILURES_MAX; i++)
		cr_assert_eq(
			change_password(&service, "x", "new password").err.code,
			ERR_VALIDATE);
	cr_assert_eq(
		change_password(&service, password, "new password").err.code,
		ERR_RATE_LIMITED);
	cr_assert_eq(sign_in(&service, password), ERR_RATE_LIMITED);
	service_end(&service);
	world_fini(&world);
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
	struct world world;
	struct service service;
	struct answer answer;
	char json[256];

	world_init(&world);
	service_start(&service, &world);

	const struct principal admin = administrator(&world);
	struct principal gone = admin;

	number(&world, "INSERT INTO system.administrators (name, password_hash)"
		       " VALUES ('taken', '')");
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(json, sizeof(json), "{\"name\":\"%s\"}", rows[i].name);
		answer = call_as(&service, &admin, "admin.username", json);
		cr_assert_eq(answer.err.code, rows[i].code, "'%s': %s",
			     rows[i].name, answer.err.text);
	}
	gone.id = 1;
	answer = call_as(&service, &gone, "admin.username", "{\"name\":\"x\"}");
	cr_assert_eq(answer.err.code, ERR_NOT_FOUND);
	answer = call_as(&service, &admin, "auth.user", "{}");
	cr_assert_str_eq(answer.json, "{\"role\":\"SystemAdmin\","
				      "\"password_verified\":true,"
				      "\"password_force_reset\":false}");
	service_end(&service);
	world_fini(&world);
}

/* Without the counts nobody signs in, right password or not. */
Test(system, redis_away)
{
	struct world world;
	struct service service;
	char password[64];
	char json[256];

	world_init(&world);
	service_start(&service, &world);
	password_read(&world, password);
	servers_redis_kill(&world.redis);
	health_is(&service, "cache");

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
	service_end(&service);

	servers_redis_start(&world.redis, NULL);
	service_start(&service, &world);
	cr_assert_eq(sign_in(&service, password), ERR_OK);
	service_end(&service);
	world_fini(&world);
}

/* Many sign-ins at once, each from an address of its own. */
static void flood(const struct service *service, struct answer *answers,
		  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.51.100.%zu", i);

		const struct principal principal = nobody(address);

		/* The slow lane would send fewer at once. */
		call_begin(service, BUS_READ, &principal, "auth.sign_in",
			   "{\"username\":\"admin\",\"password\":\"x\"}",
			   &answers[i]);
	}
}

Test(system, sign_ins_past_the_limit_are_sent_away)
{
	enum { MANY = SYSTEM_HASHES_MAX + 20 };
	static struct answer answers[MANY];
	struct world world;
	struct service service;
	size_t away = 0;

	world_init(&world);
	service_start(&service, &world);
	flood(&service, answers, MANY);
	for (size_t i = 0; i < MANY; i++) {
		TURN_UNTIL(world.loop, answers[i].done);
		if (answers[i].err.code == ERR_SIGN_IN)
			continue;
		away++;
		cr_assert_eq(answers[i].err.code, ERR_UNAVAILABLE);
		cr_assert_eq(answers[i].err.retry_after_s,
			     SYSTEM_HASHES_RETRY_S);
	}
	cr_assert_gt(away, 0);
	/* What was at work has ended: there is room again. */
	cr_assert_eq(sign_in(&service, "x"), ERR_SIGN_IN);
	service_end(&service);
	world_fini(&world);
}

/* A stop that does not wait: nothing is left behind and nothing crashes. */
Test(system, freed_with_sign_ins_at_work)
{
	enum { MANY = 6 };
	static struct answer answers[MANY];
	struct world world;
	struct service service;

	world_init(&world);
	service_start(&service, &world);

	const struct system *inside = service.self;

	flood(&service, answers, MANY);
	TURN_UNTIL(world.loop, inside->hashes > 0);
	system_process.stop(service.self);
	system_process.free(service.self);
	bus_client_free(service.client);
	config_free(service.config);
	for (size_t i = 0; i < MANY; i++)
		cr_assert(answers[i].done);
	world_fini(&world);
}

Test(system, lockout_keys)
{
	static const struct {
		const char *address;
		const char *key;
	} rows[] = {
		{"192.0.2.1", "signin:192.0.2.1"},
		{"::ffff:192.0.2.1", "signin:192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "signin:2001:db8:1:2::"},
		{"2001:db8:1:2::9", "signin:2001:db8:1:2::"},
		{"::1", "signin:::"},
		{"", "signin:"},
		{"no address", "signin:"},
		{"192.0.2.1 * { } \r\n", "signin:"},
		{"2001:db8:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3:4", "signin:"},
	};
	char key[LOCKOUT_KEY_BYTES];

	for (size_t i = 0; i < COUNT(rows); i++) {
		lockout_key(slice_str(rows[i].address), key);
		cr_assert_str_eq(key, rows[i].key, "'%s'", rows[i].address);
	}
	lockout_key(slice_str(NULL), key);
	cr_assert_str_eq(key, "signin:");
}

struct told {
	bool done;
	enum err_code code;
	struct lockout_verdict verdict;
};

static void on_told(void *arg, const struct lockout_verdict *verdict,
		    enum err_code code)
{
	struct told *told = arg;

	told->done = true;
	told->code = code;
	if (verdict)
		told->verdict = *verdict;
}

Test(system, lockout_counts)
{
	static const struct {
		enum lockout_event event;
		bool refused;
		bool filled;
	} rows[] = {
		{LOCKOUT_ASKED, false, false},	{LOCKOUT_FAILED, false, false},
		{LOCKOUT_FAILED, false, false}, {LOCKOUT_PASSED, false, false},
		{LOCKOUT_FAILED, false, false}, {LOCKOUT_FAILED, false, false},
		{LOCKOUT_FAILED, false, false}, {LOCKOUT_FAILED, false, false},
		{LOCKOUT_ASKED, false, false},	{LOCKOUT_FAILED, false, true},
		{LOCKOUT_ASKED, true, false},	{LOCKOUT_FAILED, true, false},
		{LOCKOUT_PASSED, true, false},	{LOCKOUT_ASKED, true, false},
	};
	struct servers_redis redis = {0};
	struct loop *loop = loop_new();
	struct cache *cache = NULL;

	servers_redis_start(&redis, NULL);
	cr_assert_eq(cache_new(loop, redis.url, NULL, &cache, NULL), ERR_OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct told told = {0};

		lockout_tell(cache, slice_str("192.0.2.1"), rows[i].event,
			     SOON_MS, on_told, &told);
		TURN_UNTIL(loop, told.done);
		cr_assert_eq(told.code, ERR_OK, "row %zu", i);
		cr_assert_eq(told.verdict.left_s > 0, rows[i].refused,
			     "row %zu", i);
		cr_assert_leq(told.verdict.left_s, LOCKOUT_BLOCK_S);
		cr_assert_eq(told.verdict.filled, rows[i].filled, "row %zu", i);
	}
	cache_free(cache);
	loop_free(loop);
	servers_redis_stop(&redis);
}

Test(system, name_servers)
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
