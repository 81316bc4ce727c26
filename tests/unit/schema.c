/* Descriptors and tables say the same: each field has its column, of its type
 * and nullness, and each column has its field. */

#include "proto/buffer.h"
#include "proto/resources/dealers.h"
#include "proto/resources/resources.h"
#include "proto/resources/tenants.h"
#include "proto/resources/users.h"
#include "tests/unit/servers.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct resource *const resources[] = {
	&provider_resource,   &transport_resource,  &dealer_resource,
	&own_dealer_resource, &user_resource,	    &password_policy_resource,
	&tenant_resource,     &own_tenant_resource,
};

enum { RESOURCES = sizeof(resources) / sizeof(resources[0]) };

/* Columns every table has and no field needs to tell of. */
static const char *const own_columns = "'id','version','created_at',"
				       "'updated_at'";

/* Columns that no client sees: scopes and triggers have them. */
static const struct {
	const char *table;
	const char *columns;
} kept[] = {
	{"dealers", "'parent_id','path','tenant_count','extension_count'"},
	{"tenants", "'dealer_id','deleting_at','extension_count',"
		    "'stir_shaken_cert','stir_shaken_key'"},
};

static const char *kept_columns(const struct resource *r)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(kept[i].table, r->table) == 0)
			return kept[i].columns;
	return "''";
}

static const char *sql_type(const struct field *field)
{
	switch (field->type) {
	case FIELD_BOOL:
		return "boolean";
	case FIELD_INT:
		return field->max > INT32_MAX ? "bigint" : "integer";
	case FIELD_STRING:
	case FIELD_ENUM:
		return "text";
	case FIELD_ENUM_LIST:
	case FIELD_OBJECT:
	case FIELD_OBJECTS:
		return "jsonb";
	case FIELD_ID:
		return "bigint";
	case FIELD_TIME:
		return "timestamp with time zone";
	}
	return "?";
}

/* What a client may leave out and has no default is null, and what only
 * processes of ours are told may be. */
static const char *nullness(const struct field *field)
{
	const unsigned ours = FIELD_READ_ONLY | FIELD_SECRET;

	if ((field->flags & ours) == ours)
		return "'YES','NO'";
	return !(field->flags & (FIELD_REQUIRED | FIELD_READ_ONLY)) &&
			       field->fallback.kind == VALUE_ABSENT &&
			       field->type != FIELD_OBJECT &&
			       strcmp(field->name, "auth_mode") != 0
		       ? "'YES'"
		       : "'NO'";
}

static long count(const struct servers_postgres *postgres,
		  const struct resource *r, const char *condition)
{
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "SELECT count(*) FROM information_schema.columns WHERE "
		      "table_schema = '%s' AND table_name = '%s' AND %s",
		      r->schema, r->table, condition);
	buffer_append_char(&sql, '\0');

	const long found = servers_postgres_number(postgres, sql.data);

	buffer_fini(&sql);
	return found;
}

static void check_field(const struct servers_postgres *postgres,
			const struct resource *r, const struct field *field)
{
	struct buffer condition = {0};

	buffer_printf(&condition,
		      "column_name = '%s' AND data_type = '%s' AND "
		      "is_nullable IN (%s)",
		      field->column, sql_type(field), nullness(field));
	buffer_append_char(&condition, '\0');
	cr_expect_eq(count(postgres, r, condition.data), 1,
		     "%s.%s: no column with %s", r->name, field->name,
		     condition.data);
	buffer_fini(&condition);
}

Test(schema, fields_have_their_columns)
{
	struct servers_postgres postgres;

	servers_postgres_migrated(&postgres);
	for (size_t i = 0; i < RESOURCES; i++)
		for (size_t f = 0; f < resources[i]->record->count; f++)
			if (resources[i]->record->fields[f].column)
				check_field(&postgres, resources[i],
					    &resources[i]->record->fields[f]);
}

Test(schema, columns_have_their_fields)
{
	struct servers_postgres postgres;

	servers_postgres_migrated(&postgres);
	for (size_t i = 0; i < RESOURCES; i++) {
		const struct record *record = resources[i]->record;
		struct buffer unknown = {0};

		/* Another resource has the rest of the row. */
		if (resources[i]->own)
			continue;
		buffer_printf(&unknown, "column_name NOT IN (%s,%s",
			      own_columns, kept_columns(resources[i]));
		for (size_t f = 0; f < record->count; f++)
			if (record->fields[f].column)
				buffer_printf(&unknown, ",'%s'",
					      record->fields[f].column);
		buffer_append_str(&unknown, ")");
		buffer_append_char(&unknown, '\0');
		cr_expect_eq(count(&postgres, resources[i], unknown.data), 0,
			     "%s has columns without a field",
			     resources[i]->name);
		buffer_fini(&unknown);
	}
}

/* It is a constraint, a unique index, or a trigger that raises by its own
 * name: of the table, or of one that a write of it can break. */
static void check_constraint(const struct servers_postgres *postgres,
			     const struct resource *r, const char *name)
{
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "SELECT count(*) FROM pg_namespace n, LATERAL ("
		      "SELECT conname FROM pg_constraint "
		      "WHERE connamespace = n.oid UNION "
		      "SELECT relname FROM pg_class "
		      "WHERE relnamespace = n.oid UNION "
		      "SELECT tgname FROM pg_trigger JOIN pg_class c "
		      "ON c.oid = tgrelid WHERE relnamespace = n.oid"
		      ") named (name) "
		      "WHERE nspname NOT LIKE 'pg\\_%%' AND name = '%s'",
		      name);
	buffer_append_char(&sql, '\0');
	cr_expect_eq(servers_postgres_number(postgres, sql.data), 1,
		     "%s: no %s", r->name, name);
	buffer_fini(&sql);
}

Test(schema, constraints_exist)
{
	struct servers_postgres postgres;

	servers_postgres_migrated(&postgres);
	for (size_t i = 0; i < RESOURCES; i++)
		for (size_t c = 0; c < resources[i]->constraint_count; c++)
			check_constraint(&postgres, resources[i],
					 resources[i]->constraints[c].name);
}
