// How much ink is where: what pymnistcnn/pictures/ink.py does, where the reasons are.

const SQUARE = 0.3;
const LEAST = 10;
const DARK = 25;
const NOISE = 6;
const CLIPPED = 8;

// Ink from 0 to 1; null if there is none.
function inkOf(greys) {
  const side = Math.max(3, rounded(SQUARE * Math.max(greys.height, greys.width)));
  const asPage = (sign) => {
    const signed = mapped(greys, (grey) => sign * grey);
    const page = running("largest", running("least", signed, side), side);
    return { sign, signed, page, steps: stepsOf(page) };
  };
  const dark = asPage(-1);
  const light = dark.steps === 0 ? dark : asPage(1); // no page is more even than that
  const { sign, signed, page } = dark.steps <= light.steps ? dark : light;
  const above = mapped(signed, (grey, i) => {
    const over = Math.fround(grey - page.values[i]);
    return sign < 0 ? over * Math.fround(255 / Math.max(-page.values[i], DARK)) : over;
  });
  return contrasted(above);
}

function stepsOf({ height, width, values }) {
  let sum = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (x > 0) sum += Math.abs(values[i] - values[i - 1]);
      if (y > 0) sum += Math.abs(values[i] - values[i - width]);
    }
  }
  return sum;
}

// The extreme in a square around each pixel; the second of two passes looks the other way.
function running(extreme, plane, side) {
  const ahead = Math.floor((extreme === "least" ? side - 1 : side) / 2);
  const columns = alongWindows(extreme, turned(plane), side, ahead);
  return alongWindows(extreme, turned(columns), side, ahead);
}

// Of each row: windows of twice the width, and in the end of the side. The largest is minus the least of minus all.
function alongWindows(extreme, plane, side, ahead) {
  const sign = extreme === "least" ? 1 : -1;
  const result = planeOf(plane.height, plane.width);
  const line = new Float32Array(plane.width + side - 1);
  for (let y = 0; y < plane.height; y++) {
    const row = y * plane.width;
    line.fill(Infinity);
    for (let x = 0; x < plane.width; x++) line[ahead + x] = sign * plane.values[row + x];
    for (let width = 1; width < side; ) {
      const step = Math.min(width, side - width);
      for (let i = 0, end = line.length - step; i < end; i++) if (line[i + step] < line[i]) line[i] = line[i + step];
      width += step;
    }
    for (let x = 0; x < plane.width; x++) result.values[row + x] = sign * line[x];
  }
  return result;
}

// From what the page's noise reaches, 0, to what is ink beyond doubt, 1.
function contrasted(above) {
  const [low, twenty, middle, high, most, nearlyAll] = percentiles(above.values, 2, 20, 50, 80, 99.7, 99.99);
  const noise = (twenty - low) / 1.21;
  const page = twenty + 0.84 * noise;
  const enough = Math.max(LEAST, NOISE * Math.max(noise, Math.min((high - middle) / 0.84, CLIPPED)));
  const full = most - page < enough ? nearlyAll : most;
  if (full - page < enough) return null;
  const floor = page + 3 * noise;
  return mapped(above, (value) => Math.min(1, Math.max(0, (value - floor) / (full - floor))));
}
