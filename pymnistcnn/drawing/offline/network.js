// The network: layers as offline.py describes them, one after the other. A tensor is {shape, values}, channels first,
// in float32; sums are in float64.

function tensor(shape, values = new Float32Array(shape.reduce((a, b) => a * b, 1))) {
  return { shape, values };
}

class Network {
  // layers: {kind, label, shape (of its output), ...settings, ...weights: {at, shape}}; weights: one after the other
  constructor(layers, weights) {
    this.layers = layers;
    this.weights = weights;
  }

  // What each layer gives: [{layer, y}].
  run(x) {
    return this.through(this.layers, x);
  }

  through(layers, x) {
    return layers.map((layer) => ({ layer, y: (x = this.step(layer, x)) }));
  }

  step(layer, x) {
    if (layer.kind === "Residual") return this.residual(layer, x);
    if (layer.kind in ACTIVATIONS) {
      const activate = ACTIVATIONS[layer.kind](layer);
      return tensor(x.shape, x.values.map((value) => activate(value)));
    }
    return LAYERS[layer.kind](layer, x, (name) => this.weightsOf(layer[name]));
  }

  weightsOf(place) {
    return place && this.weights.subarray(place.at, place.at + place.shape.reduce((a, b) => a * b, 1));
  }

  residual({ layers, projection }, x) {
    const inside = this.through(layers, x).at(-1).y;
    const beside = projection ? this.step(projection, x) : x;
    return tensor(inside.shape, inside.values.map((value, i) => value + beside.values[i]));
  }
}

const LAYERS = {
  Same: ({ shape }, x) => tensor(shape, x.values),
  Rescaling: ({ scale, offset }, x) => tensor(x.shape, Float32Array.from(x.values, (value) => value * scale + offset)),
  Affine: affine,
  Conv2d: convolution,
  Linear: linear,
  MaxPool2d: (layer, x) => pool(layer, x, maximum),
  AvgPool2d: (layer, x) => pool(layer, x, layer.count_include_pad ? meanWithPadding : meanInside),
  Softmax: (layer, x) => overScores(layer, x, (scores) => logSoftmax(scores).map(Math.exp)),
  LogSoftmax: (layer, x) => overScores(layer, x, logSoftmax),
};

// Each channel times a number, plus a number: a batch norm that has learnt.
function affine(layer, x, weights) {
  const [scale, shift] = [weights("scale"), weights("shift")];
  const size = x.values.length / scale.length;
  return tensor(x.shape, x.values.map((value, i) => value * scale[Math.floor(i / size)] + shift[Math.floor(i / size)]));
}

function linear({ shape }, x, weights) {
  const [weight, bias] = [weights("weight"), weights("bias")];
  const y = tensor(shape);
  const inputs = x.values.length;
  for (let k = 0; k < shape[0]; k++) {
    let sum = bias ? bias[k] : 0;
    for (let i = 0; i < inputs; i++) sum += weight[k * inputs + i] * x.values[i];
    y.values[k] = sum;
  }
  return y;
}

function convolution({ shape, kernel_size, stride, sides, dilation, groups }, x, weights) {
  const [outputs, oh, ow] = shape;
  const [channels, height, width] = x.shape;
  const [kh, kw] = kernel_size;
  const [weight, bias] = [weights("weight"), weights("bias")];
  const inputs = channels / groups;
  const y = tensor(shape);
  for (let k = 0; k < outputs; k++) {
    const sums = new Float64Array(oh * ow).fill(bias ? bias[k] : 0);
    const first = Math.floor(k / (outputs / groups)) * inputs;
    for (let tap = 0; tap < inputs * kh * kw; tap++) {
      const factor = weight[k * inputs * kh * kw + tap];
      const [c, dy, dx] = [Math.floor(tap / (kh * kw)), Math.floor(tap / kw) % kh, tap % kw];
      const plane = (first + c) * height * width;
      for (let i = 0; i < oh; i++) {
        const row = i * stride[0] + dy * dilation[0] - sides[0];
        if (row < 0 || row >= height) continue;
        for (let j = 0, column = dx * dilation[1] - sides[2]; j < ow; j++, column += stride[1]) {
          if (column >= 0 && column < width) sums[i * ow + j] += factor * x.values[plane + row * width + column];
        }
      }
    }
    y.values.set(sums, k * oh * ow);
  }
  return y;
}

// value(numbers of a window, how many of its places are in the padded picture)
function pool({ shape, window, stride, sides, dilation }, x, value) {
  const [top, bottom, left, right] = sides;
  const [channels, oh, ow] = shape;
  const [, height, width] = x.shape;
  const y = tensor(shape);
  for (let c = 0, at = 0; c < channels; c++) {
    for (let i = 0; i < oh; i++) {
      const rows = taps(i, window[0], stride[0], [top, bottom], dilation[0], height);
      for (let j = 0; j < ow; j++) {
        const columns = taps(j, window[1], stride[1], [left, right], dilation[1], width);
        const numbers = [];
        for (const row of rows.inside) {
          for (const column of columns.inside) numbers.push(x.values[(c * height + row) * width + column]);
        }
        y.values[at++] = value(numbers, rows.places * columns.places);
      }
    }
  }
  return y;
}

function taps(i, window, stride, [before, behind], dilation, size) {
  const all = Array.from({ length: window }, (_, tap) => i * stride - before + tap * dilation);
  return {
    inside: all.filter((place) => place >= 0 && place < size),
    places: all.filter((place) => place < size + behind).length,
  };
}

const maximum = (numbers) => numbers.reduce((a, b) => (a > b || Number.isNaN(a) ? a : b), -Infinity);
const total = (numbers) => numbers.reduce((a, b) => a + b, 0);
const meanWithPadding = (numbers, places) => total(numbers) / places;
const meanInside = (numbers) => total(numbers) / numbers.length;

// A function of the scores along an axis, at each place where they begin. dim: that axis, counted with the batch.
function overScores({ dim }, x, compute) {
  const axis = dim > 0 ? dim - 1 : dim + x.shape.length;
  const n = x.shape[axis];
  const step = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const y = tensor(x.shape);
  for (let first = 0; first < x.values.length; first++) {
    if (Math.floor(first / step) % n) continue;
    const scores = Array.from({ length: n }, (_, i) => x.values[first + i * step]);
    compute(scores).forEach((value, i) => (y.values[first + i * step] = value));
  }
  return y;
}

function logSoftmax(scores) {
  const most = Math.max(...scores);
  const all = Math.log(scores.reduce((sum, score) => sum + Math.exp(score - most), 0));
  return Array.from(scores, (score) => score - most - all);
}
