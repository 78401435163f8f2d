#include "conv.h"
#ifdef QNN_HAVE_NEON
const qnn_conv_kernel *qnn_conv_neon(const qnn_conv *conv)
{
    (void)conv;
    return NULL;
}
#endif
