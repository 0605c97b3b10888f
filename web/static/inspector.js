// What makes the inspector's pages quicker. Without it every page works: links, forms and reloads do.
"use strict";

const ORDER = "data-order";
const rows = () => [...document.querySelectorAll("table.cards tbody tr")];
let chosen = null; // id of the row that j and k move
let stream = null;

function choose(row) {
  document.querySelectorAll("tr.chosen").forEach((other) => other.classList.remove("chosen"));
  if (!row) return;
  chosen = row.id;
  row.classList.add("chosen");
  row.querySelector("a.open")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const all = rows();
  const at = all.findIndex((row) => row.classList.contains("chosen"));
  choose(all[Math.min(Math.max(at + step, 0), all.length - 1)]);
}

// --- live rows ---------------------------------------------------------------------------------

function showLive(state) {
  const line = document.getElementById("live");
  if (!line) return;
  line.dataset.state = state;
  line.textContent = line.dataset[state];
}

function placeRow(html, isFirstPage) {
  const body = document.getElementById("flag-rows");
  const template = document.createElement("template");
  template.innerHTML = html;
  const row = template.content.querySelector("tr");
  const old = document.getElementById(row.id);
  const order = row.getAttribute(ORDER);
  const wasChosen = old?.classList.contains("chosen");
  if (!old && !isFirstPage) return; // belongs to another page of the list
  old?.remove();
  const next = [...body.rows].find((other) => other.getAttribute(ORDER) > order);
  body.insertBefore(row, next ?? null);
  if (!old) row.classList.add("arrived");
  if (wasChosen) choose(row);
  tellEmpty();
}

function tellEmpty() {
  const empty = document.getElementById("no-flags");
  if (empty) empty.hidden = document.getElementById("flag-rows").rows.length > 0;
}

function follow() {
  stream?.close();
  const list = document.querySelector("[data-stream]");
  if (!list || !window.EventSource) return;
  stream = new EventSource(list.dataset.stream);
  stream.onopen = () => showLive("live");
  stream.onerror = () => showLive("stale");
  stream.addEventListener("flag", (event) => placeRow(event.data, list.dataset.firstPage === "yes"));
  stream.addEventListener("gone", (event) => {
    document.getElementById(`flag-${event.data}`)?.remove();
    tellEmpty();
  });
  stream.addEventListener("ended", () => {
    stream.close();
    showLive("ended");
  });
}

// --- pictures under way --------------------------------------------------------------------------

const FOLLOW_EVERY_MS = 2000;

// A log-in that has ended ends it; a line that broke does not.
async function followPictures(place) {
  const options = { headers: { "X-Listening": "1" }, redirect: "manual" };
  const answer = await fetch(place.dataset.follow, options).catch(() => null);
  const isTyping = place.contains(document.activeElement); // what is typed there is not lost
  if (answer?.status === 200 && !isTyping) {
    const template = document.createElement("template");
    template.innerHTML = (await answer.text()).trim();
    const fresh = template.content.firstElementChild;
    place.replaceWith(fresh);
    place = fresh;
  }
  const goesOn = answer === null || answer.ok || answer.status >= 500;
  if (goesOn && place.dataset.follow) setTimeout(followPictures, FOLLOW_EVERY_MS, place);
}

// --- keys and decisions ------------------------------------------------------------------------

async function decide(form) {
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
  // The changed row comes by the stream; without one, or on trouble, the page says it itself.
  if (!answer.ok || !stream || stream.readyState !== EventSource.OPEN) form.submit();
}

const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  a: () => {
    const row = document.querySelector("tr.chosen");
    const form = (row ?? document).querySelector("form[data-action=take]");
    if (!form || (!row && document.getElementById("flag-rows"))) return;
    if (row) decide(form);
    else form.submit();
  },
  d: () => {
    const reason = document.getElementById("dismiss");
    const link = document.querySelector("tr.chosen a.open");
    if (reason) reason.focus();
    else if (link) location.href = `${link.href}#dismiss`;
  },
  Enter: () => {
    const link = document.querySelector("tr.chosen a.open");
    if (link) location.href = link.href;
  },
  "?": () => document.getElementById("help")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  const pressing = event.key === "Enter" && event.target.closest("a, button, summary");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.addEventListener("submit", (event) => {
  if (!event.target.closest("#flag-rows")) return;
  event.preventDefault(); // stays on the list as it is filtered
  decide(event.target);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-language]");
  if (link && new URL(link.href).pathname === location.pathname) {
    // Keeps the filters chosen since the page was loaded, of which the link does not know.
    event.preventDefault();
    const address = new URL(location.href);
    address.searchParams.set("lang", link.lang);
    location.href = address;
  }
  if (event.target.closest("[data-help]")) document.getElementById("help").showModal();
  const mark = event.target.closest("[data-seek]");
  if (mark) mark.closest("article").querySelector("video").currentTime = Number(mark.dataset.seek);
});

// --- times -------------------------------------------------------------------------------------

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function tellTimes() {
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
  document.querySelectorAll("time[data-ago]").forEach((time) => {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (seconds < 60) return; // "just now", as the server said
    const [unit, length] = STEPS.find(([, size]) => seconds >= size * 1.5) ?? STEPS[2];
    time.textContent = words.format(-Math.max(0, Math.round(seconds / length)), unit);
  });
}

document.querySelectorAll("[data-help], [data-marks]").forEach((part) => (part.hidden = false));
document.querySelectorAll("[data-follow]").forEach(followPictures);
document.addEventListener("htmx:afterSettle", follow);
window.addEventListener("pagehide", () => stream?.close());
setInterval(tellTimes, 60_000);
follow();
if (location.hash === "#dismiss") document.getElementById("dismiss")?.focus();
