#ifndef REGISTRAR_PHONES_H
#define REGISTRAR_PHONES_H

/*
 * The phones that may register: users of tenants, as extension_number at the
 * tenant's domain. Tenants and users come in any order; a user whose tenant is
 * not there, or is disabled, is kept and is nobody's account meanwhile.
 *
 * Every user of every tenant is here: 100 000 of them take some 10 MB.
 */

#include "proto/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct phones;

/* Told of each change that took accounts away: what they had bound is no more
 * theirs. After it is in the tables. */
struct phones_listener {
	/* One address of record: its user was disabled, renumbered, removed. */
	void (*on_user_gone)(void *arg, struct slice aor);
	/* All of a tenant: disabled, renamed, removed. */
	void (*on_tenant_gone)(void *arg, int64_t id);
	void *arg;
};

struct phones *phones_new(const struct phones_listener *listener);
void phones_free(struct phones *phones);

/* domain: lower case. Texts are copied. */
void phones_tenant_set(struct phones *phones, int64_t id, const char *domain,
		       bool enabled);
void phones_tenant_remove(struct phones *phones, int64_t id);

struct phones_user {
	int64_t id;
	int64_t tenant_id;
	const char *extension;
	const char *password; /* in clear: a digest needs it; never logged */
	bool enabled;
};

void phones_user_set(struct phones *phones, const struct phones_user *user);
void phones_user_remove(struct phones *phones, int64_t id);

/* An account. The texts are good until the next change. */
struct phones_account {
	int64_t user_id;
	int64_t tenant_id;
	const char *extension;
	const char *domain;
	const char *password;
};

/* Each false: there is none that may register. O(1). */
bool phones_find(const struct phones *phones, const char *domain,
		 const char *extension, struct phones_account *out);
bool phones_get(const struct phones *phones, int64_t user_id,
		struct phones_account *out);

/* False: there is no such tenant, or it is not known yet. */
bool phones_tenant(const struct phones *phones, int64_t id, bool *enabled);

/* A tenant has this domain, enabled or not. */
bool phones_domain(const struct phones *phones, const char *domain);

void phones_aor_append(struct buffer *out, const struct phones_account *phone);

size_t phones_users(const struct phones *phones);

#endif
