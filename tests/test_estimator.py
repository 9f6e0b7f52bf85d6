"""CNNClassifier: scikit-learn's contract, the shapes and numbers that pictures come in, and company."""

import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs sklearn")

import joblib
import threadpoolctl
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import pymnistcnn as pm
from pymnistcnn import network, processors, recipes
from pymnistcnn.estimator.pixels import range_of
from pymnistcnn.estimator.threads import threads_of

X, Y = load_digits(return_X_y=True)
X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = train_test_split(X, Y, random_state=0)


def name_of(check):
    return " ".join([check.func.__name__, *(f"{name}={value}" for name, value in check.keywords.items())])


CHECKS = {name_of(check): (estimator, check) for estimator, check in estimator_checks_generator(pm.CNNClassifier())}


@pytest.mark.filterwarnings("ignore:all .* labels to train on")
@pytest.mark.parametrize("name", CHECKS)
def test_scikit_learns_checks(name):
    """All of `check_estimator`, with nothing that is expected to fail."""
    estimator, check = CHECKS[name]
    check(clone(estimator))


def quick(**parameters):
    return pm.CNNClassifier(**{"epochs": 2, "random_state": 0} | parameters)


# ---- learning ----


@pytest.mark.parametrize("recipe, least", [("fast", 0.97), ("accurate", 0.95)])
def test_digits(recipe, least):
    classifier = pm.CNNClassifier(recipe, random_state=0, epochs=None if recipe == "fast" else 20)
    assert classifier.fit(X_TRAIN, Y_TRAIN).score(X_TEST, Y_TEST) > least


def test_it_is_its_recipe_bit_for_bit():
    train = pm.datasets.mnist()[0][:2000]
    recipe = recipes.fast(seed=7)
    recipe.model.fit(train, epochs=2, batch_size=recipe.batch_size, optimizer=recipe.optimizer, loss=recipe.loss,
                     schedule=recipe.schedule, progress=False)  # fmt: skip
    classifier = quick(random_state=7).fit(train.images, train.labels)
    assert classifier.model_.network.param.tobytes() == recipe.model.network.param.tobytes()


def test_string_labels_and_curves():
    names = np.array("zero one two three four five six seven eight nine".split())
    classifier = quick(epochs=10, validation_fraction=0.2).fit(X_TRAIN, names[Y_TRAIN])
    assert classifier.classes_.tolist() == sorted(names)
    assert classifier.score(X_TEST, names[Y_TEST]) > 0.9
    for curve in (classifier.loss_curve_, classifier.validation_loss_curve_, classifier.validation_scores_):
        assert len(curve) == classifier.n_iter_ == len(classifier.history_) == 10
    np.testing.assert_array_equal(classifier.predict(X_TEST), names[quick_labels(classifier, names)])
    assert quick().fit(X_TRAIN, Y_TRAIN).validation_loss_curve_ == []


def quick_labels(classifier, names):
    """What the largest probabilities say, as numbers."""
    best = classifier.classes_[classifier.predict_proba(X_TEST).argmax(axis=1)]
    return [names.tolist().index(name) for name in best]


@pytest.mark.parametrize("samples, epochs", [(60_000, 1), (30_000, 2), (1_280, 47), (10, 469)])
def test_few_samples_get_more_epochs(samples, epochs):
    classifier = quick(epochs=None)
    classifier.recipe_ = recipes.fast()
    assert classifier._epochs(samples) == epochs


@pytest.mark.filterwarnings("ignore:all .* labels to train on")
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_outputs(classes):
    classifier = quick().fit(X_TRAIN[Y_TRAIN < classes], Y_TRAIN[Y_TRAIN < classes])
    decisions, shares = classifier.decision_function(X_TEST), classifier.predict_proba(X_TEST)
    assert decisions.shape == ((len(X_TEST), 3) if classes == 3 else (len(X_TEST),))
    assert shares.shape == (len(X_TEST), classes) and np.allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(classifier.predict_log_proba(X_TEST), np.log(shares))
    if classes == 2:
        np.testing.assert_array_equal(classifier.predict(X_TEST), decisions > 0)


def test_weights_of_classes_and_samples_are_one():
    weights = (Y_TRAIN == 8) + 1.0
    by_class = quick(class_weight={8: 2.0}).fit(X_TRAIN, Y_TRAIN)
    by_sample = quick().fit(X_TRAIN, Y_TRAIN, sample_weight=weights)
    plain = quick().fit(X_TRAIN, Y_TRAIN)
    assert outputs(by_class) == outputs(by_sample) != outputs(plain)
    rare = np.flatnonzero((Y_TRAIN != 8) | (np.arange(len(Y_TRAIN)) % 40 == 0))
    balanced, plain = (quick(class_weight=w).fit(X_TRAIN[rare], Y_TRAIN[rare]) for w in ("balanced", None))
    assert balanced.predict_proba(X_TEST)[:, 8].mean() > 1.5 * plain.predict_proba(X_TEST)[:, 8].mean()


