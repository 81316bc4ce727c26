#include "gateway/url.h"

#include "proto/buffer.h"

#include <criterion/criterion.h>

struct decoding {
	const char *name;
	const char *raw;
	const char *segment; /* NULL: refused */
	const char *query;
};

static const struct decoding decodings[] = {
	{"empty", "", "", ""},
	{"plain", "NzAwNTUx", "NzAwNTUx", "NzAwNTUx"},
	{"padding", "MQ%3D%3d", "MQ==", "MQ=="},
	{"plus", "a+b", "a+b", "a b"},
	{"encoded plus", "a%2Bb", "a+b", "a+b"},
	{"encoded space", "a%20b", "a b", "a b"},
	{"encoded slash stays in its segment", "a%2Fb", "a/b", "a/b"},
	{"decoded once", "%2541", "%41", "%41"},
	{"UTF-8", "%C3%A9%e2%82%ac", "é€", "é€"},
	{"raw UTF-8", "é", "é", "é"},
	{"raw line feed", "a\nb", "a\nb", "a\nb"},
	{"bad digits", "%zz", NULL, NULL},
	{"bad second digit", "%4g", NULL, NULL},
	{"sign for a digit", "%+1", NULL, NULL},
	{"cut, one digit", "a%4", NULL, NULL},
	{"cut, no digit", "a%", NULL, NULL},
	{"NUL", "a%00b", NULL, NULL},
	{"overlong slash", "%c0%af", NULL, NULL},
	{"surrogate", "%ed%a0%80", NULL, NULL},
	{"Latin-1", "%e9", NULL, NULL},
	{"raw Latin-1", "\xe9", NULL, NULL},
};

static void check_segment(const struct decoding *d, struct arena *arena)
{
	struct slice out = SLICE("untouched");
	struct err err = {0};
	enum err_code code =
		url_segment_decode(slice_str(d->raw), arena, &out, &err);

	if (!d->segment) {
		cr_expect_eq(code, ERR_MALFORMED, "%s", d->name);
		cr_expect_eq(err.code, ERR_MALFORMED, "%s", d->name);
		cr_expect(slice_is(out, "untouched"), "%s", d->name);
		return;
	}
	cr_expect_eq(code, ERR_OK, "%s: %s", d->name, err.text);
	cr_expect(slice_is(out, d->segment), "%s", d->name);
	cr_expect(out.data, "%s", d->name);
}

static void check_query(const struct decoding *d, struct arena *arena)
{
	struct buffer raw = {0};
	struct url_query query;
	struct err err = {0};

	buffer_printf(&raw, "x=1&%s=%s", d->raw, d->raw);

	enum err_code code =
		url_query_parse(buffer_slice(&raw), arena, &query, &err);

	if (!d->query) {
		cr_expect_eq(code, ERR_MALFORMED, "%s", d->name);
	} else {
		cr_expect_eq(code, ERR_OK, "%s: %s", d->name, err.text);
		cr_expect_eq(query.count, 2, "%s", d->name);
		cr_expect(slice_is(query.pairs[1].name, d->query), "%s",
			  d->name);
		cr_expect(slice_is(query.pairs[1].value, d->query), "%s",
			  d->name);
	}
	buffer_fini(&raw);
}

Test(url, decoding)
{
	for (size_t i = 0; i < sizeof(decodings) / sizeof(decodings[0]); i++) {
		struct arena arena = {0};

		check_segment(&decodings[i], &arena);
		check_query(&decodings[i], &arena);
		arena_fini(&arena);
	}
}

/* What a query becomes, written "name=value|". */
static const char *const queries[][3] = {
	{"empty", "", ""},
	{"one", "a=1", "a=1|"},
	{"several", "page=1&per_page=20&orderby=name",
	 "page=1|per_page=20|"
	 "orderby=name|"},
	{"no value", "a&b=", "a=|b=|"},
	{"no name", "=1", "=1|"},
	{"nothing between", "&&a=1&&b=2&", "a=1|b=2|"},
	{"further equals signs are the value's", "id=MQ==", "id=MQ==|"},
	{"encoded separators", "a%26b=c%3Dd", "a&b=c=d|"},
	{"repeated", "a=1&a=2", "a=1|a=2|"},
	{"question mark", "a=?", "a=?|"},
};

Test(url, query_pairs)
{
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct arena arena = {0};
		struct buffer text = {0};
		struct url_query query;

		cr_assert_eq(url_query_parse(slice_str(queries[i][1]), &arena,
					     &query, NULL),
			     ERR_OK, "%s", queries[i][0]);
		for (size_t k = 0; k < query.count; k++)
			buffer_printf(&text, "%.*s=%.*s|",
				      SLICE_ARG(query.pairs[k].name),
				      SLICE_ARG(query.pairs[k].value));
		cr_expect(slice_is(buffer_slice(&text), queries[i][2]),
			  "%s: %.*s", queries[i][0],
			  SLICE_ARG(buffer_slice(&text)));
		buffer_fini(&text);
		arena_fini(&arena);
	}
}

Test(url, absent_query_has_no_pairs)
{
	struct arena arena = {0};
	struct url_query query;

	cr_expect_eq(url_query_parse((struct slice){0}, &arena, &query, NULL),
		     ERR_OK);
	cr_expect_eq(query.count, 0);
	arena_fini(&arena);
}

Test(url, pairs_are_bounded)
{
	struct arena arena = {0};
	struct buffer raw = {0};
	struct url_query query;
	struct err err = {0};

	for (int i = 0; i < URL_PAIRS_MAX; i++)
		buffer_printf(&raw, "p%d=%d&", i, i);
	cr_expect_eq(url_query_parse(buffer_slice(&raw), &arena, &query, &err),
		     ERR_OK);
	cr_expect_eq(query.count, URL_PAIRS_MAX);

	buffer_append_str(&raw, "more");
	cr_expect_eq(url_query_parse(buffer_slice(&raw), &arena, &query, &err),
		     ERR_MALFORMED);
	buffer_fini(&raw);
	arena_fini(&arena);
}

Test(url, get_finds_one)
{
	struct arena arena = {0};
	struct url_query query;
	struct slice value = SLICE("untouched");
	struct err err = {0};

	cr_assert_eq(url_query_parse(slice_str("a=1&b=2&b=2&c="), &arena,
				     &query, NULL),
		     ERR_OK);

	cr_expect_eq(url_query_get(&query, "b", &value, &err), ERR_VALIDATE);
	cr_expect_eq(err.detail_count, 1);
	cr_expect_str_eq(err.details[0].field, "b");
	cr_expect(slice_is(value, "untouched"));

	cr_expect_eq(url_query_get(&query, "a", &value, NULL), ERR_OK);
	cr_expect(slice_is(value, "1"));
	cr_expect_eq(url_query_get(&query, "c", &value, NULL), ERR_OK);
	cr_expect(value.data && value.size == 0);
	cr_expect_eq(url_query_get(&query, "d", &value, NULL), ERR_OK);
	cr_expect_null(value.data);
	arena_fini(&arena);
}
