/* The 49 messages of RFC 4475, "Session Initiation Protocol (SIP) Torture Test
 * Messages", each with the answer that RFC asks for. */

#include "services/registrar/sip/build.h"
#include "services/registrar/sip/check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Repeating strings, as section 2.3 writes <repeat count=n>. */
#define R5(s)  s s s s s
#define R10(s) R5(s) R5(s)
#define R20(s) R10(s) R10(s)
#define R25(s) R20(s) R5(s)

struct torture {
	const char *name;
	const char *title;
	enum sip_outcome outcome;
	unsigned status;
	struct slice message;
};

/* clang-format off */
static const struct torture tortures[] = {
	{"3.1.1.1 wsinv", "A Short Tortuous INVITE",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
	 "TO :\r\n"
	 " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
	 "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n"
	 "  ;\r\n"
	 "  tag = 98asjd8\r\n"
	 "MaX-fOrWaRdS: 0068\r\n"
	 "Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
	 "Content-Length   : 150\r\n"
	 "cseq: 0009\r\n"
	 "  INVITE\r\n"
	 "Via  : SIP  /   2.0\r\n"
	 " /UDP\r\n"
	 "    192.0.2.2;branch=390skdjuw\r\n"
	 "s :\r\n"
	 "NewFangledHeader:   newfangled value\r\n"
	 " continued newfangled value\r\n"
	 "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Route:\r\n"
	 " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
	 "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n"
	 "  branch  =   z9hG4bK9ikj8  ,\r\n"
	 " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n"
	 " z9hG4bK30239\r\n"
	 "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n"
	 "      newvalue ;\r\n"
	 "  secondparam ; q = 0.33\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.3\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.4\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	/* An unknown method. */
	{"3.1.1.2 intmeth", "Wide Range of Valid Characters",
	 SIP_VERDICT_REFUSE, 501,
	 SLICE(
	 "!interesting-Method0123456789_*+`.%indeed'~ "
	 "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,"
	 "weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\r\n"
	 "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\r\n"
	 "To: \"BEL:\\\007 NUL:\\\000 DEL:\\\177\" "
	 "<sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\r\n"
	 "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;"
	 "fromParam''~+*_!.-%=\"\321\200\320\260\320\261\320\276\321\202\320\260"
	 "\321\216\321\211\320\270\320\271\";tag=_token~1'+`*%!-.\r\n"
	 "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\n"
	 "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\r\n"
	 "Max-Forwards: 255\r\n"
	 "extensionHeader-!.%*+_`'~:\357\273\277\345\244\247\345\201\234\351\233"
	 "\273\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	{"3.1.1.3 esc01", "Valid Use of the % Escaping Mechanism",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0\r\n"
	 "To: sip:%75se%72@example.com\r\n"
	 "From: <sip:I%20have%20spaces@example.net>;tag=938\r\n"
	 "Max-Forwards: 87\r\n"
	 "i: esc01.239409asdfakjkn23onasd0-3234\r\n"
	 "CSeq: 234234 INVITE\r\n"
	 "Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw\r\n"
	 "C: application/sdp\r\n"
	 "Contact:\r\n"
	 "  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\r\n"
	 "Content-Length: 150\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.1\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.1\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.1.4 escnull", "Escaped Nulls in URIs",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "To: sip:null-%00-null@example.com\r\n"
	 "From: sip:null-%00-null@example.com;tag=839923423\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd\r\n"
	 "CSeq: 14398234 REGISTER\r\n"
	 "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Contact: <sip:%00@host5.example.com>\r\n"
	 "Contact: <sip:%00%00@host5.example.com>\r\n"
	 "L:0\r\n"
	 "\r\n")},
	/* RE%47IST%45R is not REGISTER. */
	{"3.1.1.5 esc02", "Use of % When It Is Not an Escape",
	 SIP_VERDICT_REFUSE, 501,
	 SLICE(
	 "RE%47IST%45R sip:registrar.example.com SIP/2.0\r\n"
	 "To: \"%Z%45\" <sip:resource@example.com>\r\n"
	 "From: \"%Z%45\" <sip:resource@example.com>;tag=f232jadfj23\r\n"
	 "Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf\r\n"
	 "Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234\r\n"
	 "CSeq: 29344 RE%47IST%45R\r\n"
	 "Max-Forwards: 70\r\n"
	 "Contact: <sip:alias1@host1.example.com>\r\n"
	 "C%6Fntact: <sip:alias2@host2.example.com>\r\n"
	 "Contact: <sip:alias3@host3.example.com>\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.1.6 lwsdisp", "No LWS between Display Name and <",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: caller<sip:caller@example.com>;tag=323\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID: lwsdisp.1234abcd@funky.example.com\r\n"
	 "CSeq: 60 OPTIONS\r\n"
	 "Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.1.7 longreq", "Long Values in Header Fields",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "To: \"I have a user name of " R10("extreme") " proportion\""
	 "<sip:user@example.com:6000;unknownparam1=very" R20("long") "value;"
	 "longparam" R25("name") "=shortvalue;"
	 "very" R25("long") "ParameterNameWithNoValue>\r\n"
	 "F: sip:" R5("amazinglylongcallername") "@example.net"
	 ";tag=12" R25("982982") "424"
	 ";unknownheaderparam" R20("name") "=unknowheaderparam" R5("valuevaluevalue")
	 ";unknownValueless" R10("paramname") "\r\n"
	 "Call-ID: longreq.one" R20("really") "longcallid\r\n"
	 "CSeq: 3882340 INVITE\r\n"
	 "Unknown-" R20("Long") "-Name:unknown-" R20("long") "-value;"
	 "unknown-" R20("long") "-parameter-name =unknown-" R20("long")
	 "-parameter-value\r\n"
	 "Via: SIP/2.0/TCP sip33.example.com\r\n"
	 "v: SIP/2.0/TCP sip32.example.com\r\n"
	 "V: SIP/2.0/TCP sip31.example.com\r\n"
	 "Via: SIP/2.0/TCP sip30.example.com\r\n"
	 "ViA: SIP/2.0/TCP sip29.example.com\r\n"
	 "VIa: SIP/2.0/TCP sip28.example.com\r\n"
	 "VIA: SIP/2.0/TCP sip27.example.com\r\n"
	 "via: SIP/2.0/TCP sip26.example.com\r\n"
	 "viA: SIP/2.0/TCP sip25.example.com\r\n"
	 "vIa: SIP/2.0/TCP sip24.example.com\r\n"
	 "vIA: SIP/2.0/TCP sip23.example.com\r\n"
	 "V :  SIP/2.0/TCP sip22.example.com\r\n"
	 "v :  SIP/2.0/TCP sip21.example.com\r\n"
	 "V  : SIP/2.0/TCP sip20.example.com\r\n"
	 "v  : SIP/2.0/TCP sip19.example.com\r\n"
	 "Via : SIP/2.0/TCP sip18.example.com\r\n"
	 "Via  : SIP/2.0/TCP sip17.example.com\r\n"
	 "Via: SIP/2.0/TCP sip16.example.com\r\n"
	 "Via: SIP/2.0/TCP sip15.example.com\r\n"
	 "Via: SIP/2.0/TCP sip14.example.com\r\n"
	 "Via: SIP/2.0/TCP sip13.example.com\r\n"
	 "Via: SIP/2.0/TCP sip12.example.com\r\n"
	 "Via: SIP/2.0/TCP sip11.example.com\r\n"
	 "Via: SIP/2.0/TCP sip10.example.com\r\n"
	 "Via: SIP/2.0/TCP sip9.example.com\r\n"
	 "Via: SIP/2.0/TCP sip8.example.com\r\n"
	 "Via: SIP/2.0/TCP sip7.example.com\r\n"
	 "Via: SIP/2.0/TCP sip6.example.com\r\n"
	 "Via: SIP/2.0/TCP sip5.example.com\r\n"
	 "Via: SIP/2.0/TCP sip4.example.com\r\n"
	 "Via: SIP/2.0/TCP sip3.example.com\r\n"
	 "Via: SIP/2.0/TCP sip2.example.com\r\n"
	 "Via: SIP/2.0/TCP sip1.example.com\r\n"
	 "Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;"
	 "branch=very" R25("longlong") "branchvalue\r\n"
	 "Max-Forwards: 70\r\n"
	 "Contact: <sip:" R5("amazinglylongcallername") "@host5.example.net>\r\n"
	 "Content-Type: application/sdp\r\n"
	 "l: 150\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.1\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.1\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.1.8 dblreq", "Extra Trailing Octets in a UDP Datagram",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:j.user@example.com;tag=43251j3j324\r\n"
	 "Max-Forwards: 8\r\n"
	 "I: dblreq.0ha0isndaksdj99sdfafnl3lk233412\r\n"
	 "Contact: sip:j.user@host.example.com\r\n"
	 "CSeq: 8 REGISTER\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n"
	 "\r\n"
	 "INVITE sip:joe@example.com SIP/2.0\r\n"
	 "t: sip:joe@example.com\r\n"
	 "From: sip:caller@example.net;tag=141334\r\n"
	 "Max-Forwards: 8\r\n"
	 "Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 150\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.15\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.15\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m =video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n"
	 "\r\n")},
	{"3.1.1.9 semiuri", "Semicolon-Separated Parameters in URI User Part",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\r\n"
	 "To: sip:j_user@example.com\r\n"
	 "From: sip:caller@example.org;tag=33242\r\n"
	 "Max-Forwards: 3\r\n"
	 "Call-ID: semiuri.0ha0isndaksdj\r\n"
	 "CSeq: 8 OPTIONS\r\n"
	 "Accept: application/sdp, application/pkcs7-mime,\r\n"
	 "        multipart/mixed, multipart/signed,\r\n"
	 "        message/sip, message/sipfrag\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.1.10 transports", "Varied and Unknown Transport Types",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: <sip:caller@example.com>;tag=323\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID:  transports.kijh4akdnaqjkwendsasfdj\r\n"
	 "Accept: application/sdp\r\n"
	 "CSeq: 60 OPTIONS\r\n"
	 "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\r\n"
	 "Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\r\n"
	 "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\r\n"
	 "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.1.11 mpart01", "Multipart MIME Message",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 /* The signed part is cut to its first octets. */
	 "MESSAGE sip:kumiko@example.org SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP 127.0.0.1:5070;"
	 "branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport\r\n"
	 "Max-Forwards: 70\r\n"
	 "Route: <sip:127.0.0.1:5080>\r\n"
	 "Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhK"
	 "v9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDNGCzA+fWl9MEUHWIZo1Ce"
	 "JebdY/XlgKeTa0Olvq0rt70Q5jiSfbqMJmQFteeivUhkMWYUA=\r\n"
	 "Contact: <sip:fluffy@127.0.0.1:5070>\r\n"
	 "To: <sip:kumiko@example.org>\r\n"
	 "From: <sip:fluffy@example.com>;tag=2fb0dcc9\r\n"
	 "Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..\r\n"
	 "CSeq: 1 MESSAGE\r\n"
	 "Content-Transfer-Encoding: binary\r\n"
	 "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\r\n"
	 "Date: Sat, 15 Oct 2005 04:44:56 GMT\r\n"
	 "User-Agent: SIPimp.org/0.2.5 (curses)\r\n"
	 "Content-Length: 235\r\n"
	 "\r\n"
	 "--7a9cbec02ceef655\r\n"
	 "Content-Type: text/plain\r\n"
	 "Content-Transfer-Encoding: binary\r\n"
	 "\r\n"
	 "Hello\r\n"
	 "--7a9cbec02ceef655\r\n"
	 "Content-Type: application/octet-stream\r\n"
	 "Content-Transfer-Encoding: binary\r\n"
	 "\r\n"
	 "0\202\001R\006\t*\206H\206\367\r\001\a\002\240\202\001C0\202\001?\000\r\n"
	 "--7a9cbec02ceef655--\r\n")},
	{"3.1.1.12 unreason", "Unusual Reason Phrase",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "SIP/2.0 200 = 2**3 * 5**2 \320\275\320\276 \321\201\321\202\320\276 "
	 "\320\264\320\265\320\262\321\217\320\275\320\276\321\201\321\202\320"
	 "\276 \320\264\320\265\320\262\321\217\321\202\321\214 - "
	 "\320\277\321\200\320\276\321\201\321\202\320\276\320\265\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\n"
	 "Call-ID: unreason.1234ksdfak3j2erwedfsASdf\r\n"
	 "CSeq: 35 INVITE\r\n"
	 "From: sip:user@example.com;tag=11141343\r\n"
	 "To: sip:user@example.edu;tag=2229\r\n"
	 "Content-Length: 154\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Contact: <sip:user@host198.example.com>\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.198\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.198\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.1.13 noreason", "Empty Reason Phrase",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "SIP/2.0 100 \r\n"
	 "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\r\n"
	 "Call-ID: noreason.asndj203insdf99223ndf\r\n"
	 "CSeq: 35 INVITE\r\n"
	 "From: <sip:user@example.com>;tag=39ansfi3\r\n"
	 "To: <sip:user@example.edu>;tag=902jndnke3\r\n"
	 "Content-Length: 0\r\n"
	 "Contact: <sip:user@host105.example.com>\r\n"
	 "\r\n")},
	{"3.1.2.1 badinv01", "Extraneous Header Field Separators",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:caller@example.net;tag=134161461246\r\n"
	 "Max-Forwards: 7\r\n"
	 "Call-ID: badinv01.0ha0isndaksdjasdf3234nas\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.15;;,;,,\r\n"
	 "Contact: \"Joe\" <sip:joe@example.org>;;;;\r\n"
	 "Content-Length: 152\r\n"
	 "Content-Type: application/sdp\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.15\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.15\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.2 clerr", "Content Length Larger Than Message",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "Max-Forwards: 80\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:caller@example.net;tag=93942939o2\r\n"
	 "Contact: <sip:caller@hungry.example.net>\r\n"
	 "Call-ID: clerr.0ha0isndaksdjweiafasdk3\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 9999\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.155\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.155\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.3 ncl", "Negative Content-Length",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "Max-Forwards: 254\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:caller@example.net;tag=32394234\r\n"
	 "Call-ID: ncl.0ha0isndaksdj2193423r542w35\r\n"
	 "CSeq: 0 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw\r\n"
	 "Contact: <sip:caller@example53.example.net>\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: -999\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.53\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.53\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.4 scalar02", "Request Scalar Fields with Overlarge Values",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3\r\n"
	 "To: <sip:user@example.com>\r\n"
	 "From: <sip:user@example.com>;tag=239232jh3\r\n"
	 "CSeq: 36893488147419103232 REGISTER\r\n"
	 "Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32\r\n"
	 "Max-Forwards: 300\r\n"
	 "Expires: 1000000000000000000000000000000000000000000000000000000000000"
	 "0000000000000000000000000000000000000000\r\n"
	 "Contact: <sip:user@host129.example.com>\r\n"
	 "  ;expires=280297596632815\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	{"3.1.2.5 scalarlg", "Response Scalar Fields with Overlarge Values",
	 SIP_VERDICT_DROP, 0,
	 SLICE(
	 "SIP/2.0 503 Service Unavailable\r\n"
	 "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;"
	 "received=192.0.2.129\r\n"
	 "To: <sip:user@example.com>\r\n"
	 "From: <sip:other@example.net>;tag=2easdjfejw\r\n"
	 "CSeq: 9292394834772304023312 OPTIONS\r\n"
	 "Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r\r\n"
	 "Retry-After: 949302838503028349304023988\r\n"
	 "Warning: 1812 overture \"In Progress\"\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	{"3.1.2.6 quotbal", "Unterminated Quoted String in Display Name",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "To: \"Mr. J. User <sip:j.user@example.com>\r\n"
	 "From: sip:caller@example.net;tag=93334\r\n"
	 "Max-Forwards: 10\r\n"
	 "Call-ID: quotbal.aksdj\r\n"
	 "Contact: <sip:caller@host59.example.net>\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 152\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.15\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.15\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.7 ltgtruri", "<> Enclosing Request-URI",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE <sip:user@example.com> SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=39291\r\n"
	 "Max-Forwards: 23\r\n"
	 "Call-ID: ltgtruri.1@192.0.2.5\r\n"
	 "CSeq: 1 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.5\r\n"
	 "Contact: <sip:caller@host5.example.net>\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 159\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.5\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.5\r\n"
	 "t=3149328700 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.8 lwsruri", "Malformed SIP Request-URI (Embedded LWS)",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com; lr SIP/2.0\r\n"
	 "To: sip:user@example.com;tag=3xfe-9921883-z9f\r\n"
	 "From: sip:caller@example.net;tag=231413434\r\n"
	 "Max-Forwards: 5\r\n"
	 "Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423\r\n"
	 "CSeq: 2130706432 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395\r\n"
	 "Contact: <sip:caller@host1.example.net>\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 159\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.1\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.1\r\n"
	 "t=3149328700 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.9 lwsstart", "Multiple SP Separating Request-Line Elements",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE  sip:user@example.com  SIP/2.0\r\n"
	 "Max-Forwards: 8\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=8814\r\n"
	 "Call-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com\r\n"
	 "CSeq: 1893884 INVITE\r\n"
	 "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923\r\n"
	 "Contact: <sip:caller@host1.example.net>\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 150\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.1\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.1\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.10 trws", "SP Characters at End of Request-Line",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "OPTIONS sip:remote-target@example.com SIP/2.0  \r\n"
	 "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093\r\n"
	 "To: <sip:remote-target@example.com>\r\n"
	 "From: <sip:local-resource@example.com>;tag=329429089\r\n"
	 "Call-ID: trws.oicu34958239neffasdhr2345r\r\n"
	 "Accept: application/sdp\r\n"
	 "CSeq: 238923 OPTIONS\r\n"
	 "Max-Forwards: 70\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	{"3.1.2.11 escruri", "Escaped Headers in SIP Request-URI",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=341518\r\n"
	 "Max-Forwards: 7\r\n"
	 "Contact: <sip:caller@host39923.example.net>\r\n"
	 "Call-ID: escruri.23940-asdfhj-aje3br-234q098w-fawerh2q-h4n5\r\n"
	 "CSeq: 149209342 INVITE\r\n"
	 "Via: SIP/2.0/UDP host-of-the-hour.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 150\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.1\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.1\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.12 baddate", "Invalid Time Zone in Date Header Field",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=2234923\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID: baddate.239423mnsadf3j23lj42--sedfnm234\r\n"
	 "CSeq: 1392934 INVITE\r\n"
	 "Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Date: Fri, 01 Jan 2010 16:00:00 EST\r\n"
	 "Contact: <sip:caller@host5.example.net>\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Content-Length: 150\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.5\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.5\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.13 regbadct", "Failure to Enclose name-addr URI in <>",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:user@example.com;tag=998332\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID: regbadct.k345asrl3fdbv@10.0.0.1\r\n"
	 "CSeq: 1 REGISTER\r\n"
	 "Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw\r\n"
	 "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.2.14 badaspec", "Spaces within addr-spec",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "OPTIONS sip:user@example.org SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234\r\n"
	 "Max-Forwards: 70\r\n"
	 "From: \"Bell, Alexander\" <sip:a.g.bell@example.com>;tag=433423\r\n"
	 "To: \"Watson, Thomas\" < sip:t.watson@example.org >\r\n"
	 "Call-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3\r\n"
	 "Accept: application/sdp\r\n"
	 "CSeq: 3923239 OPTIONS\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.2.15 baddn", "Non-token Characters in Display Name",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "OPTIONS sip:t.watson@example.org SIP/2.0\r\n"
	 "Via:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw\r\n"
	 "Max-Forwards:      70\r\n"
	 "From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43\r\n"
	 "To:      Watson, Thomas <sip:t.watson@example.org>\r\n"
	 "Call-ID: baddn.31415@c.example.com\r\n"
	 "Accept: application/sdp\r\n"
	 "CSeq:    3923239 OPTIONS\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.2.16 badvers", "Unknown Protocol Version",
	 SIP_VERDICT_REFUSE, 505,
	 SLICE(
	 "OPTIONS sip:t.watson@example.org SIP/7.0\r\n"
	 "Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Max-Forwards:     70\r\n"
	 "From:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe\r\n"
	 "To:      T. Watson <sip:t.watson@example.org>\r\n"
	 "Call-ID: badvers.31417@c.example.com\r\n"
	 "CSeq:    1 OPTIONS\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.2.17 mismatch01", "Start Line and CSeq Method Mismatch",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:caller@example.net;tag=34525\r\n"
	 "Max-Forwards: 6\r\n"
	 "Call-ID: mismatch01.dj0234sxdfl3\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.1.2.18 mismatch02", "Unknown Method with CSeq Method Mismatch",
	 SIP_VERDICT_REFUSE, 501,
	 SLICE(
	 "NEWMETHOD sip:user@example.com SIP/2.0\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:caller@example.net;tag=34525\r\n"
	 "Max-Forwards: 6\r\n"
	 "Call-ID: mismatch02.dj0234sxdfl3\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Contact: <sip:caller@host.example.net>\r\n"
	 "Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw\r\n"
	 "Content-Type: application/sdp\r\n"
	 "l: 138\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.1\r\n"
	 "c=IN IP4 192.0.2.1\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.1.2.19 bigcode", "Overlarge Response Code",
	 SIP_VERDICT_DROP, 0,
	 SLICE(
	 "SIP/2.0 4294967301 better not break the receiver\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\r\n"
	 "Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i\r\n"
	 "CSeq: 353494 INVITE\r\n"
	 "From: <sip:user@example.com>;tag=39ansfi3\r\n"
	 "To: <sip:user@example.edu>;tag=902jndnke3\r\n"
	 "Content-Length: 0\r\n"
	 "Contact: <sip:user@host105.example.com>\r\n"
	 "\r\n")},
	/* Told apart by sip_via_branch_unique(). */
	{"3.2.1 badbranch", "Missing Transaction Identifier",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.org;tag=33242\r\n"
	 "Max-Forwards: 3\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\r\n"
	 "Accept: application/sdp\r\n"
	 "Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n\r\n"
	 "CSeq: 8 OPTIONS\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.3.1 insuf", "Missing Required Header Fields",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "CSeq: 193942 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\r\n"
	 "Content-Type: application/sdp\r\n"
	 "l: 152\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.95\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.95\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.3.2 unkscm", "Request-URI with Unknown Scheme",
	 SIP_VERDICT_REFUSE, 416,
	 SLICE(
	 "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=384\r\n"
	 "Max-Forwards: 3\r\n"
	 "Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34\r\n"
	 "CSeq: 3923423 OPTIONS\r\n"
	 "Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	{"3.3.3 novelsc", "Request-URI with Known but Atypical Scheme",
	 SIP_VERDICT_REFUSE, 416,
	 SLICE(
	 "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=384\r\n"
	 "Max-Forwards: 3\r\n"
	 "Call-ID: novelsc.asdfasser0q239nwsdfasdkl34\r\n"
	 "CSeq: 3923423 OPTIONS\r\n"
	 "Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	/* An AoR is a SIP URI. */
	{"3.3.4 unksm2", "Unknown URI Schemes in Header Fields",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "To: isbn:2983792873\r\n"
	 "From: <http://www.example.com>;tag=3234233\r\n"
	 "Call-ID: unksm2.daksdj@hyphenated-host.example.com\r\n"
	 "CSeq: 234902 REGISTER\r\n"
	 "Max-Forwards: 70\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw\r\n"
	 "Contact: <name:John_Smith>\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.3.5 bext01", "Proxy-Require and Require",
	 SIP_VERDICT_REFUSE, 420,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "To: sip:j_user@example.com\r\n"
	 "From: sip:caller@example.net;tag=242etr\r\n"
	 "Max-Forwards: 6\r\n"
	 "Call-ID: bext01.0ha0isndaksdj\r\n"
	 "Require: nothingSupportsThis, nothingSupportsThisEither\r\n"
	 "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\r\n"
	 "CSeq: 8 OPTIONS\r\n"
	 "Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	/* 415 is the caller's. */
	{"3.3.6 invut", "Unknown Content-Type",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "Contact: <sip:caller@host5.example.net>\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:caller@example.net;tag=8392034\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID: invut.0ha0isndaksdjadsfij34n23d\r\n"
	 "CSeq: 235448 INVITE\r\n"
	 "Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw\r\n"
	 "Content-Type: application/unknownformat\r\n"
	 "Content-Length: 40\r\n"
	 "\r\n"
	 "<audio>\r\n"
	 " <pcmu port=\"443\"/>\r\n"
	 "</audio>\r\n")},
	/* 401 is the caller's. */
	{"3.3.7 regaut01", "Unknown Authorization Scheme",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "To: sip:j.user@example.com\r\n"
	 "From: sip:j.user@example.com;tag=87321hj23128\r\n"
	 "Max-Forwards: 8\r\n"
	 "Call-ID: regaut01.0ha0isndaksdj\r\n"
	 "CSeq: 9338 REGISTER\r\n"
	 "Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw\r\n"
	 "Authorization: NoOneKnowsThisScheme opaque-data=here\r\n"
	 "Content-Length:0\r\n"
	 "\r\n")},
	{"3.3.8 multi01", "Multiple Values in Single Value Required Fields",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "INVITE sip:user@company.com SIP/2.0\r\n"
	 "Contact: <sip:caller@host25.example.net>\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw\r\n"
	 "Max-Forwards: 70\r\n"
	 "CSeq: 5 INVITE\r\n"
	 "Call-ID: multi01.98asdh@192.0.2.1\r\n"
	 "CSeq: 59 INVITE\r\n"
	 "Call-ID: multi01.98asdh@192.0.2.2\r\n"
	 "From: sip:caller@example.com;tag=3413415\r\n"
	 "To: sip:user@example.com\r\n"
	 "To: sip:other@example.net\r\n"
	 "From: sip:caller@example.net;tag=2923420123\r\n"
	 "Content-Type: application/sdp\r\n"
	 "l: 154\r\n"
	 "Contact: <sip:caller@host36.example.net>\r\n"
	 "Max-Forwards: 5\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.25\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.25\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n"
	 "\r\n")},
	{"3.3.9 mcl01", "Multiple Content-Length Values",
	 SIP_VERDICT_REFUSE, 400,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:other@example.net;tag=3923942\r\n"
	 "Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf\r\n"
	 "CSeq: 15932 OPTIONS\r\n"
	 "Content-Length: 13\r\n"
	 "Max-Forwards: 60\r\n"
	 "Content-Length: 5\r\n"
	 "Content-Type: text/plain\r\n"
	 "\r\n"
	 "There's no way to know how many octets are supposed to be here.\r\n"
	 "\r\n")},
	/* Not our one Via. */
	{"3.3.10 bcast", "200 OK Response with Broadcast Via Header Field Value",
	 SIP_VERDICT_DROP, 0,
	 SLICE(
	 "SIP/2.0 200 OK\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\n"
	 "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\n"
	 "Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf\r\n"
	 "CSeq: 35 INVITE\r\n"
	 "From: sip:user@example.com;tag=11141343\r\n"
	 "To: sip:user@example.edu;tag=2229\r\n"
	 "Content-Length: 154\r\n"
	 "Content-Type: application/sdp\r\n"
	 "Contact: <sip:user@host28.example.com>\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.198\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.198\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	/* For a user agent. */
	{"3.3.11 zeromf", "Max-Forwards of Zero",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "OPTIONS sip:user@example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:caller@example.net;tag=3ghsd41\r\n"
	 "Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas\r\n"
	 "CSeq: 39234321 OPTIONS\r\n"
	 "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i\r\n"
	 "Max-Forwards: 0\r\n"
	 "Content-Length: 0\r\n"
	 "\r\n")},
	{"3.3.12 cparam01", "REGISTER with a Contact Header Parameter",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\r\n"
	 "Max-Forwards: 70\r\n"
	 "From: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe\r\n"
	 "To: sip:watson@example.com\r\n"
	 "Call-ID: cparam01.70710@saturn.example.com\r\n"
	 "CSeq: 2 REGISTER\r\n"
	 "Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.3.13 cparam02", "REGISTER with a url-parameter",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\r\n"
	 "Max-Forwards: 70\r\n"
	 "From: sip:watson@example.com;tag=838293\r\n"
	 "To: sip:watson@example.com\r\n"
	 "Call-ID: cparam02.70710@saturn.example.com\r\n"
	 "CSeq: 3 REGISTER\r\n"
	 "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n"
	 "l: 0\r\n"
	 "\r\n")},
	{"3.3.14 regescrt", "REGISTER with a URL Escaped Header",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "REGISTER sip:example.com SIP/2.0\r\n"
	 "To: sip:user@example.com\r\n"
	 "From: sip:user@example.com;tag=8\r\n"
	 "Max-Forwards: 70\r\n"
	 "Call-ID: regescrt.k345asrl3fdbv@192.0.2.1\r\n"
	 "CSeq: 14398234 REGISTER\r\n"
	 "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\r\n"
	 "M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\r\n"
	 "L:0\r\n"
	 "\r\n")},
	/* 406 is the caller's. */
	{"3.3.15 sdp01", "Unacceptable Accept Offering",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "INVITE sip:user@example.com SIP/2.0\r\n"
	 "To: sip:j_user@example.com\r\n"
	 "Contact: <sip:caller@host15.example.net>\r\n"
	 "From: sip:caller@example.net;tag=234\r\n"
	 "Max-Forwards: 5\r\n"
	 "Call-ID: sdp01.ndaksdj9342dasdd\r\n"
	 "Accept: text/nobodyKnowsThis\r\n"
	 "CSeq: 8 INVITE\r\n"
	 "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw\r\n"
	 "Content-Length: 150\r\n"
	 "Content-Type: application/sdp\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.5\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.5\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0 12\r\n"
	 "m=video 3227 RTP/AVP 31\r\n"
	 "a=rtpmap:31 LPC\r\n")},
	{"3.4.1 inv2543", "INVITE with RFC 2543 Syntax",
	 SIP_VERDICT_ACCEPT, 0,
	 SLICE(
	 "INVITE sip:UserB@example.com SIP/2.0\r\n"
	 "Via: SIP/2.0/UDP iftgw.example.com\r\n"
	 "From: <sip:+13035551111@ift.client.example.net;user=phone>\r\n"
	 "Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\r\n"
	 "To: sip:+16505552222@ss1.example.net;user=phone\r\n"
	 "Call-ID: inv2543.1717@ift.client.example.com\r\n"
	 "CSeq: 56 INVITE\r\n"
	 "Content-Type: application/sdp\r\n"
	 "\r\n"
	 "v=0\r\n"
	 "o=mhandley 29739 7272939 IN IP4 192.0.2.5\r\n"
	 "s=-\r\n"
	 "c=IN IP4 192.0.2.5\r\n"
	 "t=0 0\r\n"
	 "m=audio 49217 RTP/AVP 0\r\n")},
};
/* clang-format on */

