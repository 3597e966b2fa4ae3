// What is known of the libraries, what is told of them, and what a reader wants done.

import { ask, get, getAll, post } from "./api.js";
import { openAddLibrary, addLibraryForm } from "./add_library.js";
import { confirmed } from "./dialogs.js";
import { byId, fill, show } from "./dom.js";
import { openEditLibrary } from "./edit_library.js";
import { Card } from "./library_card.js";
import { announce, attempt, report } from "./notices.js";
import { paced } from "./timing.js";
import { WATCH_MODES, changes, counted } from "./words.js";

const RELOAD_MILLISECONDS = 1000;
const TELLING_TIME_MILLISECONDS = 15_000;
const SILENCE_MILLISECONDS = 3000; // A scan of which nothing was heard for so long may have ended unheard.
const QUICK_MILLISECONDS = 400; // A scan that is over before is not worth a bar that only flashes up.

/** Everything that the page knows of one library. */
class KnownLibrary {
  constructor(library) {
    this.library = library;
    this.status = null;
    this.scan = null; // { progress, wasAsked, since, heardAt }
    this.isAsking = false; // A reader asked for a scan, and the service has not answered yet.
    this.report = null;
    this.failure = null;
    this.heldBack = null;
    this.wishedMode = null; // How a reader wants it to be watched, until the service does so.
    this.newsHeard = 0; // An answer that was asked for before the newest news is too old.
    this.card = new Card(this);
  }

  get id() {
    return this.library.library_id;
  }

  get url() {
    return `libraries/${this.id}`;
  }

  get watchMode() {
    return this.wishedMode ?? this.library.watch_mode;
  }

  get isScanning() {
    return this.scan !== null;
  }

  get showsProgress() {
    return this.scan !== null && (this.scan.wasAsked || Date.now() - this.scan.since >= QUICK_MILLISECONDS);
  }

  get isSilent() {
    return this.scan !== null && Date.now() - this.scan.heardAt >= SILENCE_MILLISECONDS;
  }

  scanning(progress, { wasAsked = false } = {}) {
    this.newsHeard += 1;
    this.scan ??= { since: Date.now(), wasAsked };
    this.scan.progress = progress;
    this.scan.heardAt = Date.now();
    this.card.show();
    if (!wasAsked) setTimeout(() => this.card.show(), QUICK_MILLISECONDS);
  }

  /** What is stored of the newest scan: the page may not have heard how it ended. */
  recall(run) {
    this.report = run?.report ?? this.report;
    this.failure = run?.error ?? null;
  }

  ended({ report: done = null, failure = null }) {
    this.newsHeard += 1;
    this.scan = null;
    this.report = done ?? this.report;
    this.failure = failure;
    this.card.show();
  }
}

export class Libraries {
  #known = new Map();
  #asked = 0;
  #shown = 0;
  #cards = byId("library-list");
  #onLoaded;
  #loading = Promise.resolve();
  #reload = paced(() => this.#reloadNext().catch(report), RELOAD_MILLISECONDS);

