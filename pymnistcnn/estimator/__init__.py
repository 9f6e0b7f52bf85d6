"""A door to scikit-learn: a classifier that follows its contract."""

from ..extras import MissingExtra

try:
    from sklearn.utils.validation import validate_data as _  # noqa: F401 - what came with version 1.6
except ImportError as _error:
    raise MissingExtra("CNNClassifier needs scikit-learn 1.6 or newer: pip install 'pymnistcnn[sklearn]'") from _error

from .classifier import CNNClassifier

__all__ = ["CNNClassifier"]
