#include "services/registrar/sweep.h"

#include "proto/mem.h"
#include "services/common/log.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

/* One address of record: waiting, or looked at. */
struct item {
	TAILQ_ENTRY(item) link; /* waiting */
	struct sweep *sweep;
	size_t size;
	char aor[];
};

/* A list to be walked: a tenant's, or all (0). */
struct walk {
	TAILQ_ENTRY(walk) link;
	int64_t tenant_id;
	size_t skip; /* of it, what stays */
};

struct sweep {
	struct bindings *bindings;
	const struct world *world;
	struct loop_timer *timer;  /* the next round */
	struct loop_timer *period; /* the next walk of all */
	TAILQ_HEAD(, item) items;
	size_t waiting;
	TAILQ_HEAD(, walk) walks;
	/* The round. */
	bool busy;
	bool failed;
	size_t pending;	   /* of its items */
	struct walk *walk; /* the one its items are of; or NULL */
	uint64_t removed_total;
};

static void round_begin(struct sweep *sweep);

static void on_timer(void *arg)
{
	round_begin(arg);
}

static void on_period(void *arg)
{
	sweep_all(arg);
}

struct sweep *sweep_new(struct loop *loop, struct bindings *bindings,
			const struct world *world, struct metrics *metrics)
{
	struct sweep *sweep = mem_alloc(sizeof(*sweep));

	sweep->bindings = bindings;
	sweep->world = world;
	sweep->timer = loop_timer_new(loop, on_timer, sweep);
	sweep->period = loop_timer_new(loop, on_period, sweep);
	loop_timer_start(sweep->period, SWEEP_PERIOD_MS, SWEEP_PERIOD_MS);
	TAILQ_INIT(&sweep->items);
	TAILQ_INIT(&sweep->walks);
	if (metrics)
		metrics_add(metrics, METRICS_COUNTER,
			    "registrar_bindings_swept_total",
			    "Addresses of record whose account was gone.",
			    &sweep->removed_total);
	return sweep;
}

static void item_free(struct item *item)
{
	TAILQ_REMOVE(&item->sweep->items, item, link);
	item->sweep->waiting--;
	free(item);
}

static void items_clear(struct sweep *sweep)
{
	while (!TAILQ_EMPTY(&sweep->items))
		item_free(TAILQ_FIRST(&sweep->items));
}

void sweep_free(struct sweep *sweep)
{
	if (!sweep)
		return;
	assert(!sweep->busy);
	items_clear(sweep);
	for (struct walk *walk; (walk = TAILQ_FIRST(&sweep->walks));) {
		TAILQ_REMOVE(&sweep->walks, walk, link);
		free(walk);
	}
	loop_timer_free(sweep->timer);
	loop_timer_free(sweep->period);
	free(sweep);
}

bool sweep_idle(const struct sweep *sweep)
{
	return !sweep->busy && TAILQ_EMPTY(&sweep->items) &&
	       TAILQ_EMPTY(&sweep->walks);
}

/* ---- one address of record ---- */

static bool is_nobodys(void *arg, const struct binding *binding)
{
	const struct item *item = arg;

	return !world_binds(item->sweep->world, slice_of(item->aor, item->size),
			    binding->trunk_id, binding->user_id);
}

static void round_check(struct sweep *sweep)
{
	if (sweep->pending > 0)
		return;
	sweep->busy = false;
	sweep->walk = NULL;
	if (!sweep_idle(sweep))
		loop_timer_start(sweep->timer,
				 sweep->failed ? SWEEP_RETRY_MS : 0, 0);
}

static void item_wait(struct item *item)
{
	TAILQ_INSERT_TAIL(&item->sweep->items, item, link);
	item->sweep->waiting++;
}

/* What Redis did not do is looked at again, a list from its start. */
static void on_failed(struct item *item)
{
	struct sweep *sweep = item->sweep;

	sweep->failed = true;
	if (sweep->walk) {
		sweep->walk->skip = 0;
		free(item);
	} else {
		item_wait(item);
	}
}

