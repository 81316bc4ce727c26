#ifndef COMMON_RESOURCE_INTERNAL_H
#define COMMON_RESOURCE_INTERNAL_H

/*
 * What the files of the resource engine share: resource.c (the store and the
 * method table), resource_work.c (one call), resource_read.c, resource_write.c.
 */

#include "proto/record.h"
#include "services/common/query.h"
#include "services/common/resource.h"

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

struct resource_store {
	const struct resource *resource;
	struct database *database;
	const struct secrets_key *key;
	struct events_publisher *events;	     /* or NULL */
	struct resource_columns views[RECORD_VIEWS]; /* by enum record_view */
	struct resource_statement get;
	struct resource_statement fetch;
	struct resource_statement versions;
	struct resource_statement create;
	struct resource_statement create_once; /* with an Idempotency-Key */
	struct resource_statement destroy;
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
	const struct resource_store *store;
	struct bus_call *call;
	struct arena *arena;
	struct resource_args args;
	struct value *values; /* of the object sent */
	struct query query;   /* parameters; the text where it is made anew */
	enum record_view view;
	bool lost_to_key; /* a create met its own Idempotency-Key, once */
	bool changes;	  /* an update sets something */
};

/* The SQL type of a field's column, to cast parameters to. */
const char *resource_sql_type(const struct field *field);

/* Whether a client's value goes into a column of the field. */
bool resource_is_stored(const struct field *field);

/* The handlers of the method table. */
bus_handler_fn resource_get, resource_list, resource_export, resource_create,
	resource_update, resource_destroy, resource_fetch, resource_versions;

/* The work of a call, its arguments not looked at. */
struct resource_work *resource_work_new(struct bus_call *call);

/* The work of a call whose arguments have, or have not, an id. NULL: they are
 * malformed, and it was answered. */
struct resource_work *resource_work_begin(struct bus_call *call, bool needs_id);

/* One struct value per field of the resource. */
struct value *resource_values_new(struct resource_work *work);

/* Adds a parameter, kept by pointer: it lives in the call's arena. */
void resource_param_add(struct resource_work *work, const char *text);
const char *resource_number_text(struct resource_work *work, int64_t number);

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

/* Each answers the call and ends the work. */
void resource_reply_ok(struct resource_work *work, int64_t version);
void resource_reply_fail(struct resource_work *work, const struct err *err);
void resource_reply_code(struct resource_work *work, enum err_code code);

void resource_reply_malformed(struct resource_work *work);

/* Tells a client of a broken constraint what its row says. */
void resource_reply_error(struct resource_work *work,
			  const struct database_error *error);

/* Whether a statement about one object met it. False: it failed, or there is no
 * such object, and the call was answered. */
bool resource_found(struct resource_work *work,
		    const struct database_result *result,
		    const struct database_error *error);

#endif
