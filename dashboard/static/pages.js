// Times in the reader's zone, and the live parts of a page. Pages work without
// it: then times are UTC and nothing moves by itself.
"use strict";
(() => {
  // A time as the server writes it, by the reader's clock: the same digits and the same
  // order in every language.
  function written(at, show) {
    const two = (n) => String(n).padStart(2, "0");
    const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`, minute = `${two(at.getHours())}:${two(at.getMinutes())}`;
    const date = `${at.getFullYear()}-${day}`, clock = `${minute}:${two(at.getSeconds())}`;
    return { full: `${date} ${minute}`, second: `${date} ${clock}`, day: `${day} ${minute}`, minute, clock }[show];
  }
  function localise(root) {
    for (const time of root.querySelectorAll("time[data-show]")) {
      time.title = time.dateTime;
      time.textContent = written(new Date(time.dateTime), time.dataset.show);
    }
    for (const day of root.querySelectorAll("span[data-hijri]")) day.textContent = hijri.format(new Date(day.dataset.hijri));
  }
  // The day of a time in the calendar of Umm al-Qura, as the server writes it.
  const hijri = new Intl.DateTimeFormat("ar-u-ca-islamic-umalqura-nu-latn", { day: "numeric", month: "long", year: "numeric" });
  const zone = document.getElementById("zone");
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(new Date()).find((p) => p.type === "timeZoneName");
  zone.textContent = `${Intl.DateTimeFormat().resolvedOptions().timeZone} (${offset ? offset.value : ""})`;
  const shown = new Map(); // what fills the live parts, as it came
  for (const part of document.querySelectorAll("[data-live]")) shown.set(part.id, part.innerHTML);
  localise(document);

  // Hours are mostly by the clock of those who make a campaign. Days stand in the order of its
  // calendars, beside the week that is usual there.
  const clock = document.getElementById("clock");
  if (clock && clock.form) {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (clock.form.dataset.zone !== undefined && clock.value === "") {
      const known = [...clock.options].some((o) => o.value === own);
      clock.value = known ? own : "other";
      if (!known) document.getElementById("timezone").value = own;
    }
    const arrangeDays = () => {
      const first = Number(clock.selectedOptions[0].dataset.first);
      for (const days of document.querySelectorAll("[data-days]")) days.append(...[...days.children].sort((a, b) => (a.dataset.day - first + 7) % 7 - (b.dataset.day - first + 7) % 7));
      const usual = [...document.querySelectorAll(".usual button")], here = usual.some((b) => b.dataset.zone === clock.value);
      for (const b of usual) b.hidden = here ? b.dataset.zone !== clock.value : b.dataset.often === undefined;
    };
    clock.addEventListener("change", arrangeDays);
    arrangeDays();
  }
  // The Hijri day beside a day that is picked, in the words of the server.
  for (const beside of document.querySelectorAll("[data-hijri-of]")) {
    const field = document.getElementById(beside.dataset.hijriOf), words = beside.closest("[data-months]").dataset;
    const parts = new Intl.DateTimeFormat("en-u-ca-islamic-umalqura-nu-latn", { day: "numeric", month: "numeric", year: "numeric", timeZone: "UTC" });
    field.addEventListener("input", () => {
      const at = new Date(field.type === "date" ? field.value : `${field.value}Z`), part = {};
      if (!isNaN(at)) for (const p of parts.formatToParts(at)) part[p.type] = p.value;
      beside.textContent = isNaN(at) ? "" : JSON.parse(words.hijri).other.replace("{{.day}}", part.day).replace("{{.month}}", words.months.split(",")[part.month - 1]).replace("{{.year}}", part.year);
    });
  }

  // A form is sent once, and what it says goes back with the page's memory.
  document.addEventListener("submit", (e) => {
    const button = e.submitter;
    if (button && e.target.method === "post") setTimeout(() => { button.disabled = true; button.textContent = button.dataset.busy || button.textContent; });
  });
  window.addEventListener("pageshow", () => { for (const b of document.querySelectorAll("button[disabled]")) b.disabled = false; });
  const here = new URL(location.href);
  if (here.searchParams.has("did") || here.searchParams.has("lang")) { // so that a reload does not say it again
    here.searchParams.delete("did");
    here.searchParams.delete("lang"); // it is kept
    history.replaceState(null, "", here);
  }

  const url = document.body.dataset.events;
  if (!url) return;

  // Parts that a visitor has open or types into are updated when they are done.
  const waiting = new Map();
  const inUse = (part) => part.querySelector("details.action[open]") !== null;
  function fill(id, html) {
    const part = document.getElementById(id);
    if (!part) return;
    if (inUse(part)) { waiting.set(id, html); return; }
    waiting.delete(id);
    const next = document.createElement("template");
    next.innerHTML = html; // made by the server's templates, which escape
    if (shown.get(id) === next.innerHTML) return;
    shown.set(id, next.innerHTML);
    const focus = part.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...part.querySelectorAll("details[open] > summary[id]")].map((s) => s.id);
    part.replaceChildren(next.content);
    for (const o of open) { const s = document.getElementById(o); if (s) s.parentElement.open = true; }
    if (focus) { const f = document.getElementById(focus); if (f) f.focus({ preventScroll: true }); }
    localise(part);
  }
  document.addEventListener("toggle", () => { for (const [id, html] of [...waiting]) fill(id, html); }, true);

  // The rows of a list, in order: those that are gone go, new ones are filled next.
  function arrange(ids) {
    const list = document.getElementById("rows");
    if (!list) return;
    const wanted = new Set(ids);
    for (const row of [...list.tBodies]) if (!wanted.has(row.id)) { shown.delete(row.id); row.remove(); }
    ids.forEach((id, i) => {
      let row = document.getElementById(id);
      if (!row) { row = document.createElement("tbody"); row.id = id; }
      if (list.tBodies[i] !== row) list.insertBefore(row, list.tBodies[i] || null);
    });
  }

  // The state of the page: live, old because of a trouble, or not connected.
  const live = document.getElementById("live"), says = live.dataset;
  const trouble = document.getElementById("trouble"), why = document.getElementById("why-old"), old = document.getElementById("how-old");
  function say(text, lost) { live.hidden = false; if (live.textContent !== text) live.textContent = text; live.classList.toggle("lost", lost); }
  let since = null;
  const plural = new Intl.PluralRules(document.documentElement.lang);
  function tell(text, at) {
    since = text && at ? new Date(at) : null;
    why.textContent = text;
    trouble.hidden = text === "";
    age();
    say(text ? says.old : says.now, text !== "");
  }
  function age() {
    if (!since) { old.textContent = ""; return; }
    const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
    const [n, unit] = seconds < 90 ? [seconds, "seconds"] : [Math.round(seconds / 60), "minutes"];
    const forms = JSON.parse(old.dataset[unit]), isolated = (text) => `\u2066${text}\u2069`;
    const ago = (forms[plural.select(n)] || forms.other).replace("{{.n}}", isolated(n));
    old.textContent = old.dataset.from.replace("{time}", isolated(written(since, "second"))).replace("{ago}", ago);
  }
  setInterval(age, 5000);

  if (!trouble.hidden) say(says.old, true);

  let source = null, last = 0;
  function connect() {
    if (source) source.close();
    last = Date.now();
    source = new EventSource(url);
    source.onopen = () => { last = Date.now(); if (trouble.hidden) say(says.now, false); };
    source.onerror = () => { say(says.lost, true); if (source && source.readyState === EventSource.CLOSED) signedOut(); };
    source.addEventListener("beat", () => { last = Date.now(); });
    source.onmessage = (e) => {
      last = Date.now();
      const news = JSON.parse(e.data);
      if (news.trouble !== undefined) tell(news.trouble, news.since);
      if (news.rows) arrange(news.rows);
      if (news.id) fill(news.id, news.html);
    };
  }
  // Who has been signed out is asked to sign in again.
  async function signedOut() {
    try {
      const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" });
      if (answer.status === 401 || answer.type === "opaqueredirect") location.reload();
    } catch { /* the worker is gone; connect tries again */ }
  }
  // A browser gives up on some errors, and a proxy may go silent.
  setInterval(() => { if (source && (source.readyState === EventSource.CLOSED || Date.now() - last > 45000)) connect(); }, 5000);
  // A hidden page needs no connection: browsers allow few of them.
  function seen() { if (document.hidden) { if (source) source.close(); source = null; } else if (!source) connect(); }
  document.addEventListener("visibilitychange", seen);
  seen();
})();