enum { TORTURE_COUNT = sizeof(tortures) / sizeof(tortures[0]) };

/* A server of every method RFC 3261 and its extensions name. */
static const struct sip_policy policy = {.methods = UINT32_MAX};

/* Parses a copy of the exact size, so that ASan sees a read past the end. */
static void *parse(struct slice text, struct sip_message *message,
		   enum err_code *code)
{
	char *copy = malloc(text.size);

	memcpy(copy, text.data, text.size);
	*code = sip_message_parse(slice_of(copy, text.size), SIP_DATAGRAM,
				  message);
	return copy;
}

static const struct torture *torture_named(const char *name)
{
	for (size_t i = 0; i < TORTURE_COUNT; i++)
		if (strcmp(strchr(tortures[i].name, ' ') + 1, name) == 0)
			return &tortures[i];
	cr_assert_fail("no message %s", name);
	return NULL;
}

static void *parse_named(const char *name, struct sip_message *message)
{
	enum err_code code;
	void *copy = parse(torture_named(name)->message, message, &code);

	cr_assert_eq(code, ERR_OK);
	return copy;
}

Test(sip_torture, every_message_gets_its_answer)
{
	cr_assert_eq(TORTURE_COUNT, 49);
	for (size_t i = 0; i < TORTURE_COUNT; i++) {
		const struct torture *t = &tortures[i];
		struct sip_message message;
		struct sip_verdict verdict = {SIP_VERDICT_DROP, 0, "no SIP"};
		enum err_code code;
		void *copy = parse(t->message, &message, &code);

		if (code == ERR_OK)
			verdict = sip_message_check(&message, &policy);
		cr_expect_eq(verdict.outcome, t->outcome, "%s (%s): %d %s",
			     t->name, t->title, verdict.outcome,
			     verdict.reason);
		cr_expect_eq(verdict.status, t->status, "%s (%s): %u %s",
			     t->name, t->title, verdict.status, verdict.reason);
		free(copy);
	}
}

