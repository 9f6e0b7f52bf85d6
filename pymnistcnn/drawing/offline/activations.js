// Activations, element by element, as functions of a number; settings have the names of the layers' fields.

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

const ACTIVATIONS = {
  ReLU: () => (x) => (x <= 0 ? 0 : x),
  LeakyReLU: ({ negative_slope }) => (x) => (x > 0 ? x : x * negative_slope),
  ELU: ({ alpha }) => (x) => (x > 0 ? x : alpha * Math.expm1(x)),
  Sigmoid: () => sigmoid,
  Tanh: () => Math.tanh,
  Softplus: ({ beta, threshold }) => (x) => (beta * x > threshold ? x : softplus(beta * x) / beta),
  GELU: ({ approximate }) => (approximate === "tanh" ? (x) => x * sigmoid(nearlyNormal(x)) : (x) => x * normalShare(x)),
  SiLU: () => (x) => x * sigmoid(x),
  Hardswish: () => (x) => (x <= -3 ? 0 : x >= 3 ? x : (x * (x + 3)) / 6),
};

const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const nearlyNormal = (x) => x * Math.sqrt(8 / Math.PI) * (1 + 0.044715 * x * x);

// The share of a normal distribution below x: a series of positive terms.
function normalShare(x) {
  if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
  let sum = 0;
  for (let term = Math.abs(x), n = 3; term > 1e-12; n += 2) {
    sum += term;
    term *= (x * x) / n;
  }
  const half = (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  return 0.5 + Math.sign(x) * half;
}
