// The second half of picture.js, which comes before it: what mouse, fingers, keys and dropped files do.

const SMALLEST_SELECTION = 8; // answer pixels a side
const LARGEST_DROP = 64 * 2 ** 20; // bytes of all files together
const PIECE = 4 * 2 ** 20; // bytes in one message: a Jupyter server closes the line at 10 MiB
const WHEEL_REST = 250; // milliseconds after a zoom in which the wheel does not scroll the page
const STEPS = 20; // of a selection by keys over the visible part
const DOUBLE_TAP = 300; // milliseconds between two taps of a finger
const KEYS_REST = 300; // milliseconds after the last key until the part in work is moved: several keys are one move

const percent = (share) => `${100 * share}%`;

/** Listens until the display goes. */
const listener = (signal) => (target, kinds, act, options) => {
  for (const kind of kinds.split(" ")) target.addEventListener(kind, act, { signal, ...options });
};

/** Where an event is on an element. */
function placeOn(target, { clientX, clientY }) {
  const box = target.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
}

/** Mouse, pen, fingers and wheel. */
function attachPointers(display, overview, on) {
  const { stage, picture, border } = display;
  const fingers = new Map(); // what is pressed down, and where it was last
  let gesture, start, offset, lastTap, lastZoom = -Infinity;

  function begin(event) {
    if (fingers.size > 1) return "pinch";
    if (display.overview.contains(event.target)) return "overview";
    if (event.target === border && !event.shiftKey) return "border";
    return event.shiftKey || display.get("selecting") ? "select" : "pan";
  }

  function press(event) {
    if (event.button !== 0 || event.target.closest("button")) return;
    if (event.isPrimary) fingers.clear(); // of those that never said good-bye
    const at = placeOn(picture, event);
    fingers.set(event.pointerId, at);
    stage.setPointerCapture(event.pointerId);
    overview.letGo(); // a second finger ends its move, too
    gesture = begin(event);
    [start, offset, display.selected] = [{ at, time: event.timeStamp }, at[0] - display.get("share"), undefined];
    if (gesture === "overview") overview.hold(placeOn(display.overview, event));
    // The frame of what has the focus is for keys; who drags sees what is dragged.
    ({ border, overview: display.overview }[gesture] ?? picture).focus({ preventScroll: true, focusVisible: false });
    stage.dataset.gesture = gesture;
  }

  function move(event) {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const at = placeOn(picture, event);
    if (gesture === "pinch") pinch(event.pointerId, at);
    if (gesture === "border") display.setBorder(at[0] - offset);
    if (gesture === "pan") display.pan(last[0] - at[0], last[1] - at[1]);
    if (gesture === "overview") overview.drag(placeOn(display.overview, event));
    if (gesture === "select") display.selected = rectangle(start.at, at);
    if (gesture === "select") display.redraw();
    fingers.set(event.pointerId, at);
  }

  function pinch(id, at) {
    const box = picture.getBoundingClientRect();
    const between = () => {
      const [[x, y], [x1, y1]] = fingers.values();
      return { middle: [(x + x1) / 2, (y + y1) / 2], apart: Math.hypot((x - x1) * box.width, (y - y1) * box.height) };
    };
    const before = between();
    fingers.set(id, at);
    const after = between();
    display.zoomAbout(before.middle, Math.max(after.apart, 1) / Math.max(before.apart, 1));
    display.pan(before.middle[0] - after.middle[0], before.middle[1] - after.middle[1]);
  }

  /** The rectangle between two places on the canvas, in whole answer pixels. */
  function rectangle(one, other) {
    const part = display.visible();
    const [[left, right], [top, bottom]] = [0, 1].map((axis) =>
      [one[axis], other[axis]]
        .map((share) => Math.round(part[axis] + clamp(share, 0, 1) * part[axis + 2]))
        .sort((a, b) => a - b));
    return [left, top, right - left, bottom - top];
  }

  function release(event) {
    if (!fingers.delete(event.pointerId)) return;
    const [ended, rect = [0, 0, 0, 0]] = [gesture, display.selected];
    gesture = ended === "pinch" && fingers.size === 1 ? "pan" : undefined;
    stage.dataset.gesture = gesture ?? "";
    display.selected = undefined;
    display.redraw();
    if (event.type === "pointercancel") return overview.letGo();
    const enough = Math.min(rect[2], rect[3]) >= SMALLEST_SELECTION;
    if (ended === "select") display.set({ selection: enough ? rect : [] });
    if (ended === "overview") overview.release(placeOn(display.overview, event));
    if (ended === "pan" && event.pointerType === "touch") tap(event);
  }

  function tap(event) {
    const [x, y] = placeOn(picture, event);
    const short = event.timeStamp - start.time < DOUBLE_TAP && Math.hypot(x - start.at[0], y - start.at[1]) < 0.02;
    if (short && start.time - lastTap < DOUBLE_TAP) display.fitAll();
    lastTap = short ? event.timeStamp : undefined;
  }

  /** A finger scrolls the page only where it can do nothing else. */
  function holdPage(event) {
    const free = event.touches.length === 1 && gesture === "pan" && display.get("zoom") === 1;
    if (event.cancelable && !free) event.preventDefault();
  }

  function turn(event) {
    const outwards = event.deltaY > 0;
    const atRest = event.timeStamp - lastZoom > WHEEL_REST;
    if (!event.deltaY || (outwards && display.get("zoom") === 1 && atRest && !event.ctrlKey)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!outwards || display.get("zoom") > 1) lastZoom = event.timeStamp;
    const pixels = event.deltaY * [1, 33, 400][event.deltaMode];
    display.zoomAbout(placeOn(picture, event), Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002))); // small pinch steps
  }

  on(stage, "pointerdown", press);
  on(stage, "pointermove", move);
  on(stage, "pointerup pointercancel", release);
  on(stage, "touchmove", holdPage, { passive: false });
  on(stage, "wheel", turn, { passive: false });
  on(stage, "mousedown", (event) => event.shiftKey && event.stopPropagation()); // JupyterLab would select cells
  on(stage, "dblclick", (event) => event.target.closest("button, [role=slider]") || display.fitAll());
}

