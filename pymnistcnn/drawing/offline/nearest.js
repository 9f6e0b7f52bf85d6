// The training pictures in this page that are nearest to another: what nearest.py does, where the reasons are.

const NEAREST = 8;

// examples: {height, width, values: one picture after the other, names: of each}
class Nearest {
  constructor({ height, width, values, names }) {
    Object.assign(this, { shape: [height, width], size: height * width, values, names });
    this.halves = names.map((_, i) => halvesOf(this.image(i)));
  }

  image(i) {
    return { shape: this.shape, values: this.values.subarray(i * this.size, (i + 1) * this.size) };
  }

  of(seen) {
    const own = halvesOf(seen);
    const distances = this.halves.map((other) => other.reduce((sum, value, i) => sum + (value - own[i]) ** 2, 0));
    const order = distances.map((_, i) => i).sort((a, b) => distances[a] - distances[b]);
    return order.slice(0, NEAREST).map((i) => ({ name: this.names[i], image: this.image(i) }));
  }
}

function halvesOf({ shape: [height, width], values }) {
  const halves = [];
  for (let y = 0; y + 1 < height; y += 2) {
    for (let x = 0; x + 1 < width; x += 2) {
      const i = y * width + x;
      halves.push((values[i] + values[i + 1] + values[i + width] + values[i + width + 1]) / 4);
    }
  }
  return halves;
}
