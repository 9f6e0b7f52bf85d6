"""Pictures of digits: MNIST's own come back as they are, others look like MNIST's."""

import struct
import warnings
import zlib

import drawn
import numpy as np
import pytest
from PIL import Image

import pymnistcnn as pm
from pymnistcnn import datasets
from pymnistcnn.pictures import read_digit
from pymnistcnn.recipes import accurate


@pytest.fixture(scope="module")
def digits():
    return datasets.mnist()[1].images[:40]


@pytest.fixture
def saved(tmp_path):
    """A function that writes an array or a Pillow image to a PNG file and returns its path."""

    def save(picture, name="digit.png", **options):
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def on_a_page(digit, times=10, paper=255, margins=((60, 90), (130, 40))):
    """Dark on light, enlarged, off the centre of a larger page."""
    large = digit.repeat(times, 0).repeat(times, 1) / 255
    return np.pad(np.rint(paper * (1 - large)).astype(np.uint8), margins, constant_values=paper)


def difference(a, b):
    return abs(a.astype(float) - b).mean()


def centre_of_mass(digit):
    return [np.average(np.arange(28), weights=digit.sum(1 - axis)) for axis in (0, 1)]


def chunk(kind, data):
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def extent(digit):
    """The larger side of the box around the ink."""
    return max(np.ptp(np.flatnonzero(digit.any(axis))) + 1 for axis in (0, 1))


def tall_line():
    page = np.full((300, 200), 255, np.uint8)
    page[50:250, 20:40] = 0
    return page


def test_exact_size_is_unchanged(digits, saved):
    for digit in digits:
        read = read_digit(saved(digit))
        assert read.dtype == np.uint8
        assert np.array_equal(read, digit)
    read[0, 0] = 1  # the caller's own, and writable


def test_exact_size_inverted(digits, saved):
    for digit in digits[:10]:
        assert np.array_equal(read_digit(saved(255 - digit)), digit)


def test_path_as_string(digits, saved):
    assert np.array_equal(read_digit(str(saved(digits[0]))), digits[0])


@pytest.mark.parametrize("dark_ink", [True, False])
def test_enlarged_digit_comes_back(digits, saved, dark_ink):
    differences = []
    for digit in digits:
        page = on_a_page(digit)
        read = read_digit(saved(page if dark_ink else 255 - page))
        assert read.shape == (28, 28) and read.dtype == np.uint8
        differences.append(difference(read, digit))
        assert extent(read) == 20
        # Like MNIST's: within pixel 14 of 0 to 27.
        assert centre_of_mass(read) == pytest.approx([14, 14], abs=0.501)
    # A digit whose centre is on the edge of a pixel may move by one, hence the wider limit for a single one.
    assert np.mean(differences) < 4 and max(differences) < 20


def test_grey_and_noisy_page(digits, saved):
    for digit in digits[:10]:
        page = on_a_page(digit, paper=225).astype(int)
        noise = np.random.default_rng(0).integers(-8, 9, page.shape)
        read = read_digit(saved(np.clip(page + noise, 0, 255).astype(np.uint8)))
        assert difference(read, digit) < 8
        assert extent(read) == 20  # no trace of the page


