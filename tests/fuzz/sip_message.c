/* Whatever bytes come, every view that is handed out lies inside them. A
 * message that is accepted says the same after it was written anew, and an
 * answer to it reads as a response. */

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/check.h"
#include "services/registrar/sip/frame.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void expect_inside(struct slice view, struct slice all)
{
	/* Where an empty view is does not matter. */
	expect(view.size == 0 ||
	       (view.data >= all.data &&
		view.data + view.size <= all.data + all.size));
}

static void check_parameters(struct slice parameters, struct slice all)
{
	struct slice rest = parameters;
	struct sip_parameter p;
	enum err_code code;

	while ((code = sip_parameter_next(&rest, &p)) == ERR_OK) {
		expect(p.name.size > 0);
		expect_inside(p.name, all);
		expect_inside(p.value, all);
	}
	expect(code == ERR_NOT_FOUND);
}

static void check_uri(const struct sip_uri *uri, struct slice all)
{
	struct buffer key = {0}, again = {0};
	struct sip_uri other;

	expect_inside(uri->user, all);
	expect_inside(uri->password, all);
	expect_inside(uri->host.name, all);
	expect_inside(uri->headers, all);
	expect(sip_uri_eq(uri, uri));
	if (sip_uri_aor_append(&key, uri) == ERR_OK && uri->user.data &&
	    uri->scheme != SIP_SCHEME_TEL) {
		/* What is unescaped and escaped again is the same user. */
		struct buffer user = {0};

		sip_unescape_append(&user, uri->user);
		buffer_append_str(&again, "sip:");
		sip_user_append(&again, buffer_slice(&user));
		buffer_append_char(&again, '@');
		sip_host_append(&again, &uri->host);
		expect(sip_uri_decode(buffer_slice(&again), &other) == ERR_OK);
		again.size = 0;

		struct buffer other_key = {0};

		expect(sip_uri_aor_append(&other_key, &other) == ERR_OK);
		expect(slice_eq(buffer_slice(&key), buffer_slice(&other_key)));
		buffer_fini(&other_key);
		buffer_fini(&user);
	}
	buffer_fini(&key);
	buffer_fini(&again);
}

static void check_address(const struct sip_address *address, struct slice all)
{
	uint32_t expires_s;

	expect_inside(address->text, all);
	expect_inside(address->display, all);
	expect_inside(address->tag, all);
	if (address->star)
		return;
	check_uri(&address->uri, all);
	check_parameters(address->parameters, all);
	expect(sip_address_q(address) <= 1000);
	sip_address_expires(address, &expires_s);
}

static void check_via(const struct sip_via *via, struct slice all)
{
	expect_inside(via->text, all);
	expect_inside(via->transport_text, all);
	expect_inside(via->sent_by.name, all);
	expect_inside(via->branch, all);
	expect_inside(via->received, all);
	expect_inside(via->maddr, all);
	check_parameters(via->parameters, all);
}

static void check_lists(const struct sip_message *m, enum sip_header_name name)
{
	struct sip_list list = sip_list_of(m, name);
	struct sip_address address;
	struct sip_via via;
	struct slice token;

	while (sip_list_address(&list, &address) == ERR_OK)
		check_address(&address, m->text);
	list = sip_list_of(m, name);
	while (sip_list_via(&list, &via) == ERR_OK)
		check_via(&via, m->text);
	list = sip_list_of(m, name);
	while (sip_list_token(&list, &token) == ERR_OK)
		expect_inside(token, m->text);
}

static void check_views(const struct sip_message *m, struct slice all)
{
	struct sip_uri uri;

	expect_inside(m->text, all);
	expect_inside(m->method_text, all);
	expect_inside(m->uri_text, all);
	expect_inside(m->reason, all);
	expect_inside(m->body, all);
	for (size_t i = 1; i <= m->count; i++) {
		expect_inside(m->headers[i].name_text, all);
		expect_inside(m->headers[i].value, all);
		expect(m->headers[i].name_text.size > 0);
		expect(m->headers[i].next == 0 || m->headers[i].next > i);
	}
	for (int i = 0; i < SIP_HEADER_COUNT; i++)
		check_lists(m, (enum sip_header_name)i);
	if (sip_message_uri(m, &uri) == ERR_OK)
		check_uri(&uri, all);
}

/* The message written anew from its views, Content-Length ours. */
static void rebuild(const struct sip_message *m, struct buffer *out)
{
	if (m->request) {
		sip_build_text(out, m->method_text);
		buffer_append_char(out, ' ');
		sip_build_text(out, m->uri_text);
		buffer_append_str(out, " SIP/2.0\r\n");
	} else {
		buffer_printf(out, "SIP/2.0 %u ", m->status);
		sip_build_text(out, m->reason);
		sip_build_line_end(out);
	}
	for (size_t i = 1; i <= m->count; i++) {
		const struct sip_header *header = &m->headers[i];

		if (header->name == SIP_CONTENT_LENGTH)
			continue;
		if (header->name != SIP_HEADER_OTHER) {
			sip_build_header(out, header->name, header->value);
			continue;
		}
		sip_build_text(out, header->name_text);
		buffer_append_str(out, ": ");
		sip_build_text(out, header->value);
		sip_build_line_end(out);
	}
	sip_build_end(out, (struct slice){0}, m->body);
}

