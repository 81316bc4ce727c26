#include "services/common/waiting.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>

struct waiter {
	LIST_ENTRY(waiter) link;
	int64_t id;
	waiting_fn *fn;
	void *arg;
};

bool waiting_full(const struct waiting *waiting)
{
	return waiting->count >= WAITING_MAX;
}

static void add(struct waiting *waiting, struct waiter *waiter)
{
	LIST_INSERT_HEAD(&waiting->first, waiter, link);
	waiting->count++;
}

void waiting_add(struct waiting *waiting, int64_t id, waiting_fn *fn, void *arg)
{
	struct waiter *waiter = mem_alloc(sizeof(*waiter));

	assert(!waiting_full(waiting));
	waiter->id = id;
	waiter->fn = fn;
	waiter->arg = arg;
	add(waiting, waiter);
}

static struct waiter *take(struct waiting *waiting)
{
	struct waiter *waiter = LIST_FIRST(&waiting->first);

	if (!waiter)
		return NULL;
	LIST_REMOVE(waiter, link);
	waiting->count--;
	return waiter;
}

/* They are off the list before the first is called: it may wait again. */
static void tell(struct waiting *told, enum err_code code)
{
	struct waiter *waiter;

	while ((waiter = take(told))) {
		waiter->fn(waiter->arg, waiter->id, code);
		free(waiter);
	}
}

void waiting_tell(struct waiting *waiting, int64_t id, enum err_code code)
{
	struct waiting told = {0}, others = {0};
	struct waiter *waiter;

	if (waiting->count == 0)
		return;
	while ((waiter = take(waiting)))
		add(waiter->id == id ? &told : &others, waiter);
	while ((waiter = take(&others)))
		add(waiting, waiter);
	tell(&told, code);
}

void waiting_tell_all(struct waiting *waiting, enum err_code code)
{
	struct waiting told = {0};
	struct waiter *waiter;

	while ((waiter = take(waiting)))
		add(&told, waiter);
	tell(&told, code);
}

void waiting_fini(struct waiting *waiting)
{
	struct waiter *waiter;

	while ((waiter = take(waiting)))
		free(waiter);
}
