"""Digits: MNIST, embedded or from a folder, and files of them, IDX and text.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
>>> len(train), len(test)
(60000, 10000)
"""

from . import atomic, dataset, digits, idx, text
from .atomic import *
from .dataset import *
from .digits import *
from .idx import *
from .text import *

__all__ = []
__all__ += atomic.__all__
__all__ += dataset.__all__
__all__ += digits.__all__
__all__ += idx.__all__
__all__ += text.__all__
