#ifndef UNIT_TURN_H
#define UNIT_TURN_H

/* Waiting for something a loop brings about. */

#include "services/common/loop.h"

#include <criterion/criterion.h>

/* Far more than anything here needs: reaching it is a failure. */
enum { TURN_DEADLINE_MS = 20000 };

/* Turns the loop until condition is true; past the deadline the test fails. */
#define TURN_UNTIL(loop, condition)                                            \
	do {                                                                   \
		uint64_t turn_end_ms = loop_now_ms(loop) + TURN_DEADLINE_MS;   \
                                                                               \
		while (!(condition)) {                                         \
			cr_assert_lt(loop_now_ms(loop), turn_end_ms,           \
				     "waited in vain for " #condition);        \
			loop_turn(loop, 10);                                   \
		}                                                              \
	} while (0)

#endif
