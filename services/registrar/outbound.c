#include "services/registrar/outbound.h"

#include "proto/mem.h"
#include "services/common/id_table.h"
#include "services/common/log.h"
#include "services/registrar/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

/*
 *	known --lease--> loading --state--> trunk
 *	  ^                 |                 |
 *	  '----lease lost---+-----------------'
 *
 * One that was deleted while it was loading becomes a trunk to be taken back.
 */
struct entry {
	struct id_node node; /* first: see id_table.h */
	struct outbound *outbound;
	LIST_ENTRY(entry) shard_link;
	TAILQ_ENTRY(entry) load_link;
	bool to_load; /* in that list */
	bool loading;
	bool gone;  /* deleted */
	bool dirty; /* its state was not stored */
	struct settings settings;
	struct trunk *trunk; /* NULL: known, loading */
};

struct outbound {
	struct loop *loop;
	struct agenda *agenda;
	struct pacing *pacing;
	struct resolver *resolver;
	struct sip_client *client;
	struct wire *wire;
	struct digest_context *digest;
	struct trunk_store *store;
	struct lease *lease;
	char owner[SECRETS_TOKEN_BYTES];
	char *user_agent; /* owned */
	struct attempt_shared attempts;
	struct trunk_shared shared;
	outbound_changed_fn *changed;
	void *arg;
	bool stopped;

	struct id_table table;
	LIST_HEAD(, entry) shards[LEASE_SHARDS];
	TAILQ_HEAD(, entry) to_load;
	size_t loading;
	struct agenda_entry load;  /* goes on loading */
	struct agenda_entry again; /* stores what was not */
	struct waiting waiting;	   /* outbound_trunk_await() */
	uint64_t known;
};

static struct entry *entry_find(const struct outbound *outbound, int64_t id)
{
	return (struct entry *)id_table_find(&outbound->table, id);
}

/* ---- entries ---- */

static struct entry *entry_new(struct outbound *outbound, int64_t id)
{
	struct entry *entry = mem_alloc(sizeof(*entry));

	entry->node.id = id;
	entry->outbound = outbound;
	LIST_INSERT_HEAD(&outbound->shards[lease_shard_of(id)], entry,
			 shard_link);
	id_table_add(&outbound->table, &entry->node);
	outbound->known++;
	return entry;
}

static void load_remove(struct entry *entry)
{
	if (entry->to_load)
		TAILQ_REMOVE(&entry->outbound->to_load, entry, load_link);
	entry->to_load = false;
}

static void entry_free(struct entry *entry)
{
	struct outbound *outbound = entry->outbound;

	load_remove(entry);
	trunk_free(entry->trunk);
	LIST_REMOVE(entry, shard_link);
	id_table_remove(&outbound->table, &entry->node);
	outbound->known--;
	settings_fini(&entry->settings);
	free(entry);
}

/* ---- what trunks tell ---- */

static void on_lost(void *arg, int64_t id)
{
	struct outbound *outbound = arg;
	struct entry *entry = entry_find(outbound, id);

	if (!entry || outbound->stopped)
		return;
	entry->dirty = true;
	if (!outbound->again.place)
		agenda_set(outbound->agenda, &outbound->again,
			   OUTBOUND_RETRY_MS);
}

static void on_save(void *arg, const struct trunk *trunk)
{
	struct outbound *outbound = arg;

	trunk_store_save(outbound->store, trunk_id(trunk),
			 trunk_state_of(trunk), on_lost, outbound);
}

static void on_again(void *arg)
{
	struct outbound *outbound = arg;

	ID_TABLE_FOREACH(node, &outbound->table) {
		struct entry *entry = (struct entry *)node;

		if (entry->dirty && entry->trunk)
			on_save(outbound, entry->trunk);
		entry->dirty = false;
	}
}

static void on_changed(void *arg, const struct trunk *trunk)
{
	struct outbound *outbound = arg;

	if (outbound->changed)
		outbound->changed(outbound->arg, trunk_id(trunk),
				  trunk_online(trunk));
}

static void on_ended(void *arg, struct trunk *trunk)
{
	struct outbound *outbound = arg;
	struct entry *entry = entry_find(outbound, trunk_id(trunk));

	trunk_store_remove(outbound->store, trunk_id(trunk));
	entry_free(entry);
}

