"""What the precision of products makes of a plan's ops.

In full they are what the nodes say. Where kernels multiply words, two factors of bfloat16 each, those of a large linear
layer's weights are packed, too. Where none do, factors are rounded before float32's kernels see them: samples and
gradients by an op of their own, weights as they are packed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ._native import Op, Program, Target, target_pairs
from .operands import Buffer, Packed, PlannedOp

OF_CONV = {Op.CONV_FORWARD, Op.CONV_WEIGHT_GRADIENT, Op.CONV_INPUT_GRADIENT}
WITH_LINEAR_WEIGHTS = {Op.LINEAR_SPARSE_FORWARD, Op.LINEAR_TILE_FORWARD, Op.LINEAR_TILE_INPUT_GRADIENT}
PRODUCTS = OF_CONV | WITH_LINEAR_WEIGHTS | {Op.LINEAR_TILE_WEIGHT_GRADIENT}  # of small linear layers: in full
GEOMETRY = 7  # words of a shape


def for_factors(programs: dict[Program, list[PlannedOp]], target: Target) -> dict[Program, list[PlannedOp]]:
    """The ops of a lifetime's programs, as the target multiplies."""
    if target.device != "cpu" or target.precision == "full":
        return {program: in_full(ops) for program, ops in programs.items()}
    return programs if target_pairs(target) else Rounding(programs).programs


def in_full(ops: list[PlannedOp]) -> list[PlannedOp]:
    """Without words."""
    return [with_refs(op, words=None) for op in ops if op.kind != Op.LINEAR_PACK]


class Rounding:
    """A lifetime's programs, whose products read rounded factors. What they alone read behind the op that wrote it is
    rounded where it is, but for forward and backward by hand: anything may be read in between."""

    in_place: bool
    programs: dict[Program, list[PlannedOp]]

    def __init__(self, programs: dict[Program, list[PlannedOp]]) -> None:
        self.in_place = Program.FORWARD not in programs
        self.twins: dict[Buffer, Buffer] = {}
        self.rounded: dict[Buffer, Buffer] = {}  # where a buffer's factors are now
        self.programs = {program: self.of_program(ops) for program, ops in programs.items()}

    def of_program(self, ops: list[PlannedOp]) -> list[PlannedOp]:
        """Each factor is rounded once, behind the op that wrote it: it is in L1 there."""
        last_seen = {ref: i for i, op in enumerate(ops) if op.kind not in PRODUCTS for ref in buffers(op)}
        last_written: dict[Buffer, int] = {}
        new: list[list[PlannedOp]] = []  # of each op: it, and what rounds what it wrote
        for i, op in enumerate(ops):
            factors = factors_of(op)
            for x, geometry in factors.values():
                if x not in self.rounded:
                    at = last_written.get(x, i - 1)
                    alone = self.in_place and last_seen.get(x, -1) <= at
                    self.rounded[x] = x if alone else self.twins.setdefault(x, Buffer())
                    new[at].append(PlannedOp(Op.ROUNDING, op.layer, [self.rounded[x], x], geometry))
            refs = {name: self.rounded[x] for name, (x, _) in factors.items()}
            new.append([with_refs(op, **refs, **rounded_weights(op))])
            for ref in buffers(op, written=True):
                self.rounded.pop(ref, None)
                last_written[ref] = i
        return [op for some in new for op in some]


def factors_of(op: PlannedOp) -> dict[str, tuple[Buffer, list[int]]]:
    """The samples and gradients that an op multiplies, by their names, with their geometry."""
    if op.kind not in PRODUCTS:
        return {}
    if op.kind in OF_CONV:
        geometries = dict(x=op.shape[:GEOMETRY], dy=op.shape[GEOMETRY : 2 * GEOMETRY])
    else:
        geometries = {name: [1, 1, op.shape[i], 0, 0, 0, 0] for i, name in enumerate(("x", "dy"))}
    refs = named(op)
    return {name: (refs[name], geometry) for name, geometry in geometries.items() if name in refs}


def rounded_weights(op: PlannedOp) -> dict[str, Any]:
    """The references that an op has to its rounded weights, by their names."""
    refs = named(op)
    if op.kind in WITH_LINEAR_WEIGHTS:
        return dict(w=refs["words"], words=None)
    if op.kind not in {Op.CONV_PACK, Op.CONV_FORWARD, Op.CONV_INPUT_GRADIENT}:
        return {}
    rounded = Packed(f"rounded {refs['packed'].name}", op.layer)
    return dict(rounded=rounded) if op.kind == Op.CONV_PACK else dict(w=rounded, scale=None)


def buffers(op: PlannedOp, written: bool = False) -> list[Buffer]:
    """Those that an op refers to, or writes."""
    refs = zip(op.refs, op.record.references, strict=False)
    return [ref for ref, record in refs if isinstance(ref, Buffer) and (record.written or not written)]


def named(op: PlannedOp) -> dict[str, Any]:
    """An op's references by their names."""
    return {record.name: ref for ref, record in zip(op.refs, op.record.references, strict=False)}


def with_refs(op: PlannedOp, **by_name: Any) -> PlannedOp:
    """The op with some of its references, if it has them, exchanged."""
    refs = dict.fromkeys(record.name for record in op.record.references) | named(op) | by_name
    return replace(op, refs=[refs[record.name] for record in op.record.references])
