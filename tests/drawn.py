"""Pictures of digits as people make them, drawn with a seed: strokes and a font, on many pages and in many lights.

`python tests/drawn.py MODEL` prints how many a network reads right, kind by kind.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Strokes through points in a box of 1 x 1; those of one kind are curves, the others straight lines.
CURVES = {
    0: [[(0.5, 0), (0.1, 0.25), (0.05, 0.6), (0.3, 1), (0.7, 0.95), (0.95, 0.6), (0.85, 0.2), (0.5, 0)]],
    2: [[(0.1, 0.25), (0.35, 0.0), (0.75, 0.05), (0.88, 0.3), (0.6, 0.62), (0.08, 0.98)]],
    3: [
        [(0.12, 0.12), (0.5, 0), (0.85, 0.2), (0.72, 0.42), (0.4, 0.47)],
        [(0.4, 0.47), (0.85, 0.58), (0.9, 0.85), (0.5, 1), (0.1, 0.88)],
    ],
    5: [[(0.2, 0.45), (0.6, 0.38), (0.92, 0.65), (0.7, 0.97), (0.12, 0.93)]],
    6: [[(0.7, 0), (0.3, 0.25), (0.08, 0.65), (0.3, 0.98), (0.75, 0.95), (0.85, 0.65), (0.55, 0.5), (0.12, 0.68)]],
    8: [[(0.5, 0.48), (0.15, 0.25), (0.5, 0), (0.85, 0.22), (0.5, 0.48), (0.1, 0.75), (0.5, 1), (0.9, 0.77),
         (0.5, 0.48)]],
    9: [[(0.85, 0.25), (0.5, 0.0), (0.13, 0.22), (0.35, 0.5), (0.83, 0.28)]],
}  # fmt: skip
LINES = {
    1: [[(0.5, 0), (0.5, 1)]],
    2: [[(0.08, 0.98), (0.95, 0.95)]],
    4: [[(0.35, 0), (0.08, 0.6), (0.95, 0.6)], [(0.7, 0.25), (0.68, 1)]],
    5: [[(0.85, 0.02), (0.25, 0.03), (0.2, 0.45)]],
    7: [[(0.08, 0.03), (0.92, 0.03), (0.4, 1)]],
    9: [[(0.85, 0.22), (0.75, 1)]],
}
SIDE = 240  # pixels of a page


def curve(points):
    """Many points of a curve through a few (Catmull and Rom)."""
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, 12)[:, None]
    return np.concatenate([
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ])  # fmt: skip


def written(digit, rng, side=SIDE, height=None, pen=None):
    """Ink, 0 to 1, of a digit written by hand, somewhere near the middle of a page of side x side."""
    image = Image.new("L", (2 * side, 2 * side))
    draw = ImageDraw.Draw(image)
    height = 2 * side * (height or rng.uniform(0.45, 0.65))
    pen = height * (pen or rng.uniform(0.05, 0.12))
    stretch = height * np.array([rng.uniform(0.5, 0.75), 1])
    lean, middle = rng.normal(0, 0.12), side * (1 + rng.uniform(-0.15, 0.15, 2))
    for strokes, through in ((CURVES, curve), (LINES, np.array)):
        for points in strokes.get(digit, []):
            shaky = np.array(points) + rng.normal(0, 0.02, (len(points), 2))
            if points[0] == points[-1]:
                shaky[-1] = shaky[0]
            at = (through(shaky) - 0.5) * stretch
            at[:, 0] -= lean * at[:, 1]
            at = [tuple(xy) for xy in at + middle]
            draw.line(at, fill=255, width=round(pen), joint="curve")
            for x, y in (at[0], at[-1]):
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX), float) / 255


def printed(digit, rng, side=SIDE):
    """Ink, 0 to 1, of a digit in a font, a little turned; the 1 is a bar, as almost all of MNIST's are."""
    image = Image.new("L", (side, side))
    font = ImageFont.load_default(side * rng.uniform(0.5, 0.75))
    ImageDraw.Draw(image).text((side / 2, side / 2), "0l23456789"[digit], 255, font, anchor="mm")
    return np.asarray(image.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC), float) / 255


