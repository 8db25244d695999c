// What came of a run: the verdict, the file to take home, two sliders, and how to do the same elsewhere.
import { addBy } from "/static/adding.js";
import { call, jobPath } from "/static/api.js";
import { announce, button, bytes, duration, h, icon, percent, slider } from "/static/dom.js";
import { attempt, errorLine, inspection } from "/static/panel.js";
import { ask, store } from "/static/store.js";
import { redraw, showPlace, viewer } from "/static/viewer.js";

const VERDICTS = {
  good: ["good", "Good", "What was removed looks like pure noise."],
  "look closer": ["look", "Look closer", "One measure is beyond what good results show."],
  "signal lost": ["lost", "Signal lost", "What was removed holds a part of the image: do not use it as it is."],
};

function verdictCard({ verdict, reason, place }) {
  const [kind, title, meaning] = VERDICTS[verdict] ?? ["look", verdict, ""];
  return h("div", { class: `verdict ${kind}` }, h("p", {}, icon(kind), h("strong", {}, title)), h("p", {}, meaning), h("p", { class: "reason" }, reason),
    place && button("Show the place", () => showPlace(place), { class: "plain" }));
}

/** The two sliders that act without a new run: at once on what is shown, and on the file when let go, one at a time. */
function finishing(job, errors) {
  let wanted = null;
  let asking = false;
  const finish = async () => {
    if (!wanted || asking || store.jobs.get(job.id)?.finishing) return;
    const sliders = wanted;
    [wanted, asking] = [null, true];
    await ask("POST", jobPath(job.id, "/finish"), sliders).catch((error) => errors.replaceChildren(error.message));
    asking = false;
    finish();
  };
  const one = (name, label) => slider(label, {
    max: 1, step: 0.05, value: job.request[name] ?? (name === "strength" ? 1 : 0), shown: percent,
    oninput: (value) => { viewer[name] = value; redraw(); },
    onchange: () => { wanted = { strength: viewer.strength, detail: viewer.detail }; finish(); },
  }).element;
  return { element: h("div", { class: "finishing" }, one("strength", "Strength"), one("detail", "Fine texture")), finish };
}

function copying(job, errors) {
  const text = h("pre", { tabindex: 0, hidden: true, "aria-label": "What was copied" });
  const copy = (name) => async () => {
    const { commands } = await call("GET", jobPath(job.id));
    text.hidden = false;
    text.textContent = commands[name];
    try {
      await navigator.clipboard.writeText(commands[name]);
      announce("Copied.");
    } catch { // no clipboard here: the text is shown, and selected
      getSelection().selectAllChildren(text);
    }
  };
  const names = [["shell", "Copy as command"], ["python", "Copy as Python"], ["curl", "Copy as curl"]];
  return h("div", { class: "copying" }, h("h3", {}, "The same elsewhere"), h("div", { class: "row" }, names.map(([name, label]) => button(label, attempt(errors, copy(name))))), text);
}

export function result(job, { head, notes, rerun }) {
  const errors = errorLine();
  const download = h("a", { class: "button primary", href: jobPath(job.id, "/result"), download: "" });
  const recipe = h("a", { class: "button", href: jobPath(job.id, "/recipe"), download: "" }, "Recipe");
  const again = button("Use as input again", attempt(errors, () => addBy(jobPath(job.id, "/again"))));
  const more = h("div", { class: "row" }, again, recipe);
  const facts = h("p", { class: "cost" });
  const sliders = finishing(job, errors);
  const update = (now) => {
    sliders.finish();
    download.textContent = now.finishing ? "Writing the file…" : `Download ${now.outcome.name}`;
    if (now.finishing) download.removeAttribute("href");
    else download.setAttribute("href", jobPath(now.id, "/result"));
    const until = new Date(1000 * now.expires).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    facts.textContent = `${bytes(now.outcome.bytes)}, took ${duration(now.outcome.seconds)}, kept until ${until}`;
  };
  const parts = [head, verdictCard(job.verdict), notes, sliders.element, more, copying(job, errors), inspection(job, { open: false }), rerun,
    h("div", { class: "actions" }, errors, facts, download)];
  return { parts, update };
}
