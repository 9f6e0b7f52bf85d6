// A digit from greys, as MNIST has it: what pymnistcnn/pictures/digits.py does, where the reasons are.

const LARGEST = 960;
const WORKING = 320;
const DETAIL = 80;
const INKED = 0.02;
const UNEVEN = 25;
const CLEAR = 0.4;
const CLOSE = 0.85;
const THIN = 0.03;
const SHARP = 0.5;
const BOX = 20 / 28;
const STROKE = 1.7 / 28;

// {seen: the picture (height, width), several: are there other digits?}; an error if there is no ink.
function readDigit(greys, height, width) {
  if (greys.height === height && greys.width === width) {
    const kept = lightOnDark(greys);
    if (height !== 28 || width !== 28 || isLikeMnist(kept)) return { seen: imageOf(kept), several: false };
  }
  const found = inksIn(greys);
  const weights = found.map(({ values }) => values.reduce((a, b) => a + b, 0));
  const largest = found[weights.indexOf(Math.max(...weights))];
  return { seen: imageOf(likeMnist(largest, height, width)), several: found.length > 1 };
}

const imageOf = ({ height, width, values }) => ({ shape: [height, width], values: Uint8Array.from(values) });
const longerOf = ({ height, width }) => Math.max(height, width);

function inksIn(picture) {
  const greys = onTheSheet(resized(picture, Math.min(1, LARGEST / longerOf(picture))));
  let found = foundIn(greys);
  if (found.length === 1 && longerOf(found[0].ink) < DETAIL && longerOf(greys) > WORKING) {
    const nearby = foundIn(around(greys, found[0]));
    if (nearby.length) found = nearby;
  }
  if (found.length === 0) throw Error("no ink found");
  return found.map(({ ink }) => ink);
}

function foundIn(picture) {
  const greys = resized(picture, WORKING / longerOf(picture));
  const ink = inkOf(greys);
  const found = ink ? digitsIn(ink) : [];
  const clear = found.some((digit) => isInside(digit, greys) && longerOf(digit.ink) > CLEAR * WORKING);
  const border = ink ? borderOf(ink) : [];
  const inked = ink ? shareOfInk(border) > INKED : deviation(greys) > UNEVEN;
  const likely = found.filter((digit) => mayBeDigit(digit, greys));
  if (!inked || clear) return likely;
  const margin = Math.floor(WORKING / 5);
  const onPage = inkOf(padded(greys, margin, pageAtCorners(greys)));
  const wider = onPage ? digitsIn(onPage) : [];
  if (wider.length !== 1 || !wasCutClosely(wider[0], onPage)) return likely;
  return [{ top: wider[0].top - margin, left: wider[0].left - margin, ink: wider[0].ink }];
}

function wasCutClosely(digit, picture) {
  const { height, width, values } = digit.ink;
  const large = Math.max(height, width) > CLOSE * WORKING && Math.min(height, width) > THIN * WORKING;
  const clear = shareOfInk(values.filter((value) => value > FAINT)) > SHARP;
  return isInside(digit, picture) && large && clear && shareOfInk(values) > BOLD;
}

function deviation({ values }) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

function pageAtCorners(greys) {
  const { height, width, values } = greys;
  const corners = [0, width - 1, (height - 1) * width, height * width - 1].map((i) => values[i]).sort((a, b) => a - b);
  const [low, , , high] = corners;
  const border = median(borderOf(greys));
  const alike = [[low, high], [high, low]].map(([end, other]) => {
    const some = corners.filter((corner) => Math.abs(corner - end) <= Math.abs(corner - other));
    return { count: some.length, middle: median(some), off: Math.abs(median(some) - border) };
  });
  const [first, second] = alike;
  const secondWins = second.count > first.count || (second.count === first.count && second.off < first.off);
  return (secondWins ? second : first).middle;
}

