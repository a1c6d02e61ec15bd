/* Access to packed weights. */
#ifndef BPTQ_WEIGHTS_H
#define BPTQ_WEIGHTS_H

#include "bptq.h"

/* `count` weights from index `first` on, one byte each: in place if they are stored so, otherwise
 * decoded into `scratch`. */
const int8_t *bptq_decode(const bptq_weighted *weighted, int32_t first, int32_t count,
                          int8_t *scratch);

#endif /* BPTQ_WEIGHTS_H */
