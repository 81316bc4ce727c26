#include "services/common/secrets.h"

#include "turn.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_up(void)
{
	cr_assert(secrets_init());
}

TestSuite(secrets, .init = set_up);

Test(secrets, token_is_url_safe_and_new_each_time)
{
	char a[SECRETS_TOKEN_BYTES];
	char b[SECRETS_TOKEN_BYTES];

	secrets_token(a);
	secrets_token(b);
	cr_assert_eq(strlen(a), SECRETS_TOKEN_BYTES - 1);
	cr_assert_str_neq(a, b);
	for (const char *c = a; *c; c++)
		cr_assert(isalnum((unsigned char)*c) || *c == '-' || *c == '_');
}

/* FIPS 180-4, the one-block example of SHA-256. */
Test(secrets, token_digest_is_sha256)
{
	char digest[SECRETS_DIGEST_BYTES];

	secrets_token_digest(slice_str("abc"), digest);
	cr_assert_str_eq(digest, "ba7816bf8f01cfea414140de5dae2223"
				 "b00361a396177a9cb410ff61f20015ad");
}

/* SipHash's reference vectors of 128 bits: none and 15 bytes. */
Test(secrets, tag_is_siphash)
{
	static const unsigned char empty[SECRETS_TAG_BYTES] = {
		0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
		0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
	static const unsigned char fifteen[SECRETS_TAG_BYTES] = {
		0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11,
		0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9};
	unsigned char bytes[SECRETS_TAG_KEY_BYTES];
	unsigned char tag[SECRETS_TAG_BYTES];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	secrets_tag(bytes, slice_of(bytes, 0), tag);
	cr_expect(secrets_equal(tag, empty, sizeof(tag)));
	secrets_tag(bytes, slice_of(bytes, 15), tag);
	cr_expect(secrets_equal(tag, fifteen, sizeof(tag)));
	cr_expect_not(secrets_equal(tag, empty, sizeof(tag)));
}

Test(secrets, random_is_new_each_time)
{
	unsigned char a[32] = {0};
	unsigned char b[32] = {0};

	secrets_random(a, sizeof(a));
	secrets_random(b, sizeof(b));
	cr_assert_not(secrets_equal(a, b, sizeof(a)));
}

struct outcome {
	bool done;
	bool good;
	char hash[SECRETS_PASSWORD_BYTES];
};

static void on_password(void *arg, bool good, const char *hash)
{
	struct outcome *outcome = arg;

	outcome->done = true;
	outcome->good = good;
	if (hash)
		snprintf(outcome->hash, sizeof(outcome->hash), "%s", hash);
}

static void await(struct loop *loop, const struct outcome *outcome)
{
	TURN_UNTIL(loop, outcome->done);
}

static bool check(struct loop *loop, const char *password, const char *hash)
{
	struct outcome outcome = {0};

	secrets_password_check(loop, slice_str(password), hash, on_password,
			       &outcome);
	await(loop, &outcome);
	cr_assert_str_empty(outcome.hash);
	return outcome.good;
}

Test(secrets, password_hash_and_check)
{
	struct loop *loop = loop_new();
	struct outcome made = {0};
	char password[] = "correct horse";

	secrets_password_hash(loop, slice_str(password), on_password, &made);
	/* It was copied: what becomes of the caller's does not matter. */
	secrets_wipe(password, sizeof(password));
	await(loop, &made);
	cr_assert(made.good);
	cr_assert_eq(strncmp(made.hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31),
		     0);

	cr_assert(check(loop, "correct horse", made.hash));
	cr_assert_not(check(loop, "correct horsf", made.hash));
	cr_assert_not(check(loop, "", made.hash));
	cr_assert_not(check(loop, "correct horse", NULL));
	cr_assert_not(check(loop, "correct horse", "no hash"));
	cr_assert_not(check(loop, "correct horse", ""));
	loop_free(loop);
}

struct place {
	char directory[64];
	char path[80];
};

static void place_make(struct place *place)
{
	strcpy(place->directory, "/tmp/trunkline-secrets-XXXXXX");
	cr_assert_not_null(mkdtemp(place->directory));
	snprintf(place->path, sizeof(place->path), "%s/key", place->directory);
}

static void place_drop(const struct place *place)
{
	unlink(place->path);
	/* Fails where a temporary file was left behind. */
	cr_assert_eq(rmdir(place->directory), 0);
}

static void file_write(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(secrets, key_is_made_once_and_private)
{
	struct place place;
	struct secrets_key *first = NULL;
	struct secrets_key *second = NULL;
	struct buffer sealed = {0};
	struct buffer clear = {0};
	struct stat status;

	place_make(&place);
	cr_assert_eq(secrets_key_load(place.path, &first, NULL), ERR_OK);
	cr_assert_eq(stat(place.path, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);

	cr_assert_eq(secrets_key_load(place.path, &second, NULL), ERR_OK);
	secrets_seal(first, slice_str("s3cret"), &sealed);
	cr_assert(secrets_open(second, buffer_slice(&sealed), &clear));
	cr_assert(slice_is(buffer_slice(&clear), "s3cret"));

	buffer_fini(&sealed);
	buffer_fini(&clear);
	secrets_key_free(first);
	secrets_key_free(second);
	place_drop(&place);
}

#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

Test(secrets, key_file_rules)
{
	static const struct {
		const char *name;
		const char *text;
		mode_t mode;
		enum err_code code;
	} rows[] = {
		{"with line end", HEX64 "\n", 0600, ERR_OK},
		{"without line end", HEX64, 0400, ERR_OK},
		{"group may read", HEX64 "\n", 0640, ERR_VALIDATE},
		{"others may read", HEX64 "\n", 0604, ERR_VALIDATE},
		{"empty", "", 0600, ERR_VALIDATE},
		{"short", "0011\n", 0600, ERR_VALIDATE},
		{"long", HEX64 "00\n", 0600, ERR_VALIDATE},
		{"two line ends", HEX64 "\n\n", 0600, ERR_VALIDATE},
		{"no hex", "zz" HEX64 "\n", 0600, ERR_VALIDATE},
	};
	struct place place;

	place_make(&place);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secrets_key *key = NULL;
		struct err err = {0};

		unlink(place.path);
		file_write(place.path, rows[i].text, rows[i].mode);
		cr_assert_eq(secrets_key_load(place.path, &key, &err),
			     rows[i].code, "%s: %s", rows[i].name, err.text);
		cr_assert_eq(key != NULL, rows[i].code == ERR_OK, "%s",
			     rows[i].name);
		secrets_key_free(key);
	}
	place_drop(&place);
}

/* Keyed BLAKE2b by Python's hashlib. */
Test(secrets, key_derived_for_a_purpose)
{
	static const unsigned char expected[SECRETS_TAG_KEY_BYTES] = {
		0x2b, 0x9f, 0xa4, 0xf9, 0x24, 0x08, 0x61, 0xbe,
		0xea, 0xd0, 0x04, 0x05, 0x4a, 0x50, 0xfa, 0x15};
	struct place place;
	struct secrets_key *key = NULL;
	unsigned char derived[SECRETS_TAG_KEY_BYTES];

	place_make(&place);
	file_write(place.path, HEX64, 0600);
	cr_assert_eq(secrets_key_load(place.path, &key, NULL), ERR_OK);
	secrets_key_derive(key, "nonce", derived);
	cr_expect(secrets_equal(derived, expected, sizeof(derived)));
	secrets_key_derive(key, "nonce2", derived);
	cr_expect_not(secrets_equal(derived, expected, sizeof(derived)));
	secrets_key_free(key);
	place_drop(&place);
}

/* Likewise; no part of it is the key of that purpose. */
Test(secrets, digest_with_a_key)
{
	static const char expected[] = "07fc25dbdf491ef545effe082cfb9099"
				       "3b3af80a7470346d0c099f841a501c9b";
	struct place place;
	struct secrets_key *key = NULL;
	char digest[SECRETS_DIGEST_BYTES];

	place_make(&place);
	file_write(place.path, HEX64, 0600);
	cr_assert_eq(secrets_key_load(place.path, &key, NULL), ERR_OK);
	secrets_key_digest(key, slice_str("nonce"), digest);
	cr_expect_str_eq(digest, expected);
	secrets_key_free(key);
	place_drop(&place);
}

Test(secrets, key_in_no_directory)
{
	struct secrets_key *key = NULL;
	struct err err = {0};

	cr_assert_eq(secrets_key_load("/nowhere/at/all/key", &key, &err),
		     ERR_VALIDATE);
	cr_assert_null(key);
	cr_assert_not_null(strstr(err.text, "/nowhere/at/all/key"));
}

Test(secrets, seal_and_open)
{
	struct place place;
	struct secrets_key *key = NULL;
	char longest[SECRETS_CLEAR_MAX];

	memset(longest, 'x', sizeof(longest));

	const struct slice rows[] = {
		slice_str(""),
		slice_str("p"),
		slice_of("a\0b", 3),
		slice_of(longest, sizeof(longest)),
	};

	place_make(&place);
	cr_assert_eq(secrets_key_load(place.path, &key, NULL), ERR_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer sealed = {0};
		struct buffer again = {0};
		struct buffer clear = {0};

		secrets_seal(key, rows[i], &sealed);
		secrets_seal(key, rows[i], &again);
		cr_assert_not(
			slice_eq(buffer_slice(&sealed), buffer_slice(&again)),
			"row %zu: the nonce repeats", i);
		buffer_append_str(&clear, "before ");
		cr_assert(secrets_open(key, buffer_slice(&sealed), &clear));
		cr_assert(slice_starts(buffer_slice(&clear),
				       slice_str("before ")));
		cr_assert(slice_eq(slice_of(clear.data + 7, clear.size - 7),
				   rows[i]));
		buffer_fini(&sealed);
		buffer_fini(&again);
		buffer_fini(&clear);
	}
	secrets_key_free(key);
	place_drop(&place);
}

Test(secrets, open_refuses_what_it_did_not_seal)
{
	struct place place;
	struct secrets_key *key = NULL;
	struct buffer sealed = {0};
	struct buffer clear = {0};

	place_make(&place);
	cr_assert_eq(secrets_key_load(place.path, &key, NULL), ERR_OK);
	secrets_seal(key, slice_str("s3cret"), &sealed);

	/* Every byte counts. */
	for (size_t i = 0; i < sealed.size; i++) {
		char was = sealed.data[i];

		sealed.data[i] = was == '0' ? '1' : '0';
		cr_assert_not(secrets_open(key, buffer_slice(&sealed), &clear),
			      "digit %zu", i);
		sealed.data[i] = was;
	}
	for (size_t size = 0; size < sealed.size; size++)
		cr_assert_not(
			secrets_open(key, slice_of(sealed.data, size), &clear),
			"cut to %zu", size);
	buffer_append_str(&sealed, "00");
	cr_assert_not(secrets_open(key, buffer_slice(&sealed), &clear));
	cr_assert_not(secrets_open(key, slice_str("no hex"), &clear));
	cr_assert_eq(clear.size, 0);

	buffer_fini(&sealed);
	buffer_fini(&clear);
	secrets_key_free(key);
	place_drop(&place);
}

Test(secrets, random_hex)
{
	char first[2 * SECRETS_RANDOM_HEX_MAX + 1];
	char second[sizeof(first)] = "#";

	cr_assert(secrets_init());
	secrets_random_hex(first, SECRETS_RANDOM_HEX_MAX);
	secrets_random_hex(second, 4);
	cr_expect_eq(strspn(first, "0123456789abcdef"), sizeof(first) - 1);
	cr_expect_eq(strlen(first), sizeof(first) - 1);
	cr_expect_eq(strspn(second, "0123456789abcdef"), 8);
	cr_expect_eq(strlen(second), 8);
	cr_expect_neq(memcmp(first, second, 8), 0);
}
