// What is shown of an answer. Nothing here knows where the answer comes from.

const MOST_BARS = 10;

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

// A picture (h, w) or (c, h, w) of greys or colours, light as they are.
function showImage(canvas, { shape, values }) {
  const [height, width] = shape.slice(-2);
  const channels = shape.length === 3 ? shape[0] : 1;
  paintPixels(canvas, width, height, (i) => {
    const colour = [0, 1, 2].map((c) => values[(channels === 3 ? c : 0) * height * width + i]);
    return [...colour, 255];
  });
}

function paintPixels(canvas, width, height, pixel) {
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set(pixel(i), 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function showBars(list, probabilities, classes) {
  let order = classes.map((_, label) => label);
  if (order.length > MOST_BARS) {
    order = order.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, MOST_BARS);
  }
  const best = Math.max(...probabilities);
  list.replaceChildren(...order.map((label) => {
    const bar = element("span", { className: "bar" });
    bar.style.width = percent(probabilities[label]).replace(" ", "");
    const row = element("li", {},
      element("span", { className: "class", textContent: classes[label] }),
      element("span", { className: "track" }, bar),
      element("span", { className: "percent", textContent: percent(probabilities[label]) }));
    row.classList.toggle("best", probabilities[label] === best && best > 0);
    return row;
  }));
}

function showNearest(list, nearest) {
  list.replaceChildren(...nearest.map(({ name, image }) => {
    const canvas = element("canvas", { ariaHidden: "true" });
    showImage(canvas, image);
    return element("li", {}, canvas, element("span", { textContent: name }));
  }));
}

// Each layer's maps, or its vector in rows; the colour says the sign, how strong it is the size.
function showLayers(place, layers) {
  const colours = ["--above", "--below"].map((name) => rgbOf(getComputedStyle(place).getPropertyValue(name)));
  place.replaceChildren(...layers.map((layer) => {
    const shown = layer.shape.length === 3 ? mapsOf(layer, colours) : [vectorOf(layer, colours)];
    const box = element("div", { className: layer.shape.length === 3 ? "maps" : "vector", ariaHidden: "true" }, ...shown);
    const left = layer.shape.length === 3 ? layer.shape[0] - shown.length : 0;
    const more = left > 0 ? `, the first ${shown.length}` : "";
    const caption = element("figcaption", {}, element("code", { textContent: layer.label }),
      ` ${layer.shape.join(" × ")}${more}, peak ${layer.peak.toPrecision(3)}`);
    return element("figure", {}, caption, box);
  }));
}

function mapsOf({ shape, values }, colours) {
  const [, height, width] = shape;
  const maps = [];
  for (let start = 0; start < values.length; start += height * width) {
    const canvas = element("canvas");
    canvas.style.width = `${Math.min(72, Math.max(20, 2.5 * width))}px`;
    paintPixels(canvas, width, height, (i) => shade(values[start + i], colours));
    maps.push(canvas);
  }
  return maps;
}

function vectorOf({ values }, colours) {
  const canvas = element("canvas");
  const width = Math.min(32, values.length);
  const height = Math.ceil(values.length / width);
  canvas.style.width = `${10 * width}px`;
  paintPixels(canvas, width, height, (i) => (i < values.length ? shade(values[i], colours) : [0, 0, 0, 0]));
  return canvas;
}

function shade(value, [above, below]) {
  return [...(value > 0 ? above : below), Math.round((Math.abs(value) / 127) * 255)];
}

function rgbOf(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.trim().slice(at, at + 2), 16));
}
