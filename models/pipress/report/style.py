"""Style sheet of the page: readable on a phone and a desktop, by day and by night."""

STYLE = """\
:root {
  --ink: #1b1f24;
  --dim: #5f6873;
  --line: #dfe3e8;
  --page: #ffffff;
  --panel: #f5f7f9;
  --recipe: #b3261e;
  --baseline: #1f6feb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ed;
    --dim: #9aa4b0;
    --line: #343b44;
    --page: #14171b;
    --panel: #1d2228;
    --recipe: #ff8a80;
    --baseline: #79b8ff;
  }
}
* {
  box-sizing: border-box;
}
body {
  margin: 0;
  background: var(--page);
  color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif;
}
main {
  max-width: 70rem;
  margin: 0 auto;
  padding: 1rem;
}
h1 {
  font-size: 1.6rem;
  margin: 0.5rem 0 1rem;
  overflow-wrap: anywhere;
}
h2 {
  font-size: 1.15rem;
  margin: 2rem 0 0.6rem;
}
.verdict {
  margin: 0.5rem 0;
  padding: 0.6rem 0.8rem;
  background: var(--panel);
  border-left: 4px solid var(--dim);
}
.recommendation {
  font-size: 1.15em;
  font-weight: 600;
}
.verdict.recipe {
  border-color: var(--recipe);
}
.verdict.baseline {
  border-color: var(--baseline);
}
.scroll {
  overflow-x: auto;
}
table {
  border-collapse: collapse;
  font-variant-numeric: tabular-nums;
  font-size: 0.92rem;
}
th,
td {
  padding: 0.35rem 0.9rem 0.35rem 0;
  border-bottom: 1px solid var(--line);
  text-align: right;
  white-space: nowrap;
}
thead th {
  color: var(--dim);
  font-weight: 500;
  vertical-align: bottom;
  white-space: normal;
}
th:first-child {
  position: sticky;
  left: 0;
  background: var(--page);
  text-align: left;
  font-weight: 600;
}
@media (max-width: 36rem) {
  table {
    font-size: 0.8rem;
  }
  th,
  td {
    padding-right: 0.55rem;
  }
  th:first-child {
    white-space: normal;
  }
}
small {
  display: block;
  color: var(--dim);
  font-size: 0.75rem;
  font-weight: 400;
}
code {
  font: inherit;
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono";
}
.none,
figcaption,
footer,
dt {
  color: var(--dim);
}
figcaption,
footer {
  font-size: 0.85rem;
}
dd {
  margin: 0 0 0.6rem;
  overflow-wrap: anywhere;
}
details {
  margin-top: 0.8rem;
}
.plots {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1rem;
}
figure {
  margin: 0;
  max-width: 36rem;
}
svg {
  width: 100%;
  height: auto;
}
svg text {
  fill: var(--ink);
  font: 13.5px system-ui, sans-serif;
}
@media (min-width: 36rem) {
  svg text {
    font-size: 11px;
  }
}
svg .tick,
svg .axis {
  fill: var(--dim);
}
svg .grid {
  stroke: var(--line);
}
svg circle {
  fill: var(--dim);
}
svg circle.recipe {
  fill: var(--recipe);
}
svg circle.baseline {
  fill: var(--baseline);
}
svg line.error {
  stroke: currentColor;
  opacity: 0.5;
}
svg polyline.frontier {
  stroke-dasharray: 4 3;
  opacity: 0.6;
}
svg polyline {
  fill: none;
  stroke: var(--dim);
}
svg polyline.validation {
  stroke: var(--recipe);
  stroke-width: 2.5;
}
svg circle.validation {
  fill: var(--recipe);
}
"""
