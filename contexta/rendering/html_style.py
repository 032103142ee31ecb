"""The style of HTML reports: light and dark, on screens large and small, and on paper."""

from __future__ import annotations

STYLE = """
:root{--paper:#fff;--ground:#f5f6f8;--ink:#1a2130;--soft:#5b6577;--faint:#6f798a;--rule:#e3e7ed;--stripe:#f8f9fb;
--accent:#2456c9;--good:#136c43;--good-bg:#def5e8;--warn:#855200;--warn-bg:#fdf0d2;--bad:#ab1f2d;--bad-bg:#fde5e6;
--live:#1f4fb8;--live-bg:#e3ecfd;--quiet:#566074;--quiet-bg:#ebeef3;
--c0:#2f66d8;--c1:#d9762b;--c2:#2a9d6c;--c3:#b44a9c;--c4:#1f9ab5;--c5:#b3871a;--c6:#d1445a;--c7:#6c7789;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",Arial,sans-serif;
--mono:ui-monospace,"SF Mono",SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
@media screen and (prefers-color-scheme:dark){:root{--paper:#171b22;--ground:#0f1217;--ink:#e6eaf1;--soft:#a3adbd;
--faint:#8d98a9;--rule:#2b323d;--stripe:#1c2129;--accent:#86acff;--good:#74dba6;--good-bg:#12382a;--warn:#f2c26b;
--warn-bg:#402f0f;--bad:#ff98a0;--bad-bg:#491c22;--live:#9dbcff;--live-bg:#1b2f5c;--quiet:#aab4c4;--quiet-bg:#2a313c;
--c0:#6d9bff;--c1:#f39a55;--c2:#4fc892;--c3:#dc7fc8;--c4:#4fc3dc;--c5:#dcb24a;--c6:#ff7488;--c7:#9aa5b6}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem;-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 var(--sans);overflow-wrap:break-word}
a{color:var(--accent);text-decoration:none}
a:hover{text-decoration:underline}
a:focus-visible,summary:focus-visible,.frame:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
header,.page{max-width:76rem;margin:0 auto;padding:0 2rem}
header{padding-top:2.75rem;padding-bottom:1.5rem}
h1{margin:0;font-size:1.75rem;line-height:1.25;font-weight:680;letter-spacing:-.015em;text-wrap:balance}
h1 .kind{display:block;margin-bottom:.35rem;font-size:.8125rem;font-weight:620;letter-spacing:.07em;
text-transform:uppercase;color:var(--accent)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.page{display:grid;grid-template-columns:10.5rem minmax(0,1fr);gap:1.75rem;align-items:start;padding-bottom:3rem}
nav{position:sticky;top:1rem;max-height:calc(100vh - 2rem);overflow:auto;font-size:.875rem}
nav ol{list-style:none;margin:0;padding:.25rem 0;border-left:2px solid var(--rule)}
nav a{display:block;margin-left:-2px;padding:.3rem .9rem;border-left:2px solid transparent;color:var(--soft)}
nav a:hover{color:var(--accent);border-left-color:var(--accent);text-decoration:none}
main{min-width:0}
section{margin-bottom:1.25rem;padding:1.5rem 1.75rem 1.6rem;background:var(--paper);border:1px solid var(--rule);
border-radius:12px}
h2{margin:0 0 .6rem;font-size:1.1875rem;line-height:1.3;font-weight:660;letter-spacing:-.008em}
h3{margin:1.6rem 0 .55rem;font-size:.9375rem;font-weight:640}
p{margin:.5rem 0;max-width:46rem}
section>p:last-child,section>ul:last-child{margin-bottom:0}
ul{margin:.5rem 0;padding-left:1.25rem}
code{font:.875em var(--mono);background:var(--quiet-bg);border-radius:4px;padding:.1em .3em}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(12.75rem,1fr));gap:1px;margin:1rem 0;
overflow:hidden;border:1px solid var(--rule);border-radius:9px}
.tiles>div{padding:.6rem .85rem .65rem;box-shadow:0 0 0 1px var(--rule)}
.tiles dt{font-size:.75rem;color:var(--faint)}
.tiles dd{margin:.1rem 0 0;font-weight:560;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tiles dd.code{font:500 .8125rem/1.5 var(--mono)}
.frame{margin:.75rem 0 0;overflow-x:auto;border:1px solid var(--rule);border-radius:9px}
table{width:100%;border-collapse:collapse;font-size:.84375rem;line-height:1.45}
th,td{padding:.45rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{background:var(--stripe);color:var(--soft);font-size:.78125rem;font-weight:600;white-space:nowrap}
tbody tr:last-child td{border-bottom:0}
tbody tr:hover td{background:var(--stripe)}
td{max-width:30rem}
td.short{white-space:nowrap}
td.num,th.num{text-align:right}
td.num{font-variant-numeric:tabular-nums;white-space:nowrap}
td.code{font:.8125rem/1.5 var(--mono);min-width:9rem;overflow-wrap:anywhere}
td.hash{max-width:13rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
td time{white-space:nowrap;font-variant-numeric:tabular-nums}
small{font-size:.72rem;font-weight:400;color:var(--faint)}
dd time{font-size:.875rem;white-space:nowrap}
dd small,td small{margin-left:.35rem}
.none{color:var(--faint);opacity:.7}
.badge{display:inline-block;padding:.05rem .55rem;border-radius:999px;font-size:.78125rem;font-weight:600;
line-height:1.5;white-space:nowrap}
.good{color:var(--good);background:var(--good-bg)}.warn{color:var(--warn);background:var(--warn-bg)}
.bad{color:var(--bad);background:var(--bad-bg)}.live{color:var(--live);background:var(--live-bg)}
.quiet{color:var(--quiet);background:var(--quiet-bg)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem;margin-top:1.25rem}
.chart{margin:0;padding:.85rem 1rem .6rem;max-width:36rem;min-width:0;border:1px solid var(--rule);border-radius:9px}
figcaption{font-size:.875rem;font-weight:640;overflow-wrap:anywhere}
.chart>svg{display:block;width:100%;height:auto;margin-top:.35rem;overflow:visible}
.legend{display:flex;flex-wrap:wrap;gap:.15rem .9rem;margin:.3rem 0 0;padding:0;list-style:none;
font-size:.78125rem;color:var(--soft)}
.legend li{display:flex;align-items:center;gap:.4rem;min-width:0;overflow-wrap:anywhere}
.legend svg{width:18px;height:8px;flex:none}
svg text{font:13px var(--sans);fill:var(--faint);font-variant-numeric:tabular-nums}
svg .value{fill:var(--ink);font-size:12px}
svg .lost{fill:var(--bad);font-weight:600}
.grid{stroke:var(--rule);stroke-width:1}
.grid.zero,.axis{stroke:var(--faint);stroke-width:1;opacity:.6}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.dash1{stroke-dasharray:6 3}.dash2{stroke-dasharray:2 3}
.cross{fill:none;stroke:var(--bad);stroke-width:1.8;stroke-linecap:round}
.line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}.line.c3{stroke:var(--c3)}
.line.c4{stroke:var(--c4)}.line.c5{stroke:var(--c5)}.line.c6{stroke:var(--c6)}.line.c7{stroke:var(--c7)}
.bar.c0{fill:var(--c0)}.bar.c1{fill:var(--c1)}.bar.c2{fill:var(--c2)}.bar.c3{fill:var(--c3)}
.bar.c4{fill:var(--c4)}.bar.c5{fill:var(--c5)}.bar.c6{fill:var(--c6)}.bar.c7{fill:var(--c7)}
details{margin-top:1rem;font-size:.875rem}
summary{cursor:pointer;color:var(--soft)}
details li{overflow-wrap:anywhere}
footer{margin-top:1.5rem;font-size:.8125rem;color:var(--faint)}
@media (max-width:62rem){.page{grid-template-columns:minmax(0,1fr);gap:1rem}
nav{position:static;max-height:none}
nav ol{display:flex;gap:.4rem;overflow-x:auto;border:0;padding:.1rem 0 .4rem}
nav a{margin:0;padding:.25rem .8rem;white-space:nowrap;border:1px solid var(--rule);border-radius:999px;
background:var(--paper)}
nav a:hover{border-color:var(--accent)}}
@media (max-width:40rem){header,.page{padding-left:1rem;padding-right:1rem}
header{padding-top:1.5rem;padding-bottom:1rem}h1{font-size:1.375rem}
section{padding:1.1rem 1rem 1.2rem;border-radius:10px}
.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}dd time{white-space:normal}
.chart{padding:.75rem .6rem .5rem}
svg text{font-size:17px}svg .value{font-size:14px}svg .other{display:none}}
@media print{@page{margin:16mm 14mm}
body{background:none;font-size:10pt}
header,.page{max-width:none;padding-left:0;padding-right:0}header{padding-top:0}
.page{display:block}nav,footer{display:none}
section{padding:0;border:0;border-radius:0;margin-bottom:8mm}
h2,h3,figcaption{break-after:avoid}
tr,.chart,.tiles>div{break-inside:avoid}
thead{display:table-header-group}
.frame{overflow:visible}
table{font-size:8pt}th,td{padding:.25rem .4rem}td.code,td{min-width:0;overflow-wrap:anywhere}
td.code{font-size:7.5pt;white-space:normal}td.num,td.short,td time{white-space:normal}
.charts{grid-template-columns:1fr 1fr}
.badge,.bar,.line,.tiles,th{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
