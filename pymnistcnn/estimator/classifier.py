"""CNNClassifier: a recipe behind scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._types import Array, ArrayLike, Shape
from ..checks import checked_weights, instance, number, shown, whole, yes_or_no
from ..mismatch import tell_nothing_of
from ..model import Sequential
from ..recipes import RECIPES, Recipe
from ..schedules import Constant
from ..training import History
from .pixels import Pixels
from .shapes import array_of, as_rows, sample_shape
from .threads import threads_of

if TYPE_CHECKING:  # scikit-learn has no annotations: what users call of it

    class BaseEstimator:
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **parameters: Any) -> Self: ...

    class ClassifierMixin:
        def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...
else:
    from sklearn.base import BaseEstimator, ClassifierMixin

USUAL_SAMPLES = 60_000  # what the recipes' numbers of epochs are made for: those of MNIST


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network that scikit-learn can use: in a Pipeline, a grid search, cross-validation.

    Parameters
    ----------
    recipe : "fast", "accurate", or a function (input_shape, classes, seed) that returns a `recipes.Recipe`; its
        network gets pictures of 0 to 255, or columns of mean 0 and deviation 1
    epochs : the recipe's if None; on less than 60,000 samples as many more as give the steps of 60,000
    batch_size : the recipe's if None
    learning_rate : the highest of the recipe's schedule, which `partial_fit` has at every step; the recipe's own if
        None
    class_weight : how much samples of each class count: {label: number}, "balanced", or None, all the same
    validation_fraction : share of the samples, of each class alike, that only `validation_loss_curve_` is from; no
        such if None
    warm_start : `fit` goes on with the network of the last `fit`
    random_state : a whole number, the seed (same seed, same bits), a numpy RandomState, or None for another each time
    n_jobs : threads, -1 for all; None is all, too, but one within joblib's threads. Results do not depend on it
    precision : "full" or "bf16", on the processor; "tf32", on an NVIDIA GPU: see `Sequential.fit`
    verbose : draw a progress bar if not 0
    image_shape : (height, width) or (channels, height, width) where X does not say it; (features,) where rows that
        could be square pictures are none

    X is (n, features): square pictures if features is a square from 8x8 to 64x64, else a table; (n, height, width),
    (n, channels, height, width), or (n, height, width, channels), channels being 1, 3 or 4. Of pictures `fit` learns
    their range: 0 to 1, 16, 255 or 65535 where the largest number is in the upper half of that and none is negative,
    else from the smallest number (or 0) to the largest. Of tables it learns each column's mean and deviation.

    Attributes
    ----------
    classes_ : labels (classes,), sorted
    n_features_in_, feature_names_in_ : of a sample as a row; the names are those of a table's columns that has them
    input_shape_ : (channels, height, width) or (features,) that the network gets
    scaling_ : what `fit` learnt of the numbers: of pictures their `range_`, of tables a StandardScaler
    model_, recipe_ : the Sequential, and the Recipe that it is from
    loss_curve_, validation_loss_curve_, validation_scores_ : of each epoch, a mean loss or an accuracy
    history_, n_iter_ : the History of all epochs, and how many there were

    ValueError for parameters and data that are none of these, in `fit`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = pm.CNNClassifier(random_state=0).fit(X[:1200], y[:1200])
    >>> classifier.input_shape_, classifier.scaling_.range_
    ((1, 8, 8), (0, 16))
    >>> classifier.score(X[1200:], y[1200:]) > 0.9
    True
    """

    classes_: Array
    recipe_: Recipe
    model_: Sequential
    scaling_: Any
    history_: History
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    n_iter_: int

    def __init__(
        self,
        recipe: str | Callable[..., Recipe] = "fast",
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        validation_fraction: float | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        precision: str = "full",
        verbose: int = 0,
        image_shape: Shape | None = None,
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.precision = precision
        self.verbose = verbose
        self.image_shape = image_shape

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return len(getattr(self, "history_", ())) > 0

    # ---- learning ----

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from X and labels y (n,), numbers or strings, each sample counting sample_weight (n,); returns self."""
        fresh = not (yes_or_no("warm_start", self.warm_start) and self.__sklearn_is_fitted__())
        rows, y = self._checked(X, y, fresh)
        if fresh:
            self.classes_ = np.unique(y)
            self._begin(rows)
        weights = self._weights(y, sample_weight)
        if fresh:
            self.scaling_.partial_fit(rows, sample_weight=weights)
        inputs, validation = self._inputs(rows), None
        if self.validation_fraction is not None:
            kept, held = self._split(y)
            validation = inputs[held], self._labels(y[held])
            inputs, y, weights = inputs[kept], y[kept], None if weights is None else weights[kept]
        return self._train(inputs, y, weights, self._epochs(len(y)), self._schedule(), validation)

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """One epoch more, of X and y; the first call needs all classes. What is learnt of the numbers' ranges grows
        with what is seen. Returns self."""
        fresh = not self.__sklearn_is_fitted__()
        if fresh and classes is None:
            raise ValueError("classes must be given to the first partial_fit: all labels that will come")
        if isinstance(self.class_weight, str):
            raise ValueError(f"class_weight {self.class_weight!r} is for all of the data, not for partial_fit")
        rows, y = self._checked(X, y, fresh)
        if fresh:
            self.classes_ = np.unique(classes)
            self._begin(rows)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes must be those of the first call, {self.classes_}, not {shown(classes)}")
        weights = self._weights(y, sample_weight)
        self.scaling_.partial_fit(rows, sample_weight=weights)
        rate = getattr(self._schedule(), self._rate_name() or "", self.recipe_.optimizer.lr)
        return self._train(self._inputs(rows), y, weights, 1, Constant(rate))

    def _checked(self, X, y, fresh):
        """X as rows and y, as scikit-learn wants them."""
        X = array_of(X)
        found = len(X.shape) > 1 and fresh  # else scikit-learn says what is wrong
        shape = sample_shape(X, self.image_shape) if found else getattr(self, "input_shape_", ())
        rows, y = validate_data(self, as_rows(X, shape), y, reset=fresh)
        check_classification_targets(y)
        self.input_shape_ = shape
        return rows, y

    def _begin(self, rows):
        """A new network for rows like these."""
        if isinstance(self.random_state, Integral):
            seed = whole("random_state", self.random_state, 0, 2**64 - 1)
        else:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        table = len(self.input_shape_) == 1
        if callable(self.recipe):
            made = self.recipe(self.input_shape_, len(self.classes_), seed)
            self.recipe_ = instance("what recipe returns", made, Recipe, "a recipes.Recipe")
        elif isinstance(self.recipe, str) and self.recipe in RECIPES:
            dtype = "float64" if table and rows.dtype != np.float32 else "float32"
            self.recipe_ = RECIPES[self.recipe](self.input_shape_, len(self.classes_), seed, dtype)
        else:
            names = ", ".join(map(repr, RECIPES))
            raise ValueError(f"recipe must be one of {names}, or a function that makes one, not {shown(self.recipe)}")
        self.model_, self.scaling_, self.history_ = (
            self.recipe_.model,
            StandardScaler() if table else Pixels(),
            History(),
        )
        tell_nothing_of(self.model_)
        if self.model_.output_shape == self.classes_.shape:
            self.model_.classes = self.classes_.astype(str).tolist()

    def _weights(self, y, sample_weight):
        """How much each sample counts, or None if all count the same."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has labels that are not among the classes {self.classes_}: {unknown}")
        if sample_weight is not None:
            sample_weight = checked_weights("sample_weight", sample_weight, y.shape)
            if not sample_weight.any():
                raise ValueError("sample_weight must not be all zero: there is nothing to learn from")
        if self.class_weight is None:
            return sample_weight
        of_class = compute_sample_weight(self.class_weight, y)
        return of_class if sample_weight is None else of_class * sample_weight

    def _labels(self, y):
        """y as the network has it: from 0 on."""
        return np.searchsorted(self.classes_, y)

    def _batch_size(self):
        return self.recipe_.batch_size if self.batch_size is None else whole("batch_size", self.batch_size)

    def _epochs(self, samples):
        if self.epochs is not None:
            return whole("epochs", self.epochs)
        size = self.recipe_.batch_size
        steps = self.recipe_.epochs * -(-USUAL_SAMPLES // size)
        return max(self.recipe_.epochs, round(steps / -(-samples // size)))

    def _schedule(self):
        """The recipe's, with this highest rate."""
        schedule, name = self.recipe_.schedule, self._rate_name()
        if self.learning_rate is None:
            return schedule
        if name is None:
            raise ValueError(f"learning_rate is for a recipe whose schedule has a rate, not for {schedule}")
        return replace(schedule, **{name: number("learning_rate", self.learning_rate, 0, open_low=True)})

    def _rate_name(self):
        """What the recipe's schedule calls its highest rate; None if it has no such field."""
        schedule = self.recipe_.schedule
        return next((name for name in ("max_rate", "rate") if hasattr(schedule, name)), None)

    def _split(self, y):
        """Which samples to learn from, and which to hold out."""
        share = number("validation_fraction", self.validation_fraction, 0, 1, open_low=True, open_high=True)
        seed = self.model_.network.seed % 2**32  # what scikit-learn takes
        return train_test_split(np.arange(len(y)), test_size=share, random_state=seed, stratify=y)

    def _train(self, inputs, y, weights, epochs, schedule, validation=None):
        history = self.model_.fit(
            inputs, self._labels(y), epochs=epochs, batch_size=self._batch_size(), schedule=schedule,
            optimizer=self.recipe_.optimizer, loss=self.recipe_.loss, callbacks=self.recipe_.callbacks,
            held_out=self.recipe_.held_out, validation=validation, sample_weight=weights,
            progress=bool(self.verbose), **self._how(),
        )  # fmt: skip
        for name, values in vars(history).items():
            getattr(self.history_, name).extend(values)
        self.loss_curve_, self.validation_loss_curve_ = self.history_.loss, self.history_.validation_loss
        self.validation_scores_ = self.history_.validation_accuracy
        self.n_iter_ = len(self.history_)
        return self

    def _how(self):
        """Where to compute."""
        device = "cuda" if self.precision == "tf32" else None
        return dict(threads=threads_of(self.n_jobs), device=device, precision=self.precision)

    # ---- asking ----

    def predict(self, X: Any) -> Array:
        """The label (n,) of each sample."""
        inputs = self._asked(X)
        if len(self.classes_) == 1:  # of a model, one output is a value and no class
            return np.repeat(self.classes_, len(inputs))
        return self.classes_[self.model_.predict(inputs, **self._how())]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, classes), in the order of `classes_`."""
        inputs = self._asked(X)
        if len(self.classes_) == 1:
            return np.ones((len(inputs), 1), self.model_.dtype)
        return self.model_.predict_proba(inputs, **self._how())

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> Array:
        """The network's outputs (n, classes), logits if it ends so; of two classes the second's less the first's, (n,),
        and of one its own."""
        inputs = self._asked(X)
        outputs = self.model_.predict_outputs(inputs, **self._how())
        if outputs.shape[1] == 2:
            return outputs[:, 1] - outputs[:, 0]
        return outputs if outputs.shape[1] > 2 else outputs[:, 0]

    def _asked(self, X):
        check_is_fitted(self)
        return self._inputs(validate_data(self, as_rows(array_of(X), self.input_shape_), reset=False))

    def _inputs(self, rows):
        """Rows as the network takes them."""
        scaled = self.scaling_.transform(rows)
        if scaled.dtype != np.uint8:
            scaled = scaled.astype(self.model_.dtype, copy=False)
        return scaled.reshape(len(rows), *self.input_shape_)
