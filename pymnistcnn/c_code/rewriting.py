"""Steps made ready for whole numbers: fewer kinds of them, and fewer values between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .steps import PLAIN, RELU, Add, Elementwise, Flatten, LogSoftmax, Norm, Product, Softmax, Steps, Value

TAIL = (Elementwise, Softmax, LogSoftmax)


def rewritten(network: Steps) -> tuple[Steps, list[Any]]:
    """Products with nothing behind them or ReLU, and the steps behind the last product, if these can be computed in
    float: on a vector of few numbers."""
    steps = [part for step in without_idle(network) for part in parts_of(step)]
    tail = tail_of(steps)
    steps = merged(steps[: len(steps) - len(tail)], tail)
    for step in steps:
        if isinstance(step, (Softmax, LogSoftmax)):
            raise ValueError(f"{step.label} cannot be computed in int8 of pictures, or before layers with weights")
    return Steps(steps, network.scale, network.offset, network.first), tail


def parts_of(step: Any) -> Any:
    """A norm as a product of each channel, an activation by itself."""
    if isinstance(step, Norm):
        weight = step.scale[:, None, None, None]
        return [Product(step.label, step.number, step.x, step.y, weight, step.bias - step.mean * step.scale,
                        groups=step.x.c)]  # fmt: skip
    if isinstance(step, Product) and step.activation != PLAIN:
        between = Value(step.y.h, step.y.w, step.y.c)
        return [replace(step, y=between, activation=PLAIN),
                Elementwise("its activation", step.number, between, step.y, step.activation)]  # fmt: skip
    return [step]


def without_idle(network: Any) -> Any:
    """All but Flatten of vectors."""
    steps, same = [], {}
    for step in network.steps:
        step = replace(step, x=same.get(step.x, step.x))
        if isinstance(step, Add):
            step = replace(step, other=same.get(step.other, step.other))
        if isinstance(step, Flatten) and step.x.is_flat:
            same[step.y] = step.x
        else:
            steps.append(step)
    return steps


def tail_of(steps: Any) -> Any:
    """The activations at the end, where they are of a vector."""
    behind = next((i for i in range(len(steps), 0, -1) if not isinstance(steps[i - 1], TAIL)), 0)
    return steps[behind:] if steps and steps[behind - 1].y.is_flat else []


def merged(steps: Any, tail: Any) -> Any:
    """ReLU in the step before it, Flatten in the product behind it, where nothing else sees what is between."""
    done = []
    users = {}
    for step in [*steps, *tail]:
        for value in step.inputs:
            users[value] = users.get(value, 0) + 1
    for step in steps:
        before = next((other for other in done if other.y is step.x), None)
        alone = before is not None and users[step.x] == 1
        if alone and isinstance(before, (Product, Add)) and is_relu(step) and before.activation == PLAIN:
            done[done.index(before)] = replace(before, y=step.y, activation=RELU)
        elif alone and isinstance(before, Flatten) and isinstance(step, Product) and step.groups == 1:
            done.remove(before)
            x = before.x
            done.append(replace(step, x=x, weight=step.weight.reshape(-1, x.c, x.h, x.w)))
        else:
            done.append(step)
    return done


def is_relu(step: Any) -> bool:
    return isinstance(step, Elementwise) and step.activation == RELU
