// The third part: names for screen readers in all of the view.
// ipywidgets gives the handles of its sliders and its images no name that a screen reader could say. And Notebook 7
// takes the arrow keys for itself unless the very element that has the focus says that it has keys of its own.

function setAttribute(element, name, value) {
  if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function label() {
  for (const slider of document.querySelectorAll(".srvae-view .widget-slider")) {
    const { title, textContent } = slider.querySelector(".widget-label");
    const handle = slider.querySelector("[role=slider]");
    setAttribute(handle, "aria-label", textContent || title);
    setAttribute(handle, "data-lm-suppress-shortcuts", "true");
  }
  for (const titled of document.querySelectorAll(".srvae-view [title=null]")) titled.removeAttribute("title");
  for (const image of document.querySelectorAll(".srvae-view img:not([alt])")) {
    image.alt = ""; // the controls beside it say what it shows
  }
}

// one for the page, however many views it has
if (!window.srvaeLabels) {
  window.srvaeLabels = new MutationObserver(label);
  window.srvaeLabels.observe(document.body, { childList: true, subtree: true, attributeFilter: ["title"] });
  label();
}