def test_the_network_knows_the_names_of_the_labels():
    names = np.array("zero one two three four five six seven eight nine".split())
    classifier = quick().fit(X_TRAIN, names[Y_TRAIN])
    assert classifier.model_.classes == tuple(sorted(names)) == tuple(classifier.classes_)
    assert quick().fit(X_TRAIN, Y_TRAIN > 4).model_.classes == ("False", "True")


def outputs(classifier):
    return classifier.decision_function(X_TEST).tobytes()


def test_batch_after_batch():
    classifier = quick()
    for start in [*range(0, 1300, 100)] * 3:
        part = slice(start, start + 100)
        classifier.partial_fit(X_TRAIN[part], Y_TRAIN[part], classes=range(10))
    assert classifier.score(X_TEST, Y_TEST) > 0.9 and classifier.n_iter_ == 39
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        classifier.partial_fit(X_TRAIN, Y_TRAIN, classes=[1, 2])
    with pytest.raises(ValueError, match=r"y has labels that are not among the classes .*: \[10\]"):
        classifier.partial_fit(X_TRAIN[:1], [10])
    with pytest.raises(ValueError, match="classes must be given to the first partial_fit"):
        quick().partial_fit(X_TRAIN, Y_TRAIN)


def test_warm_start_goes_on():
    classifier, cold = (quick(warm_start=warm).fit(X_TRAIN, Y_TRAIN).fit(X_TRAIN, Y_TRAIN) for warm in (True, False))
    assert (classifier.n_iter_, cold.n_iter_) == (4, 2)
    assert classifier.model_.epochs_trained == 4 and classifier.loss_curve_[-1] < classifier.loss_curve_[0] / 2
    assert outputs(cold) == outputs(quick().fit(X_TRAIN, Y_TRAIN))


def test_a_recipe_of_ones_own():
    def small(input_shape, classes, seed):
        layers = [pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(classes)]
        model = pm.Sequential(layers, input_shape, seed, "float64")
        return recipes.Recipe(model, 3, 32, pm.SGD(momentum=0.9), pm.Cosine(0.1))

    classifier = pm.CNNClassifier(small, random_state=5, learning_rate=0.05).fit(X_TRAIN, Y_TRAIN)
    assert classifier.model_.network.seed == 5 and classifier.score(X_TEST, Y_TEST) > 0.9
    assert classifier._schedule() == pm.Cosine(0.05)
    for wrong in (lambda *_: None, "slow", 5):
        with pytest.raises(ValueError, match="recipe"):
            pm.CNNClassifier(wrong).fit(X_TRAIN, Y_TRAIN)


BAD = {
    "epochs": 0,
    "batch_size": 2.5,
    "learning_rate": 0,
    "class_weight": "unbalanced",
    "validation_fraction": 1.0,
    "warm_start": "yes",
    "random_state": -1,
    "n_jobs": 0,
    "precision": "half",
    "image_shape": (7, 9),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters_are_refused_by_fit(name):
    classifier = quick().set_params(**{name: BAD[name]})
    assert clone(classifier).get_params()[name] == BAD[name]
    with pytest.raises(ValueError, match=name):
        classifier.fit(X_TRAIN, Y_TRAIN)
    with pytest.raises(NotFittedError):
        classifier.predict(X_TEST)


@pytest.mark.parametrize("weights", [np.zeros(len(Y_TRAIN)), -np.ones(len(Y_TRAIN)), np.ones(3)])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="sample_weight must"):
        quick().fit(X_TRAIN, Y_TRAIN, sample_weight=weights)


# ---- shapes ----

COLOUR = np.random.default_rng(0).integers(0, 256, (20, 3, 10, 12), np.uint8)


@pytest.mark.parametrize(
    "shape, image_shape, expected",
    [
        ((64,), None, (1, 8, 8)),
        ((784,), None, (1, 28, 28)),
        ((4096,), None, (1, 64, 64)),
        ((49,), None, (49,)),
        ((65,), None, (65,)),
        ((4225,), None, (4225,)),
        ((64,), (64,), (64,)),
        ((96,), (8, 12), (1, 8, 12)),
        ((192,), (3, 8, 8), (3, 8, 8)),
        ((8, 12), None, (1, 8, 12)),
        ((3, 8, 12), None, (3, 8, 12)),
        ((8, 12, 3), None, (3, 8, 12)),
        ((12, 12, 1), None, (1, 12, 12)),
        ((8, 8, 2), (2, 8, 8), (2, 8, 8)),
        ((2, 8, 8), (2, 8, 8), (2, 8, 8)),
    ],
)
def test_shapes(shape, image_shape, expected):
    x = np.random.default_rng(0).random((6, *shape))
    classifier = quick(image_shape=image_shape).fit(x, [0, 1] * 3)
    assert classifier.input_shape_ == expected and classifier.n_features_in_ == np.prod(shape)
    assert classifier.predict(x).shape == (6,)