def inks(n, seed=0, side=SIDE):
    """n digits, 0 to 9 in turns, two thirds by hand, and their inks."""
    rng = np.random.default_rng(seed)
    digits = np.arange(n) % 10
    return digits, [(printed if i % 3 == 2 else written)(int(d), rng, side) for i, d in enumerate(digits)]


# ---- pages: what a camera, a scanner or a program makes of ink ----------------------------------------


def on(page, pen=20.0):
    """Greys of ink on a page of one grey, or of many."""
    return lambda ink, rng: page + (pen - page) * ink


def lit(light):
    """White paper in a light (h, w), from 0 to 1, that is a function of places from -1 to 1, and of rng."""

    def greys(ink, rng):
        down, across = np.meshgrid(*[np.linspace(-1, 1, side) for side in ink.shape], indexing="ij")
        return on(250.0)(ink, rng) * light(down, across, rng)

    return greys


def vignette(down, across, rng):
    return 1 - 0.15 * (down**2 + across**2)


def gradient(down, across, rng):
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * down + np.sin(angle) * across
    return 0.75 + 0.25 * along / np.abs(along).max()


def shadow(down, across, rng):
    angle = rng.uniform(0, 2 * np.pi)
    return np.where(np.cos(angle) * down + np.sin(angle) * across > rng.uniform(-0.4, 0.4), 0.5, 1.0)


def framed(ink, rng):
    greys = on(255.0)(ink, rng)
    greys[[0, -1]] = greys[:, [0, -1]] = 0
    return greys


def sheet_on_a_table(ink, rng):
    """A sheet, turned a little, on a dark table that is to be seen on all sides."""
    sheet = Image.fromarray(on(245.0)(ink, rng).astype(np.uint8))
    table = Image.new("L", (SIDE + 80, SIDE + 80), int(rng.uniform(20, 80)))
    turned = sheet.convert("LA").rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC, expand=True)
    table.paste(turned.getchannel(0), (rng.integers(10, 60), rng.integers(10, 60)), turned.getchannel(1))
    return np.asarray(table, float)


def line_at_a_side(ink, rng):
    greys, at, side = on(255.0)(ink, rng), rng.integers(0, 8), rng.integers(4)
    np.rot90(greys, side)[:, at : at + rng.integers(2, 6)] = 30
    return greys


def ruled(grey, squared):
    def greys(ink, rng):
        page, step = np.full(ink.shape, 255.0), rng.integers(20, 34)
        page[rng.integers(step) :: step] = grey
        if squared:
            page[:, rng.integers(step) :: step] = grey
        return page + (25 - page) * ink

    return greys


def noisy(ink, rng):
    return on(255.0)(ink, rng) + rng.normal(0, 12, ink.shape)


def grey_texture(ink, rng):
    return on(rng.uniform(100, 126, ink.shape), 5)(ink, rng)


