"""The tables of docs/accuracy.md: how well the recipes learn, from the reports of `bench accuracy` and `robustness`."""

from __future__ import annotations

from measured import percent, spread, standing

from pymnistcnn.benchmarking import targets
from pymnistcnn.benchmarking.measuring import markdown
from pymnistcnn.benchmarking.robustness import ALL
from pymnistcnn.recipes import RECIPES

NOT_YET = "\nNot measured yet.\n"
USUAL = ("MNIST", "")


def on_mnist(_, kinds):
    """Recipes on MNIST, and where it was measured."""
    recipes = [name for name in RECIPES if any(kind.learnt(name, *USUAL) for kind in kinds)]
    return table(["recipe"], [([name], (name, *USUAL)) for name in recipes], kinds)


def elsewhere(_, kinds):
    """Recipes on other data, or by another protocol; but for splits, which settings are chosen by."""
    others = [of for of in measured(kinds) if of[1:] != USUAL and "split" not in of[2]]
    return table(["recipe", "data", "protocol"], [(list(of), of) for of in others], kinds)


def measured(kinds) -> list[tuple[str, str, str]]:
    """(recipe, data, protocol) of all that there is; what was measured last first."""
    rows = [row for kind in kinds for report in kind.of("accuracy") for row in report["rows"]]
    return list(dict.fromkeys((row["recipe"], row.get("data", "MNIST"), row.get("protocol", "")) for row in rows))


def table(head, rows, kinds) -> str:
    """A row for each of (first cells, what it is of): accuracies of the kind that was measured last, as they are the
    same on all, and seconds of each."""
    if not rows:
        return NOT_YET
    kinds = [kind for kind in kinds if kind.of("accuracy")]
    made = []
    for first, of in rows:
        found = [kind.learnt(*of) for kind in kinds]
        seconds = [spread(row["seconds"], "{:.2f}".format) if row else "" for row in found]
        made.append([*first, *accuracies(next(filter(None, found))), *seconds])
    titles = [*head, "parameters", "multiply-adds", "epochs", "seeds", "test accuracy, mean (sd; range)",
              "shifted", "calibration error", *(f"seconds, {kind.label}" for kind in kinds)]  # fmt: skip
    return f"\n{markdown(titles, made)}\n\n{provenance(kinds, 'accuracy')}\n"


def accuracies(row) -> list[str]:
    """A row's cells; those of sizes are empty in reports that do not have them."""
    sizes = [f"{row[key]:,}" if key in row else "" for key in ("parameters", "multiply_adds")]
    low_to_high = f"{percent(row['low'])} to {percent(row['high'])}"
    shifted, error = (percent(row[key]) if key in row else "" for key in ("shifted", "calibration_error"))
    of_seeds = f"**{percent(row['mean'])}** ({percent(row['deviation'])}; {low_to_high})"
    return [*sizes, row["epochs"], row["seeds"], of_seeds, shifted, error]


def provenance(kinds, subject) -> str:
    return "\n".join(f"{kind.label}: {line}." for kind in kinds for line in standing(kind, subject).values())


def steady(_, kinds):
    """Varied pictures: a row a kind, weak / medium / strong, a column a recipe."""
    kind = next((kind for kind in kinds if kind.of("robustness")), None)
    if kind is None:
        return NOT_YET
    rows = [row for report in kind.of("robustness") for row in report["rows"]]
    rows.sort(key=lambda row: list(RECIPES).index(row["recipe"]))
    figures = {row["recipe"]: row["figures"] for row in rows}
    seeds = ", ".join(f"{row['recipe']} {row['seeds']}" for row in rows)
    parts = [of_each(figures, title, key, digits) for title, key, digits in (
        ("accuracy, %", "accuracy", 1), ("calibration error, %", "calibration_error", 1))]  # fmt: skip
    return "\n" + "\n\n".join([*parts, f"Seeds: {seeds}. {provenance([kind], 'robustness')}"]) + "\n"


def of_each(figures, title, key, digits) -> str:
    def cell(found, name):
        return " / ".join(f"{100 * one[key]:.{digits}f}" for one in found if one["kind"] == name)

    names = dict.fromkeys(name for name, _ in ALL)
    return markdown([f"test pictures: {title}", *figures],
                    [[name, *(cell(found, name) for found in figures.values())] for name in names])  # fmt: skip


def goals(_, kinds):
    """What each recipe is held to, and what came of it: on the kind that was measured last."""
    found = {}
    for kind in reversed(kinds):
        found |= {verdict["what"]: verdict for verdict in kind.verdicts()}
    rows = []
    for verdict in targets.of_accuracy([], targets.LEARNING):
        there = found.get(verdict.what)
        if there is not None and there["measured"] is not None:
            verdict = targets.Verdict(verdict.what, there["measured"], verdict.bound, verdict.aim, verdict.unit,
                                      verdict.at_most)  # fmt: skip
        rows.append(["" if key == "reached" and verdict.measured is None else cell.replace("not measured", "")
                     for key, cell in verdict.cells().items()])  # fmt: skip
    return f"\n{markdown(['goal', 'measured', 'bound', 'aim', 'reached'], rows)}\n"


REGIONS = {
    "accuracy-mnist": on_mnist,
    "accuracy-elsewhere": elsewhere,
    "accuracy-steady": steady,
    "accuracy-goals": goals,
}
