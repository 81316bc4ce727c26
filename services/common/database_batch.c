#include "services/common/database_internal.h"

#include <assert.h>
#include <string.h>

/* A long report must not hold others' answers: they share a transaction. */
static const size_t batch_max[DATABASE_LANES] = {
	[DATABASE_READ] = DATABASE_BATCH_MAX,
	[DATABASE_WRITE] = DATABASE_BATCH_MAX,
	[DATABASE_SLOW] = 1,
};

/* The name a statement can be sent by, NULL: by its text. Sends the Prepare
 * ahead of the first use on this connection. It counts as prepared from here
 * on, since what follows in the batch is skipped should it fail; a rollback
 * does not undo it. */
static const char *send_prepare(struct database_link *link,
				struct database_entry *entry, bool *sent)
{
	const char *name = entry->statement.name;

	if (!name)
		return NULL;
	if (database_prepared_find(&link->prepared, name))
		return name;
	entry->preparing = database_prepared_add(&link->prepared, name);
	if (!entry->preparing)
		return NULL;
	*sent = PQsendPrepare(link->conn, name, entry->statement.sql, 0, NULL);
	return name;
}

static bool send_entry(struct database_link *link, struct database_entry *entry)
{
	const struct database_statement *statement = &entry->statement;
	int count = (int)statement->param_count;
	bool sent = true;
	const char *name = send_prepare(link, entry, &sent);

	if (!sent)
		return false;
	if (name)
		return PQsendQueryPrepared(link->conn, name, count,
					   statement->params, NULL, NULL, 0);
	return PQsendQueryParams(link->conn, statement->sql, count, NULL,
				 statement->params, NULL, NULL, 0);
}

/* Takes the next statement from the queue where it may join the batch. */
static struct database_entry *gather(struct database_link *link)
{
	const struct database_batch *batch = &link->batch;
	const struct database_entry *head = link->waiting.head;

	if (!head || batch->count == batch_max[link->lane])
		return NULL;
	if (batch->count > 0 && (head->again || batch->entries[0]->again))
		return NULL;
	return database_queue_pop(&link->waiting);
}

bool database_batch_send(struct database_link *link)
{
	struct database_batch *batch = &link->batch;
	struct database_entry *entry;

	assert(batch->count == 0 && link->waiting.count > 0);
	while ((entry = gather(link))) {
		batch->entries[batch->count++] = entry;
		if (!send_entry(link, entry))
			return false;
	}
	link->database->batches_total++;
	return PQpipelineSync(link->conn);
}

static void release(struct database_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		database_entry_free(batch->entries[i]);
	PQclear(batch->commit_error);
	*batch = (struct database_batch){0};
}

void database_batch_end(struct database_link *link, enum err_code code)
{
	struct database_batch *batch = &link->batch;

	for (size_t i = 0; i < batch->count; i++)
		if (database_entry_open(batch->entries[i]))
			database_entry_end(link->database, batch->entries[i],
					   code);
	release(batch);
}

void database_batch_requeue(struct database_link *link)
{
	struct database_batch *batch = &link->batch;

	while (batch->count > 0) {
		struct database_entry *entry = batch->entries[--batch->count];

		if (!database_entry_open(entry)) {
			database_entry_free(entry);
			continue;
		}
		PQclear(entry->pg);
		entry->pg = NULL;
		entry->preparing = NULL;
		database_queue_push_front(&link->waiting, entry);
	}
	release(batch);
}

/* The batch was rolled back, by whose fault is not always known (one statement
 * can break another's constraint): each runs again alone. */
static void rerun(struct database_link *link)
{
	struct database_batch *batch = &link->batch;

	for (size_t i = 0; i < batch->count; i++) {
		struct database_entry *entry = batch->entries[i];

		if (!database_entry_open(entry))
			continue;
		entry->again = true;
		link->database->rerun_total++;
	}
	database_batch_requeue(link);
}

static void settle_writes(struct database_link *link)
{
	struct database_batch *batch = &link->batch;
	bool rolled_back = batch->failed || batch->commit_error;

	if (rolled_back && (batch->count > 1 || link->stale)) {
		rerun(link);
		return;
	}
	if (batch->commit_error) {
		PQclear(batch->entries[0]->pg);
		batch->entries[0]->pg = batch->commit_error;
		batch->commit_error = NULL;
	}
	for (size_t i = 0; i < batch->count; i++)
		if (database_entry_open(batch->entries[i]))
			database_entry_answer(link->database,
					      batch->entries[i]);
	release(batch);
}

