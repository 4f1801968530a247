// The picture. The kernel sends layers; the page stacks them and moves border, zoom and place by itself.
// hands.js, which follows in the same module, is mouse, fingers, keys and dropped files.
// Rectangles are [left, top, width, height] in answer pixels, places on the canvas [x, y] from 0 to 1.

const LAYERS = ["bottom", "left", "right", "patch", "overlay"];
const STATE = ["size", "exact", "left_label", "right_label", "name"]; // shown together with the layers
const MOVES = ["share", "zoom", "across", "down", "selection", "selecting", "working"]; // shown at once
const LARGEST_ZOOM = 16;
const TEXT_STAYS = 8000; // milliseconds
const ANSWERS_WITHIN = 1000; // milliseconds, unless the kernel runs other cells
const ROOM = 150; // pixels of the window's height that the notebook's own bars take

const KEYS = 'tabindex="0" data-lm-suppress-shortcuts="true"'; // else JupyterLab takes the keys for itself
const SLIDER = `role="slider" aria-valuemin="0" aria-valuemax="100" ${KEYS}`;
const HINT = "Arrow keys move what is visible. Plus and minus zoom, 0 shows all, 1 shows single pixels.";
const icon = (path) => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
const button = (name, title, content) =>
  `<button type="button" class="srvae-${name}" aria-label="${title}" title="${title}">${content}</button>`;
const PARTS = `
  <canvas class="srvae-picture" role="img" aria-description="${HINT}" ${KEYS}></canvas>
  <div class="srvae-border" aria-label="Border" title="Drag the border, or use the arrow keys" ${SLIDER}></div>
  <div class="srvae-label srvae-label-left"></div><div class="srvae-label srvae-label-right"></div>
  <div class="srvae-label srvae-draft">draft</div>
  <div class="srvae-overview" aria-label="Part in work" title="Drag the frame, or use the arrow keys" ${SLIDER}>
    <img alt="" draggable="false"><div class="srvae-part"></div></div>
  <div class="srvae-buttons"><div class="srvae-working" aria-hidden="true"></div>
    ${button("pixels", "One screen pixel for one pixel", "1:1")}
    ${button("fit", "Show the whole picture", icon("M1 3h14v10H1z M5 6h6v4H5z"))}
    ${button("full", "Full screen", icon("M2 6V2h4 M10 2h4v4 M14 10v4h-4 M6 14H2v-4"))}</div>
  <div class="srvae-text" role="status"></div>`;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const covers = ([left, top, width, height], inner) =>
  left <= inner[0] && top <= inner[1] && left + width >= inner[0] + inner[2] && top + height >= inner[1] + inner[3];
const decode = async (bytes) => (bytes?.byteLength ? createImageBitmap(new Blob([bytes])) : null);

/** The layers of one model, which all its displays draw. What came in one message is shown together. */
class Store {
  constructor(model) {
    Object.assign(this, { model, layers: {}, patches: [], asked: {}, state: { size: [0, 0] }, watchers: new Set() });
    this.queue = Promise.resolve();
    model.on("change", () => this.take());
    this.take();
  }

  take() {
    const get = (name) => this.model.get(name);
    const [laid, state] = [get("laid"), Object.fromEntries(STATE.map((name) => [name, get(name)]))];
    const key = JSON.stringify([state, laid]);
    if (key === this.key) return;
    this.key = key;
    const sent = LAYERS.filter((name) => name in laid && laid[name] !== this.asked[name])
      .map((name) => ({ name, turn: laid[name], bytes: get(name), rect: get(`${name}_rect`) }))
      .sort((one, other) => one.turn - other.turn);
    for (const { name, turn } of sent) this.asked[name] = turn;
    this.queue = this.queue.then(() => this.show(sent, state)).catch(console.error); // the next ones still come
  }

