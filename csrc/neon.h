/* NEON, to the end of the file that includes this. armhf compilers leave it out: the table's usable() guards it. */
#ifndef QNN_NEON_H
#define QNN_NEON_H

#if defined(__arm__) && !defined(__ARM_NEON)
#pragma GCC target("fpu=neon")
#endif
#include <arm_neon.h>

#endif