/* ---- reading states ---- */

static void load_add(struct entry *entry)
{
	struct outbound *outbound = entry->outbound;

	if (entry->to_load || entry->loading || entry->trunk)
		return;
	TAILQ_INSERT_TAIL(&outbound->to_load, entry, load_link);
	entry->to_load = true;
	if (!outbound->load.place)
		agenda_set(outbound->agenda, &outbound->load, 0);
}

static void trunk_begin(struct entry *entry, struct trunk_state *state)
{
	struct outbound *outbound = entry->outbound;

	entry->trunk =
		trunk_new(&outbound->shared, &entry->settings.trunk, state);
	if (trunk_online(entry->trunk))
		on_changed(outbound, entry->trunk);
	if (entry->gone && trunk_remove(entry->trunk)) {
		trunk_store_remove(outbound->store, entry->node.id);
		entry_free(entry);
	}
}

/* May free it. */
static void not_ours(struct entry *entry)
{
	if (!entry)
		return;
	entry->loading = false;
	if (entry->gone)
		entry_free(entry);
}

/* state is the callee's. */
static void state_take(struct outbound *outbound, int64_t id,
		       struct trunk_state *state, enum err_code code)
{
	struct entry *entry = entry_find(outbound, id);

	/* An entry that was freed meanwhile may have one of its id after it. */
	if (!entry || !entry->loading || outbound->stopped ||
	    !lease_holds(outbound->lease, lease_shard_of(id))) {
		if (state)
			trunk_state_fini(state);
		not_ours(entry);
		return;
	}
	entry->loading = false;
	if (code == ERR_OK || code == ERR_NOT_FOUND) {
		trunk_begin(entry, state);
		return;
	}
	load_add(entry);
	agenda_set(outbound->agenda, &outbound->load, OUTBOUND_RETRY_MS);
}

static void on_loaded(void *arg, int64_t id, struct trunk_state *state,
		      enum err_code code)
{
	struct outbound *outbound = arg;

	outbound->loading--;
	if (!TAILQ_EMPTY(&outbound->to_load) && !outbound->load.place)
		agenda_set(outbound->agenda, &outbound->load, 0);
	state_take(outbound, id, state, code);
	waiting_tell(&outbound->waiting, id, ERR_OK);
}

static void on_load(void *arg)
{
	struct outbound *outbound = arg;

	while (!TAILQ_EMPTY(&outbound->to_load) &&
	       outbound->loading < OUTBOUND_LOADS_MAX) {
		struct entry *entry = TAILQ_FIRST(&outbound->to_load);

		load_remove(entry);
		entry->loading = true;
		outbound->loading++;
		trunk_store_load(outbound->store, entry->node.id, on_loaded,
				 outbound);
	}
}

/* A part that was lost is another's: what it does not know yet it reads in
 * Redis. */
static void on_lease(void *arg, unsigned shard, bool ours)
{
	struct outbound *outbound = arg;
	struct entry *next;

	for (struct entry *entry = LIST_FIRST(&outbound->shards[shard]); entry;
	     entry = next) {
		next = LIST_NEXT(entry, shard_link);
		if (ours) {
			load_add(entry);
			continue;
		}
		load_remove(entry);
		trunk_free(entry->trunk);
		entry->trunk = NULL;
		waiting_tell(&outbound->waiting, entry->node.id, ERR_OK);
		if (entry->gone && !entry->loading)
			entry_free(entry);
	}
}

/* ---- what the world tells ---- */

void outbound_trunk_set(struct outbound *outbound,
			const struct world_trunk *trunk)
{
	struct entry *entry = entry_find(outbound, trunk->id);

	if (trunk->auth != WORLD_IP_AUTH &&
	    trunk->auth != WORLD_REGISTER_AUTH) {
		outbound_trunk_remove(outbound, trunk->id);
		return;
	}
	if (outbound->stopped)
		return;
	if (!entry)
		entry = entry_new(outbound, trunk->id);
	settings_fini(&entry->settings);
	settings_init(&entry->settings, trunk);
	entry->gone = false;
	if (entry->trunk)
		trunk_configure(entry->trunk, trunk);
	else if (lease_holds(outbound->lease, lease_shard_of(trunk->id)))
		load_add(entry);
}

