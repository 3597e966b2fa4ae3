// One library as a card: how it is, what is going on in it, and what can be done.

import { element, fill, hideControl, say, show } from "./dom.js";
import { WATCH_MODES, ago, changes, counted, lookedAt, moment, number, progressWords, stateWords } from "./words.js";

/** Shows a `KnownLibrary`, and tells its `onWish` what the reader wants. */
export class Card {
  constructor(known) {
    this.known = known;
    const id = `library-${known.id}`;
    const wish = (what) => () => known.onWish(what);
    const button = (text, what, kind = false) =>
      element("button", { type: "button", class: kind, onclick: wish(what) }, text);

    this.name = element("h2", { id, tabindex: "-1" });
    this.state = element("p", { class: "state" });
    this.path = element("p", { class: "path faint" });
    this.files = element("strong");
    this.missing = element("a", { href: `#/files?library=${known.id}&show=missing` });
    this.lastScan = element("time");
    this.outcome = element("p", { class: "outcome faint" });
    this.warnings = element("ul");
    this.warningCount = element("summary");
    this.warningBox = element("details", { hidden: true }, this.warningCount, this.warnings);
    this.reason = element("p", { class: "reason", hidden: true });

    this.bar = element("progress", { "aria-labelledby": id, max: "1" });
    this.step = element("p", { class: "step" });
    this.folder = element("p", { class: "path faint" });
    this.cancel = button("Cancel", "cancel");
    this.progress = element(
      "div", { class: "progress", hidden: true }, this.bar,
      element("div", { class: "row" }, element("div", { class: "grow" }, this.step, this.folder), this.cancel),
    );

    this.lossWords = element("p");
    this.losses = element(
      "section", { class: "losses", hidden: true, "aria-label": "Files that can't be found" }, this.lossWords,
      element("div", { class: "row" }, button("They are gone…", "accept"), button("They will come back", "discard")),
    );

    this.scan = button("Scan", "scan", "primary");
    this.full = button("Full scan", "full");
    this.full.title = "Reads the tags of every file again";
    this.mode = element(
      "select", { id: `${id}-mode`, onchange: () => known.onWish({ mode: this.mode.value }) },
      Object.entries(WATCH_MODES).map(([mode, words]) => element("option", { value: mode }, words)),
    );
    this.edit = button("Edit…", "edit", "plain");

    this.root = element(
      "li", { class: "card" },
      element("article", { "aria-labelledby": id },
        element("header", {}, this.name, this.state), this.path,
        element("p", { class: "counts" },
          element("a", { href: `#/files?library=${known.id}` }, this.files), this.missing, this.lastScan),
        this.outcome, this.reason, this.progress, this.losses, this.warningBox,
        element("footer", { class: "row" }, this.scan, this.full,
          element("span", { class: "mode" },
            element("label", { for: this.mode.id }, "Watch"), this.mode), this.edit)),
    );
  }

  focus() {
    this.name.focus();
  }

  show() {
    const { library, status, scan } = this.known;
    say(this.name, library.name);
    this.edit.setAttribute("aria-label", `Edit ${library.name}`);
    this.scan.setAttribute("aria-label", `Scan ${library.name}`);
    this.full.setAttribute("aria-label", `Full scan of ${library.name}`);
    this.cancel.setAttribute("aria-label", `Cancel the scan of ${library.name}`);
    const [words, tone] = stateWords(library, status, scan !== null);
    say(this.state, words);
    this.state.dataset.tone = tone;
    say(this.path, library.root_path);
    say(this.files, counted(library.files, "file"));
    say(this.missing, `${number(library.missing)} missing`);
    show(this.missing, library.missing > 0);
    if (this.mode.value !== this.known.watchMode) this.mode.value = this.known.watchMode;
    this.showTimes();
    this.#showReason();
    this.#showOutcome();
    this.#showProgress();
    this.#showLosses();
  }

  showTimes() {
    const { last_scan_at: time } = this.known.library;
    say(this.lastScan, time ? `last scan ${ago(time)}` : "not scanned yet");
    this.lastScan.dateTime = time ?? "";
    this.lastScan.title = time ? moment(time) : "";
  }

  #showReason() {
    const { library, status, failure, heldBack } = this.known;
    // Losses that are held back have a place of their own.
    const isSaidBelow = heldBack?.files > 0 && status?.state === "watching";
    const reason = failure ?? library.offline_reason ?? (isSaidBelow ? "" : status?.reason ?? "");
    say(this.reason, reason);
    show(this.reason, reason !== "");
  }

  #showOutcome() {
    const { report: done, isScanning } = this.known;
    say(this.outcome, done ? `${changes(done)} (${lookedAt(done)})` : "");
    show(this.outcome, done !== null && !isScanning);
    const warnings = done?.warnings ?? [];
    say(this.warningCount, counted(warnings.length, "warning"));
    fill(this.warnings, warnings, (warning) => warning, (warning) => element("li", {}, warning));
    show(this.warningBox, warnings.length > 0 && !isScanning);
  }

  #showProgress() {
    const { scan } = this.known;
    this.scan.setAttribute("aria-disabled", String(scan !== null));
    this.full.setAttribute("aria-disabled", String(scan !== null));
    if (!this.known.showsProgress) return hideControl(this.progress, this.scan);
    const { words, done, total } = progressWords(scan.progress);
    say(this.step, words);
    say(this.folder, scan.progress?.current_folder ?? "");
    if (total) this.bar.value = done / total;
    else this.bar.removeAttribute("value");
    this.progress.hidden = false;
  }

  #showLosses() {
    const { heldBack, library } = this.known;
    const files = heldBack?.files ?? 0;
    if (!files) return hideControl(this.losses, this.scan);
    const noticed = ago(heldBack.first_seen_at);
    say(this.lossWords,
      `${counted(files, "file")} of ${library.name} can't be found (noticed ${noticed}). That is so many at once that ` +
      "nothing is believed yet. Is a disk away? Then do nothing. Are they really gone?");
    this.losses.hidden = false;
  }
}
