/* Whatever stands in Redis: what is read as a state is written as one that
 * reads the same, and its texts are whole. */

#include "services/registrar/trunk_state.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer first = {0}, second = {0};
	struct trunk_state state;

	if (trunk_state_decode(slice_of(data, size), &state) != ERR_OK)
		return 0;
	assert(strlen(state.call_id) < sizeof(state.call_id));
	assert(!state.registered || state.contact);
	trunk_state_encode(&state, &first);
	trunk_state_fini(&state);
	assert(trunk_state_decode(buffer_slice(&first), &state) == ERR_OK);
	trunk_state_encode(&state, &second);
	trunk_state_fini(&state);
	assert(slice_eq(buffer_slice(&first), buffer_slice(&second)));
	buffer_fini(&first);
	buffer_fini(&second);
	return 0;
}
