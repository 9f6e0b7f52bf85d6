// The paper: strokes and pictures, one on the other, in units of which the paper has SIDE.

const SIDE = 280;
const PEN = 20;
const MARGIN = 20; // around the paper, in the picture that is read: strokes do not touch its border

class Paper {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed; // called with true at the end of a stroke, with false on the way
    this.marks = [];
    this.cursor = null; // of the keyboard's pen
    new ResizeObserver(() => this.show()).observe(canvas);
  }

  // What is there: all since the paper was new, cleared, or covered by a picture.
  get visible() {
    const last = this.marks.findLastIndex((mark) => mark.kind !== "stroke");
    return this.marks.slice(last < 0 ? 0 : last).filter((mark) => mark.kind !== "blank");
  }

  get isEmpty() {
    return this.visible.length === 0;
  }

  begin(x, y) {
    this.marks.push({ kind: "stroke", points: [[x, y]] });
    this.redraw(false);
  }

  extend(x, y) {
    this.marks.at(-1).points.push([x, y]);
    this.redraw(false);
  }

  end() {
    this.redraw(true);
  }

  undo() {
    if (this.marks.pop()) this.redraw(true);
  }

  clear() {
    if (!this.isEmpty) this.marks.push({ kind: "blank" });
    this.redraw(true);
  }

  async put(file) {
    const image = await createImageBitmap(file);
    this.marks.push({ kind: "picture", file, image });
    this.redraw(true);
  }

  redraw(ended) {
    this.show();
    this.changed(ended);
  }

  show() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    this.paint(context, side / SIDE, 0);
    if (this.cursor) this.paintCursor(context);
  }

  // The picture that is read: what was chosen as it is, or what was drawn.
  async picture() {
    const [first, ...others] = this.visible;
    if (first.kind === "picture" && others.length === 0) return first.file;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE + 2 * MARGIN;
    this.paint(canvas.getContext("2d"), 1, MARGIN);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  paint(context, scale, margin) {
    context.setTransform(scale, 0, 0, scale, margin, margin);
    context.fillStyle = "#fff";
    context.fillRect(-margin, -margin, SIDE + 2 * margin, SIDE + 2 * margin);
    context.strokeStyle = "#000";
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    for (const mark of this.visible) {
      if (mark.kind === "stroke") paintStroke(context, mark.points);
      else paintPicture(context, mark.image);
    }
  }

  paintCursor(context) {
    const [x, y] = this.cursor.at;
    context.beginPath();
    context.arc(x, y, PEN / 2, 0, 2 * Math.PI);
    context.lineWidth = 2;
    context.strokeStyle = "#c2410c";
    context.fillStyle = "#c2410c";
    context.stroke();
    if (this.cursor.down) context.fill();
  }
}

// A curve through the middles between points; a dot, where there is but one.
function paintStroke(context, points) {
  context.beginPath();
  context.moveTo(...points[0]);
  if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]); // a line of no length is not painted
  for (let i = 1; i < points.length - 1; i++) {
    const [[x, y], [u, v]] = [points[i], points[i + 1]];
    context.quadraticCurveTo(x, y, (x + u) / 2, (y + v) / 2);
  }
  context.lineTo(...points.at(-1));
  context.stroke();
}

function paintPicture(context, image) {
  const scale = SIDE / Math.max(image.width, image.height);
  const [width, height] = [image.width * scale, image.height * scale];
  context.drawImage(image, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
}
