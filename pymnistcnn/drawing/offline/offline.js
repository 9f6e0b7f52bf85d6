// The door to the network in this page: everything is computed here, and nothing is sent anywhere.

const MAPS = 64; // of a layer, that are shown
const NUMBERS = 1024;
const saved = [];

async function openDoor() {
  const { values: weights } = decoded(about.weights, Float32Array);
  const network = new Network(about.layers, weights);
  const nearest = about.examples && new Nearest({ ...about.examples, values: await unzipped(about.examples.pixels) });

  async function see(picture) {
    const [, height, width] = about.inputShape;
    return readDigit(await greysOf(picture), height, width);
  }

  return {
    async look(picture) {
      const { seen, several } = await see(picture);
      const stages = network.run(inputOf(seen));
      const outputs = Array.from(stages.at(-1).y.values);
      if (!outputs.every(Number.isFinite)) throw Error("the network's outputs are not finite numbers");
      return {
        seen,
        note: several ? "Several digits: the largest is read." : "",
        outputs,
        probabilities: outputs.length === 1 ? null : probabilitiesOf(outputs),
        layers: stages.filter(({ layer }) => layer.isShown).map(({ layer, y }) => mapsShown(layer, y)),
        nearest: nearest ? nearest.of(seen) : [],
      };
    },

    async save(picture, label) {
      const { seen } = await see(picture);
      saved.push({ name: `drawn/${about.folders[label]}/${saved.length + 1}.png`, bytes: await pngOf(seen) });
      const link = element("a", { href: URL.createObjectURL(zipOf(saved)), download: "drawn.zip", textContent: "drawn.zip" });
      return [link, ` has ${saved.length} so far. To train on it: pymnistcnn train --data drawn.zip`];
    },
  };
}

// White as the network's training pictures had it.
function inputOf({ values }) {
  const { white } = about;
  return tensor(about.inputShape, Float32Array.from(values, (value) => (white === 255 ? value : rounded((value * white) / 255))));
}

function probabilitiesOf(outputs) {
  if (about.outputs === "probabilities") return outputs;
  return about.outputs === "logarithms" ? outputs.map(Math.exp) : logSoftmax(outputs).map(Math.exp);
}

function mapsShown({ label }, { shape, values }) {
  const size = shape.length === 3 ? shape[1] * shape[2] * MAPS : NUMBERS;
  const shown = values.subarray(0, size).map((value) => (Number.isFinite(value) ? value : 0));
  const peak = shown.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { label, shape, peak, values: Int8Array.from(shown, (value) => Math.round((value * 127) / Math.max(peak, 1e-30))) };
}

async function pngOf(seen) {
  const canvas = document.createElement("canvas");
  showImage(canvas, seen);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return new Uint8Array(await blob.arrayBuffer());
}

async function unzipped(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

openDoor().then(begin);
