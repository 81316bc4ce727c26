#ifndef UNIT_SERVERS_H
#define UNIT_SERVERS_H

/*
 * Private servers for tests that need a real one: each in a directory of its
 * own, reached by a unix socket, ended with the test process at the latest.
 * What goes wrong here fails the test on the spot.
 */

#include <sys/types.h>

enum {
	/* Starting and stopping takes some 10 ms; a busy machine gets time. */
	SERVERS_DEADLINE_MS = 20000,
};

/* Runs a program in the background, its output into the file log_path.
 * Returns its pid. */
pid_t servers_spawn(const char *const *argv, const char *log_path);

/* Sends a signal and waits until the program has ended; past the deadline it
 * is killed. */
void servers_end(pid_t pid, int signal_number);

/* True once, within the deadline, check(arg) was. */
int servers_wait(int (*check)(void *arg), void *arg);

/* Makes a directory under /tmp; dir has room for 64 bytes. */
void servers_dir_make(char *dir);

/* Removes a directory and what is in it. */
void servers_dir_remove(const char *dir);

/* A zeroed struct is a server not started. */
struct servers_redis {
	pid_t pid; /* 0: not running */
	char dir[64];
	char socket_path[96];
	int port;      /* 0: none */
	char url[112]; /* for cache_new() */
};

/* Starts Redis and returns when it answers. After servers_redis_kill() it is
 * started again at the same place, empty. With a password (NULL: none) it
 * listens on a TCP port as well, and url is of that. */
void servers_redis_start(struct servers_redis *redis, const char *password);

/* Ends it as a crash would. */
void servers_redis_kill(struct servers_redis *redis);

/* Ends it and removes its directory. */
void servers_redis_stop(struct servers_redis *redis);

/*
 * PostgreSQL, in servers_postgres.c. A suite that links that file also has its
 * main() from there, which starts one server before the first test and stops
 * it after the last; each test keeps to tables, schemas or databases of its
 * own. A test that kills or stops a server starts one for itself.
 *
 * A zeroed struct is a server not started.
 */
struct servers_postgres {
	pid_t pid; /* 0: not running */
	char dir[64];
	/* Names no user, so that a default role counts; everyone is trusted,
	 * "postgres" is the superuser. */
	char url[112];
};

/* Makes a cluster (about a second), starts it and returns when it answers.
 * After servers_postgres_kill() the same cluster is started again. */
void servers_postgres_start(struct servers_postgres *postgres);

/* Ends every process of it as a crash would. */
void servers_postgres_kill(struct servers_postgres *postgres);

/* Sends a signal (SIGSTOP, SIGCONT) to every process of it. */
void servers_postgres_signal(const struct servers_postgres *postgres,
			     int signal_number);

/* Ends it and removes its directory. */
void servers_postgres_stop(struct servers_postgres *postgres);

/* The server that main() started; _migrated: a database of the test's own on
 * it, with all that deploy/migrate makes. */
void servers_postgres_shared(struct servers_postgres *postgres);
void servers_postgres_migrated(struct servers_postgres *postgres);

/* Runs SQL as the superuser on a connection of its own, waiting for its end.
 * _number returns its first cell, 0 where there is none. */
void servers_postgres_exec(const struct servers_postgres *postgres,
			   const char *sql);
long servers_postgres_number(const struct servers_postgres *postgres,
			     const char *sql);

#endif
