#include "services/common/passwords.h"

#include "proto/mem.h"
#include "proto/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct password_policy password_policy_operator = {
	.min_length = 8,
	.max_length = 32,
	.contains_letters = true,
	.contains_numbers = true,
};

/* ---- what a policy asks ---- */

/* The shortest run that a policy refuses: 123, cba, 111. */
enum { RUN_CHARS = 3 };

/* What a password is made of. Letters are those of ASCII: what a keyboard of
 * another script types counts as a special character. */
struct makeup {
	int64_t length; /* characters */
	bool lower, upper, digit, special;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static char lowered(char c)
{
	return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static struct makeup makeup_of(struct slice password)
{
	struct makeup makeup = {0};

	for (struct slice rest = password; rest.size > 0; makeup.length++) {
		const char c = rest.data[0];
		const size_t size = utf8_char_size(rest);

		makeup.lower |= is_lower(c);
		makeup.upper |= is_upper(c);
		makeup.digit |= is_digit(c);
		makeup.special |= !is_lower(c) && !is_upper(c) && !is_digit(c);
		/* A byte that begins no character counts as one. */
		rest.data += size > 0 ? size : 1;
		rest.size -= size > 0 ? size : 1;
	}
	return makeup;
}

/* Whether b follows a in the alphabet or in counting, step apart. */
static bool follows(char a, char b, int step)
{
	const bool alike =
		(is_digit(a) && is_digit(b)) || (is_lower(a) && is_lower(b));

	return alike && b - a == step;
}

static bool has_sequence(struct slice password, int step)
{
	size_t run = 1;

	for (size_t i = 1; i < password.size; i++) {
		run = follows(lowered(password.data[i - 1]),
			      lowered(password.data[i]), step)
			      ? run + 1
			      : 1;
		if (run >= RUN_CHARS)
			return true;
	}
	return false;
}

static bool has_repetition(struct slice password)
{
	struct slice before = {0};
	size_t run = 0;

	for (struct slice rest = password; rest.size > 0;) {
		const size_t size = utf8_char_size(rest);
		const struct slice c = slice_of(rest.data, size > 0 ? size : 1);

		run = slice_eq(c, before) ? run + 1 : 1;
		if (run >= RUN_CHARS)
			return true;
		before = c;
		rest.data += c.size;
		rest.size -= c.size;
	}
	return false;
}

static bool has_text(struct slice password, struct slice text)
{
	if (text.size == 0)
		return false;
	for (size_t i = 0; i + text.size <= password.size; i++)
		if (strncasecmp(password.data + i, text.data, text.size) == 0)
			return true;
	return false;
}

static bool has_account(struct slice password, const struct slice *account,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (has_text(password, account[i]))
			return true;
	return false;
}

static void check_length(const struct password_policy *policy, int64_t length,
			 const char *field, struct err *err)
{
	if (length < policy->min_length || length > policy->max_length)
		err_field(err, field, "must have %lld to %lld characters",
			  (long long)policy->min_length,
			  (long long)policy->max_length);
}

static void check_makeup(const struct password_policy *policy,
			 const struct makeup *makeup, const char *field,
			 struct err *err)
{
	if (policy->contains_letters && !makeup->lower && !makeup->upper)
		err_field(err, field, "must contain a letter");
	if (policy->contains_numbers && !makeup->digit)
		err_field(err, field, "must contain a digit");
	if (policy->contains_special_letters && !makeup->upper &&
	    !makeup->special)
		err_field(err, field,
			  "must contain an upper case letter or a special "
			  "character");
}

enum err_code password_policy_check(const struct password_policy *policy,
				    struct slice password,
				    const struct slice *account, size_t count,
				    const char *field, struct err *err)
{
	const struct makeup makeup = makeup_of(password);
	const size_t before = err->detail_count;

	check_length(policy, makeup.length, field, err);
	check_makeup(policy, &makeup, field, err);
	if (policy->disable_sequential_characters &&
	    (has_sequence(password, 1) || has_sequence(password, -1)))
		err_field(err, field, "must not contain a run such as 123");
	if (policy->disable_repeating_characters && has_repetition(password))
		err_field(err, field, "must not contain a run such as 111");
	if (policy->disable_account_information &&
	    has_account(password, account, count))
		err_field(err, field, "must not contain the account's names");
	return err->detail_count > before ? ERR_VALIDATE : ERR_OK;
}

/* ---- the line ---- */

struct passwords {
	struct loop *loop;
	unsigned waiting; /* hashed or waiting, at most PASSWORDS_WAITING_MAX */
};

/* On the heap: the pool may end after the call's memory was given back. */
struct job {
	struct passwords *passwords;
	secrets_password_fn *done;
	void *arg;
};

struct passwords *passwords_new(struct loop *loop)
{
	struct passwords *passwords = mem_alloc(sizeof(*passwords));

	passwords->loop = loop;
	return passwords;
}

void passwords_free(struct passwords *passwords)
{
	assert(!passwords || passwords_idle(passwords));
	free(passwords);
}

bool passwords_idle(const struct passwords *passwords)
{
	return passwords->waiting == 0;
}

static void on_done(void *arg, bool good, const char *hash)
{
	const struct job job = *(struct job *)arg;

	free(arg);
	job.passwords->waiting--;
	job.done(job.arg, good, hash);
}

/* NULL: the line is full, and the call was answered. */
static struct job *job_new(struct passwords *passwords, struct bus_call *call,
			   secrets_password_fn *done, void *arg)
{
	struct err err = {0};

	if (passwords->waiting == PASSWORDS_WAITING_MAX) {
		err_set(&err, ERR_UNAVAILABLE,
			"too many passwords at once: nothing was done");
		err.retry_after_s = PASSWORDS_RETRY_S;
		bus_reply_error(call, &err);
		return NULL;
	}
	struct job *job = mem_alloc(sizeof(*job));

	*job = (struct job){passwords, done, arg};
	passwords->waiting++;
	return job;
}

bool passwords_hash(struct passwords *passwords, struct bus_call *call,
		    struct slice password, secrets_password_fn *done, void *arg)
{
	struct job *job = job_new(passwords, call, done, arg);

	if (job)
		secrets_password_hash(passwords->loop, password, on_done, job);
	return job;
}

bool passwords_check(struct passwords *passwords, struct bus_call *call,
		     struct slice password, const char *hash,
		     secrets_password_fn *done, void *arg)
{
	struct job *job = job_new(passwords, call, done, arg);

	if (job)
		secrets_password_check(passwords->loop, password, hash, on_done,
				       job);
	return job;
}