function around(greys, { top, left, ink }) {
  const scale = longerOf(greys) / WORKING;
  const far = longerOf(ink);
  const [firstY, firstX] = [top, left].map((at) => Math.max(0, rounded((at - far) * scale)));
  const lastY = Math.min(greys.height, rounded((top + ink.height + far) * scale));
  const lastX = Math.min(greys.width, rounded((left + ink.width + far) * scale));
  return cut(greys, firstY, firstX, lastY, lastX);
}

function lightOnDark(greys) {
  const dark = median(borderOf(greys)) <= 127;
  return mapped(greys, (grey) => rounded(dark ? grey : 255 - grey));
}

// Sums of rows, and of columns.
function profiles({ height, width, values }) {
  const [rows, columns] = [new Float64Array(height), new Float64Array(width)];
  values.forEach((value, i) => {
    rows[Math.floor(i / width)] += value;
    columns[i % width] += value;
  });
  return [rows, columns];
}

function centreOf(profile) {
  const sum = profile.reduce((a, b) => a + b, 0);
  return profile.reduce((whole, value, i) => whole + value * i, 0) / sum;
}

function isLikeMnist(digit) {
  if (extremes(digit.values)[1] < 128) return false;
  const axes = profiles(digit);
  const extents = axes.map((p) => p.findLastIndex((value) => value > 0) - p.findIndex((value) => value > 0) + 1);
  const [extent, most] = [Math.max(...extents), BOX * longerOf(digit)];
  const off = Math.max(...axes.map((profile) => Math.abs(centreOf(profile) - profile.length / 2)));
  return 0.6 * most <= extent && extent <= most + 1 && off <= 1.2;
}

function likeMnist(found, height, width) {
  const longer = Math.max(height, width);
  const ink = withStrokes(found, (longerOf(found) / (BOX * longer)) * STROKE * longer);
  const [tall, wide] = [height * BOX, width * BOX];
  const fitted = resized(ink, Math.min(tall / ink.height, wide / ink.width));
  const bounds = [Math.min(fitted.height, rounded(tall)), Math.min(fitted.width, rounded(wide))];
  const small = mapped(cut(fitted, 0, 0, ...bounds), (value) => Math.max(0, value));
  const bright = Math.fround(255 / extremes(small.values)[1]);
  const pixels = mapped(small, (value) => rounded(Math.fround(value * bright)));
  const [top, left] = profiles(pixels).map((profile, axis) => {
    const size = [height, width][axis];
    const offset = rounded(Math.floor(size / 2) - centreOf(profile));
    return Math.min(size - profile.length, Math.max(0, offset));
  });
  const digit = planeOf(height, width);
  pixels.values.forEach((value, i) => {
    digit.values[(top + Math.floor(i / pixels.width)) * width + left + (i % pixels.width)] = value;
  });
  return digit;
}

// The ink, its strokes made at least so many pixels wide.
function withStrokes(ink, least) {
  const { width, values } = ink;
  const mask = values.map((value) => (value > 0.5 ? 1 : 0));
  let [area, inner] = [0, 0];
  mask.forEach((inked, i) => {
    area += inked;
    const x = i % width;
    if (inked && x > 0 && x < width - 1 && i >= width && i < mask.length - width) {
      inner += mask[i - 1] & mask[i + 1] & mask[i - width] & mask[i + width];
    }
  });
  const wider = rounded((least - (2 * area) / Math.max(1, area - inner)) / 2);
  if (wider < 1) return ink;
  let plane = mapped(padded(ink, wider, 0), (value) => rounded(Math.fround(value * 255)));
  for (let round = 0; round < wider; round++) plane = turned(widest(turned(widest(plane))));
  return mapped(plane, (value) => value / 255);
}

// Of each pixel and its neighbours in the row, the largest.
function widest(plane) {
  const { width, values } = plane;
  return mapped(plane, (value, i) => {
    const x = i % width;
    return Math.max(value, x > 0 ? values[i - 1] : 0, x < width - 1 ? values[i + 1] : 0);
  });
}