/* Equal, but for what the builder turns into spaces. */
static void expect_same(struct slice a, struct slice b)
{
	expect(!a.data == !b.data && a.size == b.size);
	for (size_t i = 0; i < a.size; i++)
		expect(a.data[i] == b.data[i] ||
		       (memchr("\r\n", a.data[i], 3) && b.data[i] == ' '));
}

static size_t count_contacts(const struct sip_message *m)
{
	struct sip_list list = sip_list_of(m, SIP_CONTACT);
	struct sip_address contact;
	size_t count = 0;

	while (sip_list_address(&list, &contact) == ERR_OK)
		count++;
	return count;
}

static void expect_same_message(const struct sip_message *a,
				const struct sip_message *b)
{
	struct sip_address x, y;
	struct sip_cseq m, n;
	struct sip_via v, w;

	expect(a->request == b->request && a->method == b->method &&
	       a->status == b->status);
	expect_same(a->uri_text, b->uri_text);
	expect_same(a->body, b->body);
	expect_same(sip_message_value(a, SIP_CALL_ID),
		    sip_message_value(b, SIP_CALL_ID));
	expect(sip_message_cseq(a, &m) == ERR_OK &&
	       sip_message_cseq(b, &n) == ERR_OK && m.number == n.number);
	expect(sip_message_via(a, &v) == ERR_OK &&
	       sip_message_via(b, &w) == ERR_OK);
	expect_same(v.branch, w.branch);
	expect_same(v.sent_by.name, w.sent_by.name);
	expect(v.sent_by.port == w.sent_by.port && v.transport == w.transport);
	expect(sip_message_address(a, SIP_FROM, &x) == ERR_OK &&
	       sip_message_address(b, SIP_FROM, &y) == ERR_OK);
	expect_same(x.tag, y.tag);
	expect_same(x.uri.text, y.uri.text);
	expect(count_contacts(a) == count_contacts(b));
}

static void check_rebuilt(const struct sip_message *m,
			  const struct sip_policy *policy)
{
	struct buffer out = {0};
	struct sip_message again;

	rebuild(m, &out);
	expect(sip_message_parse(buffer_slice(&out), SIP_STREAM, &again) ==
	       ERR_OK);
	expect(sip_message_check(&again, policy).outcome == SIP_VERDICT_ACCEPT);
	expect_same_message(m, &again);

	size_t searched = 0, size;

	expect(sip_frame_find(buffer_slice(&out), out.size, &searched, &size) ==
		       ERR_OK &&
	       size == out.size);
	buffer_fini(&out);
}

static void check_answer(const struct sip_message *m,
			 const struct sip_verdict *verdict,
			 const struct sip_policy *policy)
{
	static const struct sip_reply reply = {
		.status = 200,
		.to_tag = SLICE("t"),
		.source = {SIP_HOST_IPV4, SLICE("192.0.2.1"), 5060},
	};
	struct buffer out = {0};
	struct sip_message answer;

	if (verdict->outcome == SIP_VERDICT_REFUSE) {
		sip_build_refusal(&out, m, verdict, policy, &reply);
	} else {
		sip_build_response(&out, m, &reply);
		sip_build_end(&out, (struct slice){0}, (struct slice){0});
	}
	expect(sip_message_parse(buffer_slice(&out), SIP_STREAM, &answer) ==
	       ERR_OK);
	expect(!answer.request && !answer.fault);
	expect(answer.first[SIP_VIA] == 1);
	buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const extensions[] = {"path"};
	static const struct sip_policy policy = {
		.methods = UINT32_MAX,
		.extensions = extensions,
		.extension_count = 1,
	};
	struct slice all = slice_of(data, size);
	struct sip_message m;

	if (sip_message_parse(all, SIP_DATAGRAM, &m) != ERR_OK)
		return 0;
	check_views(&m, all);

	struct sip_verdict verdict = sip_message_check(&m, &policy);

	expect((verdict.outcome == SIP_VERDICT_ACCEPT) == !verdict.reason);
	expect((verdict.outcome == SIP_VERDICT_REFUSE) == !!verdict.status);
	/* Room for the lines we add. */
	if (m.count + 2 > SIP_LINES_MAX)
		return 0;
	if (m.request && verdict.outcome != SIP_VERDICT_DROP)
		check_answer(&m, &verdict, &policy);
	if (verdict.outcome == SIP_VERDICT_ACCEPT)
		check_rebuilt(&m, &policy);
	return 0;
}