  async show(sent, state) {
    const { right = 0 } = this.asked; // patches below a newer right side are out of date
    const fresh = sent.filter(({ name, turn }) => turn >= (name === "patch" ? right : this.asked[name]));
    const bitmaps = await Promise.all(fresh.map(({ bytes }) => decode(bytes)));
    if (String(state.size) !== String(this.state.size)) this.clear();
    fresh.forEach(({ name, rect }, i) => this.lay(name, rect, bitmaps[i]));
    this.state = state;
    if (this.closed) this.clear();
    for (const watcher of this.watchers) watcher();
  }

  lay(name, rect, bitmap) {
    if (name === "right" || name === "patch") {
      const gone = this.patches.filter((old) => name === "right" || !bitmap || covers(rect, old.rect));
      for (const old of gone) old.bitmap.close();
      this.patches = this.patches.filter((old) => !gone.includes(old));
    }
    if (name === "patch") return bitmap && this.patches.push({ rect, bitmap });
    this.layers[name]?.bitmap.close();
    this.layers[name] = bitmap && { rect, bitmap };
  }

  clear() {
    for (const name of LAYERS) this.lay(name, null, null);
  }
}

/** One display of the picture: the canvas and what lies on it. */
class Display {
  constructor(model, store, el, signal) {
    Object.assign(this, { model, store, el, frames: 0 });
    el.classList.add("srvae-frame");
    this.stage = Object.assign(document.createElement("div"), { className: "srvae-stage", innerHTML: PARTS });
    // the parts by the last word of their class: this.picture, this.border, this.left, ...
    for (const part of this.stage.querySelectorAll("[class]")) this[part.className.split("-").at(-1)] = part;
    el.append(this.stage);
    this.picture.srvae = store;
    this.context = this.picture.getContext("2d");
    for (const name of MOVES) model.on(`change:${name}`, () => this.redraw());
    const settle = () => this.settle();
    store.watchers.add(settle);
    const observer = new ResizeObserver(() => this.resize());
    for (const part of [el, this.picture]) observer.observe(part);
    signal.addEventListener("abort", () => {
      observer.disconnect();
      store.watchers.delete(settle);
      cancelAnimationFrame(this.frame);
    });
    this.settle();
  }

  get(name) {
    return this.model.get(name);
  }

  /** Change synced values at once; the kernel hears of them as fast as it answers, and of the last one always. */
  set(values) {
    this.model.set(values);
    this.model.save_changes();
  }

  /** The zoom at which a screen pixel is a pixel of the answer. */
  get actual() {
    return clamp(this.store.state.size[0] / this.picture.width, 1, LARGEST_ZOOM);
  }

  get zoom() {
    return this.get("zoom") || this.actual;
  }

  /** The visible part, in answer pixels. */
  visible() {
    const [w, h] = this.store.state.size.map((side) => side / this.zoom);
    return [this.get("across") * (this.zoom - 1) * w, this.get("down") * (this.zoom - 1) * h, w, h];
  }

  /** Show the part with this left upper corner, kept inside the picture. */
  look(left, top, zoom) {
    const place = (at, side) => (zoom > 1 ? clamp(at / (side - side / zoom), 0, 1) : 0.5);
    const [width, height] = this.store.state.size;
    if (width && height) this.set({ zoom, across: place(left, width), down: place(top, height) });
  }

  zoomAbout([x, y], zoom) {
    const [[left, top, w, h], to] = [this.visible(), clamp(zoom, 1, LARGEST_ZOOM)];
    const shrunk = 1 - this.zoom / to;
    this.look(left + x * w * shrunk, top + y * h * shrunk, to);
  }

