/* A number, and its bits. */
typedef union {
    float number;
    uint32_t bits;
} word;
