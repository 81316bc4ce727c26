#include "gateway/traffic.h"

#include "gateway/status.h"
#include "proto/mem.h"

#include <stdlib.h>

/* Upper bounds in microseconds and as Prometheus reads them. */
static const struct {
	uint64_t us;
	const char *text;
} bounds[] = {
	{250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"},
	{5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
	{100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},
	{2500000, "2.5"}, {5000000, "5"},
};

enum { BOUNDS = sizeof(bounds) / sizeof(*bounds) };

struct row {
	uint64_t answers[HTTP_STATUSES];
	uint64_t within[BOUNDS + 1]; /* not cumulative; the last: longer */
	uint64_t count;
	uint64_t sum_ns;
};

struct traffic {
	const struct router *router;
	struct row rows[]; /* one per route and one for none */
};

struct traffic *traffic_new(const struct router *router)
{
	size_t rows = router_count(router) + 1;
	struct traffic *traffic =
		mem_alloc(sizeof(*traffic) + rows * sizeof(struct row));

	traffic->router = router;
	return traffic;
}

void traffic_free(struct traffic *traffic)
{
	free(traffic);
}

void traffic_count(struct traffic *traffic, size_t index, int status,
		   uint64_t duration_ns)
{
	struct row *row = &traffic->rows[index];
	size_t bound = 0;
	while (bound < BOUNDS && bounds[bound].us * 1000 < duration_ns)
		bound++;
	row->answers[http_status_index(status)]++;
	row->within[bound]++;
	row->count++;
	row->sum_ns += duration_ns;
}

/* route="...",method="..." */
static void labels_append(const struct traffic *traffic, size_t index,
			  struct buffer *out)
{
	if (index == router_count(traffic->router)) {
		buffer_append_str(out, "route=\"none\",method=\"any\"");
		return;
	}
	const struct route *route = router_get(traffic->router, index);
	buffer_printf(out, "route=\"%s\",method=\"%s\"", route->path,
		      route->verb == ROUTE_POST ? "POST" : "GET");
}

static void answers_append(const struct traffic *traffic, size_t index,
			   struct buffer *out)
{
	const struct row *row = &traffic->rows[index];

	for (size_t i = 0; i < HTTP_STATUSES; i++) {
		if (row->answers[i] == 0)
			continue;
		buffer_append_str(out, "trunkline_http_requests_total{");
		labels_append(traffic, index, out);
		buffer_printf(out, ",status=\"%d\"} %llu\n",
			      http_statuses[i].status,
			      (unsigned long long)row->answers[i]);
	}
}

static void histogram_append(const struct traffic *traffic, size_t index,
			     struct buffer *out)
{
	const struct row *row = &traffic->rows[index];
	unsigned long long so_far = 0;
	if (row->count == 0)
		return;
	for (size_t i = 0; i <= BOUNDS; i++) {
		so_far += row->within[i];
		buffer_append_str(out,
				  "trunkline_http_request_seconds_bucket{");
		labels_append(traffic, index, out);
		buffer_printf(out, ",le=\"%s\"} %llu\n",
			      i < BOUNDS ? bounds[i].text : "+Inf", so_far);
	}
	buffer_append_str(out, "trunkline_http_request_seconds_sum{");
	labels_append(traffic, index, out);
	buffer_printf(out, "} %.6f\n", (double)row->sum_ns / 1e9);
	buffer_append_str(out, "trunkline_http_request_seconds_count{");
	labels_append(traffic, index, out);
	buffer_printf(out, "} %llu\n", (unsigned long long)row->count);
}

void traffic_append(const struct traffic *traffic, struct buffer *out)
{
	size_t rows = router_count(traffic->router) + 1;

	buffer_append_str(out,
			  "# HELP trunkline_http_requests_total REST calls "
			  "answered\n"
			  "# TYPE trunkline_http_requests_total counter\n");
	for (size_t i = 0; i < rows; i++)
		answers_append(traffic, i, out);
	buffer_append_str(out,
			  "# HELP trunkline_http_request_seconds Time from "
			  "request to answer\n"
			  "# TYPE trunkline_http_request_seconds histogram\n");
	for (size_t i = 0; i < rows; i++)
		histogram_append(traffic, i, out);
}