def test_pencil_is_stretched_to_full_contrast(digits, saved):
    pale = (on_a_page(digits[0]).astype(int) // 2 + 120).astype(np.uint8)
    assert difference(read_digit(saved(pale)), digits[0]) < 4


def test_a_thin_line_is_not_lost(saved):
    page = np.full((6000, 6000), 255, np.uint8)
    page[np.arange(500, 5500), np.arange(500, 5500)] = 0
    read = read_digit(saved(page))
    assert read.max() == 255 and extent(read) == 20


def test_aspect_is_kept(saved):
    read = read_digit(saved(tall_line()))
    assert [np.count_nonzero(read.any(axis)) for axis in (1, 0)] == [20, 2]
    assert read.max() == 255


def test_other_sizes(saved):
    read = read_digit(saved(tall_line()), height=56, width=42)
    assert read.shape == (56, 42)
    assert [np.count_nonzero(read.any(axis)) for axis in (1, 0)] == [40, 4]
    assert read_digit(saved(tall_line()), 1, 1).shape == (1, 1)
    assert read_digit(saved(tall_line()[:, :28]), 28, 28).shape == (28, 28)  # larger in one direction only


def test_lopsided_digit_stays_whole(saved):
    page = np.zeros((200, 200), np.uint8)
    page[20:180, 20:60] = page[20:22, 20:180] = 255  # its mass is far to the left of its box
    read = read_digit(saved(page))
    assert read[:, -1].any() and np.count_nonzero(read.any(0)) == 20


def test_colours(digits, saved):
    page = on_a_page(digits[0])
    expected = read_digit(saved(page))
    grey = Image.fromarray(page)
    for mode in ("RGB", "RGBA", "LA", "P"):
        assert np.array_equal(read_digit(saved(grey.convert(mode))), expected), mode
    red = np.stack([page, np.zeros_like(page), np.zeros_like(page)], -1)
    assert read_digit(saved(red)).shape == (28, 28)
    assert np.array_equal(read_digit(saved(grey.convert("CMYK"), "digit.tif")), expected)


def test_transparent_parts_are_white(digits, saved):
    page = on_a_page(digits[0])
    drawn = np.zeros((*page.shape, 4), np.uint8)
    drawn[..., 3] = 255 - page  # black ink on a page that is transparent, and black underneath
    assert np.array_equal(read_digit(saved(drawn)), read_digit(saved(page)))
    ink = np.where(page < 128, 0, 7).astype(np.uint8)
    expected = read_digit(saved(np.where(page < 128, 0, 255).astype(np.uint8)))
    assert np.array_equal(read_digit(saved(ink, transparency=7)), expected)
    path = saved(ink.astype(np.uint16))  # older Pillows cannot write this kind of transparency, only read it
    before, data = path.read_bytes().split(b"IDAT", 1)
    path.write_bytes(before[:-4] + chunk(b"tRNS", b"\0\7") + before[-4:] + b"IDAT" + data)
    assert np.array_equal(read_digit(path), expected)


def test_palette(digits, saved):
    image = Image.fromarray((digits[0] > 127).astype(np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    binary = np.where(digits[0] > 127, 255, 0)
    assert np.array_equal(read_digit(saved(image)), binary)
    image.putpalette([9, 9, 9, 0, 0, 0])
    assert np.array_equal(read_digit(saved(image, transparency=0)), binary)
    image.putpalette([9, 9, 9, 0, 0, 0])
    assert np.array_equal(read_digit(saved(image, transparency=b"\x00\xff")), binary)


def test_one_bit(digits, saved):
    image = Image.fromarray(digits[0] > 127)
    assert image.mode == "1"
    assert np.array_equal(read_digit(saved(image)), np.where(digits[0] > 127, 255, 0))


def test_16_bit(digits, saved):
    wide = digits[0].astype(np.uint16) * 257
    assert np.array_equal(read_digit(saved(wide)), digits[0])
    assert np.array_equal(read_digit(saved(65535 - wide)), digits[0])
    assert np.array_equal(read_digit(saved(wide, "digit.tif")), digits[0])
    page = on_a_page(digits[0])
    assert np.array_equal(read_digit(saved(page.astype(np.uint16) * 257)), read_digit(saved(page)))


def test_numbers_of_unknown_range(digits, saved):
    page = on_a_page(digits[0])
    expected = read_digit(page)
    for picture in (page * np.int32(70_000), page / np.float32(255) - 3):
        assert difference(read_digit(saved(picture, "digit.tif")), expected) < 1
    with pytest.raises(ValueError, match=r"digit\.tif: .*greys must be finite"):
        read_digit(saved(np.full((28, 28), np.nan, np.float32), "digit.tif"))


def test_sideways_photograph(digits, saved):
    page = on_a_page(digits[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to look at it
    assert np.array_equal(read_digit(saved(np.rot90(page).copy(), exif=exif)), read_digit(saved(page)))


@pytest.mark.parametrize("size", [(28, 28), (100, 90)])
@pytest.mark.parametrize("grey", [0, 100, 200, 255])
def test_blank(saved, size, grey):
    with pytest.raises(ValueError, match=r"digit\.png: no ink found"):
        read_digit(saved(np.full(size, grey, np.uint8)))


def test_blank_but_for_noise(saved):
    rng = np.random.default_rng(0)
    for noise in (rng.integers(230, 250, (100, 100)), 200 + rng.normal(0, 12, (300, 300))):
        with pytest.raises(ValueError, match="no ink found"):
            read_digit(saved(noise.astype(np.uint8)))


EDGES = ("hard shadow, 50 %", "photograph, JPEG")  # of light, which may look like strokes


@pytest.mark.parametrize("kind", [kind for kind in drawn.KINDS if kind != "28x28, off-centre by 4"])
def test_blank_pages_of_every_kind(kind):
    rng, told = np.random.default_rng(1), 0
    for _ in range(20):
        try:
            read_digit(drawn.KINDS[kind](np.zeros((drawn.SIDE, drawn.SIDE)), rng))
        except ValueError as error:
            assert "no ink found" in str(error)
            told += 1
    assert told >= (14 if kind in EDGES else 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 3), (8, 8), (14, 14), (27, 100)])
def test_small_pictures(digits, size):
    image = Image.fromarray(digits[0]).resize(size[::-1], Image.Resampling.BOX)
    if min(size) < 8:
        with pytest.raises(ValueError, match="no ink found"):
            read_digit(np.zeros(size, np.uint8))
    else:
        assert read_digit(image).max() == 255


@pytest.mark.parametrize("size", [0, -1, 2.5, None])
def test_bad_size(saved, size):
    path = saved(np.zeros((28, 28), np.uint8))
    with pytest.raises(ValueError, match="height must be a whole number from 1 on, not"):
        read_digit(path, height=size)
    with pytest.raises(ValueError, match="width must be a whole number from 1 on, not"):
        read_digit(path, width=size)


def refuses(path):
    with pytest.raises(ValueError) as caught:
        read_digit(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


def test_not_a_picture(tmp_path):
    path = tmp_path / "garbage.png"
    for content in (b"", b"hello", bytes(range(256)) * 10, b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(content)
        refuses(path)
    refuses(tmp_path)  # a folder


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.png"):
        read_digit(tmp_path / "none.png")


def test_damaged_picture(digits, saved):
    path = saved(on_a_page(digits[0]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refuses(path)
    for position in range(8, len(whole), 41):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is broken so, some looks like many digits
                assert read_digit(path).shape == (28, 28)
        except ValueError as error:
            assert path.name in str(error)


@pytest.mark.parametrize("side", [10_000, 50_000])
def test_decompression_bomb(tmp_path, side):
    path = tmp_path / "bomb.png"
    header = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    assert "bomb" in refuses(path).removeprefix(str(path))


# ---- pictures as people make them: see drawn.py ----


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Reads digits, as `accurate` does after two epochs."""
    recipe = accurate(seed=0)
    train, test = datasets.mnist()
    recipe.model.fit(train, epochs=2, batch_size=recipe.batch_size, optimizer=recipe.optimizer,
                     schedule=recipe.schedule, loss=recipe.loss, progress=False)  # fmt: skip
    assert recipe.model.score(test.images, test.labels) > 0.99
    return recipe.model.predictor()


@pytest.mark.parametrize("kind", drawn.KINDS)
def test_pictures_of_every_kind(reader, kind):
    """50 of each of 22 kinds: 1,100 in all."""
    files, digits = drawn.pictures(kind, 50)
    seen = np.stack([read_digit(file) for file in files])
    right = reader.classes(seen) == digits
    assert right.mean() >= (0.96 if "paper" in kind or "table" in kind else 0.98), np.flatnonzero(~right)


def cut_out(digit):
    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("dark_ink", [True, False])
def test_closely_cut_digits(reader, dark_ink):
    test = datasets.mnist()[1][:100]
    crops = [cut_out(digit) for digit in test.images]
    large = [
        Image.fromarray(crop).resize([10 * s for s in crop.shape[::-1]], Image.Resampling.BICUBIC) for crop in crops
    ]
    right = [is_read(reader, 255 - np.asarray(image) if dark_ink else image, label)
             for image, label in zip(large, test.labels, strict=True)]  # fmt: skip
    assert np.mean(right) >= 0.96


def is_read(reader, picture, label):
    """A picture whose ink is not found is not read right, either."""
    try:
        return reader.classes(read_digit(picture)[None])[0] == label
    except ValueError as error:
        assert "no ink found" in str(error)
        return False


def test_a_small_digit_on_a_large_page(reader):
    digits, inks = drawn.inks(20, side=150)
    pages = []
    for ink in inks:
        page = np.full((1600, 1200), 240.0)
        page[900:1050, 300:450] -= 220 * ink
        pages.append(page)
    seen = np.stack([read_digit(page) for page in pages])
    assert (reader.classes(seen) == digits).mean() >= 0.95


def test_all_digits_of_a_picture(reader):
    digits, inks = drawn.inks(6)
    page = 255 * (1 - np.block([[inks[0], inks[1], inks[2]], [inks[3], inks[4], inks[5]]]))
    seen = pm.pictures.read_digits(page)
    assert reader.classes(seen).tolist() == digits.tolist()
    with pytest.warns(UserWarning, match="6 digits were found, and the largest is read"):
        assert read_digit(page).tobytes() in [one.tobytes() for one in seen]


def test_what_a_picture_may_be(saved, tmp_path):
    page = np.rint(255 * (1 - drawn.inks(1)[1][0])).astype(np.uint8)
    path = saved(page)
    expected = read_digit(path)
    with open(path, "rb") as file:
        assert np.array_equal(read_digit(file), expected)
    rgb = np.repeat(page[..., None], 3, axis=2)
    opaque = np.concatenate([rgb, np.full_like(page, 255)[..., None]], axis=2)
    for picture in (
        path.read_bytes(),
        Image.open(path),
        page,
        page[..., None],
        page.astype(int),
        page / 255,
        rgb,
        opaque,
    ):
        assert difference(read_digit(picture), expected) < 0.1
    for bad in (np.zeros((3, 4, 5)), np.zeros(28), np.zeros((0, 5)), np.full((9, 9), "x"), np.full((9, 9), np.nan)):
        with pytest.raises(ValueError, match="the picture: expected a picture that can be read: "):
            read_digit(bad)


def test_a_digit_off_the_centre_is_centred_but_as_is(digits):
    moved = np.roll(digits[0], (3, -4), (0, 1))
    assert centre_of_mass(read_digit(moved)) == pytest.approx([14, 14], abs=0.501)
    assert np.array_equal(read_digit(moved, as_is=True), moved)
    assert np.array_equal(read_digit(255 - moved, as_is=True), moved)
