#include "services/system/first.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/common/secrets.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PASSWORD_CHARS = 20, /* of 62: 119 bits */
	RETRY_MS = 1000,
	STATEMENT_MS = 10000,
	ID_BYTES = 24,
};

/*
 *      .-------------- once more ---------------.
 *      v                                        |
 *   LOOKING --none--> HASHING --> MAKING --> LOOKING
 *      |  ^              |                      |
 *      |  '--- WAITING <-+--- not to be had     |
 *      v                                        v
 *    READY <------------------------------------'
 *
 * Whatever became of MAKING, the look after it tells. What was prepared for it
 * (id, file, hash) is kept for the next try: a lost one may yet be committed.
 */
enum first_phase {
	FIRST_LOOKING,
	FIRST_WAITING,
	FIRST_HASHING,
	FIRST_MAKING,
	FIRST_READY,
};

struct first {
	struct loop *loop;
	struct database *database;
	struct loop_timer *retry;
	const char *name;
	const char *file; /* "": none may be made */
	enum first_phase phase;
	bool stopped;
	bool complained; /* the same trouble is logged once */
	bool sent;	 /* the account may have been committed */
	/* What is prepared; id "": nothing. */
	char id[ID_BYTES];
	char path[PATH_MAX]; /* where its password is */
	char hash[SECRETS_PASSWORD_BYTES];
	const char *params[3];
};

static void look(struct first *first);

static void on_retry(void *arg)
{
	look(arg);
}

static void wait(struct first *first)
{
	first->phase = FIRST_WAITING;
	if (!first->stopped)
		loop_timer_start(first->retry, RETRY_MS, 0);
}

static void complain(struct first *first, const char *reason)
{
	if (!first->complained)
		log_event(LOG_ERROR, "admin.not_made",
			  LOG_STR("option", "admin_file"),
			  LOG_STR("path", first->file),
			  LOG_STR("reason", reason));
	first->complained = true;
}

static bool path_of(const struct first *first, const char *id,
		    char path[PATH_MAX])
{
	int size = snprintf(path, PATH_MAX, "%s.%s", first->file, id);

	return size > 0 && size < PATH_MAX;
}

/* Letters and digits only, which every keyboard, shell and file takes. */
static void password_make(char password[PASSWORD_CHARS + 1])
{
	char token[SECRETS_TOKEN_BYTES];
	size_t used = 0;

	while (used < PASSWORD_CHARS) {
		secrets_token(token);
		for (const char *c = token; *c && used < PASSWORD_CHARS; c++)
			if (isalnum((unsigned char)*c))
				password[used++] = *c;
	}
	password[used] = '\0';
	secrets_wipe(token, sizeof(token));
}

/* The name of a new file is on disk only when its directory is. */
static bool directory_sync(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);

	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;

	bool good = fsync(fd) == 0;

	close(fd);
	return good;
}

static bool password_write(int fd, const char *name, const char *password)
{
	return dprintf(fd, "name=%s\npassword=%s\n", name, password) > 0 &&
	       fsync(fd) == 0;
}

/* Blocks for a moment, once in the life of an installation and before anybody
 * can sign in. */
static bool file_make(const char *path, const char *name, const char *password)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;

	bool good = password_write(fd, name, password);
	int why = errno;

	if (close(fd) != 0 && good) {
		good = false;
		why = errno;
	}
	if (good && !directory_sync(path)) {
		good = false;
		why = errno;
	}
	if (!good)
		unlink(path);
	errno = why;
	return good;
}

/* An administrator is there: our file gets its name, or goes. */
static void settle(struct first *first, const char *id)
{
	char path[PATH_MAX];

	if (first->id[0] && strcmp(first->id, id) != 0)
		unlink(first->path);
	first->id[0] = '\0';
	first->phase = FIRST_READY;
	if (!first->file[0] || !path_of(first, id, path))
		return;
	if (rename(path, first->file) == 0)
		log_event(LOG_INFO, "admin.created",
			  LOG_STR("name", first->name),
			  LOG_STR("file", first->file));
	else if (errno != ENOENT) /* the usual case: made long ago */
		log_event(LOG_ERROR, "admin.file_failed", LOG_STR("path", path),
			  LOG_STR("reason", strerror(errno)));
}