/** Do what a table says for a key, and another one for a key with Shift; the others go on to JupyterLab. */
const keys = (actions, shifted = {}) => (event) => {
  const all = event.shiftKey ? { ...actions, ...shifted } : actions;
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(all, event.key)) return;
  event.preventDefault();
  event.stopPropagation();
  all[event.key]();
};

/**
 * The selection after a key, kept inside the visible part: moved by x and y steps and made larger by as many at every
 * edge. A step is a twentieth of the visible part. Without a selection it is the middle half of that part.
 */
function changedSelection(display, x, y, larger) {
  const part = display.visible();
  const selection = display.get("selection");
  const sides = [x, y].map((steps, axis) => {
    const length = part[axis + 2];
    const whole = display.store.state.size[axis];
    // where the visible part is too small to select in, the whole picture is the limit
    const limits = length < SMALLEST_SELECTION ? [0, whole] : [part[axis], part[axis] + length].map(Math.round);
    if (!selection.length) return fitted(part[axis] + length / 2, Math.round(length / 2), limits);
    const step = Math.max(Math.round(length / STEPS), 1);
    const middle = selection[axis] + selection[axis + 2] / 2 + steps * step;
    return fitted(middle, selection[axis + 2] + 2 * larger * step, limits);
  });
  return [sides[0][0], sides[1][0], sides[0][1], sides[1][1]];
}

/** One side of a selection about its middle, as start and length: large enough, and inside the limits. */
function fitted(middle, length, [low, high]) {
  const fits = Math.min(Math.max(length, SMALLEST_SELECTION), high - low);
  return [clamp(Math.round(middle - fits / 2), low, high - fits), fits];
}

function attachKeys(display, overview, on) {
  const pan = (x, y) => () => display.pan(x, y);
  const zoom = (factor) => () => display.zoomAbout([0.5, 0.5], factor);
  const select = (x, y, larger = 0) => () => display.set({ selection: changedSelection(display, x, y, larger) });
  // many keyboards need Shift for a plus: without a selection it zooms as ever
  const size = (larger, otherwise = () => {}) => () =>
    (display.get("selection").length ? select(0, 0, larger) : otherwise)();
  const [larger, smaller] = [size(1, zoom(1.25)), size(-1, zoom(0.8))];
  on(display.picture, "keydown", keys({
    ArrowLeft: pan(-0.1, 0), ArrowRight: pan(0.1, 0), ArrowUp: pan(0, -0.1), ArrowDown: pan(0, 0.1),
    "+": zoom(1.25), "=": zoom(1.25), "-": zoom(0.8), 0: () => display.fitAll(),
    Escape: () => display.set({ selection: [] }),
  }, {
    ArrowLeft: select(-1, 0), ArrowRight: select(1, 0), ArrowUp: select(0, -1), ArrowDown: select(0, 1),
    "+": larger, "=": larger, "*": size(1), "-": smaller, _: size(-1), // what the keys of + and - are with Shift
  }));
  const border = (step) => () => display.setBorder(Math.round(100 * display.get("share") + step) / 100);
  on(display.border, "keydown", keys({
    ArrowLeft: border(-1), ArrowDown: border(-1), ArrowRight: border(1), ArrowUp: border(1),
    PageDown: border(-10), PageUp: border(10), Home: () => display.setBorder(0), End: () => display.setBorder(1),
  }));
  const work = (x, y) => () => overview.step(x, y);
  on(display.overview, "keydown", keys({
    ArrowLeft: work(-0.25, 0), ArrowRight: work(0.25, 0), ArrowUp: work(0, -0.25), ArrowDown: work(0, 0.25),
  }));
  on(display.fit, "click", () => display.fitAll());
  on(display.full, "click", () => display.toggleFull());
}

