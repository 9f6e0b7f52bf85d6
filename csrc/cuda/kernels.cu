/* The device kernels as CUDA. Compiled once for each dtype and architecture. */
#include "kernels.h"
