// Starts the page: learns what the server offers, follows its events, and keeps list, viewer and panel in step.
import { listen as listenForFiles } from "/static/adding.js";
import { call } from "/static/api.js";
import { $, h, percent } from "/static/dom.js";
import { listen as listenOnViewer } from "/static/gestures.js";
import { showList } from "/static/list.js";
import { showPanel } from "/static/panel.js";
import { changed, connect, refresh, selected, store, subscribe } from "/static/store.js";
import { forgetFailed } from "/static/tiles.js";
import { build, update } from "/static/viewbar.js";
import { look, onDrawn } from "/static/viewer.js";

function show() {
  const job = selected();
  const empty = !store.jobs.size && !store.uploads.length;
  document.body.dataset.view = empty ? "welcome" : "work";
  showList();
  showPanel(job);
  look(job ?? null);
  const running = job?.state === "running" ? `${percent(job.progress?.fraction ?? 0)} · ` : "";
  document.title = job ? `${running}${job.name} · mashpix` : "mashpix";
}

async function boot() {
  build();
  onDrawn(update);
  subscribe(show);
  listenForFiles();
  listenOnViewer();
  addEventListener("hashchange", changed);
  try {
    store.info = await call("GET", "/api/info");
    await refresh();
  } catch (error) {
    $("welcome-errors").replaceChildren(h("p", { class: "error", role: "alert" }, error.message));
  }
  $("formats").textContent = store.info ? `Reads ${store.info.formats}.` : "";
  connect(forgetFailed);
}

boot();
