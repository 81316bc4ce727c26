#include "services/common/database_internal.h"

#include "proto/buffer.h"
#include "proto/mem.h"
#include "services/common/log.h"
#include "services/common/secrets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_MIN_MS = 50,   /* a restarted server is back that soon */
	RETRY_MAX_MS = 2000, /* and an absent one costs next to nothing */
	CONNECT_TIMEOUT_MS =
		5000, /* a stopped server accepts and says nothing */
};

/* A server drops a statement only when it notices that its client is gone:
 * with the interval within a second, else when the statement ends. Reads may
 * be sent twice, so PostgreSQL itself keeps writes off their lanes. */
#define LINK_OPTIONS   "-c client_connection_check_interval=1000"
#define READER_OPTIONS LINK_OPTIONS " -c default_transaction_read_only=on"

static const char *const lane_names[DATABASE_LANES] = {
	[DATABASE_READ] = "read",
	[DATABASE_WRITE] = "write",
	[DATABASE_SLOW] = "slow",
};

const char *database_lane_name(enum database_lane lane)
{
	return lane_names[lane];
}

/* It may hold a password. */
void database_url_free(char *url)
{
	secrets_wipe(url, strlen(url));
	free(url);
}

#define TO(state) (1U << DATABASE_LINK_##state)

static const unsigned moves[DATABASE_LINK_STATES] = {
	[DATABASE_LINK_WAITING] = TO(DIALING),
	[DATABASE_LINK_DIALING] = TO(CONNECTING),
	[DATABASE_LINK_CONNECTING] = TO(WAITING) | TO(READY),
	[DATABASE_LINK_READY] = TO(WAITING),
};

static void move(struct database_link *link, enum database_link_state state)
{
	struct database *database = link->database;

	assert(moves[link->state] & 1U << state);
	if (link->state == DATABASE_LINK_READY)
		database->connected--;
	if (state == DATABASE_LINK_READY)
		database->connected++;
	link->state = state;
}

/*
 * PQconnectStartParams() resolves the host's name, which blocks: it runs on a
 * pool thread. That thread may be at it when the database is freed, so
 * everything it touches is the dial's own.
 */
struct database_dial {
	struct database_link *link; /* NULL: nobody waits for it any more */
	char *url;
	char *role;
	char *application;
	struct buffer options;
	PGconn *conn;
};

/* Later keywords win: what the url may choose comes before it, what it may not
 * after. */
static void dial_work(void *arg)
{
	struct database_dial *dial = arg;
	const char *const keywords[] = {"user",	   "application_name", "dbname",
					"options", "client_encoding",  NULL};
	const char *const values[] = {dial->role, dial->application,
				      dial->url,  dial->options.data,
				      "UTF8",	  NULL};

	dial->conn = PQconnectStartParams(keywords, values, true);
}

static void on_dialed(void *arg);

static void dial_start(struct database_link *link)
{
	const struct database *database = link->database;
	struct database_dial *dial = mem_alloc(sizeof(*dial));

	dial->link = link;
	dial->url = mem_strdup(database->url);
	if (database->role)
		dial->role = mem_strdup(database->role);
	dial->application = mem_strdup(database->application);
	buffer_printf(&dial->options, "%s %s",
		      database->url_options ? database->url_options : "",
		      link->lane == DATABASE_WRITE ? LINK_OPTIONS
						   : READER_OPTIONS);
	buffer_append_char(&dial->options, '\0');
	link->dial = dial;
	move(link, DATABASE_LINK_DIALING);
	loop_work(database->loop, dial_work, on_dialed, dial);
}

static void dial_free(struct database_dial *dial)
{
	database_url_free(dial->url);
	free(dial->role);
	free(dial->application);
	buffer_fini(&dial->options);
	free(dial);
}

/* Frees what there is of a connection. The watch goes first: libpq closes the
 * descriptor it watches. */
static void hang_up(struct database_link *link)
{
	loop_timer_stop(link->timer);
	loop_watch_free(link->watch);
	link->watch = NULL;
	PQfinish(link->conn);
	link->conn = NULL;
	database_prepared_clear(&link->prepared);
	link->stale = false;
}

/* What follows the first line of libpq's words is advice. */
static struct slice conn_error(const PGconn *conn)
{
	const char *text = PQerrorMessage(conn);

	return slice_of(text, strcspn(text, "\n"));
}

static void log_lost(const struct database_link *link, const char *reason)
{
	bool ready = link->state == DATABASE_LINK_READY;
	/* An absence that lasts is told once. */
	bool told = !ready && link->retry_ms == RETRY_MAX_MS;

	log_event(told ? LOG_DEBUG : LOG_WARN,
		  ready ? "database.lost" : "database.connect_failed",
		  LOG_STR("lane", database_lane_name(link->lane)),
		  LOG_SLICE("reason", reason ? slice_str(reason)
					     : conn_error(link->conn)));
}

