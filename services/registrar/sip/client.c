#include "services/registrar/sip/client.h"

#include "proto/mem.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/chars.h"

#include <assert.h>
#include <stdlib.h>

enum {
	ID_BYTES = SECRETS_TAG_BYTES,
};

static_assert(2 * ID_BYTES + 1 == SIP_BRANCH_BYTES, "a branch fits exactly");

/* A branch as bytes. */
struct id {
	unsigned char bytes[ID_BYTES];
};

/*
 *	trying --1xx--> proceeding --.
 *	  |                 |        |
 *	  |------200-699----+--> completed --timer K--> gone
 *	  |                 |
 *	  '--timer F, error-'--> gone
 *
 * (RFC 3261 figure 6. Timer K is 0 over a reliable transport.)
 */
enum state {
	STATE_TRYING,
	STATE_PROCEEDING,
	STATE_COMPLETED,
};

struct sip_transaction {
	struct sip_client *client;
	struct sip_transaction *next, **link; /* of its bucket */
	struct sip_sink *sink;
	struct sip_transaction *sink_next, **sink_link;
	struct id id;
	enum sip_method method;
	enum state state;
	struct loop_timer *timer; /* E and F in one; then K */
	unsigned interval_ms;	  /* timer E: until the next sending */
	uint64_t deadline_ms;	  /* timer F: on the loop's clock */
	char *message;		  /* owned; NULL: never sent again */
	size_t message_size;
	sip_client_fn *fn;
	void *arg;
};

struct sip_client {
	struct loop *loop;
	unsigned t1_ms, t2_ms, t4_ms;
	size_t max_transactions;
	size_t count;
	/* Branches are the tags of a counter under a random key: as random to
	 * others, and no system call for each. */
	unsigned char key[SECRETS_TAG_KEY_BYTES];
	uint64_t number;
	size_t mask; /* buckets - 1, which are a power of two */
	struct sip_transaction **buckets;
};

struct sip_client *sip_client_new(struct loop *loop,
				  const struct sip_client_options *options)
{
	struct sip_client *client = mem_alloc(sizeof(*client));
	size_t buckets = 1;

	assert(options->max_transactions > 0);
	while (buckets < options->max_transactions)
		buckets *= 2;
	client->loop = loop;
	client->t1_ms = options->t1_ms ? options->t1_ms : SIP_T1_MS;
	client->t2_ms = options->t2_ms ? options->t2_ms : SIP_T2_MS;
	client->t4_ms = options->t4_ms ? options->t4_ms : SIP_T4_MS;
	client->max_transactions = options->max_transactions;
	secrets_random(client->key, sizeof(client->key));
	client->mask = buckets - 1;
	client->buckets = mem_alloc(buckets * sizeof(struct sip_transaction *));
	return client;
}

void sip_client_free(struct sip_client *client)
{
	if (!client)
		return;
	for (size_t i = 0; i <= client->mask; i++)
		for (struct sip_transaction *t = client->buckets[i], *next; t;
		     t = next) {
			next = t->next;
			sip_client_cancel(t);
		}
	assert(client->count == 0);
	free(client->buckets);
	free(client);
}

size_t sip_client_count(const struct sip_client *client)
{
	return client->count;
}

