"use strict";
(() => {
  const plots = JSON.parse(document.getElementById("cgbench-plots").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, displaylogo: false, responsive: true, showTips: false };
  const NARROW = 460;
  const AT_ONCE = 40;

  const role = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // Ordered values are distinguished by a scale of three colours, mixed in between.
  function onScale(share) {
    const stops = ["scale-low", "scale-mid", "scale-high"].map((name) =>
      role(name).match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16)));
    const [from, to, part] = share < 0.5 ? [stops[0], stops[1], 2 * share] : [stops[1], stops[2], 2 * share - 1];
    return `rgb(${from.map((value, i) => Math.round(value + part * (to[i] - value))).join(",")})`;
  }

  // Only what is a colour names a role: a text may begin with "@" too.
  function painted(value, key = "") {
    if (typeof value === "string" && value[0] === "@" && key.endsWith("color")) {
      return value.startsWith("@scale:") ? onScale(Number(value.slice(7))) : role(value.slice(1));
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "number" ? value : value.map((inner) => painted(inner, key));
    }
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, painted(inner, name)]));
    }
    return value;
  }

  function axis(given, size) {
    const title = { ...given.title, font: { color: role("muted"), size }, standoff: 8 };
    return {
      gridcolor: role("grid"), linecolor: role("rule"), zerolinecolor: role("rule"),
      tickcolor: role("rule"), ticks: "outside", ticklen: 4, automargin: true,
      // Margins make room for all labels; to hide what sticks out, each would be measured again.
      ticklabeloverflow: "allow", ...given, title,
    };
  }

  function layout(given, width) {
    const narrow = width < NARROW;
    const top = (given.annotations || []).length ? 22 : 14;
    const full = {
      showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12.5, color: role("ink") },
      // Room for most axes: where one needs more, Plotly draws its plot a second time.
      margin: narrow ? { l: 54, r: 10, t: top, b: 47 } : { l: 68, r: 16, t: top, b: 52 },
      hoverlabel: { bgcolor: role("panel"), bordercolor: role("rule"), font: { color: role("ink") } },
      hovermode: "closest",
      // A finger on a plot must be able to scroll the page.
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      ...painted(given),
    };
    for (const name of Object.keys(full)) {
      if (/^[xy]axis\d*$/.test(name)) full[name] = axis(full[name], full.font.size);
    }
    if (narrow && full.annotations && full.annotations.length > 6) full.annotations = [];
    // Layout that a plot replaces on a narrow screen.
    for (const [name, inner] of Object.entries((narrow && full.meta && full.meta.narrow) || {})) {
      full[name] = Array.isArray(inner) ? inner : { ...full[name], ...inner };
    }
    return full;
  }

  const drawn = new Set();
  function draw(chart) {
    const plot = plots[chart.id];
    drawn.add(chart);
    return Plotly.react(chart, painted(plot.data), layout(plot.layout, chart.clientWidth), config);
  }
  const redraw = () => drawn.forEach(draw);

  const charts = [...document.querySelectorAll(".chart")].filter((chart) => plots[chart.id]);
  // What is folded has no width yet; it comes near when it is unfolded.
  const unfolded = charts.filter((chart) => !chart.closest("details:not([open])"));
  function drawAll() {
    const first = new Set(unfolded.slice(0, AT_ONCE));
    first.forEach(draw);
    const near = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting && !drawn.has(target)) draw(target);
      }
    }, { rootMargin: "1500px" });
    charts.filter((chart) => !first.has(chart)).forEach((chart) => near.observe(chart));
  }

  // Where runs are so many that the page would grow too large, the library comes packed.
  async function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }
  const packed = document.getElementById("cgbench-library");
  if (packed) unpack(packed.textContent).then(drawAll);
  else drawAll();

  dark.addEventListener("change", redraw);

  // Paper is white, whatever the screen is, and cannot be unfolded.
  const folded = [...document.querySelectorAll("details:not([open])")];
  const printing = (now) => () => {
    folded.forEach((one) => { one.open = now; });
    document.documentElement.classList.toggle("printing", now);
    (now ? charts : [...drawn]).forEach(draw);
  };
  addEventListener("beforeprint", printing(true));
  addEventListener("afterprint", printing(false));

  let width = innerWidth;
  addEventListener("resize", () => {
    if ((width < NARROW) !== (innerWidth < NARROW)) redraw();
    width = innerWidth;
  });
})();
