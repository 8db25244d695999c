// Mouse, touch, wheel and keys on the viewer.
import { $ } from "/static/dom.js";
import { fit, fitScale, pan, redraw, viewer, zoom } from "/static/viewer.js";

const STEP = 48; // CSS pixels by which an arrow key moves
const WIPE_STEP = 0.02;
const canvas = $("canvas");
const pointers = new Map();

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};
const spread = ([one, other]) => Math.hypot(one.x - other.x, one.y - other.y);
const middle = ([one, other]) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });

function move(event) {
  const now = place(event);
  viewer.pointer = now;
  const before = pointers.get(event.pointerId);
  if (before) {
    const former = [...pointers.values()];
    pointers.set(event.pointerId, now);
    const current = [...pointers.values()];
    if (pointers.size === 1) { if (!viewer.fitted || !viewer.lens) pan(now.x - before.x, now.y - before.y); }
    else {
      pan(middle(current).x - middle(former).x, middle(current).y - middle(former).y);
      zoom((viewer.scale * spread(current)) / Math.max(spread(former), 1), middle(current));
    }
  }
  if (viewer.lens) redraw();
}

/** Set where the wipe stands, 0 to 1. */
export function setSplit(split) {
  viewer.split = Math.min(Math.max(split, 0), 1);
  redraw();
}

const KEYS = {
  ArrowLeft: () => pan(STEP, 0), ArrowRight: () => pan(-STEP, 0), ArrowUp: () => pan(0, STEP), ArrowDown: () => pan(0, -STEP),
  "+": () => zoom(viewer.scale * 1.5, middleOfCanvas()), "=": () => zoom(viewer.scale * 1.5, middleOfCanvas()),
  "-": () => zoom(viewer.scale / 1.5, middleOfCanvas()), 0: fit, 1: () => zoom(1, middleOfCanvas()),
  "[": () => setSplit(viewer.split - 2 * WIPE_STEP), "]": () => setSplit(viewer.split + 2 * WIPE_STEP),
  l: () => $("lens").click(),
};

const middleOfCanvas = () => ({ x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 });

/** Zoom by a factor around the middle, as the buttons do. */
export const zoomBy = (factor) => zoom(viewer.scale * factor, middleOfCanvas());
/** 1:1, or back to the whole image. */
export const toggleActual = () => (viewer.scale === 1 && fitScale() !== 1 ? fit() : zoom(1, middleOfCanvas()));

export function listen() {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
  });
  canvas.addEventListener("pointermove", move);
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { viewer.pointer = null; redraw(); });
  canvas.addEventListener("dblclick", (event) => (viewer.fitted ? zoom(Math.max(1, 2 * viewer.scale), place(event)) : fit()));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (viewer.job?.image) zoom(viewer.scale * 1.0015 ** -event.deltaY, place(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !viewer.job?.image) return;
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { event.preventDefault(); action(); }
  });
  listenToWipe($("wipe"));
}

function listenToWipe(wipe) {
  const drag = (event) => setSplit(place(event).x / canvas.clientWidth);
  wipe.addEventListener("pointerdown", (event) => wipe.setPointerCapture(event.pointerId));
  wipe.addEventListener("pointermove", (event) => wipe.hasPointerCapture(event.pointerId) && drag(event));
  wipe.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: viewer.split - WIPE_STEP, ArrowDown: viewer.split - WIPE_STEP, ArrowRight: viewer.split + WIPE_STEP,
      ArrowUp: viewer.split + WIPE_STEP, PageDown: viewer.split - 0.1, PageUp: viewer.split + 0.1, Home: 0, End: 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); setSplit(to); }
  });
}
