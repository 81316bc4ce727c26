#include "services/common/database_internal.h"

#include "services/common/log.h"

#include <assert.h>
#include <stdlib.h>

static void count_total(struct database_queue *queue, int change)
{
	if (queue->total)
		*queue->total += (uint64_t)change;
}

void database_queue_push(struct database_queue *queue,
			 struct database_entry *entry)
{
	entry->next = NULL;
	if (queue->tail)
		queue->tail->next = entry;
	else
		queue->head = entry;
	queue->tail = entry;
	queue->count++;
	count_total(queue, 1);
}

void database_queue_push_front(struct database_queue *queue,
			       struct database_entry *entry)
{
	entry->next = queue->head;
	queue->head = entry;
	if (!queue->tail)
		queue->tail = entry;
	queue->count++;
	count_total(queue, 1);
}

struct database_entry *database_queue_pop(struct database_queue *queue)
{
	struct database_entry *entry = queue->head;

	if (!entry)
		return NULL;
	queue->head = entry->next;
	if (!queue->head)
		queue->tail = NULL;
	queue->count--;
	count_total(queue, -1);
	return entry;
}

void database_queue_end(struct database *database, struct database_queue *queue,
			enum err_code code)
{
	struct database_entry *entry;

	while ((entry = database_queue_pop(queue))) {
		database_entry_end(database, entry, code);
		database_entry_free(entry);
	}
}

/* Sorts out first and ends then: done may queue further statements. */
void database_queue_expire(struct database *database,
			   struct database_queue *queue, uint64_t now_ms)
{
	struct database_queue expired = {0};

	for (size_t left = queue->count; left > 0; left--) {
		struct database_entry *entry = database_queue_pop(queue);

		database_queue_push(
			entry->deadline_ms <= now_ms ? &expired : queue, entry);
	}
	database_queue_end(database, &expired, ERR_UNAVAILABLE);
}

bool database_entry_open(const struct database_entry *entry)
{
	return entry->statement.done;
}

static void tell(struct database *database, struct database_entry *entry,
		 const struct database_result *result,
		 const struct database_error *error)
{
	struct database_statement statement = entry->statement;

	assert(database_entry_open(entry));
	entry->statement = (struct database_statement){0};
	database->open--;
	if (error)
		database->errors_total++;
	statement.done(statement.arg, result, error);
}

void database_entry_end(struct database *database, struct database_entry *entry,
			enum err_code code)
{
	tell(database, entry, NULL, &(struct database_error){.code = code});
}

/* The server's detail and hint are left out: they quote values of rows. */
static void log_error(const struct database_entry *entry)
{
	log_event(
		LOG_ERROR, "database.error",
		LOG_STR("lane", database_lane_name(entry->statement.lane)),
		LOG_STR("statement", entry->statement.name),
		LOG_STR("sqlstate",
			PQresultErrorField(entry->pg, PG_DIAG_SQLSTATE)),
		LOG_STR("reason", PQresultErrorField(entry->pg,
						     PG_DIAG_MESSAGE_PRIMARY)));
}

void database_entry_answer(struct database *database,
			   struct database_entry *entry)
{
	struct database_result result = {.pg = entry->pg};
	struct database_error error = {0};

	if (database_result_good(entry->pg)) {
		tell(database, entry, &result, NULL);
		return;
	}
	database_result_error(entry->pg, &error);
	if (error.code == ERR_INTERNAL)
		log_error(entry);
	tell(database, entry, NULL, &error);
}

void database_entry_free(struct database_entry *entry)
{
	PQclear(entry->pg);
	free(entry);
}
