/* The instruction sets that this build has, slowest first: all that differs between them hangs on these tables. */
#include "kernels.h"
#if defined(__arm__)
#include <sys/auxv.h>
#endif

static int always(void)
{
    return 1;
}

static const qnn_kernels scalar = {
    "scalar",
    always,
    qnn_compare_scalar,
    qnn_pack_scalar,
    qnn_dense_size_scalar,
    qnn_dense_repack_scalar,
    qnn_dense_scalar,
    qnn_conv_scalar,
    1,
    qnn_linear_counts_scalar,
    qnn_linear_products_scalar,
};

#ifdef QNN_HAVE_AVX2
static int avx2_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

static const qnn_kernels avx2 = {
    "avx2",
    avx2_usable,
    qnn_compare_avx2,
    qnn_pack_avx2,
    qnn_dense_size_avx2,
    qnn_dense_repack_avx2,
    qnn_dense_avx2,
    qnn_conv_avx2,
    1,
    qnn_linear_counts_avx2,
    qnn_linear_products_avx2,
};
#endif

#ifdef QNN_HAVE_AVX512
/* Convolutions look for themselves for what they need beyond this. */
static int avx512_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vpopcntdq") &&
           __builtin_cpu_supports("popcnt");
}

static const qnn_kernels avx512 = {
    "avx512",
    avx512_usable,
    qnn_compare_avx512,
    qnn_pack_avx512,
    qnn_dense_size_avx2,
    qnn_dense_repack_avx2,
    qnn_dense_avx512,
    qnn_conv_avx512,
    8,
    qnn_linear_counts_avx512,
    qnn_linear_products_avx512,
};
#endif

#ifdef QNN_HAVE_NEON
static int neon_usable(void)
{
#if defined(__arm__)
    return (getauxval(AT_HWCAP) >> 12) & 1; /* HWCAP_NEON */
#else
    return 1;
#endif
}

static const qnn_kernels neon = {
    "neon",
    neon_usable,
    qnn_compare_neon,
    qnn_pack_neon,
    qnn_dense_size_neon,
    qnn_dense_repack_neon,
    qnn_dense_neon,
    qnn_conv_neon,
    1,
    qnn_linear_counts_neon,
    qnn_linear_products_neon,
};
#endif

static const qnn_kernels *const all[] = {
    &scalar,
#ifdef QNN_HAVE_AVX2
    &avx2,
#endif
#ifdef QNN_HAVE_AVX512
    &avx512,
#endif
#ifdef QNN_HAVE_NEON
    &neon,
#endif
};

int qnn_isa_count(void)
{
    return (int)(sizeof all / sizeof all[0]);
}

const qnn_kernels *qnn_kernels_of(int isa)
{
    return isa >= 0 && isa < qnn_isa_count() ? all[isa] : &scalar;
}

const char *qnn_isa_name(int isa)
{
    return qnn_kernels_of(isa)->name;
}

int qnn_isa_usable(int isa)
{
    return qnn_kernels_of(isa)->usable();
}