/* What we refuse is answered in a way that reads as a response, with the Vias
 * of the request. */
Test(sip_torture, every_refusal_is_a_response)
{
	static const struct sip_reply reply = {
		.to_tag = SLICE("b7"),
		.source = {SIP_HOST_IPV4, SLICE("192.0.2.77"), 5070},
	};
	struct buffer out = {0};

	for (size_t i = 0; i < TORTURE_COUNT; i++) {
		const struct torture *t = &tortures[i];
		struct sip_message message, answer;
		enum err_code code;

		if (t->outcome != SIP_VERDICT_REFUSE)
			continue;
		void *copy = parse(t->message, &message, &code);
		struct sip_verdict verdict =
			sip_message_check(&message, &policy);

		out.size = 0;
		sip_build_refusal(&out, &message, &verdict, &policy, &reply);
		code = sip_message_parse(buffer_slice(&out), SIP_STREAM,
					 &answer);
		cr_expect_eq(code, ERR_OK, "%s", t->name);
		cr_expect_not(answer.fault, "%s: %s", t->name, answer.fault);
		cr_expect_not(answer.request, "%s", t->name);
		cr_expect_eq(answer.status, t->status, "%s", t->name);
		cr_expect(sip_message_first(&answer, SIP_VIA), "%s", t->name);
		free(copy);
	}
	buffer_fini(&out);
}

