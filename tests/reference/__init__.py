"""The reference for every kernel, in plain float64 NumPy, for the tests to compare the native kernels with.

It is meant to be checked by reading it: every array is converted to float64 first, arrays are NCHW and filters OIHW
as in PyTorch, and a convolution or pooling is a Python loop over the positions of its window. It is slow, and nothing
here is used by the package itself. Names are those of pymnistcnn.functional.
"""

from .activations import *
from .losses import *
from .normalization import *
from .optimizers import *
from .pooling import *
from .products import *
from .randomness import *
