#include "proto/resources/checks.h"

#include "proto/buffer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

static bool refuse(char *reason, size_t size, const char *rule,
		   struct slice found)
{
	/* A list may be long: its faulty entry is told, cut. */
	enum { FOUND_BYTES_MAX = 48 };

	if (found.size > FOUND_BYTES_MAX)
		found.size = FOUND_BYTES_MAX;
	snprintf(reason, size, "%s: '%.*s'", rule, SLICE_ARG(found));
	return false;
}

static bool all(struct slice text, const char *allowed)
{
	for (size_t i = 0; i < text.size; i++)
		if (!isalnum((unsigned char)text.data[i]) &&
		    !strchr(allowed, text.data[i]))
			return false;
	return text.size > 0;
}

bool check_token(const struct field *field, struct value *value,
		 struct arena *arena, char *reason, size_t size)
{
	(void)field;
	(void)arena;
	if (all(value->string, "-.!%*_+`'~"))
		return true;
	return refuse(reason, size, "must be a SIP token", value->string);
}

static bool is_address(int family, struct slice text)
{
	char address[INET6_ADDRSTRLEN];
	unsigned char bytes[sizeof(struct in6_addr)];

	if (text.size >= sizeof(address))
		return false;
	memcpy(address, text.data, text.size);
	address[text.size] = '\0';
	return inet_pton(family, address, bytes) == 1;
}

static bool is_label(struct slice label)
{
	/* RFC 1035, 2.3.4 */
	enum { LABEL_BYTES_MAX = 63 };

	return label.size <= LABEL_BYTES_MAX && all(label, "-_") &&
	       label.data[0] != '-' && label.data[label.size - 1] != '-';
}

/* Cuts the text up to the separator off the front of *rest. False at the end.
 */
static bool next(struct slice *rest, char separator, struct slice *part)
{
	*part = (struct slice){0};
	if (!rest->data)
		return false;
	const char *end = memchr(rest->data, separator, rest->size);

	part->data = rest->data;
	part->size = end ? (size_t)(end - rest->data) : rest->size;
	rest->size -= part->size + (end ? 1 : 0);
	rest->data = end ? end + 1 : NULL;
	return true;
}

/* All digits and dots: meant as an IPv4 address, never a name. */
static bool is_dotted(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!isdigit((unsigned char)text.data[i]) &&
		    text.data[i] != '.')
			return false;
	return true;
}

static bool is_name(struct slice name)
{
	struct slice rest = name, label;

	if (is_dotted(name))
		return false;
	/* The root's dot of an absolute name. */
	if (rest.size > 1 && rest.data[rest.size - 1] == '.')
		rest.size--;
	while (next(&rest, '.', &label))
		if (!is_label(label))
			return false;
	return true;
}

bool check_host(const struct field *field, struct value *value,
		struct arena *arena, char *reason, size_t size)
{
	struct slice host = value->string;

	(void)field;
	if (host.size > 2 && host.data[0] == '[' &&
	    host.data[host.size - 1] == ']') {
		host = slice_of(host.data + 1, host.size - 2);
		if (!is_address(AF_INET6, host))
			return refuse(reason, size, "must be an IPv6 address",
				      host);
	} else if (!is_address(AF_INET, host) && !is_address(AF_INET6, host) &&
		   !is_name(host)) {
		return refuse(reason, size, "must be a host name or IP address",
			      host);
	}
	char *lower = arena_strdup(arena, host);

	for (size_t i = 0; i < host.size; i++)
		lower[i] = (char)tolower((unsigned char)lower[i]);
	value->string = slice_of(lower, host.size);
	return true;
}

/* The value of 1 to digits_max digits, or -1. */
static int64_t number_of(struct slice text, size_t digits_max)
{
	int64_t number = 0;

	if (text.size == 0 || text.size > digits_max)
		return -1;
	for (size_t i = 0; i < text.size; i++) {
		if (!isdigit((unsigned char)text.data[i]))
			return -1;
		number = number * 10 + (text.data[i] - '0');
	}
	return number;
}

static bool is_cidr(struct slice entry)
{
	struct slice address, rest = entry;
	int64_t bits = 0;

	next(&rest, '/', &address);
	if (rest.data)
		bits = number_of(rest, 3);
	return bits >= 0 && ((bits <= 32 && is_address(AF_INET, address)) ||
			     (bits <= 128 && is_address(AF_INET6, address)));
}

static bool is_did(struct slice did)
{
	return number_of(did, DID_DIGITS_MAX) >= 0 && did.data[0] != '0';
}

static bool is_did_entry(struct slice entry)
{
	struct slice first, last = entry;

	next(&last, '-', &first);
	first = slice_trim(first);
	if (!last.data)
		return is_did(first);
	last = slice_trim(last);
	return is_did(first) && is_did(last) && first.size == last.size &&
	       memcmp(first.data, last.data, first.size) <= 0;
}

/* Checks each entry of a list and puts the list without spaces in its place. */
static bool check_list(struct value *value, struct arena *arena,
		       bool (*good)(struct slice entry), const char *rule,
		       char *reason, size_t size)
{
	struct slice rest = value->string, entry;
	char *canonical = arena_alloc(arena, rest.size + 1);
	size_t used = 0;

	while (next(&rest, ';', &entry)) {
		entry = slice_trim(entry);
		if (entry.size == 0)
			continue;
		if (!good(entry))
			return refuse(reason, size, rule, entry);
		if (used > 0)
			canonical[used++] = ';';
		for (size_t i = 0; i < entry.size; i++)
			if (entry.data[i] != ' ')
				canonical[used++] = entry.data[i];
	}
	*value = used == 0
			 ? (struct value){.kind = VALUE_NULL}
			 : (struct value){.kind = VALUE_STR,
					  .string = slice_of(canonical, used)};
	return true;
}

bool check_cidr_list(const struct field *field, struct value *value,
		     struct arena *arena, char *reason, size_t size)
{
	(void)field;
	return check_list(value, arena, is_cidr,
			  "must be CIDR blocks joined by ';'", reason, size);
}

bool check_did_numbers(const struct field *field, struct value *value,
		       struct arena *arena, char *reason, size_t size)
{
	(void)field;
	return check_list(
		value, arena, is_did_entry,
		"must be numbers or ranges a-b of 1 to 18 digits joined by "
		"';', none starting with 0 or +",
		reason, size);
}