@pytest.mark.parametrize("shape", [(3, 8, 3), (1, 8, 1), (8, 8, 8), (2, 3, 8, 8)])
def test_shapes_that_may_be_mistaken_are_refused(shape):
    with pytest.raises(ValueError, match="give image_shape="):
        quick().fit(np.zeros((4, *shape)), [0, 1] * 2)


def test_every_layout_of_a_picture_gives_the_same():
    layouts = [COLOUR, COLOUR.transpose(0, 2, 3, 1), COLOUR.reshape(20, -1)]
    fits = [quick(image_shape=(3, 10, 12)).fit(x, np.arange(20) % 3) for x in layouts]
    given = {fit.decision_function(x).tobytes() for fit in fits for x in layouts}
    assert len(given) == 1
    with pytest.raises(ValueError, match=r"X must have shape \(n, 3, 10, 12\)"):
        fits[0].predict(COLOUR.transpose(0, 1, 3, 2))


@pytest.mark.parametrize("side", [8, 9, 19, 20, 37, 64])
@pytest.mark.parametrize("channels, classes", [(1, 2), (3, 1000)])
@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_recipes_adapt(recipe, channels, classes, side):
    made = recipes.RECIPES[recipe]((channels, side, side + 5), classes)
    assert made.model.output_shape == (classes,)
    height, width = [shape for shape in made.model.network.shapes if len(shape) == 3][-1][1:]
    assert height <= 3 and width <= 6


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_recipes_for_tables_and_for_what_is_too_small(recipe):
    assert recipes.RECIPES[recipe]((5,), 3).model.output_shape == (3,)
    with pytest.raises(ValueError, match="at least 8x8"):
        recipes.RECIPES[recipe]((1, 7, 28), 3)


# ---- numbers ----


def test_pixels_from_0_to_1_where_fit_had_0_to_16():
    fitted = quick().fit(X_TRAIN, Y_TRAIN)
    with pytest.warns(pm.DataWarning, match="X is from 0 to 1, but was from 0 to 16 in fit: scale it so"):
        fitted.predict(X_TEST / 16)


LARGEST = {
    **dict.fromkeys(["float32", "float64", "int64", "uint16"], [1, 16, 255, 65535]),
    **{"float16": [1, 16, 255], "uint8": [1, 16, 255], "bool": [1]},
}


@pytest.mark.parametrize("dtype, largest", [(dtype, n) for dtype, numbers in LARGEST.items() for n in numbers])
def test_the_range_of_numbers_does_not_matter(dtype, largest):
    bits = X_TRAIN > 8
    classifier = quick(epochs=10).fit((bits * largest).astype(dtype), Y_TRAIN)
    assert classifier.scaling_.range_ == (0, largest)
    expected = quick(epochs=10).fit(bits * np.uint8(255), Y_TRAIN)
    x = X_TEST > 8
    got = classifier.decision_function((x * largest).astype(dtype))
    np.testing.assert_allclose(got, expected.decision_function(x * np.uint8(255)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "smallest, largest, expected",
    [
        (0, 0.7, (0, 1)),
        (0, 0.4, (0, 0.4)),
        (0, 16, (0, 16)),
        (0, 100, (0, 100)),
        (0, 200, (0, 255)),
        (0, 70000, (0, 70000)),
        (-1, 1, (-1, 1)),
        (0, 0, (0, 1)),
    ],
)
def test_ranges(smallest, largest, expected):
    assert range_of(smallest, largest) == expected


def test_columns_of_a_table_are_standardized():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)) * [1e-6, 1, 1e6, 0, 10] + [0, 100, -1e8, 3, 0]
    y = (x[:, 0] * 1e6 + x[:, 1] - 100 + (x[:, 2] + 1e8) / 1e6 > 0).astype(int)
    classifier = quick(epochs=100).fit(x[:150], y[:150])
    np.testing.assert_allclose(classifier.scaling_.mean_, x[:150].mean(axis=0))
    assert classifier.score(x[150:], y[150:]) > 0.9 and classifier.model_.dtype == np.float64
    assert quick().fit(x.astype(np.float32), y).model_.dtype == np.float32


# ---- company ----


