#include "services/registrar/sip/check.h"

#include "proto/buffer.h"

#include <criterion/criterion.h>

static const char *const extensions[] = {"path", "outbound"};

static const struct sip_policy policy = {
	.methods = SIP_METHOD_BIT(SIP_METHOD_REGISTER) |
		   SIP_METHOD_BIT(SIP_METHOD_OPTIONS),
	.extensions = extensions,
	.extension_count = 2,
};

#define VIA    "Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK74bf9\r\n"
#define FROM   "From: <sip:a@example.com>;tag=9f\r\n"
#define TO     "To: <sip:a@example.com>\r\n"
#define CALLID "Call-ID: 3848276298220188511@192.0.2.4\r\n"
#define CSEQ   "CSeq: 2 REGISTER\r\n"
#define ALL    VIA FROM TO CALLID CSEQ
#define LINE   "REGISTER sip:example.com SIP/2.0\r\n"

struct check_row {
	const char *text; /* without the empty line */
	enum sip_outcome outcome;
	unsigned status;
	const char *reason; /* NULL: good */
};

/* clang-format off */
static const struct check_row rows[] = {
	{LINE ALL, SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "Require: Path\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "Contact: *\r\nExpires: 0\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "Contact: <sip:a@b>, <sip:c@d>\r\nm:\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "Path: <sip:p;lr>,<sip:q;lr>\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "Max-Forwards: 0\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{LINE ALL "m: <sip:a@b>;expires=99999999999\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{"REGISTER tel:+1 SIP/2.0\r\n" ALL, SIP_VERDICT_ACCEPT, 0, NULL},

	{LINE FROM TO CALLID CSEQ, SIP_VERDICT_DROP, 0, "Missing Via"},
	{LINE "Via: x\r\n" FROM TO CALLID CSEQ, SIP_VERDICT_DROP, 0, "Bad Via"},
	{LINE "Via:\r\n" ALL, SIP_VERDICT_DROP, 0, "Bad Via"},
	{LINE VIA "Via: x\r\n" FROM TO CALLID CSEQ, SIP_VERDICT_REFUSE, 400, "Bad Via"},
	{LINE VIA TO CALLID CSEQ, SIP_VERDICT_REFUSE, 400, "Missing From"},
	{LINE VIA FROM CALLID CSEQ, SIP_VERDICT_REFUSE, 400, "Missing To"},
	{LINE VIA FROM TO CSEQ, SIP_VERDICT_REFUSE, 400, "Missing Call-ID"},
	{LINE VIA FROM TO CALLID, SIP_VERDICT_REFUSE, 400, "Missing CSeq"},
	{LINE VIA "From: *\r\n" TO CALLID CSEQ, SIP_VERDICT_REFUSE, 400, "Bad From"},
	{LINE VIA FROM "To: a\r\n" CALLID CSEQ, SIP_VERDICT_REFUSE, 400, "Bad To"},
	{LINE VIA FROM "To: tel:+1\r\n" CALLID CSEQ, SIP_VERDICT_REFUSE, 400, "Bad Scheme In To"},
	{LINE VIA FROM TO "Call-ID:\r\n" CSEQ, SIP_VERDICT_REFUSE, 400, "Bad Call-ID"},
	{LINE VIA FROM TO "Call-ID: a b\r\n" CSEQ, SIP_VERDICT_REFUSE, 400, "Bad Call-ID"},
	{LINE VIA FROM TO "Call-ID: a@b@c\r\n" CSEQ, SIP_VERDICT_REFUSE, 400, "Bad Call-ID"},
	{LINE VIA FROM TO "Call-ID: a@\r\n" CSEQ, SIP_VERDICT_REFUSE, 400, "Bad Call-ID"},
	{LINE VIA FROM TO CALLID "CSeq: 4294967296 REGISTER\r\n", SIP_VERDICT_REFUSE, 400, "Bad CSeq"},
	{LINE VIA FROM TO CALLID "CSeq: REGISTER\r\n", SIP_VERDICT_REFUSE, 400, "Bad CSeq"},
	{LINE VIA FROM TO CALLID "CSeq: 1REGISTER\r\n", SIP_VERDICT_REFUSE, 400, "Bad CSeq"},
	{LINE VIA FROM TO CALLID "CSeq: 1 REGISTER x\r\n", SIP_VERDICT_REFUSE, 400, "Bad CSeq"},
	{LINE VIA FROM TO CALLID "CSeq: 1 register\r\n", SIP_VERDICT_REFUSE, 400, "CSeq Method Mismatch"},
	{LINE ALL "CSeq: 2 REGISTER\r\n", SIP_VERDICT_REFUSE, 400, "Repeated Header"},
	{LINE ALL "Max-Forwards: 256\r\n", SIP_VERDICT_REFUSE, 400, "Bad Max-Forwards"},
	{LINE ALL "Max-Forwards: x\r\n", SIP_VERDICT_REFUSE, 400, "Bad Max-Forwards"},
	{LINE ALL "Expires: 4294967296\r\n", SIP_VERDICT_REFUSE, 400, "Bad Expires"},
	{LINE ALL "Expires: -1\r\n", SIP_VERDICT_REFUSE, 400, "Bad Expires"},
	{LINE ALL "Date: now\r\n", SIP_VERDICT_REFUSE, 400, "Bad Date"},
	{LINE ALL "Contact: <sip:a@b>,\r\n", SIP_VERDICT_REFUSE, 400, "Bad Contact"},
	{LINE ALL "Contact: *\r\n", SIP_VERDICT_REFUSE, 400, "Bad Use Of *"},
	{LINE ALL "Contact: *\r\nExpires: 1\r\n", SIP_VERDICT_REFUSE, 400, "Bad Use Of *"},
	{LINE ALL "Contact: *\r\nm: <sip:a@b>\r\nExpires: 0\r\n", SIP_VERDICT_REFUSE, 400, "Bad Use Of *"},
	{LINE ALL "Path: p\r\n", SIP_VERDICT_REFUSE, 400, "Bad Path"},
	{LINE ALL "Path: *\r\n", SIP_VERDICT_REFUSE, 400, "Bad Path"},
	{LINE ALL "Route: <sip:a\r\n", SIP_VERDICT_REFUSE, 400, "Bad Route"},
	{LINE ALL "Require: ,\r\n", SIP_VERDICT_REFUSE, 400, "Bad Require"},
	{LINE ALL "Supported: a b\r\n", SIP_VERDICT_REFUSE, 400, "Bad Supported"},
	{LINE ALL "Require: path, 100rel\r\n", SIP_VERDICT_REFUSE, 420, "Bad Extension"},
	{LINE ALL "Proxy-Require: 100rel\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{"REGISTER http://a SIP/2.0\r\n" ALL, SIP_VERDICT_REFUSE, 416, "Unsupported URI Scheme"},
	{"REGISTER sip: SIP/2.0\r\n" ALL, SIP_VERDICT_REFUSE, 400, "Bad Request-URI"},
	{"REGISTER sip:a?b=c SIP/2.0\r\n" ALL, SIP_VERDICT_REFUSE, 400, "Headers In Request-URI"},
	{"REGISTER sip:a SIP/2.1\r\n" ALL, SIP_VERDICT_REFUSE, 505, "Version Not Supported"},
	{"INVITE sip:a SIP/2.0\r\n" VIA FROM TO CALLID "CSeq: 1 INVITE\r\n", SIP_VERDICT_REFUSE, 405, "Method Not Allowed"},
	{"Register sip:a SIP/2.0\r\n" ALL, SIP_VERDICT_REFUSE, 501, "Not Implemented"},
	{"OPTIONS sip:a SIP/2.0\r\n" VIA FROM TO CALLID "CSeq: 1 OPTIONS\r\nContact: *\r\n", SIP_VERDICT_REFUSE, 400, "Bad Use Of *"},
	{"OPTIONS sip:a SIP/2.0\r\n" VIA FROM "To: tel:+1\r\n" CALLID "CSeq: 1 OPTIONS\r\n", SIP_VERDICT_ACCEPT, 0, NULL},

	/* Never answered. */
	{"ACK sip:a SIP/2.0\r\n" VIA FROM TO CALLID "CSeq: 1 ACK\r\n", SIP_VERDICT_DROP, 0, "Method Not Allowed"},
	{"ACK  sip:a SIP/2.0\r\n" VIA FROM TO CALLID "CSeq: 1 ACK\r\n", SIP_VERDICT_DROP, 0, "Bad Request-Line"},
	{"SIP/2.0 200 OK\r\n" ALL, SIP_VERDICT_ACCEPT, 0, NULL},
	{"SIP/2.0 401 Unauthorized\r\n" ALL "Retry-After: 5 (x)\r\nMin-Expires: 60\r\n", SIP_VERDICT_ACCEPT, 0, NULL},
	{"SIP/2.0 200 OK\r\n" VIA ALL, SIP_VERDICT_DROP, 0, "Too Many Vias"},
	{"SIP/2.0 200 OK\r\n" FROM TO CALLID CSEQ, SIP_VERDICT_DROP, 0, "Missing Via"},
	{"SIP/2.0 200 OK\r\n" VIA FROM TO CALLID, SIP_VERDICT_DROP, 0, "Missing CSeq"},
	{"SIP/2.0 423 x\r\n" ALL "Min-Expires: x\r\n", SIP_VERDICT_DROP, 0, "Bad Min-Expires"},
	{"SIP/2.0 503 x\r\n" ALL "Retry-After: 5 5\r\n", SIP_VERDICT_DROP, 0, "Bad Retry-After"},
	{"SIP/2.0 200 OK\r\n" ALL "Content-Length: 1\r\n", SIP_VERDICT_DROP, 0, "Wrong Content-Length"},
};
/* clang-format on */

Test(sip_check, verdicts)
{
	struct buffer text = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct check_row *row = &rows[i];
		struct sip_message m;

		text.size = 0;
		buffer_append_str(&text, row->text);
		buffer_append_str(&text, "\r\n");
		cr_assert_eq(sip_message_parse(buffer_slice(&text),
					       SIP_DATAGRAM, &m),
			     ERR_OK, "%s", row->text);
		struct sip_verdict verdict = sip_message_check(&m, &policy);

		cr_expect_eq(verdict.outcome, row->outcome, "%s: %d %s",
			     row->text, verdict.outcome, verdict.reason);
		cr_expect_eq(verdict.status, row->status, "%s: %u", row->text,
			     verdict.status);
		cr_expect_eq(!verdict.reason, !row->reason, "%s: %s", row->text,
			     verdict.reason);
		if (verdict.reason && row->reason)
			cr_expect_str_eq(verdict.reason, row->reason, "%s",
					 row->text);
	}
	buffer_fini(&text);
}
