#ifndef PROTO_FIELD_H
#define PROTO_FIELD_H

/*
 * Field descriptors: what a resource (or the arguments of a method) consists
 * of, said once. Validation, defaults, wire codec, SQL, query whitelists, CSV
 * and OpenAPI all walk these rows (proto/record.h, services/common/resource.h,
 * gateway/openapi.h).
 */

#include "proto/arena.h"
#include "proto/error.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	FIELD_BOOL,
	FIELD_INT,	 /* min..max: value */
	FIELD_STRING,	 /* min..max: characters (Unicode code points) */
	FIELD_ENUM,	 /* one of choices */
	FIELD_ENUM_LIST, /* array of choices, each once */
	FIELD_OBJECT,	 /* nested record; in SQL a jsonb of what was set */
	FIELD_ID,	 /* see proto/id.h */
	FIELD_TIME,	 /* seconds since 1970 UTC; in SQL timestamptz */
	FIELD_OBJECTS,	 /* array of a nested record, at most max; check is of
			  * each item; in SQL jsonb. Those of answers that are
			  * written by hand have no max */
};

enum field_flag {
	FIELD_REQUIRED = 1 << 0,   /* on create */
	FIELD_READ_ONLY = 1 << 1,  /* in input: accepted and not looked at, so
				    * that what was read can be sent back */
	FIELD_IMMUTABLE = 1 << 2,  /* on update: only as it is */
	FIELD_SECRET = 1 << 3,	   /* answered to processes of ours alone; in
				    * SQL sealed. Within a nested record: never
				    * answered, and sealed by the service's hook
				    */
	FIELD_HIDDEN = 1 << 4,	   /* not answered in the resource's body */
	FIELD_SUMMARY = 1 << 5,	   /* in lists too */
	FIELD_FILTER = 1 << 6,	   /* may stand in filter */
	FIELD_SORT = 1 << 7,	   /* may stand in orderby */
	FIELD_SEARCH = 1 << 8,	   /* search looks into it */
	FIELD_SHORTHAND = 1 << 9,  /* object: its first member's bare value is
				    * accepted in its place */
	FIELD_IGNORED = 1 << 10,   /* newer API versions send it; accepted, not
				    * stored, not answered (README, limits) */
	FIELD_FREE_TEXT = 1 << 11, /* string: control characters allowed */
	FIELD_HASHED = 1 << 12,	   /* an account's password: never answered; in
				    * SQL its argon2id hash */
};

enum value_kind {
	VALUE_ABSENT, /* not said: default on create, unchanged on update */
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INT, /* FIELD_INT, FIELD_ID, FIELD_TIME */
	VALUE_STR, /* FIELD_STRING, FIELD_ENUM */
	VALUE_LIST,
	VALUE_OBJECT,
	VALUE_OBJECTS,
};

/* A field's value, as decoded. Strings, items and members are views into the
 * message or memory of the arena. */
struct value {
	enum value_kind kind;
	union {
		bool boolean;
		int64_t integer;
		struct slice string;
		struct {
			const struct slice *items;
			size_t count;
		} list;
		struct value *members; /* one per field of the nested record */
		struct {
			struct value *values; /* the items' members, end to
					       * end */
			size_t count;	      /* items */
		} objects;
	};
};

struct field;
struct record;

/* A rule a type alone cannot say ("a list of CIDR blocks"). May replace the
 * value by its canonical form. False: the rule is broken, reason says which
 * (at most size bytes, NUL included). */
typedef bool field_check_fn(const struct field *field, struct value *value,
			    struct arena *arena, char *reason, size_t size);

/* The values of an enum, in wire spelling. */
struct choices {
	const char *const *names;
	size_t count;
};

#define CHOICES(...)                                                           \
	{                                                                      \
		.names = (const char *const[]){__VA_ARGS__},                   \
		.count = sizeof((const char *const[]){__VA_ARGS__}) /          \
			 sizeof(char *)                                        \
	}

struct field {
	const char *name;
	enum field_type type;
	unsigned flags; /* enum field_flag */
	int64_t min, max;
	const struct choices *choices;
	const struct record *record; /* FIELD_OBJECT, FIELD_OBJECTS */
	struct value fallback;	     /* the default; VALUE_ABSENT: null */
	field_check_fn *check;	     /* or NULL */
	const char *column;	     /* NULL: not stored by itself */
	const char *doc;	     /* one line */
};

#define DEFAULT_BOOL(v)                                                        \
	{                                                                      \
		.kind = VALUE_BOOL, .boolean = (v)                             \
	}
#define DEFAULT_INT(v)                                                         \
	{                                                                      \
		.kind = VALUE_INT, .integer = (v)                              \
	}
#define DEFAULT_EMPTY                                                          \
	{                                                                      \
		.kind = VALUE_LIST                                             \
	}
