// The picture that is touched. The kernel sends layers; the page stacks them and moves border, zoom and pan by itself.
// Its second half, hands.js, is what mouse, fingers, keys and dropped files do.
// Rectangles are [left, top, width, height] in pixels of the whole answer, places on the canvas [x, y] from 0 to 1.

const LAYERS = ["bottom", "left", "whole", "right", "patch", "overlay"];
const STATE = ["size", "exact", "left_label", "right_label", "name"]; // changes together with the layers
const MOVES = ["share", "zoom", "across", "down", "selection", "selecting", "working"]; // take effect at once
const LARGEST_ZOOM = 16;
const OVERLAY_OPACITY = 0.65;
const TEXT_STAYS = 8000; // milliseconds

const KEYS = 'tabindex="0" data-lm-suppress-shortcuts="true"'; // else JupyterLab takes the keys for itself
const SLIDER = `role="slider" aria-valuemin="0" aria-valuemax="100" ${KEYS}`;
const HINT =
  "Arrow keys move what is visible. Plus and minus zoom, 0 shows the whole picture. Shift and an arrow key select a " +
  "rectangle and move it. Shift and plus or minus make it larger or smaller. Escape drops it.";
const icon = (path) => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
const PARTS = `
  <canvas class="srvae-picture" role="img" aria-description="${HINT}" ${KEYS}></canvas>
  <div class="srvae-border" aria-label="Border" title="Border: drag it, or use the arrow keys" ${SLIDER}></div>
  <div class="srvae-label srvae-label-left"></div>
  <div class="srvae-label srvae-label-right"></div>
  <div class="srvae-label srvae-draft">draft</div>
  <div class="srvae-overview" aria-label="Part in work" title="Part in work: drag it, or use the arrow keys" ${SLIDER}>
    <img alt="" draggable="false"><div class="srvae-part"></div>
  </div>
  <div class="srvae-buttons">
    <div class="srvae-working" aria-hidden="true"></div>
    <button type="button" class="srvae-fit" aria-label="Fit" title="Fit: show the whole picture">
      ${icon("M1 3h14v10H1z M5 6h6v4H5z")}
    </button>
    <button type="button" class="srvae-full" aria-label="Full screen" title="Full screen">
      ${icon("M2 6V2h4 M10 2h4v4 M14 10v4h-4 M6 14H2v-4")}
    </button>
  </div>
  <div class="srvae-text" role="status"></div>`;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const covers = ([left, top, width, height], inner) =>
  left <= inner[0] && top <= inner[1] && left + width >= inner[0] + inner[2] && top + height >= inner[1] + inner[3];

async function decode(bytes) {
  if (!bytes?.byteLength) return null;
  return createImageBitmap(new Blob([bytes])).catch(
    (error) => void console.warn("a layer of the picture cannot be decoded", error));
}

/** The layers of one model, which all its displays draw. What came in one message is shown together. */
class Store {
  constructor(model) {
    Object.assign(this, { model, layers: {}, patches: [], asked: {}, state: { size: [0, 0] }, watchers: new Set() });
    this.queue = Promise.resolve();
    model.on("change", () => this.take());
    this.take();
  }

  /** Queue what has been set since the last message. */
  take() {
    const laid = this.model.get("laid");
    const state = Object.fromEntries(STATE.map((name) => [name, this.model.get(name)]));
    const key = JSON.stringify([state, laid]);
    if (key === this.key) return;
    this.key = key;
    const all = [0, 0, ...state.size];
    const sent = LAYERS.filter((name) => name in laid && laid[name] !== this.asked[name])
      .map((name) => ({ name, turn: laid[name], bytes: this.model.get(name), rect: this.model.get(`${name}_rect`) ?? all }))
      .sort((one, other) => one.turn - other.turn);
    for (const { name, turn } of sent) this.asked[name] = turn;
    this.queue = this.queue.then(() => this.show(sent, state)).catch(console.error); // the next ones still come
  }

  /** Whether something that takes its place has been sent since. */
  isOld({ name, turn }) {
    const { right = 0, whole = 0 } = this.asked;
    return turn < (name === "patch" ? Math.max(right, whole) : this.asked[name]);
  }

