// Pictures in another size, as Pillow resizes its mode F: by filters that are as wide as what becomes one pixel.

const hamming = {
  support: 1,
  at(x) {
    const angle = Math.abs(x) * Math.PI;
    if (x === 0) return 1;
    return angle >= Math.PI ? 0 : (Math.sin(angle) / angle) * (0.54 + 0.46 * Math.cos(angle));
  },
};
const bicubic = {
  support: 2,
  at(signed) {
    const x = Math.abs(signed);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  },
};
const box = { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

// By a factor, antialiased.
function resized(plane, factor) {
  const [height, width] = [plane.height, plane.width].map((side) => Math.max(1, rounded(side * factor)));
  return resampled(plane, height, width, factor < 1 ? hamming : bicubic);
}

function resampled(plane, height, width, filter) {
  return turned(alongRows(turned(alongRows(plane, width, filter)), height, filter));
}

function alongRows(plane, width, filter) {
  if (width === plane.width) return plane;
  const weights = weightsOf(plane.width, width, filter);
  const result = planeOf(plane.height, width);
  for (let y = 0; y < plane.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, shares } = weights[x];
      let sum = 0;
      for (let i = 0; i < shares.length; i++) sum += plane.values[y * plane.width + first + i] * shares[i];
      result.values[y * width + x] = sum;
    }
  }
  return result;
}

// Which pixels of `before` make each of `after`, and their shares.
function weightsOf(before, after, filter) {
  const scale = before / after;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  return Array.from({ length: after }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(before, Math.trunc(centre + support + 0.5));
    const shares = Array.from({ length: last - first }, (_, k) => filter.at((k + first - centre + 0.5) / wide));
    const sum = shares.reduce((a, b) => a + b, 0);
    return { first, shares: shares.map((share) => share / sum) };
  });
}

function turned({ height, width, values }) {
  const result = planeOf(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) result.values[x * height + y] = values[y * width + x];
  return result;
}