static void on_sync(struct database_link *link)
{
	/* Reads were answered on the way; left are those that another's error
	 * had skipped. */
	if (link->lane == DATABASE_WRITE)
		settle_writes(link);
	else
		database_batch_requeue(link);
}

static void on_prepared(struct database_link *link,
			struct database_entry *entry, PGresult *pg)
{
	if (!database_result_good(pg))
		database_prepared_remove(&link->prepared, entry->preparing);
	entry->preparing = NULL;
	/* An error of the Prepare is the statement's own, which will itself be
	 * answered as skipped. */
	if (PQresultStatus(pg) == PGRES_FATAL_ERROR)
		entry->pg = pg;
	else
		PQclear(pg);
}

/* The schema changed under a prepared statement (0A000 "cached plan must not
 * change result type"), or somebody deallocated it: a new connection mends
 * both. */
static bool is_stale(const struct database_entry *entry, const PGresult *pg)
{
	const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);

	return !entry->again && entry->statement.name && sqlstate &&
	       (strcmp(sqlstate, "0A000") == 0 ||
		strcmp(sqlstate, "26000") == 0);
}

static void on_answer(struct database_link *link, struct database_entry *entry,
		      PGresult *pg)
{
	struct database_batch *batch = &link->batch;

	batch->answered++;
	if (PQresultStatus(pg) == PGRES_PIPELINE_ABORTED) {
		PQclear(pg);
	} else if (is_stale(entry, pg)) {
		link->stale = true;
		entry->again = true;
		PQclear(pg);
	} else {
		entry->pg = pg;
	}
	if (entry->pg && link->lane != DATABASE_WRITE &&
	    database_entry_open(entry))
		database_entry_answer(link->database, entry);
}

/* libpq's own errors have no SQLSTATE; FATAL and PANIC are the server's last
 * words on a connection, not a statement's fault. */
static bool is_lost(const struct database_link *link, const PGresult *pg)
{
	const char *severity =
		PQresultErrorField(pg, PG_DIAG_SEVERITY_NONLOCALIZED);

	return PQstatus(link->conn) != CONNECTION_OK || !severity ||
	       strcmp(severity, "ERROR") != 0;
}

static bool on_result(struct database_link *link, PGresult *pg)
{
	struct database_batch *batch = &link->batch;
	ExecStatusType status = PQresultStatus(pg);

	if (status == PGRES_FATAL_ERROR && is_lost(link, pg)) {
		PQclear(pg);
		return false;
	}
	if (batch->answered < batch->count) {
		struct database_entry *entry = batch->entries[batch->answered];

		batch->failed |= !database_result_good(pg);
		if (entry->preparing)
			on_prepared(link, entry, pg);
		else
			on_answer(link, entry, pg);
		return true;
	}
	/* A deferred constraint speaks at the Sync, which follows all the
	 * same. */
	if (status == PGRES_FATAL_ERROR) {
		batch->commit_error = pg;
		return true;
	}
	PQclear(pg);
	on_sync(link);
	return true;
}

bool database_batch_receive(struct database_link *link)
{
	bool ended = false;

	/* Asking also reads what comes unasked, such as notices. */
	while (!PQisBusy(link->conn) && link->batch.count > 0) {
		PGresult *pg = PQgetResult(link->conn);

		/* One NULL ends a statement. Two would be libpq having nothing
		 * in flight where we have. */
		if (!pg && ended)
			return false;
		ended = !pg;
		if (pg && !on_result(link, pg))
			return false;
	}
	return true;
}

void database_batch_expire(struct database_link *link, uint64_t now_ms)
{
	const struct database_batch *batch = &link->batch;

	for (size_t i = 0; i < batch->count; i++) {
		struct database_entry *entry = batch->entries[i];

		if (database_entry_open(entry) && entry->deadline_ms <= now_ms)
			database_entry_end(link->database, entry, ERR_DEADLINE);
	}
}

uint64_t database_batch_deadline_ms(const struct database_link *link)
{
	const struct database_batch *batch = &link->batch;
	size_t awaited = batch->answered < batch->count ? batch->answered
							: batch->count - 1;

	return batch->entries[awaited]->deadline_ms;
}
