#include "services/registrar/pacing.h"

#include "services/common/secrets.h"
#include "turn.h"

#include <stdio.h>

enum {
	TICKETS = 200,
	DESTINATIONS = 10,
	HOLD_MS = PACING_WINDOW_MS + PACING_SLACK_MS,
};

struct world {
	struct loop *loop;
	uint64_t now_ms;
	struct agenda *agenda;
	struct pacing *pacing;
	size_t count;
	uint64_t held_up_ms; /* the turn that lets the first ones go */
	int order[TICKETS];  /* who was let go, one after the other */
	uint64_t at_ms[TICKETS];
};

struct sender {
	struct pacing_ticket ticket; /* first */
	struct world *world;
	int name;
};

static uint64_t monotonic(void *arg)
{
	return *(uint64_t *)arg;
}

static int64_t wall(void *arg)
{
	return (int64_t) * (uint64_t *)arg;
}

static void world_open(struct world *world,
		       const struct pacing_options *options)
{
	const struct agenda_clock clock = {monotonic, wall, &world->now_ms};

	cr_assert(secrets_init());
	world->loop = loop_new();
	world->now_ms = 1000;
	world->agenda = agenda_new(world->loop, &clock);
	world->pacing = pacing_new(world->agenda, options);
}

static void world_close(struct world *world)
{
	pacing_free(world->pacing);
	cr_expect_eq(agenda_next_ms(world->agenda), UINT64_MAX);
	agenda_free(world->agenda);
	loop_free(world->loop);
}

static void on_go(void *arg)
{
	struct sender *sender = arg;
	struct world *world = sender->world;

	world->order[world->count] = sender->name;
	world->at_ms[world->count++] = world->now_ms;
}

static void ask(struct world *world, struct sender *sender, int name,
		unsigned destination, bool urgent)
{
	struct sip_endpoint endpoint;

	cr_assert(sip_endpoint_parse(slice_str("192.0.2.1"),
				     (uint16_t)(5060 + destination),
				     &endpoint));
	*sender = (struct sender){.world = world, .name = name};
	pacing_ask(world->pacing, &sender->ticket, &endpoint, urgent, on_go,
		   sender);
}

/* Until nothing is left to do, each thing at its very time. */
static void run(struct world *world)
{
	while (pacing_waiting(world->pacing) > 0) {
		const uint64_t next_ms = agenda_next_ms(world->agenda);

		cr_assert_neq(next_ms, UINT64_MAX, "somebody waits for ever");
		if (next_ms > world->now_ms)
			world->now_ms = next_ms;

		size_t first = world->count;

		agenda_run(world->agenda);
		if (world->count == first)
			continue;
		world->now_ms += world->held_up_ms;
		world->held_up_ms = 0;
		/* They leave at the end of the turn. */
		for (; first < world->count; first++)
			world->at_ms[first] = world->now_ms;
	}
}

static const struct pacing_options defaults;

static struct sender senders[TICKETS];

Test(pacing, nobody_is_let_go_before_he_is_in_the_queue)
{
	struct world world = {0};

	world_open(&world, &defaults);
	ask(&world, &senders[0], 0, 0, false);
	cr_expect_eq(world.count, 0);
	agenda_run(world.agenda);
	cr_expect_eq(world.count, 1);
	world_close(&world);
}

Test(pacing, no_window_holds_more_than_the_burst)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < TICKETS; i++)
		ask(&world, &senders[i], i, (unsigned)i % DESTINATIONS, false);
	run(&world);
	cr_assert_eq(world.count, TICKETS);
	for (int i = PACING_BURST; i < TICKETS; i++)
		cr_expect_geq(world.at_ms[i] - world.at_ms[i - PACING_BURST],
			      HOLD_MS);
	/* And no slower than it has to be. */
	cr_expect_eq(world.at_ms[TICKETS - 1] - world.at_ms[0],
		     (TICKETS / PACING_BURST - 1) * HOLD_MS);
	world_close(&world);
}

/* A busy machine, which takes the processor away for most of a window. */
Test(pacing, a_turn_that_is_held_up_counts_from_its_end)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < TICKETS; i++)
		ask(&world, &senders[i], i, (unsigned)i % DESTINATIONS, false);
	world.held_up_ms = HOLD_MS - 10;
	run(&world);
	cr_assert_eq(world.count, TICKETS);
	for (int i = PACING_BURST; i < TICKETS; i++)
		cr_expect_geq(world.at_ms[i] - world.at_ms[i - PACING_BURST],
			      PACING_WINDOW_MS);
	for (int i = PACING_DESTINATION_BURST * DESTINATIONS; i < TICKETS; i++)
		cr_expect_geq(world.at_ms[i] -
				      world.at_ms[i - PACING_DESTINATION_BURST *
							      DESTINATIONS],
			      PACING_WINDOW_MS);
	world_close(&world);
}