/**
 * The whole image, small, with the part in work, which can be moved. While a hand holds it, or keys have moved it and
 * are not sent yet, what the kernel says of it has to wait: it may be the answer to an earlier move.
 */
function attachOverview({ model, overview, part }, signal) {
  const image = overview.querySelector("img");
  let [bytes, size, middle] = [undefined, [1, 1], [0.5, 0.5]];
  let { overview: turn } = model.get("laid");
  let [held, later] = [false, 0];

  /** Let hand and keys go. */
  function free() {
    clearTimeout(later);
    [held, later] = [false, 0];
  }

  function show() {
    if (bytes !== model.get("overview")) {
      free(); // what they moved was another image's
      bytes = model.get("overview");
      URL.revokeObjectURL(image.src);
      image.src = bytes.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
      overview.hidden = !bytes.byteLength;
    }
    if (held || later) return;
    const [left, top, width, height] = model.get("overview_rect");
    size = [width, height];
    place([left + width / 2, top + height / 2]);
  }

  /** Show what the kernel has set anew, even to what it was: after an error the part in work stays where it is. */
  function take() {
    const last = turn;
    turn = model.get("laid").overview;
    if (turn !== last) show();
  }

  function place(at) {
    middle = at.map((share, axis) => clamp(share, size[axis] / 2, 1 - size[axis] / 2));
    const [left, top] = middle.map((share, axis) => percent(share - size[axis] / 2));
    Object.assign(part.style, { left, top, width: percent(size[0]), height: percent(size[1]) });
    const [across, down] = middle.map((share) => Math.round(100 * share));
    overview.setAttribute("aria-valuenow", across);
    overview.setAttribute("aria-valuetext", `${across} % across, ${down} % down`);
  }

  function send() {
    free();
    model.send({ kind: "work", x: middle[0], y: middle[1] });
  }

  function step(x, y) {
    place([middle[0] + x * size[0], middle[1] + y * size[1]]);
    clearTimeout(later);
    later = setTimeout(send, KEYS_REST);
  }

  function hold(at) {
    if (later) send(); // a drag that breaks off takes no key with it
    held = true;
    place(at);
  }

  const drag = (at) => held && place(at);
  function release(at) {
    drag(at);
    if (held) send();
  }

  /** A drag has broken off: the part in work is where the kernel says. */
  function letGo() {
    if (!held) return;
    held = false;
    show();
  }

  model.on("change:overview", show);
  model.on("change:laid", take);
  signal.addEventListener("abort", () => {
    free();
    URL.revokeObjectURL(image.src);
  });
  show();
  return { hold, drag, release, letGo, step };
}

function attachDrop(display, on) {
  const { el, stage } = display;
  /** Take an event of files that are dragged; others are not for us. */
  const ours = (act) => (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    act(event);
  };
  on(el, "dragenter dragover", ours((event) => {
    event.dataTransfer.dropEffect = "copy";
    stage.classList.add("srvae-target");
  }));
  on(el, "dragleave", (event) => el.contains(event.relatedTarget) || stage.classList.remove("srvae-target"));
  on(el, "drop", ours(async (event) => {
    stage.classList.remove("srvae-target");
    const files = [...event.dataTransfer.files];
    const images = files.filter(({ name, type }) => type.startsWith("image/") || /\.tiff?$/i.test(name));
    const bytes = images.reduce((sum, { size }) => sum + size, 0);
    if (bytes > LARGEST_DROP) return display.say("More than 64 MB cannot be dropped: open the image from its folder.");
    const contents = await Promise.all(images.map((file) => file.arrayBuffer().catch(() => undefined)));
    const read = images.map(({ name }, i) => ({ name, content: contents[i] }));
    const texts = images.length < files.length ? ["Only image files can be dropped here."] : [];
    const lost = read.filter(({ content }) => !content).map(({ name }) => name).join(", ");
    if (lost) texts.push(`Cannot be read: ${lost}. Drop image files that are still there, not folders.`);
    if (texts.length) display.say(texts.join(" "));
    sendFiles(display.model, read.filter(({ content }) => content));
  }));
}

/** Send files whole or, where they are large, in pieces that the kernel puts together again. */
function sendFiles(model, files) {
  const [names, contents] = [files.map(({ name }) => name), files.map(({ content }) => content)];
  const bytes = contents.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (!files.length) return;
  if (bytes <= PIECE) return model.send({ kind: "drop", names }, undefined, contents);
  const drop = crypto.getRandomValues(new Uint32Array(1))[0]; // tells it from another display's
  contents.forEach((content, file) => {
    for (let from = 0; from === 0 || from < content.byteLength; from += PIECE) {
      const last = file === names.length - 1 && from + PIECE >= content.byteLength;
      model.send({ kind: "piece", drop, names, file, from, last }, undefined, [content.slice(from, from + PIECE)]);
    }
  });
}
