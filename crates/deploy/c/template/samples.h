/* Samples of the self-test, and the outputs that they must give. */
#include "@NAME@.h"

#define SAMPLES @SAMPLES@

@ARRAYS@