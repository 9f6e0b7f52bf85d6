"""What the benchmarks are meant to reach, as data, and whether they did.

Speeds are ratios over PyTorch's best in the same run, float32, 2 threads, AVX-512. What a run did not measure (no peer,
another machine, fewer threads or seeds) is not reached either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..datasets.known import TITLES
from ..layers import Conv2d
from .comparing import IN_FULL, OURS
from .kernels import CASES
from .measuring import has_tiles
from .networks import NETWORKS
from .peers import NUMPY, ONNX_RUNTIME, OPENVINO, PYTORCH
from .protocol import Protocol
from .training import BATCHES, is_convolutional

ISA, THREADS, SEEDS = "avx512", 2, 10  # at least so many seeds

# at least, and what is aimed at
CONVOLUTIONAL = (4, 6) if has_tiles() else (6, 8)
TRAINING: dict[str, Any] = {  # at the network's own batch
    "gorgonia": CONVOLUTIONAL,
    "flux": CONVOLUTIONAL,
    "mxnet-lenet": CONVOLUTIONAL,
    "mxnet-mlp": (2.5, 4),
    "mccaffrey": CONVOLUTIONAL,
    "scratch": (15, 40),
}
INFERENCE_AT_1 = (3, 5)  # each network
INFERENCE_AT_1000 = (3.5, 5)  # each convolutional one
DEPLOYED = (ONNX_RUNTIME, OPENVINO)  # the better of them, which has to be measured, is what a predictor is held to
DEPLOYED_AT_1 = (1.5, 3)  # each network
DEPLOYED_AT_1000 = (1.8, 3)  # each network
BF16 = (3, 5)  # training of convolutional networks in bfloat16, PyTorch under autocast to it
BF16_OVER_FULL = (1.6, 2.5) if has_tiles() else (1.2, 1.5)  # over ours in float32, of these:
LARGE = ("gorgonia", "mxnet-lenet", "mccaffrey")
DEPLOYED_BF16 = (1.1, 1.5)  # each network at 1000, over OpenVINO in bfloat16
ANY_BATCH = 2  # each network at each of BATCHES
AVX2 = 2  # convolutional ones at their own batch, PyTorch held to AVX2
OVER_NUMPY = 1000  # scratch over the tutorial's own code
TWO_THREADS = 1.8  # over one, at batch 100 and over
STEP_PERCENT = {"flux": (100, 140), "gorgonia": (100, 140)}  # of the dense FMA peak
FORWARD_PERCENT = 75  # of the FMA peak: forward convolution from and to 16 channels and more, not in groups
ON_GPU = (2, 5)  # training, the tutorials' networks at their own batch, PyTorch on the same GPU
SECONDS_ON_GPU = {"fast": (0.15, 0.04)}
COMMAND_SECONDS = 1  # from the command to the finished file, for `fast`


@dataclass(frozen=True)
class Learning:
    """What a recipe is to come to: per cent of the test pictures that are right, the mean over so many seeds, and
    seconds of training on the processor, (bound, aim) each. With at most so many `parameters`, the best counts of those
    whose names begin so: tiny is for tiny-700, too. `shifted`: the mean where shifted pictures are averaged over."""

    recipe: str
    accuracy: tuple[float, float | None]
    seconds: tuple[float, float | None] | None = None
    parameters: int | None = None
    shifted: bool = False
    seeds: int = SEEDS
    data: str = "MNIST"
    protocol: Protocol = Protocol()

    def is_of(self, recipe: str) -> bool:
        return recipe == self.recipe or (self.parameters is not None and recipe.startswith(f"{self.recipe}-"))

    def words(self) -> str:
        small = "" if self.parameters is None else f"at most {self.parameters:,} parameters"
        where = "" if self.data == "MNIST" else self.data
        shifted = "shifted pictures averaged" if self.shifted else ""
        return ", ".join(filter(None, (self.recipe, where, self.protocol.words(), small, shifted)))


DIGITS = dict(data=TITLES["sklearn-digits"], protocol=Protocol(folds=10))
LEARNING = (
    Learning("fast", (99.0, None), (1.0, 0.6)),
    Learning("accurate", (99.5, 99.59), (6, None)),
    Learning("best", (99.70, 99.75), (90, None), 400_000),
    Learning("best", (99.70, 99.75), None, 400_000, shifted=True),
    Learning("best", (99.80, None), seeds=5, protocol=Protocol(networks=5)),
    Learning("small", (99.70, None), (90, None), 60_000),
    Learning("small", (99.70, None), None, 60_000, shifted=True),
    Learning("tiny", (99.0, None), parameters=700),
    Learning("tiny", (99.4, None), parameters=4_800),
    Learning("tiny", (99.5, None), parameters=8_900),
    Learning("best", (94.5, None), (120, None), data=TITLES["fashion-mnist"]),
    Learning("best", (98.5, None), **DIGITS),
    Learning("few", (97.0, None), protocol=Protocol(samples=1000)),
)


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; None if it was not. `unit` comes after each number."""

    what: str
    measured: float | None
    bound: float
    aim: float | None = None
    unit: str = "x PyTorch"
    at_most: bool = False

    @property
    def reached(self) -> bool:
        if self.measured is None:
            return False
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def text(self, value: float) -> str:
        return f"{value:,.2f}".rstrip("0").rstrip(".") + self.unit

    def bound_text(self) -> str:
        return f"at {'most' if self.at_most else 'least'} {self.text(self.bound)}"

    def words(self) -> str:
        measured = "not measured" if self.measured is None else self.text(self.measured)
        return f"{self.what}: {measured}, {self.bound_text()}"

    def cells(self) -> dict[str, Any]:
        measured = "not measured" if self.measured is None else self.text(self.measured)
        aim = "" if self.aim is None else self.text(self.aim)
        return {
            "target": self.what,
            "measured": measured,
            "bound": self.bound_text(),
            "aim": aim,
            "reached": "yes" if self.reached else "**missed**",
        }

    def as_dict(self) -> Any:
        return {**asdict(self), "reached": self.reached}


