// Which ink belongs to which digit: what pymnistcnn/pictures/parts.py does, where the reasons are.

const FRAME = 0.03;
const PLAIN = 0.08;
const FLAT = 3;
const CUT = 0.2;
const ACROSS = 0.95;
const FILLED = 0.5;
const BOLD = 0.12;
const FAINT = 0.12;
const SPECK = 0.4;
const NEAR = 0.15;

class Part {
  constructor(label) {
    Object.assign(this, { top: Infinity, bottom: 0, left: Infinity, right: 0, ink: 0, labels: [label] });
  }

  get side() {
    return Math.max(this.bottom - this.top, this.right - this.left);
  }

  touches({ height, width }) {
    return this.top === 0 || this.left === 0 || this.bottom === height || this.right === width;
  }

  gap(other) {
    return [
      Math.max(this.top, other.top) - Math.min(this.bottom, other.bottom),
      Math.max(this.left, other.left) - Math.min(this.right, other.right),
    ];
  }

  take(other) {
    [this.top, this.bottom] = [Math.min(this.top, other.top), Math.max(this.bottom, other.bottom)];
    [this.left, this.right] = [Math.min(this.left, other.left), Math.max(this.right, other.right)];
    this.ink += other.ink;
    this.labels.push(...other.labels);
  }
}

function isInside({ top, left, ink }, { height, width }) {
  return Math.min(top, left, height - top - ink.height, width - left - ink.width) > 0;
}

const shareOfInk = (values) => values.filter((value) => value > 0.5).length / values.length;

// Neither a line nor an edge.
function mayBeDigit(digit, picture) {
  const { height, width, values } = digit.ink;
  const [less, more] = [height / picture.height, width / picture.width].sort((a, b) => a - b);
  const across = more > ACROSS && (less < FILLED || shareOfInk(values) < BOLD);
  return width < FLAT * height && (isInside(digit, picture) || (more > CUT && !across));
}

// The digits in a picture's ink: where the box around each begins, and the ink in it.
function digitsIn(frame) {
  const ink = withoutFrame(frame);
  let { labels, parts } = partsOf(ink, strokesIn(ink));
  const inside = parts.filter((part) => !part.touches(ink));
  if (inside.some((part) => part.side >= PLAIN * Math.max(ink.height, ink.width))) parts = inside;
  return putTogether(parts).map(({ top, bottom, left, right, labels: mine }) => {
    const own = new Set(mine);
    const alone = mapped(ink, (value, i) => (own.has(labels[i]) ? value : 0));
    return { top, left, ink: cut(alone, top, left, bottom, right) };
  });
}

// Less thin lines that run along a whole side of the picture.
function withoutFrame(frame) {
  const ink = mapped(frame, (value) => value);
  const { height, width, values } = ink;
  const most = Math.max(1, rounded(FRAME * Math.max(height, width)));
  const sides = [
    { lines: height, length: width, at: (line, i) => line * width + i },
    { lines: height, length: width, at: (line, i) => (height - 1 - line) * width + i },
    { lines: width, length: height, at: (line, i) => i * width + line },
    { lines: width, length: height, at: (line, i) => i * width + width - 1 - line },
  ];
  for (const { lines, length, at } of sides) {
    const full = Array.from({ length: Math.min(most + 1, lines) }, (_, line) => {
      let inked = 0;
      for (let i = 0; i < length; i++) inked += values[at(line, i)] > 0.5;
      return inked / length > 0.8;
    });
    if (!full.includes(true) || full.at(-1)) continue;
    const end = Math.min(full.lastIndexOf(true) + 2, most + 1, lines);
    for (let line = 0; line < end; line++) for (let i = 0; i < length; i++) values[at(line, i)] = 0;
  }
  return ink;
}

function strokesIn(ink) {
  const seen = ink.values.filter((value) => value > FAINT);
  if (seen.length === 0) return new Uint8Array(ink.values.length);
  const least = Math.fround(Math.min(0.8, Math.max(0.3, bestThreshold(seen))));
  const strokes = Uint8Array.from(ink.values, (value) => value > least);
  const around = grown({ ...ink, values: strokes }, Math.max(1, rounded(Math.max(ink.height, ink.width) / 40)));
  return around.map((near, i) => near && ink.values[i] > FAINT);
}

