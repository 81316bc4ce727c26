#include "services/common/query.h"

#include "proto/id.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEARCH_TERMS_MAX = 8 };

void query_param(struct query *query, const char *text)
{
	assert(query->param_count < QUERY_PARAMS_MAX);
	query->params[query->param_count++] = text;
	buffer_printf(&query->sql, "$%zu", query->param_count);
}

/* ---- tokens ---- */

enum token_kind {
	TOKEN_END,
	TOKEN_WORD, /* a field, operator, function, true, false, null */
	TOKEN_NUMBER,
	TOKEN_STRING, /* text: quotes taken off */
	TOKEN_PUNCTUATION,
};

struct token {
	enum token_kind kind;
	struct slice text;
	size_t position; /* from 1 */
};

struct parser {
	struct query *query;
	const char *option; /* "filter", "orderby": named in errors */
	struct slice source;
	size_t at;
	struct token token; /* the next one, not yet taken */
	unsigned depth;
	unsigned terms;
	struct err *err;
	bool failed;
};

static void fail(struct parser *parser, size_t position, const char *format,
		 ...) __attribute__((format(printf, 3, 4)));

static void fail(struct parser *parser, size_t position, const char *format,
		 ...)
{
	char reason[ERR_REASON_BYTES];
	va_list args;

	if (parser->failed)
		return;
	parser->failed = true;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	err_field(parser->err, parser->option, "%s at position %zu", reason,
		  position);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* A quoted string from the opening quote on; doubled quotes stand for one. */
static struct slice scan_string(struct parser *parser)
{
	const struct slice source = parser->source;
	const size_t start = parser->at++;
	char *text = arena_alloc(parser->query->arena, source.size - start);
	size_t used = 0;

	while (parser->at < source.size) {
		const char c = source.data[parser->at++];

		if (c == '\'') {
			if (parser->at == source.size ||
			    source.data[parser->at] != '\'')
				return slice_of(text, used);
			parser->at++;
		}
		text[used++] = c;
	}
	fail(parser, start + 1, "a string is not closed: it begins");
	return slice_of(text, 0);
}

static struct slice scan_while(struct parser *parser, bool (*good)(char c))
{
	const struct slice source = parser->source;
	const size_t start = parser->at++;

	while (parser->at < source.size && good(source.data[parser->at]))
		parser->at++;
	return slice_of(source.data + start, parser->at - start);
}

static bool is_number(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '+' || c == '-';
}

static bool is_nothing(char c)
{
	(void)c;
	return false;
}

/* Moves on to the next token. */
static void advance(struct parser *parser)
{
	const struct slice source = parser->source;
	struct token *token = &parser->token;

	while (parser->at < source.size && source.data[parser->at] == ' ')
		parser->at++;
	*token = (struct token){.position = parser->at + 1};
	if (parser->at == source.size)
		return;
	const char c = source.data[parser->at];

	if (c == '\'') {
		token->kind = TOKEN_STRING;
		token->text = scan_string(parser);
	} else if (isdigit((unsigned char)c) || c == '-') {
		token->kind = TOKEN_NUMBER;
		token->text = scan_while(parser, is_number);
	} else if (is_word(c)) {
		token->kind = TOKEN_WORD;
		token->text = scan_while(parser, is_word);
	} else {
		token->kind = TOKEN_PUNCTUATION;
		token->text = scan_while(parser, is_nothing);
	}
}

static bool next_is(const struct parser *parser, const char *text)
{
	return (parser->token.kind == TOKEN_WORD ||
		parser->token.kind == TOKEN_PUNCTUATION) &&
	       slice_is(parser->token.text, text);
}

static bool accept(struct parser *parser, const char *text)
{
	if (parser->failed || !next_is(parser, text))
		return false;
	advance(parser);
	return true;
}

static void expect(struct parser *parser, const char *text)
{
	if (!accept(parser, text))
		fail(parser, parser->token.position, "'%s' is expected", text);
}

/* The descriptor of the field named next, which has to carry the flag. */
static const struct field *take_field(struct parser *parser, unsigned flag)
{
	const struct record *record = parser->query->resource->record;
	const struct token token = parser->token;

	if (token.kind != TOKEN_WORD) {
		fail(parser, token.position, "a field is expected");
		return NULL;
	}
	const size_t index = record_find(record, token.text, 0);

	if (index == SIZE_MAX) {
		fail(parser, token.position, "unknown field '%.*s'",
		     SLICE_ARG(token.text));
		return NULL;
	}
	if (!(record->fields[index].flags & flag)) {
		fail(parser, token.position, "'%s' cannot be used for %s",
		     record->fields[index].name,
		     flag == FIELD_SORT ? "sorting" : "filtering");
		return NULL;
	}
	advance(parser);
	return &record->fields[index];
}

/* ---- literals ---- */

static void emit(struct parser *parser, const char *sql)
{
	buffer_append_str(&parser->query->sql, sql);
}

/* The token's text as a parameter, with the cast that gives it its type. */
static void emit_param(struct parser *parser, const char *text,
		       const char *cast)
{
	query_param(parser->query, text);
	emit(parser, cast);
}

static const char *token_text(const struct parser *parser)
{
	return arena_strdup(parser->query->arena, parser->token.text);
}

/* RFC 3339 date-time; what the pattern cannot say (31 February) PostgreSQL
 * refuses. */
static bool is_time(const char *text)
{
	int used = 0;

	if (sscanf(text,
		   "%*4[0-9]-%*2[0-9]-%*2[0-9]%*1[Tt]%*2[0-9]:%*2[0-9]:"
		   "%*2[0-9]%n",
		   &used) != 0 ||
	    used != 19)
		return false;
	text += used;
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	used = 0;
	return sscanf(text, "%*1[+-]%*2[0-9]:%*2[0-9]%n", &used) == 0 &&
	       used == 6 && text[used] == '\0';
}

static bool is_int64(const char *text)
{
	char *end;

	errno = 0;
	(void)strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static void emit_id(struct parser *parser)
{
	int64_t id;

	if (!id_v22_decode(parser->token.text, &id) &&
	    !id_decimal_decode(parser->token.text, &id)) {
		fail(parser, parser->token.position, "an id is expected");
		return;
	}
	emit_param(parser,
		   arena_printf(parser->query->arena, "%lld", (long long)id),
		   "::bigint");
}

/* The literal a field is compared with. */
static void take_literal(struct parser *parser, const struct field *field)
{
	const struct token *token = &parser->token;
	const bool is_string = token->kind == TOKEN_STRING;
	const char *text = token_text(parser);

	switch (field->type) {
	case FIELD_BOOL:
		if (!next_is(parser, "true") && !next_is(parser, "false"))
			fail(parser, token->position,
			     "true or false is expected");
		else
			emit(parser, text);
		break;
	case FIELD_INT:
		if (token->kind != TOKEN_NUMBER || !is_int64(text))
			fail(parser, token->position, "an integer is expected");
		else
			emit_param(parser, text, "::bigint");
		break;
	case FIELD_TIME:
		if (!is_string || !is_time(text))
			fail(parser, token->position,
			     "a time such as '2026-01-02T03:04:05Z' is "
			     "expected");
		else
			emit_param(parser, text, "::timestamptz");
		break;
	case FIELD_ID:
		emit_id(parser);
		break;
	default:
		if (!is_string)
			fail(parser, token->position,
			     "a quoted string is expected");
		else
			emit_param(parser, text, "::text");
		break;
	}
	if (!parser->failed)
		advance(parser);
}

/* ---- the grammar, each rule a function (see the header) ---- */

static const struct {
	const char *name;
	const char *sql;
	bool orders; /* not for booleans and null */
} operators[] = {
	{"eq", " = ", false}, {"ne", " <> ", false}, {"gt", " > ", true},
	{"ge", " >= ", true}, {"lt", " < ", true},   {"le", " <= ", true},
};

enum { OPERATORS = sizeof(operators) / sizeof(operators[0]) };

static void take_comparison(struct parser *parser)
{
	const struct field *field = take_field(parser, FIELD_FILTER);
	const size_t position = parser->token.position;
	size_t i = 0;

	if (!field)
		return;
	while (i < OPERATORS && !accept(parser, operators[i].name))
		i++;
	if (i == OPERATORS) {
		fail(parser, position, "eq, ne, gt, ge, lt or le is expected");
		return;
	}
	const bool is_null = next_is(parser, "null");

	if (operators[i].orders && (is_null || field->type == FIELD_BOOL)) {
		fail(parser, position, "only eq and ne go with %s",
		     is_null ? "null" : "a boolean");
		return;
	}
	emit(parser, field->column);
	if (is_null) {
		advance(parser);
		emit(parser, i == 0 ? " IS NULL" : " IS NOT NULL");
		return;
	}
	emit(parser, operators[i].sql);
	take_literal(parser, field);
}

/* A LIKE pattern that matches text between two fixed ends. */
static const char *pattern(struct arena *arena, const char *before,
			   struct slice text, const char *after)
{
	struct buffer out = {0};

	buffer_append_str(&out, before);
	for (size_t i = 0; i < text.size; i++) {
		if (strchr("\\%_", text.data[i]))
			buffer_append_char(&out, '\\');
		buffer_append_char(&out, text.data[i]);
	}
	buffer_append_str(&out, after);

	const char *copy = arena_strdup(arena, buffer_slice(&out));

	buffer_fini(&out);
	return copy;
}

/* startswith is served by the index of the column's own collation, the others
 * by the trigram index, whose collation is the database's. */
static const struct {
	const char *name;
	const char *before, *after;
	const char *sql;
} functions[] = {
	{"startswith", "", "%", " LIKE "},
	{"endswith", "%", "", " COLLATE \"default\" LIKE "},
	{"contains", "%", "%", " COLLATE \"default\" LIKE "},
};

enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static bool is_text(const struct field *field)
{
	return field->type == FIELD_STRING || field->type == FIELD_ENUM;
}

static void take_function(struct parser *parser, size_t i)
{
	expect(parser, "(");
	const size_t position = parser->token.position;
	const struct field *field =
		parser->failed ? NULL : take_field(parser, FIELD_FILTER);

	if (!field)
		return;
	if (!is_text(field)) {
		fail(parser, position, "'%s' is not a text", field->name);
		return;
	}
	expect(parser, ",");
	if (!parser->failed && parser->token.kind != TOKEN_STRING)
		fail(parser, parser->token.position,
		     "a quoted string is expected");
	if (parser->failed)
		return;
	emit(parser, field->column);
	emit(parser, functions[i].sql);
	query_param(parser->query,
		    pattern(parser->query->arena, functions[i].before,
			    parser->token.text, functions[i].after));
	advance(parser);
	expect(parser, ")");
}

static void take_or(struct parser *parser);

static void take_unary(struct parser *parser)
{
	if (parser->failed)
		return;
	if (++parser->depth > QUERY_DEPTH_MAX) {
		fail(parser, parser->token.position,
		     "the filter is nested deeper than %d", QUERY_DEPTH_MAX);
		return;
	}
	if (accept(parser, "not")) {
		emit(parser, "NOT ");
		take_unary(parser);
	} else if (accept(parser, "(")) {
		emit(parser, "(");
		take_or(parser);
		emit(parser, ")");
		expect(parser, ")");
	} else if (++parser->terms > QUERY_TERMS_MAX) {
		fail(parser, parser->token.position,
		     "the filter has more than %d terms", QUERY_TERMS_MAX);
	} else {
		size_t i = 0;

		while (i < FUNCTIONS && !accept(parser, functions[i].name))
			i++;
		if (i < FUNCTIONS)
			take_function(parser, i);
		else
			take_comparison(parser);
	}
	parser->depth--;
}

static void take_and(struct parser *parser)
{
	take_unary(parser);
	while (accept(parser, "and")) {
		emit(parser, " AND ");
		take_unary(parser);
	}
}

static void take_or(struct parser *parser)
{
	take_and(parser);
	while (accept(parser, "or")) {
		emit(parser, " OR ");
		take_and(parser);
	}
}

static void take_order(struct parser *parser)
{
	unsigned count = 0;
	bool descending = false;

	do {
		const struct field *field = take_field(parser, FIELD_SORT);

		if (!field)
			return;
		if (++count > QUERY_ORDER_MAX) {
			fail(parser, parser->token.position,
			     "more than %d fields", QUERY_ORDER_MAX);
			return;
		}
		descending = accept(parser, "desc");
		if (!descending)
			accept(parser, "asc");
		emit(parser, field->column);
		emit(parser, descending ? " DESC, " : ", ");
	} while (accept(parser, ","));
	/* In the direction of the last field, so that one index serves both. */
	emit(parser, descending ? "id DESC" : "id");
}

/* Runs a rule over a whole option. */
static enum err_code parse(struct query *query, const char *option,
			   struct slice source,
			   void (*rule)(struct parser *parser), struct err *err)
{
	struct parser parser = {
		.query = query, .option = option, .source = source, .err = err};

	advance(&parser);
	rule(&parser);
	if (!parser.failed && parser.token.kind != TOKEN_END)
		fail(&parser, parser.token.position, "unexpected '%.*s'",
		     SLICE_ARG(parser.token.text));
	return parser.failed ? ERR_VALIDATE : ERR_OK;
}

enum err_code query_filter(struct query *query, struct slice filter,
			   struct err *err)
{
	if (filter.size > QUERY_FILTER_BYTES_MAX)
		return err_field(err, "filter", "is longer than %d bytes",
				 QUERY_FILTER_BYTES_MAX);
	if (slice_trim(filter).size == 0)
		return ERR_OK;
	buffer_append_str(&query->sql, " AND (");
	enum err_code code = parse(query, "filter", filter, take_or, err);

	buffer_append_str(&query->sql, ")");
	return code;
}

enum err_code query_orderby(struct query *query, struct slice orderby,
			    struct err *err)
{
	buffer_append_str(&query->sql, " ORDER BY ");
	if (slice_trim(orderby).size == 0) {
		const char *order = query->resource->order;

		buffer_append_str(&query->sql, order ? order : "id");
		return ERR_OK;
	}
	return parse(query, "orderby", orderby, take_order, err);
}

/* ---- search ---- */

static void search_term(struct query *query, struct slice term)
{
	const struct record *record = query->resource->record;
	const char *like = pattern(query->arena, "%", term, "%");
	const char *joint = "";

	for (size_t i = 0; i < record->count; i++) {
		if (!(record->fields[i].flags & FIELD_SEARCH))
			continue;
		buffer_printf(&query->sql, "%s%s COLLATE \"default\" ILIKE ",
			      joint, record->fields[i].column);
		query_param(query, like);
		joint = " OR ";
	}
}

enum err_code query_search(struct query *query, struct slice search,
			   struct err *err)
{
	const struct slice separator = SLICE(" or ");
	struct slice rest = slice_trim(search);
	unsigned terms = 0;

	if (rest.size == 0)
		return ERR_OK;
	buffer_append_str(&query->sql, " AND (");
	while (rest.data) {
		const char *cut = memmem(rest.data, rest.size, separator.data,
					 separator.size);
		const struct slice term = slice_of(
			rest.data, cut ? (size_t)(cut - rest.data) : rest.size);

		if (++terms > SEARCH_TERMS_MAX)
			return err_field(err, "search",
					 "has more than %d terms",
					 SEARCH_TERMS_MAX);
		if (terms > 1)
			buffer_append_str(&query->sql, " OR ");
		search_term(query, slice_trim(term));
		rest = cut ? slice_of(cut + separator.size,
				      rest.size - term.size - separator.size)
			   : (struct slice){0};
	}
	buffer_append_str(&query->sql, ")");
	return ERR_OK;
}