void outbound_trunk_remove(struct outbound *outbound, int64_t id)
{
	struct entry *entry = entry_find(outbound, id);

	if (!entry || outbound->stopped)
		return;
	entry->gone = true;
	if (entry->loading || entry->to_load)
		return;
	if (entry->trunk && !trunk_remove(entry->trunk))
		return;
	if (entry->trunk)
		trunk_store_remove(outbound->store, id);
	entry_free(entry);
}

bool outbound_receive(struct outbound *outbound,
		      const struct sip_message *response)
{
	return sip_client_receive(outbound->client, response);
}

void outbound_on_open(struct outbound *outbound, const struct sip_flow *flow)
{
	wire_on_open(outbound->wire, flow);
}

void outbound_on_close(struct outbound *outbound, const struct sip_flow *flow,
		       enum sip_stream_stage stage, const struct err *reason)
{
	wire_on_close(outbound->wire, flow, stage, reason);
}

enum err_code outbound_trunk_get(struct outbound *outbound, int64_t id,
				 struct trunk **out)
{
	const struct entry *entry = entry_find(outbound, id);

	if (!entry || entry->gone)
		return ERR_NOT_FOUND;
	if (!lease_holds(outbound->lease, lease_shard_of(id)))
		return ERR_ELSEWHERE;
	if (!entry->trunk)
		return ERR_UNAVAILABLE;
	*out = entry->trunk;
	return ERR_OK;
}

bool outbound_trunk_await(struct outbound *outbound, int64_t id, waiting_fn *fn,
			  void *arg)
{
	const struct entry *entry = entry_find(outbound, id);

	if (!entry || (!entry->loading && !entry->to_load) ||
	    waiting_full(&outbound->waiting))
		return false;
	waiting_add(&outbound->waiting, id, fn, arg);
	return true;
}

struct trunk_shared *outbound_shared(struct outbound *outbound)
{
	return &outbound->shared;
}

const struct trunk_stats *outbound_stats(const struct outbound *outbound)
{
	return &outbound->shared.stats;
}

struct agenda *outbound_agenda(struct outbound *outbound)
{
	return outbound->agenda;
}

/* ---- life ---- */

static enum err_code public_read(struct sip_endpoint *out, int family,
				 const char *text, struct err *err)
{
	if (!text || !*text)
		return ERR_OK;
	if (!sip_endpoint_parse(slice_str(text), 0, out) ||
	    sip_endpoint_family(out) != family)
		return err_set(err, ERR_VALIDATE,
			       "%.64s is not an address of ours", text);
	return ERR_OK;
}

static void name_metrics(struct outbound *outbound, struct metrics *metrics)
{
	struct trunk_stats *stats = &outbound->shared.stats;

	if (!metrics)
		return;
	metrics_add(metrics, METRICS_GAUGE, "outbound_trunks",
		    "Trunks we register or watch, other registrars' included.",
		    &outbound->known);
	metrics_add(metrics, METRICS_GAUGE, "outbound_trunks_online",
		    "Trunks of this registrar that are ONLINE.",
		    &stats->online);
	metrics_add(metrics, METRICS_GAUGE, "outbound_trunks_registered",
		    "Trunks that are registered and wait for their refresh.",
		    &stats->phases[TRUNK_REGISTERED]);
	metrics_add(metrics, METRICS_GAUGE, "outbound_trunks_backing_off",
		    "Trunks that wait after a failure.",
		    &stats->phases[TRUNK_BACKING_OFF]);
	metrics_add(metrics, METRICS_COUNTER, "outbound_registers_total",
		    "REGISTERs sent.", &stats->registers);
	metrics_add(metrics, METRICS_COUNTER, "outbound_registered_total",
		    "Registrations and refreshes that were granted.",
		    &stats->registered);
	metrics_add(metrics, METRICS_COUNTER, "outbound_failed_total",
		    "Attempts to register that failed.", &stats->failed);
	metrics_add(metrics, METRICS_COUNTER, "outbound_keepalives_total",
		    "OPTIONS sent.", &stats->keepalives);
}

