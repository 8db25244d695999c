// What stands beside the image: the noise and the settings before a run, its progress, and what came of it.
import { call, jobPath, patiently } from "/static/api.js";
import { $, button, bytes, duration, h, percent, spelled } from "/static/dom.js";
import { result } from "/static/result.js";
import { settingsForm } from "/static/settings.js";
import { remove, start, store } from "/static/store.js";

const STAGES = {
  probe: "Choosing the masking ratio", fit: "Learning the image", predict: "Predicting the image", plane: "Plane by plane",
  shrink: "Restoring detail", group: "Restoring detail", restore: "Restoring detail", done: "Writing the file",
};

/** A stage in plain words: "fit 2" is the second network's. */
const stageOf = (name) => {
  const [first, number] = (name ?? "").split(" ");
  return (STAGES[first] ?? name ?? "Starting") + (first !== "probe" && Number(number) > 1 ? `, network ${number}` : "");
};

/** Run something that may fail, and say so in a line beside its button. */
export function attempt(errors, action) {
  return async (event) => {
    const pressed = event.currentTarget;
    if (pressed.ariaDisabled === "true") return;
    errors.replaceChildren();
    pressed.ariaDisabled = "true"; // `disabled` would take the focus away
    try {
      await action();
    } catch (error) {
      errors.replaceChildren(...spelled(error.message));
    }
    pressed.ariaDisabled = "false";
  };
}

export const errorLine = () => h("p", { class: "error", role: "alert" });

function facts(job) {
  const { image } = job;
  const size = bytes(job.size_bytes);
  if (!image) return size;
  const planes = image.planes.filter(([, count]) => count > 1).map(([axis, count]) => `${axis.toUpperCase()} ${count}`);
  return [`${image.width} × ${image.height}`, ...planes, image.colour ? "colour" : null, image.dtype, size].filter(Boolean).join(" · ");
}

const head = (job) => h("header", {}, h("h2", { title: job.name }, job.name), h("p", { class: "facts" }, facts(job)));

const notes = (job) =>
  h("ul", { class: "notes" }, job.notes.map(({ text, severity }) => h("li", { class: severity }, ...spelled(text))));

function figure({ title, svg }) {
  const drawn = new DOMParser().parseFromString(svg.includes("xmlns") ? svg : svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"'), "image/svg+xml");
  return h("figure", {}, document.importNode(drawn.documentElement, true), h("figcaption", {}, title));
}

/** The noise report in plain words. */
export function inspection(job, { open }) {
  const found = job.inspection;
  if (!found) return null;
  const report = h("a", { href: jobPath(job.id, "/report?html=1"), target: "_blank", rel: "noopener" }, "Full noise report");
  const details = h("details", { class: "noise" }, h("summary", {}, "The noise"),
    found.sentences.map((sentence) => h("p", {}, ...spelled(sentence))),
    h("div", { class: "figures" }, found.figures.map(figure)), h("p", {}, report));
  details.open = open;
  return details;
}

const costOf = ({ seconds, memory_bytes: memory }, preset) =>
  [seconds[preset] && `About ${duration(seconds[preset])}`, memory && `${bytes(memory)} of memory`].filter(Boolean).join(", ");

function actions(...children) {
  return h("div", { class: "actions" }, ...children);
}

const removeButton = (job, errors, text) => button(text, attempt(errors, () => remove(job)));

const BUILDERS = {
  inspecting(job) {
    const errors = errorLine();
    return { parts: [head(job), h("p", { class: "busy" }, "Measuring the noise…"), notes(job), actions(errors, removeButton(job, errors, "Cancel"))] };
  },
  ready: draft,
  queued(job) {
    const errors = errorLine();
    const line = h("p", { class: "busy" });
    const update = (now) => { line.textContent = now.queue_position ? `Waits: ${now.queue_position} before it.` : "Starts at once."; };
    return { parts: [head(job), line, inspection(job, { open: false }), actions(errors, removeButton(job, errors, "Cancel"))], update };
  },
  running,
  done: (job) => result(job, { head: head(job), notes: notes(job), rerun: rerun(job) }),
  failed(job) {
    const errors = errorLine();
    const { form, read } = settingsForm(job);
    const again = button("Try again", attempt(errors, () => start(job, read())), { class: "primary" });
    return { parts: [head(job), h("div", { class: "verdict lost", role: "alert" }, h("p", {}, h("strong", {}, "This did not work.")), h("p", {}, ...spelled(job.error.message))),
      notes(job), form, actions(errors, again, removeButton(job, errors, "Remove"))] };
  },
};

function draft(job) {
  const errors = errorLine();
  const { form, read } = settingsForm(job);
  const go = button("Denoise", attempt(errors, () => start(job, read())), { class: "primary" });
  const startAll = async (request) => { for (const one of drafts()) await patiently(() => start(one, request)); };
  const all = button("", attempt(errors, () => startAll(read())));
  const cost = h("p", { class: "cost" });
  const showCost = () => { cost.textContent = job.inspection ? costOf(job.inspection, new FormData(form).get("preset")) : ""; };
  form.addEventListener("change", showCost);
  showCost();
  const update = () => { const count = drafts().length; all.hidden = count < 2; all.textContent = `Denoise all ${count}`; };
  return { parts: [head(job), notes(job), form, inspection(job, { open: true }), actions(errors, cost, go, all)], update };
}

const drafts = () => [...store.jobs.values()].filter((job) => job.state === "ready");

function running(job) {
  const errors = errorLine();
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const [stage, left] = [h("span", {}), h("span", {})];
  const stop = button("Stop and keep", attempt(errors, () => call("POST", jobPath(job.id, "/stop"))), { class: "primary", title: "End now with the best result so far" });
  const update = (now) => {
    const { fraction = 0, seconds_left: seconds = null, stage: name } = now.progress ?? {};
    bar.value = fraction;
    stage.textContent = stageOf(name);
    left.textContent = `${percent(fraction)}${seconds === null ? "" : `, ${duration(seconds)} left`}`;
  };
  return { parts: [head(job), h("div", { class: "progress" }, h("p", {}, stage, left), bar), notes(job), inspection(job, { open: false }),
    actions(errors, stop, removeButton(job, errors, "Cancel"))], update };
}

function rerun(job) {
  const errors = errorLine();
  const { form, read } = settingsForm(job);
  const go = button("Denoise again", attempt(errors, () => start(job, read())));
  return h("details", {}, h("summary", {}, "Other settings"), form, errors, h("div", { class: "row" }, go));
}

let shown = { key: "" };

/** Show a job; its parts are built anew only when its state is another one. */
export function showPanel(job) {
  const key = job ? [job.id, job.state, job.image !== null, job.error?.message].join() : "";
  if (key !== shown.key) {
    const hadFocus = $("panel").contains(document.activeElement);
    shown = { key, ...(job ? BUILDERS[job.state](job) : { parts: [] }) };
    $("panel").replaceChildren(...shown.parts.filter(Boolean));
    if (hadFocus) $("panel").focus();
  }
  if (job) shown.update?.(job);
}

