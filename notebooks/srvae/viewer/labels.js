// The third part: names for screen readers in all of the view, where ipywidgets gives none or a wrong one.

function label() {
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
