// Draws an image from tiles of 256 pixels of its pyramid: only those in view, each fetched once.

export const TILE = 256;
const MAX_KEPT = 800; // tiles, about 60 MB when decoded as 8-bit grey
const MAX_FLYING = 4; // of the six connections that a browser gives one server

const cache = new Map(); // by URL, least recently used first
let wanted = [];
let flying = 0;
let redraw = () => {};

/** Have a function called whenever a tile has arrived. */
export const onTile = (callback) => { redraw = callback; };

/** The address of a tile: of one kind of image, at its place, through its window. */
export function tileUrl(job, of, place, shown = {}) {
  const query = new URLSearchParams({ of, ...place });
  for (const [name, value] of Object.entries(shown)) if (value !== undefined && value !== null) query.set(name, value);
  return `/api/jobs/${job.id}/preview?${query}`;
}

function find(url) {
  const image = cache.get(url);
  if (!image) return null;
  cache.delete(url);
  cache.set(url, image);
  return image.ready ? image : null;
}

/** Fetch what the last drawing lacked, and nothing that only an earlier one lacked. */
function fetchTiles(urls) {
  wanted = [...urls];
  while (flying < MAX_FLYING && wanted.length) load(wanted.shift());
}

function load(url) {
  const image = new Image();
  cache.set(url, image);
  flying += 1;
  const settle = (ready) => () => {
    image.ready = ready;
    flying -= 1;
    while (flying < MAX_FLYING && wanted.length) load(wanted.shift());
    if (cache.size > MAX_KEPT) cache.delete(cache.keys().next().value);
    redraw();
  };
  image.onload = settle(true);
  image.onerror = settle(false);
  image.src = url;
}

/** Ask again for tiles that could not be had: the server was away. */
export function forgetFailed() {
  for (const [url, image] of cache) if (image.ready === false) cache.delete(url);
  redraw();
}

/** Forget the tiles of a job that is removed; those on their way are stopped. */
export function forgetJob(id) {
  const isOf = (url) => url.startsWith(`/api/jobs/${id}/`);
  wanted = wanted.filter((url) => !isOf(url));
  for (const [url, image] of cache) {
    if (!isOf(url)) continue;
    cache.delete(url);
    if (image.ready === undefined) image.src = ""; // its error is its end
  }
}

/** A drawing of one or more layers; `finish` fetches what is missing and tells whether nothing was. */
export function newDrawing() {
  const missing = new Set();
  return {
    layer: (context, layer, view, clip) => drawLayer(context, layer, view, clip, missing),
    finish: () => {
      const urls = [...missing].filter((url) => !cache.has(url));
      fetchTiles(urls);
      return missing.size === 0;
    },
  };
}

/**
 * Draw what is visible in `clip` (device pixels).
 * layer: width, height, levels, and `urls`, functions of a place: the one that is wanted, then what may stand in for it.
 * view: scale (device pixels per pixel of the image), left and top of the image in device pixels.
 */
function drawLayer(context, layer, view, clip, missing) {
  const level = Math.min(Math.max(Math.floor(Math.log2(1 / view.scale)), 0), layer.levels - 1);
  const side = TILE * 2 ** level;
  const first = (start, origin) => Math.max(Math.floor((start - origin) / view.scale / side), 0);
  const last = (end, origin, length) => Math.min(Math.floor((end - origin) / view.scale / side), Math.ceil(length / side) - 1);
  context.save();
  context.beginPath();
  context.rect(clip.x, clip.y, clip.width, clip.height);
  context.clip();
  context.imageSmoothingEnabled = view.scale < 1;
  for (let y = first(clip.y, view.top); y <= last(clip.y + clip.height, view.top, layer.height); y += 1) {
    for (let x = first(clip.x, view.left); x <= last(clip.x + clip.width, view.left, layer.width); x += 1) {
      const url = layer.urls[0]({ level, x, y });
      if (!cache.get(url)?.ready && cache.get(url)?.ready !== false) missing.add(url);
      drawTile(context, layer, view, { level, x, y, side });
    }
  }
  context.restore();
}

/** Draw one tile, or until it is there the same piece of what stands in, or of a coarser level. */
function drawTile(context, layer, view, { level, x, y, side }) {
  const width = Math.min(side, layer.width - x * side);
  const height = Math.min(side, layer.height - y * side);
  for (let up = 0; level + up < layer.levels; up += 1) {
    for (const urlOf of layer.urls) {
      const tile = find(urlOf({ level: level + up, x: x >> up, y: y >> up }));
      if (!tile) continue;
      const shrink = 2 ** (level + up);
      const from = [x * side - (x >> up) * TILE * shrink, y * side - (y >> up) * TILE * shrink].map((at) => at / shrink);
      const size = [Math.min(width / shrink, tile.naturalWidth), Math.min(height / shrink, tile.naturalHeight)];
      const left = Math.round(view.left + x * side * view.scale);
      const top = Math.round(view.top + y * side * view.scale);
      const right = Math.round(view.left + (x * side + width) * view.scale);
      const bottom = Math.round(view.top + (y * side + height) * view.scale);
      context.drawImage(tile, ...from, ...size, left, top, right - left, bottom - top);
      return;
    }
  }
}