def small_off_centre(ink, rng):
    """28x28, light on dark, as large as MNIST's, but up to 4 pixels off the centre."""
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis)) for axis in (1, 0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = np.maximum(1, np.rint(np.array(crop.shape) * 20 / max(crop.shape)).astype(int))
    small = np.asarray(Image.fromarray((crop * 255).astype(np.uint8)).resize(size[::-1], Image.Resampling.BOX), float)
    picture = np.zeros((28, 28))
    top, left = np.clip((28 - size) // 2 + rng.choice([-4, 4], 2), 0, 28 - size)
    picture[top : top + size[0], left : left + size[1]] = small
    return picture


def saved(image, **options):
    """A file's bytes."""
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def as_png(page):
    return lambda ink, rng: saved(
        Image.fromarray(np.clip(np.rint(page(ink, rng)), 0, 255).astype(np.uint8)), format="PNG"
    )


def white_on_transparent(ink, rng):
    alpha = Image.fromarray((ink * 255).astype(np.uint8))
    return saved(Image.merge("LA", [Image.new("L", alpha.size, 255), alpha]), format="PNG")


def twelve_bits(ink, rng):
    return saved(Image.fromarray((4095 * (1 - 0.9 * ink)).astype(np.uint16)), format="PNG")


def int32_tiff(ink, rng):
    return saved(Image.fromarray((100_000 * (1 - ink)).astype(np.int32)), format="TIFF")


def gif_with_a_blank_frame(ink, rng):
    drawn = Image.fromarray((255 * (1 - ink)).astype(np.uint8))
    return saved(Image.new("L", drawn.size, 255), format="GIF", save_all=True, append_images=[drawn])


def photograph(ink, rng):
    """A JPEG of a lit, noisy, blue-ish sheet with a ball pen."""
    greys = lit(gradient)(ink * 0.75, rng) + rng.normal(0, 5, ink.shape)
    rgb = np.clip(greys[..., None] * [0.92, 0.96, 1.0], 0, 255).astype(np.uint8)
    return saved(Image.fromarray(rgb), format="JPEG", quality=70)


KINDS = {
    "clean scan": as_png(on(255.0)),
    "28x28, off-centre by 4": as_png(small_off_centre),
    "grey page, 230": as_png(on(230.0)),
    "page 170, pen 60": as_png(on(170.0, 60)),
    "light on dark": as_png(on(0.0, 255)),
    "black frame, one pixel": as_png(framed),
    "white sheet on a dark table": as_png(sheet_on_a_table),
    "dark line at one side": as_png(line_at_a_side),
    "light falling to 70 %, vignette": as_png(lit(vignette)),
    "light falling to 50 %, gradient": as_png(lit(gradient)),
    "hard shadow, 50 %": as_png(lit(shadow)),
    "ruled paper, lines 200": as_png(ruled(200, False)),
    "ruled paper, lines 150": as_png(ruled(150, False)),
    "squared paper, lines 200": as_png(ruled(200, True)),
    "squared paper, lines 150": as_png(ruled(150, True)),
    "noise, sigma 12": as_png(noisy),
    "black pen on greys 100-126": as_png(grey_texture),
    "photograph, JPEG": photograph,
    "white ink on transparent": white_on_transparent,
    "12 bits in a 16-bit PNG": twelve_bits,
    "int32 TIFF": int32_tiff,
    "GIF, blank first frame": gif_with_a_blank_frame,
}


def pictures(kind, n, seed=0):
    """n pictures of a kind, as files, and the digits in them."""
    digits, drawn = inks(n, seed)
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    return [KINDS[kind](ink, rng) for ink in drawn], digits


def flagged_ones(n):
    """Printed 1s with a flag, which hardly any of MNIST's has."""
    font, files = ImageFont.load_default(150), []
    for turn in np.random.default_rng(0).uniform(-8, 8, n):
        image = Image.new("L", (SIDE, SIDE), 255)
        ImageDraw.Draw(image).text((SIDE / 2, SIDE / 2), "1", 0, font, anchor="mm")
        files.append(saved(image.rotate(turn, Image.Resampling.BICUBIC, fillcolor=255), format="PNG"))
    return files, np.ones(n, int)


def main(path, n=100):
    """A table of kinds: how many are read right, and how sure the network is where it is wrong."""
    import pymnistcnn as pm

    predictor = pm.load(path).predictor()
    print("| picture | read right | mean probability of what is wrong |\n|---|---:|---:|")
    for kind in [*KINDS, "a printed 1 with a flag"]:
        files, digits = pictures(kind, n) if kind in KINDS else flagged_ones(n)
        p = predictor.probabilities(np.stack([pm.pictures.read_digit(file) for file in files]))
        wrong = p.argmax(axis=1) != digits
        sure = f"{p.max(axis=1)[wrong].mean():.2f}" if wrong.any() else ""
        print(f"| {kind} | {1 - wrong.mean():.0%} | {sure} |", flush=True)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
