#include "services/system/audited.h"

#include <assert.h>

static const char *statement_sql(const struct audited *audited, size_t count,
				 struct arena *arena)
{
	struct buffer sql = {0};

	buffer_append_str(&sql, "WITH ");
	buffer_append_str(&sql, audited->with);
	audit_append(&sql, count + 1, &audited->audit);
	buffer_append_char(&sql, ' ');
	buffer_append_str(&sql, audited->answer);

	const char *text = arena_strdup(arena, buffer_slice(&sql));

	buffer_fini(&sql);
	return text;
}

void audited_run(struct system *system, struct bus_call *call,
		 const struct principal *who, const struct audited *audited,
		 const char *const *params, size_t count,
		 database_done_fn *done, void *arg)
{
	struct arena *arena = bus_call_arena(call);
	struct request request = *bus_call_request(call);
	const char **all =
		arena_alloc(arena, (count + AUDIT_PARAMS) * sizeof(*all));

	assert(count <= AUDITED_PARAMS_MAX);
	for (size_t i = 0; i < count; i++)
		all[i] = params[i];
	request.principal = *who;
	audit_params(&request, arena, all + count);
	database_run(system->database,
		     &(struct database_statement){
			     .lane = DATABASE_WRITE,
			     .name = audited->name,
			     .sql = statement_sql(audited, count, arena),
			     .params = all,
			     .param_count = count + AUDIT_PARAMS,
			     .deadline_ms = bus_call_left_ms(call),
			     .done = done,
			     .arg = arg,
		     });
}
