#include "proto/resources/assignees.h"

#include "proto/resources/checks.h"
#include "proto/resources/resources.h"

/* clang-format off: table */

/* An assignment with all that names it; the records are cut out of it. */
static const struct field fields[ASSIGN_FIELDS] = {
	[ASSIGN_ID] = {"id", FIELD_ID, FIELD_REQUIRED, .doc = "The trunk."},
	[ASSIGN_TENANT_ID] = {"tenant_id", FIELD_ID, FIELD_REQUIRED,
			      .doc = "The tenant."},
	[ASSIGN_DID_NUMBERS] = {"did_numbers", FIELD_STRING, FIELD_REQUIRED,
				.max = DID_NUMBERS_CHARS_MAX,
				.check = check_did_pool,
				.doc = "The tenant's DID pool: numbers and "
				       "ranges joined by ';', none of them "
				       "another tenant's."},
	[ASSIGN_CONCURRENCY] = {"concurrency", FIELD_INT, .max = INT32_MAX,
				.fallback = DEFAULT_INT(0),
				.doc = "Concurrent calls of the tenant at the "
				       "most; left out of a change: as it "
				       "was."},
};

/* clang-format on */

const struct record assign_args_record = {.name = "ProviderAssignment",
					  RECORD_FIELDS(fields)};

const struct record assignee_record = {.name = "ProviderAssignee",
				       .fields = &fields[ASSIGN_TENANT_ID],
				       .count = ASSIGNEE_FIELDS};

const struct record assigned_record = {.name = "ProviderAssigned",
				       .fields = &fields[ASSIGN_DID_NUMBERS],
				       .count = ASSIGNED_FIELDS};

const struct record assignee_args_record = {.name = "ProviderAssigneeArguments",
					    .fields = &fields[ASSIGN_ID],
					    .count = ASSIGNEE_ARGS_FIELDS};

const struct record tenant_args_record = {.name = "TenantArguments",
					  .fields = &fields[ASSIGN_TENANT_ID],
					  .count = TENANT_ARGS_FIELDS};

/* clang-format off: tables */

static const struct field did_args_fields[DID_ARGS_FIELDS] = {
	[DID_ARGS_NUMBER] = {"number", FIELD_STRING, FIELD_REQUIRED, .min = 1,
			     .max = DID_DIGITS_MAX, .check = check_did,
			     .doc = "A DID number."},
};

static const struct field did_holder_fields[DID_HOLDER_FIELDS] = {
	[DID_HOLDER_PROVIDER_ID] = {"provider_id", FIELD_ID, FIELD_READ_ONLY,
				    .doc = "The trunk its calls come through."},
	[DID_HOLDER_TENANT_ID] = {"tenant_id", FIELD_ID,
				  .doc = "The tenant it is of; null: of none "
					 "yet, but in the pool of a trunk of "
					 "the system."},
	[DID_HOLDER_DID_NUMBERS] = {"did_numbers", FIELD_STRING,
				    FIELD_READ_ONLY,
				    .doc = "The pool's entry that holds it."},
};

static const struct field did_fields[] = {
	{"number", FIELD_STRING, FIELD_READ_ONLY, .doc = "The number."},
	{"items", FIELD_OBJECTS, FIELD_READ_ONLY, .record = &did_holder_record,
	 .doc = "Who holds it, in order of the trunks: the first 100."},
};

/* clang-format on */

const struct record did_args_record = {.name = "DidArguments",
				       RECORD_FIELDS(did_args_fields)};

const struct record did_holder_record = {.name = "DidHolder",
					 RECORD_FIELDS(did_holder_fields)};

const struct record did_record = {.name = "Did", RECORD_FIELDS(did_fields)};
