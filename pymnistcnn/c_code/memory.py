"""Where values lie in one static array: those that are needed at the same time side by side, others in each other's
place. Of a chain that is the largest pair of neighbours."""

from __future__ import annotations


def placed(spans) -> tuple[dict, int]:
    """Offsets by value, and the size of the array, for {value: (size, first step, last step)} in the order of their
    first steps."""
    steps = range(1 + max((last for _, _, last in spans.values()), default=0))
    size = max((sum(size for size, first, last in spans.values() if first <= step <= last) for step in steps), default=0)
    while (offsets := fitted(spans, size)) is None:
        size += 16
    return offsets, size


def fitted(spans, total):
    """Offsets below `total`, in turns as low and as high as they can be; None where one finds no place."""
    offsets = {}
    for number, (value, (size, first, last)) in enumerate(spans.items()):
        taken = [
            (offset, offset + spans[other][0])
            for other, offset in offsets.items()
            if spans[other][1] <= last and first <= spans[other][2]
        ]
        starts = [0, total - size, *(end for _, end in taken), *(start - size for start, _ in taken)]
        free = [at for at in starts if 0 <= at <= total - size and all(at >= e or at + size <= s for s, e in taken)]
        if not free:
            return None
        offsets[value] = max(free) if number % 2 else min(free)
    return offsets
