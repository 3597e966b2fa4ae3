// The table of files: searched and sorted by the service, a page at a time.

import { address, get } from "./api.js";
import { byId, element, fill, hideControl, say, show } from "./dom.js";
import { announce, attempt, report } from "./notices.js";
import { paced, settled } from "./timing.js";
import { bytes, counted, duration, moment, nameOf, number } from "./words.js";

const PAGE = 100;
const LARGEST_PAGE = 1000;
const TYPING_MILLISECONDS = 250;
const REFRESH_MILLISECONDS = 1500;
const ENRICHMENT_MILLISECONDS = 5000;
const FIRST_DESCENDING = new Set(["size", "changed", "added"]);

export class Files {
  #wish = {};
  #files = [];
  #cursor = null;
  #wanted = PAGE; // So many files the reader has asked for.
  #question = 0; // Answers to an older one are too late.
  #isLoading = false;
  #isAnswered = false; // The table shows what is wished.
  #isShown = false;
  #search = byId("file-search");
  #library = byId("file-library");
  #kind = byId("file-kind");
  #sort = byId("file-sort");
  #rows = byId("file-rows");
  #more = byId("file-more");
  #unanswered = byId("file-unanswered");
  #onWish;
  #refresh = paced(() => this.#load().catch(report), REFRESH_MILLISECONDS);
  // It tells of every few files, for hours.
  #refreshSlowly = paced(() => this.#load().catch(report), ENRICHMENT_MILLISECONDS);

