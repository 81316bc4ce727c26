#include "proto/resources/checks.h"

#include "proto/json.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

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

static bool address_read(int family, struct slice text,
			 struct in6_addr *address)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return inet_pton(family, copy, address) == 1;
}

static bool is_address(int family, struct slice text)
{
	struct in6_addr address;

	return address_read(family, text, &address);
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

static bool is_digits(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!isdigit((unsigned char)text.data[i]))
			return false;
	return text.size > 0;
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

/* In lower case; an IPv6 address, which has many forms, in that of RFC 5952:
 * else two tenants could have one address as their domain. */
static struct slice canonical_host(struct slice host, struct arena *arena)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (address_read(AF_INET6, host, &address) &&
	    inet_ntop(AF_INET6, &address, text, sizeof(text)))
		return slice_str(arena_strdup(arena, slice_str(text)));
	char *lower = arena_strdup(arena, host);

	for (size_t i = 0; i < host.size; i++)
		lower[i] = (char)tolower((unsigned char)lower[i]);
	return slice_of(lower, host.size);
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
	value->string = canonical_host(host, arena);
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

/* A number or range of a pool, in canonical form. */
struct did_entry {
	int64_t first, last;
	struct slice text;
};

static int by_first(const void *left, const void *right)
{
	const int64_t a = ((const struct did_entry *)left)->first;
	const int64_t b = ((const struct did_entry *)right)->first;

	return (a > b) - (a < b);
}

static struct did_entry did_entry_of(struct slice text)
{
	struct slice first, last = text;

	next(&last, '-', &first);
	const int64_t number = number_of(first, DID_DIGITS_MAX);

	return (struct did_entry){
		.first = number,
		.last = last.data ? number_of(last, DID_DIGITS_MAX) : number,
		.text = text,
	};
}

/* A number has no zero in front: equal ones are written alike. */
bool check_did_pool(const struct field *field, struct value *value,
		    struct arena *arena, char *reason, size_t size)
{
	if (!check_did_numbers(field, value, arena, reason, size))
		return false;
	if (value->kind != VALUE_STR)
		return true;
	struct slice rest = value->string, text;
	struct did_entry *entries =
		arena_alloc(arena, (rest.size / 2 + 1) * sizeof(*entries));
	size_t count = 0;

	while (next(&rest, ';', &text))
		entries[count++] = did_entry_of(text);
	qsort(entries, count, sizeof(*entries), by_first);
	for (size_t i = 1; i < count; i++) {
		if (entries[i].first > entries[i - 1].last)
			continue;
		snprintf(reason, size, "%.*s overlaps %.*s of the same pool",
			 SLICE_ARG(entries[i].text),
			 SLICE_ARG(entries[i - 1].text));
		return false;
	}
	return true;
}

bool check_did(const struct field *field, struct value *value,
	       struct arena *arena, char *reason, size_t size)
{
	(void)field;
	(void)arena;
	if (!is_did(value->string))
		return refuse(reason, size,
			      "must be 1 to 18 digits, the first not 0",
			      value->string);
	return true;
}

static bool say(char *reason, size_t size, const char *rule)
{
	snprintf(reason, size, "%s", rule);
	return false;
}

bool check_admin_name(const struct field *field, struct value *value,
		      struct arena *arena, char *reason, size_t size)
{
	const struct slice name = value->string;

	(void)field;
	(void)arena;
	if (!all(name, "_-'."))
		return say(reason, size,
			   "may have letters, digits and _ - ' .");
	if (name.data[0] == '.' || name.data[name.size - 1] == '.')
		return say(reason, size, "must not start or end with a period");
	return true;
}

bool check_account_name(const struct field *field, struct value *value,
			struct arena *arena, char *reason, size_t size)
{
	static const char *const reserved[] = {"admin", "system",
					       "administrator", "root"};
	const struct slice name = value->string;

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strlen(reserved[i]) == name.size &&
		    strncasecmp(reserved[i], name.data, name.size) == 0)
			return say(reason, size,
				   "is reserved for system administrators");
	return check_admin_name(field, value, arena, reason, size);
}

