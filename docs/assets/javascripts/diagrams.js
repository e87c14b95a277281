// Mermaid's ids and classes are newer than the theme's rules for them: without these, arrowheads
// do not follow the scheme, and the lines of a sequence have a colour that is not the site's.
const initialize = mermaid.initialize;
mermaid.initialize = (options) =>
  initialize({
    ...options,
    themeCSS: `${options.themeCSS}
      marker[id$="-arrowhead"] path, marker[id$="-filled-head"] path {
        fill: var(--md-mermaid-edge-color) !important;
        stroke: var(--md-mermaid-edge-color) !important;
      }
      .actor-line { stroke: var(--md-default-fg-color--lighter) !important; }`,
  });
