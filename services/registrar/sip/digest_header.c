#include "services/registrar/sip/digest_header.h"

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/parameter.h"

#include <stddef.h>

enum {
	NC_DIGITS_MAX = 8, /* RFC 7616 3.4: 8LHEX; shorter ones are seen */
};

static const struct slice algorithm_texts[DIGEST_COUNT] = {
	[DIGEST_OTHER] = SLICE(""),
#define TEXT(name, text) [name] = SLICE(text),
	DIGEST_ALGORITHM_LIST(TEXT)
#undef TEXT
};

/* How the value of a parameter is read. */
enum kind {
	KIND_TEXT,
	KIND_FLAG, /* "true" is true, all else is false (RFC 7616 3.3) */
	KIND_QOP,
};

/* A parameter and where it goes. */
struct row {
	struct slice name;
	enum kind kind;
	size_t offset;
};

#define ROW(type, text, row_kind, member)                                      \
	{                                                                      \
		.name = SLICE(text), .kind = (row_kind),                       \
		.offset = offsetof(struct type, member)                        \
	}

static const struct row challenge_rows[] = {
	ROW(digest_challenge, "realm", KIND_TEXT, realm),
	ROW(digest_challenge, "nonce", KIND_TEXT, nonce),
	ROW(digest_challenge, "opaque", KIND_TEXT, opaque),
	ROW(digest_challenge, "domain", KIND_TEXT, domain),
	ROW(digest_challenge, "algorithm", KIND_TEXT, algorithm_text),
	ROW(digest_challenge, "qop", KIND_QOP, qop),
	ROW(digest_challenge, "stale", KIND_FLAG, stale),
	ROW(digest_challenge, "userhash", KIND_FLAG, userhash),
};

