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

enum { DID_DIGITS_MAX = 18 }; /* fits int8range, beyond E.164's 15 */

#endif
