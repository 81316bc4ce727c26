#include "servers.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BINARIES "/usr/lib/postgresql/15/bin/"

/* The tests of a suite are processes of their own, started anew: what main()
 * made reaches them through the environment. */
#define SHARED_DIR "TRUNKLINE_TEST_POSTGRES_DIR"

enum { ARGUMENTS_MAX = 32 };

static void run_path(const struct servers_postgres *postgres, const char *name,
		     char *path)
{
	snprintf(path, 128, "%s/%s", postgres->dir, name);
}

/* PostgreSQL refuses to run as root; setpriv drops to its user and has it shut
 * down at once should the test end without stopping it. */
static pid_t spawn(const struct servers_postgres *postgres,
		   const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX] = {"setpriv", "--pdeathsig", "SIGQUIT"};
	char log_path[128];
	size_t count = 3;

	if (geteuid() == 0) {
		argv[count++] = "--reuid=postgres";
		argv[count++] = "--regid=postgres";
		argv[count++] = "--clear-groups";
	}
	argv[count++] = "--";
	while (*arguments)
		argv[count++] = *arguments++;
	run_path(postgres, "log", log_path);
	return servers_spawn(argv, log_path);
}

static void place(struct servers_postgres *postgres)
{
	servers_dir_make(postgres->dir);
	snprintf(postgres->url, sizeof(postgres->url),
		 "postgresql:///postgres?host=%s", postgres->dir);
	if (geteuid() != 0)
		return;

	const struct passwd *user = getpwnam("postgres");

	cr_assert(user, "no user postgres");
	cr_assert_eq(chown(postgres->dir, user->pw_uid, user->pw_gid), 0);
}

static void make_cluster(struct servers_postgres *postgres)
{
	char data[128];
	int status = -1;

	run_path(postgres, "data", data);

	/* clang-format off */
	const char *arguments[] = {
		BINARIES "initdb", "--no-sync", "--auth=trust", "-E", "UTF8",
		"--locale=C.UTF-8", "-U", "postgres", "-D", data, NULL,
	};
	/* clang-format on */

	waitpid(spawn(postgres, arguments), &status, 0);
	cr_assert_eq(status, 0, "initdb: see %s/log", postgres->dir);
}

static PGconn *connect_admin(const struct servers_postgres *postgres)
{
	const char *keywords[] = {"dbname", "user", "client_encoding", NULL};
	const char *values[] = {postgres->url, "postgres", "UTF8", NULL};

	return PQconnectdbParams(keywords, values, true);
}

static int answers(void *arg)
{
	PGconn *conn = connect_admin(arg);
	int ok = PQstatus(conn) == CONNECTION_OK;

	PQfinish(conn);
	return ok;
}

static void start_server(struct servers_postgres *postgres)
{
	char data[128];

	run_path(postgres, "data", data);

	/* clang-format off */
	const char *arguments[] = {
		BINARIES "postgres", "-D", data, "-k", postgres->dir,
		"-c", "listen_addresses=",
		"-c", "fsync=off",
		"-c", "max_connections=200",
		NULL,
	};
	/* clang-format on */

	postgres->pid = spawn(postgres, arguments);
	cr_assert(servers_wait(answers, postgres), "postgres: see %s/log",
		  postgres->dir);
}

void servers_postgres_start(struct servers_postgres *postgres)
{
	if (postgres->dir[0] == '\0') {
		place(postgres);
		make_cluster(postgres);
	}
	start_server(postgres);
}

/* Backends are in sessions of their own, so no process group has them all. The
 * parent is held still meanwhile, lest it start another. */
void servers_postgres_signal(const struct servers_postgres *postgres,
			     int signal_number)
{
	char path[64];
	int child;

	kill(postgres->pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		 (int)postgres->pid, (int)postgres->pid);

	FILE *children = fopen(path, "r");

	cr_assert(children, "%s", path);
	while (fscanf(children, "%d", &child) == 1)
		kill(child, signal_number);
	fclose(children);
	kill(postgres->pid, signal_number);
}

void servers_postgres_kill(struct servers_postgres *postgres)
{
	servers_postgres_signal(postgres, SIGKILL);
	servers_end(postgres->pid, SIGKILL);
	postgres->pid = 0;
}

void servers_postgres_stop(struct servers_postgres *postgres)
{
	if (postgres->pid > 0) {
		servers_postgres_signal(postgres, SIGCONT);
		servers_end(postgres->pid, SIGQUIT);
	}
	if (postgres->dir[0] != '\0')
		servers_dir_remove(postgres->dir);
	*postgres = (struct servers_postgres){0};
}

/* Criterion's child processes patch a jump over the first bytes of main(): one
 * that only called another function would be too short for it, and whatever
 * the linker put behind would be overwritten. */
int main(int argc, char **argv)
{
	struct criterion_test_set *tests = criterion_initialize();
	int good = 1;

	if (criterion_handle_args(argc, argv, true)) {
		struct servers_postgres postgres = {0};

		servers_postgres_start(&postgres);
		setenv(SHARED_DIR, postgres.dir, 1);
		good = criterion_run_all_tests(tests);
		servers_postgres_stop(&postgres);
	}
	criterion_finalize(tests);
	return !good;
}

void servers_postgres_shared(struct servers_postgres *postgres)
{
	const char *dir = getenv(SHARED_DIR);

	cr_assert(dir, "not started by main()");
	*postgres = (struct servers_postgres){0};
	snprintf(postgres->dir, sizeof(postgres->dir), "%s", dir);
	snprintf(postgres->url, sizeof(postgres->url),
		 "postgresql:///postgres?host=%s", dir);
}

static PGresult *query(PGconn *conn, const char *sql)
{
	PGresult *pg = PQexec(conn, sql);

	cr_assert(PQresultStatus(pg) == PGRES_COMMAND_OK ||
			  PQresultStatus(pg) == PGRES_TUPLES_OK,
		  "%s: %s", sql, PQerrorMessage(conn));
	return pg;
}

long servers_postgres_number(const struct servers_postgres *postgres,
			     const char *sql)
{
	PGconn *conn = connect_admin(postgres);
	PGresult *pg = query(conn, sql);
	long number = 0;

	if (PQntuples(pg) > 0)
		number = strtol(PQgetvalue(pg, 0, 0), NULL, 10);
	PQclear(pg);
	PQfinish(conn);
	return number;
}

void servers_postgres_exec(const struct servers_postgres *postgres,
			   const char *sql)
{
	servers_postgres_number(postgres, sql);
}

void servers_postgres_migrated(struct servers_postgres *postgres)
{
	char command[256];
	char sql[64];

	servers_postgres_shared(postgres);
	snprintf(sql, sizeof(sql), "CREATE DATABASE test_%d", (int)getpid());
	servers_postgres_exec(postgres, sql);
	snprintf(postgres->url, sizeof(postgres->url),
		 "postgresql:///test_%d?host=%s", (int)getpid(), postgres->dir);
	snprintf(command, sizeof(command),
		 MIGRATE " '%s&user=postgres' "
			 ">/dev/null",
		 postgres->url);
	cr_assert_eq(system(command), 0, "%s", command);
}
