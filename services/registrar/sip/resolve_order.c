#include "services/registrar/sip/resolve_order.h"

#include <stdlib.h>
#include <string.h>

/* splitmix64. Spreads load, keeps no secret. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int number_compare(unsigned a, unsigned b)
{
	return a < b ? -1 : a > b;
}

/* Name servers rotate their answers; host and port make the order before the
 * dice are thrown the same each time. */
static int srv_compare(const void *left, const void *right)
{
	const struct dns_srv *a = left;
	const struct dns_srv *b = right;
	int order = number_compare(a->priority, b->priority);

	if (order == 0)
		order = number_compare(a->weight, b->weight);
	if (order == 0)
		order = strcmp(a->host, b->host);
	return order ? order : number_compare(a->port, b->port);
}

/* RFC 2782: records of weight 0 stand first; "choose a uniform random number
 * between 0 and the sum computed (inclusive), and select the RR whose running
 * sum value is the first in the selected order which is greater than or equal
 * to the random number". */
static size_t choose(const struct dns_srv *group, size_t count, uint64_t *state)
{
	unsigned sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += group[i].weight;

	const unsigned wanted = (unsigned)(random_next(state) % (sum + 1));
	unsigned running = 0;
	size_t chosen = 0;

	for (; chosen < count - 1; chosen++) {
		running += group[chosen].weight;
		if (running >= wanted)
			break;
	}
	return chosen;
}

static void group_order(struct dns_srv *group, size_t count, uint64_t *state)
{
	for (; count > 1; group++, count--) {
		const size_t chosen = choose(group, count, state);
		const struct dns_srv first = group[chosen];

		memmove(group + 1, group, chosen * sizeof(*group));
		group[0] = first;
	}
}

void resolve_order(struct dns_srv *records, size_t count, uint64_t *state)
{
	qsort(records, count, sizeof(*records), srv_compare);
	for (size_t start = 0, end; start < count; start = end) {
		end = start + 1;
		while (end < count &&
		       records[end].priority == records[start].priority)
			end++;
		group_order(records + start, end - start, state);
	}
}