  /** Move what is shown by shares of the visible part. */
  pan(x, y) {
    const [left, top, w, h] = this.visible();
    this.look(left + x * w, top + y * h, this.zoom);
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Take over what came with the layers. */
  settle() {
    const { left_label, right_label, name } = this.store.state;
    [this.left.textContent, this.right.textContent] = [left_label, right_label];
    this.widths = [this.left, this.right].map((label) => label.textContent && label.offsetWidth + 12);
    this.picture.setAttribute("aria-label", `${name}: ${left_label} | ${right_label}`);
    this.resize();
    this.redraw();
  }

  /** Give the stage the room that is there, at a whole number of screen pixels for a pixel of the answer if it fits. */
  resize() {
    const [[width, height], ratio] = [this.store.state.size, window.devicePixelRatio];
    if (!height || !this.el.clientWidth) return; // nothing to show, or not on the page just now
    const room = Math.min(this.el.clientWidth, ((window.innerHeight - ROOM) * width) / height) * ratio;
    const wide = Math.floor(room / width) * width || Math.floor(room);
    this.el.style.setProperty("--srvae-shape", width / height);
    this.el.style.setProperty("--srvae-width", `${wide / ratio}px`);
    const before = this.get("still") && this.el.closest(".jp-OutputArea-child")?.previousElementSibling;
    if (before && before.querySelector(".jp-RenderedImage")) before.style.display = "none"; // for who has no kernel
    const box = this.picture.getBoundingClientRect();
    const shown = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (!shown[0] || !shown[1]) return;
    if (shown[0] !== this.picture.width || shown[1] !== this.picture.height) {
      [this.picture.width, this.picture.height] = shown;
      this.set({ shown });
      this.draw(); // at once: a canvas of a new size is empty
    }
    if (!this.get("zoom")) this.set({ zoom: this.actual });
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { picture, context, store, zoom, widths } = this;
    const { bottom, left, right, overlay } = store.layers;
    const [share, across, down, working] = ["share", "across", "down", "working"].map((name) => this.get(name));
    const [width, border] = [picture.width, Math.round(share * picture.width)];
    context.clearRect(0, 0, width, picture.height);
    if (bottom) {
      this.drawSide(0, border, [bottom, left]);
      this.drawSide(border, width, [bottom, right, ...store.patches], overlay);
      context.fillStyle = "white";
      if (share > 0 && share < 1) context.fillRect(Math.min(border, width - 1), 0, 1, picture.height);
      this.drawSelection();
    }
    const toggle = (part, name, on) => part.classList.toggle(`srvae-${name}`, on);
    const [onLeft, onRight] = [share * picture.clientWidth, (1 - share) * picture.clientWidth];
    this.el.style.setProperty("--srvae-share", share);
    this.border.setAttribute("aria-valuenow", Math.round(100 * share));
    this.border.setAttribute("aria-valuetext", `${Math.round(100 * share)} %`);
    toggle(this.left, "hidden", !widths[0] || onLeft < widths[0]);
    toggle(this.right, "hidden", !widths[1] || onRight < widths[1]);
    toggle(this.draft, "hidden", store.state.exact || !bottom || onRight < widths[1]);
    toggle(this.working, "on", working);
    toggle(this.stage, "zoomed", zoom > 1);
    toggle(this.stage, "selecting", this.get("selecting"));
    picture.setAttribute("aria-busy", working);
    const exact = Boolean(store.state.exact);
    Object.assign(picture.dataset, { frames: ++this.frames, exact, working, share, zoom, across, down });
  }

  drawSide(from, to, layers, overlay) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, this.picture.height);
    context.clip();
    for (const layer of layers) if (layer) this.drawLayer(layer);
    context.globalAlpha = 0.65;
    if (overlay) this.drawLayer(overlay);
    context.restore();
  }

  /** Where a rectangle lies on the canvas. All edges are rounded alike, so that neighbours leave no gap. */
  onCanvas([x, y, width, height]) {
    const [left, top, w, h] = this.visible();
    const [across, down] = [this.picture.width / w, this.picture.height / h];
    const [x0, x1] = [x, x + width].map((edge) => Math.round(edge * across) - Math.round(left * across));
    const [y0, y1] = [y, y + height].map((edge) => Math.round(edge * down) - Math.round(top * down));
    return [x0, y0, x1 - x0, y1 - y0];
  }

  drawLayer({ rect, bitmap }) {
    // crisp where an answer pixel has one of the screen, or two and more; between them some would be twice as wide
    const times = this.picture.width / this.visible()[2];
    const crisp = times >= 2 || Math.abs(times - 1) < 0.002;
    this.context.imageSmoothingEnabled = !crisp || bitmap.width < rect[2];
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(bitmap, ...this.onCanvas(rect));
  }

  drawSelection() {
    const rect = this.selected ?? this.get("selection");
    if (!rect.length) return;
    const [x, y, width, height] = this.onCanvas(rect);
    for (const [colour, dash] of [["black", []], ["white", [6, 6]]]) {
      this.context.strokeStyle = colour;
      this.context.setLineDash(dash);
      this.context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    }
  }

  say(text, stays = TEXT_STAYS) {
    this.text.textContent = text;
    clearTimeout(this.silence);
    if (stays) this.silence = setTimeout(() => (this.text.textContent = ""), stays);
  }

  async toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.el.requestFullscreen().catch(() => this.say("The browser allows no full screen here."));
    this.picture.focus({ preventScroll: true });
  }
}

