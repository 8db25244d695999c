// The viewer: which layers are seen, from where, and how they are laid over one another on the canvas.
import { $ } from "/static/dom.js";
import { newDrawing, onTile, tileUrl } from "/static/tiles.js";

const MAX_SCALE = 32;
const LENS = { width: 132, height: 176 }; // of each half, CSS pixels
const OWN_WINDOW = new Set(["residual", "spread"]);

/** What is looked at: `scale` in device pixels per pixel of the image, `centre` in pixels of the image. */
export const viewer = {
  job: null, plane: [], mode: "wipe", split: 0.5, lens: false, pointer: null, window: null, followed: true,
  strength: 1, detail: 0, scale: 1, centre: [0, 0], fitted: true, place: null,
};

let standIns = {}; // of each kind of layer: the addresses of its last complete drawing
let onView = () => {};
const canvas = $("canvas");
const context = canvas.getContext("2d");
const ratio = () => window.devicePixelRatio || 1;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

/** Have a function called after each drawing: for what is shown around the canvas. */
export const onDrawn = (callback) => { onView = callback; };

export const hasResult = () => viewer.job?.state === "done";
/** Only the plane that is worked on has a live picture. */
const isLive = () => viewer.job?.state === "running" && viewer.job.preview?.plane.join() === viewer.plane.join();
export const hasAfter = () => hasResult() || isLive();

/** The mode as it can be shown now: before a run there is nothing to compare with. */
export function shownMode() {
  if (!hasAfter()) return "before";
  if (hasResult()) return viewer.mode;
  return viewer.mode === "side" || viewer.mode === "wipe" ? viewer.mode : "after";
}

/** What the server says of the values of the plane looked at: channels that are not colours have their own. */
const ofChannel = (values, planes) => values[viewer.plane[planes.findIndex(([axis]) => axis === "c")] ?? 0];

/** The window that the server proposes, and the percentiles among which it can be moved. */
export const windowOf = ({ windows, planes }) => ofChannel(windows, planes);
export const percentilesOf = ({ percentiles, planes }) => ofChannel(percentiles, planes);

function layerOf(of) {
  const { job, plane, window: limits, strength, detail } = viewer;
  const [low, high] = OWN_WINDOW.has(of) ? [] : limits ?? windowOf(job.image);
  const shown = { plane: plane.length ? plane.join(",") : null, low, high };
  if (of === "denoised") Object.assign(shown, { strength, detail });
  if (of === "live") shown.v = job.preview.version;
  else shown.v = job.outcome?.sha256.slice(0, 8) ?? 0;
  const { width, height, levels } = job.image;
  const group = of === "noisy" || OWN_WINDOW.has(of) ? of : "after";
  const wanted = (place) => tileUrl(job, of, place, shown);
  return { group, width, height, levels, urls: [wanted, standIns[group] ?? (group === "after" ? standIns.noisy : null)].filter(Boolean) };
}

const after = () => layerOf(hasResult() ? "denoised" : "live");

/** The panes of a mode: what is shown in which part of the canvas, in device pixels. */
function panes() {
  const { width, height } = canvas;
  const whole = { x: 0, y: 0, width, height };
  const mode = shownMode();
  if (mode === "before") return [{ layer: layerOf("noisy"), clip: whole, frame: whole }];
  if (mode === "after") return [{ layer: after(), clip: whole, frame: whole }];
  if (mode === "side") {
    const half = { ...whole, width: Math.floor(width / 2) - 1 };
    const other = { ...half, x: width - half.width };
    return [{ layer: layerOf("noisy"), clip: half, frame: half }, { layer: after(), clip: other, frame: other }];
  }
  if (mode === "wipe") {
    const edge = Math.round(width * viewer.split);
    return [
      { layer: layerOf("noisy"), clip: { ...whole, width: edge }, frame: whole },
      { layer: after(), clip: { ...whole, x: edge, width: width - edge }, frame: whole },
    ];
  }
  return [{ layer: layerOf(mode), clip: whole, frame: whole }];
}

const originIn = (frame, scale = viewer.scale, [x, y] = viewer.centre) => ({
  scale, left: frame.x + frame.width / 2 - x * scale, top: frame.y + frame.height / 2 - y * scale,
});

/** The pane under a point of the canvas (CSS pixels), and the pixel of the image there. */
export function pixelAt({ x, y }) {
  const at = { x: x * ratio(), y: y * ratio() };
  const shown = panes();
  const pane = shown.find(({ clip }) => at.x >= clip.x && at.x < clip.x + clip.width) ?? shown[0];
  const view = originIn(pane.frame);
  return [(at.x - view.left) / view.scale, (at.y - view.top) / view.scale];
}

export function fitScale() {
  const { width, height } = viewer.job.image;
  const across = shownMode() === "side" ? canvas.width / 2 - 1 : canvas.width;
  const scale = Math.min(across / width, canvas.height / height, MAX_SCALE);
  return scale > 1 ? Math.floor(scale) : scale; // pixels of one size each
}

/** Set the scale, keeping the pixel under a point (CSS pixels) where it is. */
export function zoom(scale, point = null) {
  const least = Math.min(fitScale(), 1);
  const next = Math.min(Math.max(scale, least), MAX_SCALE);
  if (point) {
    const fixed = pixelAt(point);
    viewer.centre = viewer.centre.map((at, axis) => fixed[axis] + (at - fixed[axis]) * (viewer.scale / next));
  }
  Object.assign(viewer, { scale: next, fitted: false });
  redraw();
}

export function fit() {
  viewer.fitted = true;
  redraw();
}

