// The thank-you page goes back to the faces when nobody touches it, so that the next citizen
// does not see the last one's answer; a receipt's code takes longer to copy. Without script the
// page does so after two minutes.
const target = document.querySelector("[data-leave-to]");
let timer;
function restart() {
  clearTimeout(timer);
  timer = setTimeout(() => location.replace(target.dataset.leaveTo), 1000 * target.dataset.leaveAfterS);
}
if (target) {
  for (const kind of ["pointerdown", "keydown", "input", "scroll"]) addEventListener(kind, restart, { passive: true });
  restart();
}