def missed(verdicts: list[Any] | list[Verdict]) -> list[str]:
    """The targets that were not reached, in words.

    >>> missed([Verdict("gorgonia (100), training", 4.17, 4.5, 6), Verdict("flux (128), training", 7.1, 5, 7)])
    ['gorgonia (100), training: 4.17x PyTorch, at least 4.5x PyTorch']
    """
    return [verdict.words() for verdict in verdicts if not verdict.reached]


def of_training(
    rows: Any, comparisons: Any, networks: Any = tuple(NETWORKS), device: str | None = None
) -> list[Verdict]:
    """Of training.Row and Comparison, for the networks that were asked for; on the processor if no device is named."""
    ratios = {(c.subject, c.task, c.batch, c.isa, c.threads, c.peer): c.ratio.median for c in comparisons}
    if device is not None:
        own = {name: NETWORKS[name]().batch_size for name in networks if name in TRAINING}
        return [
            Verdict(f"{name} ({n}), training, {device}", ratios.get((name, "training", n, device, 1, PYTORCH)), *ON_GPU)
            for name, n in own.items()
        ]
    shares = {(r.network, r.task, r.batch, r.isa, r.threads): r.share.median for r in rows if r.share}
    verdicts = []
    for name in networks:
        own, convolutional = NETWORKS[name]().batch_size, is_convolutional(name)

        def over(task, batch, peer=PYTORCH, isa=ISA, name=name):
            return ratios.get((name, task, batch, isa, THREADS, peer))

        if name in TRAINING:
            verdicts.append(Verdict(f"{name} ({own}), training", over("training", own), *TRAINING[name]))
        for batch in BATCHES:
            if name not in TRAINING or batch != own:
                verdicts.append(Verdict(f"{name} ({batch}), training", over("training", batch), ANY_BATCH))
        verdicts.append(Verdict(f"{name} (1), inference", over("inference", 1), *INFERENCE_AT_1))
        for batch, bounds in ((1, DEPLOYED_AT_1), (1000, DEPLOYED_AT_1000)):
            measured = [over("inference", batch, peer) for peer in DEPLOYED]
            least = None if None in measured else min(measured)
            verdicts.append(Verdict(f"{name} ({batch}), inference", least, *bounds, unit=f"x {' or '.join(DEPLOYED)}"))
        if convolutional:
            verdicts += [
                Verdict(f"{name} (1000), inference", over("inference", 1000), *INFERENCE_AT_1000),
                Verdict(f"{name} ({own}), training, AVX2 on both sides", over("training", own, isa="avx2"), AVX2),
            ]
        if name == "scratch":
            measured = over("training", own, NUMPY)
            verdicts.append(Verdict(f"{name} ({own}), training", measured, OVER_NUMPY, unit="x NumPy"))
        for batch in sorted({own, *BATCHES}):
            if batch >= 100:
                measured = over("training", batch, OURS)
                verdicts.append(Verdict(f"{name} ({batch}), training", measured, TWO_THREADS, unit="x one thread"))
        if name in STEP_PERCENT:
            share = shares.get((name, "training", own, ISA, THREADS))
            measured = None if share is None else 100 * share
            verdicts.append(
                Verdict(f"{name} ({own}), training step", measured, *STEP_PERCENT[name], unit=" % of the FMA peak")
            )
    return verdicts


