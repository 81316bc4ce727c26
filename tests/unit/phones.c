#include "services/registrar/phones.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>

enum {
	TOLD_BYTES = 256,
	MANY_USERS = 100000,
	/* What all users of an installation may take here, bytes each: with the
	 * allocator's own, two nodes and two short texts. */
	USER_BYTES_MAX = 160,
};

static struct {
	struct phones *phones;
	char told[TOLD_BYTES];
} bench;

static void on_user_gone(void *arg, struct slice aor)
{
	char *told = arg;
	const size_t size = strlen(told);

	snprintf(told + size, TOLD_BYTES - size, "%.*s ", SLICE_ARG(aor));
}

static void on_tenant_gone(void *arg, int64_t id)
{
	char *told = arg;
	const size_t size = strlen(told);

	snprintf(told + size, TOLD_BYTES - size, "%d ", (int)id);
}

static void set_up(void)
{
	const struct phones_listener listener = {
		.on_user_gone = on_user_gone,
		.on_tenant_gone = on_tenant_gone,
		.arg = bench.told,
	};

	bench.phones = phones_new(&listener);
}

static void tear_down(void)
{
	phones_free(bench.phones);
}

TestSuite(phones, .init = set_up, .fini = tear_down);

static void tenant(int64_t id, const char *domain, bool enabled)
{
	phones_tenant_set(bench.phones, id, domain, enabled);
}

static void user(int64_t id, int64_t tenant_id, const char *extension,
		 const char *password, bool enabled)
{
	const struct phones_user set = {.id = id,
					.tenant_id = tenant_id,
					.extension = extension,
					.password = password,
					.enabled = enabled};

	phones_user_set(bench.phones, &set);
}

/* The id of the account; 0: there is none. */
static int64_t found(const char *domain, const char *extension)
{
	struct phones_account phone, same;

	if (!phones_find(bench.phones, domain, extension, &phone))
		return 0;
	cr_expect_str_eq(phone.domain, domain);
	cr_expect_str_eq(phone.extension, extension);
	cr_expect(phones_get(bench.phones, phone.user_id, &same));
	cr_expect_eq(same.tenant_id, phone.tenant_id);
	return phone.user_id;
}

#define TOLD(text)                                                             \
	do {                                                                   \
		cr_expect_str_eq(bench.told, text);                            \
		bench.told[0] = '\0';                                          \
	} while (0)

Test(phones, accounts_by_domain_and_number)
{
	struct phones_account phone;

	user(21, 1, "100", "one", true); /* before its tenant */
	cr_expect_eq(found("a.example", "100"), 0);
	tenant(1, "a.example", true);
	tenant(2, "b.example", true);
	user(22, 2, "100", "two", true);
	cr_expect_eq(found("a.example", "100"), 21);
	cr_expect_eq(found("b.example", "100"), 22);
	cr_expect_eq(found("b.example", "101"), 0);
	cr_expect_eq(found("c.example", "100"), 0);
	cr_assert(phones_find(bench.phones, "b.example", "100", &phone));
	cr_expect_str_eq(phone.password, "two");
	cr_expect_eq(phone.tenant_id, 2);
	cr_expect(phones_domain(bench.phones, "a.example"));
	cr_expect_not(phones_domain(bench.phones, "c.example"));
	cr_expect_eq(phones_users(bench.phones), 2);
	TOLD("");
}

Test(phones, users_that_go)
{
	tenant(1, "a.example", true);
	user(21, 1, "100", "one", true);
	user(21, 1, "100", "new", true); /* the password alone */
	TOLD("");
	user(21, 1, "101", "new", true);
	TOLD("100@a.example ");
	cr_expect_eq(found("a.example", "100"), 0);
	cr_expect_eq(found("a.example", "101"), 21);
	user(21, 1, "101", "new", false);
	TOLD("101@a.example ");
	cr_expect_eq(found("a.example", "101"), 0);
	user(21, 1, "102", "new", false);
	TOLD("");
	user(21, 1, "102", "new", true);
	phones_user_remove(bench.phones, 21);
	phones_user_remove(bench.phones, 21);
	TOLD("102@a.example ");
	cr_expect_eq(phones_users(bench.phones), 0);
}

/* The old one may be heard of after the new one. */
Test(phones, made_again_with_the_same_number)
{
	tenant(1, "a.example", true);
	user(21, 1, "100", "one", false);
	user(22, 1, "100", "two", true);
	cr_expect_eq(found("a.example", "100"), 22);
	phones_user_remove(bench.phones, 21);
	cr_expect_eq(found("a.example", "100"), 22);
	TOLD("");
}

Test(phones, tenants_that_go)
{
	tenant(1, "a.example", true);
	user(21, 1, "100", "one", true);
	tenant(1, "a.example", true);
	TOLD("");
	tenant(1, "b.example", true);
	TOLD("1 ");
	cr_expect_eq(found("a.example", "100"), 0);
	cr_expect_eq(found("b.example", "100"), 21);
	tenant(1, "b.example", false);
	TOLD("1 ");
	cr_expect_eq(found("b.example", "100"), 0);
	/* It stays a realm, and its users go without a word each. */
	cr_expect(phones_domain(bench.phones, "b.example"));
	user(21, 1, "100", "one", false);
	tenant(1, "c.example", false);
	TOLD("");
	tenant(1, "c.example", true);
	user(21, 1, "100", "one", true);
	cr_expect_eq(found("c.example", "100"), 21);
	phones_tenant_remove(bench.phones, 1);
	phones_tenant_remove(bench.phones, 1);
	TOLD("1 ");
	cr_expect_eq(found("c.example", "100"), 0);
	cr_expect_not(phones_domain(bench.phones, "c.example"));
	phones_user_remove(bench.phones, 21);
	TOLD("");
}

/* A domain that goes from one tenant to another, in either order. */
Test(phones, a_domain_changes_hands)
{
	tenant(1, "a.example", true);
	tenant(2, "b.example", true);
	user(21, 1, "100", "one", true);
	user(22, 2, "200", "two", true);
	tenant(1, "c.example", true);
	tenant(2, "a.example", true);
	cr_expect_eq(found("a.example", "100"), 0);
	cr_expect_eq(found("a.example", "200"), 22);
	cr_expect_eq(found("c.example", "100"), 21);
	TOLD("1 2 ");
}

static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

Test(phones, many_users)
{
	char extension[16], domain[32];
	const size_t before = allocated();

	for (int i = 1; i <= 100; i++) {
		snprintf(domain, sizeof(domain), "t%d.example", i);
		tenant(i, domain, true);
	}
	for (int i = 0; i < MANY_USERS; i++) {
		snprintf(extension, sizeof(extension), "%06d", i);
		user(1000 + i, 1 + i % 100, extension, "Hx4!rT8#bN3q", true);
	}
	cr_expect_eq(phones_users(bench.phones), MANY_USERS);
	cr_expect_eq(found("t1.example", "000000"), 1000);
	cr_expect_eq(found("t100.example", "099999"), 1000 + 99999);
	cr_expect_eq(found("t2.example", "099999"), 0);
	/* 0 where a sanitizer's allocator counts otherwise. */
	cr_expect_leq((allocated() - before) / MANY_USERS, USER_BYTES_MAX);
}
