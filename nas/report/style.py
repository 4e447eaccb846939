"""How the report looks: one style sheet, light or dark as the reader's system asks."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --soft: #59626e; --page: #f6f7f9; --card: #ffffff; --rule: #d9dee5;
  --good: #17734f; --bad: #b3261e; --warn: #8a5a00; --link: #1f63a8; --chosen: #fdf3ea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ee; --soft: #a3adba; --page: #12151a; --card: #1a1f26; --rule: #343c47;
    --good: #4cc38a; --bad: #ff8a80; --warn: #e3b341; --link: #7ab7f0; --chosen: #33281e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2.5rem) 3rem; max-width: 90rem;
  background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
}
h1 { margin: 0 0 .75rem; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 0 0 .5rem; font-size: 1.2rem; }
h3 { margin: 1rem 0 .25rem; font-size: 1rem; }
p { margin: .4rem 0; max-width: 75rem; }
ul { margin: .6rem 0; padding-left: 1.2rem; }
a { color: var(--link); }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
section, .card {
  margin-top: 1.25rem; padding: 1.1rem 1.25rem; min-width: 0;
  background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
}
.pair { display: grid; gap: 0 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.note { color: var(--soft); font-size: .92em; }
.verdict {
  max-width: none; padding: .7rem 1rem; border-left: 5px solid; border-radius: 4px;
  background: var(--card); font-size: 1.1rem;
}
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--bad); }
.verdict.warn { border-color: var(--warn); }
.good b, .mark.good { color: var(--good); }
.bad b, .mark.bad { color: var(--bad); }
.warn b, .mark.warn { color: var(--warn); }
dl {
  margin: 1rem 0 0; display: grid; gap: .8rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr));
}
dt { color: var(--soft); font-size: .88em; }
dd { margin: 0; overflow-wrap: anywhere; }
dl .wide { grid-column: span 2; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .93em; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .55rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
thead .group { text-align: center; border-bottom: 0; color: var(--ink); }
th[scope=row], th[scope=rowgroup], .text { text-align: left; font-weight: 400; }
thead th.text { font-weight: 600; }
th[scope=rowgroup] { padding-top: .9rem; font-weight: 600; }
.chosen > * { background: var(--chosen); }
.chosen > th { font-weight: 600; }
.mark { display: block; font-size: .88em; font-weight: 600; white-space: nowrap; }
.item, td code, th code { white-space: nowrap; }
details { max-width: 13rem; }
summary { cursor: pointer; }
.figure { height: 30rem; }
.pair > * { min-width: 0; }
.pair .figure { height: 25rem; }
.figure text { fill: var(--ink) !important; }
.figure .hovertext path { fill: var(--card) !important; stroke: var(--soft) !important; }
@media (max-width: 40rem) { dl .wide { grid-column: auto; } }
@media print { body { background: none; } section { break-inside: avoid; } }
"""
