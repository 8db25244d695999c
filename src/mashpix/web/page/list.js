// The list of images: each with its own state in one line, and the progress of all.
import { $, button, duration, h, icon, percent } from "/static/dom.js";
import { changed, remove, selectedId, store } from "/static/store.js";
import { tileUrl } from "/static/tiles.js";

const rows = new Map(); // by job or upload

/** An error that begins with the name of the file, which stands above it already. */
const withoutName = (message) => message.replace(/^'.*?': /, "");

/** What has become of a job, in a few words. */
export function stateOf(job) {
  if (job.state === "inspecting") return "measuring its noise";
  if (job.state === "queued") return job.queue_position ? `waits, ${job.queue_position} before it` : "waits";
  if (job.state === "running") {
    const left = job.progress?.seconds_left;
    return `${percent(job.progress?.fraction ?? 0)}${left === null || left === undefined ? "" : `, ${duration(left)} left`}`;
  }
  if (job.state === "done") return job.verdict?.verdict ?? "done";
  return job.state === "failed" ? withoutName(job.error.message) : job.state;
}

const uploadState = (upload) => ({ waiting: "waits to be sent", sending: "is sent", crowded: "waits for room in the queue" })[upload.state] ?? withoutName(upload.message);

function makeRow(item) {
  const picture = h("span", { class: "thumb" });
  const state = h("span", { class: "state" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${item.name}` });
  const name = h("span", { class: "name", title: item.name }, item.name);
  const inner = [picture, h("span", { class: "text" }, name, state, bar)];
  const main = item.id ? h("a", { href: `#${item.id}` }, inner) : h("div", {}, inner);
  const close = button(icon("close"), () => forget(item), { class: "plain", "aria-label": `Remove ${item.name}`, title: "Remove" });
  return { element: h("li", {}, main, close), main, picture, state, bar };
}

function forget(item) {
  const row = rows.get(keyOf(item)).element;
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  (neighbour?.querySelector("a, button") ?? $("add-more")).focus();
  const job = store.jobs.get(item.id);
  if (job) remove(job).catch((error) => { job.error = { message: error.message }; changed(); });
  else store.uploads.splice(store.uploads.indexOf(item), 1);
  changed();
}

function updateRow(row, item) {
  const kind = item.state === "done" ? `done ${item.verdict?.verdict ?? ""}` : item.state;
  row.element.className = kind;
  const text = item.id ? stateOf(item) : uploadState(item);
  if (row.state.textContent !== text) row.state.textContent = text;
  row.bar.hidden = item.state !== "running";
  row.bar.value = item.progress?.fraction ?? 0;
  if (item.id === selectedId()) row.main.setAttribute("aria-current", "true");
  else row.main.removeAttribute("aria-current");
  if (item.image && !row.picture.firstChild) {
    const top = item.image.levels - 1;
    row.picture.append(h("img", { alt: "", src: tileUrl(item, "noisy", { level: top, x: 0, y: 0 }) }));
  }
}

const keyOf = (item) => item.id ?? item;

/** Bring the list up to date; rows stay the same elements, so that the focus stays where it is. */
export function showList() {
  const items = [...store.jobs.values(), ...store.uploads];
  const keys = new Set(items.map(keyOf));
  for (const [key, row] of rows) if (!keys.has(key)) { row.element.remove(); rows.delete(key); }
  items.forEach((item, index) => {
    const key = keyOf(item);
    if (!rows.has(key)) rows.set(key, makeRow(item));
    const row = rows.get(key);
    if ($("rows").children[index] !== row.element) $("rows").insertBefore(row.element, $("rows").children[index] ?? null);
    updateRow(row, item);
  });
  showTotal(items);
}

function showTotal(items) {
  const done = items.filter((item) => item.state === "done").length;
  const failed = items.filter((item) => ["failed", "refused"].includes(item.state)).length;
  const working = items.filter((item) => ["queued", "running"].includes(item.state));
  const partly = working.reduce((sum, item) => sum + (item.progress?.fraction ?? 0), 0);
  const parts = [`${done} of ${items.length} done`, failed && `${failed} failed`].filter(Boolean);
  $("total").textContent = items.length > 1 ? parts.join(", ") : "";
  $("total-bar").hidden = items.length < 2 || !working.length;
  $("total-bar").value = items.length ? (done + failed + partly) / items.length : 0;
  const zip = h("a", { class: "button", href: "/api/results.zip", download: "" }, `Download all ${done} as ZIP`);
  const wanted = done > 1 ? zip.textContent : "";
  if ($("queue-foot").textContent !== wanted) $("queue-foot").replaceChildren(...(done > 1 ? [zip] : []));
}
