// What is wrong and the exact remedy; how libraries are watched; the newest warnings.

import { get } from "./api.js";
import { copyButton } from "./copying.js";
import { byId, element, fill, say, show } from "./dom.js";
import { announce, attempt, report } from "./notices.js";
import { paced } from "./timing.js";
import { ago, clock, counted, moment, number, watcherState } from "./words.js";

const RECHECK_MILLISECONDS = 10_000; // A check looks through the whole database.
const LOG_LINES = 50;

export class Health {
  #recheck = paced(() => this.check().catch(report), RECHECK_MILLISECONDS);

  constructor(news) {
    news.on("watch", (message) => message.type === "state" && this.#recheck());
    news.on("library", () => this.#recheck());
    byId("check-again").addEventListener("click", () => this.#checkNow());
  }

  /** Look at everything anew. */
  async check() {
    const [checks, statuses, lines] = await Promise.all([
      get("watcher/health"), get("watcher"), get("logs", { level: "warning", limit: LOG_LINES }),
    ]);
    this.#showChecks(checks);
    showWatched(statuses);
    showLog(lines);
  }

  async #checkNow() {
    const button = byId("check-again");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    if (await attempt(() => this.check())) announce(byId("health-summary").textContent);
    button.setAttribute("aria-disabled", "false");
  }

  #showChecks(checks) {
    const wrong = checks.filter((check) => check.status !== "ok");
    const fine = checks.filter((check) => check.status === "ok");
    const words = wrong.length ? `${counted(wrong.length, "thing")} need${wrong.length === 1 ? "s" : ""} attention` : "Everything is in order";
    say(byId("health-summary"), words);
    say(byId("health-badge"), wrong.length ? String(wrong.length) : "");
    show(byId("health-badge"), wrong.length > 0);
    showList(byId("health-wrong"), wrong);
    showList(byId("health-fine"), fine);
    const errors = wrong.filter((check) => check.status === "error");
    showList(byId("problem-list"), errors);
    show(byId("problems"), errors.length > 0);
  }
}

function showList(list, checks) {
  fill(list, checks, (check) => JSON.stringify(check), makeCheck);
}

function makeCheck(check) {
  const remedy = check.remedy
    ? element("div", { class: "remedy" }, element("strong", {}, "What to do"), element("pre", { tabindex: "0" }, check.remedy), copyButton(check.remedy, `what to do about ${check.name}`))
    : null;
  const words = { ok: "in order", warn: "warning", error: "error" }[check.status];
  return element("li", { class: "check", "data-status": check.status },
    element("p", {}, element("strong", {}, check.name), " ", element("span", { class: "state" }, words)),
    element("p", { class: "faint path" }, check.detail), remedy);
}

function showWatched(statuses) {
  show(byId("watched"), statuses.length > 0);
  fill(byId("watched-rows"), statuses, (status) => status.library_id, () => element("tr", {}, element("th", { scope: "row" }),
    ["td", "td", "td", "td", "td"].map((name) => element(name))), (row, status) => {
    const { counters } = status;
    const texts = [
      status.name, watcherState(status), number(counters.watched_folders), number(counters.events),
      number(counters.scans), status.last_event_at ? ago(status.last_event_at) : "none yet",
    ];
    texts.forEach((text, at) => say(row.children[at], text));
    row.title = status.next_whole_scan_at ? `Looks at everything again at ${moment(status.next_whole_scan_at)}` : "";
  });
}

function showLog(lines) {
  show(byId("log"), lines.length > 0);
  fill(byId("log-lines"), lines.toReversed(), (line) => line.number, (line) => element("li", {},
    element("time", { datetime: line.time, title: moment(line.time) }, clock(line.time)),
    element("span", { class: "path" }, line.message)));
}