/* RFC 5322, 3.2.3: atoms of atext, joined by periods. */
static bool is_dot_atom(struct slice text)
{
	struct slice rest = text, atom;

	while (next(&rest, '.', &atom))
		if (!all(atom, "!#$%&'*+-/=?^_`{|}~"))
			return false;
	return true;
}

static bool is_email(struct slice address)
{
	struct slice local, host = address;

	next(&host, '@', &local);
	return host.data && is_dot_atom(local) && is_name(host);
}

bool check_email(const struct field *field, struct value *value,
		 struct arena *arena, char *reason, size_t size)
{
	(void)field;
	(void)arena;
	if (value->string.size == 0) {
		value->kind = VALUE_NULL;
		return true;
	}
	if (!is_email(value->string))
		return refuse(reason, size, "must be a mail address",
			      value->string);
	return true;
}

bool check_extension_number(const struct field *field, struct value *value,
			    struct arena *arena, char *reason, size_t size)
{
	enum { DIGITS_MIN = 3, DIGITS_MAX = 64 };

	const struct slice number = value->string;

	(void)field;
	(void)arena;
	if (number.size < DIGITS_MIN || number.size > DIGITS_MAX ||
	    !is_digits(number))
		return say(reason, size, "must be 3 to 64 digits");
	return true;
}

bool check_voicemail_pin(const struct field *field, struct value *value,
			 struct arena *arena, char *reason, size_t size)
{
	const struct slice pin = value->string;

	(void)field;
	(void)arena;
	if (!is_digits(pin))
		return say(reason, size, "must be digits");
	for (size_t i = 2; i < pin.size; i++) {
		const int step = pin.data[i] - pin.data[i - 1];

		if (step != pin.data[i - 1] - pin.data[i - 2])
			continue;
		if (step == 0)
			return say(reason, size,
				   "must not repeat a digit as in 111");
		if (step == 1 || step == -1)
			return say(reason, size,
				   "must not have digits that count as in 012");
	}
	return true;
}

bool check_dialled_number(const struct field *field, struct value *value,
			  struct arena *arena, char *reason, size_t size)
{
	struct slice number = value->string;

	(void)field;
	(void)arena;
	if (number.size == 0) {
		value->kind = VALUE_NULL;
		return true;
	}
	if (number.data[0] == '+')
		number = slice_of(number.data + 1, number.size - 1);
	if (!is_digits(number))
		return say(reason, size,
			   "must be digits, with or without a + in front");
	return true;
}

bool check_clock(const struct field *field, struct value *value,
		 struct arena *arena, char *reason, size_t size)
{
	const struct slice clock = value->string;

	(void)field;
	(void)arena;
	if (clock.size != 5 || clock.data[2] != ':' ||
	    !is_digits(slice_of(clock.data, 2)) ||
	    !is_digits(slice_of(clock.data + 3, 2)) ||
	    memcmp(clock.data, "23", 2) > 0 || clock.data[3] > '5')
		return say(reason, size, "must be HH:MM of 24 hours");
	return true;
}

bool check_language(const struct field *field, struct value *value,
		    struct arena *arena, char *reason, size_t size)
{
	enum { SUBTAG_CHARS_MAX = 8 };

	struct slice rest = value->string, subtag;
	bool good = rest.size >= 2 && isalpha((unsigned char)rest.data[0]) &&
		    isalpha((unsigned char)rest.data[1]);

	(void)field;
	(void)arena;
	while (next(&rest, '-', &subtag))
		good = good && all(subtag, "") &&
		       subtag.size <= SUBTAG_CHARS_MAX;
	if (!good)
		return refuse(reason, size, "must be a language tag",
			      value->string);
	return true;
}

bool check_email_list(const struct field *field, struct value *value,
		      struct arena *arena, char *reason, size_t size)
{
	enum { ADDRESSES_MAX = 15 };

