"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Packed text of the page: base64 of gzip.
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  let plotly;
  const loadPlotly = () => (plotly ??= unpack("plotly").then((source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    return window.Plotly;
  }));

  let histograms;
  const loadHistograms = () => (histograms ??= unpack("histograms").then(JSON.parse));

  const whenVisible = (element, action) => {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        action();
      }
    }, { rootMargin: "300px" });
    observer.observe(element);
  };

  const plotted = new Map();
  const draw = async (element, figure) => {
    const Plotly = await loadPlotly();
    const axis = { color: color("--muted"), gridcolor: color("--line"), zerolinecolor: color("--line"), fixedrange: matchMedia("(pointer: coarse)").matches };
    const layout = {
      ...figure.layout,
      paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("--muted") },
      hoverlabel: { bgcolor: color("--surface"), bordercolor: color("--line"), font: { color: color("--text") } },
      xaxis: { ...figure.layout.xaxis, ...axis }, yaxis: { ...figure.layout.yaxis, ...axis },
    };
    const inks = [color("--accent"), color("--warn")];
    const scale = [[0, color("--fail")], [0.4, color("--warn")], [1, color("--pass")]];
    const painted = (trace, index) => {
      if (trace.meta === "edges") return { ...trace, line: { color: color("--base"), width: 1 } };
      if (trace.type === "treemap") return { ...trace, root: { color: color("--sunken") }, marker: { ...trace.marker, colorscale: scale, line: { color: color("--surface"), width: 1 } } };
      if (Array.isArray(trace.marker?.color)) return { ...trace, marker: { ...trace.marker, colorscale: scale, line: { color: color("--surface"), width: 1 } } };
      const ink = trace.meta === "muted" ? color("--base") : inks[index % 2];
      const line = trace.mode?.includes("lines") ? { line: { ...trace.line, color: ink } } : {};
      return { ...trace, ...line, marker: { ...trace.marker, color: ink, line: { width: 0 }, opacity: 0.8 } };
    };
    const data = figure.data.map(painted);
    const options = { responsive: true, displayModeBar: false, displaylogo: false, scrollZoom: figure.layout.dragmode === "pan" };
    await Plotly.react(element, data, layout, options);
    plotted.set(element, figure);
    element.dataset.drawn = "";
    return element;
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plotted.forEach((figure, element) => element.isConnected ? draw(element, figure) : plotted.delete(element));
  });

  // Plots of layers; a press on one leads to its row.
  const showRow = (event) => {
    const place = event.points?.[0]?.customdata;
    const row = Number.isInteger(place) ? $(`layer-${place}`) ?? $(`trial-${place}`) : null;
    if (!row) return;
    row.closest("details").open = true;
    row.hidden = false;
    document.querySelectorAll(".target-row").forEach((other) => other.classList.remove("target-row"));
    row.classList.add("target-row");
    row.scrollIntoView({ block: "center" });
  };
  document.querySelectorAll("[data-figure]").forEach((element) => whenVisible(element, async () => {
    await draw(element, JSON.parse(await unpack(`${element.dataset.figure}-figure`)));
    element.on("plotly_click", showRow);
  }));

  // On a phone a row of a table is a card, and each of its values needs its heading.
  document.querySelectorAll(".scroll table:not(.bars, .breaking)").forEach((table) => {
    const headings = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent.trim());
    if (!headings.length) return;
    table.classList.add("labelled");
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, index) => { cell.dataset.label = headings[index] ?? ""; });
    }
  });

  // Sorting: a heading becomes a button; empty values stay last.
  const value = (row, column, numeric) => {
    const cell = row.cells[column];
    if (!numeric) return cell.textContent.trim();
    const text = cell.dataset.value ?? cell.textContent;
    return text === "" ? NaN : Number(text.replace("inf", "Infinity"));
  };
  const compare = (a, b, direction) => {
    if (typeof a === "string") return direction * a.localeCompare(b, "en", { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return a === b ? 0 : direction * (a < b ? -1 : 1);
  };
  const collapse = (table) => {
    table.querySelectorAll(".enlarged").forEach((row) => row.remove());
    table.querySelectorAll("[aria-expanded=true]").forEach((button) => button.setAttribute("aria-expanded", "false"));
  };
  document.querySelectorAll("th[data-sort]").forEach((heading) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const table = heading.closest("table");
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      collapse(table);
      const numeric = heading.dataset.sort === "number";
      const keyed = [...table.tBodies[0].rows].map((row) => [value(row, heading.cellIndex, numeric), row]);
      keyed.sort((a, b) => compare(a[0], b[0], direction));
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    });
  });

  // Filtering: every word must occur in the row.
  document.querySelectorAll("[data-filter]").forEach((input) => {
    const table = $(input.dataset.filter);
    const counter = document.querySelector(`[data-count="${input.dataset.filter}"]`);
    const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
    const apply = () => {
      collapse(table);
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach(([row, text]) => {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      });
      counter.textContent = `${shown} of ${rows.length} shown`;
    };
    input.closest(".tools").hidden = false;
    input.addEventListener("input", apply);
    apply();
  });

  // Histograms: a small one in each row, drawn when the row comes into view; enlarged on demand.
  const path = (counts) => {
    const peak = Math.max(...counts, 1);
    const width = 96 / counts.length;
    return counts.map((count, index) => {
      if (!count) return "";
      const height = Math.max(1, 28 * count / peak);
      return `M${(index * width).toFixed(2)} 28v${-height.toFixed(2)}h${width.toFixed(2)}V28z`;
    }).join("");
  };
  const enlarge = (button, cell, [low, high, counts]) => {
    const row = cell.parentElement;
    if (button.getAttribute("aria-expanded") === "true") {
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const detail = document.createElement("tr");
    detail.className = "enlarged";
    const inside = document.createElement("td");
    inside.colSpan = row.cells.length;
    const place = document.createElement("div");
    place.className = "plot";
    inside.append(place);
    detail.append(inside);
    row.after(detail);
    const width = (high - low) / counts.length;
    const range = cell.dataset.range.split(" ").map(Number);
    const edge = (at) => ({ type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { color: color("--warn"), width: 2, dash: "dash" } });
    const named = (at, text, xanchor) => ({ x: at, y: 1, yref: "paper", yanchor: "bottom", xanchor, text, showarrow: false, font: { color: color("--warn") } });
    draw(place, {
      data: [{ type: "bar", x: counts.map((_, index) => low + (index + 0.5) * width), y: counts, width, hovertemplate: "%{x:.5g}: %{y}<extra></extra>" }],
      layout: {
        xaxis: { title: { text: "value" } }, yaxis: { title: { text: "count" } }, margin: { l: 60, r: 10, t: 24, b: 44 }, bargap: 0,
        shapes: range.map(edge), annotations: [named(range[0], "minimum", "left"), named(range[1], "maximum", "right")],
      },
    });
  };
  const fill = async (cell) => {
    const histogram = (await loadHistograms())[Number(cell.dataset.histogram)];
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `Histogram of ${cell.parentElement.cells[0].textContent.trim()}`);
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawing.setAttribute("viewBox", "0 0 96 28");
    drawing.setAttribute("aria-hidden", "true");
    const bars = document.createElementNS("http://www.w3.org/2000/svg", "path");
    bars.setAttribute("d", path(histogram[2]));
    drawing.append(bars);
    button.append(drawing);
    button.addEventListener("click", () => enlarge(button, cell, histogram));
    cell.append(button);
  };
  const observer = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) {
      observer.unobserve(entry.target);
      fill(entry.target);
    }
  }), { rootMargin: "200px" });
  document.querySelectorAll("[data-histogram]").forEach((cell) => observer.observe(cell));
})();
