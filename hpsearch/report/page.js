"use strict";
(() => {
  const read = (name) => JSON.parse(document.getElementById(`data-${name}`).textContent);
  const { plots, dark, renew_s: renewS } = read("page");
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const hasMouse = window.matchMedia("(hover: hover) and (pointer: fine)").matches;
  const drawn = new Set();

  // ---- figures

  const coloured = (value) => {
    if (Array.isArray(value)) return value.length > 500 ? value.slice() : value.map(coloured);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v)]));
    return scheme.matches && typeof value === "string" && Object.hasOwn(dark, value) ? dark[value] : value;
  };

  const form = (given) => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = (own) => ({
      gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true, ...own,
      title: { standoff: 8, ...own?.title, font: { size: 12, color: colour("--soft") } }, tickfont: { size: 11 },
    });
    const layout = coloured(given);
    return {
      ...layout,
      autosize: true, margin: { l: 48, r: 16, t: 28, b: 40, ...layout.margin },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 }, ...layout.legend },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") },
      dragmode: hasMouse ? "zoom" : false,
      xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    };
  };

  const draw = (key) => {
    const box = document.getElementById(`plot-${key}`);
    const config = { responsive: true, displaylogo: false, displayModeBar: hasMouse ? "hover" : false, modeBarButtons: [["toImage", "resetScale2d"]] };
    drawn.add(key);
    return Plotly.react(box, coloured(plots[key].data), form(plots[key].layout), config)
      .then(() => { box.dataset.drawn = scheme.matches ? "dark" : "light"; });
  };

  // What is near is drawn first; the rest follows while nothing else is to be done, so that searching and printing find all of it.
  const waiting = Object.keys(plots);
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const key = entry.target.id.slice(5);
      if (entry.isIntersecting && !drawn.has(key)) draw(key);
      if (drawn.has(key)) near.unobserve(entry.target);
    }
  }, { rootMargin: "400px" });
  const idle = window.requestIdleCallback ?? ((next) => setTimeout(next, 50));
  const next = () => {
    const key = waiting.shift();
    if (key === undefined) { document.documentElement.dataset.ready = "yes"; return; }
    if (drawn.has(key)) { next(); return; }
    idle(() => { (drawn.has(key) ? Promise.resolve() : draw(key)).then(next); });
  };
  const begin = () => {
    for (const key of waiting) near.observe(document.getElementById(`plot-${key}`));
    setTimeout(next, 300);
  };
  scheme.addEventListener("change", () => { for (const key of drawn) draw(key); });
  window.addEventListener("beforeprint", () => { for (const key of Object.keys(plots)) if (!drawn.has(key)) draw(key); });

  // ---- the table of trials

  const PORTION = 100;
  const table = document.getElementById("trials-table");  // a comparison has none
  const fill = ({ columns, rows, best, largest_first: largestFirst }) => {
    const filter = document.getElementById("trials-filter");
    const told = document.getElementById("trials-told");
    const more = document.getElementById("trials-more");
    const isBest = new Set(best);
    let sorted = { column: 0, descending: false };
    let most = PORTION;
    const figure = (n) => n !== 0 && Math.abs(n) < 1e-3 ? String(Number(n.toPrecision(4)).toExponential()) : String(Number(n.toPrecision(5)));
    const shown = (cell) => cell === null ? "–" : typeof cell === "number" ? (Number.isInteger(cell) ? String(cell) : figure(cell)) : cell;
    const words = rows.map((row) => row.map((cell) => cell === null ? "" : shown(cell)).join(" ").toLowerCase());

    const compare = (a, b) => {
      const x = a[sorted.column], y = b[sorted.column];
      if (x === null || y === null) return (x === null) - (y === null) || a[0] - b[0];
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return (sorted.descending ? -order : order) || a[0] - b[0];
    };
    const show = () => {
      const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = rows.filter((_, i) => wanted.every((word) => words[i].includes(word))).sort(compare);
      const body = document.createElement("tbody");
      for (const row of found.slice(0, most)) {
        const line = body.insertRow();
        if (isBest.has(row[0])) line.className = "best";
        row.forEach((cell, i) => {
          const place = line.insertCell();
          place.textContent = shown(cell);
          if (i === columns.length - 1) place.className = "reason";
        });
      }
      table.tBodies[0].replaceWith(body);
      const least = Math.min(most, found.length);
      told.textContent = `${found.length} of ${rows.length} trials${least < found.length ? `, the first ${least} shown` : ""}`;
      more.hidden = least === found.length;
    };
    const head = table.tHead.rows[0];
    columns.forEach((name, i) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        sorted = { column: i, descending: sorted.column === i ? !sorted.descending : largestFirst.includes(i) };
        [...head.cells].forEach((other, k) => other.setAttribute("aria-sort", k !== i ? "none" : sorted.descending ? "descending" : "ascending"));
        show();
      });
      cell.setAttribute("aria-sort", i === 0 ? "ascending" : "none");
      cell.append(button);
      head.append(cell);
    });
    filter.addEventListener("input", () => { most = PORTION; show(); });
    more.addEventListener("click", () => { most = Infinity; show(); });
    show();
  };

  // ---- renewal, while the sweep runs

  const renew = (seconds) => {
    const on = document.getElementById("renew");
    const again = () => setTimeout(() => { if (on.checked) location.reload(); else again(); }, 1000 * seconds);
    again();
  };

  if (table) fill(read("trials"));
  if (renewS) renew(renewS);
  begin();
})();
