"""The page's typography: one column, light, readable on screen and in print."""

CSS = """
:root { --ink: #222; --soft: #5a5a5a; --line: #d9d9d9; --accent: #0072b2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 56rem; color: var(--ink);
  background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
  Arial, sans-serif; }
h1 { font-size: 1.9rem; font-weight: 300; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; font-weight: 500; margin: 2.6rem 0 .6rem; }
p { margin: .5rem 0; max-width: 44rem; }
.lead { color: var(--soft); }
.banner { border: 1px solid #b35900; border-left-width: 6px; background: #fff6ec;
  padding: .7rem 1rem; margin: 1.4rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums;
  margin: .8rem 0; }
caption { text-align: left; color: var(--soft); font-size: .88rem; padding: 0 0 .5rem; }
th, td { padding: .45rem .9rem .45rem 0; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 500; }
thead th { border-bottom: 1px solid #888; }
thead th[colspan], thead td { border-bottom: 0; padding-bottom: 0; }
thead td { border-bottom: 1px solid #888; }
thead th[colspan]:not([colspan="1"]) { text-align: center; padding-left: 2.2rem; }
tr:first-child th:first-child, tbody th, td:first-child { text-align: left; }
table.wide { width: 100%; }
td.text, th.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.number { font-size: 1.05rem; }
.interval, .detail { display: block; color: var(--soft); font-size: .82rem; font-weight: 400; }
figure { margin: 1rem 0 1.6rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .88rem; max-width: 44rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: var(--accent); }
code, pre { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: #f6f6f6; padding: .7rem .9rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; max-width: 44rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; border-top: 1px solid var(--line);
  padding-top: .8rem; }
@media print {
  @page { margin: 16mm; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2 { break-after: avoid; }
  figure, table, .banner { break-inside: avoid; }
  .scroll { overflow: visible; }
  details > summary { color: var(--ink); }
  pre { border: 1px solid var(--line); background: none; }
}
"""
