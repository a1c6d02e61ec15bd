/*
 * Samples of the self-test, the outputs that they must give, and a checksum (FNV-1a) of what each
 * operation must give on the way.
 */
#include "@NAME@.h"

#define SAMPLES @SAMPLES@
#define CHECKSUMS @CHECKSUM_COUNT@

@ARRAYS@
static const uint32_t checksums[SAMPLES][CHECKSUMS] = {
@CHECKSUMS@};
