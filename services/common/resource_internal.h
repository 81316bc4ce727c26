#ifndef COMMON_RESOURCE_INTERNAL_H
#define COMMON_RESOURCE_INTERNAL_H

/*
 * What the files of the resource engine share: resource.c (the store and the
 * method table), resource_sql.c (its prepared statements), resource_work.c (one
 * call), resource_read.c, resource_write.c, resource_update.c.
 */

#include "proto/record.h"
#include "services/common/query.h"
#include "services/common/resource.h"
#include "services/common/resource_service.h"

/* Ids of one page of .versions: some 20 kB, and 5 000 objects in five calls. */
enum { RESOURCE_VERSIONS_PAGE = 1000 };

/* The columns a view reads: which fields, in order, behind the version. */
struct resource_columns {
	size_t *fields; /* indexes into the record */
	size_t count;
	char *sql; /* "version, name, ..." */
};

/* A statement that is prepared under its name. */
struct resource_statement {
	char *name; /* "provider.get" */
	char *sql;
};

/* What the callers of one scope reach, in SQL. Where the scope is by an id of
 * theirs that is the first parameter of each of its texts and statements. */
struct resource_reach {
	const struct resource_scope *scope; /* NULL: a process of ours, all */
	char *source; /* " FROM ... WHERE ...": what it sees, as t */
	char *own;    /* of a scope with a loan the two halves of it, */
	char *lent;   /* "SELECT ... WHERE ..."; else NULL */
	struct resource_statement get;
	struct resource_statement create;
	struct resource_statement create_once; /* with an Idempotency-Key */
	struct resource_statement destroy;
};

struct resource_store {
	const struct resource *resource;
	struct resource_store_options options;
	struct resource_columns views[RECORD_VIEWS]; /* by enum record_view */
	struct resource_reach *reaches; /* one per scope, then ours */
	struct resource_statement fetch;
	struct resource_statement versions;
	struct resource_statement sealed; /* an object's secrets as stored */
	struct resource_statement sweep;
	char *method_names[RESOURCE_METHODS];
};

/* The arguments of every method but the lists. */
struct resource_args {
	int64_t id; /* 0: not given */
	int64_t if_version;
	struct slice key;
	struct slice object;
};

/* One request on its way; in the call's arena. */
struct resource_work {
	struct resource_change change; /* first: what hooks are given */
	const struct resource_store *store;
	const struct resource_reach *reach;
	struct bus_call *call;
	struct arena *arena;
	struct resource_args args;
	struct value *values; /* of the object sent */
	struct query query;   /* parameters; the text where it is made anew */
	enum record_view view;
	size_t hashed;	     /* fields looked at for FIELD_HASHED */
	const char **sealed; /* by field: a secret that was sent and is the
			      * stored one, as stored */
	bool lost_to_key;    /* a create met its own Idempotency-Key, once */
	bool changes;	     /* an update sets something */
	int64_t version;     /* of the object, written */
};

/* The SQL type of a field's column, to cast parameters to. */
const char *resource_sql_type(const struct field *field);

/* Whether a client's value goes into a column of the field; and whether one of
 * a scope's callers does, where the scope itself says whose the row is. */
bool resource_is_stored(const struct field *field);
bool resource_takes(const struct resource_scope *scope,
		    const struct field *field);

/* Whether a field's value stands in the audit log. */
bool resource_is_audited(const struct field *field);

/* Appends what takes the secrets within a record out of a field's jsonb: SQL
 * behind such a value. */
void resource_append_mask(struct buffer *sql, const struct field *field);

/* resource_sql.c: the prepared statements of a store, and what a text made anew
 * has of them. */
void resource_statements_init(struct resource_store *store);
void resource_statements_free(struct resource_store *store);

/* "($1::bigint IS NOT NULL AND t.tenant_id = $1)": the rows of a scope that are
 * its own, those it may change. NULL is no scope: all. */
void resource_append_rows(struct buffer *sql,
			  const struct resource_scope *scope);

/* The guard as a column, "true AS permitted" where there is none. */
void resource_append_guard(struct buffer *sql,
			   const struct resource_scope *scope);

/* " FROM ...": of what the caller sees and meets the conditions (" AND ..."),
 * not less than the first count rows in that order (" ORDER BY ..."), which is
 * to follow: so that both halves of what it sees are read by their indexes. */
void resource_append_first(struct buffer *sql,
			   const struct resource_reach *reach,
			   const char *conditions, const char *order,
			   int64_t count);

/* How many parameters stand in front of a statement's own: 0 or 1. */
size_t resource_scope_params(const struct resource_scope *scope);

/* The handlers of the method table. */
bus_handler_fn resource_get, resource_list, resource_export, resource_create,
	resource_update, resource_destroy, resource_fetch, resource_versions;

/* The work of a call, its arguments not looked at; the id of the caller's scope
 * is its first parameter. NULL: it has no scope, and it was answered. */
struct resource_work *resource_work_new(struct bus_call *call);

/* The work of a call whose arguments have, or have not, an id; where the object
 * is the caller's own they have none, and it is put there. NULL: as above, or
 * they are malformed, and it was answered. */
struct resource_work *resource_work_begin(struct bus_call *call, bool needs_id);

/* One struct value per field of the resource. */
struct value *resource_values_new(struct resource_work *work);

/* Adds a parameter, kept by pointer: it lives in the call's arena. */
void resource_param_add(struct resource_work *work, const char *text);
const char *resource_number_text(struct resource_work *work, int64_t number);

/* Adds those of the audit log, where the resource is audited. */
void resource_audit_params_add(struct resource_work *work);

/* Runs a statement with the parameters gathered. */
void resource_run(struct resource_work *work, enum database_lane lane,
		  const struct resource_statement *statement,
		  database_done_fn *done);

/* Runs the text of work->query, made for this call. */
void resource_run_query(struct resource_work *work, enum database_lane lane,
			database_done_fn *done);

/* Tells of a change that is committed and not answered yet. */
void resource_publish(const struct resource_work *work, int64_t id,
		      int64_t version, enum event_kind kind);

/* The object sent becomes parameters: resource_write.c. */

/* Decodes it. False: it was answered. */
bool resource_read_object(struct resource_work *work, enum record_mode mode);

/* Goes from the values read to the write, by way of the hook `before` and of
 * what has to be hashed. */
void resource_write_begin(struct resource_work *work, enum event_kind kind);

/* The answer to a write that is committed, by way of the hook `after`. */
void resource_write_end(struct resource_work *work);

/* The text form of a value for its column. */
const char *resource_param_text(struct resource_work *work,
				const struct field *field,
				const struct value *value);

/* if_version, or NULL. */
const char *resource_version_text(struct resource_work *work);

/* Nothing that the caller may change has the id: ERR_FORBIDDEN where it is lent
 * to it, ERR_NOT_FOUND else. */
void resource_reply_missed(struct resource_work *work);

/* resource_update.c: the write of an update whose values are ready. */
void resource_update_run(struct resource_work *work);

/* Each answers the call and ends the work. */
void resource_reply_ok(struct resource_work *work, int64_t version);
void resource_reply_fail(struct resource_work *work, const struct err *err);
void resource_reply_code(struct resource_work *work, enum err_code code);

void resource_reply_malformed(struct resource_work *work);

/* Tells a client of a broken constraint what its row says. */
void resource_reply_error(struct resource_work *work,
			  const struct database_error *error);

/* Whether a statement that changes one object met it. False: it failed, or the
 * caller may change no such object, and the call was or will be answered. */
bool resource_met(struct resource_work *work,
		  const struct database_result *result,
		  const struct database_error *error);

#endif