def in_bf16(comparisons: Any, networks: Any, isa: str) -> list[Verdict]:
    """Of Comparisons in bfloat16 on the processor, for the networks that were asked for."""
    ratios = {(c.subject, c.task, c.batch, c.peer): c.ratio.median for c in comparisons if c.threads == THREADS}
    verdicts = []
    for name in networks:
        own = NETWORKS[name]().batch_size
        training = f"{name} ({own}), training, {isa}"
        if is_convolutional(name) and name in TRAINING:
            verdicts.append(Verdict(training, ratios.get((name, "training", own, PYTORCH)), *BF16))
        if name in LARGE:
            measured = ratios.get((name, "training", own, IN_FULL))
            verdicts.append(Verdict(training, measured, *BF16_OVER_FULL, unit="x float32"))
        measured = ratios.get((name, "inference", 1000, OPENVINO))
        verdicts.append(Verdict(f"{name} (1000), inference, {isa}", measured, *DEPLOYED_BF16, unit=f"x {OPENVINO}"))
    return verdicts


def of_kernels(rows: Any, cases: Any = tuple(CASES)) -> list[Verdict]:
    """Of kernels.Row: a line for each number of threads; a case that was not measured has one."""
    verdicts = []
    for case in cases:
        layers, input_shape, _ = CASES[case]
        layer = layers()[0]
        if not isinstance(layer, Conv2d) or min(input_shape[0], layer.out_channels) < 16 or layer.groups > 1:
            continue
        shares = {
            r.threads: 100 * r.share.median for r in rows if (r.case, r.kernel, r.isa) == (case, "conv_forward", ISA)
        }
        verdicts += [
            Verdict(
                f"{case}, forward, {threads} thread" + "s" * (threads > 1),
                shares.get(threads),
                FORWARD_PERCENT,
                unit=" % of the FMA peak",
            )
            for threads in shares or (THREADS,)
        ]
    return verdicts


def learning(recipes: Sequence[str], data: str, protocol: Protocol) -> list[Learning]:
    """The goals of these recipes, or of all if none is named, on data."""
    on_this = [goal for goal in LEARNING if (goal.data, goal.protocol) == (data, protocol)]
    return [goal for goal in on_this if not recipes or any(map(goal.is_of, recipes))]


def of_accuracy(rows: Any, goals: Sequence[Learning], device: str | None = None) -> list[Verdict]:
    """Of accuracy.Row; on the processor if no device is named."""
    return [verdict for goal in goals for verdict in of_goal(rows, goal, device)]


def of_goal(rows: Any, goal: Learning, device: str | None) -> list[Verdict]:
    def accuracy(row):
        return row.shifted if goal.shifted else row.mean

    row = max((row for row in rows if counts(row, goal, device)), key=accuracy, default=None)
    mean = None if row is None else 100 * accuracy(row)
    verdicts = [Verdict(f"{goal.words()}, mean test accuracy", mean, *goal.accuracy, unit=" %")]
    if seconds := SECONDS_ON_GPU.get(goal.recipe, goal.seconds) if device else goal.seconds:
        taken = None if row is None else row.seconds.median
        verdicts.append(Verdict(f"{goal.words()}, training", taken, *seconds, unit=" s", at_most=True))
    if goal.recipe == "fast":
        whole = row.seconds.median + row.around.median if row and row.around else None
        what = f"{goal.recipe}, from command to file"
        verdicts.append(Verdict(what, whole, COMMAND_SECONDS, unit=" s", at_most=True))
    return verdicts


def counts(row: Any, goal: Learning, device: str | None) -> bool:
    """Is a row measured as a goal wants it? bfloat16 is of the processor, too."""
    isa, threads = row.settings["isa"], row.settings["threads"]
    where = isa == device if device else isa.startswith(ISA) and threads == THREADS
    small = goal.parameters is None or row.runs[0].parameters <= goal.parameters
    same = (row.settings["data"], row.protocol) == (goal.data, goal.protocol)
    return goal.is_of(row.recipe) and where and small and same and len(row.runs) >= goal.seeds
