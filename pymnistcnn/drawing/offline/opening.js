// A picture's file as greys, 0 to 255: what pymnistcnn/pictures/opening.py does with those that a browser opens.

const MOST_PIXELS = 64e6;

async function greysOf(blob) {
  const image = await createImageBitmap(blob);
  const { width, height } = image;
  if (width * height > MOST_PIXELS) throw Error(`a picture may have ${MOST_PIXELS / 1e6} million pixels`);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const greys = planeOf(height, width);
  let [light, opaque] = [0, 0];
  for (let i = 0; i < greys.values.length; i++) {
    const [red, green, blue, alpha] = data.subarray(4 * i, 4 * i + 4);
    greys.values[i] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    light += greys.values[i] * alpha;
    opaque += alpha;
  }
  if (opaque === 255 * greys.values.length) return greys;
  const page = opaque && light / opaque > 127 ? 0 : 255; // that what is not transparent can be told from
  return mapped(greys, (grey, i) => (data[4 * i + 3] * grey + (255 - data[4 * i + 3]) * page) / 255);
}
