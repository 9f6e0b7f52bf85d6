// The page: what is drawn goes to a door, which answers `look(picture)` and `save(picture, label)`.

const byId = (id) => document.getElementById(id);

// Calls one at a time, the last that was asked for always, those that it overtook never; and lets as much time pass
// between two as one takes, for the pen to move meanwhile.
function lastOf(call, tellBusy) {
  let wanted = false;
  let busy = false;
  return async () => {
    wanted = true;
    if (busy) return;
    tellBusy((busy = true));
    while (wanted) {
      wanted = false;
      const started = performance.now();
      await call();
      const pause = Math.min(300, performance.now() - started);
      if (wanted) await new Promise((done) => setTimeout(done, pause));
    }
    tellBusy((busy = false));
  };
}

function begin(door) {
  let told = "";
  let atRest = true;
  const paper = new Paper(byId("paper"), (ended) => {
    atRest = ended;
    byId("undo").disabled = paper.marks.length === 0;
    byId("clear").disabled = paper.isEmpty;
    if (ended) byId("saved").textContent = "";
    look();
  });

  const look = lastOf(async () => {
    if (paper.isEmpty) return showNothing();
    try {
      const answer = await door.look(await paper.picture());
      if (!paper.isEmpty) showAnswer(answer);
    } catch (error) {
      showNothing(error.message);
    }
  }, (busy) => (document.querySelector("main").ariaBusy = String(busy)));

  function showAnswer({ seen, note, outputs, probabilities, layers, nearest }) {
    showImage(byId("seen"), seen);
    byId("note").textContent = note;
    if (probabilities) {
      const label = probabilities.indexOf(Math.max(...probabilities));
      byId("answer").textContent = about.classes[label];
      tell(`${about.classes[label]}, ${percent(probabilities[label])}`);
      showBars(byId("bars"), probabilities, about.classes);
      if (document.activeElement !== byId("truth")) byId("truth").value = label;
    } else {
      byId("answer").textContent = outputs[0].toPrecision(4);
      tell(byId("answer").textContent);
    }
    showLayers(byId("layers"), layers);
    showNearest(byId("nearest"), nearest);
  }

  function showNothing(why = "") {
    paintPixels(byId("seen"), 28, 28, () => [0, 0, 0, 255]);
    byId("answer").textContent = "–";
    byId("note").textContent = why;
    tell(why);
    showBars(byId("bars"), about.classes.map(() => 0), about.classes);
    byId("layers").replaceChildren();
    byId("nearest").replaceChildren();
  }

  // For screen readers: only what is new, and only what is final.
  function tell(text) {
    if (atRest && text !== told) byId("told").textContent = told = text;
  }

  async function put(file) {
    try {
      if (about.mostBytes && file.size > about.mostBytes) throw Error(`a picture may have ${about.mostBytes >> 20} MB`);
      await paper.put(file);
    } catch (error) {
      const unreadable = error.name === "InvalidStateError" || error.name === "EncodingError";
      showNothing(`${file.name}: ${unreadable ? "this browser cannot read it as a picture" : error.message}`);
    }
  }

  byId("name").textContent = about.name;
  byId("truth").replaceChildren(...about.classes.map((name, label) => element("option", { value: label, textContent: name })));
  byId("saving").hidden = about.classes.length === 0;
  byId("alike").hidden = about.examples === false;
  drawByPointer(paper);
  drawByKeys(paper);
  takePictures(paper, put);
  byId("undo").addEventListener("click", () => paper.undo());
  byId("clear").addEventListener("click", () => paper.clear());
  for (const [button, input] of [["choose", "picture"], ["photograph", "camera"]]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", async ({ target }) => {
      if (target.files.length) await put(target.files[0]);
      target.value = "";
    });
  }
  byId("save").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (paper.isEmpty) return void (byId("saved").textContent = "There is nothing to save yet.");
    try {
      byId("saved").replaceChildren(...(await door.save(await paper.picture(), Number(byId("truth").value))));
    } catch (error) {
      byId("saved").textContent = error.message;
    }
  });
  // The theme's colours are in the pictures of layers.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => look());
  paper.redraw(true);
}
