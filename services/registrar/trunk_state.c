#include "services/registrar/trunk_state.h"

#include "proto/mem.h"
#include "proto/reader.h"
#include "proto/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { KEY_BYTES = 96, NUMBER_BYTES = 24 };

static char *dup_slice(struct slice text)
{
	char *copy = mem_alloc(text.size + 1);

	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	return copy;
}

void trunk_state_init(struct trunk_state *state)
{
	*state = (struct trunk_state){0};
	request_call_id(state->call_id);
	request_tag(state->tag);
}

void trunk_state_fini(struct trunk_state *state)
{
	for (unsigned i = 0; i < TRUNK_CHALLENGES; i++)
		free(state->challenges[i]);
	free(state->contact);
	*state = (struct trunk_state){0};
}

void trunk_state_challenge_set(struct trunk_state *state, unsigned slot,
			       struct slice value)
{
	free(state->challenges[slot]);
	state->challenges[slot] = NULL;
	state->nonce_counts[slot] = 0;
	if (value.data && value.size <= TRUNK_CHALLENGE_BYTES_MAX)
		state->challenges[slot] = dup_slice(value);
}

void trunk_state_contact_set(struct trunk_state *state, struct slice uri)
{
	char *copy = dup_slice(uri);

	free(state->contact);
	state->contact = copy;
}

static void endpoint_encode(struct buffer *out, const char *key,
			    const struct sip_endpoint *endpoint)
{
	char host[SIP_ENDPOINT_TEXT];

	writer_text(out, key);
	writer_array(out, 2);
	writer_text(out, sip_endpoint_host_text(endpoint, host));
	writer_uint(out, sip_endpoint_port(endpoint));
}

static void challenges_encode(struct buffer *out,
			      const struct trunk_state *state)
{
	writer_text(out, "challenges");
	writer_array(out, TRUNK_CHALLENGES);
	for (unsigned i = 0; i < TRUNK_CHALLENGES; i++) {
		writer_array(out, 2);
		writer_bin(out,
			   slice_str(state->challenges[i] ? state->challenges[i]
							  : ""));
		writer_uint(out, state->nonce_counts[i]);
	}
}

void trunk_state_encode(const struct trunk_state *state, struct buffer *out)
{
	writer_map(out, 19);
	writer_text(out, "call_id");
	writer_text(out, state->call_id);
	writer_text(out, "tag");
	writer_text(out, state->tag);
	writer_text(out, "cseq");
	writer_uint(out, state->cseq);
	writer_text(out, "settings");
	writer_bin(out, slice_of(state->settings, sizeof(state->settings)));
	writer_text(out, "registered");
	writer_bool(out, state->registered);
	writer_text(out, "expires_ms");
	writer_int(out, state->expires_ms);
	writer_text(out, "next_ms");
	writer_int(out, state->next_ms);
	writer_text(out, "min_expires_s");
	writer_uint(out, state->min_expires_s);
	writer_text(out, "online");
	writer_bool(out, state->online);
	writer_text(out, "online_since_ms");
	writer_int(out, state->online_since_ms);
	writer_text(out, "contact");
	writer_bin(out, slice_str(state->contact ? state->contact : ""));
	writer_text(out, "transport");
	writer_str(out, sip_transport_text(state->flow.transport));
	endpoint_encode(out, "local", &state->flow.local);
	endpoint_encode(out, "remote", &state->flow.remote);
	writer_text(out, "connection");
	writer_uint(out, state->flow.connection);
	challenges_encode(out, state);
	writer_text(out, "failures");
	writer_uint(out, state->failures);
	writer_text(out, "fault_stage");
	writer_text(out, status_stage_text(state->fault.stage));
	writer_text(out, "fault");
	writer_array(out, 2);
	writer_uint(out, state->fault.code);
	writer_text(out, state->fault.reason);
}

static uint32_t number_decode(struct reader *reader)
{
	const uint64_t number = reader_uint(reader);

	if (number > UINT32_MAX)
		reader_fail(reader);
	return (uint32_t)number;
}

/* Our own words, which are put into messages again: what is not of their kind
 * is not taken. */
static void word_decode(struct reader *reader, char *out, size_t size)
{
	const struct slice text = reader_str(reader);

	if (text.size == 0 || text.size >= size) {
		reader_fail(reader);
		return;
	}
	for (size_t i = 0; i < text.size; i++)
		if (!strchr("0123456789abcdef", text.data[i]) ||
		    text.data[i] == '\0')
			reader_fail(reader);
	memcpy(out, text.data, text.size);
	out[text.size] = '\0';
}

