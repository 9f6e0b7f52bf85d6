// What draws on the paper: mouse, finger and pen; keys; pictures that are dropped or pasted.

const STEP = 20;
const SMALL_STEP = 4;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function drawByPointer(paper) {
  const { canvas } = paper;
  let drawing = null; // the pointer that draws; a second finger does not
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (drawing !== null || event.button !== 0) return;
    drawing = event.pointerId;
    canvas.setPointerCapture(drawing);
    paper.cursor = null;
    paper.begin(...at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drawing) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) paper.extend(...at(move));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId !== drawing) return;
      drawing = null;
      paper.end();
    });
  }
}

function drawByKeys(paper) {
  const { canvas } = paper;
  const within = (number) => Math.min(SIDE, Math.max(0, number));
  const move = ([dx, dy], step) => {
    const { cursor } = paper;
    cursor.at = [within(cursor.at[0] + dx * step), within(cursor.at[1] + dy * step)];
    if (cursor.down) paper.extend(...cursor.at);
    else paper.show();
  };
  const press = () => {
    const { cursor } = paper;
    cursor.down = !cursor.down;
    if (cursor.down) paper.begin(...cursor.at);
    else paper.end();
  };
  const lift = () => {
    if (!paper.cursor) return;
    const { down } = paper.cursor;
    paper.cursor.down = false;
    if (down) paper.end();
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const known = event.key in ARROWS || event.key === " " || event.key === "Delete" || event.key === "Backspace";
    if (!known) return;
    event.preventDefault();
    if (event.key === "Delete" || event.key === "Backspace") {
      lift();
      return event.key === "Delete" ? paper.clear() : paper.undo();
    }
    paper.cursor ??= { at: [SIDE / 2, SIDE / 4], down: false };
    if (event.key === " ") press();
    else move(ARROWS[event.key], event.shiftKey ? SMALL_STEP : STEP);
  });
  canvas.addEventListener("blur", () => {
    lift();
    paper.cursor = null;
    paper.show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    lift();
    paper.undo();
  });
}

function takePictures(paper, put) {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) put(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) put(event.clipboardData.files[0]);
  });
}
