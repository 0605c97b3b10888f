// The thank-you page goes back to the faces when nobody touches it, so that the next citizen
// does not see the last one's answer. Without script the page does so after two minutes.
const LEAVE_AFTER_MS = 25_000;
const target = document.querySelector("[data-leave-to]");
let timer;
function restart() {
  clearTimeout(timer);
  timer = setTimeout(() => location.replace(target.dataset.leaveTo), LEAVE_AFTER_MS);
}
if (target) {
  for (const kind of ["pointerdown", "keydown", "input", "scroll"]) addEventListener(kind, restart, { passive: true });
  restart();
}