static const struct row credentials_rows[] = {
	ROW(digest_credentials, "username", KIND_TEXT, username),
	ROW(digest_credentials, "username*", KIND_TEXT, username_extended),
	ROW(digest_credentials, "realm", KIND_TEXT, realm),
	ROW(digest_credentials, "nonce", KIND_TEXT, nonce),
	ROW(digest_credentials, "uri", KIND_TEXT, uri),
	ROW(digest_credentials, "response", KIND_TEXT, response),
	ROW(digest_credentials, "cnonce", KIND_TEXT, cnonce),
	ROW(digest_credentials, "opaque", KIND_TEXT, opaque),
	ROW(digest_credentials, "algorithm", KIND_TEXT, algorithm_text),
	ROW(digest_credentials, "qop", KIND_QOP, qop),
	ROW(digest_credentials, "nc", KIND_TEXT, nc_text),
	ROW(digest_credentials, "userhash", KIND_FLAG, userhash),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct slice digest_algorithm_text(enum digest_algorithm algorithm)
{
	return algorithm_texts[algorithm];
}

/* RFC 7616 3.3: "If this is not present, it is assumed to be MD5". */
static enum digest_algorithm algorithm_find(struct slice text)
{
	if (!text.data)
		return DIGEST_MD5;
	for (int i = DIGEST_OTHER + 1; i < DIGEST_COUNT; i++)
		if (sip_word_eq(text, algorithm_texts[i]))
			return (enum digest_algorithm)i;
	return DIGEST_OTHER;
}

/* A line break in a value that is written again would start a line of the
 * peer's own; and what a fold in quotes hashes to is nowhere said. */
static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		const unsigned char c = (unsigned char)text.data[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static unsigned qop_find(struct slice word)
{
	if (sip_word_is(word, "auth"))
		return DIGEST_QOP_AUTH;
	if (sip_word_is(word, "auth-int"))
		return DIGEST_QOP_AUTH_INT;
	return DIGEST_QOP_OTHER;
}

/* A list of words in a challenge, a single one in credentials; both may be
 * quoted. An empty list asks for nothing, as if not said. */
static enum err_code qop_decode(struct slice text, unsigned *out)
{
	struct slice word;
	unsigned qop = DIGEST_QOP_NONE;
	enum err_code code;

	while ((code = sip_token_next(&text, &word)) == ERR_OK)
		qop |= qop_find(word);
	*out = qop;
	return code == ERR_NOT_FOUND ? ERR_OK : ERR_MALFORMED;
}

static enum err_code store(const struct row *row, struct slice value, void *out)
{
	void *member = (char *)out + row->offset;

	switch (row->kind) {
	case KIND_TEXT:
		*(struct slice *)member = value;
		return ERR_OK;
	case KIND_FLAG:
		*(bool *)member = sip_word_is(value, "true");
		return ERR_OK;
	case KIND_QOP:
		return qop_decode(value, member);
	}
	return ERR_MALFORMED;
}

static const struct row *row_find(const struct row *rows, size_t count,
				  struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].name.size == name.size &&
		    sip_word_eq(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* A value being read. */
struct reading {
	const struct row *rows;
	size_t count;
	unsigned seen;	 /* a bit for each row */
	bool suspicious; /* something in it may be not plain */
	void *out;
};

/* One parameter. A peer that says one twice means one thing to us and perhaps
 * the other to whoever is behind us. */
static enum err_code take(struct reading *reading,
			  const struct sip_parameter *parameter)
{
	const struct row *row =
		row_find(reading->rows, reading->count, parameter->name);

	if (!row)
		return ERR_OK;

	const unsigned bit = 1U << (row - reading->rows);

	if (reading->seen & bit)
		return ERR_MALFORMED;
	if (reading->suspicious && !is_plain(parameter->value))
		return ERR_MALFORMED;
	reading->seen |= bit;
	return store(row, parameter->value, reading->out);
}

static enum err_code parameters_read(struct reading *reading,
				     struct slice pairs)
{
	struct sip_parameter parameter;

	/* The grammar lets control characters in as folds and behind a
	 * backslash only: two quick looks spare one at each byte. */
	reading->suspicious = memchr(pairs.data, '\r', pairs.size) ||
			      memchr(pairs.data, '\\', pairs.size);
	for (int n = 0; n < DIGEST_PARAMETERS_MAX; n++) {
		enum err_code code = sip_pair_next(&pairs, &parameter);

		if (code == ERR_NOT_FOUND)
			return ERR_OK;
		if (!code)
			code = take(reading, &parameter);
		if (code)
			return code;
	}
	return slice_trim(pairs).size == 0 ? ERR_OK : ERR_MALFORMED;
}

static enum err_code decode(struct slice value, const struct row *rows,
			    size_t count, void *out)
{
	struct reading reading = {.rows = rows, .count = count, .out = out};
	struct sip_credentials parts;
	enum err_code code = sip_credentials_decode(value, &parts);

	if (code)
		return code;
	if (!sip_word_is(parts.scheme, "Digest"))
		return ERR_NOT_FOUND;
	return parameters_read(&reading, parts.pairs);
}

enum err_code digest_challenge_decode(struct slice value,
				      struct digest_challenge *out)
{
	struct digest_challenge read = {0};
	enum err_code code =
		decode(value, challenge_rows, COUNT_OF(challenge_rows), &read);

	if (code)
		return code;
	if (!read.realm.data || !read.nonce.data)
		return ERR_MALFORMED;
	read.algorithm = algorithm_find(read.algorithm_text);
	*out = read;
	return ERR_OK;
}

static enum err_code nc_decode(struct slice text, uint32_t *out)
{
	uint32_t nc = 0;

	if (text.size == 0 || text.size > NC_DIGITS_MAX)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.size; i++) {
		if (!char_is(text.data[i], CH_HEX))
			return ERR_MALFORMED;
		nc = nc << 4 | hex_value(text.data[i]);
	}
	*out = nc;
	return ERR_OK;
}

bool digest_is_sess(enum digest_algorithm algorithm)
{
	return algorithm == DIGEST_MD5_SESS ||
	       algorithm == DIGEST_SHA_256_SESS ||
	       algorithm == DIGEST_SHA_512_256_SESS;
}

/* RFC 7616 3.4: what has to be there. */
static enum err_code credentials_check(struct digest_credentials *read)
{
	if (!read->username.data && !read->username_extended.data)
		return ERR_MALFORMED;
	if (!read->realm.data || !read->nonce.data || !read->uri.data ||
	    !read->response.data)
		return ERR_MALFORMED;
	if (digest_is_sess(read->algorithm) && !read->cnonce.data)
		return ERR_MALFORMED;
	if (read->qop == DIGEST_QOP_NONE)
		return ERR_OK;
	if (!read->cnonce.data)
		return ERR_MALFORMED;
	/* Credentials choose one. */
	if (read->qop & (read->qop - 1))
		return ERR_MALFORMED;
	return nc_decode(read->nc_text, &read->nc);
}

enum err_code digest_credentials_decode(struct slice value,
					struct digest_credentials *out)
{
	struct digest_credentials read = {0};
	enum err_code code = decode(value, credentials_rows,
				    COUNT_OF(credentials_rows), &read);

	if (code)
		return code;
	read.algorithm = algorithm_find(read.algorithm_text);
	code = credentials_check(&read);
	if (!code)
		*out = read;
	return code;
}

struct slice digest_text(struct slice escaped, struct arena *arena)
{
	if (escaped.size == 0 || !memchr(escaped.data, '\\', escaped.size))
		return escaped;

	char *text = arena_alloc(arena, escaped.size);
	size_t size = 0;

	for (size_t i = 0; i < escaped.size; i++) {
		if (escaped.data[i] == '\\' && i + 1 < escaped.size)
			i++;
		text[size++] = escaped.data[i];
	}
	return slice_of(text, size);
}

/* Our own text, to be quoted and escaped. */
static void text_append(struct buffer *out, const char *name, struct slice text)
{
	if (!text.data)
		return;
	buffer_append_str(out, name);
	sip_quote_append(out, text);
}

static const char *qop_text(unsigned qop)
{
	switch (qop) {
	case DIGEST_QOP_AUTH:
		return "auth";
	case DIGEST_QOP_AUTH_INT:
		return "auth-int";
	default:
		return "auth,auth-int";
	}
}

/* The line up to the name of the algorithm. */
static void offer_append(struct buffer *out, const struct digest_offer *offer)
{
	text_append(out, "Digest realm=", offer->realm);
	text_append(out, ", nonce=", offer->nonce);
	text_append(out, ", opaque=", offer->opaque);
	if (offer->stale)
		buffer_append_str(out, ", stale=true");
	buffer_append_str(out, ", algorithm=");
}

static void qop_append(struct buffer *out, unsigned qop)
{
	if (qop == DIGEST_QOP_NONE)
		return;
	buffer_append_str(out, ", qop=\"");
	buffer_append_str(out, qop_text(qop));
	buffer_append_char(out, '"');
}

/* Appends once more what the buffer has from `from` to `to`. */
static void repeat_append(struct buffer *out, size_t from, size_t to)
{
	char *copy = buffer_reserve(out, to - from);

	memcpy(copy, out->data + from, to - from);
	out->size += to - from;
}

void digest_challenge_build(struct buffer *out, enum sip_header_name name,
			    const struct digest_offer *offer)
{
	/* The lines differ by their algorithm only: quoting once is most of
	 * the time. */
	const size_t from = out->size;
	size_t to = 0;

	for (int i = DIGEST_COUNT - 1; i > DIGEST_OTHER; i--) {
		if (!(offer->algorithms & DIGEST_BIT(i)))
			continue;
		if (to > 0) {
			repeat_append(out, from, to);
		} else {
			sip_build_begin(out, name);
			offer_append(out, offer);
			to = out->size;
		}
		buffer_append_slice(out, algorithm_texts[i]);
		qop_append(out, offer->qop);
		sip_build_line_end(out);
	}
}

/* A view, which is escaped already. */
static void view_append(struct buffer *out, const char *name, struct slice view)
{
	if (!view.data)
		return;
	buffer_append_str(out, name);
	buffer_append_char(out, '"');
	buffer_append_slice(out, view);
	buffer_append_char(out, '"');
}

/* RFC 7616 3.4: algorithm, qop and nc stand without quotes, and some servers
 * take them no other way. */
static void word_append(struct buffer *out, const char *name, struct slice word)
{
	if (!word.data)
		return;
	buffer_append_str(out, name);
	buffer_append_slice(out, word);
}

void digest_credentials_append(struct buffer *out,
			       const struct digest_credentials *credentials)
{
	view_append(out, "Digest realm=", credentials->realm);
	view_append(out, ", username=", credentials->username);
	view_append(out, ", username*=", credentials->username_extended);
	view_append(out, ", nonce=", credentials->nonce);
	view_append(out, ", uri=", credentials->uri);
	view_append(out, ", response=", credentials->response);
	word_append(out, ", algorithm=", credentials->algorithm_text);
	view_append(out, ", cnonce=", credentials->cnonce);
	view_append(out, ", opaque=", credentials->opaque);
	if (credentials->userhash)
		buffer_append_str(out, ", userhash=true");
	if (credentials->qop == DIGEST_QOP_NONE)
		return;
	buffer_append_str(out, ", qop=");
	buffer_append_str(out, qop_text(credentials->qop));
	word_append(out, ", nc=", credentials->nc_text);
}
