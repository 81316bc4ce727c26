#include "gateway/closer.h"

#include "proto/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* One read's worth; two of them per turn let others go on. */
	READ_BYTES = 64 * 1024,
	READS_PER_TURN = 2,
	TICK_MS = 250,
};

struct entry {
	TAILQ_ENTRY(entry) link;
	struct closer *closer;
	struct loop_watch *watch;
	uint64_t close_at_ms;
	int fd;
};

struct closer {
	struct loop *loop;
	struct loop_timer *timer;	    /* runs while there are entries */
	TAILQ_HEAD(entries, entry) entries; /* oldest first */
	size_t count;
	char scrap[READ_BYTES]; /* what was read and is nobody's */
};

static void entry_free(struct entry *entry)
{
	struct closer *closer = entry->closer;

	TAILQ_REMOVE(&closer->entries, entry, link);
	closer->count--;
	if (closer->count == 0)
		loop_timer_stop(closer->timer);
	loop_watch_free(entry->watch);
	close(entry->fd);
	free(entry);
}

static void on_readable(void *arg, unsigned events)
{
	struct entry *entry = arg;

	(void)events;
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t size = read(entry->fd, entry->closer->scrap,
				    sizeof(entry->closer->scrap));
		if (size > 0)
			continue;
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		entry_free(entry);
		return;
	}
}

static void on_tick(void *arg)
{
	struct closer *closer = arg;
	struct entry *entry;

	while ((entry = TAILQ_FIRST(&closer->entries)) &&
	       entry->close_at_ms <= loop_now_ms(closer->loop))
		entry_free(entry);
}

struct closer *closer_new(struct loop *loop)
{
	struct closer *closer = mem_alloc(sizeof(*closer));

	closer->loop = loop;
	closer->timer = loop_timer_new(loop, on_tick, closer);
	TAILQ_INIT(&closer->entries);
	return closer;
}

void closer_free(struct closer *closer)
{
	if (!closer)
		return;
	while (!TAILQ_EMPTY(&closer->entries))
		entry_free(TAILQ_FIRST(&closer->entries));
	loop_timer_free(closer->timer);
	free(closer);
}

void closer_add(struct closer *closer, int fd)
{
	if (closer->count >= CLOSER_MAX) {
		close(fd);
		return;
	}
	shutdown(fd, SHUT_WR);
	struct entry *entry = mem_alloc(sizeof(*entry));
	entry->closer = closer;
	entry->fd = fd;
	entry->close_at_ms = loop_now_ms(closer->loop) + CLOSER_MS;
	entry->watch = loop_watch_new(closer->loop, fd, on_readable, entry);
	loop_watch_set(entry->watch, LOOP_READABLE);
	TAILQ_INSERT_TAIL(&closer->entries, entry, link);
	if (closer->count++ == 0)
		loop_timer_start(closer->timer, TICK_MS, TICK_MS);
}

bool closer_idle(const struct closer *closer)
{
	return closer->count == 0;
}