Test(sip_torture, wsinv_is_read_through_its_folds)
{
	struct sip_message message;
	void *copy = parse_named("wsinv", &message);
	struct sip_list list = sip_list_of(&message, SIP_VIA);
	struct sip_via vias[3];
	struct sip_address address;
	struct sip_cseq cseq;
	uint32_t number;

	for (int i = 0; i < 3; i++)
		cr_assert_eq(sip_list_via(&list, &vias[i]), ERR_OK);
	cr_expect_eq(sip_list_via(&list, &vias[0]), ERR_NOT_FOUND);
	cr_expect_eq(vias[1].transport, SIP_TRANSPORT_TCP);
	cr_expect(slice_is(vias[1].sent_by.name, "spindle.example.com"));
	cr_expect(slice_is(vias[1].branch, "z9hG4bK9ikj8"));
	cr_expect(slice_is(vias[2].branch, "z9hG4bK30239"));
	cr_expect_eq(vias[2].sent_by.kind, SIP_HOST_IPV4);

	cr_expect_eq(sip_message_cseq(&message, &cseq), ERR_OK);
	cr_expect_eq(cseq.number, 9);
	cr_expect_eq(cseq.method, SIP_METHOD_INVITE);
	cr_expect_eq(sip_message_number(&message, SIP_MAX_FORWARDS, &number),
		     ERR_OK);
	cr_expect_eq(number, 68);
	cr_expect_eq(sip_message_address(&message, SIP_TO, &address), ERR_OK);
	cr_expect(slice_is(address.tag, "1918181833n"));
	cr_expect_eq(sip_message_address(&message, SIP_FROM, &address), ERR_OK);
	cr_expect(slice_is(address.tag, "98asjd8"));
	cr_expect(slice_is(address.display, "\"J Rosenberg \\\\\\\"\""));
	cr_expect_eq(sip_message_address(&message, SIP_CONTACT, &address),
		     ERR_OK);
	cr_expect_eq(sip_address_q(&address), 330);
	cr_expect_eq(message.body.size, 150);
	free(copy);
}

