/* The device kernels as C, for the emulated device. Compiled once for each dtype. */
#include "kernels.h"
