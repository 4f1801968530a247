// What mouse, fingers, keys and dropped files do. It follows picture.js in the same module.

const SMALLEST_SELECTION = 8; // answer pixels a side
const LARGEST_DROP = 64 * 2 ** 20; // bytes of all files together
const PIECE = 4 * 2 ** 20; // bytes in one message: a Jupyter server closes the line at 10 MiB
const WHEEL_REST = 250; // milliseconds after a zoom in which the wheel does not scroll the page

function attachHands(display, signal) {
  const on = (target, kinds, act, options) => {
    for (const kind of kinds.split(" ")) target.addEventListener(kind, act, { signal, ...options });
  };
  const overview = attachOverview(display);
  attachPointers(display, overview, on);
  attachKeys(display, overview, on);
  attachDrop(display, on);
}

function attachPointers(display, overview, on) {
  const { stage, picture, border } = display;
  const fingers = new Map(); // what is pressed down, and where it was last
  let [gesture, start, offset, lastZoom] = [undefined, undefined, 0, -Infinity];

  const placeOn = (target, { clientX, clientY }) => {
    const box = target.getBoundingClientRect();
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  };

  function begin(event) {
    if (fingers.size > 1) return "pinch";
    if (display.overview.contains(event.target)) return "overview";
    if (event.target === border && !event.shiftKey) return "border";
    return event.shiftKey || display.get("selecting") ? "select" : "pan";
  }

  function press(event) {
    if (event.button !== 0 || event.target.closest("button")) return;
    if (event.isPrimary) fingers.clear(); // of those that never said good-bye
    start = placeOn(picture, event);
    fingers.set(event.pointerId, start);
    stage.setPointerCapture(event.pointerId);
    [gesture, offset, display.selected] = [begin(event), start[0] - display.get("share"), undefined];
    // the frame of what has the focus is for keys; who drags sees what is dragged
    ({ border, overview: display.overview }[gesture] ?? picture).focus({ preventScroll: true, focusVisible: false });
    stage.dataset.gesture = gesture;
    if (gesture === "overview") overview.place(placeOn(display.overview, event));
  }

  function move(event) {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const at = placeOn(picture, event);
    if (gesture === "pinch") pinch(event.pointerId, at);
    if (gesture === "border") display.set({ share: clamp(at[0] - offset, 0, 1) });
    if (gesture === "pan") display.pan(last[0] - at[0], last[1] - at[1]);
    if (gesture === "overview") overview.place(placeOn(display.overview, event));
    if (gesture === "select") display.selected = rectangle(start, at);
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
    display.zoomAbout(before.middle, (display.zoom * Math.max(after.apart, 1)) / Math.max(before.apart, 1));
    display.pan(before.middle[0] - after.middle[0], before.middle[1] - after.middle[1]);
  }

  /** The rectangle between two places on the canvas, in whole answer pixels. */
  function rectangle(one, other) {
    const part = display.visible();
    const pixel = (place, axis) => Math.round(part[axis] + clamp(place[axis], 0, 1) * part[axis + 2]);
    const [[left, right], [top, bottom]] = [0, 1].map((axis) =>
      [pixel(one, axis), pixel(other, axis)].sort((a, b) => a - b));
    return [left, top, right - left, bottom - top];
  }

  function release(event) {
    if (!fingers.delete(event.pointerId)) return;
    const [ended, rect, done] = [gesture, display.selected ?? [0, 0, 0, 0], event.type === "pointerup"];
    gesture = ended === "pinch" && fingers.size === 1 ? "pan" : undefined;
    stage.dataset.gesture = gesture ?? "";
    display.selected = undefined;
    display.redraw();
    if (ended === "overview") overview.end(done);
    const enough = Math.min(rect[2], rect[3]) >= SMALLEST_SELECTION;
    if (ended === "select" && done) display.set({ selection: enough ? rect : [] });
  }

  /** A finger scrolls the page only where it can do nothing else. */
  function holdPage(event) {
    const free = event.touches.length === 1 && gesture === "pan" && display.zoom === 1;
    if (event.cancelable && !free) event.preventDefault();
  }

  function turn(event) {
    const outwards = event.deltaY > 0;
    const atRest = event.timeStamp - lastZoom > WHEEL_REST;
    if (!event.deltaY || (outwards && display.zoom === 1 && atRest && !event.ctrlKey)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!outwards || display.zoom > 1) lastZoom = event.timeStamp;
    const pixels = event.deltaY * [1, 33, 400][event.deltaMode];
    const factor = Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)); // a trackpad's pinch makes small steps
    display.zoomAbout(placeOn(picture, event), display.zoom * factor);
  }

  function pressKey({ key, shiftKey, type }) {
    stage.classList.toggle("srvae-shift", shiftKey); // which shows a crosshair
    if (key !== "Escape" || type !== "keydown") return;
    if (gesture === "select") [gesture, display.selected] = [undefined, undefined];
    display.set({ selection: [] });
    display.redraw();
  }

  on(stage, "pointerdown", press);
  on(stage, "pointermove", move);
  on(stage, "pointerup pointercancel", release);
  on(stage, "touchmove", holdPage, { passive: false });
  on(stage, "wheel", turn, { passive: false });
  on(stage, "mousedown", (event) => event.shiftKey && event.stopPropagation()); // JupyterLab would select cells
  on(stage, "dblclick", (event) => event.target.closest("button, [role=slider]") || display.look(0, 0, 1));
  on(window, "keydown keyup", pressKey, { capture: true }); // wherever the focus is
}

