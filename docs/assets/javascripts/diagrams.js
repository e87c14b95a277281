// A diagram that is scaled down can't be read: on a phone it grows downwards, and the columns of a
// sequence share the width that there is.
const phone = matchMedia("(max-width: 44.984375em)").matches;

for (const code of document.querySelectorAll("pre.mermaid code")) {
  const text = code.textContent;
  if (phone) {
    code.textContent = text.replace(/^flowchart LR/, "flowchart TB");
  }
  if (text.startsWith("sequenceDiagram")) {
    code.textContent = fitted(text) + text;
  }
}

// Returns the options with which a sequence is as wide as its page.
function fitted(sequence) {
  const count = sequence.match(/^ *participant /gm).length;
  const [width, room, font] = phone ? [78, 340, "13px"] : [120, 690, "15px"];
  const actorMargin = Math.max(6, Math.floor((room - count * width) / (count - 1)));
  const options = {
    width, actorMargin, wrap: true, diagramMarginX: 0, mirrorActors: false,
    actorFontSize: font, messageFontSize: font, noteFontSize: font,
  };
  return `%%{init: ${JSON.stringify({ sequence: options })}}%%\n`;
}

// Mermaid's ids and classes are newer than the theme's rules for them: without these, arrowheads
// do not follow the scheme, the lines of a sequence have a colour that is not the site's, and the
// title of a second case is black on dark pages.
const initialize = mermaid.initialize;
mermaid.initialize = (options) =>
  initialize({
    ...options,
    themeCSS: `${options.themeCSS}
      marker[id$="-arrowhead"] path, marker[id$="-filled-head"] path {
        fill: var(--md-mermaid-edge-color) !important;
        stroke: var(--md-mermaid-edge-color) !important;
      }
      .sectionTitle, .sectionTitle > tspan { fill: var(--md-mermaid-label-fg-color) !important; }
      .actor-line { stroke: var(--md-default-fg-color--lighter) !important; }`,
  });