static void parts_make(struct outbound *outbound,
		       const struct outbound_options *options)
{
	const char *prefix = options->prefix ? options->prefix : "";
	const struct sip_client_options client = {
		.t1_ms = options->t1_ms,
		.max_transactions = OUTBOUND_TRANSACTIONS_MAX,
	};
	const struct lease_options lease = {
		.cache = options->cache,
		.agenda = outbound->agenda,
		.prefix = prefix,
		.owner = options->owner ? options->owner : outbound->owner,
		.ttl_ms = options->lease_ttl_ms,
		.fn = on_lease,
		.arg = outbound,
	};

	outbound->pacing = pacing_new(outbound->agenda, &options->pacing);
	outbound->client = sip_client_new(options->loop, &client);
	outbound->wire = wire_new(options->transports, outbound->agenda,
				  options->port, options->arg);
	outbound->digest = digest_context_new();
	outbound->store = trunk_store_new(options->cache, prefix);
	secrets_token(outbound->owner);
	outbound->lease = lease_new(&lease);
}

static void shared_fill(struct outbound *outbound,
			const struct outbound_options *options)
{
	struct trunk_shared *shared = &outbound->shared;

	outbound->attempts = (struct attempt_shared){
		.agenda = outbound->agenda,
		.pacing = outbound->pacing,
		.resolver = outbound->resolver,
		.client = outbound->client,
		.wire = outbound->wire,
		.t1_ms = options->t1_ms,
	};
	attempt_shared_init(&outbound->attempts);
	shared->attempts = &outbound->attempts;
	shared->digest = outbound->digest;
	shared->self.user_agent = outbound->user_agent;
	memcpy(shared->tag_key, options->tag_key, sizeof(shared->tag_key));
	shared->random = options->seed;
	if (options->seed == 0)
		secrets_random(&shared->random, sizeof(shared->random));
	shared->save = on_save;
	shared->changed = on_changed;
	shared->ended = on_ended;
	shared->arg = outbound;
}

enum err_code outbound_new(const struct outbound_options *options,
			   struct outbound **out, struct err *err)
{
	struct outbound *outbound = mem_alloc(sizeof(*outbound));
	struct request_self *self = &outbound->shared.self;
	const struct resolver_options resolver = {
		.dns_servers = options->dns_servers,
	};
	enum err_code code = public_read(&self->public_v4, AF_INET,
					 options->public_ipv4, err);

	if (code == ERR_OK)
		code = public_read(&self->public_v6, AF_INET6,
				   options->public_ipv6, err);
	if (code == ERR_OK)
		code = resolver_new(options->loop, &resolver,
				    &outbound->resolver, err);
	if (code != ERR_OK) {
		free(outbound);
		return code;
	}
	outbound->agenda = agenda_new(options->loop, options->clock);
	outbound->changed = options->changed;
	outbound->arg = options->arg;
	outbound->user_agent = mem_strdup(options->user_agent);
	TAILQ_INIT(&outbound->to_load);
	outbound->load = (struct agenda_entry){.fn = on_load, .arg = outbound};
	outbound->again =
		(struct agenda_entry){.fn = on_again, .arg = outbound};
	parts_make(outbound, options);
	shared_fill(outbound, options);
	name_metrics(outbound, options->metrics);
	*out = outbound;
	return ERR_OK;
}

static void entries_free(struct outbound *outbound)
{
	ID_TABLE_FOREACH(node, &outbound->table)
		entry_free((struct entry *)node);
}

void outbound_stop(struct outbound *outbound)
{
	if (outbound->stopped)
		return;
	outbound->stopped = true;
	entries_free(outbound);
	waiting_tell_all(&outbound->waiting, ERR_UNAVAILABLE);
	lease_release(outbound->lease);
}

void outbound_free(struct outbound *outbound)
{
	if (!outbound)
		return;
	outbound->stopped = true;
	entries_free(outbound);
	waiting_fini(&outbound->waiting);
	id_table_fini(&outbound->table);
	agenda_clear(outbound->agenda, &outbound->load);
	agenda_clear(outbound->agenda, &outbound->again);
	attempt_shared_fini(&outbound->attempts);
	lease_free(outbound->lease);
	trunk_store_free(outbound->store);
	wire_free(outbound->wire);
	sip_client_free(outbound->client);
	resolver_free(outbound->resolver);
	pacing_free(outbound->pacing);
	digest_context_free(outbound->digest);
	agenda_free(outbound->agenda);
	free(outbound->user_agent);
	secrets_wipe(outbound->shared.tag_key,
		     sizeof(outbound->shared.tag_key));
	free(outbound);
}
