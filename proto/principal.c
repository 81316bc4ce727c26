#include "proto/principal.h"

#include "proto/writer.h"

enum { PRINCIPAL_MEMBERS = 8 };

enum principal_kind principal_acts(const struct principal *principal)
{
	return principal->acting_as > 0 ? PRINCIPAL_ADMIN : principal->kind;
}

int64_t principal_tenant(const struct principal *principal)
{
	return principal->acting_as > 0 ? principal->acting_as
					: principal->tenant_id;
}

void principal_encode(const struct principal *principal, struct buffer *out)
{
	writer_array(out, PRINCIPAL_MEMBERS);
	writer_int(out, principal->kind);
	writer_int(out, principal->id);
	writer_int(out, principal->tenant_id);
	writer_int(out, principal->dealer_id);
	writer_int(out, principal->acting_as);
	writer_str(out, principal->role);
	writer_str(out, principal->name);
	writer_str(out, principal->address);
}

static bool known(int64_t kind)
{
	switch (kind) {
	case PRINCIPAL_NOBODY:
	case PRINCIPAL_SYSTEM:
	case PRINCIPAL_DEALER:
	case PRINCIPAL_USER:
	case PRINCIPAL_SERVICE:
	case PRINCIPAL_ADMIN:
	case PRINCIPAL_QUEUE_MANAGER:
		return true;
	default:
		return false;
	}
}

void principal_decode(struct reader *reader, struct principal *out)
{
	if (reader_array(reader) != PRINCIPAL_MEMBERS)
		reader_fail(reader);
	const int64_t kind = reader_int(reader);

	if (!known(kind))
		reader_fail(reader);
	out->kind = (enum principal_kind)kind;
	out->id = reader_int(reader);
	out->tenant_id = reader_int(reader);
	out->dealer_id = reader_int(reader);
	out->acting_as = reader_int(reader);
	out->role = reader_str(reader);
	out->name = reader_str(reader);
	out->address = reader_str(reader);
}