Test(sip_torture, intmeth_keeps_every_character)
{
	struct sip_message message;
	void *copy = parse_named("intmeth", &message);
	struct buffer text = {0};
	struct sip_address address;
	struct sip_uri uri;

	cr_expect(slice_is(message.method_text,
			   "!interesting-Method0123456789_*+`.%indeed'~"));
	cr_expect_eq(sip_message_uri(&message, &uri), ERR_OK);
	cr_expect(slice_is(uri.user,
			   "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
	cr_expect(slice_is(uri.password,
			   "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
	cr_expect_eq(sip_message_address(&message, SIP_TO, &address), ERR_OK);
	sip_address_display_append(&text, &address);
	cr_expect(slice_eq(buffer_slice(&text),
			   (struct slice)SLICE("BEL:\a NUL:\0 DEL:\177")));
	cr_expect_eq(sip_message_address(&message, SIP_FROM, &address), ERR_OK);
	cr_expect(slice_is(address.display, "token1~` token2'+_ token3*%!.-"));
	cr_expect(slice_is(address.tag, "_token~1'+`*%!-."));
	buffer_fini(&text);
	free(copy);
}

Test(sip_torture, escapes_are_taken_off_once)
{
	struct sip_message message;
	void *copy = parse_named("esc01", &message);
	struct buffer key = {0};
	struct sip_address address;
	struct sip_uri uri;

	cr_expect_eq(sip_message_uri(&message, &uri), ERR_OK);
	cr_expect_eq(sip_uri_aor_append(&key, &uri), ERR_OK);
	cr_expect(slice_is(buffer_slice(&key),
			   "sips:user@example.com@example.net"));
	key.size = 0;
	cr_expect_eq(sip_message_address(&message, SIP_TO, &address), ERR_OK);
	sip_uri_aor_append(&key, &address.uri);
	cr_expect(slice_is(buffer_slice(&key), "user@example.com"));
	cr_expect_eq(sip_message_address(&message, SIP_CONTACT, &address),
		     ERR_OK);
	cr_expect(sip_uri_parameter(&address.uri, "lr").data);
	key.size = 0;
	sip_unescape_append(&key, sip_uri_parameter(&address.uri, "name"));
	cr_expect(slice_is(buffer_slice(&key), "value%41"));
	free(copy);

	copy = parse_named("escnull", &message);
	key.size = 0;
	cr_expect_eq(sip_message_address(&message, SIP_TO, &address), ERR_OK);
	sip_uri_aor_append(&key, &address.uri);
	cr_expect(slice_eq(buffer_slice(&key),
			   (struct slice)SLICE("null-\0-null@example.com")));
	buffer_fini(&key);
	free(copy);
}

/* C%6Fntact is no Contact. */
Test(sip_torture, esc02_has_two_contacts)
{
	struct sip_message message;
	void *copy = parse_named("esc02", &message);
	struct sip_list list = sip_list_of(&message, SIP_CONTACT);
	struct sip_address contact;

	cr_expect_eq(sip_list_address(&list, &contact), ERR_OK);
	cr_expect(slice_is(contact.uri.user, "alias1"));
	cr_expect_eq(sip_list_address(&list, &contact), ERR_OK);
	cr_expect(slice_is(contact.uri.user, "alias3"));
	cr_expect_eq(sip_list_address(&list, &contact), ERR_NOT_FOUND);
	free(copy);
}

Test(sip_torture, longreq_has_34_vias)
{
	struct sip_message message;
	void *copy = parse_named("longreq", &message);
	struct sip_list list = sip_list_of(&message, SIP_VIA);
	struct sip_via via;
	size_t count = 0;

	while (sip_list_via(&list, &via) == ERR_OK)
		count++;
	cr_expect_eq(count, 34);
	free(copy);
}

Test(sip_torture, dblreq_ends_where_it_says)
{
	struct sip_message message;
	void *copy = parse_named("dblreq", &message);

	cr_expect_eq(message.method, SIP_METHOD_REGISTER);
	cr_expect_eq(message.body.size, 0);
	free(copy);
}

Test(sip_torture, parameters_go_where_they_belong)
{
	struct sip_message message;
	struct sip_address address;
	struct sip_uri uri;
	void *copy = parse_named("semiuri", &message);

	cr_expect_eq(sip_message_uri(&message, &uri), ERR_OK);
	cr_expect(slice_is(uri.user, "user;par=u%40example.net"));
	cr_expect_eq(uri.parameters.size, 0);
	free(copy);

	copy = parse_named("cparam01", &message);
	cr_expect_eq(sip_message_address(&message, SIP_CONTACT, &address),
		     ERR_OK);
	cr_expect(slice_is(address.parameters, ";unknownparam"));
	cr_expect_eq(address.uri.parameters.size, 0);
	free(copy);

	copy = parse_named("cparam02", &message);
	cr_expect_eq(sip_message_address(&message, SIP_CONTACT, &address),
		     ERR_OK);
	cr_expect_eq(address.parameters.size, 0);
	cr_expect(slice_is(address.uri.parameters, ";unknownparam"));
	free(copy);

	copy = parse_named("regescrt", &message);
	cr_expect_eq(sip_message_address(&message, SIP_CONTACT, &address),
		     ERR_OK);
	cr_expect(slice_is(address.uri.headers,
			   "Route=%3Csip:sip.example.com%3E"));
	free(copy);
}

Test(sip_torture, responses_keep_their_reason)
{
	struct sip_message message;
	void *copy = parse_named("unreason", &message);

	cr_expect_eq(message.status, 200);
	cr_expect(slice_starts(message.reason,
			       (struct slice)SLICE("= 2**3 * 5**2 \320\275")));
	free(copy);
	copy = parse_named("noreason", &message);
	cr_expect_eq(message.status, 100);
	cr_expect_eq(message.reason.size, 0);
	free(copy);
}

Test(sip_torture, badbranch_identifies_nothing)
{
	struct sip_message message;
	void *copy = parse_named("badbranch", &message);
	struct sip_via via;

	cr_expect_eq(sip_message_via(&message, &via), ERR_OK);
	cr_expect_not(sip_via_branch_unique(&via));
	free(copy);
}

/* 3.3.5: only what Require names is unsupported by a user agent. */
Test(sip_torture, bext01_names_what_is_unsupported)
{
	static const struct sip_reply reply = {.to_tag = SLICE("b7")};
	struct sip_message message;
	void *copy = parse_named("bext01", &message);
	struct sip_verdict verdict = sip_message_check(&message, &policy);
	struct buffer out = {0};
	struct sip_message answer;

	sip_build_refusal(&out, &message, &verdict, &policy, &reply);
	cr_assert_eq(sip_message_parse(buffer_slice(&out), SIP_STREAM, &answer),
		     ERR_OK);
	cr_expect(slice_is(sip_message_value(&answer, SIP_UNSUPPORTED),
			   "nothingSupportsThis, nothingSupportsThisEither"));
	buffer_fini(&out);
	free(copy);
}
