// Takes images in: dropped, pasted or chosen, single or by folders, and sends them one after the other.
import { patiently } from "/static/api.js";
import { $, announce, bytes } from "/static/dom.js";
import { ask, changed, select, selected, store } from "/static/store.js";

let sending = false;

/** Queue files for sending; `named` ones were chosen by hand and are all sent, of a folder only images are. */
export function add(files, { named = true } = {}) {
  const endings = store.info?.endings ?? [];
  const isImage = (file) => endings.some((ending) => file.name.toLowerCase().endsWith(ending));
  const taken = named ? files : files.filter(isImage);
  store.uploads.push(...taken.map((file) => ({ file, name: file.name, state: "waiting" })));
  const others = files.length - taken.length;
  const rest = others ? ` ${others} other ${others === 1 ? "file was" : "files were"} left out.` : "";
  announce(`${taken.length} ${taken.length === 1 ? "image" : "images"} added.${rest}`);
  if (!taken.length && files.length) refuse("The folder", "no images in it");
  changed();
  sendAll();
}

/** Add the sample, or what another call makes a job of. */
export async function addBy(path) {
  try {
    select((await ask("POST", path)).id);
  } catch (error) {
    refuse(path.endsWith("sample") ? "The sample" : "The result", error.message);
  }
}

async function sendAll() {
  if (sending) return;
  sending = true;
  for (let next; (next = store.uploads.find((upload) => upload.state === "waiting")); ) await send(next);
  sending = false;
}

async function send(upload) {
  const most = store.info?.limits.max_upload_bytes ?? Infinity;
  if (upload.file.size > most) return refused(upload, `the file is too large (${bytes(upload.file.size)}; at most ${bytes(most)})`);
  const form = new FormData();
  form.append("file", upload.file, upload.name);
  form.append("start", "false");
  upload.state = "sending";
  changed();
  const onwait = () => { upload.state = "crowded"; changed(); };
  try {
    const job = await patiently(() => ask("POST", "/api/jobs", form), onwait);
    store.uploads = store.uploads.filter((other) => other !== upload); // it may have been removed meanwhile
    if (!selected()) select(job.id);
  } catch (error) {
    refused(upload, error.message);
  }
  changed();
}

function refuse(name, message) {
  const upload = { name };
  store.uploads.push(upload);
  refused(upload, message);
}

function refused(upload, message) {
  Object.assign(upload, { state: "refused", message });
  announce(`${upload.name}: ${message}`);
  changed();
}

/** All files of what was dropped, folders included. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) return { files, named: true };
  const found = await Promise.all(entries.map(walk));
  return { files: found.flat(), named: false };
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const files = [];
  for (;;) { // a reader gives a hundred entries at a time
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!entries.length) return files;
    for (const inner of entries) files.push(...(await walk(inner)));
  }
}

/** Connect the buttons, the clipboard and the whole window as a place to drop on. */
export function listen() {
  const pick = (id) => () => $(id).click();
  $("choose").onclick = $("add-more").onclick = pick("files");
  $("choose-folder").onclick = pick("folder");
  $("sample").onclick = () => addBy("/api/jobs/sample");
  for (const [id, named] of [["files", true], ["folder", false]]) {
    $(id).onchange = () => { add([...$(id).files], { named }); $(id).value = ""; };
  }
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) { event.preventDefault(); add(files); }
  });
  let depth = 0;
  const veil = (by) => { depth = by ? depth + by : 0; $("drop-veil").hidden = depth <= 0; };
  const hasFiles = (event) => event.dataTransfer.types.includes("Files");
  addEventListener("dragenter", (event) => hasFiles(event) && veil(1));
  addEventListener("dragleave", (event) => hasFiles(event) && veil(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil(0);
    const { files, named } = await filesOf(event.dataTransfer);
    add(files, { named });
  });
}