  async show(sent, state) {
    const fresh = sent.filter((layer) => !this.isOld(layer));
    const bitmaps = await Promise.all(fresh.map(({ bytes }) => decode(bytes)));
    if (String(state.size) !== String(this.state.size)) this.clear();
    fresh.forEach(({ name, rect }, i) => this.lay(name, rect, bitmaps[i]));
    this.state = state;
    if (this.closed) this.clear();
    for (const watcher of this.watchers) watcher();
  }

  lay(name, rect, bitmap) {
    if (name === "patch") {
      this.dropPatches((old) => !bitmap || covers(rect, old));
      if (bitmap) this.patches.push({ rect, bitmap });
      return;
    }
    if (name === "right" || name === "whole") this.dropPatches(() => true);
    this.layers[name]?.bitmap.close();
    delete this.layers[name];
    if (bitmap) this.layers[name] = { rect, bitmap };
  }

  dropPatches(goes) {
    for (const { rect, bitmap } of this.patches) if (goes(rect)) bitmap.close();
    this.patches = this.patches.filter(({ rect }) => !goes(rect));
  }

  clear() {
    for (const name of LAYERS) this.lay(name, null, null);
  }
}

/** One display of the picture: the canvas and what lies on it. */
class Display {
  constructor(model, store, el, signal) {
    Object.assign(this, { model, store, el, frames: 0, widths: [0, 0] });
    el.classList.add("srvae-frame");
    this.stage = Object.assign(document.createElement("div"), { className: "srvae-stage", innerHTML: PARTS });
    // the parts by the last word of their class: this.picture, this.border, this.left, ...
    for (const part of this.stage.querySelectorAll("[class]")) this[part.className.split("-").at(-1)] = part;
    el.append(this.stage);
    this.picture.srvae = store;
    this.context = this.picture.getContext("2d");
    for (const name of MOVES) model.on(`change:${name}`, () => this.redraw());
    model.on("change:still", () => this.hideStill());
    const settle = () => this.settle();
    store.watchers.add(settle);
    this.observer = new ResizeObserver(([entry]) => this.resize(entry));
    this.observer.observe(this.picture);
    signal.addEventListener("abort", () => {
      this.observer.disconnect();
      store.watchers.delete(settle);
      cancelAnimationFrame(this.frame);
      clearTimeout(this.silence);
    });
    document.addEventListener("fullscreenchange", () => this.redraw(), { signal });
    this.settle();
  }

  get(name) {
    return this.model.get(name);
  }

  /** Change synced values at once; the kernel hears of them as fast as it answers, and of the last one always. */
  set(values) {
    this.model.set(values);
    this.model.save_changes(); // ipywidgets keeps one message under way and merges the later ones
  }

  /** The visible part, in answer pixels. */
  visible() {
    const [width, height] = this.store.state.size;
    const [w, h] = [width / this.get("zoom"), height / this.get("zoom")];
    return [this.get("across") * (width - w), this.get("down") * (height - h), w, h];
  }

  /** Show the part with this left upper corner, kept inside the picture. */
  look(left, top, zoom) {
    const place = (at, side) => (zoom > 1 ? clamp(at / (side - side / zoom), 0, 1) : 0.5);
    const [width, height] = this.store.state.size;
    if (width && height) this.set({ zoom, across: place(left, width), down: place(top, height) });
  }

  zoomAbout([x, y], factor) {
    const [left, top, w, h] = this.visible();
    const zoom = clamp(this.get("zoom") * factor, 1, LARGEST_ZOOM);
    const [width, height] = this.store.state.size;
    this.look(left + x * (w - width / zoom), top + y * (h - height / zoom), zoom);
  }

  /** Move what is shown by shares of the visible part. */
  pan(x, y) {
    const [left, top, w, h] = this.visible();
    this.look(left + x * w, top + y * h, this.get("zoom"));
  }

  fitAll() {
    this.look(0, 0, 1);
  }