void sip_client_branch(struct sip_client *client, char out[SIP_BRANCH_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[ID_BYTES];

	client->number++;
	secrets_tag(client->key,
		    slice_of(&client->number, sizeof(client->number)), raw);
	for (size_t i = 0; i < sizeof(raw); i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[SIP_BRANCH_BYTES - 1] = '\0';
}

/* RFC 3261 compares tokens whatever their case. */
static bool id_read(struct slice branch, struct id *out)
{
	if (branch.size != 2 * sizeof(out->bytes))
		return false;
	for (size_t i = 0; i < sizeof(out->bytes); i++) {
		const char *pair = branch.data + 2 * i;

		if (!char_is(pair[0], CH_HEX) || !char_is(pair[1], CH_HEX))
			return false;
		out->bytes[i] = (unsigned char)(hex_value(pair[0]) << 4 |
						hex_value(pair[1]));
	}
	return true;
}

static struct sip_transaction **bucket_of(struct sip_client *client,
					  const struct id *id)
{
	uint64_t number;

	memcpy(&number, id->bytes, sizeof(number));
	return &client->buckets[number & client->mask];
}

static struct sip_transaction *find(struct sip_client *client,
				    const struct id *id, enum sip_method method)
{
	struct sip_transaction *t = *bucket_of(client, id);

	while (t &&
	       (t->method != method || memcmp(&t->id, id, sizeof(*id)) != 0))
		t = t->next;
	return t;
}

static void link_in(struct sip_transaction *t)
{
	struct sip_transaction **bucket = bucket_of(t->client, &t->id);

	t->next = *bucket;
	t->link = bucket;
	if (t->next)
		t->next->link = &t->next;
	*bucket = t;
	t->sink_next = t->sink->first;
	t->sink_link = &t->sink->first;
	if (t->sink_next)
		t->sink_next->sink_link = &t->sink_next;
	t->sink->first = t;
	t->client->count++;
}

static void sink_unlink(struct sip_transaction *t)
{
	if (!t->sink)
		return;
	if (t->sink_next)
		t->sink_next->sink_link = t->sink_link;
	*t->sink_link = t->sink_next;
	t->sink = NULL;
}

static void unlink_all(struct sip_transaction *t)
{
	sink_unlink(t);
	if (t->next)
		t->next->link = t->link;
	*t->link = t->next;
	t->client->count--;
}

/* Requests hold credentials: nothing a password could be had from quickly, yet
 * nothing to leave lying about. */
static void message_drop(struct sip_transaction *t)
{
	if (t->message)
		secrets_wipe(t->message, t->message_size);
	free(t->message);
	t->message = NULL;
}

void sip_client_cancel(struct sip_transaction *transaction)
{
	if (!transaction)
		return;
	unlink_all(transaction);
	message_drop(transaction);
	loop_timer_free(transaction->timer);
	free(transaction);
}

/* The last callback: the transaction is gone by then, so that the owner may do
 * what it likes. */
static void fail(struct sip_transaction *t, enum sip_client_event event)
{
	sip_client_fn *fn = t->fn;
	void *arg = t->arg;

	sip_client_cancel(t);
	fn(arg, event, NULL);
}

/* Until timer E or F, whichever is first. */
static void timer_set(struct sip_transaction *t, uint64_t now_ms)
{
	uint64_t delay_ms = t->deadline_ms - now_ms;

	if (t->message && t->interval_ms < delay_ms)
		delay_ms = t->interval_ms;
	loop_timer_start(t->timer, delay_ms, 0);
}

/* RFC 3261 17.1.2.2: in the trying state the interval doubles up to T2; once a
 * provisional response has come it is T2. */
static void send_again(struct sip_transaction *t, uint64_t now_ms)
{
	const unsigned t2_ms = t->client->t2_ms;

	if (!t->sink->send(t->sink->arg,
			   slice_of(t->message, t->message_size))) {
		fail(t, SIP_CLIENT_FAILED);
		return;
	}
	t->interval_ms *= 2;
	if (t->state == STATE_PROCEEDING || t->interval_ms > t2_ms)
		t->interval_ms = t2_ms;
	timer_set(t, now_ms);
}

static void on_timer(void *arg)
{
	struct sip_transaction *t = arg;
	const uint64_t now_ms = loop_now_ms(t->client->loop);

	if (t->state == STATE_COMPLETED)
		sip_client_cancel(t); /* timer K */
	else if (now_ms >= t->deadline_ms)
		fail(t, SIP_CLIENT_TIMEOUT);
	else
		send_again(t, now_ms);
}

static struct sip_transaction *
transaction_new(struct sip_client *client,
		const struct sip_client_request *request)
{
	struct sip_transaction *t = mem_alloc(sizeof(*t));
	const uint64_t now_ms = loop_now_ms(client->loop);

	const bool ours = id_read(slice_str(request->branch), &t->id);

	assert(ours);
	t->client = client;
	t->sink = request->sink;
	t->method = request->method;
	t->fn = request->fn;
	t->arg = request->arg;
	t->interval_ms = client->t1_ms;
	t->deadline_ms = now_ms + (request->deadline_ms
					   ? request->deadline_ms
					   : SIP_TIMEOUT_T1 * client->t1_ms);
	if (!request->sink->reliable) {
		t->message = mem_alloc(request->message.size);
		t->message_size = request->message.size;
		memcpy(t->message, request->message.data, t->message_size);
	}
	t->timer = loop_timer_new(client->loop, on_timer, t);
	link_in(t);
	timer_set(t, now_ms);
	return t;
}

enum err_code sip_client_send(struct sip_client *client,
			      const struct sip_client_request *request,
			      struct sip_transaction **out)
{
	if (client->count >= client->max_transactions)
		return ERR_LIMIT;
	if (!request->sink->send(request->sink->arg, request->message))
		return ERR_UNAVAILABLE;
	*out = transaction_new(client, request);
	return ERR_OK;
}

/* The response is told at once; timer K keeps the transaction where more copies
 * of it may come. */
static void complete(struct sip_transaction *t,
		     const struct sip_message *response)
{
	sip_client_fn *fn = t->fn;
	void *arg = t->arg;

	if (t->sink->reliable) {
		sip_client_cancel(t);
	} else {
		t->state = STATE_COMPLETED;
		message_drop(t);
		sink_unlink(t);
		loop_timer_start(t->timer, t->client->t4_ms, 0);
	}
	fn(arg, SIP_CLIENT_FINAL, response);
}

/* NULL: not ours. RFC 3261 17.1.3. */
static struct sip_transaction *match(struct sip_client *client,
				     const struct sip_message *response)
{
	static const struct slice cookie = SLICE(SIP_BRANCH_COOKIE);
	struct sip_via via;
	struct sip_cseq cseq;
	struct id id;

	if (response->request || sip_message_via(response, &via) != ERR_OK ||
	    sip_message_cseq(response, &cseq) != ERR_OK)
		return NULL;

	struct slice branch = via.branch;

	if (branch.size < cookie.size ||
	    !sip_word_eq(slice_of(branch.data, cookie.size), cookie))
		return NULL;
	branch = slice_of(branch.data + cookie.size, branch.size - cookie.size);
	return id_read(branch, &id) ? find(client, &id, cseq.method) : NULL;
}

bool sip_client_receive(struct sip_client *client,
			const struct sip_message *response)
{
	struct sip_transaction *t = match(client, response);

	if (!t)
		return false;
	if (t->state == STATE_COMPLETED)
		return true;
	if (response->status >= 200) {
		complete(t, response);
		return true;
	}
	t->state = STATE_PROCEEDING;
	t->fn(t->arg, SIP_CLIENT_PROVISIONAL, response);
	return true;
}

void sip_client_sink_failed(struct sip_sink *sink)
{
	/* From a list of their own, which callbacks may cancel from: whatever
	 * they send meanwhile is not ended. */
	struct sip_transaction *failed = sink->first;

	sink->first = NULL;
	while (failed) {
		struct sip_transaction *t = failed;

		failed = t->sink_next;
		if (failed)
			failed->sink_link = &failed;
		t->sink = NULL;
		fail(t, SIP_CLIENT_FAILED);
	}
}