#define DEFAULT_STR(v)                                                         \
	{                                                                      \
		.kind = VALUE_STR, .string = SLICE(v)                          \
	}

/* An ordered set of fields. */
struct record {
	const char *name; /* "Provider": the schema's name in OpenAPI */
	const struct field *fields;
	size_t count;
};

#define RECORD_FIELDS(array)                                                   \
	.fields = (array), .count = sizeof(array) / sizeof((array)[0])

/* A unique, foreign key or check constraint of a table and what a client is
 * told when a write breaks it. */
struct resource_constraint {
	const char *name;   /* PostgreSQL's */
	const char *field;  /* the field to name, or NULL */
	const char *text;   /* "hostname and auth_id are taken" */
	enum err_code code; /* ERR_OK: as the database's error says */
	/* Kinds of callers (principal_acts()) that are told this text even
	 * where the database's own words say more: they are of others. */
	unsigned terse;
};

/* What differs from all other resources and is a rule over several fields:
 * run on a create after types and defaults, for who asks. Adds details to err
 * and returns its code. */
struct principal;
typedef int resource_complete_fn(struct value *values,
				 const struct principal *who,
				 struct arena *arena, struct err *err);

/* ---- who may do what ---- */

enum resource_verb {
	RESOURCE_SEE = 1 << 0, /* get, list, export */
	RESOURCE_CREATE = 1 << 1,
	RESOURCE_UPDATE = 1 << 2,
	RESOURCE_DESTROY = 1 << 3,
	RESOURCE_ALL = RESOURCE_SEE | RESOURCE_CREATE | RESOURCE_UPDATE |
		       RESOURCE_DESTROY,
};

/* Which id of the caller is $1 in the texts of a scope. */
enum resource_by {
	RESOURCE_BY_NOBODY, /* the texts need none */
	RESOURCE_BY_TENANT, /* principal_tenant() */
	RESOURCE_BY_DEALER, /* dealer_id */
	RESOURCE_BY_SELF,   /* id */
};

/* A column that a loan shows otherwise. */
struct resource_overlay {
	const char *column;
	const char *sql; /* "a.concurrency" */
};

/* Rows that are somebody else's and that the caller sees, but cannot change. */
struct resource_loan {
	const char *join; /* "JOIN provider.assignees a ON ..." */
	const char *rows; /* "a.tenant_id = $1" */
	const struct resource_overlay *overlays;
	size_t overlay_count;
};

/*
 * What callers of some kinds may do with a resource. Texts are SQL over its
 * table as `t`. A row outside of `rows` does not exist for the caller
 * (ERR_NOT_FOUND); a verb it has not, and a change of a lent row or while the
 * guard is false, is ERR_FORBIDDEN.
 */
struct resource_scope {
	unsigned who;	/* enum principal_kind */
	unsigned verbs; /* enum resource_verb */
	enum resource_by by;
	const char *rows;  /* "t.tenant_id = $1"; NULL: all */
	const char *owner; /* column that is $1 in what it creates, whatever was
			    * sent, and that it cannot change; or NULL */
	const char *guard; /* what has to hold for each change, and for a create
			    * before there is a t: of $1 alone; or NULL */
	const struct resource_loan *loan; /* or NULL */
};

/* A resource of the object model and where it is kept. */
struct resource {
	const char *name;   /* "provider": prefix of its bus methods */
	const char *plural; /* "providers": file name of the export */
	const char *schema; /* PostgreSQL schema */
	const char *table;  /* in that schema; columns id, version, created_at,
			     * updated_at and those of the fields */
	const struct record *record;
	const struct resource_constraint *constraints;
	size_t constraint_count;
	resource_complete_fn *complete; /* or NULL */

	/* The first whose `who` has the caller's kind holds; a kind in none has
	 * no method of the resource. Processes of ours see and do all. */
	const struct resource_scope *scopes;
	size_t scope_count;

	/* The order of a list that is asked for in none; NULL: "id". Names the
	 * id last. */
	const char *order;

	/* "PROVIDER", of the audit log (PortSIP v22), and what names an object
	 * there: SQL over t. NULL: its changes are not audited. */
	const char *audit;
	const char *label;

	/* The caller's own row, whose id is the scope's: methods take no id.
	 * Another resource's view of its row: what changes is told as an event
	 * of `event`, where that is not NULL. */
	bool own;
	const char *event;
};

#define RESOURCE_SCOPES(array)                                                 \
	.scopes = (array), .scope_count = sizeof(array) / sizeof((array)[0])

/* The index of a field by name, or SIZE_MAX. hint: where to look first; the
 * index after the one found last makes a walk in order linear. */
size_t record_find(const struct record *record, struct slice name, size_t hint);

#endif
