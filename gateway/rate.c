#include "gateway/rate.h"

#include "proto/mem.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* A subnet, as one site or machine is given it (RFC 4291 section 2.5.4). */
enum { IPV6_NET_BYTES = 8 };

/* A zeroed one is free: over for ever, and no text has its tag. */
struct window {
	unsigned char tag[SECRETS_TAG_BYTES];
	uint64_t ends_ms;
	uint32_t count;
};

struct table {
	struct window sets[RATE_SETS][RATE_WAYS];
};

struct rate {
	uint32_t per_minute;
	uint64_t limited;
	/* Nobody outside knows it, so nobody can aim at a set. */
	unsigned char key[SECRETS_TAG_KEY_BYTES];
	struct table tokens;
	struct table addresses;
};

struct rate *rate_new(uint32_t per_minute, struct metrics *metrics)
{
	struct rate *rate = mem_alloc(sizeof(*rate));

	rate->per_minute = per_minute;
	secrets_random(rate->key, sizeof(rate->key));
	metrics_add(metrics, METRICS_COUNTER, "rate_limited_total",
		    "REST calls refused because of rate_limit", &rate->limited);
	return rate;
}

void rate_free(struct rate *rate)
{
	if (!rate)
		return;
	secrets_wipe(rate->key, sizeof(rate->key));
	free(rate);
}

/* ---- tables ---- */

static struct window *set_of(struct table *table, const unsigned char *tag)
{
	uint32_t index;

	memcpy(&index, tag, sizeof(index));
	return table->sets[index % RATE_SETS];
}

static struct window *table_find(struct table *table, const unsigned char *tag)
{
	struct window *set = set_of(table, tag);

	for (size_t i = 0; i < RATE_WAYS; i++)
		if (memcmp(set[i].tag, tag, SECRETS_TAG_BYTES) == 0)
			return &set[i];
	return NULL;
}

static struct window *table_take(struct table *table, const unsigned char *tag)
{
	struct window *window = table_find(table, tag);
	if (window)
		return window;
	struct window *set = set_of(table, tag);
	window = set;
	for (size_t i = 1; i < RATE_WAYS; i++)
		if (set[i].ends_ms < window->ends_ms)
			window = &set[i];
	memset(window, 0, sizeof(*window));
	memcpy(window->tag, tag, SECRETS_TAG_BYTES);
	return window;
}

/* ---- windows ---- */

/* 0, or the seconds until the window is over. */
static uint32_t window_count(const struct rate *rate, struct window *window,
			     uint64_t now_ms)
{
	if (now_ms >= window->ends_ms) {
		window->ends_ms = now_ms + RATE_WINDOW_MS;
		window->count = 0;
	}
	if (window->count < rate->per_minute) {
		window->count++;
		return 0;
	}
	return (uint32_t)((window->ends_ms - now_ms + 999) / 1000);
}

/* Of the window it was counted in, which may be over, or given up. */
static void window_give_back(struct window *window, uint64_t ends_ms)
{
	if (window->ends_ms == ends_ms && window->count > 0)
		window->count--;
}

/* ---- requests ---- */

static uint32_t refuse(struct rate *rate, uint32_t wait_s)
{
	rate->limited += wait_s > 0;
	return wait_s;
}

static void address_tag(const struct rate *rate, const char *address,
			unsigned char *tag)
{
	struct in6_addr ipv6;
	struct slice text = slice_str(address);

	if (memchr(text.data, ':', text.size) &&
	    inet_pton(AF_INET6, address, &ipv6) == 1) {
		memset(ipv6.s6_addr + IPV6_NET_BYTES, 0,
		       sizeof(ipv6.s6_addr) - IPV6_NET_BYTES);
		/* Longer than any IPv4 text, hence never the same. */
		text = slice_of((const char *)&ipv6, sizeof(ipv6));
	}
	secrets_tag(rate->key, text, tag);
}

static struct window *address_window(struct rate *rate, const char *address)
{
	unsigned char tag[SECRETS_TAG_BYTES];

	address_tag(rate, address, tag);
	return table_take(&rate->addresses, tag);
}

uint32_t rate_address(struct rate *rate, const char *address, uint64_t now_ms)
{
	if (rate->per_minute == 0)
		return 0;
	return refuse(rate, window_count(rate, address_window(rate, address),
					 now_ms));
}

uint32_t rate_token(struct rate *rate, struct slice token, const char *address,
		    uint64_t now_ms, struct rate_charge *charge)
{
	if (rate->per_minute == 0)
		return 0;
	secrets_tag(rate->key, token, charge->tag);

	struct window *window = table_find(&rate->tokens, charge->tag);
	charge->known = window != NULL;
	if (!window)
		window = address_window(rate, address);
	const uint32_t wait_s = window_count(rate, window, now_ms);
	charge->ends_ms = window->ends_ms;
	return refuse(rate, wait_s);
}

/* It was good once and is no more: signed out, or expired. */
static void token_forget(struct rate *rate, const unsigned char *tag)
{
	struct window *window = table_find(&rate->tokens, tag);

	if (window)
		memset(window, 0, sizeof(*window));
}

uint32_t rate_proved(struct rate *rate, const struct rate_charge *charge,
		     const char *address, bool good, uint64_t now_ms)
{
	if (rate->per_minute == 0 || good == charge->known)
		return 0;

	struct window *window = address_window(rate, address);
	if (good) {
		window_give_back(window, charge->ends_ms);
		window = table_take(&rate->tokens, charge->tag);
		return refuse(rate, window_count(rate, window, now_ms));
	}
	token_forget(rate, charge->tag);
	window_count(rate, window, now_ms);
	return 0;
}