/** Move by CSS pixels of the canvas. */
export function pan(x, y) {
  viewer.centre = [viewer.centre[0] - (x * ratio()) / viewer.scale, viewer.centre[1] - (y * ratio()) / viewer.scale];
  viewer.fitted = false;
  redraw();
}

/** Go to a place of the image and mark it. */
export function showPlace(place) {
  if (place.plane) Object.assign(viewer, { plane: [...place.plane], followed: false });
  const most = Math.min(canvas.width / place.width, canvas.height / place.height) / 3;
  Object.assign(viewer, { place, fitted: false, scale: Math.min(Math.max(1, Math.floor(most)), 8) });
  viewer.centre = [place.x + place.width / 2, place.y + place.height / 2];
  redraw();
}

function keepInside() {
  const { width, height } = viewer.job.image;
  if (viewer.fitted) Object.assign(viewer, { scale: fitScale(), centre: [width / 2, height / 2] });
  const across = shownMode() === "side" ? canvas.width / 2 : canvas.width;
  viewer.centre = [[width, across], [height, canvas.height]].map(([length, room], axis) => {
    const half = room / 2 / viewer.scale;
    return length <= 2 * half ? length / 2 : Math.min(Math.max(viewer.centre[axis], half), length - half);
  });
}

function draw() {
  drawn = null;
  const { clientWidth, clientHeight } = canvas;
  const size = [Math.round(clientWidth * ratio()), Math.round(clientHeight * ratio())];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  context.clearRect(0, 0, canvas.width, canvas.height);
  let complete = true;
  if (viewer.job?.image && canvas.width && canvas.height) {
    keepInside();
    const shown = panes();
    const drawing = newDrawing();
    for (const { layer, clip, frame } of shown) {
      drawing.layer(context, layer, originIn(frame), clip);
      if (viewer.place && isPlane(viewer.place.plane)) mark(originIn(frame), clip);
    }
    if (viewer.lens) drawLens(drawing, shown);
    complete = drawing.finish();
    if (complete) for (const { layer } of shown) [standIns[layer.group]] = layer.urls;
  }
  canvas.setAttribute("aria-busy", !complete);
  onView();
}

const isPlane = (plane) => !plane || plane.join() === viewer.plane.join();

function mark({ scale, left, top }, clip) {
  const { x, y, width, height } = viewer.place;
  context.save();
  context.beginPath();
  context.rect(clip.x, clip.y, clip.width, clip.height);
  context.clip();
  for (const [line, stroke] of [[4, "#000a"], [2, "#ffd23f"]]) {
    Object.assign(context, { lineWidth: line * ratio(), strokeStyle: stroke });
    context.strokeRect(left + x * scale, top + y * scale, width * scale, height * scale);
  }
  context.restore();
}

/** The place under the pointer, or in the middle, in both versions beside one another at 1:1 or twice as large. */
function drawLens(drawing, shown) {
  const point = viewer.pointer ?? { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 };
  const [width, height] = [LENS.width, LENS.height].map((side) => Math.round(side * ratio()));
  const layers = hasAfter() ? [layerOf("noisy"), after()] : [shown[0].layer];
  const scale = viewer.scale < 1 ? 1 : 2 * viewer.scale;
  const clamp = (at, length) => Math.round(Math.min(Math.max(at, 0), Math.max(length, 0)));
  const x = clamp(point.x * ratio() - (layers.length * width) / 2, canvas.width - layers.length * width);
  const y = clamp(point.y * ratio() - height / 2, canvas.height - height);
  const centre = pixelAt(point);
  layers.forEach((layer, index) => {
    const clip = { x: x + index * width, y, width, height };
    context.fillStyle = colour("--stage");
    context.fillRect(clip.x, clip.y, clip.width, clip.height);
    drawing.layer(context, layer, originIn(clip, scale, centre), clip);
  });
  const names = layers.length > 1 ? ["Before", "After"] : [""];
  Object.assign(context, { font: `600 ${12 * ratio()}px system-ui, sans-serif`, textBaseline: "bottom" });
  names.forEach((name, index) => {
    const text = `${name} ${scale === 1 ? "1:1" : `${Math.round(100 * scale)} %`}`.trim();
    const left = x + index * width;
    context.fillStyle = "#000b";
    context.fillRect(left, y + height - 22 * ratio(), context.measureText(text).width + 16 * ratio(), 22 * ratio());
    context.fillStyle = "#fff";
    context.fillText(text, left + 8 * ratio(), y + height - 4 * ratio());
    Object.assign(context, { lineWidth: 2 * ratio(), strokeStyle: "#fff" });
    context.strokeRect(left, y, width, height);
  });
}

let drawn = null;
/** Draw once before the next frame, however often this is called. */
export function redraw() {
  drawn ??= requestAnimationFrame(draw);
}

/** Show a job, or what has become of it; another one begins fitted, at its middle plane. */
export function look(job) {
  if (job?.id !== viewer.job?.id || (job?.image && !viewer.job.image)) {
    standIns = {};
    const middle = job?.image?.planes.map(([axis, count]) => (axis === "c" ? 0 : Math.floor(count / 2)));
    Object.assign(viewer, { plane: middle ?? [], window: null, fitted: true, place: null, followed: true });
  }
  if (job && (job.id !== viewer.job?.id || job.state !== viewer.job.state)) {
    Object.assign(viewer, { strength: job.request?.strength ?? 1, detail: job.request?.detail ?? 0 });
  }
  viewer.job = job;
  if (viewer.followed && job?.state === "running" && job.preview?.plane) viewer.plane = [...job.preview.plane];
  redraw();
}

onTile(redraw);
new ResizeObserver(redraw).observe(canvas);