def test_pipelines_and_calibration():
    pipeline = make_pipeline(MinMaxScaler(), quick(epochs=10))
    assert cross_val_score(pipeline, X, Y, cv=3).min() > 0.85
    calibrated = CalibratedClassifierCV(quick(epochs=10), cv=3).fit(X_TRAIN, Y_TRAIN)
    assert calibrated.score(X_TEST, Y_TEST) > 0.85


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_searches(backend):
    pipeline = make_pipeline(MinMaxScaler(), quick(epochs=5))
    search = GridSearchCV(pipeline, {"cnnclassifier__learning_rate": [1e-5, 0.01]}, cv=2)
    with joblib.parallel_backend(backend, n_jobs=2):
        search.fit(X_TRAIN, Y_TRAIN)
    assert search.best_params_ == {"cnnclassifier__learning_rate": 0.01}


def test_pickle_and_joblib(tmp_path):
    classifier = quick(warm_start=True).fit(X_TRAIN, Y_TRAIN)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    copies = [pickle.loads(pickle.dumps(classifier)), joblib.load(tmp_path / "classifier.joblib")]
    for copy in copies:
        assert outputs(copy) == outputs(classifier)
    gone_on = {outputs(one.fit(X_TRAIN, Y_TRAIN)) for one in (classifier, *copies)}
    assert len(gone_on) == 1  # with the optimizer's state


def test_threads_do_not_matter():
    assert len({outputs(quick(n_jobs=n).fit(X_TRAIN, Y_TRAIN)) for n in (None, 1, 2, -1)}) == 1


def test_tf32_is_of_a_gpu():
    assert [quick(precision=p)._how()["device"] for p in ("full", "tf32", "bf16")] == [None, "cuda", None]


def in_each(backend):
    return joblib.Parallel(2, backend=backend)(joblib.delayed(threads_of)(None) for _ in range(2))


def test_threads():
    all_threads = network.default_threads()
    assert [threads_of(n) for n in (None, -1, 3, -1000)] == [all_threads, all_threads, 3, 1]
    assert in_each("threading") == [1, 1]
    assert max(in_each("loky")) <= max(1, all_threads // 2)
    assert joblib.Parallel(1)([joblib.delayed(threads_of)(None)]) == [all_threads]


def test_threadpoolctl_limits_all_threads():
    found, before = [], network.default_threads()
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        other = threading.Thread(target=lambda: found.append(network.default_threads()))
        other.start()
        other.join()
    assert found == [1] and network.default_threads() == before
    assert processors.allowed_threads is None or network.OPENMP_IS_TOLD
    assert "pymnistcnn" in {library["internal_api"] for library in threadpoolctl.threadpool_info()}


def test_fits_in_two_threads_run_at_once(monkeypatch):
    """The interpreter's lock is released: most of the time both are in C."""
    spans, run = [], network.Network._run

    def timed(self, *arguments, **named):
        started = time.perf_counter()
        try:
            return run(self, *arguments, **named)
        finally:
            spans.append((threading.get_ident(), started, time.perf_counter()))

    train = pm.datasets.mnist()[0][:5000]
    monkeypatch.setattr(network.Network, "_run", timed)
    ready = threading.Barrier(2)

    def fit():
        ready.wait(60)
        quick(n_jobs=1).fit(train.images, train.labels)

    joblib.Parallel(2, backend="threading")(joblib.delayed(fit)() for _ in range(2))
    one, other = (
        [(begin, end) for thread, begin, end in spans if thread == name] for name in {span[0] for span in spans}
    )
    together = sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in one for b in other)
    assert together > 0.5 * min(sum(end - begin for begin, end in part) for part in (one, other))


# ---- the extra ----


def python(code):
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)


def test_scikit_learn_is_imported_when_it_is_asked_for():
    code = """
import sys, pymnistcnn as pm
assert "CNNClassifier" in dir(pm) and "sklearn" not in sys.modules
from pymnistcnn import CNNClassifier
assert "sklearn" in sys.modules and CNNClassifier is pm.CNNClassifier
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["sklearn", "sklearn.utils.validation"])
def test_the_missing_extra_is_told(missing):
    done = python(f"import sys; sys.modules[{missing!r}] = None\nfrom pymnistcnn import CNNClassifier")
    expected = "MissingExtra: CNNClassifier needs scikit-learn 1.6 or newer: pip install 'pymnistcnn[sklearn]'"
    assert done.stderr.splitlines()[-1] == f"pymnistcnn.extras.{expected}"


def test_other_names_are_missing_as_before():
    with pytest.raises(AttributeError, match="module 'pymnistcnn' has no attribute 'RNNClassifier'"):
        getattr(pm, "RNNClassifier")  # noqa: B009
