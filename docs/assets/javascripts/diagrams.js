// On a phone a diagram is drawn narrow: scaled down, nobody could read it.
if (matchMedia("(max-width: 44.984375em)").matches) {
  for (const code of document.querySelectorAll("pre.mermaid code")) {
    code.textContent = code.textContent
      .replace(/^flowchart LR/, "flowchart TB")
      .replace(/^sequenceDiagram/, (kind) => narrow(code.textContent) + kind);
  }
}

// Returns what has the columns of a sequence share the width of a phone.
function narrow(sequence) {
  const count = sequence.match(/^ *participant /gm).length;
  const width = 78;
  const actorMargin = Math.max(6, Math.floor((340 - count * width) / (count - 1)));
  const font = "13px";
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
