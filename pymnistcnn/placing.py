"""Gives a plan its phases and its memory: ops by program become what csrc/pmc.h describes.

How large everything is C says (csrc/operations.c); where it lies follows from who uses it, and is decided here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _native
from ._native import Arena, Constant, Op, Program, target_pairs
from ._types import DTypeLike
from .factors import for_factors, in_full
from .operands import SCRATCH, Buffer, Gradient, Packed, Parameter, PlannedOp, Row, ShardGradient, WholeGradient

MICROBATCH_BYTES = 192 * 1024  # what a thread's microbatch may take: a part of any L2
MICROBATCH_MOST = 8
PREDICTED_MOST = 32  # where nothing is learnt: pictures share weights that are in L1


def assemble(
    lifetimes: list[dict[Program, list[Any]]], builders: Any, dtype: DTypeLike, capacity: int, target: Any
) -> _native.Plan:
    """The plan of some programs.

    lifetimes: ops by program; what the programs of one leave in memory the others of it find there. On a device all
    samples of a batch are in flight at once: they are one microbatch.
    """
    prepare = {op.refs[0]: op for builder in builders for op in builder.prepare()}.values()
    prepare = sorted(prepare, key=lambda op: op.kind == Op.CONV_PACK)  # norms are folded into filters
    lifetimes = [for_factors(programs, target) for programs in [*lifetimes, {Program.PREPARE: prepare}]]
    phases = {program: split_into_phases(ops) for lifetime in lifetimes for program, ops in lifetime.items()}
    ops = [op for program in phases.values() for phase in program for op in phase]
    sizes = sizes_of(builders[0], dtype, capacity)
    buffers = [place_buffers({program: phases[program] for program in lifetime}) for lifetime in lifetimes[:-1]]
    if target.device == "cpu":
        sizes["pairs"] = int(target_pairs(target))
        sample = Extents(ops, sizes).sample
        in_thread = [sum(sample[b] for b in some if b.arena == Arena.THREAD) for some in buffers]
        fitting = MICROBATCH_BYTES // max(*in_thread, 1)
        most = MICROBATCH_MOST if phases.keys() & {Program.TRAIN, Program.BACKWARD} else PREDICTED_MOST
        sizes["microbatch"] = max(1, min(capacity, fitting, most))
    else:
        sizes["microbatch"] = capacity
    places = Places(Extents(ops, sizes), sizes, buffers, dtype.itemsize)
    return encoded(phases, places, target)


def sizes_of(network: Any, dtype: DTypeLike, capacity: int) -> dict[str, Any]:
    """The sizes of a plan; a microbatch is one sample until more is known."""
    return dict(
        dtype=int(dtype == np.float64),
        capacity=capacity,
        microbatch=1,
        model_bytes=network.vector_elements * dtype.itemsize,
        x_elements=network.input.geometry.elements,
        y_elements=network.current.geometry.elements,
    )


def bytes_of(builder: Any, dtype: DTypeLike) -> int:
    """What a forward pass of one sample takes in full precision, weights included."""
    sizes = sizes_of(builder, dtype, 1)
    extents = Extents(in_full([*builder.prepare(), *builder.forward()]), sizes)
    return sizes["model_bytes"] + sum(extents.sample.values()) + sum(extents.whole.values()) + extents.scratch


# ---- phases -------------------------------------------------------------------------------------------


def memory_of(ref: Any) -> Any:
    """What a reference stands for: two ops that share none of it know nothing of each other."""
    if isinstance(ref, WholeGradient):
        return ref.gradients
    return () if ref is None or ref is SCRATCH else (ref.packed if isinstance(ref, Row) else ref,)


def touched(op: PlannedOp, written: bool) -> set[Any]:
    """What an op writes, or all that it sees."""
    refs = zip(op.refs, op.record.references, strict=False)
    return {one for ref, record in refs if record.written or not written for one in memory_of(ref)}


def split_into_phases(ops: list[Any] | list[PlannedOp]) -> list[list[PlannedOp]]:
    """Adjacent ops of SHARD scope are a phase; of TILES scope those that know nothing of each other."""
    phases, seen, written = [], set(), set()
    for op in ops:
        sees, writes = touched(op, written=False), touched(op, written=True)
        apart = not (sees & written or writes & seen)
        tiles = op.record.tiles
        if not phases or tiles != phases[-1][0].record.tiles or (tiles and not apart):
            phases.append([])
            seen, written = set(), set()
        phases[-1].append(op)
        seen |= sees
        written |= writes
    return phases


def place_buffers(lifetime: dict[Program, list[list[Any]]]) -> list[Buffer]:
    """THREAD for what lives within one phase of a lifetime's programs, BATCH for what outlives it; all buffers."""
    uses: dict[Buffer, set[Any]] = {}
    in_tiles = set()
    for program, program_phases in lifetime.items():
        for number, phase in enumerate(program_phases):
            for op in phase:
                for ref in op.refs:
                    if isinstance(ref, Buffer):
                        uses.setdefault(ref, set()).add((program, number))
                        if op.record.tiles:
                            in_tiles.add(ref)
    for buffer, places in uses.items():
        programs = {program for program, _ in places}
        outlives = {Program.FORWARD, Program.BACKWARD} <= programs or len(places) > len(programs)
        buffer.arena = Arena.BATCH if outlives or buffer in in_tiles else Arena.THREAD
    return list(uses)


