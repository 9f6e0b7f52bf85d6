// Planes of numbers, {height, width, values}, in float32 as NumPy has them, and what several files do with them.

function planeOf(height, width, values = new Float32Array(height * width)) {
  return { height, width, values };
}

function mapped(plane, change) {
  return planeOf(plane.height, plane.width, plane.values.map(change));
}

function cut(plane, top, left, bottom, right) {
  const part = planeOf(bottom - top, right - left);
  for (let y = top; y < bottom; y++) {
    const row = plane.values.subarray(y * plane.width + left, y * plane.width + right);
    part.values.set(row, (y - top) * part.width);
  }
  return part;
}

function padded(plane, margin, value) {
  const wider = planeOf(plane.height + 2 * margin, plane.width + 2 * margin);
  wider.values.fill(value);
  for (let y = 0; y < plane.height; y++) {
    const row = plane.values.subarray(y * plane.width, (y + 1) * plane.width);
    wider.values.set(row, (y + margin) * wider.width + margin);
  }
  return wider;
}

// The outermost numbers.
function borderOf({ height, width, values }) {
  return values.filter((_, i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    return y === 0 || x === 0 || y === height - 1 || x === width - 1;
  });
}

// With linear interpolation.
function percentiles(values, ...shares) {
  const sorted = Float32Array.from(values).sort();
  return shares.map((share) => {
    const at = (share / 100) * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
  });
}

const median = (values) => percentiles(values, 50)[0];

// Of two whole numbers that are as near, the even one.
function rounded(x) {
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

function extremes(values) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}
