/* The twins as C, for the emulated device. Compiled once for each dtype. */
#include "twins.h"