	struct slice rest = value->string, address;
	struct buffer list = {0};
	size_t count = 0;
	bool good = true;

	(void)field;
	while (good && next(&rest, ',', &address)) {
		address = slice_trim(address);
		if (address.size == 0)
			continue;
		good = is_email(address);
		if (!good)
			refuse(reason, size,
			       "must be mail addresses joined by "
			       "','",
			       address);
		buffer_append_str(&list, count++ > 0 ? "," : "");
		buffer_append_slice(&list, address);
	}
	if (count > ADDRESSES_MAX)
		good = say(reason, size, "must be at most 15 mail addresses");
	if (count == 0)
		value->kind = VALUE_NULL;
	else
		value->string = slice_of(
			arena_strdup(arena, buffer_slice(&list)), list.size);
	buffer_fini(&list);
	return good;
}

bool check_domain(const struct field *field, struct value *value,
		  struct arena *arena, char *reason, size_t size)
{
	struct slice *host = &value->string;

	if (!check_host(field, value, arena, reason, size))
		return false;
	if (host->data[host->size - 1] == '.')
		host->size--;
	return true;
}

bool check_quota(const struct field *field, struct value *value,
		 struct arena *arena, char *reason, size_t size)
{
	static const char *const units[] = {"KB", "MB", "GB", "TB", "PB"};
	const struct slice quota = value->string;
	bool good = quota.size > 2 && quota.data[0] != '0' &&
		    is_digits(slice_of(quota.data, quota.size - 2));
	bool known = quota.size == 0;

	(void)field;
	(void)arena;
	for (size_t i = 0; good && i < sizeof(units) / sizeof(units[0]); i++)
		known = known ||
			slice_is(slice_of(quota.data + quota.size - 2, 2),
				 units[i]);
	if (!known)
		return refuse(reason, size,
			      "must be a positive number with KB, MB, GB, TB "
			      "or PB, such as 100MB, or empty",
			      quota);
	return true;
}

bool check_json(const struct field *field, struct value *value,
		struct arena *arena, char *reason, size_t size)
{
	struct buffer wire = {0};
	struct err err;

	(void)field;
	(void)arena;
	if (value->string.size == 0) {
		value->kind = VALUE_NULL;
		return true;
	}
	const enum err_code code = json_to_msgpack(value->string, &wire, &err);

	buffer_fini(&wire);
	if (code != ERR_OK)
		return say(reason, size, "must be a JSON text");
	return true;
}

bool check_hook_name(const struct field *field, struct value *value,
		     struct arena *arena, char *reason, size_t size)
{
	enum { CHARS_MIN = 6 };

	const struct slice name = value->string;

	(void)field;
	(void)arena;
	if (name.size == 0) {
		value->kind = VALUE_NULL;
		return true;
	}
	/* Passwords too: what was sent is not told. */
	bool good = name.size >= CHARS_MIN;

	for (size_t i = 0; i < name.size; i++)
		good = good && (islower((unsigned char)name.data[i]) ||
				isdigit((unsigned char)name.data[i]));
	if (!good)
		return say(reason, size,
			   "must be 6 to 64 lower case letters and digits");
	return true;
}

bool check_http_url(const struct field *field, struct value *value,
		    struct arena *arena, char *reason, size_t size)
{
	static const struct slice schemes[] = {SLICE("http://"),
					       SLICE("https://")};
	const struct slice url = value->string;
	bool good = false;

	(void)field;
	(void)arena;
	if (url.size == 0) {
		value->kind = VALUE_NULL;
		return true;
	}
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		good = good || (slice_starts(url, schemes[i]) &&
				url.size > schemes[i].size &&
				url.data[schemes[i].size] != '/');
	for (size_t i = 0; i < url.size; i++)
		good = good && url.data[i] > ' ' && url.data[i] < 0x7f;
	if (!good)
		return refuse(reason, size, "must be an http or https URL",
			      url);
	return true;
}
