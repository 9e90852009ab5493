"""The page's own style and script. Nothing is fetched: fonts are the reader's, pictures and figures are in the page."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--ink:#16181d;--soft:#5b6270;--line:#d9dce3;--paper:#fff;--card:#f6f7f9;--a:#0072b2;
--b:#b84f00}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#a3aab8;--line:#343944;--paper:#14161a;--card:#1c1f25;
--a:#62b5e8;--b:#ff9a4d}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:66rem;padding:1.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
p{margin:.4rem 0;max-width:46rem}
a{color:var(--a)}
.soft,figcaption,small{color:var(--soft);font-size:.875rem}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:1rem 0;font-size:.9rem}
.big{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}
.big>div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;min-width:9rem}
.big b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.note{border-left:.25rem solid var(--b);background:var(--card);padding:.5rem .75rem;margin:.75rem 0;max-width:46rem;
overflow-wrap:anywhere}
code{font:.875em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;white-space:nowrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;font-size:.9rem;margin:.5rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem;margin-top:1rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem;
break-inside:avoid}
figure>svg{display:block;width:100%;height:auto;max-height:26rem}
figcaption{margin-top:.4rem}
.sample{border:1px solid var(--line);border-radius:.5rem;background:var(--card);padding:.75rem;margin:.75rem 0;
break-inside:avoid}
.sample h3{margin:0 0 .5rem;overflow-wrap:anywhere;font-size:.95rem}.sample small{font-weight:400}
.panel,.sample,figure,section{min-width:0}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,13.5rem),1fr));gap:.75rem}
.panel>span{display:block;font-size:.8rem;color:var(--soft);margin-bottom:.2rem}
.pic{position:relative;line-height:0}
.pic img{width:100%;height:auto;border-radius:.25rem}
.marks{position:absolute;inset:0;width:100%;height:100%}
.marks line{stroke:#fff;stroke-width:calc(var(--w)*1px)}
.marks circle{stroke:#fff;stroke-width:calc(var(--w)*.6px);fill:#0072b2}
.marks .far{fill:#0008}
.marks .wrong line{stroke:#ff4d2e;stroke-dasharray:calc(var(--w)*2px)}
.marks .wrong .near{fill:#d55e00}
.marks .wrong circle{stroke:#ff4d2e}
.marks .right line{stroke:#9fd4ff}
.bar{font-size:.7rem;color:var(--soft);margin-top:.3rem;line-height:1.3}
.bar i{display:block;height:.5rem;border-radius:.2rem;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.bar div{display:flex;justify-content:space-between}
.slider{position:relative;line-height:0;--at:50%;overflow:hidden;border-radius:.25rem}
.slider img{width:100%;height:auto;display:block}
.slider .over{position:absolute;inset:0;clip-path:inset(0 calc(100% - var(--at)) 0 0)}
.slider .edge{position:absolute;top:0;bottom:0;left:var(--at);width:2px;background:#fff;box-shadow:0 0 0 1px #0006}
.slider input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize;touch-action:pan-y}
.slider:focus-within{outline:2px solid var(--a)}
.slider em{position:absolute;top:.4rem;background:#000a;color:#fff;font:normal .75rem/1.4 system-ui,sans-serif;
padding:0 .4rem;border-radius:.2rem;max-width:45%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.slider em.l{left:.4rem}.slider em.r{right:.4rem}
details{margin:.5rem 0}summary{cursor:pointer}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8rem;background:var(--card);padding:.75rem;
border-radius:.5rem}
@media (max-width:34rem){body{padding:1rem .75rem 3rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}
.panels{grid-template-columns:1fr 1fr;gap:.5rem}.panel.sliding{grid-column:span 2}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;--card:#fff;--a:#0072b2;
--b:#b84f00}body{max-width:none;padding:0;font-size:10pt}nav{display:none}h2{break-after:avoid}
.figures{grid-template-columns:1fr 1fr}.panels{grid-template-columns:repeat(4,1fr)}a{color:inherit}
img,.marks{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
@page{margin:15mm}
"""

SCRIPT = """
for(const slider of document.querySelectorAll('.slider')){
const input=slider.querySelector('input');
const show=()=>slider.style.setProperty('--at',input.value+'%');
input.addEventListener('input',show);show();}
"""
