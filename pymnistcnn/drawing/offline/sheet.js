// The sheet of paper that a photograph shows: what pymnistcnn/pictures/sheet.py does, where the reasons are.

const WIDE = 0.4;
const FULL = 0.7;
const SHADOW = 0.4;
const EDGE = 0.01;

function onTheSheet(greys) {
  const [least, most] = extremes(greys.values);
  if (least === most) return greys;
  const shares = greys.values.map((grey) => (grey - least) / (most - least));
  const threshold = least + bestThreshold(shares) * (most - least);
  const light = Uint8Array.from(greys.values, (grey) => grey > threshold);
  const { labels, parts } = partsOf(greys, light);
  const sheet = parts.reduce((a, b) => (b.ink > a.ink ? b : a));
  const { top, left, bottom, right } = sheet;
  const sides = [top === 0, left === 0, bottom === greys.height, right === greys.width].filter(Boolean).length;
  if (sides > 2) return greys;
  const own = mapped(greys, (_, i) => (labels[i] === sheet.labels[0] ? 1 : 0));
  const inside = cut(own, top, left, bottom, right);
  const count = inside.values.reduce((a, b) => a + b, 0);
  const wide = Math.min(inside.height / greys.height, inside.width / greys.width) >= WIDE;
  const [dim, bright] = [0, 1].map((kind) => median(greys.values.filter((_, i) => light[i] === kind)));
  const full = Math.min(count / inside.values.length, count / light.reduce((a, b) => a + b, 0));
  if (dim >= SHADOW * bright || !wide || full < FULL) return greys;
  return withoutTable(cut(greys, top, left, bottom, right), inside, Math.max(greys.height, greys.width));
}

// What lies around the sheet, and its edge, made as light as it.
function withoutTable(greys, inside, longer) {
  const { labels, parts } = partsOf(greys, inside.values.map((value) => 1 - value));
  const around = new Set(parts.filter((part) => part.touches(inside)).flatMap((part) => part.labels));
  const mask = Uint8Array.from(labels, (label) => around.has(label));
  const outside = grown({ ...inside, values: mask }, Math.max(1, rounded(EDGE * longer)));
  const page = median(greys.values.filter((_, i) => inside.values[i]));
  return mapped(greys, (grey, i) => (outside[i] ? page : grey));
}
