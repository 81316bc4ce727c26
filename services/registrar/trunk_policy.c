#include "services/registrar/trunk_policy.h"

/* In order; the first that fits. */
static const struct policy_rule rules[] = {
	{200, 299, POLICY_REGISTERED, POLICY_SOON},
	{300, 399, POLICY_FAIL, POLICY_SLOW},
	{401, 401, POLICY_CHALLENGE, POLICY_SLOW},
	{407, 407, POLICY_CHALLENGE, POLICY_SLOW},
	{408, 408, POLICY_NEXT, POLICY_SOON},
	{423, 423, POLICY_MIN_EXPIRES, POLICY_SLOW},
	{480, 480, POLICY_FAIL, POLICY_SOON},
	{486, 491, POLICY_FAIL, POLICY_SOON},
	/* Malformed, forbidden, unknown, not for us: ours or theirs to mend. */
	{400, 499, POLICY_FAIL, POLICY_SLOW},
	{501, 502, POLICY_NEXT, POLICY_SOON},
	{503, 504, POLICY_NEXT, POLICY_SOON},
	/* "Out of order" (RFC 3261 10.3, step 7) among them. */
	{500, 599, POLICY_FAIL, POLICY_SOON},
	{600, 699, POLICY_FAIL, POLICY_SLOW},
};

const struct policy_rule *policy_rule_of(unsigned status)
{
	size_t i = 0;

	while (i + 1 < sizeof(rules) / sizeof(*rules) &&
	       (status < rules[i].first || status > rules[i].last))
		i++;
	return &rules[i];
}

/* splitmix64. */
uint64_t policy_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* From low to high percent of a time. */
static uint64_t part(uint64_t ms, unsigned low, unsigned high, uint64_t *random)
{
	enum { STEPS = 1024 };
	const uint64_t steps = policy_random(random) % (STEPS + 1);

	return ms * low / 100 + ms * (high - low) / 100 * steps / STEPS;
}

uint64_t policy_backoff_ms(enum policy_pace pace, uint32_t failures,
			   uint32_t retry_after_s, uint64_t *random)
{
	const bool slow = pace == POLICY_SLOW;
	const uint64_t max_ms = slow ? POLICY_SLOW_MAX_MS : POLICY_SOON_MAX_MS;
	uint64_t ms = slow ? POLICY_SLOW_MIN_MS : POLICY_SOON_MIN_MS;

	for (uint32_t i = 1; i < failures && ms < max_ms; i++)
		ms *= 2;
	ms = part(ms < max_ms ? ms : max_ms, 75, 100, random);
	if (retry_after_s > POLICY_RETRY_AFTER_MAX_S)
		retry_after_s = POLICY_RETRY_AFTER_MAX_S;

	/* A carrier that asks 10 000 trunks to come back in 30 s does not want
	 * them all in the same second. */
	const uint64_t asked_ms =
		part((uint64_t)retry_after_s * 1000, 100, 110, random);

	return ms > asked_ms ? ms : asked_ms;
}

uint64_t policy_refresh_ms(uint32_t expires_s, uint64_t *random)
{
	const uint64_t ms = part((uint64_t)expires_s * 1000, 80, 90, random);

	return ms > POLICY_REFRESH_MIN_MS ? ms : POLICY_REFRESH_MIN_MS;
}

uint32_t policy_expires_s(uint32_t interval_s, uint32_t min_expires_s)
{
	if (interval_s == 0)
		interval_s = POLICY_EXPIRES_DEFAULT_S;
	if (interval_s < POLICY_EXPIRES_MIN_S)
		interval_s = POLICY_EXPIRES_MIN_S;
	if (interval_s < min_expires_s)
		interval_s = min_expires_s;
	return interval_s < POLICY_EXPIRES_MAX_S ? interval_s
						 : POLICY_EXPIRES_MAX_S;
}

bool policy_min_expires(const struct sip_message *response, uint32_t asked_s,
			uint32_t *min_s)
{
	uint32_t told_s;

	if (sip_message_number(response, SIP_MIN_EXPIRES, &told_s) != ERR_OK ||
	    told_s <= asked_s || told_s > POLICY_EXPIRES_MAX_S)
		return false;
	*min_s = told_s;
	return true;
}

/* What the Contacts of a response say of ours. */
struct contacts {
	unsigned count;
	bool found;		/* ours is among them */
	struct sip_address one; /* ours, else the last */
};

static struct contacts contacts_of(const struct sip_message *response,
				   struct slice contact)
{
	struct sip_list list = sip_list_of(response, SIP_CONTACT);
	struct contacts contacts = {0};
	struct sip_address address;
	struct sip_uri ours;

	if (sip_uri_decode(contact, &ours) != ERR_OK)
		return contacts;
	while (!contacts.found && sip_list_address(&list, &address) == ERR_OK) {
		if (address.star)
			continue;
		contacts.count++;
		contacts.one = address;
		contacts.found = sip_uri_eq(&address.uri, &ours);
	}
	return contacts;
}

uint32_t policy_granted_s(const struct sip_message *response,
			  struct slice contact, uint32_t asked_s)
{
	const struct contacts contacts = contacts_of(response, contact);
	uint32_t granted_s;

	if (!((contacts.found || contacts.count == 1) &&
	      sip_address_expires(&contacts.one, &granted_s) == ERR_OK) &&
	    sip_message_number(response, SIP_EXPIRES, &granted_s) != ERR_OK)
		return asked_s;
	return granted_s < asked_s ? granted_s : asked_s;
}