static char *bin_decode(struct reader *reader)
{
	const struct slice text = reader_bin(reader);

	if (text.size > TRUNK_CHALLENGE_BYTES_MAX ||
	    (text.size > 0 && memchr(text.data, '\0', text.size)))
		reader_fail(reader);
	return reader_ok(reader) && text.size > 0 ? dup_slice(text) : NULL;
}

static void endpoint_decode(struct reader *reader, struct sip_endpoint *out)
{
	const bool pair = reader_array(reader) == 2;
	const struct slice host = reader_str(reader);
	const uint64_t port = reader_uint(reader);

	if (!pair || port > UINT16_MAX ||
	    (host.size > 0 && !sip_endpoint_parse(host, (uint16_t)port, out)))
		reader_fail(reader);
}

static void challenges_decode(struct reader *reader, struct trunk_state *out)
{
	if (reader_array(reader) != TRUNK_CHALLENGES)
		reader_fail(reader);
	for (unsigned i = 0; i < TRUNK_CHALLENGES && reader_ok(reader); i++) {
		if (reader_array(reader) != 2)
			reader_fail(reader);
		free(out->challenges[i]);
		out->challenges[i] = bin_decode(reader);
		out->nonce_counts[i] = number_decode(reader);
	}
}

static void settings_decode(struct reader *reader, struct trunk_state *out)
{
	const struct slice tag = reader_bin(reader);

	if (tag.size == sizeof(out->settings))
		memcpy(out->settings, tag.data, tag.size);
	else
		reader_fail(reader);
}

static void fault_decode(struct reader *reader, struct trunk_state *out)
{
	if (reader_array(reader) != 2)
		reader_fail(reader);

	const uint32_t code = number_decode(reader);

	status_fault_set(&out->fault, out->fault.stage, code,
			 reader_str(reader));
}

static void stage_decode(struct reader *reader, struct trunk_state *out)
{
	if (!status_stage_find(reader_str(reader), &out->fault.stage))
		reader_fail(reader);
}

static void contact_decode(struct reader *reader, struct trunk_state *out)
{
	free(out->contact);
	out->contact = bin_decode(reader);
}

static void flow_decode(struct reader *reader, struct slice key,
			struct sip_flow *out)
{
	if (slice_is(key, "transport"))
		out->transport = sip_transport_find(reader_str(reader));
	else if (slice_is(key, "local"))
		endpoint_decode(reader, &out->local);
	else if (slice_is(key, "remote"))
		endpoint_decode(reader, &out->remote);
	else if (slice_is(key, "connection"))
		out->connection = reader_uint(reader);
	else
		reader_value(reader);
}

static void time_decode(struct reader *reader, struct slice key,
			struct trunk_state *out)
{
	if (slice_is(key, "expires_ms"))
		out->expires_ms = reader_int(reader);
	else if (slice_is(key, "next_ms"))
		out->next_ms = reader_int(reader);
	else if (slice_is(key, "online_since_ms"))
		out->online_since_ms = reader_int(reader);
	else if (slice_is(key, "min_expires_s"))
		out->min_expires_s = number_decode(reader);
	else if (slice_is(key, "failures"))
		out->failures = number_decode(reader);
	else
		flow_decode(reader, key, &out->flow);
}

static void key_decode(struct reader *reader, struct slice key,
		       struct trunk_state *out)
{
	if (slice_is(key, "call_id"))
		word_decode(reader, out->call_id, sizeof(out->call_id));
	else if (slice_is(key, "tag"))
		word_decode(reader, out->tag, sizeof(out->tag));
	else if (slice_is(key, "cseq"))
		out->cseq = number_decode(reader);
	else if (slice_is(key, "settings"))
		settings_decode(reader, out);
	else if (slice_is(key, "registered"))
		out->registered = reader_bool(reader);
	else if (slice_is(key, "online"))
		out->online = reader_bool(reader);
	else if (slice_is(key, "contact"))
		contact_decode(reader, out);
	else if (slice_is(key, "challenges"))
		challenges_decode(reader, out);
	else if (slice_is(key, "fault_stage"))
		stage_decode(reader, out);
	else if (slice_is(key, "fault"))
		fault_decode(reader, out);
	else
		time_decode(reader, key, out);
}

enum err_code trunk_state_decode(struct slice bytes, struct trunk_state *out)
{
	struct trunk_state state = {0};
	struct reader reader;

