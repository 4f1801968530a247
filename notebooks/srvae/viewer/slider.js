// A slider: its name, a track with a handle, and its number, which can be typed over.
// It sends only what a hand, a key or a typed number moved it to, never what the kernel has set. A slider that answers
// the kernel with a number pulled to its steps, or with an old one, makes a move that nobody made.

const STEPS = {
  ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1,
  PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity,
};

function append(parent, tag, className, values = {}) {
  const element = Object.assign(document.createElement(tag), { className, ...values });
  parent.append(element);
  return element;
}

function render({ model, el, signal }) {
  el.classList.add("jupyter-widgets", "jupyter-widget-inline-hbox", "jupyter-widget-hslider", "srvae-slider");
  const label = append(el, "div", "jupyter-widget-label");
  // "any" step: a value between two steps is shown where it is
  const track = append(el, "input", "srvae-track", { type: "range", step: "any" });
  const number = append(el, "input", "jupyter-widget-readout", { type: "text", inputMode: "decimal", autocomplete: "off" });
  track.dataset.lmSuppressShortcuts = "true"; // else Jupyter takes the keys for itself
  let [held, typing] = [false, false];

  function show() {
    const [name, value] = [model.get("description"), model.get("value")];
    const text = value.toFixed(model.get("readout_format").slice(1, -1)); // such as ".2f"
    label.textContent = name;
    label.title = model.get("tooltip") ?? "";
    label.style.width = model.get("description_width");
    for (const part of [track, number]) {
      part.setAttribute("aria-label", name);
      part.disabled = model.get("disabled");
    }
    track.setAttribute("aria-valuetext", text);
    if (!typing) number.value = text;
    if (held) return; // the handle stays where the hand is, and the ends stay, too
    [track.min, track.max] = [model.get("min"), model.get("max")];
    track.value = value; // last: the ends would pull it inside
  }

  /** Send a value, kept between the ends that are shown. ipywidgets keeps one message under way, and the newest next. */
  function move(value) {
    const inside = Math.min(Math.max(value, Number(track.min)), Number(track.max));
    model.set("value", Number(inside.toFixed(model.get("digits"))));
    model.save_changes();
  }

  function drag() {
    const [low, step] = [Number(track.min), model.get("step")];
    move(low + Math.round((track.valueAsNumber - low) / step) * step);
  }

  function letGo() {
    if (!held) return;
    held = false;
    show();
  }

  function press(event) {
    if (event.metaKey || event.altKey || !Object.hasOwn(STEPS, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    move(model.get("value") + STEPS[event.key] * model.get("step"));
  }

  function leave() {
    typing = false;
    show();
  }

  function take() {
    const typed = Number(number.value.replace(",", "."));
    if (typing && number.value.trim() && Number.isFinite(typed)) move(typed);
    leave(); // also where it was no number
  }

  function type(event) {
    event.stopPropagation(); // else JupyterLab takes Enter for itself
    if (event.key === "Enter") take();
    if (event.key === "Escape") leave();
  }

  const on = (target, kind, act) => target.addEventListener(kind, act, { signal });
  on(track, "input", drag);
  on(track, "keydown", press);
  on(track, "pointerdown", () => (held = true));
  on(window, "pointerup", letGo); // wherever the hand is by then
  on(window, "pointercancel", letGo);
  on(track, "change", letGo);
  on(number, "input", () => (typing = true));
  on(number, "keydown", type);
  on(number, "blur", take);
  model.on("change", show);
  show();
}

export default { render };
