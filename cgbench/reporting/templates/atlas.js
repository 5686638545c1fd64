(() => {
  const atlas = JSON.parse(document.getElementById("cgbench-atlas").textContent);
  const matrix = document.getElementById("matrix");
  const filters = document.getElementById("filters");
  const drop = document.getElementById("drop");
  const dialog = document.getElementById("cell");
  const complaint = document.getElementById("complaint");
  filters.hidden = drop.hidden = false;
  document.getElementById("choose").open = innerWidth > 900;

  // What is shown comes from files: it becomes text, and never markup.
  function element(name, attributes = {}, ...inside) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside.flat().filter((one) => one !== null && one !== undefined));
    return made;
  }

  // The address holds the filters and the open cell: a=b&cell=host/option.
  const parts = [...filters.querySelectorAll("select")].map((one) => one.name);
  function fromAddress() {
    const text = location.hash.slice(1);
    return new URLSearchParams(text.includes("=") ? text : "");
  }
  function toAddress(cell) {
    const state = new URLSearchParams();
    for (const name of parts) if (filters.elements[name].value) state.set(name, filters.elements[name].value);
    if (filters.elements.differing.checked) state.set("differing", "1");
    const text = [state.toString(), cell ? `cell=${cell}` : ""].filter(Boolean).join("&");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  const heads = () => [...matrix.tHead.rows[0].cells].slice(1);
  const lines = [...matrix.querySelectorAll(".options tr")];
  function apply() {
    const wanted = parts.map((name) => [name.replace("_", "-"), filters.elements[name].value]).filter(([, value]) => value);
    const all = heads();
    // The reader's own host is always there to compare with.
    const shown = all.map((head) => head.classList.contains("yours") ||
      wanted.every(([name, value]) => head.getAttribute(`data-${name}`) === value));
    for (const row of matrix.rows) shown.forEach((is, at) => { row.cells[at + 1].hidden = !is; });
    const only = filters.elements.differing.checked;
    let count = 0;
    for (const line of lines) {
      const verdicts = new Set(shown.map((is, at) => (is && line.cells[at + 1].dataset.verdict) || "").filter((one) => one && one !== "inconclusive"));
      line.hidden = only && verdicts.size < 2;
      count += !line.hidden;
    }
    document.getElementById("shown").textContent =
      `${shown.filter(Boolean).length} of ${all.length} hosts, ${count} of ${lines.length} options`;
  }

  const KIB = ["B", "KiB", "MiB", "GiB", "TiB"];
  function amount(value, unit) {
    if (value === undefined || value === null) return "–";
    if (!/^bytes/.test(unit)) return `${+value.toPrecision(4)} ${unit}`;
    let number = value, at = 0;
    while (Math.abs(number) >= 1024 && at < KIB.length - 1) { number /= 1024; at += 1; }
    return `${+number.toPrecision(4)} ${KIB[at]}${unit.slice(5)}`;
  }
  const label = (one) => one.requested + (one.note ? ` (${one.note})` : "");
  const badge = (verdict, tone) => element("span", { class: `badge ${tone}` },
    element("span", { "aria-hidden": "true" }, atlas.signs[verdict] || "?"), ` ${verdict}`);

  function fileTexts(files) {
    return Object.entries(files).map(([name, file]) => {
      const as = file.expected === null || file.expected === undefined ? "" : file.after === file.expected ? " ✓" : ` ✗ should be ${file.expected}`;
      return element("span", { class: "file" }, `${name}: ${file.before ?? "absent"} → ${file.after ?? "absent"}${as}`);
    });
  }
  function felt(one, value) {
    const points = (one.experienced || []).filter((point) => point.requested === value.requested &&
      (point.note ?? null) === (value.note ?? null) && point.role === value.role);
    return points.map((point) => element("div", {},
      `${amount(point.value, point.unit)} of ${amount(point.expected, point.unit)}`,
      (point.tolerance ?? null) === null ? "" : ` ±${amount(point.tolerance, point.unit)}`,
      point.within === undefined || point.within === null ? "" : point.within ? " ✓" : " ✗ outside",
      element("br"), element("span", { class: "aside" }, atlas.metrics[point.metric] || point.metric.replaceAll("_", " "))));
  }
  function values(one) {
    const rows = (one.values || []).flatMap((value) => {
      const odd = value.verdict !== "effective";
      return [
        element("tr", {}, element("th", { scope: "row" }, label(value), element("br"), element("span", { class: "aside" }, value.role)),
          element("td", { "data-label": "Verdict" }, badge(value.verdict, atlas.tones[value.verdict])),
          element("td", { "data-label": "Experienced" }, felt(one, value)), element("td", { "data-label": "Files" }, fileTexts(value.files || {}))),
        odd ? element("tr", { class: "why" }, element("td", { colspan: "4" }, value.reason)) : null,
      ].filter(Boolean);
    });
    if (!rows.length) return [];
    const head = ["Value", "Verdict", "Experienced", "Files"].map((text) => element("th", { scope: "col" }, text));
    return [element("h4", {}, "Values"), element("div", { class: "scroll" },
      element("table", { class: "tried" }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)))];
  }
  function files(one) {
    const paths = Object.entries(one.enforced || {}).filter(([, file]) => file.path);
    if (!paths.length) return [];
    return [element("h4", {}, "Read it yourself"), ...paths.map(([, file]) => element("pre", {},
      `cat ${file.path}\n${file.after ?? "absent"}` +
      (file.expected !== null && file.expected !== undefined && file.expected !== file.after ? `\n\nshould be: ${file.expected}` : "")))];
  }
  function times(one) {
    const known = one.time_to_effect_ms;
    if (!known) return [];
    const said = [["answer", "answer"], ["enforced", "file"], ["experienced", "workload"]]
      .filter(([key]) => known[key] !== null && known[key] !== undefined)
      .map(([key, name]) => `${name} after ${+known[key].toPrecision(3)} ms`);
    return said.length ? [element("p", { class: "quiet" }, `Medians since the request: ${said.join(", ")}.`)] : [];
  }
  const quoted = (title, texts, reason) => (texts || []).filter((text) => !reason.includes(text)).map((text) => element("p", { class: "quiet" }, `${title}“${text}”`));
  // Texts of cgbench have names in backticks.
  const prose = (text) => String(text).split("`").map((part, at) => (at % 2 ? element("code", {}, part) : part));

  function open(cell) {
    const [host, option] = cell.split("/");
    const column = atlas.columns[host], one = column && (atlas.cells[host] || {})[option];
    if (!one) return;
    const close = element("button", { class: "close", type: "button", "aria-label": "Close" }, "✕");
    close.addEventListener("click", () => dialog.close());
    dialog.replaceChildren(...[close,
      element("h3", { id: "cell-title" }, element("code", {}, `--${option}`), ` on ${host} `, badge(one.verdict, one.tone)),
      element("p", {}, ...prose(one.reason.charAt(0).toUpperCase() + one.reason.slice(1))),
      one.advice ? element("p", { class: "advice" }, "→ ", ...prose(one.advice)) : null,
      ...(one.also || []).map((text) => element("p", { class: "caveat" }, "▲ ", ...prose(text))),
      element("p", { class: "quiet" }, `${column.line}. Measured ${column.measured}.${column.remark ? ` ${column.remark}` : ""}`),
      ...quoted("Docker warned: ", (one.declared || {}).warnings, one.reason), ...quoted("Docker refused: ", (one.declared || {}).refused, one.reason),
      one.control ? element("p", {}, ...prose(one.control)) : null,
      ...(one.undone_by || []).map((text) => element("p", {}, "Undone by ", ...prose(text))),
      ...values(one), ...files(one), ...times(one),
      column.packages.length ? element("details", {}, element("summary", {}, `${column.packages.length} packages`), element("pre", {}, column.packages.join("\n"))) : null,
      element("p", { class: "back" }, element("a", { href: `#option-${option}` }, `--${option} on all hosts`)),
    ].filter(Boolean));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    toAddress(cell);
  }
  dialog.addEventListener("close", () => toAddress(null));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
    if (event.target.closest(".back a")) {
      const goal = event.target.closest("a").hash;
      event.preventDefault();
      dialog.close();
      // Not before the address is written anew.
      setTimeout(() => { location.hash = goal; });
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#cell="]');
    if (!link) return;
    event.preventDefault();
    open(link.getAttribute("href").slice("#cell=".length));
  });

  function read() {
    const state = fromAddress();
    if (![...state.keys()].length) return;
    for (const name of parts) filters.elements[name].value = state.get(name) || "";
    for (const name of parts) if (filters.elements[name].selectedIndex < 0) filters.elements[name].value = "";
    filters.elements.differing.checked = state.has("differing");
    apply();
    if (state.get("cell")) open(state.get("cell"));
  }
  filters.addEventListener("change", () => { apply(); toAddress(null); });
  filters.addEventListener("reset", () => setTimeout(() => { apply(); toAddress(null); }));
  filters.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", read);

  // A table of the reader's own: read here, and kept nowhere.
  const CONTAINER = /[0-9a-f]{64}/g;
  // What would steer the reader's eye instead of being seen becomes an escape.
  const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
  const seen = (text) => text.replace(CONTAINER, "CONTAINER").replace(UNSEEN, (one) =>
    (one === "\n" || one === "\t" ? one : `\\u{${one.codePointAt(0).toString(16)}}`));
  const visible = (table) => JSON.parse(JSON.stringify(table), (_key, value) =>
    (typeof value === "string" ? seen(value) : value));
  function belied(one) {
    return (one.states || []).some((found) => {
      const last = found.steps && found.steps.length ? found.steps.at(-1).held : found.after;
      const never = found.in_force === "never";
      if (found.outcome === "rejected") {
        return (found.after && found.after.declared === found.sent) || (found.in_force && !never);
      }
      return ["accepted", "warned"].includes(found.outcome) && last &&
        last.declared === found.sent && (found.undone || never);
    });
  }
  function own(text) {
    const table = visible(JSON.parse(text));
    if (!table || !table.host || !Array.isArray(table.options)) throw new Error("no truth table of cgbench verify");
    const emulated = String(table.host.cpu_model).includes("TCG");
    const cells = {};
    for (const found of table.options) {
      if (!atlas.signs[found.verdict] || !/^[a-z][a-z0-9-]*$/.test(found.option)) throw new Error(`an unknown verdict of ${found.option}`);
      const one = { ...found };
      const fails = atlas.fails.includes(one.verdict) || one.refused_yet_changed || belied(found);
      one.tone = fails ? "fiction" : atlas.tones[one.verdict];
      if (emulated) delete one.time_to_effect_ms;
      cells[found.option] = one;
    }
    const alone = !(table.interactions || []).length;
    return { host: table.host, started: String(table.started), emulated, alone, cells };
  }
  function show(text, name) {
    complaint.hidden = true;
    let found;
    try { found = own(text); } catch (error) {
      complaint.textContent = `${name} cannot be shown: ${error.message}`;
      complaint.hidden = false;
      return;
    }
    // No row has a capital in its name.
    const id = "Dropped";
    for (const old of matrix.querySelectorAll(`[data-column=${id}]`)) old.remove();
    const { host } = found;
    const line = `kernel ${host.kernel}, cgroup ${host.cgroup}, ${host.cgroup_driver} driver, ` +
      `${host.engine || "docker"} ${host.docker}, ${host.runtime || "runc"} ${host.runc}`;
    atlas.columns[id] = { title: host.hostname, line, measured: found.started.slice(0, 10), packages: [],
      remark: [found.emulated && atlas.remarks.emulated, found.alone && atlas.remarks.alone].filter(Boolean).join(" ") || null };
    atlas.cells[id] = found.cells;
    matrix.tHead.rows[0].cells[0].after(element("th", { scope: "col", "data-column": id, class: "yours", title: line },
      element("span", { class: "mine" }, "your host"), ` ${host.hostname}`));
    const version = (/^\d+\.\d+/.exec(host.kernel) || [host.kernel])[0];
    const bare = (text_) => String(text_).replace(/[+~-].*/, "");
    const key = { kernel: version, layout: host.cgroup, driver: host.cgroup_driver,
      engine: host.engine ? `${host.engine} ${bare(host.docker)}` : "",
      runtime: host.runtime ? `${host.runtime} ${bare(host.runc)}` : "",
      systemd: host.systemd || "", io_control: host.io_control || "", memory_nodes: String(host.memory_nodes || 1), emulated: found.emulated ? "emulated" : "real" };
    for (const row of matrix.querySelectorAll(".parts tr")) {
      row.cells[0].after(element("td", { "data-column": id }, key[row.dataset.part] || ""));
    }
    for (const row of lines) {
      const one = found.cells[row.dataset.option];
      row.cells[0].after(one
        ? element("td", { "data-column": id, "data-verdict": one.verdict, class: one.tone },
          element("a", { href: `#cell=${id}/${row.dataset.option}` }, element("span", { "aria-hidden": "true" }, atlas.signs[one.verdict]), ` ${one.verdict}`))
        : element("td", { "data-column": id }));
    }
    apply();
  }
  const take = (file) => { if (file) file.text().then((text) => show(text, file.name)); };
  document.getElementById("own").addEventListener("change", (event) => take(event.target.files[0]));
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer.files[0]);
  });

  apply();
  read();
})();