static void on_dropped(void *arg, enum binding_outcome outcome,
		       const struct binding_set *set, enum err_code code)
{
	struct item *item = arg;
	struct sweep *sweep = item->sweep;

	sweep->pending--;
	if (code) {
		on_failed(item);
		round_check(sweep);
		return;
	}
	/* Its place in the list is the next one's. */
	if (set->count == 0 && sweep->walk && sweep->walk->skip > 0)
		sweep->walk->skip--;
	if (outcome == BINDING_REMOVED) {
		sweep->removed_total++;
		log_event(LOG_INFO, "registrar.swept",
			  LOG_SLICE("aor", slice_of(item->aor, item->size)),
			  LOG_INT("contacts", set->count));
	}
	free(item);
	round_check(sweep);
}

static struct item *item_new(struct sweep *sweep, struct slice aor)
{
	struct item *item = mem_alloc(sizeof(*item) + aor.size);

	item->sweep = sweep;
	item->size = aor.size;
	memcpy(item->aor, aor.data, aor.size);
	return item;
}

static void item_run(struct item *item)
{
	const struct binding_change change = {.drop = is_nobodys,
					      .drop_arg = item};

	item->sweep->pending++;
	bindings_change(item->sweep->bindings, slice_of(item->aor, item->size),
			&change, SWEEP_DEADLINE_MS, on_dropped, item);
}

/* ---- a list ---- */

static bool has_nobodys(const struct sweep *sweep,
			const struct bindings_entry *entry)
{
	for (size_t i = 0; i < entry->set.count; i++)
		if (!world_binds(sweep->world, entry->aor,
				 entry->set.items[i].trunk_id,
				 entry->set.items[i].user_id))
			return true;
	return false;
}

static void walk_end(struct sweep *sweep, struct walk *walk)
{
	TAILQ_REMOVE(&sweep->walks, walk, link);
	free(walk);
	sweep->walk = NULL;
}

static void on_page(void *arg, const struct bindings_page *page,
		    enum err_code code)
{
	struct sweep *sweep = arg;

	sweep->pending--;
	if (code) {
		sweep->failed = true;
		round_check(sweep);
		return;
	}
	sweep->walk->skip += page->keys - page->ended;
	/* What is behind it is read when these are gone. */
	for (size_t i = 0; i < page->count; i++)
		if (has_nobodys(sweep, &page->entries[i]))
			item_run(item_new(sweep, page->entries[i].aor));
	if (page->keys == 0)
		walk_end(sweep, sweep->walk);
	round_check(sweep);
}

/* ---- rounds ---- */

/* Those that wait, before the lists. */
static void items_run(struct sweep *sweep)
{
	while (!TAILQ_EMPTY(&sweep->items) && sweep->pending < SWEEP_ROUND) {
		struct item *item = TAILQ_FIRST(&sweep->items);

		TAILQ_REMOVE(&sweep->items, item, link);
		sweep->waiting--;
		item_run(item);
	}
}

static void round_begin(struct sweep *sweep)
{
	if (sweep->busy || sweep_idle(sweep))
		return;
	sweep->busy = true;
	sweep->failed = false;
	if (!TAILQ_EMPTY(&sweep->items)) {
		items_run(sweep);
		return;
	}
	sweep->walk = TAILQ_FIRST(&sweep->walks);
	sweep->pending++;
	bindings_list(sweep->bindings, sweep->walk->tenant_id,
		      sweep->walk->skip, SWEEP_ROUND, SWEEP_DEADLINE_MS,
		      on_page, sweep);
}

/* Not within the turn: what came in it may be several. A pause after a failure
 * goes on. */
static void wake(struct sweep *sweep)
{
	if (!sweep->busy && !sweep->failed)
		loop_timer_start(sweep->timer, 0, 0);
}

void sweep_aor(struct sweep *sweep, struct slice aor)
{
	if (sweep->waiting >= SWEEP_WAITING_MAX) {
		items_clear(sweep);
		sweep_all(sweep);
		return;
	}
	item_wait(item_new(sweep, aor));
	wake(sweep);
}

void sweep_tenant(struct sweep *sweep, int64_t tenant_id)
{
	struct walk *walk;

	/* One that has not begun will see it. */
	TAILQ_FOREACH(walk, &sweep->walks, link)
		if (walk != sweep->walk && walk->skip == 0 &&
		    walk->tenant_id == tenant_id)
			return;
	walk = mem_alloc(sizeof(*walk));
	walk->tenant_id = tenant_id;
	TAILQ_INSERT_TAIL(&sweep->walks, walk, link);
	wake(sweep);
}

void sweep_all(struct sweep *sweep)
{
	sweep_tenant(sweep, 0);
}
