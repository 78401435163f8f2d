/* What Python sees: read by qnn_pynq/_build.py, so declarations only, no preprocessor lines. */

typedef struct qnn_encoder qnn_encoder;
typedef struct qnn_stack qnn_stack;
typedef struct {
    uint32_t op;     /* 0 = write value, 1 = wait until (read & value) != 0 */
    uint32_t offset; /* bytes from the start of the window, multiple of 4 */
    uint32_t value;
} qnn_step;

/* Instruction sets that were compiled in; 0 is the scalar reference, the last usable one the fastest. */
int qnn_isa_count(void);
const char *qnn_isa_name(int isa);
int qnn_isa_usable(int isa);

/* Rows of n integers of 1..8 bits <-> rows of ceil(n * bits / 8) bytes, little-endian bit strings. */
void qnn_pack(int isa, const void *values, size_t rows, size_t n, int bits, void *out);
void qnn_unpack(int isa, const void *words, size_t rows, size_t row_bytes, size_t count, int bits, void *out);
/* Bits [source_bit, + bits) of each row of source into [target_bit, + bits) of the same row of target, whose other
   bits stay. Rows are whole 64-bit words. */
void qnn_move_bits(const void *source, size_t source_bytes, size_t source_bit, void *target, size_t target_bytes,
                   size_t target_bit, size_t bits, size_t rows);

/* Pictures -> bits. index NULL: pixel k. thresholds NULL: the one threshold (0..256). NULL: no memory. */
qnn_encoder *qnn_encoder_new(int isa, size_t pixels, size_t bits, size_t used, int threshold,
                             const void *index, const void *thresholds);
void qnn_encoder_free(qnn_encoder *encoder);
void qnn_encoder_run(const qnn_encoder *encoder, const void *pictures, size_t n, void *out);

/* A stack of dense layers. Kinds: input 0 binary, 1 ternary; doubled 0 popcount, 1 signed sum;
   levels 0 no thresholds, 1 binary, 2 ternary. Thresholds: int16 (outputs, levels). 0 = done, -1 = no memory. */
qnn_stack *qnn_stack_new(int isa, int layers);
int qnn_stack_layer(qnn_stack *stack, int layer, int inputs, int outputs, int ternary, int doubled, int levels,
                    const void *weights, const void *thresholds);
int qnn_stack_ready(qnn_stack *stack, const qnn_encoder *encoder);
void qnn_stack_free(qnn_stack *stack);
size_t qnn_stack_bytes(const qnn_stack *stack);
int qnn_stack_run(qnn_stack *stack, const void *bits, size_t n, void *out, void *sums);
int qnn_stack_run_pictures(qnn_stack *stack, const void *pictures, size_t n, void *out, void *sums);

/* Index of the highest set bit of word & mask modulo `classes`, 0 for no bit, as integers of size 4 or 8; returns how
   many words had no bit. */
size_t qnn_highest_class(const void *words, size_t n, uint64_t mask, int classes, int size, void *out);

/* Play register accesses. 0 done, 1 deadline passed, 2 unknown op, 3 offset outside; *step = index reached. */
int qnn_run_program(void *window, size_t window_bytes, const void *program, size_t steps, int64_t timeout_ns,
             size_t *step);

/* One convolution with its thresholds and the maximum pool behind it. weight_bits 1: uint8 codes in; 16: uint8
   pixels; 32: float pixels. Weights as in the file; thresholds int32, or float for 32-bit weights, (outputs,
   levels); invert: uint8 (outputs) or NULL. pool_size 0: none. NULL, -1: no memory. */
typedef struct qnn_conv qnn_conv;
typedef struct {
    int32_t height, width, inputs, outputs, kernel, stride, before, after, groups;
    int32_t weight_bits, input_bits, levels;
    int32_t pool_size, pool_stride, pool_before, pool_after;
} qnn_conv_shape;
qnn_conv *qnn_conv_new(int isa, const qnn_conv_shape *shape, const void *weights, const void *thresholds,
                       const void *invert);
void qnn_conv_free(qnn_conv *conv);
size_t qnn_conv_bytes(const qnn_conv *conv);
const char *qnn_conv_method(const qnn_conv *conv);
int qnn_conv_run(qnn_conv *conv, const void *x, size_t n, void *out);

/* Sums int32, or codes uint8 where there are thresholds (int32 (outputs, levels)), of uint8 codes. */
typedef struct qnn_linear qnn_linear;
qnn_linear *qnn_linear_new(int isa, int inputs, int outputs, int weight_bits, int input_bits, int levels,
                           const void *weights, const void *thresholds);
void qnn_linear_free(qnn_linear *linear);
size_t qnn_linear_bytes(const qnn_linear *linear);
int qnn_linear_run(qnn_linear *linear, const void *x, size_t n, void *out);

/* Numbers <-> fixed point of `width` bits, `fraction` of them behind the point, in containers of `bytes`. rounding:
   0 AP_TRN, 1 AP_RND, 2 AP_TRN_ZERO, 3 AP_RND_ZERO, 4 AP_RND_INF, 5 AP_RND_MIN_INF, 6 AP_RND_CONV. overflow: 0 AP_WRAP,
   1 AP_SAT, 2 AP_SAT_ZERO, 3 AP_SAT_SYM, 4 refuse. source: 0 float, 1 double, 2 int64, 3 uint64; target: 0 float,
   1 double, 2 containers. From: how many were cast, fewer than n where a value is refused or is no finite number. */
typedef struct {
    int32_t width, fraction, is_signed, rounding, overflow, bytes;
} qnn_fixed;
size_t qnn_fixed_from(const qnn_fixed *type, int source, const void *values, size_t n, void *out);
void qnn_fixed_to(const qnn_fixed *type, const void *raw, size_t n, int target, void *out);

/* Seconds of processor time that this thread has used. */
double qnn_thread_seconds(void);