/* The same for the burst of one destination. */
Test(pacing, a_destination_that_is_held_up_counts_from_the_end)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < 20; i++)
		ask(&world, &senders[i], i, 0, false);
	world.held_up_ms = HOLD_MS - 10;
	run(&world);
	cr_assert_eq(world.count, 20);
	for (int i = PACING_DESTINATION_BURST; i < 20; i++)
		cr_expect_geq(world.at_ms[i] -
				      world.at_ms[i - PACING_DESTINATION_BURST],
			      PACING_WINDOW_MS);
	world_close(&world);
}

Test(pacing, a_destination_gets_less_and_in_order)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < 20; i++)
		ask(&world, &senders[i], i, 0, false);
	run(&world);
	cr_assert_eq(world.count, 20);
	for (int i = 0; i < 20; i++) {
		cr_expect_eq(world.order[i], i);
		cr_expect_eq(world.at_ms[i] - world.at_ms[0],
			     (uint64_t)(i / PACING_DESTINATION_BURST) *
				     HOLD_MS);
	}
	world_close(&world);
}

Test(pacing, a_small_destination_does_not_wait_for_a_large_one)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < 100; i++)
		ask(&world, &senders[i], i, 0, false);
	ask(&world, &senders[100], 100, 1, false);
	agenda_run(world.agenda);
	cr_expect_eq(world.count, PACING_DESTINATION_BURST + 1);
	cr_expect_eq(world.order[1], 100, "it was not its turn");
	run(&world);
	world_close(&world);
}

Test(pacing, the_urgent_go_first)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < 10; i++)
		ask(&world, &senders[i], i, 0, false);
	ask(&world, &senders[10], 10, 0, true);
	run(&world);
	cr_expect_eq(world.order[0], 10);
	cr_expect_eq(world.order[1], 0);
	world_close(&world);
}

Test(pacing, who_gives_up_costs_nobody_a_place)
{
	struct world world = {0};

	world_open(&world, &defaults);
	for (int i = 0; i < 10; i++)
		ask(&world, &senders[i], i, 0, false);
	for (int i = 0; i < 10; i += 2)
		pacing_drop(&senders[i].ticket);
	pacing_drop(&senders[0].ticket); /* once more */
	agenda_run(world.agenda);
	cr_expect_eq(world.count, 5);
	for (int i = 0; i < 5; i++)
		cr_expect_eq(world.order[i], 2 * i + 1);
	cr_expect_eq(pacing_waiting(world.pacing), 0);

	/* A destination everybody has left still remembers. */
	ask(&world, &senders[0], 0, 0, false);
	pacing_drop(&senders[0].ticket);
	world.now_ms++; /* the end of that turn */
	agenda_run(world.agenda);
	world.now_ms += HOLD_MS - 2;
	agenda_run(world.agenda);
	ask(&world, &senders[1], 1, 0, false);
	agenda_run(world.agenda);
	cr_expect_eq(world.count, 5);
	world.now_ms++;
	agenda_run(world.agenda);
	agenda_run(world.agenda);
	cr_expect_eq(world.count, 6);
	world.now_ms += 2 * HOLD_MS;
	agenda_run(world.agenda);
	world_close(&world);
}

/* --- The agenda itself --- */

struct item {
	struct agenda_entry entry; /* first */
	struct world *world;
	uint64_t due_ms;
	bool ran;
};

static void on_item(void *arg)
{
	struct item *item = arg;

	cr_expect_leq(item->due_ms, item->world->now_ms, "early");
	cr_expect_gt(item->due_ms + 10, item->world->now_ms, "late");
	cr_expect_not(item->ran);
	item->ran = true;
}

Test(agenda, everything_happens_at_its_time)
{
	enum { ITEMS = 1000 };
	static struct item items[ITEMS];
	struct world world = {0};
	uint64_t state = 1;

	world_open(&world, &defaults);
	for (int i = 0; i < ITEMS; i++) {
		items[i] = (struct item){.world = &world};
		items[i].entry =
			(struct agenda_entry){.fn = on_item, .arg = &items[i]};
		/* Set twice: the last one counts. */
		for (int turn = 0; turn < 2; turn++) {
			state = state * 6364136223846793005U + 1;

			const uint64_t delay_ms = (state >> 33) % 5000;

			items[i].due_ms = world.now_ms + delay_ms;
			agenda_set(world.agenda, &items[i].entry, delay_ms);
		}
	}
	for (int i = 0; i < ITEMS; i += 3)
		agenda_clear(world.agenda, &items[i].entry);
	for (int i = 0; i < 510; i++, world.now_ms += 10)
		agenda_run(world.agenda);
	for (int i = 0; i < ITEMS; i++)
		cr_expect_eq(items[i].ran, i % 3 != 0, "%d", i);
	world_close(&world);
}

static void on_ran(void *arg)
{
	*(bool *)arg = true;
}

Test(agenda, runs_by_itself_on_the_machines_clock)
{
	struct loop *loop = loop_new();
	struct agenda *agenda = agenda_new(loop, NULL);
	bool ran = false;
	struct agenda_entry entry = {.fn = on_ran, .arg = &ran};

	agenda_set(agenda, &entry, 5);
	cr_expect_not(ran);
	TURN_UNTIL(loop, ran);
	agenda_free(agenda);
	loop_free(loop);
}
