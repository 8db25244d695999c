// The controls around the viewer: what to see, how large, which plane of a stack, which window of values.
import { $, button, h, number, slider } from "/static/dom.js";
import { toggleActual, zoomBy } from "/static/gestures.js";
import { fit, hasAfter, hasResult, percentilesOf, redraw, shownMode, viewer, windowOf } from "/static/viewer.js";

const MODES = [
  ["wipe", "Wipe", "Before on the left, after on the right of a line that can be moved"],
  ["side", "Side by side", "Before and after beside one another, moved together"],
  ["after", "After", "The denoised image alone"],
  ["residual", "Removed", "Before minus after: it should be noise alone"],
  ["spread", "Spread", "How much the predictions differ from one another: bright where the result is least certain"],
];
const AXES = { t: "Time", z: "Depth", c: "Channel" };
const KEYS = "Keys on the image: arrows move it, + and - zoom, 0 fits, 1 shows 1:1, [ and ] move the wipe, L switches the lens.";
const PERCENTILES = 100;

const modeButtons = new Map();
let controls = { key: "", planes: [], low: null, high: null };

export function build() {
  for (const [mode, text, title] of MODES) {
    const pick = () => { viewer.mode = mode; redraw(); };
    modeButtons.set(mode, button(text, pick, { title, "aria-pressed": "false" }));
  }
  const lens = button("Lens", () => {
    viewer.lens = !viewer.lens;
    lens.setAttribute("aria-pressed", viewer.lens);
    redraw();
  }, { id: "lens", "aria-pressed": "false", title: "Enlarge the place under the pointer, before and after (L)" });
  $("view-bar").append(
    h("div", { class: "segments", role: "group", "aria-label": "What is shown", id: "modes" }, [...modeButtons.values()]),
    h("div", { class: "segments", role: "group", "aria-label": "Zoom" },
      button("−", () => zoomBy(1 / 1.5), { "aria-label": "Zoom out" }),
      button("", toggleActual, { id: "scale", title: "Show each pixel as it is, or the whole image" }),
      button("+", () => zoomBy(1.5), { "aria-label": "Zoom in" }),
      button("Fit", fit)),
    h("div", { class: "segments" }, lens),
  );
  $("stage-foot").append(
    h("div", { id: "planes" }),
    h("details", { id: "window" }, h("summary", {}, "Brightness shown"), h("div", { id: "window-sliders" })),
    h("details", { class: "keys" }, h("summary", {}, "Keys"), h("p", { id: "keys-text" }, KEYS)),
  );
}

/** The value at a position of a window slider, 0 to 100: the percentile of the image. */
function valueAt(position, image) {
  const percentiles = percentilesOf(image);
  const below = Math.min(Math.floor(position), PERCENTILES - 1);
  return percentiles[below] + (position - below) * (percentiles[below + 1] - percentiles[below]);
}

/** The position whose value is nearest to a value. */
function positionOf(value, image) {
  let best = 0;
  for (let at = 0; at <= 1000; at += 1) {
    if (Math.abs(valueAt(at / 10, image) - value) < Math.abs(valueAt(best, image) - value)) best = at / 10;
  }
  return best;
}

function windowSlider(label, end, image) {
  const other = 1 - end;
  const oninput = (position) => {
    const limits = [...(viewer.window ?? windowOf(image))];
    limits[end] = valueAt(position, image);
    if (limits[0] >= limits[1]) limits[other] = limits[end] + (end ? -1 : 1) * Math.max(Math.abs(limits[end]) * 1e-6, 1e-6);
    viewer.window = limits;
    redraw();
  };
  const value = positionOf(windowOf(image)[end], image);
  return slider(label, { max: PERCENTILES, step: 0.1, value, shown: (position) => number(valueAt(position, image)), oninput });
}

function buildFor(job) {
  const { image } = job;
  const planes = image.planes.map(([axis, count], index) => {
    if (count < 2) return null;
    const name = AXES[axis] ?? axis.toUpperCase();
    const oninput = (value) => {
      viewer.plane[index] = value - 1;
      viewer.followed = false;
      if (axis === "c") reset();
      redraw();
    };
    return slider(name, { min: 1, max: count, step: 1, value: viewer.plane[index] + 1, shown: (value) => `${value} of ${count}`, oninput });
  });
  const limits = [windowSlider("Black at", 0, image), windowSlider("White at", 1, image)];
  const reset = () => {
    viewer.window = null;
    limits.forEach((limit, end) => limit.set(positionOf(windowOf(image)[end], image)));
    redraw();
  };
  $("planes").replaceChildren(...planes.filter(Boolean).map(({ element }) => element));
  $("window-sliders").replaceChildren(...limits.map(({ element }) => element), button("Reset", reset));
  return { key: job.id, planes };
}

/** Bring the controls in line with what was just drawn. */
export function update() {
  const { job } = viewer;
  const image = job?.image;
  $("view-bar").hidden = $("stage-foot").hidden = !image;
  const note = !job ? "" : !image && job.state === "inspecting" ? "Reading the image…" : !image ? "There is no picture to show." : "";
  $("stage-note").hidden = !note;
  $("stage-note").textContent = note;
  if (image && controls.key !== job.id) controls = buildFor(job);
  if (!image) controls = { key: "", planes: [] };
  controls.planes.forEach((plane, index) => {
    if (plane && Number(plane.input.value) !== viewer.plane[index] + 1) plane.set(viewer.plane[index] + 1);
  });
  const mode = image ? shownMode() : "";
  $("modes").hidden = !hasAfter();
  for (const [name, element] of modeButtons) {
    element.setAttribute("aria-pressed", name === mode);
    element.hidden = !hasResult() && (name === "residual" || name === "spread");
  }
  $("scale").textContent = viewer.scale === 1 ? "1:1" : `${Math.round(100 * viewer.scale)} %`;
  $("scale").setAttribute("aria-label", `Zoom ${$("scale").textContent}; switch between 1:1 and the whole image`);
  showChips(mode);
}

function showChips(mode) {
  const wipe = $("wipe");
  wipe.hidden = mode !== "wipe";
  wipe.style.left = `${100 * viewer.split}%`;
  wipe.setAttribute("aria-valuenow", Math.round(100 * viewer.split));
  wipe.setAttribute("aria-valuetext", `${Math.round(100 * viewer.split)} % before`);
  const now = hasResult() ? "After" : "Clearing";
  const names = { wipe: ["Before", now], side: ["Before", now], before: ["Before", ""], after: ["", now],
    residual: ["Removed", ""], spread: ["Spread", ""] }[mode] ?? ["", ""];
  ["chip-left", "chip-right"].forEach((id, index) => {
    $(id).textContent = names[index];
    $(id).hidden = !names[index] || (mode === "wipe" && (index ? viewer.split > 0.85 : viewer.split < 0.15));
  });
}

