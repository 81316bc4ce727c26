#include "gateway/scrape.h"

#include "proto/mem.h"
#include "proto/reader.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* As many processes as one gateway asks, with room. */
	SAMPLES_MAX = 16 * METRICS_MAX,
};

struct sample {
	struct slice name;
	struct slice help;
	const char *service;
	enum metrics_kind kind;
	uint64_t value;
	size_t order; /* of arrival, to keep qsort() stable */
};

struct scrape {
	size_t count;
	struct sample samples[SAMPLES_MAX];
};

struct scrape *scrape_new(void)
{
	return mem_alloc(sizeof(struct scrape));
}

void scrape_free(struct scrape *scrape)
{
	free(scrape);
}

/* [a-zA-Z_][a-zA-Z0-9_]*: Prometheus' rule, so that no service can break the
 * text for the others. */
static bool name_good(struct slice name)
{
	if (name.size == 0)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		char c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '_' || (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return true;
}

static void sample_add(struct scrape *scrape, struct sample sample)
{
	if (scrape->count == SAMPLES_MAX || !name_good(sample.name))
		return;
	sample.order = scrape->count;
	scrape->samples[scrape->count++] = sample;
}

static void up_add(struct scrape *scrape, const char *service, bool up)
{
	sample_add(scrape, (struct sample){.name = SLICE("up"),
					   .help = SLICE("The process answers"),
					   .service = service,
					   .kind = METRICS_GAUGE,
					   .value = up});
}

void scrape_own(struct scrape *scrape, const char *service,
		const struct metrics *metrics)
{
	up_add(scrape, service, true);
	for (size_t i = 0; i < metrics->count; i++) {
		const struct metrics_entry *entry = &metrics->entries[i];

		sample_add(scrape,
			   (struct sample){.name = slice_str(entry->name),
					   .help = slice_str(entry->help),
					   .service = service,
					   .kind = entry->kind,
					   .value = *entry->value});
	}
}

/* One [name, kind, help, value]. */
static struct sample sample_read(struct reader *reader, const char *service)
{
	struct sample sample = {.service = service};

	if (reader_array(reader) != 4)
		reader_fail(reader);
	sample.name = reader_str(reader);
	sample.kind = reader_int(reader) == METRICS_GAUGE ? METRICS_GAUGE
							  : METRICS_COUNTER;
	sample.help = reader_str(reader);
	sample.value = reader_uint(reader);
	return sample;
}

void scrape_service(struct scrape *scrape, const char *service, bool up,
		    struct slice body)
{
	up_add(scrape, service, up);
	if (!up)
		return;
	struct reader reader;
	reader_init(&reader, body);
	uint32_t count = reader_array(&reader);
	for (uint32_t i = 0; i < count; i++) {
		struct sample sample = sample_read(&reader, service);
		if (!reader_ok(&reader))
			return;
		sample_add(scrape, sample);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct sample *x = a;
	const struct sample *y = b;
	size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
	int order = memcmp(x->name.data, y->name.data, size);
	if (order != 0)
		return order;
	if (x->name.size != y->name.size)
		return x->name.size < y->name.size ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void head_append(const struct sample *sample, struct buffer *out)
{
	buffer_printf(out, "# HELP trunkline_%.*s ", SLICE_ARG(sample->name));
	for (size_t i = 0; i < sample->help.size; i++) {
		char c = sample->help.data[i];

		if (c == '\n')
			buffer_append_str(out, "\\n");
		else if (c == '\\')
			buffer_append_str(out, "\\\\");
		else
			buffer_append_char(out, c);
	}
	buffer_printf(out, "\n# TYPE trunkline_%.*s %s\n",
		      SLICE_ARG(sample->name),
		      sample->kind == METRICS_GAUGE ? "gauge" : "counter");
}

void scrape_append(struct scrape *scrape, struct buffer *out)
{
	qsort(scrape->samples, scrape->count, sizeof(*scrape->samples),
	      by_name);
	for (size_t i = 0; i < scrape->count; i++) {
		const struct sample *sample = &scrape->samples[i];

		if (i == 0 || !slice_eq(sample[-1].name, sample->name))
			head_append(sample, out);
		buffer_printf(out, "trunkline_%.*s{service=\"%s\"} %llu\n",
			      SLICE_ARG(sample->name), sample->service,
			      (unsigned long long)sample->value);
	}
}
