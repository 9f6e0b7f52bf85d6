"""The results page: a table a question, a column a kind of processor; and a section a kind."""

from __future__ import annotations

from measured import rounded, spread, standing, times

from pymnistcnn.benchmarking.comparing import IN_FULL, OURS
from pymnistcnn.benchmarking.kernels import CASES
from pymnistcnn.benchmarking.measuring import markdown
from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.benchmarking.paper import MACHINES
from pymnistcnn.benchmarking.peers import DDP, NUMPY, OF_OTHERS, OPENVINO, PEERS
from pymnistcnn.benchmarking.serving import CLIENTS
from pymnistcnn.benchmarking.targets import DEPLOYED, PYTORCH, THREADS
from pymnistcnn.benchmarking.training import BATCHES, INFERENCE

SUBJECTS = ("training", "bf16", "precision", "kernels", "serving", "accuracy", "robustness", "distributed", "slow",
            "data", "sweeps", "tutorial", "example")  # fmt: skip
VERSIONS = {"compiler": "", "python": "Python", "numpy": "NumPy"} | {
    peer.name: peer.name for peer in PEERS if peer.name not in OF_OTHERS
}
OWN = {name: make().batch_size for name, make in NETWORKS.items()}
BEGINNING = """# Results

Made by `python benchmarks/results.py` from the JSON in [measurements](measurements), which `benchmarks/measure.py`
writes. Beside it: [notes](notes.md); what [recipes](../docs/accuracy.md) and [tutorials](../docs/tutorials.md) learn.

**How.** Each side is a process of its own, in turns. A figure is the median of all rounds, with the range in brackets;
a ratio is of what was measured in the same round: compare ratios, not speeds, as machines are shared. float32, two
threads on two cores. Networks and batches are the [tutorials' own](../pymnistcnn/benchmarking/networks.py); `fast` is
that of `pymnistcnn train`. PyTorch: its best of 1 and 2 threads, contiguous and channels last, eager and compiled.

![Training speed over PyTorch's, by network and processor](results.svg)"""

OF_KERNELS = (
    "Forward / weight gradient / input gradient in % of the FMA peak, dense-equivalent: sparse gradients and "
    "Winograd's method compute less than is counted, and may be over 100. Forward / backward, times PyTorch's speed in "
    "the same layer."
)
ON_PAPER = "From which batch several machines pay is in [docs/distributed.md](../docs/distributed.md#when-it-pays)."


