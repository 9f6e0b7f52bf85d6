// The door to `pymnistcnn draw`, on this machine.

async function ask(path, picture) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body: picture });
  } catch {
    throw Error("pymnistcnn draw does not answer: was it ended?");
  }
  const content = await answer.json();
  if (!answer.ok) throw Error(content.error);
  return content;
}

begin({
  async look(picture) {
    const answer = await ask("/look", picture);
    return {
      ...answer,
      seen: decoded(answer.seen),
      layers: answer.layers.map((layer) => ({ ...layer, values: decoded(layer.values, Int8Array).values })),
      nearest: answer.nearest.map(({ name, image }) => ({ name, image: decoded(image) })),
    };
  },

  async save(picture, label) {
    const { file } = await ask(`/save?label=${label}`, picture);
    return [`Saved as ${file}. To train on it: pymnistcnn train --data ${about.folder}`];
  },
});
