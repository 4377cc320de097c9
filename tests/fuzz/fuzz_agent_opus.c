/*
 * Fuzz target: any message of an agent as a packet of Opus: it has a length that a packet may have, or none.
 */
#include <sluice/err.h>
#include "modules/voice-agent/agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sl_assert(format_opus_ms(data, size) <= SL_AUDIO_MAX_MS);
	return 0;
}
