"""Shapes that the tests share: plain data.

Ordinary ones, odd ones (no multiple of any vector width or block of pixels) and hostile ones (size 1, strides
over kernels, windows that see only padding).
"""

from dataclasses import dataclass, replace

from operations import ACTIVATIONS


@dataclass(frozen=True)
class Conv:
    """A convolution of n pictures (c, h, w) to k channels; padding is (top, bottom, left, right)."""

    name: str
    n: int
    c: int
    h: int
    w: int
    k: int
    kernel: tuple = (3, 3)
    stride: tuple = (1, 1)
    padding: tuple = (0, 0, 0, 0)
    dilation: tuple = (1, 1)
    groups: int = 1

    @property
    def geometry(self):
        """What the functions of the reference take after x, w and b."""
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def output(self):
        """(oh, ow)"""
        top, bottom, left, right = self.padding
        padded = self.h + top + bottom, self.w + left + right
        axes = zip(padded, self.kernel, self.stride, self.dilation, strict=True)
        return tuple((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in axes)

    def rounds(self, pool):
        """Is it 5x5 and pooled by Winograd's method, in whose fractions not even whole numbers are exact?"""
        ones = self.stride == self.dilation == (1, 1) and self.groups == 1
        return ones and self.kernel == (5, 5) and pool == (2, 2) and self.c >= 16

    def __str__(self):
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class Pool:
    """Pooling of its own, of n pictures (c, h, w)."""

    n: int
    c: int
    h: int
    w: int
    kernel: tuple
    stride: tuple
    padding: tuple = (0, 0)
    dilation: tuple = (1, 1)
    ceil_mode: bool = False
    count_include_pad: bool = True


OFTEN = (None, *(name for name, operation in ACTIVATIONS.items() if operation.everywhere))
SELDOM = tuple(name for name, operation in ACTIVATIONS.items() if not operation.everywhere)
POOLS = ((1, 1), (2, 2), (3, 2))
CHANNELS = (1, 3, 8, 10, 20, 50, 129)
BATCHES = (1, 2, 7, 33)

CONVS = (
    Conv("size 1", 1, 1, 1, 1, 1, (1, 1)),
    Conv("one pixel in a padded kernel", 2, 3, 1, 1, 5, (5, 5), padding=(2, 2, 2, 2)),
    Conv("one channel 5x5", 7, 1, 28, 28, 8, (5, 5)),
    Conv("one channel 3x3", 33, 1, 14, 14, 16, padding=(1, 1, 1, 1)),
    Conv("one channel 7x7", 2, 1, 13, 11, 20, (7, 7), padding=(3, 3, 3, 3)),
    Conv("lenet", 2, 20, 12, 12, 50, (5, 5)),
    Conv("plain", 33, 8, 7, 7, 16, padding=(1, 1, 1, 1)),
    Conv("1x1", 7, 10, 6, 6, 20, (1, 1)),
    Conv("7x7", 2, 3, 13, 11, 10, (7, 7), padding=(3, 3, 3, 3)),
    Conv("1x5", 2, 8, 6, 9, 10, (1, 5), padding=(0, 0, 2, 2)),
    Conv("5x2", 1, 3, 9, 7, 20, (5, 2)),
    Conv("wide row", 1, 3, 6, 61, 17, padding=(1, 1, 1, 1)),
    Conv("wide row of one channel", 2, 1, 6, 61, 20),
    Conv("wide row of one channel to 10", 2, 1, 9, 70, 10, padding=(2, 1, 3, 0), dilation=(2, 3)),
    Conv("49 taps of one channel", 2, 1, 11, 64, 16, (7, 7)),
    Conv("72 taps of one channel", 2, 1, 11, 10, 8, (9, 8)),
    Conv("wide row of many channels", 1, 10, 6, 61, 50),
    Conv("filter rows of 387", 2, 129, 6, 6, 10, padding=(1, 1, 1, 1)),
    Conv("filters larger than L1", 7, 129, 7, 6, 50, stride=(2, 1), padding=(1, 0, 2, 1)),
    Conv("dilated filters larger than L1", 2, 40, 9, 8, 97, padding=(2, 0, 1, 1), dilation=(1, 2)),
    Conv("stride 2", 2, 8, 9, 9, 10, stride=(2, 2), padding=(1, 1, 1, 1)),
    Conv("stride over kernel", 33, 2, 10, 9, 3, (2, 2), stride=(3, 3)),
    Conv("stride over one channel", 7, 1, 7, 13, 3, (1, 1), stride=(2, 3)),
    Conv("four sides", 2, 3, 7, 8, 10, padding=(0, 1, 2, 3)),
    Conv("windows of padding", 2, 3, 4, 4, 8, (2, 2), padding=(3, 0, 0, 4)),
    Conv("dilation", 2, 8, 11, 10, 10, padding=(2, 2, 2, 2), dilation=(2, 2)),
    Conv("dilation of rows", 2, 3, 13, 6, 8, dilation=(3, 1)),
    Conv("dilation of columns", 2, 3, 6, 13, 8, dilation=(1, 3)),
    Conv("dilation of one channel", 2, 1, 12, 12, 10, dilation=(2, 3)),
    Conv("few channels of many", 7, 17, 9, 8, 3, stride=(2, 2), padding=(1, 1, 1, 1)),
    Conv("few behind 16 channels", 2, 12, 7, 9, 20, padding=(0, 1, 2, 3)),
    Conv("2 groups", 7, 20, 6, 6, 10, groups=2),
    Conv("3 groups of 43", 1, 129, 5, 5, 12, padding=(1, 1, 1, 1), groups=3),
    Conv("10 groups", 2, 50, 6, 5, 20, groups=10),
    Conv("depthwise", 2, 20, 7, 7, 20, (5, 5), padding=(2, 2, 2, 2), groups=20),
    Conv("depthwise of 129", 1, 129, 6, 6, 129, groups=129),
    Conv("depthwise to twice as many", 2, 8, 7, 7, 16, groups=8),
    Conv("all at once", 2, 8, 12, 13, 10, (3, 2), (2, 1), (1, 0, 2, 1), (1, 2), 2),
    *(  # whose patches begin at any quarter of a line of memory
        Conv("quarters of a line", 7, 20, 6, 2, 20, padding=(1, 1, 1, 1)),
        Conv("quarters of five lines", 2, 12, 5, 8, 17, (2, 5), stride=(1, 3)),
        Conv("halves of a line", 33, 8, 6, 7, 18, (5, 7), padding=(2, 0, 1, 0)),
        Conv("quarters of eight lines", 3, 28, 5, 8, 17, (3, 4), stride=(2, 1), padding=(1, 1, 0, 0)),
        Conv("quarters of dilated rows", 5, 20, 11, 8, 7, (4, 5), dilation=(2, 1)),
    ),
)
CHANNEL_CONVS = tuple(
    Conv(f"{c} to {k}", BATCHES[(i + j) % 3], c, 5, 6, k, padding=(1, 1, 1, 1))
    for i, c in enumerate(CHANNELS)
    for j, k in enumerate(CHANNELS)
)
# Pooled 2x2 they are computed by Winograd's method, in blocks of 28 windows.
WINOGRAD_CONVS = (
    Conv("one window", 1, 16, 4, 4, 16),
    Conv("one window of 5x5", 1, 129, 6, 6, 50, (5, 5)),
    Conv("rows and columns left over", 7, 17, 9, 7, 19),
    Conv("rows and columns of 5x5 left over", 33, 16, 10, 7, 33, (5, 5), padding=(2, 1, 0, 2)),
    Conv("29 windows", 1, 32, 4, 60, 64),
    Conv("16 channels to 43", 7, 16, 9, 8, 43),
    Conv("17 channels to 75", 2, 17, 8, 10, 75, (5, 5), padding=(1, 1, 0, 1)),
    Conv("5x5 of four sides", 2, 20, 7, 8, 3, (5, 5), padding=(1, 2, 3, 4)),
    Conv("batch 300 of many channels", 300, 16, 7, 7, 32, padding=(1, 1, 1, 1)),
)
DEPTHWISE_CONVS = (
    *(
        Conv(f"depthwise {c}", BATCHES[i % 3], c, 6, 7, c, padding=(1, 1, 1, 1), groups=c)
        for i, c in enumerate((1, 3, 8, 16, 17, 50, 129))
    ),
    Conv("depthwise pixel in a padded kernel", 2, 17, 1, 1, 17, (5, 5), padding=(2, 2, 2, 2), groups=17),
    Conv("depthwise 1x1", 7, 10, 3, 5, 10, (1, 1), groups=10),
    Conv("depthwise 1x5", 2, 16, 6, 9, 16, (1, 5), padding=(0, 0, 2, 2), groups=16),
    Conv("depthwise 5x2", 33, 3, 9, 7, 3, (5, 2), groups=3),
    Conv("depthwise wide row", 1, 17, 4, 61, 17, padding=(1, 1, 1, 1), groups=17),
    Conv("depthwise stride 2", 7, 16, 9, 8, 16, stride=(2, 2), padding=(1, 1, 1, 1), groups=16),
    Conv("depthwise stride over kernel", 2, 50, 10, 9, 50, (2, 2), stride=(3, 4), groups=50),
    Conv("depthwise four sides", 2, 8, 7, 8, 8, padding=(0, 1, 2, 3), groups=8),
    Conv("depthwise windows of padding", 2, 17, 4, 4, 17, (2, 2), padding=(3, 0, 0, 4), groups=17),
    Conv("depthwise dilation", 2, 10, 11, 10, 10, padding=(2, 2, 2, 2), dilation=(2, 2), groups=10),
    Conv("depthwise all at once", 2, 17, 12, 13, 17, (3, 2), (2, 1), (1, 0, 2, 1), (1, 2), 17),
    Conv("depthwise 17 to 34", 2, 17, 6, 5, 34, padding=(1, 1, 1, 1), groups=17),
    Conv("depthwise 16 to 48", 7, 16, 7, 7, 48, stride=(2, 2), padding=(1, 1, 1, 1), groups=16),
    Conv("two channels to one a group", 2, 16, 5, 6, 8, padding=(1, 1, 1, 1), groups=8),
    Conv("batch 300 of depthwise", 300, 8, 5, 5, 8, padding=(1, 1, 1, 1), groups=8),
)
# 300: so many that a shard takes several groups of samples, whose gradients add up
BATCH_CONVS = (
    *(replace(CONVS[6], name=f"batch {n}", n=n) for n in (*BATCHES, 300)),
    replace(CONVS[3], name="batch 300 of one channel", n=300),
)


MIXED_CONVS = tuple(
    conv
    for conv in CONVS + DEPTHWISE_CONVS
    if conv.name in ("one channel 5x5", "plain", "stride 2", "2 groups", "all at once", "depthwise 17")
)


def fits(conv, pool):
    """Is there a whole window of `pool` in what `conv` gives?"""
    return all(size >= window for size, window in zip(conv.output, pool, strict=True))


BLOCKS = tuple(
    (conv, activation, pool)
    for convs, activations, pools in (
        (CONVS, OFTEN, POOLS),
        (CHANNEL_CONVS, (None,), ((1, 1),)),
        (CHANNEL_CONVS + BATCH_CONVS, ("relu",), ((2, 2),)),
        (WINOGRAD_CONVS, (*OFTEN, "leaky_relu"), ((2, 2),)),
        (DEPTHWISE_CONVS, (None, "relu"), POOLS),
        (MIXED_CONVS, SELDOM, POOLS),
        (MIXED_CONVS, (None, "relu", "tanh"), ((3, 3),)),
        (WINOGRAD_CONVS[2:4], SELDOM, ((2, 2),)),
    )
    for conv in convs
    for activation in activations
    for pool in pools
    if fits(conv, pool)
)

# in, out and batch; few weights: sample by sample, many: as tiles of a product
FEATURES = (1, 7, 16, 17, 129, 625, 1152)
LINEARS = tuple(
    (n, features, out)
    for n in (*BATCHES, 100, 300)
    for features in FEATURES
    for out in FEATURES
    if n < 100 or features * out < 200_000
)

# weights as rows of out; more than 1,024 samples or inputs make several lists
SPARSE_LINEARS = (
    (1, 300, 17),
    (2, 257, 64),
    (3, 129, 129),
    (5, 1152, 16),
    (7, 300, 50),
    (13, 784, 128),
    (9, 300, 205),
    (16, 130, 130),
    (33, 67, 129),
    (100, 784, 128),
    (130, 1041, 20),
    (1041, 131, 33),
)

FOUR_SIDES = (  # or more than half of the window
    Pool(2, 3, 6, 7, (3, 3), (1, 1), (2, 2)),
    Pool(7, 10, 6, 5, (2, 3), (2, 1), (0, 1, 1, 2)),
    Pool(2, 17, 5, 6, (3, 2), (2, 2), (2, 0, 0, 1), ceil_mode=True),
    Pool(1, 1, 1, 2, (4, 3), (3, 2), (3, 3, 2, 0)),
)
MAX_POOLS = (
    Pool(1, 1, 1, 1, (1, 1), (1, 1)),
    Pool(2, 3, 8, 8, (2, 2), (2, 2)),
    Pool(7, 10, 9, 8, (3, 3), (2, 2), (1, 1)),
    Pool(2, 17, 7, 9, (3, 2), (1, 1), (1, 1)),
    Pool(2, 8, 9, 9, (2, 2), (3, 4)),
    Pool(33, 1, 5, 61, (1, 3), (1, 2), (0, 1)),
    Pool(1, 129, 4, 4, (4, 4), (4, 4), (2, 2)),
    Pool(2, 3, 20, 20, (17, 17), (3, 1), (8, 8)),
    Pool(33, 50, 5, 5, (2, 2), (2, 2), dilation=(2, 2)),
    Pool(2, 3, 9, 11, (3, 2), (2, 1), (1, 1), (2, 3)),
    Pool(2, 3, 7, 8, (2, 2), (2, 2), ceil_mode=True),
    Pool(7, 10, 6, 6, (3, 3), (2, 2), (1, 1), ceil_mode=True),
    Pool(2, 8, 5, 5, (2, 2), (3, 3), (1, 1), ceil_mode=True),  # a fourth window would start past the picture
    Pool(2, 17, 2, 2, (3, 3), (2, 2), ceil_mode=True),  # a window larger than the picture
    Pool(1, 1, 9, 9, (3, 3), (1, 1), (1, 1), (3, 3), ceil_mode=True),
    Pool(2, 129, 6, 5, (2, 3), (2, 2), (1, 1), (2, 1), ceil_mode=True),
    *FOUR_SIDES,
)

AVG_POOLS = (
    Pool(1, 1, 1, 1, (1, 1), (1, 1)),
    Pool(2, 3, 8, 8, (2, 2), (2, 2)),
    Pool(33, 8, 7, 6, (3, 3), (1, 1)),
    Pool(7, 10, 9, 8, (3, 3), (2, 2), (1, 1)),
    Pool(7, 10, 9, 8, (3, 3), (2, 2), (1, 1), count_include_pad=False),
    Pool(2, 17, 7, 9, (3, 2), (1, 1), (1, 1), count_include_pad=False),
    Pool(2, 8, 9, 9, (2, 2), (3, 4)),
    Pool(33, 1, 5, 61, (1, 3), (1, 2), (0, 1)),
    Pool(1, 129, 4, 4, (4, 4), (4, 4), (2, 2)),
    Pool(1, 129, 4, 4, (4, 4), (4, 4), (2, 2), count_include_pad=False),
    Pool(2, 3, 20, 20, (17, 17), (3, 1), (8, 8)),
    Pool(2, 50, 7, 8, (2, 2), (2, 2), ceil_mode=True),
    Pool(7, 10, 6, 6, (3, 3), (2, 2), (1, 1), ceil_mode=True),
    Pool(7, 10, 6, 6, (3, 3), (2, 2), (1, 1), ceil_mode=True, count_include_pad=False),
    Pool(2, 8, 5, 5, (2, 2), (3, 3), (1, 1), ceil_mode=True),
    Pool(2, 17, 2, 2, (3, 3), (2, 2), ceil_mode=True),
    Pool(2, 17, 6, 2, (4, 3), (3, 2), (2, 1), ceil_mode=True, count_include_pad=False),
    *FOUR_SIDES,
    *(replace(pool, count_include_pad=False) for pool in FOUR_SIDES),
)
GLOBAL_POOLS = (
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (33, 8, 4, 4),
    (7, 10, 1, 9),
    (2, 17, 28, 28),
    (1, 129, 3, 3),
    (2, 50, 7, 7),
)

# what batch normalization sees: (n, features) or (n, c, h, w)
NORMS = (
    *((1, 1), (1, 17), (2, 3), (7, 50), (33, 129), (300, 10)),
    *((1, 1, 1, 1), (1, 8, 1, 1), (2, 3, 5, 7), (7, 10, 4, 4), (33, 17, 3, 1), (1, 129, 6, 6), (2, 50, 9, 8)),
)

CLASSES = (1, 2, 10, 17, 1000)

# element by element: (n, features) or (n, c, h, w)
ELEMENTS = ((1, 1), (2, 7), (33, 129), (2, 3, 5, 7), (7, 10, 1, 1), (2, 20, 4, 4))
