#include "servers.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Between two looks at a condition. */
enum { POLL_MS = 5 };

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void spawned(const char *const *argv, const char *log_path)
{
	/* A test that crashes must not leave its servers behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);

	int log =
		open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

pid_t servers_spawn(const char *const *argv, const char *log_path)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0, "fork");
	if (pid == 0)
		spawned(argv, log_path);
	return pid;
}

int servers_wait(int (*check)(void *arg), void *arg)
{
	long long deadline = now_ms() + SERVERS_DEADLINE_MS;

	while (!check(arg)) {
		if (now_ms() > deadline)
			return 0;
		poll(NULL, 0, POLL_MS);
	}
	return 1;
}

static int has_ended(void *arg)
{
	return waitpid(*(pid_t *)arg, NULL, WNOHANG) != 0;
}

void servers_end(pid_t pid, int signal_number)
{
	kill(pid, signal_number);
	if (servers_wait(has_ended, &pid))
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void servers_dir_make(char *dir)
{
	snprintf(dir, 64, "/tmp/trunkline-test-XXXXXX");
	cr_assert(mkdtemp(dir), "mkdtemp");
}

static int remove_one(const char *path, const struct stat *stat, int type,
		      struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void servers_dir_remove(const char *dir)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Any answer will do: with a password it is "-NOAUTH". */
static int redis_answers(void *arg)
{
	struct servers_redis *redis = arg;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[8];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		 redis->socket_path);

	int ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) ==
			 0 &&
		 write(fd, "PING\r\n", 6) == 6 &&
		 read(fd, answer, sizeof(answer)) > 0;

	close(fd);
	return ok;
}

/* Nobody listens on it now; another process might before we do, which fails
 * the test instead of confusing it. */
static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0, "bind");
	getsockname(fd, (struct sockaddr *)&address, &size);
	close(fd);
	return ntohs(address.sin_port);
}

static void redis_place(struct servers_redis *redis, const char *password)
{
	servers_dir_make(redis->dir);
	snprintf(redis->socket_path, sizeof(redis->socket_path), "%s/redis",
		 redis->dir);
	if (!password) {
		snprintf(redis->url, sizeof(redis->url), "unix:%s",
			 redis->socket_path);
		return;
	}
	redis->port = free_port();
	snprintf(redis->url, sizeof(redis->url), "redis://:%s@127.0.0.1:%d/0",
		 password, redis->port);
}

void servers_redis_start(struct servers_redis *redis, const char *password)
{
	char log_path[96];
	char port[16];

	if (redis->dir[0] == '\0')
		redis_place(redis, password);
	snprintf(log_path, sizeof(log_path), "%s/redis.log", redis->dir);
	snprintf(port, sizeof(port), "%d", redis->port);

	/* clang-format off */
	const char *argv[] = {
		"redis-server",
		"--unixsocket", redis->socket_path,
		"--port", port,
		"--bind", "127.0.0.1",
		"--dir", redis->dir,
		"--save", "",
		"--appendonly", "no",
		"--requirepass", password ? password : "",
		NULL,
	};
	/* clang-format on */

	redis->pid = servers_spawn(argv, log_path);
	cr_assert(servers_wait(redis_answers, redis), "redis-server: see %s",
		  log_path);
}

void servers_redis_kill(struct servers_redis *redis)
{
	if (redis->pid > 0)
		servers_end(redis->pid, SIGKILL);
	redis->pid = 0;
}

void servers_redis_stop(struct servers_redis *redis)
{
	/* A paused one takes no SIGTERM. */
	if (redis->pid > 0) {
		kill(redis->pid, SIGCONT);
		servers_end(redis->pid, SIGTERM);
	}
	if (redis->dir[0] != '\0')
		servers_dir_remove(redis->dir);
	*redis = (struct servers_redis){0};
}
