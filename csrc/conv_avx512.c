#include "conv.h"
#ifdef QNN_HAVE_AVX512
const qnn_conv_kernel *qnn_conv_avx512(const qnn_conv *conv)
{
    (void)conv;
    return NULL;
}
#endif
