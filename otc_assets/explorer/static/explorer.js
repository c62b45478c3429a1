// Comfort only: every page works without it, by links and forms.
"use strict";

const later = (wait, act) => { let timer; return (...all) => { clearTimeout(timer); timer = setTimeout(() => act(...all), wait); }; };
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// A page is asked for, and the named parts of this one become those of the answer.
let asking = null;
async function go(url, parts) {
  if (asking) asking.abort();
  const mine = asking = new AbortController();
  try {
    const answer = await fetch(url, { signal: mine.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine.signal.aborted) return;
    if (!parts.every((part) => one(part) && one(part, page))) { location.assign(url); return; }
    const focus = document.activeElement && document.activeElement.name;
    for (const part of parts) one(part).replaceWith(document.adoptNode(one(part, page)));
    document.title = page.title;
    history.replaceState(null, "", url);
    dress(document);
    if (focus && document.activeElement === document.body) one(`main [name="${CSS.escape(focus)}"]`)?.focus();
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  }
}

function addressOf(form) {
  const url = new URL(form.getAttribute("action") || location.pathname, location.href);
  for (const [name, value] of new FormData(form)) if (value !== "") url.searchParams.set(name, value);
  return url;
}

function live(form) {
  if (form.dataset.dressed) return;
  form.dataset.dressed = "yes";
  const change = later(250, () => {
    if (!form.checkValidity()) return;
    go(addressOf(form), one("#view") ? ["#nav", "#known", "#view"] : ["#nav", "#main"]);
  });
  form.addEventListener("change", change);
  const button = one("button", form);
  if (button) button.hidden = true;
  const range = one("input[type=range]", form), choice = one("[name=as_of]", form);
  if (range) {
    range.hidden = false;
    const days = range.dataset.days.split(" ");
    const told = () => range.setAttribute("aria-valuetext", days[range.value]);
    told();
    range.addEventListener("change", (event) => event.stopPropagation());
    const asked = later(60, () => go(addressOf(form), ["#nav", "#known", "#view"]));
    range.addEventListener("input", () => { choice.value = days[range.value]; told(); asked(); });
    choice.addEventListener("change", () => { range.value = choice.value ? Math.max(0, days.filter((day) => day <= choice.value).length - 1) : days.length - 1; told(); });
  }
}

// A table that is whole on its page is sorted by its heads.
function sortable(table) {
  if (table.dataset.dressed) return;
  table.dataset.dressed = "yes";
  all("thead th", table).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      all("thead th", table).forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => { const text = row.cells[column].textContent.trim(); const number = Number(text.replace(/[,%*]/g, "").replace("−", "-")); return text === "" || Number.isNaN(number) ? text : number; };
      const order = (a, b) => { const [x, y] = [value(a), value(b)]; if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1; return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1); };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(order));
    });
  });
}

// What a text may mean, while it is typed: symbols, then venues.
const suggested = { symbol: "/v1/symbols?limit=8", venue: "/v1/venue-registry?limit=4" };
function suggest(form) {
  const field = one("input[type=search]", form);
  if (!field || field.dataset.dressed) return;
  field.dataset.dressed = "yes";
  const list = document.createElement("ul");
  list.className = "found"; list.id = "found"; list.hidden = true; list.setAttribute("role", "listbox");
  form.append(list);
  Object.entries({ role: "combobox", "aria-controls": "found", "aria-expanded": "false", "aria-autocomplete": "list" }).forEach(([name, value]) => field.setAttribute(name, value));
  let active = -1;
  const close = () => { list.hidden = true; active = -1; field.setAttribute("aria-expanded", "false"); field.removeAttribute("aria-activedescendant"); };
  const mark = (step) => {
    const items = all("li", list);
    if (!items.length) return;
    active = (active + step + items.length + (active < 0 && step < 0 ? 1 : 0)) % items.length;
    items.forEach((item, at) => { item.classList.toggle("active", at === active); item.setAttribute("aria-selected", at === active); });
    field.setAttribute("aria-activedescendant", items[active].id);
  };
  field.addEventListener("input", later(120, async () => {
    const text = field.value;
    if (!text.trim()) { close(); return; }
    const found = await Promise.all(Object.entries(suggested).map(async ([kind, path]) => {
      const answer = await fetch(`${path}&search=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
      return answer.ok ? (await answer.json()).data.map((row) => ({ kind, text: row[kind], name: row.issue_name || row.name || "" })) : [];
    }));
    if (field.value !== text) return;
    const day = new URLSearchParams(location.search).get("as_of");
    list.replaceChildren(...found.flat().map((row, at) => {
      const item = document.createElement("li"), link = document.createElement("a"), name = document.createElement("span");
      item.id = `found-${at}`; item.setAttribute("role", "option");
      link.href = `/${row.kind}/${encodeURIComponent(row.text)}${day ? `?as_of=${encodeURIComponent(day)}` : ""}`;
      link.tabIndex = -1; name.textContent = row.name;
      link.append(Object.assign(document.createElement("b"), { textContent: row.text }), name);
      item.append(link);
      return item;
    }));
    active = -1;
    list.hidden = !list.children.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
  }));
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { mark(event.key === "ArrowDown" ? 1 : -1); event.preventDefault(); }
    if (event.key === "Escape") close();
    if (event.key === "Enter" && active >= 0 && !list.hidden) { one("a", list.children[active]).click(); event.preventDefault(); }
  });
  field.addEventListener("blur", () => setTimeout(close, 200));
}

function dress(page) {
  all("form[data-live]", page).forEach(live);
  all("table.sortable", page).forEach(sortable);
  all("form.search", page).forEach(suggest);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select, textarea")) { one("form.search input").focus(); event.preventDefault(); }
});
dress(document);