  setBorder(share) {
    this.set({ share: clamp(share, 0, 1) });
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Take over what came with the layers. */
  settle() {
    const { size, left_label, right_label, name } = this.store.state;
    if (size[1]) this.el.style.setProperty("--srvae-shape", size[0] / size[1]);
    [this.left.textContent, this.right.textContent] = [left_label, right_label];
    this.widths = [this.left, this.right].map((label) => label.textContent && label.offsetWidth + 12);
    const sides = [left_label, right_label].filter(Boolean).join(" | ");
    this.picture.setAttribute("aria-label", [name, sides].filter(Boolean).join(": "));
    this.redraw();
  }

  resize(entry) {
    const [box] = entry.devicePixelContentBoxSize ?? [];
    const ratio = window.devicePixelRatio;
    const width = box?.inlineSize ?? Math.round(entry.contentRect.width * ratio);
    const height = box?.blockSize ?? Math.round(entry.contentRect.height * ratio);
    if (!width || !height) return; // not on the page just now
    this.hideStill();
    [this.picture.width, this.picture.height] = [width, height];
    this.set({ shown: [width, height] });
    this.settle();
    this.draw(); // at once: a canvas of a new size is empty
  }

  /** This picture takes the place of its still in the output before, which those see who have no kernel. */
  hideStill() {
    if (!this.get("still")) return;
    const before = this.el.closest(".jp-OutputArea-child")?.previousElementSibling;
    if (before?.querySelector(".jp-RenderedImage")) before.style.display = "none";
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { picture, context, store } = this;
    const [share, zoom, across, down, working] = ["share", "zoom", "across", "down", "working"].map((n) => this.get(n));
    context.clearRect(0, 0, picture.width, picture.height);
    if (store.state.size[0]) {
      const border = Math.round(share * picture.width);
      const { bottom, left, whole, right, overlay } = store.layers;
      this.drawSide(0, border, [bottom, left]);
      this.drawSide(border, picture.width, [bottom, whole, right, ...store.patches], overlay);
      context.fillStyle = "white";
      if (share > 0 && share < 1) context.fillRect(Math.min(border, picture.width - 1), 0, 1, picture.height);
      this.drawSelection();
    }
    this.place(share, zoom, working);
    const exact = Boolean(store.state.exact);
    Object.assign(picture.dataset, { frames: ++this.frames, exact, working, share, zoom, across, down });
  }

  drawSide(from, to, layers, overlay) {
    const { picture, context } = this;
    const there = layers.filter(Boolean);
    const part = this.visible();
    const lowest = there.findLastIndex(({ rect }) => covers(rect, part)); // what lies below it cannot be seen
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, picture.height);
    context.clip();
    there.slice(Math.max(lowest, 0)).forEach((layer) => this.drawLayer(layer));
    context.globalAlpha = OVERLAY_OPACITY;
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
    // crisp where an answer pixel has at least one of the screen, unless the layer has fewer pixels than the answer
    const magnified = this.picture.width >= 0.999 * this.visible()[2];
    this.context.imageSmoothingEnabled = !magnified || bitmap.width < rect[2];
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

  /** Bring what lies on the canvas in line with the values. */
  place(share, zoom, working) {
    const toggle = (part, name, on) => part.classList.toggle(`srvae-${name}`, on);
    const width = this.picture.clientWidth;
    const narrow = (1 - share) * width < this.widths[1];
    this.el.style.setProperty("--srvae-share", share);
    this.border.setAttribute("aria-valuenow", Math.round(100 * share));
    this.border.setAttribute("aria-valuetext", `${Math.round(100 * share)} %`);
    toggle(this.left, "hidden", !this.widths[0] || share * width < this.widths[0]);
    toggle(this.right, "hidden", !this.widths[1] || narrow);
    toggle(this.draft, "hidden", this.store.state.exact || !this.store.state.size[0] || narrow);
    toggle(this.working, "on", working);
    this.picture.setAttribute("aria-busy", working);
    toggle(this.stage, "zoomed", zoom > 1);
    toggle(this.stage, "selecting", this.get("selecting"));
    this.full.setAttribute("aria-pressed", document.fullscreenElement === this.el);
  }

  say(text) {
    this.text.textContent = text;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => (this.text.textContent = ""), TEXT_STAYS);
  }

  async toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.el.requestFullscreen().catch(() => this.say("The browser allows no full screen here."));
    this.picture.focus({ preventScroll: true });
  }
}

/** Let the browser download what the kernel sends. */
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
      const on = listener(signal);
      const overview = attachOverview(display, signal);
      attachPointers(display, overview, on);
      attachKeys(display, overview, on);
      attachDrop(display, on);
    },
  };
};
