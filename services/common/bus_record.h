#ifndef COMMON_BUS_RECORD_H
#define COMMON_BUS_RECORD_H

/* Arguments and answers of bus methods by their records (proto/resources): what
 * the handlers of single methods are made of. */

#include "proto/record.h"
#include "services/common/bus_server.h"

/* Reads the arguments of a call into values, one per field of the record, which
 * are views into the request or live in the call's arena. False: they break a
 * rule, and the call was answered. */
bool bus_call_args(struct bus_call *call, const struct record *record,
		   struct value *values);

/* Answers with a record; what values view is copied. object_version: as of
 * bus_reply_ok(). */
void bus_reply_record(struct bus_call *call, const struct record *record,
		      const struct value *values, uint64_t object_version);

#endif