void database_link_lost(struct database_link *link, const char *reason)
{
	log_lost(link, reason);
	hang_up(link);
	move(link, DATABASE_LINK_WAITING);
	loop_timer_start(link->timer, link->retry_ms, 0);
	link->retry_ms *= 2;
	if (link->retry_ms > RETRY_MAX_MS)
		link->retry_ms = RETRY_MAX_MS;

	if (link->lane == DATABASE_WRITE)
		database_batch_end(link, ERR_LOST);
	else
		database_batch_requeue(link);
}

void database_link_pump(struct database_link *link)
{
	if (link->state != DATABASE_LINK_READY)
		return;
	if (link->batch.count == 0 && link->waiting.count > 0 &&
	    !database_batch_send(link)) {
		database_link_lost(link, NULL);
		return;
	}

	int unsent = PQflush(link->conn);

	if (unsent < 0)
		database_link_lost(link, NULL);
	else
		loop_watch_set(link->watch,
			       LOOP_READABLE | (unsent ? LOOP_WRITABLE : 0));
}

static void on_ready_event(void *arg, unsigned events)
{
	struct database_link *link = arg;
	bool good = !(events & LOOP_READABLE) || (PQconsumeInput(link->conn) &&
						  database_batch_receive(link));

	if (!good)
		database_link_lost(link, NULL);
	else if (link->stale && link->batch.count == 0)
		database_link_lost(link, "a prepared plan is stale");
	else
		database_link_pump(link);
}

static void watch(struct database_link *link, loop_watch_fn *fn,
		  unsigned events)
{
	link->watch = loop_watch_new(link->database->loop, PQsocket(link->conn),
				     fn, link);
	loop_watch_set(link->watch, events);
}

static void on_connected(struct database_link *link)
{
	if (PQsetnonblocking(link->conn, 1) != 0 ||
	    !PQenterPipelineMode(link->conn)) {
		database_link_lost(link, NULL);
		return;
	}
	loop_timer_stop(link->timer);
	watch(link, on_ready_event, LOOP_READABLE);
	move(link, DATABASE_LINK_READY);
	link->retry_ms = RETRY_MIN_MS;
	if (link->was_ready)
		link->database->reconnects_total++;
	link->was_ready = true;
	log_event(LOG_INFO, "database.connected",
		  LOG_STR("lane", database_lane_name(link->lane)),
		  LOG_STR("user", PQuser(link->conn)));
	database_link_pump(link);
}

/* libpq may close its socket and open another for the next address, even under
 * the same number: no watch outlives a step of the handshake. */
static void on_connecting_event(void *arg, unsigned events)
{
	struct database_link *link = arg;

	(void)events;
	loop_watch_free(link->watch);
	link->watch = NULL;
	switch (PQconnectPoll(link->conn)) {
	case PGRES_POLLING_READING:
		watch(link, on_connecting_event, LOOP_READABLE);
		break;
	case PGRES_POLLING_WRITING:
		watch(link, on_connecting_event, LOOP_WRITABLE);
		break;
	case PGRES_POLLING_OK:
		on_connected(link);
		break;
	default:
		database_link_lost(link, NULL);
		break;
	}
}

/* libpq would print notices to stderr, between the lines of the log. */
static void on_notice(void *arg, const PGresult *pg)
{
	(void)arg;
	(void)pg;
}

static void on_dialed(void *arg)
{
	struct database_dial *dial = arg;
	struct database_link *link = dial->link;
	PGconn *conn = dial->conn;

	dial_free(dial);
	if (!link) {
		PQfinish(conn);
		return;
	}
	link->dial = NULL;
	link->conn = conn;
	move(link, DATABASE_LINK_CONNECTING);
	if (PQstatus(conn) == CONNECTION_BAD) {
		database_link_lost(link, NULL);
		return;
	}
	PQsetNoticeReceiver(conn, on_notice, NULL);
	/* Details quote values of rows, which have no place in the log. */
	PQsetErrorVerbosity(conn, PQERRORS_TERSE);
	loop_timer_start(link->timer, CONNECT_TIMEOUT_MS, 0);
	watch(link, on_connecting_event, LOOP_WRITABLE);
}

static void on_timer(void *arg)
{
	struct database_link *link = arg;

	if (link->state == DATABASE_LINK_WAITING)
		dial_start(link);
	else
		database_link_lost(link, "no answer from the server");
}

void database_link_init(struct database_link *link, struct database *database,
			enum database_lane lane)
{
	link->database = database;
	link->lane = lane;
	link->retry_ms = RETRY_MIN_MS;
	link->waiting.total = &database->waiting;
	link->timer = loop_timer_new(database->loop, on_timer, link);
	dial_start(link);
}

void database_link_close(struct database_link *link)
{
	if (link->dial)
		link->dial->link = NULL;
	hang_up(link);
}

void database_link_fini(struct database_link *link)
{
	loop_timer_free(link->timer);
}
