#include "gateway/closer.h"

#include "proto/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* One read's worth; two of them per turn let others go on. */
	READ_BYTES = 64 * 1024,
	READS_PER_TURN = 2,
	TICK_MS = 250,
};

struct entry {
	struct closer *closer;
	struct loop_watch *watch; /* NULL: the place is free */
	uint64_t close_at_ms;
	int fd;
};

struct closer {
	struct loop *loop;
	struct loop_timer *timer; /* runs while there are entries */
	size_t count;
	struct entry entries[CLOSER_MAX];
	char scrap[READ_BYTES]; /* what was read and is nobody's */
};

static void entry_end(struct entry *entry)
{
	struct closer *closer = entry->closer;

	if (--closer->count == 0)
		loop_timer_stop(closer->timer);
	loop_watch_free(entry->watch);
	entry->watch = NULL;
	close(entry->fd);
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
		entry_end(entry);
		return;
	}
}

/* Ends the entries that are due by now_ms. */
static void entries_end(struct closer *closer, uint64_t now_ms)
{
	for (size_t i = 0; i < CLOSER_MAX; i++) {
		struct entry *entry = &closer->entries[i];

		if (entry->watch && entry->close_at_ms <= now_ms)
			entry_end(entry);
	}
}

static void on_tick(void *arg)
{
	struct closer *closer = arg;

	entries_end(closer, loop_now_ms(closer->loop));
}

struct closer *closer_new(struct loop *loop)
{
	struct closer *closer = mem_alloc(sizeof(*closer));

	closer->loop = loop;
	closer->timer = loop_timer_new(loop, on_tick, closer);
	return closer;
}

void closer_free(struct closer *closer)
{
	if (!closer)
		return;
	entries_end(closer, UINT64_MAX);
	loop_timer_free(closer->timer);
	free(closer);
}

void closer_add(struct closer *closer, int fd)
{
	if (closer->count >= CLOSER_MAX) {
		close(fd);
		return;
	}
	struct entry *entry = closer->entries;
	while (entry->watch)
		entry++;
	shutdown(fd, SHUT_WR);
	entry->closer = closer;
	entry->fd = fd;
	entry->close_at_ms = loop_now_ms(closer->loop) + CLOSER_MS;
	entry->watch = loop_watch_new(closer->loop, fd, on_readable, entry);
	loop_watch_set(entry->watch, LOOP_READABLE);
	if (closer->count++ == 0)
		loop_timer_start(closer->timer, TICK_MS, TICK_MS);
}

bool closer_idle(const struct closer *closer)
{
	return closer->count == 0;
}