/** Tell the user when an action gets no response because the kernel runs other cells. */
function watchKernel(view, display, signal) {
  const prompts = () => [...(view.closest(".jp-Notebook")?.querySelectorAll(".jp-InputPrompt") ?? [])];
  const isBusy = () => prompts().some((prompt) => prompt.textContent.includes("*"));
  let [waiting, frames] = [0, 0];
  function check() {
    const stuck = isBusy() && frames === display.frames;
    display.say(stuck ? "The kernel is busy with other cells. The picture follows when they are done." : "", 0);
    if (stuck) waiting = setTimeout(check, ANSWERS_WITHIN);
  }
  function begin() {
    clearTimeout(waiting);
    frames = display.frames;
    if (isBusy()) waiting = setTimeout(check, ANSWERS_WITHIN);
  }
  for (const kind of ["pointerdown", "keydown"]) view.addEventListener(kind, begin, { signal, capture: true });
}

/** Mend ipywidgets: names of its sliders and icons for screen readers, keys that JupyterLab would take, counts of uploads. */
function complete(view) {
  for (const titled of view.querySelectorAll("[title=null]")) titled.removeAttribute("title");
  for (const image of view.querySelectorAll("img:not([alt])")) image.alt = "";
  view.querySelector("input[type=number]:not([aria-label])")?.setAttribute("aria-label", "Number of the sample");
  view.querySelector(".widget-play button:first-child:not([aria-label])")?.setAttribute("aria-label", "Play");
  for (const button of view.querySelectorAll("button[title]:not([title='']):not([aria-label])")) {
    if (!button.textContent) button.setAttribute("aria-label", button.title);
  }
  for (const handle of view.querySelectorAll(".noUi-handle:not([aria-label])")) {
    handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector(".widget-label").textContent);
    handle.dataset.lmSuppressShortcuts = "true";
  }
  for (const upload of view.querySelectorAll(".widget-upload")) {
    const text = upload.lastChild;
    if (/ \(\d+\)$/.test(text?.data)) text.data = text.data.replace(/ \(\d+\)$/, "");
  }
}

function download({ kind, name, type }, buffers) {
  if (kind !== "download") return;
  const href = URL.createObjectURL(new Blob([buffers[0]], { type }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser may ask first where to
}

export default () => {
  let store;
  return {
    initialize({ model }) {
      store = new Store(model);
      model.on("msg:custom", download);
      return () => {
        store.closed = true;
        store.clear();
      };
    },
    render({ model, el, signal }) {
      const display = new Display(model, store, el, signal);
      attachHands(display, signal);
      requestAnimationFrame(() => { // once it lies in the view
        const view = el.closest(".srvae-view") ?? el;
        watchKernel(view, display, signal);
        const observer = new MutationObserver(() => complete(view));
        observer.observe(view, { childList: true, subtree: true, attributeFilter: ["title"] });
        signal.addEventListener("abort", () => observer.disconnect());
        complete(view);
      });
    },
  };
};