static void on_made(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct first *first = arg;

	(void)result;
	if (first->stopped)
		return;
	if (error)
		wait(first);
	else
		look(first);
}

static void make(struct first *first)
{
	first->phase = FIRST_MAKING;
	first->sent = true;
	first->params[0] = first->id;
	first->params[1] = first->name;
	first->params[2] = first->hash;
	database_run(first->database,
		     &(struct database_statement){
			     .lane = DATABASE_WRITE,
			     .sql = "SELECT system.administrator_make_first("
				    "$1::bigint, $2, $3)",
			     .params = first->params,
			     .param_count = 3,
			     .deadline_ms = STATEMENT_MS,
			     .done = on_made,
			     .arg = first,
		     });
}

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct first *first = arg;

	first->phase = FIRST_WAITING;
	if (!good) {
		unlink(first->path);
		first->id[0] = '\0';
		complain(first, "no memory to hash with");
		wait(first);
		return;
	}
	snprintf(first->hash, sizeof(first->hash), "%s", hash);
	if (!first->stopped)
		make(first);
}

static void prepare(struct first *first, const char *id)
{
	char password[PASSWORD_CHARS + 1];

	if (!first->file[0]) {
		complain(first,
			 "there is no administrator, and no file to leave the "
			 "password of a first one in");
		wait(first);
		return;
	}
	password_make(password);
	errno = ENAMETOOLONG;
	if (path_of(first, id, first->path) &&
	    file_make(first->path, first->name, password)) {
		snprintf(first->id, sizeof(first->id), "%s", id);
		first->phase = FIRST_HASHING;
		secrets_password_hash(first->loop, slice_str(password),
				      on_hashed, first);
	} else {
		complain(first, strerror(errno));
		wait(first);
	}
	secrets_wipe(password, sizeof(password));
}

static void on_looked(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct first *first = arg;

	if (first->stopped)
		return;
	if (error)
		wait(first);
	else if (!database_null(result, 0, 0))
		settle(first, database_cell(result, 0, 0).data);
	else if (first->id[0])
		make(first);
	else
		prepare(first, database_cell(result, 0, 1).data);
}

/* Whose account is there, and an id for one that is not. */
static void look(struct first *first)
{
	first->phase = FIRST_LOOKING;
	database_run(first->database,
		     &(struct database_statement){
			     .lane = DATABASE_WRITE, /* it draws an id */
			     .sql = "SELECT (SELECT id "
				    "FROM system.administrators "
				    "ORDER BY created_at, id LIMIT 1), "
				    "trunkline.next_id()",
			     .deadline_ms = STATEMENT_MS,
			     .done = on_looked,
			     .arg = first,
		     });
}

struct first *first_new(struct loop *loop, const struct config *config,
			struct database *database)
{
	struct first *first = mem_alloc(sizeof(*first));

	first->loop = loop;
	first->database = database;
	first->name = config_str(config, CONFIG_ADMIN_NAME);
	first->file = config_str(config, CONFIG_ADMIN_FILE);
	first->retry = loop_timer_new(loop, on_retry, first);
	look(first);
	return first;
}

bool first_ready(const struct first *first)
{
	return first->phase == FIRST_READY;
}

void first_stop(struct first *first)
{
	first->stopped = true;
	loop_timer_stop(first->retry);
}

bool first_idle(const struct first *first)
{
	return first->phase != FIRST_HASHING;
}

void first_free(struct first *first)
{
	if (!first)
		return;
	/* Of an account that cannot be there nobody needs the password. */
	if (first->id[0] && !first->sent)
		unlink(first->path);
	loop_timer_free(first->retry);
	free(first);
}
