#include "services/common/database_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sqlstate_row {
	const char *prefix;
	enum err_code code;
};

/* PostgreSQL's appendix A; the first match counts. */
static const struct sqlstate_row sqlstates[] = {
	{"22", ERR_VALIDATE},	 /* data exception */
	{"23001", ERR_IN_USE},	 /* restrict violation */
	{"23502", ERR_VALIDATE}, /* not null violation */
	{"23503", ERR_IN_USE},	 /* foreign key violation */
	{"23505", ERR_CONFLICT}, /* unique violation */
	{"23514", ERR_VALIDATE}, /* check violation */
	{"23P01", ERR_CONFLICT}, /* exclusion violation */
	{"P0001", ERR_CONFLICT}, /* RAISE of a trigger of ours */
	{"TL001", ERR_LIMIT},	 /* ours: deploy/migrations/0006_dealer.sql */
	{"TL002", ERR_FORBIDDEN},
	{"TL003", ERR_DID_OVERLAP}, /* 0009_assignees.sql */
	{"TL004", ERR_IN_USE},
};

/* SQL leaves the classes from I on free; of these PostgreSQL has P0 and XX. */
static const char *const own_class = "TL";

static enum err_code sqlstate_code(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof(sqlstates) / sizeof(sqlstates[0]); i++) {
		const char *prefix = sqlstates[i].prefix;

		if (strncmp(sqlstate, prefix, strlen(prefix)) == 0)
			return sqlstates[i].code;
	}
	return ERR_INTERNAL;
}

bool database_result_good(const PGresult *pg)
{
	switch (PQresultStatus(pg)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
	case PGRES_EMPTY_QUERY:
		return true;
	default:
		return false;
	}
}

void database_result_error(const PGresult *pg, struct database_error *error)
{
	const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
	const char *name = PQresultErrorField(pg, PG_DIAG_CONSTRAINT_NAME);

	error->code = sqlstate_code(sqlstate ? sqlstate : "");
	if (sqlstate && strncmp(sqlstate, own_class, strlen(own_class)) == 0)
		snprintf(error->text, sizeof(error->text), "%s",
			 PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY));
	/* A name that RAISE made up may be longer: then it is none of ours. */
	if (!name || strlen(name) >= sizeof(error->constraint))
		name = "";
	memcpy(error->constraint, name, strlen(name) + 1);
	/* What was raised without a name is a fault, and no rule of ours. */
	if (sqlstate && strcmp(sqlstate, "P0001") == 0 && name[0] == '\0')
		error->code = ERR_INTERNAL;
}

size_t database_rows(const struct database_result *result)
{
	if (PQresultStatus(result->pg) == PGRES_TUPLES_OK)
		return (size_t)PQntuples(result->pg);
	return strtoull(PQcmdTuples(result->pg), NULL, 10);
}

static void check_cell(const struct database_result *result, size_t row,
		       size_t column)
{
	(void)result;
	(void)row;
	(void)column;
	assert(row < (size_t)PQntuples(result->pg));
	assert(column < (size_t)PQnfields(result->pg));
}

struct slice database_cell(const struct database_result *result, size_t row,
			   size_t column)
{
	if (database_null(result, row, column))
		return slice_of(NULL, 0);
	return slice_of(PQgetvalue(result->pg, (int)row, (int)column),
			(size_t)PQgetlength(result->pg, (int)row, (int)column));
}

/* For null libpq gives "", which reads as 0 and false. */
int64_t database_int(const struct database_result *result, size_t row,
		     size_t column)
{
	check_cell(result, row, column);
	return strtoll(PQgetvalue(result->pg, (int)row, (int)column), NULL, 10);
}

bool database_bool(const struct database_result *result, size_t row,
		   size_t column)
{
	check_cell(result, row, column);
	return PQgetvalue(result->pg, (int)row, (int)column)[0] == 't';
}

bool database_null(const struct database_result *result, size_t row,
		   size_t column)
{
	check_cell(result, row, column);
	return PQgetisnull(result->pg, (int)row, (int)column);
}
