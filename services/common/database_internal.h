#ifndef COMMON_DATABASE_INTERNAL_H
#define COMMON_DATABASE_INTERNAL_H

/*
 * The parts of database.h, for its own files only. Each calls those below it:
 *
 *   database.c           the contract; the kick and the sweep of deadlines
 *   database_link.c      a lane's connection: made, watched, lost, made again
 *   database_batch.c     what is in flight on a link, from send to Sync
 *   database_prepared.c  the names prepared on a connection
 *   database_queue.c     statements: their queue and their end
 *   database_result.c    cells, and what an SQLSTATE means
 */

#include "services/common/database.h"

#include <libpq-fe.h>

struct database_result {
	PGresult *pg;
};

/* A statement from database_run() on. It outlives the call of done while
 * PostgreSQL still owes its answer. */
struct database_entry {
	struct database_entry *next;
	/* Zeroed before done is called: nothing borrowed is touched after. */
	struct database_statement statement;
	uint64_t deadline_ms; /* of loop_now_ms() */
	/* Was rolled back, perhaps by another's fault: runs in a batch of its
	 * own now, and that answer is final. */
	bool again;
	/* The connection's copy of the name whose Prepare was sent along and
	 * is not answered yet; its answer comes before the statement's own. */
	const char *preparing;
	PGresult *pg; /* the answer, kept until done is called */
};

/* In order of arrival. */
struct database_queue {
	struct database_entry *head;
	struct database_entry *tail;
	size_t count;
	uint64_t *total; /* a gauge that counts along; may be NULL */
};

enum {
	/* Rows of the descriptors make some tens of names per service. Past
	 * this a statement is sent with its text: slower, but the memory of
	 * both sides stays bounded. */
	DATABASE_PREPARED_MAX = 512,
};

/* Names prepared on a connection, sorted; copies, since a statement's own name
 * is only borrowed. */
struct database_prepared {
	char *names[DATABASE_PREPARED_MAX];
	size_t count;
};

/* Statements sent with one Sync at their end: one transaction. */
struct database_batch {
	struct database_entry *entries[DATABASE_BATCH_MAX];
	size_t count;	 /* 0: nothing is in flight */
	size_t answered; /* == count: only the Sync is awaited */
	bool failed;	 /* a statement did; the rest of the batch is skipped */
	PGresult *commit_error;
};

/*
 * The connection of a lane.
 *
 *       retry_ms passed       socket made         handshake done
 *   WAITING ---------> DIALING ---------> CONNECTING ---------> READY
 *      ^                                      |                   |
 *      +---------- refused, no answer --------+                   |
 *      +-------------------------- lost --------------------------+
 */
enum database_link_state {
	DATABASE_LINK_WAITING,
	DATABASE_LINK_DIALING,
	DATABASE_LINK_CONNECTING,
	DATABASE_LINK_READY,
	DATABASE_LINK_STATES
};

struct database_dial;

struct database_link {
	struct database *database;
	enum database_lane lane;
	enum database_link_state state;
	bool was_ready;		    /* the next time is a reconnect */
	uint64_t retry_ms;	    /* the next wait before dialing */
	struct loop_timer *timer;   /* WAITING: retry; CONNECTING: timeout */
	struct database_dial *dial; /* DIALING */
	PGconn *conn;		    /* CONNECTING, READY */
	struct loop_watch *watch;   /* of conn's socket */
	struct database_prepared prepared;
	bool stale; /* a prepared plan is: connect anew after the batch */
	struct database_queue waiting;
	struct database_batch batch;
};

struct database {
	struct loop *loop;
	char *url;
	char *url_options; /* the `options` named in the url; may be NULL */
	char *role;	   /* may be NULL */
	char *application;
	struct database_link links[DATABASE_LANES];
	struct loop_timer *kick; /* sends at the end of a turn what ran in it */
	bool kicked;
	struct loop_timer *sweep; /* of deadlines; runs while any is set */
	bool sweeping;
	bool ending;		       /* database_free() is at work */
	struct database_queue refused; /* end with the kick */
	size_t open;		       /* statements whose end was not told */

	uint64_t statements_total;
	uint64_t batches_total;
	uint64_t errors_total;
	uint64_t reconnects_total;
	uint64_t rerun_total;
	uint64_t connected; /* links that are READY */
	uint64_t waiting;   /* entries in the links' queues */
};

/* database_link.c */

const char *database_lane_name(enum database_lane lane);
void database_url_free(char *url);

/* Dials at once. The link is zeroed. */
void database_link_init(struct database_link *link, struct database *database,
			enum database_lane lane);

/* Gives the connection up for good. */
void database_link_close(struct database_link *link);
void database_link_fini(struct database_link *link); /* closed before */

/* Gives the connection up for this reason (NULL: libpq's words) and dials
 * again later. Writes in flight end with ERR_LOST, reads wait again. */
void database_link_lost(struct database_link *link, const char *reason);

/* Sends what waits, where the link is ready and nothing is in flight. */
void database_link_pump(struct database_link *link);

/* database_batch.c: after a false the connection is of no more use */

/* Sends a batch of what waits. The batch is empty, the queue is not. */
bool database_batch_send(struct database_link *link);

/* Takes the answers that have arrived. */
bool database_batch_receive(struct database_link *link);

/* Ends what is in flight, the connection being gone. */
void database_batch_end(struct database_link *link, enum err_code code);

/* Puts what is in flight back in front of what waits. */
void database_batch_requeue(struct database_link *link);

/* Ends statements in flight past their deadline with ERR_DEADLINE; their
 * answers will be discarded. */
void database_batch_expire(struct database_link *link, uint64_t now_ms);

/* When the statement whose answer is awaited had to be done; the batch is not
 * empty. */
uint64_t database_batch_deadline_ms(const struct database_link *link);

/* database_prepared.c */

/* The copy of the name, or NULL. */
const char *database_prepared_find(const struct database_prepared *prepared,
				   const char *name);

/* Adds a name that is not there; returns its copy, or NULL when full. */
const char *database_prepared_add(struct database_prepared *prepared,
				  const char *name);
void database_prepared_remove(struct database_prepared *prepared,
			      const char *copy);
void database_prepared_clear(struct database_prepared *prepared);

/* database_queue.c */

void database_queue_push(struct database_queue *queue,
			 struct database_entry *entry);
void database_queue_push_front(struct database_queue *queue,
			       struct database_entry *entry);
struct database_entry *database_queue_pop(struct database_queue *queue);

/* Ends and frees every entry, those included that come meanwhile. */
void database_queue_end(struct database *database, struct database_queue *queue,
			enum err_code code);

/* Ends and frees the entries past their deadline with ERR_UNAVAILABLE. */
void database_queue_expire(struct database *database,
			   struct database_queue *queue, uint64_t now_ms);

/* The end of the statement was not told yet. */
bool database_entry_open(const struct database_entry *entry);

/* Calls done, once: with code, or with what entry->pg holds. The entry stays
 * the caller's. */
void database_entry_end(struct database *database, struct database_entry *entry,
			enum err_code code);
void database_entry_answer(struct database *database,
			   struct database_entry *entry);
void database_entry_free(struct database_entry *entry);

/* database_result.c */

/* A statement's own success, as against an error or a skipped statement. */
bool database_result_good(const PGresult *pg);

/* Translates an error result. */
void database_result_error(const PGresult *pg, struct database_error *error);

#endif