	reader_init(&reader, bytes);
	for (uint32_t left = reader_map(&reader); left > 0; left--) {
		const struct slice key = reader_str(&reader);

		key_decode(&reader, key, &state);
		if (!reader_ok(&reader))
			break;
	}
	/* The CSeq has room to grow: RFC 3261 8.1.1.5 wants it below 2^31. */
	if (!reader_done(&reader) || !*state.call_id || !*state.tag ||
	    state.cseq >= INT32_MAX) {
		trunk_state_fini(&state);
		return ERR_MALFORMED;
	}
	if (!state.contact)
		state.registered = false;
	*out = state;
	return ERR_OK;
}

struct call;

struct trunk_store {
	struct cache *cache;
	const char *prefix;
	LIST_HEAD(, call) calls;
};

/* A command under way; it outlives the store, which may go first. */
struct call {
	struct trunk_store *store; /* NULL: gone */
	LIST_ENTRY(call) link;
	int64_t id;
	trunk_store_load_fn *load;
	trunk_store_lost_fn *lost;
	void *arg;
};

struct trunk_store *trunk_store_new(struct cache *cache, const char *prefix)
{
	struct trunk_store *store = mem_alloc(sizeof(*store));

	store->cache = cache;
	store->prefix = prefix;
	return store;
}

static void call_unlink(struct call *call)
{
	LIST_REMOVE(call, link);
	call->store = NULL;
}

void trunk_store_free(struct trunk_store *store)
{
	if (!store)
		return;
	while (!LIST_EMPTY(&store->calls))
		call_unlink(LIST_FIRST(&store->calls));
	free(store);
}

static struct call *call_new(struct trunk_store *store, int64_t id, void *arg)
{
	struct call *call = mem_alloc(sizeof(*call));

	call->store = store;
	call->id = id;
	call->arg = arg;
	LIST_INSERT_HEAD(&store->calls, call, link);
	return call;
}

static void key_print(const struct trunk_store *store, int64_t id,
		      char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "%strunk:%" PRId64, store->prefix, id);
}

static void loaded(const struct call *call, const struct cache_reply *reply,
		   enum err_code code)
{
	struct trunk_state state;

	if (code == ERR_OK &&
	    (reply->kind != CACHE_STR ||
	     trunk_state_decode(reply->text, &state) != ERR_OK))
		code = ERR_NOT_FOUND;
	call->load(call->arg, call->id, code == ERR_OK ? &state : NULL, code);
}

static void on_load(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct call *call = arg;

	if (call->store) {
		call_unlink(call);
		loaded(call, reply, code);
	}
	free(call);
}

void trunk_store_load(struct trunk_store *store, int64_t id,
		      trunk_store_load_fn *fn, void *arg)
{
	struct call *call = call_new(store, id, arg);
	char key[KEY_BYTES];

	call->load = fn;
	key_print(store, id, key);

	const struct slice words[] = {SLICE("GET"), slice_str(key)};

	cache_run(store->cache, words, 2, TRUNK_STATE_DEADLINE_MS, on_load,
		  call);
}

static void on_save(void *arg, const struct cache_reply *reply,
		    enum err_code code)
{
	struct call *call = arg;

	(void)reply;
	if (call->store) {
		call_unlink(call);
		if (code != ERR_OK)
			call->lost(call->arg, call->id);
	}
	free(call);
}

void trunk_store_save(struct trunk_store *store, int64_t id,
		      const struct trunk_state *state,
		      trunk_store_lost_fn *lost, void *arg)
{
	struct call *call = call_new(store, id, arg);
	struct buffer value = {0};
	char key[KEY_BYTES];
	char ttl[NUMBER_BYTES];

	call->lost = lost;
	key_print(store, id, key);
	snprintf(ttl, sizeof(ttl), "%d", TRUNK_STATE_TTL_S);
	trunk_state_encode(state, &value);

	const struct slice words[] = {SLICE("SET"), slice_str(key),
				      buffer_slice(&value), SLICE("EX"),
				      slice_str(ttl)};

	cache_run(store->cache, words, 5, TRUNK_STATE_DEADLINE_MS, on_save,
		  call);
	buffer_fini(&value);
}

void trunk_store_remove(struct trunk_store *store, int64_t id)
{
	char key[KEY_BYTES];

	key_print(store, id, key);

	const struct slice words[] = {SLICE("DEL"), slice_str(key)};

	cache_run(store->cache, words, 2, TRUNK_STATE_DEADLINE_MS, NULL, NULL);
}
