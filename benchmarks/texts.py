"""The figures in README.md and in pages of docs/. They stand between `<!-- figures: NAME -->` and `<!-- end -->`, and
are written anew by the function of that name, here or in learning.py, which is given what stands there and all kinds of
processors."""

from __future__ import annotations

import re

import learning
from measured import Kind, file_name, joined, percent, rounded, standing, times
from page import OWN, machines

from pymnistcnn.benchmarking.measuring import markdown
from pymnistcnn.benchmarking.targets import PYTORCH

REGION = re.compile(r"(<!-- figures: ([\w-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def written(text, kinds) -> str:
    """The text with the figures of these measurements: of the kinds of processors that were measured with the code as
    it is, if nothing was measured on the others alone; or else of all, with what has changed since."""
    current = [kind for kind in kinds if kind.is_current]
    if {name for kind in current for name in kind.files} >= {name for kind in kinds for name in kind.files}:
        kinds = current
    return REGION.sub(lambda found: found[1] + REGIONS[found[2]](found[3], kinds) + found[4], text)


def shown(kinds, names, has):
    """The kind that a text shows: of those that have all of this, the one measured last."""
    for kind in kinds:
        if all(has(kind, name) for name in names):
            return kind
    raise LookupError(f"no kind of processor has all of {', '.join(names)}: python benchmarks/measure.py")


# ---- README.md and docs/index.md ----


def headline(_, kinds):
    """A sentence a kind. The range is of batches of several images: of one, all is overhead, and the ratio another."""
    sentences = []
    for kind in kinds:
        found = [kind.beside(name, "training", n) for name, n in OWN.items() if n > 1]
        ratios = [beside["ratio"]["median"] for beside in found if beside]
        if ratios:
            speed = f"{times(min(ratios))} to {times(max(ratios))} times PyTorch's training speed"
            sentences.append(f"**On two cores of {kind.label}: {speed}{to_accuracy(kind)}.**")
    return "\n".join(["", *sentences, ""])


def to_accuracy(kind) -> str:
    rows = [kind.learnt(recipe) for recipe in ("fast", "accurate", "best")]
    parts = [f"to {percent(row['mean'])} in {row['seconds']['median']:.1f} seconds" for row in rows if row]
    return f"; MNIST {joined(parts)}" if parts else ""


def training(_, kinds):
    """Speeds of one kind, ratios of all."""
    ours = shown(kinds, OWN, lambda kind, name: kind.beside(name, "training", OWN[name]))
    version = ".".join(ours.of("training")[0]["machine"][PYTORCH].split(".")[:2])
    all_of_them = [ours, *(kind for kind in kinds if kind is not ours and kind.of("training"))]
    lines = [("the network of `pymnistcnn train`", "fast", None), ("... AVX2 on both sides", "fast", "avx2")]
    lines += [(name, name, None) for name in OWN if name != "fast"]
    rows = []
    for label, name, isa in lines:
        found = [kind.beside(name, "training", OWN[name], isa=isa) for kind in all_of_them]
        speeds = [rounded(found[0][side]["median"]) for side in ("ours", "theirs")] if found[0] else ["", ""]
        ratios = [f"**{times(beside['ratio']['median'])}**" if beside else "" for beside in found]
        rows.append([label, OWN[name], *speeds, *ratios])
    head = ["training, images a second", "batch", "pymnistcnn", f"{PYTORCH} {version} at its best",
            *(f"ratio, {kind.label}" for kind in all_of_them)]  # fmt: skip
    where = [f"{kind.label}: {line}." for kind in all_of_them for line in standing(kind, "training").values()]
    return "\n".join(["", markdown(head, rows), "", f"Images a second are of {ours.label}.", *where, ""])


def example(text, kinds):
    """What the program prints, behind the line that prints it."""
    (report,) = shown(kinds, ["example"], Kind.of).of("example")
    (row,) = report["rows"]
    return re.sub(r"(?m)^(print\(.*\)  # ).*$", lambda found: found[1] + f"{float(row['printed']):.3f}", text)


# ---- docs/distributed.md ----


def machines_that_pay(text, kinds):
    """The table of the results page, once it was measured."""
    made = machines(kinds)
    if not made:
        return text
    _, title_and_table = made.split("\n\n", 1)
    where = [f"{kind.label}: {line}." for kind in kinds for line in standing(kind, "distributed").values()]
    return "\n".join(["", title_and_table, "", *where, ""])


# ---- docs/tutorials.md ----

SHOWN = {"mccaffrey": ("training_accuracy", "test_accuracy"), "scratch --full": ("epoch_accuracies",)}


def tutorials(text, kinds):
    """The last two columns of a table whose rows begin with the tutorial's name, and the line below it. Each is of the
    kind that it was last measured on."""
    lines, of_kinds = [], {}
    for line in text.splitlines():
        name = re.match(r"\| `([^`]+)`", line)
        if name and name[1] != "pymnistcnn tutorial":
            kind = shown(kinds, [name[1]], Kind.tutorial)
            of_kinds.setdefault(kind.name, (kind, []))[1].append(file_name("tutorial", name[1]))
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            cells[-2:] = learnt(kind.tutorial(name[1])), seconds(kind.tutorial(name[1]))
            line = f"| {' | '.join(cells)} |"
        elif line.startswith("Seconds "):
            line = "Seconds are of training, one seed, on two cores. " + " ".join(
                f"{kind.label}: {names}: {words}."
                for kind, files in of_kinds.values()
                for names, words in standing(kind, *files).items()
            )
        lines.append(line)
    return "\n".join(lines) + "\n"


def learnt(row) -> str:
    means = [mean for what in SHOWN.get(row["tutorial"], ("test_accuracy",)) for mean in row["means"][what]]
    return f"{', '.join(map(with_range, means))}; seeds {listed(row['seeds'])}"


def listed(seeds) -> str:
    """
    >>> listed([0, 1, 2, 3]), listed([0, 1, 3])
    ('0 to 3', '0, 1 and 3')
    """
    gapless = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if gapless else joined([str(seed) for seed in seeds])


def full_test_accuracy(_, kinds):
    (mean,) = shown(kinds, ["mccaffrey"], Kind.tutorial).tutorial("mccaffrey")["means"]["full_test_accuracy"]
    return with_range(mean)


def losses(_, kinds):
    means = shown(kinds, ["mccaffrey"], Kind.tutorial).tutorial("mccaffrey")["means"]["losses"]
    return f"from {means[0]['mean']:.2f} to {means[-1]['mean']:.2f}"


def with_range(mean) -> str:
    low_to_high = "" if mean["low"] is None else f" ({mean['low']:.4f} to {mean['high']:.4f})"
    return f"{mean['mean']:.4f}{low_to_high}"


def seconds(row) -> str:
    median = (row["seconds"] or {"median": None})["median"]
    return "" if median is None else f"{median:.0f}" if median >= 10 else f"{median:.2g}"


REGIONS = {
    "headline": headline,
    "training": training,
    "example": example,
    "machines": machines_that_pay,
    "tutorials": tutorials,
    "mccaffrey-full": full_test_accuracy,
    "mccaffrey-losses": losses,
    **learning.REGIONS,
}
