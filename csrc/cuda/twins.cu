/* The twins as CUDA. Compiled once for each dtype and architecture. */
#include "twins.h"
