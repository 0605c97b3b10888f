// Zones and masks drawn on the picture, by pointer or by keyboard; the form's text fields stay the truth, so
// what is drawn is exactly what is sent. And what changes by itself renewed in place.
const SVG = "http://www.w3.org/2000/svg";
const SCALE = 1000; // the drawing's view box; fields hold shares of 1
const STEP = 10, LARGE_STEP = 50;

function readPoints(field) {
  return field.value.trim().split(/\s+/).filter(Boolean).map((pair) => pair.split(",").map(Number));
}

function writePoints(field, points) {
  field.value = points.map(([x, y]) => `${+x.toFixed(4)},${+y.toFixed(4)}`).join(" ");
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function startDrawing(form) {
  const drawing = form.querySelector("[data-drawing]");
  const zones = [...form.querySelectorAll("[data-zone]")].map((box) => ({
    box,
    points: box.querySelector("[name=points]"),
    role: box.querySelector("[name=role]"), // a mask has none
  }));
  const kindOf = (zone) => zone.role?.value ?? "mask";
  let current = zones.find((zone) => !zone.points.value) ?? zones[0];
  let cursor = null; // where the keyboard is, in view box units

  function draw() {
    drawing.replaceChildren();
    for (const zone of zones) {
      const at = readPoints(zone.points).map(([x, y]) => [x * SCALE, y * SCALE]);
      zone.box.className = `zone zone-${kindOf(zone)}${zone === current ? " drawing" : ""}`;
      if (!at.length) continue;
      drawing.append(shape(at.length > 2 ? "polygon" : "polyline", { points: at.join(" "), class: `shape-${kindOf(zone)}` }));
      if (zone === current) for (const [cx, cy] of at) drawing.append(shape("circle", { cx, cy, r: 8 }));
    }
    if (cursor) drawing.append(shape("path", { class: "cursor", d: `M${cursor[0] - 20} ${cursor[1]}h40M${cursor[0]} ${cursor[1] - 20}v40` }));
  }

  function add(x, y) {
    writePoints(current.points, [...readPoints(current.points), [x, y]]);
    draw();
  }

  function undo(zone) {
    writePoints(zone.points, readPoints(zone.points).slice(0, -1));
    draw();
  }

  drawing.addEventListener("click", (event) => {
    const frame = drawing.getBoundingClientRect();
    add((event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
  });
  drawing.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const size = event.shiftKey ? LARGE_STEP : STEP;
    if (event.key in moves) {
      cursor = (cursor ?? [SCALE / 2, SCALE / 2]).map((value, axis) => Math.min(SCALE, Math.max(0, value + moves[event.key][axis] * size)));
      draw();
    } else if ((event.key === "Enter" || event.key === " ") && cursor) {
      add(cursor[0] / SCALE, cursor[1] / SCALE);
    } else if (event.key === "Backspace") {
      undo(current);
    } else return;
    event.preventDefault();
  });
  for (const zone of zones) {
    const tools = zone.box.querySelector("[data-tools]");
    tools.hidden = false;
    tools.querySelector("[data-draw]").addEventListener("click", () => { current = zone; draw(); drawing.focus(); });
    tools.querySelector("[data-undo]").addEventListener("click", () => undo(zone));
    tools.querySelector("[data-clear]").addEventListener("click", () => { zone.points.value = ""; current = zone; draw(); });
    zone.points.addEventListener("input", draw);
    zone.role?.addEventListener("change", draw);
  }
  drawing.removeAttribute("hidden");
  form.querySelector("[data-help]").hidden = false;
  draw();
}

const RENEW_MS = 2000;
async function renew() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const parts = next.querySelectorAll("[data-renew]");
    document.querySelectorAll("[data-renew]").forEach((old, index) => {
      const part = parts[index];
      if (!part) return; // logged out
      for (const picture of part.querySelectorAll("img")) picture.src += `?at=${Date.now()}`;
      old.replaceWith(part);
    });
  } catch {
    // The agent restarts: the next round tries again.
  }
}

const form = document.querySelector("[data-zones]");
if (form) startDrawing(form);
if (document.querySelector("[data-renew]")) setInterval(renew, RENEW_MS);
