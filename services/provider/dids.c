#include "services/provider/dids.h"

#include "proto/record.h"
#include "proto/resources/assignees.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"

/* Columns of a row found. */
enum { FOUND_PROVIDER_ID, FOUND_TENANT_ID, FOUND_RANGE };

static void write_holder(const struct database_result *result, size_t row,
			 struct buffer *out)
{
	struct value values[DID_HOLDER_FIELDS] = {0};

	values[DID_HOLDER_PROVIDER_ID] = (struct value){
		.kind = VALUE_INT,
		.integer = database_int(result, row, FOUND_PROVIDER_ID)};
	if (!database_null(result, row, FOUND_TENANT_ID))
		values[DID_HOLDER_TENANT_ID] = (struct value){
			.kind = VALUE_INT,
			.integer = database_int(result, row, FOUND_TENANT_ID)};
	values[DID_HOLDER_DID_NUMBERS] = (struct value){
		.kind = VALUE_STR,
		.string = database_cell(result, row, FOUND_RANGE)};
	record_encode(&did_holder_record, RECORD_FULL, values, out);
}

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct ask *ask = arg;

	if (!ask_found(ask, result, error))
		return;
	struct buffer *out = bus_call_body(ask->call);
	const size_t rows = database_rows(result);

	writer_map(out, 2);
	writer_text(out, "number");
	writer_text(out, ask->params[0]);
	writer_text(out, "items");
	writer_array(out, (uint32_t)rows);
	for (size_t row = 0; row < rows; row++)
		write_holder(result, row, out);
	bus_reply_ok(ask->call, 0);
}

/* The pool of a trunk of the system holds numbers of its assignees too: such a
 * number is theirs. The subselect keeps the look by number apart from the order
 * of trunks, so that it is the index on ranges that is read. */
static const char sql[] =
	"SELECT d.provider_id, d.tenant_id, provider.did_text(d.range) "
	"FROM (SELECT DISTINCT ON (r.provider_id) r.* "
	"FROM provider.did_ranges r WHERE r.range @> $1::bigint "
	"AND ($2::bigint IS NULL OR r.tenant_id = $2) "
	"ORDER BY r.provider_id, r.tenant_id NULLS LAST) d "
	"ORDER BY d.provider_id LIMIT 100";

void did_get(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[DID_ARGS_FIELDS];

	if (!bus_call_args(call, &did_args_record, args))
		return;
	ask_slice(ask, args[DID_ARGS_NUMBER].string);
	ask_tenant(ask);
	ask_run(ask, DATABASE_READ, "did.get", sql, on_found);
}
