// What scrolls sideways can be scrolled with the keyboard too.
function reach() {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .tabbed-labels")) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
}

addEventListener("load", reach);
addEventListener("resize", reach);