/** Do what a table says for a key; the others go on to JupyterLab. */
const keys = (actions) => (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  event.stopPropagation();
  actions[event.key]();
};

function attachKeys(display, overview, on) {
  const pan = (x, y) => () => display.pan(x, y);
  const zoom = (factor) => () => display.zoomAbout([0.5, 0.5], display.zoom * factor);
  const border = (to) => () => display.set({ share: clamp(Math.round(100 * display.get("share") + to) / 100, 0, 1) });
  const work = (x, y) => () => overview.step(x, y);
  const actual = () => display.zoomAbout([0.5, 0.5], display.actual);
  const fit = () => display.look(0, 0, 1);
  on(display.picture, "keydown", keys({
    ArrowLeft: pan(-0.1, 0), ArrowRight: pan(0.1, 0), ArrowUp: pan(0, -0.1), ArrowDown: pan(0, 0.1),
    "+": zoom(1.25), "=": zoom(1.25), "-": zoom(0.8), 0: fit, 1: actual,
  }));
  on(display.border, "keydown", keys({
    ArrowLeft: border(-1), ArrowDown: border(-1), ArrowRight: border(1), ArrowUp: border(1),
    PageDown: border(-10), PageUp: border(10), Home: border(-100), End: border(100),
  }));
  on(display.overview, "keydown", keys({
    ArrowLeft: work(-0.25, 0), ArrowRight: work(0.25, 0), ArrowUp: work(0, -0.25), ArrowDown: work(0, 0.25),
  }));
  on(display.pixels, "click", actual);
  on(display.fit, "click", fit);
  on(display.full, "click", () => display.toggleFull());
}

/** The photograph, small, with the part in work, which can be dragged. */
function attachOverview({ model, overview, part }) {
  const image = overview.querySelector("img");
  let middle;

  function place(at) {
    const size = model.get("frame").slice(2);
    middle = at.map((share, axis) => clamp(share, size[axis] / 2, 1 - size[axis] / 2));
    const [left, top, width, height] = [...middle.map((share, axis) => share - size[axis] / 2), ...size]
      .map((share) => `${100 * share}%`);
    Object.assign(part.style, { left, top, width, height });
    overview.setAttribute("aria-valuenow", Math.round(100 * middle[0]));
    overview.setAttribute("aria-valuetext", middle.map((share) => `${Math.round(100 * share)} %`).join(" and "));
  }

  function show() {
    const [left, top, width, height] = model.get("frame");
    place([left + width / 2, top + height / 2]);
  }

  function load() {
    const bytes = model.get("overview");
    URL.revokeObjectURL(image.src);
    image.src = bytes.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
    overview.hidden = !bytes.byteLength;
    show();
  }

  function end(done) {
    if (!done) return show();
    model.set({ work: middle });
    model.save_changes();
  }

  function step(x, y) {
    const [, , width, height] = model.get("frame");
    place([middle[0] + x * width, middle[1] + y * height]);
    end(true);
  }

  model.on("change:overview", load);
  for (const name of ["frame", "work"]) model.on(`change:${name}`, show);
  load();
  return { place, end, step };
}

function attachDrop({ el, stage, model }, on) {
  const ours = (act) => (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    act(event);
  };
  on(el, "dragenter dragover", ours(() => stage.classList.add("srvae-target")));
  on(el, "dragleave", (event) => el.contains(event.relatedTarget) || stage.classList.remove("srvae-target"));
  on(el, "drop", ours(async (event) => {
    stage.classList.remove("srvae-target");
    const files = [...event.dataTransfer.files];
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const contents = bytes <= LARGEST_DROP && await Promise.all(files.map((file) => file.arrayBuffer().catch(() => null)));
    if (!contents || contents.includes(null)) return model.send({ kind: "refused" });
    sendFiles(model, files.map(({ name }) => name), contents);
  }));
}

/** Send files in pieces, which the kernel puts together again. */
function sendFiles(model, names, contents) {
  let first = true;
  contents.forEach((content, file) => {
    for (let from = 0; from === 0 || from < content.byteLength; from += PIECE) {
      const last = file === names.length - 1 && from + PIECE >= content.byteLength;
      model.send({ kind: "piece", names, file, first, last }, undefined, [content.slice(from, from + PIECE)]);
      first = false;
    }
  });
}
