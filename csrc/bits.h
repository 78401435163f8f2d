/* Inside of the encoders: one picture, for those who keep the rows themselves. */
#ifndef QNN_BITS_H
#define QNN_BITS_H

#include "kernels.h"

/* One row of ceil(bits / 8) bytes, pad bits 0. */
void qnn_encode_row(const qnn_encoder *encoder, const uint8_t *picture, uint8_t *out);
size_t qnn_encoder_pixels(const qnn_encoder *encoder);

#endif
