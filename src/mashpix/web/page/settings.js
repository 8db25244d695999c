// The settings of a run: presets, the few that matter for this image, and all others folded away.
import { h, spelled } from "/static/dom.js";
import { store } from "/static/store.js";

const SHOWN_PRESETS = 2;
const CHANNELS = {
  auto: "Decide by the file, or by looking", rgb: "The colours of one scene", independent: "Each by itself", joint: "One scene, not colours",
};
const NETWORKS = { shared: "One network for all planes: faster", each: "One network for each plane" };

let last = {}; // what was chosen last: the next image starts with it

const field = (label, input, hint) => h("label", { class: "field" }, h("span", {}, label), input, hint && h("small", {}, ...spelled(hint)));

const choice = (name, options, value) =>
  h("select", { name }, Object.entries(options).map(([key, text]) => h("option", { value: key, selected: key === value }, text)));

function presets(chosen) {
  const texts = Object.fromEntries(store.info.presets.map(({ name, description }) => [name, description]));
  const hint = h("p", { class: "hint", id: "preset-text" }, texts[chosen]);
  const onchange = (event) => { hint.textContent = texts[event.target.value]; };
  const radios = store.info.presets.map(({ name }) =>
    h("label", { class: "preset" }, h("input", { type: "radio", name: "preset", value: name, checked: name === chosen, "aria-describedby": "preset-text" }), h("span", {}, name)));
  const others = h("details", {}, h("summary", {}, "Published presets"), h("div", { class: "presets" }, radios.slice(SHOWN_PRESETS)));
  others.open = radios.slice(SHOWN_PRESETS).some((label) => label.firstChild.checked);
  return h("fieldset", { onchange }, h("legend", {}, "Preset"), h("div", { class: "presets" }, radios.slice(0, SHOWN_PRESETS)), hint, others);
}

/** An input for one number of the method; left empty, it is the preset's. */
function setting({ name, type, choices, low, high, help }, value) {
  const attributes = { name: `settings.${name}` };
  const offered = choices ?? (type === "bool" ? ["true", "false"] : null);
  const input = offered
    ? h("select", attributes, h("option", { value: "" }, "as in the preset"), offered.map((text) => h("option", { value: text, selected: String(value) === text }, text)))
    : h("input", { ...attributes, type: "number", step: type === "int" ? 1 : "any", min: low, max: high, placeholder: "as in the preset", value: value ?? "" });
  return field(name.replaceAll("_", " "), input, help);
}

function allSettings(chosen) {
  const seed = field("seed", h("input", { type: "number", name: "seed", step: 1, min: 0, value: chosen.seed ?? 0 }), "the same seed gives the same result");
  const rest = store.info.settings.map((item) => setting(item, chosen.settings?.[item.name]));
  const details = h("details", {}, h("summary", {}, "All settings"), h("div", { class: "fields" }, seed, rest));
  details.open = Object.keys(chosen.settings ?? {}).length > 0;
  return details;
}

/** The form for a job; `read` gives the request. */
export function settingsForm(job) {
  const chosen = job.state === "ready" ? { ...job.request, ...last } : job.request;
  const axes = job.image?.planes ?? [];
  const several = job.image?.colour || axes.some(([axis, count]) => axis === "c" && count > 1);
  const stack = axes.some(([, count]) => count > 1);
  const form = h("form", { class: "settings", onsubmit: (event) => event.preventDefault() },
    presets(chosen.preset ?? "default"),
    several && field("Channels are", choice("channels", CHANNELS, chosen.channels ?? "auto")),
    stack && field("Planes", choice("networks", NETWORKS, chosen.networks ?? "shared")),
    allSettings(chosen));
  const read = () => { last = asRequest(new FormData(form)); return last; };
  return { form, read };
}

function asRequest(data) {
  const types = Object.fromEntries(store.info.settings.map((item) => [item.name, item.type]));
  const request = { settings: {} };
  for (const [key, text] of data) {
    const [, name] = key.split("settings.");
    if (text === "") continue;
    if (name) request.settings[name] = types[name] === "choice" ? text : types[name] === "bool" ? text === "true" : Number(text);
    else request[key] = key === "seed" ? Number(text) : text;
  }
  return request;
}
