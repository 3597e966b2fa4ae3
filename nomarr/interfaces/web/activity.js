// What happens to files, newest first. Many changes of one kind in one folder are one line.

import { get } from "./api.js";
import { byId, element, fill, say, show } from "./dom.js";
import { report } from "./notices.js";
import { counted, folderOf, moment, nameOf, when } from "./words.js";

const SHOWN = 40;
const FIRST = 300;

const WORDS = {
  created: "added",
  modified: "changed",
  moved: "moved",
  renamed: "renamed",
  missing: "missing",
  restored: "is back",
  removed: "removed",
};

export class Activity {
  #events = []; // the newest ones, oldest first
  #lines = []; // newest first: { key, event, count }
  #list = byId("feed");
  #nameOf;
  #isDrawing = false;
  #hasSeveral = false;

  constructor(news, nameOfLibrary) {
    this.#nameOf = nameOfLibrary;
    news.on("change", (event) => this.#add(event));
    // What was told of a library that is gone is gone with it.
    news.on("library", () => this.load().catch(report));
  }

  get #lastSeq() {
    return this.#events.at(-1)?.seq ?? 0;
  }

  /** Show the newest changes; answers the number of the last one. */
  async load() {
    const before = this.#lastSeq;
    const { items } = await get("events", { newest: true, limit: FIRST });
    const last = items.at(-1)?.seq ?? 0;
    if (last < before) {
      // The database was restored from a copy, and its numbers went back: what was told meanwhile was taken for old.
      this.#events = [];
      return this.load();
    }
    // What was told while the answer was on its way is newer than the answer.
    this.#events = [...items, ...this.#events.filter((event) => event.seq > last)].slice(-FIRST);
    this.#lines = [];
    for (const event of this.#events) this.#addLine(event);
    this.#drawSoon();
    return last;
  }

  #add(event) {
    // The stream also tells what an answer of `load` has told before.
    if (event.seq <= this.#lastSeq) return;
    this.#events = [...this.#events, event].slice(-FIRST);
    this.#addLine(event);
  }

  #addLine(event) {
    const newest = this.#lines[0];
    if (newest && isLike(newest.event, event)) {
      newest.count += 1;
      newest.event = event;
    } else {
      this.#lines.unshift({ key: event.seq, event, count: 1 });
      this.#lines.length = Math.min(this.#lines.length, SHOWN);
    }
    this.#drawSoon();
  }

  /** Say of each change in which library it was, if there are several. */
  setLibraries(libraries) {
    this.#hasSeveral = libraries.length > 1;
    this.show();
  }

  #drawSoon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => this.show());
  }

  show() {
    this.#isDrawing = false;
    show(byId("feed-empty"), this.#lines.length === 0);
    fill(this.#list, this.#lines, (line) => line.key, makeLine, (child, line) => this.#showLine(child, line));
  }

  #showLine(child, { event, count }) {
    const [time, kind, text] = child.children;
    say(time, when(event.time));
    time.dateTime = event.time;
    time.title = moment(event.time);
    say(kind, WORDS[event.type]);
    kind.dataset.kind = event.type;
    const library = this.#nameOf(event.library_id);
    text.title = [library, event.path].filter(Boolean).join(": ");
    const [target, where] = text.children;
    const folder = folderOf(event.path);
    const isNamed = count > 1 && !folder;
    say(where, this.#hasSeveral && library && !isNamed ? ` · ${library}` : "");
    say(target, count > 1 ? `${counted(count, "file")} in ${folder || library || "the library"}` : pathsOf(event));
    const place = placeOf(event, count);
    if (place) target.href = place;
    else target.removeAttribute("href");
  }
}

function makeLine() {
  return element(
    "li", {}, element("time"), element("span", { class: "kind" }),
    element("span", { class: "path" }, element("a"), element("span", { class: "faint" })),
  );
}

/** Where the files of a line are shown; null if nowhere: no list has files that a rule hides, or that are forgotten. */
function placeOf(event, count) {
  if (count === 1) return `#/file/${event.file_id}`;
  if (event.type === "removed") return null;
  const wish = new URLSearchParams({ library: event.library_id, q: searchable(folderOf(event.path)) });
  if (event.type === "missing") wish.set("show", "missing");
  return `#/files?${wish}`;
}

function isLike(one, other) {
  return one.type === other.type && one.library_id === other.library_id && !other.old_path && !one.old_path
    && folderOf(one.path) === folderOf(other.path);
}

function pathsOf(event) {
  return event.old_path ? `${shortened(event.old_path)} → ${arrival(event)}` : shortened(event.path);
}

/** Where a file has gone; what did not change is not said again. */
function arrival(event) {
  return folderOf(event.path) === folderOf(event.old_path) ? nameOf(event.path) : shortened(event.path);
}

function shortened(path) {
  return path.split("/").slice(-2).join("/");
}

/** A path that can be asked for in a link: lone surrogates can't. */
function searchable(text) {
  return text.toWellFormed();
}
