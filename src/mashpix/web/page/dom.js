// Builds elements, and spells numbers.

/** An element with attributes; `on...` adds a listener, true and false are set as properties, nothing is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean" || name === "value") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** One of the icons of index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const button = (text, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, text);

/** A text whose `backquoted` parts are shown as code. */
export function spelled(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

/** A slider with its label and its value in words; `shown` spells the value. */
export function slider(label, { min = 0, max, step, value, shown = String, oninput, onchange }) {
  const output = h("output", {}, shown(value));
  const show = (event) => {
    output.textContent = shown(Number(event.target.value));
    event.target.setAttribute("aria-valuetext", output.textContent);
  };
  const input = h("input", { type: "range", min, max, step, value, "aria-valuetext": shown(value) });
  input.addEventListener("input", (event) => { show(event); oninput?.(Number(input.value)); });
  input.addEventListener("change", () => onchange?.(Number(input.value)));
  const element = h("label", { class: "slider" }, h("span", {}, label), input, output);
  return { element, input, set: (to) => { input.value = to; show({ target: input }); } };
}

export function bytes(count) {
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), 3);
  const value = count / 1000 ** power;
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)} ${["bytes", "KB", "MB", "GB"][power]}`;
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const percent = (fraction) => `${Math.round(100 * fraction)} %`;
export const number = (value) => String(Number(value.toPrecision(4)));

let said = "";
/** Have a screen reader say something, once. */
export function announce(text) {
  if (text === said) return;
  said = text;
  $("announce").textContent = text;
}