  /** `onLoaded(libraries)` is called whenever they were asked for anew. */
  constructor(news, onLoaded) {
    this.#onLoaded = onLoaded;
    byId("add-library").addEventListener("click", () => openAddLibrary((library) => this.#added(library)));
    news.on("change", () => this.#reload());
    news.on("library", () => this.#reload());
    news.on("watch", (message) => this.#watched(message));
    news.on("scan", (message) => this.#known.get(message.library_id)?.scanning(message, { wasAsked: true }));
    news.on("scan_request", (request) => this.#requestEnded(request));
    setInterval(() => this.#known.forEach((known) => known.card.showTimes()), TELLING_TIME_MILLISECONDS);
    setInterval(() => this.#askTheSilent().catch(report), SILENCE_MILLISECONDS);
  }

  /** Ask for everything anew. */
  load() {
    this.#loading = this.#loadAll();
    return this.#loading;
  }

  nameOf(libraryId) {
    return this.#known.get(libraryId)?.library.name ?? "";
  }

  async #loadAll() {
    await this.#list();
    await this.#learnAll([...this.#known.values()]);
  }

  /** Both at the same time would ask about each library twice. */
  async #reloadNext() {
    await Promise.allSettled([this.#loading]);
    await this.#load();
  }

  async #load() {
    await this.#learnAll(await this.#list());
  }

  async #learnAll(libraries) {
    await Promise.all(libraries.map((known) => this.#learn(known)));
  }

  /** Show which libraries there are, and how they are; answers those that are new here. */
  async #list() {
    const asked = ++this.#asked;
    const [libraries, statuses] = await Promise.all([get("libraries"), get("watcher")]);
    if (asked < this.#shown) return []; // What was asked for later is shown already.
    this.#shown = asked;
    const fresh = [];
    const known = new Map();
    for (const library of libraries) {
      let one = this.#known.get(library.library_id);
      if (one) one.library = library;
      else fresh.push((one = new KnownLibrary(library)));
      one.status = statuses.find((status) => status.library_id === library.library_id) ?? null;
      one.onWish = (wish) => this.#do(one, wish);
      known.set(one.id, one);
    }
    this.#known = known;
    fill(this.#cards, [...known.values()], (one) => one.id, (one) => one.card.root, (_, one) => one.card.show());
    this.#welcome(libraries.length === 0);
    this.#onLoaded(libraries);
    return fresh;
  }

  /** What is not told with the list of libraries. */
  async #learn(known) {
    const { newsHeard } = known;
    try {
      const [running, runs] = await Promise.all([
        get(`${known.url}/scan`), get("scans", { library_id: known.id, limit: 1 }), this.#lookForLosses(known),
      ]);
      if (known.newsHeard !== newsHeard) return;
      known.recall(runs.items[0]);
      if (running.running) known.scanning(running.progress);
      else known.scan = null;
      known.card.show();
    } catch (problem) {
      if (problem.status !== 404) throw problem; // It was forgotten meanwhile.
    }
  }

  async #askTheSilent() {
    const silent = [...this.#known.values()].filter((known) => known.isSilent);
    await Promise.all(silent.map((known) => this.#learn(known)));
  }

  async #lookForLosses(known) {
    known.heldBack = await get(`${known.url}/held-back-losses`);
    known.card.show();
  }

  #watched(message) {
    const known = this.#known.get(message.library_id);
    if (!known) return this.#reload();
    switch (message.type) {
      case "scan_started":
        return known.scanning(null);
      case "scan_progress":
        return known.scanning(message);
      case "scan_completed":
        return this.#ended(known, { report: message.report });
      case "scan_failed":
        return this.#ended(known, { failure: message.error });
      default:
        return this.#reload();
    }
  }

  #requestEnded(request) {
    const known = this.#known.get(request.library_id);
    if (!known) return;
    if (request.state === "cancelled") this.#lookAgain(known);
    else this.#ended(known, { report: request.report, failure: request.error });
    const outcome = request.error ?? (request.report ? changes(request.report) : "cancelled");
    announce(`Scan of ${known.library.name}: ${outcome}`);
  }

  #ended(known, outcome) {
    known.ended(outcome);
    this.#load().catch(report);
    this.#lookForLosses(known).catch(report);
  }

  /** Whoever cancels a scan takes it from nobody else: it may go on, or another one. */
  #lookAgain(known) {
    Promise.all([this.#load(), this.#learn(known)]).catch(report);
  }

  #welcome(isNeeded) {
    const welcome = byId("welcome");
    if (isNeeded && welcome.hidden) {
      byId("welcome-form").replaceChildren(addLibraryForm((library) => this.#added(library)));
    }
    show(welcome, isNeeded);
    show(byId("overview"), !isNeeded);
  }

  async #added(library) {
    announce(`${library.name} is a library now.`);
    await this.#load().catch(report);
    this.#known.get(library.library_id)?.card.focus();
  }

  async #forgotten(library) {
    announce(`${library.name} is forgotten.`);
    await this.#load().catch(report);
    // Its card is gone, and with it the button that was pressed.
    byId(this.#known.size > 0 ? "libraries-title" : "welcome-title").focus();
  }

  async #do(known, wish) {
    switch (wish) {
      case "scan":
      case "full":
        if (known.isScanning || known.isAsking) return; // The button stands there only to keep the focus.
        return this.#askForScan(known, wish === "full");
      case "cancel":
        return attempt(() => cancelScans(known));
      case "accept":
        return this.#accept(known);
      case "discard":
        return attempt(async () => {
          await post(`${known.url}/held-back-losses/discard`);
          await this.#lookForLosses(known);
          announce("They stay in the library.");
        });
      case "edit":
        return openEditLibrary(known.library, () => this.#load().catch(report), () => this.#forgotten(known.library));
      default:
        return this.#switchMode(known, wish.mode);
    }
  }

  async #askForScan(known, full) {
    known.isAsking = true;
    await attempt(async () => {
      await post(`${known.url}/scans`, { full });
      known.scanning(null, { wasAsked: true });
      announce(`Scanning ${known.library.name}`);
    });
    known.isAsking = false;
  }

  async #accept(known) {
    const files = counted(known.heldBack.files, "file");
    const words = `They count as missing then, and so do those of a disk inside the library that is away. If they turn up again within the time that is set, they are the same tracks as before.`;
    if (!(await confirmed(`Are ${files} of ${known.library.name} really gone?`, words, "They are gone"))) return;
    await attempt(async () => {
      await post(`${known.url}/held-back-losses/accept`);
      known.scanning(null, { wasAsked: true });
    });
  }

  /** One wish after the other is sent, so that the last one holds; those that it has overtaken are not sent at all. */
  async #switchMode(known, mode) {
    const isSending = known.wishedMode !== null;
    known.wishedMode = mode;
    if (isSending) return;
    try {
      let sent = null;
      while (sent !== known.wishedMode) {
        sent = known.wishedMode;
        const done = await attempt(() => ask("PUT", `${known.url}/watch-mode`, { body: { watch_mode: sent } }));
        if (done) announce(`${known.library.name} is watched ${WATCH_MODES[sent]}.`);
        await this.#load().catch(report);
      }
    } finally {
      known.wishedMode = null;
      known.card.show();
    }
  }
}

/** End what runs, and what was asked for and waits. */
async function cancelScans(known) {
  const requests = await getAll("scan-requests", { library_id: known.id });
  const waiting = requests.filter((request) => request.state === "waiting");
  await Promise.all(waiting.map((request) => post(`scan-requests/${request.request_id}/cancel`)));
  await post(`${known.url}/scan/cancel`);
}