  /** `onWish(wish)` is told what the reader wants to see, so that the page's address says it. */
  constructor(news, onWish) {
    this.#onWish = onWish;
    for (const kind of ["change", "library"]) news.on(kind, () => this.#isShown && this.#refresh());
    news.on("enrichment", (progress) => this.#isShown && this.#follow(progress));
    const typed = settled(() => this.#want({ q: this.#search.value.trim() }), TYPING_MILLISECONDS);
    this.#search.addEventListener("input", typed);
    this.#library.addEventListener("change", () => this.#want({ library: this.#library.value }));
    this.#kind.addEventListener("change", () => this.#want({ show: this.#kind.value }));
    this.#sort.addEventListener("change", () => this.#sortBy(this.#sort.value));
    byId("file-descending").addEventListener("click", () => this.#want({ desc: this.#wish.desc ? "" : "1" }));
    for (const button of byId("file-table").querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset.sort));
    }
    this.#more.addEventListener("click", () => this.#next().catch(report));
    byId("file-retry").addEventListener("click", () => attempt(() => this.#load()));
    const nearEnd = new IntersectionObserver(
      (seen) => seen.at(-1).isIntersecting && this.#next().catch(report), { rootMargin: "400px" });
    nearEnd.observe(this.#more);
  }

  setLibraries(libraries) {
    const choices = [{ library_id: "", name: "All libraries" }, ...libraries];
    fill(this.#library, choices, (one) => one.library_id, (one) => element("option", { value: one.library_id }),
      (option, one) => say(option, one.name));
    this.#library.value = this.#wish.library ?? "";
  }

  /** Show what `wish` says: q, library, show, sort, desc. */
  async open(wish) {
    this.#isShown = true;
    const isSame = JSON.stringify(wish) === JSON.stringify(this.#wish);
    this.#wish = wish;
    if (!isSame) this.#beginAnew();
    if (this.#search !== document.activeElement) this.#search.value = wish.q ?? "";
    this.#library.value = wish.library ?? "";
    this.#kind.value = wish.show ?? "";
    this.#sort.value = this.#sorting;
    this.#showSorting();
    await this.#load();
  }

  close() {
    this.#isShown = false;
  }

  get #sorting() {
    return this.#wish.sort || "path";
  }

  #want(change) {
    this.#onWish({ ...this.#wish, ...change });
  }

  #sortBy(sort) {
    const isSame = sort === this.#sorting;
    const isDescending = isSame ? !this.#wish.desc : FIRST_DESCENDING.has(sort);
    this.#want({ sort, desc: isDescending ? "1" : "" });
  }

  /** Enrichment finds covers and exact lengths. */
  #follow(progress) {
    if (progress.state === "running") this.#refreshSlowly();
    else this.#refresh();
  }

  #query(more) {
    const { q, library, show: kind, desc } = this.#wish;
    return {
      query: q, library_id: library, missing: kind === "missing", status: kind === "error" ? "error" : null,
      sort: this.#sorting, descending: Boolean(desc), ...more,
    };
  }

  /** What is in the table is of another wish: nothing can be added to it. */
  #beginAnew() {
    this.#wanted = PAGE;
    this.#cursor = null;
    this.#isAnswered = false;
  }

  /** Show what is wanted as it is now, once all of it is there: fewer files would move the reader. */
  async #load() {
    const question = ++this.#question;
    this.#isLoading = true;
    try {
      const files = [];
      let cursor = null;
      do {
        const limit = Math.min(LARGEST_PAGE, this.#wanted - files.length);
        const page = await get("files", this.#query({ limit, cursor }));
        if (question !== this.#question) return;
        files.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor !== null && files.length < this.#wanted);
      this.#show(files, cursor);
      if (!this.#isAnswered) announce(this.#count());
      this.#isAnswered = true;
      hideControl(this.#unanswered, byId("main"));
    } catch (problem) {
      if (question !== this.#question) return;
      if (!this.#isAnswered) this.#showNothing();
      throw problem;
    } finally {
      if (question === this.#question) this.#isLoading = false;
    }
  }

  async #next() {
    if (!this.#isShown || this.#cursor === null) return;
    this.#wanted = this.#files.length + PAGE;
    if (this.#isLoading) return; // They come with the others.
    const question = ++this.#question;
    const page = await get("files", this.#query({ limit: PAGE, cursor: this.#cursor }));
    if (question === this.#question) this.#show([...this.#files, ...page.items], page.next_cursor);
  }

  /** What is in the table would be taken for the answer. */
  #showNothing() {
    this.#show([], null);
    say(byId("file-count"), "");
    show(this.#unanswered, true);
  }

  #show(files, cursor) {
    const before = this.#files.length;
    this.#files = withoutRepeats(files);
    this.#cursor = cursor;
    fill(this.#rows, this.#files, (file) => file.file_id, makeRow, showRow);
    say(byId("file-count"), this.#count());
    show(byId("file-table"), files.length > 0);
    const firstNew = this.#rows.children[before]?.querySelector(".title");
    if (cursor === null) hideControl(this.#more, firstNew ?? byId("main"));
    else show(this.#more, true);
  }

  #count() {
    if (this.#files.length === 0) return this.#wish.q ? `Nothing found for “${this.#wish.q}”` : "No files";
    return this.#cursor ? `The first ${number(this.#files.length)} files` : counted(this.#files.length, "file");
  }

  #showSorting() {
    const isDescending = Boolean(this.#wish.desc);
    say(byId("file-descending"), isDescending ? "↓ Descending" : "↑ Ascending");
    for (const button of byId("file-table").querySelectorAll("[data-sort]")) {
      const heading = button.parentElement;
      const isSorted = button.dataset.sort === this.#sorting;
      if (isSorted) heading.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
  }
}

/** A file that got another place between two pages is on both. */
function withoutRepeats(files) {
  return [...new Map(files.map((file) => [file.file_id, file])).values()];
}

function makeRow() {
  return element(
    "tr", {}, element("td", { class: "cover" }),
    element("th", { scope: "row" },
      element("a", { class: "title" }), element("span", { class: "flag", hidden: true }), element("span", { class: "below faint" })),
    element("td", { class: "wide-only" }), element("td", { class: "wide-only" }),
    element("td", { class: "number" }), element("td", { class: "number wide-only" }),
    element("td", { class: "wide-only" }),
  );
}

function showRow(row, file) {
  const [cover, name, artist, album, length, size, changed] = row.children;
  const [title, flag, below] = name.children;
  showCover(cover, file);
  say(title, file.title || nameOf(file.path));
  title.href = `#/file/${file.file_id}`;
  title.title = file.path;
  say(flag, file.missing_since ? "missing" : "unreadable");
  show(flag, Boolean(file.missing_since) || file.processing_status === "error");
  say(below, [file.artist, file.album].filter(Boolean).join(" · ") || file.path);
  say(artist, file.artist ?? "");
  say(album, file.album ?? "");
  say(length, duration(file.duration_seconds));
  say(size, bytes(file.size));
  say(changed, moment(file.mtime_ns / 1e6));
}

function showCover(cell, file) {
  if (cell.dataset.cover === String(file.cover_id)) return;
  cell.dataset.cover = file.cover_id;
  const image = file.cover_id
    ? element("img", { src: address(`covers/${file.cover_id}`, { size: 96 }), alt: "", loading: "lazy", width: "40", height: "40" })
    : element("span", { class: "no-cover", "aria-hidden": "true" }, "♪");
  cell.replaceChildren(image);
}
