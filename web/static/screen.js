// Replaces the code in place, so that the screen does not flash; says so when it grows old.
const every = Number(document.body.dataset.refreshS) * 1000;
const stale = document.querySelector(".stale");
let shownAt = Date.now();
async function rotate() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(next.querySelector("main"));
    document.querySelector(".where").replaceWith(next.querySelector(".where"));
    shownAt = Date.now();
  } catch {
    // The agent restarts or the cable is out: the next round tries again.
  }
  stale.hidden = Date.now() - shownAt < 5 * every;
}
setInterval(rotate, every);
