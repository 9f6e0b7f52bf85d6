static uint8_t clamped(int64_t x) { return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x); }
