#include "services/common/metrics.h"

#include "proto/writer.h"

#include <assert.h>

void metrics_add(struct metrics *metrics, enum metrics_kind kind,
		 const char *name, const char *help, const uint64_t *value)
{
	assert(metrics->count < METRICS_MAX);
	metrics->entries[metrics->count++] = (struct metrics_entry){
		.name = name, .help = help, .kind = kind, .value = value};
}

void metrics_encode(const struct metrics *metrics, struct buffer *out)
{
	writer_array(out, (uint32_t)metrics->count);
	for (size_t i = 0; i < metrics->count; i++) {
		const struct metrics_entry *entry = &metrics->entries[i];

		writer_array(out, 4);
		writer_text(out, entry->name);
		writer_int(out, entry->kind);
		writer_text(out, entry->help);
		writer_uint(out, *entry->value);
	}
}