# ---- memory -------------------------------------------------------------------------------------------


class Extents:
    """What the references of ops hold, in bytes: of each `sample`, of the `whole`; a norm's `row`; all `scratch`."""

    row: dict[Any, Any]
    sample: dict[Any, int]
    scratch: int
    whole: dict[Any, int]

    def __init__(self, ops: list[PlannedOp], sizes: dict[str, int]) -> None:
        self.sample, self.whole, self.row, self.scratch = {}, {}, {}, 0
        rows, extents = [], _native.extents([op.words for op in ops], sizes).tolist() if ops else []
        for op, of_op in zip(ops, extents, strict=True):
            for ref, (sample, whole) in zip(op.refs, of_op, strict=False):
                if ref is SCRATCH:
                    self.scratch = max(self.scratch, whole + sample * sizes["microbatch"])
                elif isinstance(ref, Row):
                    rows.append((ref, whole))
                elif ref is not None:
                    self.sample[ref] = max(sample, self.sample.get(ref, 0))
                    self.whole[ref] = max(whole, self.whole.get(ref, 0))
        for ref, whole in rows:  # vectors of the last group of channels reach over it
            row = self.row.setdefault(ref.packed, self.whole[ref.packed] // Constant.NORM_ROWS)
            self.whole[ref.packed] = max(ref.number * row + whole, self.whole[ref.packed])


class Places:
    """Where everything lies. `sizes`: the fields of pmc_plan_sizes, those of the arenas filled in."""

    places: dict[Any, tuple[Arena, int]]
    row: dict[Any, Any]
    sizes: dict[str, int]

    def __init__(
        self, extents: Extents, sizes: dict[str, int], buffers: list[list[Any]] | list[list[Buffer]], real: int
    ) -> None:
        self.sizes, self.row = sizes | dict(pack_bytes=0, shard_bytes=0, batch_bytes=0, thread_bytes=0), extents.row
        self.places = {None: (Arena.NOWHERE, 0)}
        for ref, size in extents.whole.items():
            if isinstance(ref, Packed):
                self.places[ref] = Arena.PACK, self._take("pack_bytes", size)
            elif isinstance(ref, ShardGradient):
                self.places[ref] = Arena.SHARD, self._take("shard_bytes", size)
            elif isinstance(ref, WholeGradient):
                self.places[ref] = Arena.GRADIENT, 0
            elif isinstance(ref, Parameter):
                self.places[ref] = Arena.PARAM, ref.offset * real
            elif isinstance(ref, Gradient):
                self.places[ref] = Arena.GRADIENT, ref.parameter.offset * real
        ends = {"batch_bytes": [0], "thread_bytes": [0]}
        for some in buffers:  # lifetimes do not remember each other: each has the memory to itself
            self.sizes |= dict.fromkeys(ends, 0)
            for buffer in some:
                in_batch = buffer.arena == Arena.BATCH
                name, samples = ("batch_bytes", "capacity") if in_batch else ("thread_bytes", "microbatch")
                buffer.offset = self._take(name, sizes[samples] * extents.sample[buffer])
                self.places[buffer] = buffer.arena, buffer.offset
            for name, values in ends.items():
                values.append(self.sizes[name])
        self.sizes |= {name: max(values) for name, values in ends.items()}
        self.places[SCRATCH] = Arena.THREAD, self._take("thread_bytes", extents.scratch)
        if max(self.sizes.values()) >= 2**63:
            raise ValueError("the network or batch is too large: its workspaces have more bytes than can be counted")

    def _take(self, name: str, size: int) -> int:
        offset = self.sizes[name]
        self.sizes[name] += -(-size // Constant.ALIGN) * Constant.ALIGN + Constant.GUARD
        return offset

    def __getitem__(self, ref: Any) -> tuple[Arena, int]:
        if isinstance(ref, Row):
            arena, offset = self.places[ref.packed]
            return arena, offset + ref.number * self.row[ref.packed]
        return self.places[ref]


def encoded(phases: dict[Program, Any] | dict[Program, list[list[Any]]], places: Places, target: Any) -> _native.Plan:
    """Ops, phases and programs as the words of csrc's structs."""
    ops, phase_rows, programs = [], [], np.zeros((len(Program), 2), np.int64)
    for program, program_phases in phases.items():
        programs[program] = len(phase_rows), len(program_phases)
        for phase in program_phases:
            phase_rows.append((phase[0].record.tiles, len(ops), len(phase)))
            for op in phase:
                ops.append(op.words)
                for i, ref in enumerate(op.refs):
                    ops[-1][2 + 2 * i : 4 + 2 * i] = places[ref]
    ops, phases = np.array(ops, np.int64), np.array(phase_rows, np.int64)
    return _native.Plan(places.sizes, ops.reshape(-1, _native.OP_WORDS), phases.reshape(-1, 3), programs, target)
