"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const nav = document.querySelector("nav");
  nav.hidden = false;

  // Theme: follows the system until the button is used.
  const theme = document.getElementById("theme");
  const store = (value) => { try { if (value) localStorage.setItem("theme", value); return localStorage.getItem("theme"); } catch { return value; } };
  const root = document.documentElement;
  const apply = (value) => { if (value) root.dataset.theme = value; };
  apply(store());
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
    const next = dark ? "light" : "dark";
    apply(next); store(next);
  });

  // Filter: rows by text and kind, tables by dataset.
  const text = document.getElementById("filter"), dataset = document.getElementById("dataset");
  const kinds = all("input[data-kind]"), none = document.getElementById("none");
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(kinds.filter((box) => !box.checked).map((box) => box.dataset.kind));
    let any = false;
    for (const section of all("section.t")) {
      const wanted = !dataset.value || section.dataset.d.split("|").includes(dataset.value);
      const title = section.querySelector("h2").textContent.toLowerCase();
      let left = 0;
      for (const row of all("tbody tr", section)) {
        const content = title + " " + row.textContent.toLowerCase();
        row.hidden = off.has(row.dataset.k) || !words.every((word) => content.includes(word));
        left += !row.hidden;
      }
      section.hidden = !wanted || !left;
      any ||= !section.hidden;
    }
    none.hidden = any;
  };
  text.addEventListener("input", filter);
  dataset.addEventListener("change", filter);
  kinds.forEach((box) => box.addEventListener("change", filter));

  // Sort: numbers as numbers, an empty cell last in both directions.
  const key = (cell) => {
    const shown = (cell.firstChild ? cell.firstChild.textContent : "").trim();
    const number = parseFloat(shown);
    return Number.isNaN(number) ? (/^[-–]?$/.test(shown) ? null : shown.toLowerCase()) : number;
  };
  for (const table of all("table")) {
    const heads = all("thead tr:last-child th", table), body = table.tBodies[0];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = head.dataset.h ? "descending" : "ascending", second = head.dataset.h ? "ascending" : "descending";
        const now = before === first ? second : first, sign = now === "ascending" ? 1 : -1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", now);
        const rows = [...body.rows].map((row) => [key(row.cells[place]), row]);
        rows.sort(([a], [b]) => a === b ? 0 : a === null ? 1 : b === null ? -1
          : typeof a === typeof b ? sign * (a < b ? -1 : 1) : typeof a === "number" ? -1 : 1);
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // Words on hover, focus and tap: a protocol's text, a row's source and note.
  const tip = document.createElement("div");
  tip.id = "tip"; tip.hidden = true; tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  const show = (mark) => {
    const target = mark.hash && document.getElementById(decodeURIComponent(mark.hash.slice(1)));
    tip.replaceChildren(...(target ? [...target.children].slice(1).map((n) => n.cloneNode(true)) : [mark.dataset.tip || ""]));
    if (target) { const head = document.createElement("strong"); head.textContent = target.querySelector("summary").textContent; tip.prepend(head); }
    tip.hidden = false; tip.scrollTop = 0;
    const box = mark.getBoundingClientRect(), mine = tip.getBoundingClientRect();
    const below = box.bottom + 6 + mine.height < innerHeight;
    tip.style.left = Math.max(8, Math.min(box.left, innerWidth - mine.width - 8)) + "px";
    tip.style.top = Math.max(8, below ? box.bottom + 6 : box.top - mine.height - 6) + "px";
  };
  const hide = () => { tip.hidden = true; };
  let leaving;
  for (const mark of all("a.p, td.m[title], .r[title]")) {
    if (mark.title) { mark.dataset.tip = mark.title; mark.removeAttribute("title"); }
    if (!mark.hash) mark.tabIndex = 0;
    mark.addEventListener("mouseenter", () => { clearTimeout(leaving); show(mark); });
    mark.addEventListener("mouseleave", () => { leaving = setTimeout(hide, 250); });
    mark.addEventListener("focus", () => show(mark));
    mark.addEventListener("blur", hide);
    mark.addEventListener("click", (event) => { if (!mark.hash) { event.stopPropagation(); show(mark); } });
  }
  tip.addEventListener("mouseenter", () => clearTimeout(leaving));
  tip.addEventListener("mouseleave", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("click", (event) => { if (!tip.contains(event.target) && !event.target.closest(".p")) hide(); });
  addEventListener("scroll", hide, { passive: true });
  const open = () => { const found = document.getElementById(decodeURIComponent(location.hash.slice(1))); if (found && found.tagName === "DETAILS") found.open = true; };
  addEventListener("hashchange", open); open();
})();
