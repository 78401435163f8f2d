typedef int qnn_neon_placeholder;
