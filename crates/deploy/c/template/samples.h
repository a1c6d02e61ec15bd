/* Samples of the self-test, and the outputs that they must give. */
#include "@NAME@.h"

#define SAMPLES @SAMPLES@

static const @INPUT_TYPE@ inputs[SAMPLES][@INPUT_LENGTH@] = {
@INPUTS@};

static const @OUTPUT_TYPE@ expected[SAMPLES][@OUTPUT_LENGTH@] = {
@EXPECTED@};
