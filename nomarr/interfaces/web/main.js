// The page: joins its parts, and shows what the address asks for.

import { Activity } from "./activity.js";
import { byId, hideControl, say, show } from "./dom.js";
import { Files } from "./files.js";
import { Health } from "./health.js";
import { loadFile, openFile } from "./file.js";
import { Libraries } from "./libraries.js";
import { News } from "./news.js";
import { attempt, report } from "./notices.js";
import { recovery, setUpSession, showSession } from "./session.js";
import { Settings } from "./settings.js";
import { Shelf } from "./shelf.js";
import { Tokens } from "./tokens.js";
import { enrichmentWords } from "./words.js";

const VIEWS = { home: "Nomarr", files: "Files", health: "Health", settings: "Settings" };
const CONNECTION_WORDS = {
  connecting: "connecting…", live: "live", reconnecting: "reconnecting…", "signed-out": "signed out",
};

const connection = byId("connection");
let isStarted = false; // From then on, whatever makes the page live again makes it ask for everything again.

setUpSession(() => showConnection("signed-out"), renew);
const news = new News(showConnection);
const libraries = new Libraries(news, showNames);
const activity = new Activity(news, (id) => libraries.nameOf(id));
const shelf = new Shelf(news);
const files = new Files(news, (wish) => location.replace(filesAddress(wish)));
const health = new Health(news);
const settings = new Settings();
const tokens = new Tokens();
const OPENERS = {
  home: () => {},
  files: (wish) => files.open(wish),
  health: () => health.check(),
  settings: () => Promise.all([settings.open(), tokens.open()]),
};

let view = "";
let lastAddress = "#/"; // of a view
let lastWish = {};
let stepsToView = null; // So many entries of the history back there is a view; null: nobody knows.
let dialog = null;
let question = 0; // Answers to an older address are too late.

news.on("enrichment", showEnrichment);
window.addEventListener("hashchange", () => follow().catch(report));
byId("skip").addEventListener("click", () => byId("main").focus());
start();

function showNames(all) {
  files.setLibraries(all);
  activity.setLibraries(all);
}

/** Asks until the service has answered once, to somebody whom it lets in. */
async function start() {
  isStarted = false;
  try {
    // The number of the last change comes first, then the stream, then what is there: whatever changes after that is told.
    await news.start(await activity.load());
    isStarted = true;
    await libraries.load();
  } catch (problem) {
    report(problem);
    if (!problem.needsToken) showConnection("reconnecting");
    await recovery(problem);
    return start();
  }
  await Promise.all([follow(), shelf.load(), health.check()]).catch(report);
}

/** Go on with a token that was accepted. */
function renew() {
  if (connection.dataset.state === "signed-out") showConnection("connecting");
  news.renew();
}

function showConnection(state) {
  // Whoever is signed out stays so, whatever becomes of the stream.
  if (state === "reconnecting" && connection.dataset.state === "signed-out") return;
  say(connection, CONNECTION_WORDS[state]);
  connection.dataset.state = state;
  show(byId("away"), state === "reconnecting");
  if (state === "signed-out") show(byId("signed-out"), true);
  else hideControl(byId("signed-out"), byId("main"));
  if (state !== "live") return;
  // What was told while nobody listened is not told again.
  Promise.all([isStarted && reload(), showSession()]).catch(report);
}

async function reload() {
  await Promise.all([libraries.load(), activity.load(), shelf.load(), health.check(), OPENERS[view]?.(lastWish)]);
}

/** Show what the address asks for. */
async function follow() {
  const { name, id, wish } = route();
  question += 1;
  closeFile();
  if (name === "file") return attempt(() => showFile(id));
  lastAddress = location.hash || "#/";
  lastWish = wish;
  stepsToView = 0;
  const isOther = name !== view;
  if (isOther) showView(name);
  await OPENERS[name](wish);
}

async function showFile(id) {
  const asked = question;
  countSteps();
  if (!view) showView("home");
  try {
    const known = await loadFile(id);
    if (asked === question) showDialog(known);
  } catch (problem) {
    if (asked !== question) return;
    leaveFile();
    throw problem;
  }
}

function showDialog(known) {
  const opened = openFile(known, (libraryId) => libraries.nameOf(libraryId));
  opened.addEventListener("close", () => opened === dialog && leaveFile());
  dialog = opened;
}

/** The address asks for something else: the reader does not leave. */
function closeFile() {
  const shown = dialog;
  dialog = null;
  shown?.close();
}

/** Back to the view that the file was opened from. */
function leaveFile() {
  dialog = null;
  if (route().name !== "file") return;
  if (stepsToView) history.go(-stepsToView);
  else location.replace(lastAddress);
}

/** The entry of the history keeps how far it is from a view, also when the page is loaded anew. */
function countSteps() {
  if (history.state) stepsToView = history.state.stepsToView;
  else if (stepsToView !== null) stepsToView += 1;
  history.replaceState({ stepsToView }, "");
}

function showView(name) {
  const isFirst = view === "";
  view = name;
  if (name !== "files") files.close();
  for (const other of Object.keys(VIEWS)) {
    show(byId(other), other === name);
    const link = byId(`to-${other}`);
    if (other === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "home" ? "Nomarr" : `${VIEWS[name]} · Nomarr`;
  if (isFirst) return;
  window.scrollTo(0, 0);
  byId("main").focus();
}

/** `#/files?q=abc` is { name: "files", wish: { q: "abc" } }, `#/file/7` is { name: "file", id: "7" }. */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  if (name === "file" && id) return { name, id: decoded(id), wish: {} };
  return { name: Object.hasOwn(VIEWS, name) ? name : "home", wish: Object.fromEntries(new URLSearchParams(query)) };
}

/** Whoever writes an address by hand may write what stands for nothing. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function filesAddress(wish) {
  const wanted = Object.entries(wish).filter(([, value]) => value);
  return `#/files?${new URLSearchParams(wanted)}`;
}

function showEnrichment(progress) {
  const words = enrichmentWords(progress);
  say(byId("enrichment-words"), words);
  byId("enrichment-bar").max = progress.steps_total || 1;
  byId("enrichment-bar").value = progress.steps_done;
  show(byId("enrichment"), words !== "");
}
