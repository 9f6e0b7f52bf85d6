"""Where values lie in one static array: those that are needed at the same time side by side, others in each other's
place. Of a chain that is the largest pair of neighbours."""

from __future__ import annotations

from typing import Any

from .steps import Add, Elementwise, Flatten, LogSoftmax, Norm, Softmax

IN_PLACE = (Elementwise, Norm, Softmax, LogSoftmax, Add)


class Layout:
    """Places of a network's values. scratch: {step: elements} that a step needs to work in; elsewhere: {value: name} of
    those that lie in an array of the caller's, which is not written to but by the step that makes the value."""

    elsewhere: dict[Any, str]
    place: dict[Any, Any]
    offsets: dict[Any, int]
    elements: int

    def __init__(self, network: Any, scratch: Any = None, elsewhere: Any = None) -> None:
        self.elsewhere = elsewhere or {}
        self.place, spans = places(network, scratch or {}, self.elsewhere)
        self.offsets, self.elements = placed({v: s for v, s in spans.items() if v not in self.elsewhere})

    def at(self, value: Any) -> str:
        """The C expression for where a value, or a step's scratch, lies."""
        place = self.place[value]
        if place in self.elsewhere:
            return self.elsewhere[place]
        return f"memory + {self.offsets[place]}" if self.offsets[place] else "memory"


def places(network: Any, scratch: Any, elsewhere: Any) -> Any:
    """In whose place each value lies: its own, that of one that nobody reads any more, or, where Flatten moves nothing,
    the same. And of each place (size, first step, last step)."""
    place, spans = {network.first: network.first}, {network.first: [network.first.elements, 0, 0]}
    for number, step in enumerate(network.steps, 1):
        for value in step.inputs:
            spans[place[value]][2] = number
        later = [place.get(value) for other in network.steps[number:] for value in other.inputs]
        free = [place[v] for v in step.inputs if place[v] not in later and place[v] not in elsewhere]
        if isinstance(step, Flatten) and (step.x.c == 1 or step.x.is_flat):
            place[step.y] = place[step.x]
        elif isinstance(step, IN_PLACE) and free and step.y not in elsewhere:
            place[step.y] = free[0]
        else:
            place[step.y] = step.y
            spans[step.y] = [step.y.elements, number, number]
        if step in scratch:
            place[step] = step
            spans[step] = [scratch[step], number, number]
    spans[place[network.last]][2] = len(network.steps) + 1
    return place, spans


def placed(spans: Any) -> tuple[dict[str, Any], int]:
    """Offsets by place, and the size of the array, for {place: (size, first step, last step)} in the order of their
    first steps."""
    steps = range(1 + max((last for _, _, last in spans.values()), default=0))
    size = max(
        (sum(size for size, first, last in spans.values() if first <= step <= last) for step in steps), default=0
    )
    while (offsets := fitted(spans, size)) is None:
        size += 16
    return offsets, size


def fitted(spans: Any, total: Any) -> Any:
    """Offsets below `total`, in turns as low and as high as they can be; None where one finds no place."""
    offsets = {}
    for number, (place, (size, first, last)) in enumerate(spans.items()):
        taken = [
            (offset, offset + spans[other][0])
            for other, offset in offsets.items()
            if spans[other][1] <= last and first <= spans[other][2]
        ]
        starts = [0, total - size, *(end for _, end in taken), *(start - size for start, _ in taken)]
        free = [at for at in starts if 0 <= at <= total - size and all(at >= e or at + size <= s for s, e in taken)]
        if not free:
            return None
        offsets[place] = max(free) if number % 2 else min(free)
    return offsets
