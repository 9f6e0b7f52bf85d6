"""Drawings of "How it works", as SVG in the page's own colours: site.css says what the classes look like. A page that
runs calls them; any other has those without arguments by the directive `drawing`."""

from html import escape

from docutils import nodes
from docutils.parsers.rst import Directive


class Drawing:
    """A picture of boxes, arrows and words; a notebook, or a page, shows it."""

    def __init__(self, width, height, what):
        self.size, self.what, self.parts = (width, height), what, []

    def box(self, x, y, width, height, words="", kind="plain"):
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>')
        if words != "":
            self.text(x + width / 2, y + height / 2 + 4, words)
        return self

    def text(self, x, y, words, kind="middle"):
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(str(words))}</text>')
        return self

    def arrow(self, x0, y0, x1, y1):
        self.parts.append(f'<line class="arrow" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" marker-end="url(#head)"/>')
        return self

    def _repr_html_(self):
        width, height = self.size
        head = '<marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        head += '<path d="M0,1 L8,4 L0,7 z"/></marker>'
        begin = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(self.what, quote=True)}">'
        return f'<div class="drawing">{begin}<defs>{head}</defs>{"".join(self.parts)}</svg></div>'


def pixels(patch, weights, total):
    """A patch of pixels, times a filter, gives one number."""
    d = Drawing(720, 215, "25 pixels times 25 weights, added up, give one number")
    for at, (numbers, title) in enumerate(((patch, "pixels, 0 to 1"), (weights, "a filter's weights"))):
        left = 10 + 270 * at
        d.text(left + 110, 16, title)
        for row, line in enumerate(numbers):
            for column, number in enumerate(line):
                kind = "first" if abs(number) > 0.004 else "plain"
                d.box(left + 44 * column, 26 + 36 * row, 42, 34, f"{number:.2f}", kind)
    d.text(255, 120, "×", "large").text(528, 120, "=", "large")
    d.text(622, 100, "sum of 25 products").box(572, 110, 100, 36, f"{total:.4f}", "second")
    return d


def lanes():
    """One multiply-add, alone and in 16 lanes."""
    d = Drawing(720, 250, "a scalar multiply-add beside a vector multiply-add of 16 lanes")
    d.text(8, 20, "one FMA, alone: 1 pixel × 1 weight + 1 sum", "left")
    for x, words, kind in (
        (8, "pixel", "first"),
        (98, "weight", "plain"),
        (188, "sum", "second"),
        (306, "new sum", "second"),
    ):
        d.box(x, 32, 64, 30, words, kind)
    d.text(85, 52, "×").text(175, 52, "+")
    d.arrow(258, 47, 300, 47)
    d.text(
        8,
        100,
        "one FMA in a register of 16 lanes: 1 pixel × 16 weights + 16 sums, of 16 filters, in the same time",
        "left",
    )
    for row, (words, kind, name) in enumerate(
        (("p", "first", "pixel, copied"), ("w", "plain", "weights"), ("s", "second", "sums"))
    ):
        y = 112 + 42 * row
        d.text(8, y + 20, ("", "× ", "+ ")[row] + name, "left")
        for lane in range(16):
            d.box(112 + 37 * lane, y, 35, 30, words if row == 0 else f"{words}{lane}", kind)
    return d


def register_block(pixels_at_once=14, vectors=2):
    """What lies in the 32 registers of AVX-512 while a convolution runs."""
    d = Drawing(720, 270, "28 sums, 2 weights and a pixel in 32 registers")
    d.text(8, 18, "the 32 registers of AVX-512, 64 bytes each", "left")
    d.text(135, 46, "weights of filters", "left")
    for v in range(vectors):
        d.box(260 + 150 * v, 30, 140, 24, f"{16 * v} to {16 * v + 15}", "plain")
    for p in range(pixels_at_once):
        y = 64 + 14 * p
        d.box(168, y, 62, 12, "", "first")
        for v in range(vectors):
            d.box(260 + 150 * v, y, 140, 12, "", "second")
    d.text(8, 160, "14 pixels, one after", "left").text(8, 178, "the other in one", "left").text(
        8, 196, "register", "left"
    )
    d.text(570, 140, "28 registers of sums:", "left").text(570, 160, "14 outputs", "left").text(
        570, 180, "× 32 filters", "left"
    )
    return d


