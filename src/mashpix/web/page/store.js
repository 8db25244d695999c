// What the page knows: the server's jobs, the files that are still to be sent, and which one is looked at.
import { call, follow, jobPath } from "/static/api.js";
import { $, announce, duration, percent } from "/static/dom.js";
import { forgetJob } from "/static/tiles.js";

/** jobs: by id, oldest first. uploads: files on their way, or refused. info: what the server offers. */
export const store = { jobs: new Map(), uploads: [], info: null };

const listeners = [];
let scheduled = false;

/** Call a function after each change; several changes in a row are one. */
export const subscribe = (listener) => listeners.push(listener);

function showNow() {
  scheduled = false;
  listeners.forEach((listener) => listener());
}

export function changed() {
  if (!scheduled) setTimeout(showNow);
  scheduled = true;
}

export const selectedId = () => location.hash.slice(1);
export const selected = () => store.jobs.get(selectedId());

export function select(id) {
  if (selectedId() !== id) location.replace(`#${id ?? ""}`);
}

export const WORKING = new Set(["inspecting", "queued", "running"]);

let taken = 0; // counts what the server told

/** Ask the server for a job; an event that came before the answer is newer than it. */
export async function ask(method, path, body) {
  const asked = taken;
  return put(await call(method, path, body), asked);
}

function drop(id) {
  store.jobs.delete(id);
  if (selectedId() === id) select([...store.jobs.keys()].at(-1));
  showNow(); // nothing of it may be asked for any more
  forgetJob(id);
}

const isNewer = (known, asked) => known && known.taken > asked;

/** Take over a job as the server tells it, and say aloud what has become of it. */
function put(job, asked = taken) {
  if (job.state === "removed") return drop(job.job);
  if (job.finishing) job.state = "done"; // its result is written again: it stays in sight meanwhile
  const former = store.jobs.get(job.id);
  if (isNewer(former, asked)) return former;
  job.taken = taken += 1;
  store.jobs.set(job.id, job);
  if (former && former.state !== job.state) {
    if (job.state === "done") announce(`${job.name}: done. Verdict: ${job.verdict?.verdict ?? "none"}.`);
    if (job.state === "failed") announce(`${job.name}: failed. ${job.error.message}`);
    if (job.state === "ready") announce(`${job.name}: ready to be denoised.`);
  }
  changed();
  return job;
}

/** Take the server's list for true: after a reload, and after each break of the connection. */
export async function refresh() {
  const asked = taken;
  const { jobs } = await call("GET", "/api/jobs");
  const newest = (job) => (isNewer(store.jobs.get(job.id), asked) ? store.jobs.get(job.id) : { ...job, taken });
  store.jobs = new Map(jobs.map((job) => [job.id, newest(job)]));
  if (!selected()) select(jobs.at(-1)?.id);
  changed();
}

export const start = (job, request) => ask("POST", jobPath(job.id, "/start"), request);

export async function remove(job) {
  drop(job.id);
  try {
    await call("DELETE", jobPath(job.id));
  } catch (error) {
    put(job);
    select(job.id);
    throw error;
  }
  announce(`${job.name}: removed.`);
}

const QUARTER = 0.25;

function takeProgress(data) {
  const job = store.jobs.get(data.job);
  if (!job) return;
  const before = job.progress?.fraction ?? 0;
  job.progress = data;
  if (Math.floor(data.fraction / QUARTER) > Math.floor(before / QUARTER) && data.fraction < 1) {
    const left = data.seconds_left === null ? "" : `, ${duration(data.seconds_left)} left`;
    announce(`${job.name}: ${percent(data.fraction)}${left}`);
  }
  changed();
}

const patched = (patch) => (data) => {
  const job = store.jobs.get(data.job);
  if (job) { patch(job, data); changed(); }
};

/** Follow the server from now on; what was missed during a break is fetched again. */
export function connect(onback) {
  let lost = false;
  const handlers = {
    state: put, done: put, failed: put, progress: takeProgress,
    preview: patched((job, data) => { job.preview = data; }),
    note: patched((job, data) => { job.notes = [...job.notes, data]; }),
  };
  const onopen = () => {
    $("offline").hidden = true;
    if (lost) refresh().then(onback);
    lost = false;
  };
  follow(handlers, { onopen, onlost: () => { lost = true; $("offline").hidden = false; } });
}
