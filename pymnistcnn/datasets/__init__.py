"""Digits and other small pictures: MNIST, embedded, and data sets of any usual form, from files or by name.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
>>> len(train), len(test)
(60000, 10000)
"""

from . import atomic, dataset, digits, idx, reading, scaled, text
from .atomic import *
from .dataset import *
from .digits import *
from .idx import *
from .reading import *
from .scaled import *
from .text import *

__all__ = []
__all__ += atomic.__all__
__all__ += dataset.__all__
__all__ += digits.__all__
__all__ += idx.__all__
__all__ += reading.__all__
__all__ += scaled.__all__
__all__ += text.__all__