def page(kinds) -> str:
    parts = [
        *(BEGINNING, training(kinds), batches(kinds), in_bf16(kinds), inference(kinds)),
        *(serving(kinds), kernels(kinds), distributed(kinds)),
        *(section(kind) for kind in kinds),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def table(title, note, first, kinds, columns, rows) -> str:
    """A row for each of `rows`, (label, arguments of the columns' functions); columns, (title, function), for each
    kind. What is empty throughout is left out: a row, a column, all of it."""
    made = [[first, *(kind.label + column for kind in kinds for column, _ in columns)]]
    made += [[label, *(of(kind, *arguments) for kind in kinds for _, of in columns)] for label, arguments in rows]
    made = [row for row in made if any(row[1:])]
    if len(made) < 2:
        return ""
    head, *cells = zip(*(column for column in zip(*made, strict=True) if any(column[1:])), strict=True)
    return f"## {title}\n\n{note}\n\n" + markdown(list(head), cells)


def race(kind, network, task, batch, isa=None) -> str:
    """Ours, PyTorch's and the ratio."""
    found = kind.beside(network, task, batch, isa=isa)
    if found is None:
        return ""
    ours, theirs = (rounded(found[side]["median"]) for side in ("ours", "theirs"))
    return f"{ours} : {theirs} = {spread(found['ratio'], times)}"


def training(kinds):
    rows = [(f"{name} ({n})", (name, "training", n)) for name, n in OWN.items()]
    note = "Images a second, ours : PyTorch's, at the networks' own batches; with AVX-512, where there is."
    return table("Training", note, "network (batch)", kinds, [("", race)], rows)


def batches(kinds):
    def ratios(kind, network):
        found = [kind.beside(network, "training", batch) for batch in BATCHES]
        return " / ".join(times(beside["ratio"]["median"]) for beside in found) if all(found) else ""

    columns = [
        ("", ratios),
        (", AVX2", lambda kind, network: race(kind, network, "training", OWN[network], "avx2")),
        (", threads", lambda kind, network: over_one_thread(kind, network, "training", OWN[network])),
    ]
    note = (
        f"Times PyTorch's speed at batch {' / '.join(map(str, BATCHES))}; and, at the networks' own, both sides held "
    )
    note += "to AVX2, and two threads over one."
    return table("Training at other batch sizes, with AVX2, by threads", note, "network", kinds, columns, by_name())


def over_one_thread(kind, network, task, batch) -> str:
    beside = kind.beside(network, task, batch, peer=OURS)
    return spread(beside["ratio"], "{:.2f}".format) if beside else ""


def in_bf16(kinds):
    def ratios(kind, network, task, batch, *others):
        rows = [row for report in kind.of("bf16") for row in report["comparisons"]]
        found = [
            next((row for row in rows if (row["subject"], row["task"], row["batch"], row["threads"], row["peer"]) ==
                  (network, task, batch, THREADS, peer)), None)
            for peer in others
        ]  # fmt: skip
        return " / ".join(times(row["ratio"]["median"]) if row else "-" for row in found) if any(found) else ""

    def points(kind, network):
        rows = (row for report in kind.of("precision") for row in report["rows"] if row["network"] == network)
        return next((f"{row['points']:+.3f} ± {row['standard_error']:.3f}" for row in rows), "")

    columns = [
        (", training", lambda kind, name: ratios(kind, name, "training", OWN[name], IN_FULL, PYTORCH)),
        (", inference at 1000", lambda kind, name: ratios(kind, name, "inference", 1000, IN_FULL, OPENVINO)),
        (", accuracy", points),
    ]
    note = (
        "Training at the networks' own batches, times the speed of ours in float32 / of PyTorch's under autocast; "
        "inference, times ours in float32 / OpenVINO's in bfloat16. Where nothing multiplies two at a time any faster, "
        "factors are rounded for float32's products. Test accuracy after the tutorials' training, in points over "
        "float32's: the mean over ten seeds, and its standard error."
    )
    return table("bfloat16 on the processor", note, "network", kinds, columns, by_name())


def inference(kinds):
    def deployed(kind, network, batch):
        found = [kind.beside(network, "inference", batch, peer=peer) for peer in DEPLOYED]
        return " / ".join(times(beside["ratio"]["median"]) for beside in found) if all(found) else ""

    columns = [
        column
        for batch in INFERENCE
        for column in (
            (f", batch {batch}", lambda kind, network, batch=batch: race(kind, network, "inference", batch)),
            (f", {batch}, deployed", lambda kind, network, batch=batch: deployed(kind, network, batch)),
        )
    ]
    last = INFERENCE[-1]
    columns += [(f", {last}, threads", lambda kind, network: over_one_thread(kind, network, "inference", last))]
    note = (
        f"Images a second, ours : PyTorch's; deployed: times the speed of {' / of '.join(DEPLOYED)}; threads: two over "
    )
    note += "one."
    return table("Inference", note, "network", kinds, columns, by_name())


def serving(kinds):
    def waits(kind, network, clients):
        rows = [row for report in kind.of("serving") for row in report["rows"]]
        rows = [row for row in rows if (row["network"], row["clients"]) == (network, clients)]
        return ", ".join(
            f"{row['library']} {row['median_microseconds']['median']:.0f} / {row['late_microseconds']['median']:.0f}"
            for row in rows
        )

    columns = [
        (f", {n} client" + "s" * (n > 1), lambda kind, network, n=n: waits(kind, network, n)) for n in CLIENTS[::3]
    ]
    note = "Microseconds that a client waits for one picture: the median / the 99th percentile."
    return table("Serving", note, "network", kinds, columns, by_name())


def kernels(kinds):
    def shares(kind, case):
        rows = [row for report in kind.of("kernels") for row in report["rows"]]
        return " / ".join(f"{100 * row['share']['median']:.0f}" for row in rows if row["share"] and
                          (row["case"], row["isa"], row["threads"]) == (case, kind.isa, THREADS))  # fmt: skip

    def ratios(kind, case):
        found = [
            kind.found("kernels", "comparisons", subject=case, task=task, peer=PYTORCH, isa=kind.isa)
            for task in ("forward", "backward")
        ]
        return " / ".join(times(row["ratio"]["median"]) for row in found) if all(found) else ""

    columns = [(", %", shares), (", times", ratios)]
    return table("Kernels by themselves", OF_KERNELS, "layer", kinds, columns, [(case, (case,)) for case in CASES])


def distributed(kinds):
    """Ranks of this machine, and two with a slow network between them."""

    def found(kind, subject, network, batch, ranks, library):
        wanted = dict(network=network, batch=batch, ranks=ranks, library=library)
        rows = (row for report in kind.of(subject) for row in report["rows"])
        return next((row for row in rows if wanted.items() <= row.items()), None)

    def speeds(kind, *which):
        mine, theirs = found(kind, *which, OURS), found(kind, *which, DDP)
        if mine is None:
            return ""
        speed = rounded(mine["images_per_second"]["median"])
        if theirs:
            speed += f" : {rounded(theirs['images_per_second']['median'])} = {spread(theirs['ratio'], times)}"
        return speed + ", oversubscribed" * mine["oversubscribed"]

    def sent(kind, *which):
        mine = found(kind, *which, 2, OURS)
        return f"{mine['messages']:.0f}, {mine['bytes'] / 1e3:,.0f} kB, {mine['share']['median']:.0%}" if mine else ""

    words = {"distributed": "", "slow": ", slow network"}
    of_all = [(subject, row) for subject in words for kind in kinds for report in kind.of(subject)
              for row in report["rows"]]  # fmt: skip
    batches = {(subject, row["network"]): row["batch"] for subject, row in of_all}  # the last, which is the largest
    rows = [
        (f"{network} ({batch}){words[subject]}", (subject, network, batch))
        for (subject, network), batch in batches.items()
    ]
    columns = [
        (f", {ranks} rank" + "s" * (ranks > 1), lambda kind, *which, ranks=ranks: speeds(kind, *which, ranks))
        for ranks in sorted({row["ranks"] for _, row in of_all})
    ]
    slow = {note for kind in kinds for report in kind.of("slow") for note in report["notes"][:1]}
    note = f"Images a second, ours : {DDP}'s, a thread each; what a step of ours sends between two: messages, bytes, "
    note += " ".join(["share of its time.", *(f"Slow: {note}" for note in slow), ON_PAPER])
    return table("Several processes", note, "network (batch)", kinds, [*columns, (", sent", sent)], rows)


def machines(kinds):
    def pays(kind, network, link):
        rows = [row for report in kind.of("distributed") for row in report["on_paper"]]
        rows = [row for row in rows if (row["network"], row["link"]) == (network, link)]
        return " / ".join(
            f"{row['pays_from']:,.0f}" if row["pays_from"] else f"over {row['batches'][-1]:,}" for row in rows
        )

    rows = [row for kind in kinds for report in kind.of("distributed") for row in report["on_paper"]]
    columns = [
        (f", {link.removesuffix(', assumed')}", lambda kind, network, link=link: pays(kind, network, link))
        for link in dict.fromkeys(row["link"] for row in rows)
    ]
    networks = dict.fromkeys(row["network"] for row in rows)
    note = f"On paper, the batch from which {' / '.join(map(str, MACHINES))} machines are faster than one."
    return table("Several machines", note, "network", kinds, columns, [(name, (name,)) for name in networks])


def by_name():
    return [(name, (name,)) for name in OWN]


def section(kind) -> str:
    machines = [report["machine"] for report in kind.files.values()]
    versions = {key: machine[key] for machine in machines for key in VERSIONS if machine.get(key)}
    peaks = [peak for machine in machines if (peak := machine["fma_peak_gflops"][0])]
    facts = [f"{machines[0]['cpu']}, {machines[0]['cores']} cores"]
    facts += [f"FMA peak of one thread up to {max(peaks):,.0f} GFLOP/s with {kind.isa}"] if peaks else []
    facts += [f"{VERSIONS[key]} {version}".strip() for key, version in versions.items()]
    lines = ["; ".join(facts) + "."]
    measured = (f"{names.capitalize()}: {line}." for names, line in standing(kind, *SUBJECTS).items())
    lines += filter(None, [" ".join(measured)])
    lines += [*beside_others(kind), *past_one_core(kind), *missed(kind)]
    return f"## {kind.label}\n\n" + "\n".join(f"- {line}" for line in lines)


def beside_others(kind) -> list[str]:
    """What stands beside others than PyTorch, at the networks' own batches, on a line."""
    jax = [found for name, n in OWN.items() if (found := kind.beside(name, "training", n, peer="JAX"))]
    numpy = kind.beside("scratch", "training", OWN["scratch"], peer=NUMPY)
    parts = []
    if jax:
        ratios = [found["ratio"]["median"] for found in jax]
        parts.append(f"over JAX {times(min(ratios))} to {times(max(ratios))} times")
    if numpy:
        parts.append(f"`scratch` over the tutorial's own NumPy code {times(numpy['ratio']['median'])} times")
    return [f"Training: {'; '.join(parts)}."] if parts else []


def past_one_core(kind) -> list[str]:
    """What data larger than memory are trained at, and what two workers come to."""
    data = [row for report in kind.of("data") for row in report["rows"]]
    workers = [row for report in kind.of("sweeps") for row in report["rows"]]
    lines = []
    if data:
        shares = [
            f"{row['source']} {spread(row['share'], '{:.0%}'.format)}"
            + (f", with {row['peak_megabytes']:,.0f} MB" if "peak_megabytes" in row else "")
            for row in data[1:] if not row["source"].endswith("alone")
        ]  # fmt: skip
        lines.append(f"Training on {data[0]['images']:,} pictures, of the speed in memory: {', '.join(shares)}.")
    for recipe in dict.fromkeys(row["recipe"] for row in workers):
        of_two = [row for row in workers if row["recipe"] == recipe and row["workers"] != workers[0]["workers"]]
        pictures = " / ".join(f"{images:,}" for images in dict.fromkeys(row["images"] for row in of_two))
        ratios = {name: [] for name in dict.fromkeys(row["workers"] for row in of_two)}
        for row in of_two:
            ratios[row["workers"]].append(spread(row["over_one"], "{:.2f}".format))
        over = ", ".join(f"{name} {' / '.join(found)}" for name, found in ratios.items())
        peaks = [row["peak_over_one"]["median"] for row in of_two]
        grown = f"the FMA peak of two threads, {min(peaks):.2f} to {max(peaks):.2f}"
        fits = f"{of_two[0]['fits']} fits of `{recipe}` to {pictures} pictures"
        lines.append(f"{fits} by two workers, times one: {over}; {grown}.")
    return lines


def missed(kind) -> list[str]:
    """The targets that are missed, on a line."""
    verdicts = kind.verdicts()
    if not verdicts:
        return []
    lost = [verdict for verdict in verdicts if not verdict["reached"]]
    line = f"Targets: {len(verdicts) - len(lost)} of {len(verdicts)} reached."
    return [line + (" Missed: " + "; ".join(map(in_words, lost)) + "." if lost else "")]


def in_words(verdict) -> str:
    bound = f"at {'most' if verdict['at_most'] else 'least'} {verdict['bound']:g}"
    digits = 4 if verdict["unit"] == " %" else 3
    measured = "not measured" if verdict["measured"] is None else f"{verdict['measured']:.{digits}g}{verdict['unit']}"
    return f"{verdict['what']}: {measured}, {bound}"
