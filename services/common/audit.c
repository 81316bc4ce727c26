#include "services/common/audit.h"

#include <stdio.h>

void audit_append(struct buffer *sql, size_t first, const struct audit *audit)
{
	const char *old_state = audit->old_state ? audit->old_state : "NULL";
	const char *new_state = audit->new_state ? audit->new_state : "NULL";
	const size_t p = first;

	buffer_printf(sql,
		      ", audited AS (INSERT INTO system.audit_logs (tenant_id, "
		      "dealer_id, actor_kind, actor_id, user_name, acting_as, "
		      "ip, request_id, source, action, object_type, object_id, "
		      "object_name, old_state, new_state) "
		      "SELECT $%zu::bigint, $%zu::bigint, $%zu::text, "
		      "$%zu::bigint, $%zu::text, $%zu::bigint, $%zu::text, "
		      "$%zu::text, ",
		      p, p + 1, p + 2, p + 3, p + 4, p + 5, p + 6, p + 7);
	buffer_printf(sql,
		      "CASE $%zu::text WHEN 'SERVICE' THEN 'SERVICE' "
		      "ELSE 'REST' END, '%s', '%s', %s, %s, %s, %s FROM %s)",
		      p + 2, audit->action, audit->object_type,
		      audit->object_id, audit->object_name, old_state,
		      new_state, audit->source);
}

static const char *kind_text(enum principal_kind kind)
{
	switch (kind) {
	case PRINCIPAL_NOBODY:
		return "NOBODY";
	case PRINCIPAL_SYSTEM:
		return "SYSTEM";
	case PRINCIPAL_DEALER:
		return "DEALER";
	case PRINCIPAL_USER:
		return "USER";
	case PRINCIPAL_SERVICE:
		return "SERVICE";
	case PRINCIPAL_ADMIN:
		return "ADMIN";
	case PRINCIPAL_QUEUE_MANAGER:
		return "QUEUE_MANAGER";
	}
	return "NOBODY";
}

static const char *id_text(struct arena *arena, int64_t id)
{
	return id > 0 ? arena_printf(arena, "%lld", (long long)id) : NULL;
}

static const char *text_of(struct arena *arena, struct slice text)
{
	return text.size > 0 ? arena_strdup(arena, text) : NULL;
}

void audit_params(const struct request *request, struct arena *arena,
		  const char *params[AUDIT_PARAMS])
{
	const struct principal *who = &request->principal;

	*params++ = id_text(arena, principal_tenant(who));
	*params++ = id_text(arena, who->dealer_id);
	*params++ = kind_text(who->kind);
	*params++ = id_text(arena, who->id);
	*params++ = who->kind == PRINCIPAL_SERVICE ? "service"
						   : text_of(arena, who->name);
	*params++ = id_text(arena, who->acting_as);
	*params++ = text_of(arena, who->address);
	*params = text_of(arena, request->request_id);
}
