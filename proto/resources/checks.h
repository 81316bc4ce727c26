#ifndef PROTO_RESOURCES_CHECKS_H
#define PROTO_RESOURCES_CHECKS_H

/*
 * Rules of single fields that a type, a range or a list of choices cannot say
 * (field_check_fn, proto/field.h). Each may put the canonical form in the
 * value's place; an empty list becomes null.
 */

#include "proto/field.h"

/* token of RFC 3261, 25.1. */
field_check_fn check_token;

/* A host name (RFC 1123, 2.1; underscores are tolerated), an IPv4 address, or
 * an IPv6 address with or without brackets. Canonical: lower case, brackets
 * off. */
field_check_fn check_host;

/* IPv4 (RFC 4632) and IPv6 (RFC 4291) blocks, or single addresses, joined by
 * ';'. Canonical: no spaces, no empty entries. */
field_check_fn check_cidr_list;

/* DID numbers and ranges `a-b` of digits joined by ';': at most DID_DIGITS_MAX
 * digits, none starts with 0 or +; the ends of a range have as many digits and
 * stand in order. Canonical as above. */
field_check_fn check_did_numbers;

/* Likewise, and no number is in two entries of the list. */
field_check_fn check_did_pool;

/* One such number. */
field_check_fn check_did;

enum {
	DID_DIGITS_MAX = 18,	       /* fits int8range, beyond E.164's 15 */
	DID_NUMBERS_CHARS_MAX = 16384, /* some 800 DID ranges */
};

/* An account's name (document 004): letters (of ASCII), digits and _ - ' . ;
 * no period at either end. Of all but administrators' accounts also none of
 * the names that are kept for these: admin, system, administrator, root,
 * whatever the case. */
field_check_fn check_admin_name;
field_check_fn check_account_name;

/* A mail address: a dot-atom (RFC 5322, 3.2.3), @, a host name. An empty one
 * becomes null. */
field_check_fn check_email;

/* Up to 15 of these joined by ','. Canonical: no spaces, no empty entries. */
field_check_fn check_email_list;

/* check_host without the root's dot of an absolute name. */
field_check_fn check_domain;

/* A size of disk space: a positive number with KB, MB, GB, TB or PB (document
 * 004 leaves TB out, for no reason there could be), or empty: unlimited. */
field_check_fn check_quota;

/* One JSON text (RFC 8259). An empty one becomes null. */
field_check_fn check_json;

/* Name or password a hook signs in with: 6 to 64 of a-z and 0-9. An empty one
 * becomes null. */
field_check_fn check_hook_name;

/* An http or https URL. An empty one becomes null. */
field_check_fn check_http_url;

/* [0-9]{3,64} */
field_check_fn check_extension_number;

/* Digits, none three times in a row (111), no three in a row that count up
 * (012) or down. How many is the field's min and max. */
field_check_fn check_voicemail_pin;

/* What a call may be forwarded to: digits, perhaps with a + in front. */
field_check_fn check_dialled_number;

/* HH:MM of 24 hours. */
field_check_fn check_clock;

/* A language tag as of BCP 47 (RFC 5646, 2.1), its form alone: subtags of 1 to
 * 8 letters and digits joined by '-', the first of 2 or more letters. */
field_check_fn check_language;

#endif