def winograd():
    """How many products a pool's window takes, by the definition and by Winograd's method."""
    d = Drawing(720, 190, "36 products by the definition, 16 by Winograd's method")

    def grid(x, y, n, size, kind):
        for i in range(n * n):
            d.box(x + i % n * size, y + i // n * size, size - 2, size - 2, "", kind)

    d.text(8, 20, "by the definition: 4 outputs, 9 products each", "left")
    for at in range(4):
        grid(8 + 74 * at, 32, 3, 22, "first")
    d.text(320, 68, "36", "large")
    d.text(8, 132, "Winograd: 16 points, 1 product each", "left")
    grid(8, 142, 4, 11, "plain")
    d.arrow(62, 164, 96, 164).text(150, 160, "additions")
    grid(206, 142, 4, 11, "first")
    d.arrow(260, 164, 294, 164).text(320, 170, "16", "large").arrow(345, 164, 380, 164).text(434, 160, "additions")
    grid(490, 152, 2, 11, "second")
    d.text(522, 160, "the 2 x 2 outputs", "left").text(522, 177, "of a pool's window", "left")
    return d


def plan(phases):
    """Phases, (title, scope, names of operations), one above the other."""
    rows = [-(-len(names) // 3) for _, _, names in phases]
    d = Drawing(720, sum(48 + 28 * n for n in rows), "the phases of a training step, with their operations")
    y = 0
    for number, ((title, scope, names), lines) in enumerate(zip(phases, rows, strict=True)):
        d.box(4, y + 4, 712, 36 + 28 * lines, "", "plain")
        d.text(14, y + 23, f"phase {number + 1}: {title}", "left strong").text(706, y + 23, scope, "right")
        for at, name in enumerate(names):
            d.box(14 + 233 * (at % 3), y + 32 + 28 * (at // 3), 226, 24, name, ("first", "second")[number % 2])
        y += 48 + 28 * lines
    return d


def arenas(rows):
    """Rows (name, bytes of one, copies, what is in it), as bars."""
    d = Drawing(720, 44 * len(rows) + 8, "the arenas of a plan, with their bytes")
    largest = max(size * copies for _, size, copies, _ in rows)
    for at, (name, size, copies, what) in enumerate(rows):
        y = 8 + 44 * at
        d.text(8, y + 20, name, "left strong")
        for copy in range(copies if size else 0):
            d.box(100 + 300 * copy * size / largest, y + 4, max(2, 300 * size / largest - 1.5), 24, "", "first")
        total = f"{copies} × {size:,}" if copies > 1 else f"{size:,}"
        d.text(410, y + 13, f"{total} bytes", "left strong").text(410, y + 30, what, "left small")
    return d


def caches():
    """How far away memory is, and what of a training lies where."""
    rows = (
        ("registers", "2 KB", "at once", "sums of 14 × 32 outputs"),
        ("L1", "32 to 48 KB", "5 cycles", "a row of the picture, a block of weights"),
        ("L2", "1 to 2 MB", "15 cycles", "a microbatch, from its pixels to its gradients"),
        ("L3", "tens of MB, shared", "50 cycles and more", "weights, gradients of the shards"),
        ("memory", "GB", "300 cycles", "the 60,000 pictures, read once an epoch"),
    )
    d = Drawing(720, 44 * len(rows) + 24, "registers, caches and memory, with their sizes, distances and contents")
    for at, (name, size, far, what) in enumerate(rows):
        width = 110 + 45 * at
        d.box(155 - width / 2, 8 + 44 * at, width, 36, name, ("second", "first", "first", "plain", "plain")[at])
        d.text(325, 22 + 44 * at, f"{size}, {far}", "left strong").text(325, 39 + 44 * at, what, "left small")
    return d


def shards():
    """A batch, its shards, who computes them, and how they are added up."""
    d = Drawing(720, 290, "128 samples in 16 shards; threads take shards; shards are added up in order")
    d.text(8, 18, "a batch of 128 samples: 16 shards of 8, whatever the threads", "left")
    for shard in range(16):
        d.box(8 + 44 * shard, 28, 42, 26, shard, "plain")
    for row, owners in enumerate(("a" * 16, "abababababababab", "abcabcacbabcabcb")):
        y = 80 + 44 * row
        for shard, owner in enumerate(owners):
            d.box(8 + 44 * shard, y, 42, 22, owner, {"a": "first", "b": "second", "c": "third"}[owner])
        d.text(8, y - 5, ("one thread", "two threads", "three, one of them disturbed")[row], "left small")
    for shard in range(16):
        d.arrow(29 + 44 * shard, 204, 29 + 44 * shard, 228)
    d.box(
        8, 234, 702, 30, "gradient = (((shard 0 + shard 1) + shard 2) + ...) + shard 15, always in this order", "plain"
    )
    return d


class Drawn(Directive):
    """`.. drawing:: lanes`"""

    required_arguments = 1

    def run(self):
        return [nodes.raw("", globals()[self.arguments[0]]()._repr_html_(), format="html")]


def setup(app):
    app.add_directive("drawing", Drawn)
    return {"parallel_read_safe": True}