// Between two kinds of values from 0 to 1, where their variances within are least (Otsu, 1979).
function bestThreshold(values) {
  const counts = new Float64Array(64);
  for (const value of values) counts[Math.min(63, Math.floor(value * 64))]++;
  const sums = counts.map((count, i) => (count * (i + 0.5)) / 64);
  const [all, total] = [counts, sums].map((numbers) => numbers.reduce((a, b) => a + b, 0));
  let [below, sum, best, threshold] = [0, 0, -1, 0.5];
  for (let i = 0; i < 64; i++) {
    below += counts[i];
    sum += sums[i];
    const above = all - below;
    if (above === 0 || below === 0) continue;
    const between = below * above * (sum / below - (total - sum) / above) ** 2;
    if (between > best) [best, threshold] = [between, (i + 1) / 64];
  }
  return threshold;
}

// The mask and the pixels around it.
function grown({ height, width, values }, pixels) {
  let mask = values;
  for (let round = 0; round < pixels; round++) {
    const wider = mask.slice();
    for (let i = 0; i < mask.length; i++) {
      if (mask[i] && i >= width) wider[i - width] = 1;
      if (mask[i] && i < mask.length - width) wider[i + width] = 1;
    }
    mask = wider.slice();
    for (let i = 0; i < mask.length; i++) {
      if (wider[i] && i % width > 0) mask[i - 1] = 1;
      if (wider[i] && i % width < width - 1) mask[i + 1] = 1;
    }
  }
  return mask;
}

// A label for every pixel of the mask, 0 elsewhere, and the parts, pixels touching at corners, too.
function partsOf(plane, mask) {
  const { height, width, values } = plane;
  const labels = new Int32Array(mask.length);
  const joined = [0];
  const root = (label) => {
    while (joined[label] !== label) label = joined[label] = joined[joined[label]];
    return label;
  };
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const x = i % width;
    for (const [dy, dx] of [[0, -1], [-1, -1], [-1, 0], [-1, 1]]) {
      const other = i + dy * width + dx;
      if (x + dx < 0 || x + dx >= width || other < 0 || !labels[other]) continue;
      const [a, b] = [root(labels[i]), root(labels[other])];
      labels[i] = a === 0 ? b : Math.min(a, b);
      if (a !== 0) joined[Math.max(a, b)] = labels[i];
    }
    if (!labels[i]) labels[i] = joined.push(joined.length) - 1;
  }
  const parts = new Map();
  for (let i = 0; i < mask.length; i++) {
    const label = (labels[i] = root(labels[i]));
    if (label === 0) continue;
    if (!parts.has(label)) parts.set(label, new Part(label));
    const part = parts.get(label);
    const [y, x] = [Math.floor(i / width), i % width];
    [part.top, part.bottom] = [Math.min(part.top, y), Math.max(part.bottom, y + 1)];
    [part.left, part.right] = [Math.min(part.left, x), Math.max(part.right, x + 1)];
    part.ink += values[i];
  }
  return { labels, parts: [...parts.values()] };
}

// Digits from parts: small ones go to what they are near, or are specks; what lies above each other is one.
function putTogether(parts) {
  const largest = Math.max(...parts.map((part) => part.side));
  const digits = parts.filter((part) => part.side >= SPECK * largest);
  for (const part of parts) {
    if (part.side >= SPECK * largest) continue;
    const far = digits.map((digit) => Math.max(...digit.gap(part)));
    const nearest = digits[far.indexOf(Math.min(...far))];
    if (Math.max(...nearest.gap(part)) <= NEAR * largest && part.ink >= 0.02 * nearest.ink) nearest.take(part);
  }
  digits.sort((a, b) => b.ink - a.ink);
  const done = [];
  for (const digit of digits) {
    const other = done.find((one) => {
      const [down, across] = one.gap(digit);
      const narrower = Math.min(digit.right - digit.left, one.right - one.left);
      return down <= NEAR * largest && -across >= 0.5 * narrower;
    });
    if (other) other.take(digit);
    else done.push(digit);
  }
  return done;
}
