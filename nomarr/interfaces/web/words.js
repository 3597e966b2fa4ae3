// Numbers, times and states in words, the same ones as on the command line.

const NUMBERS = new Intl.NumberFormat("en");
const ONE_DIGIT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const LEAVE_OUT = "Leave out (patterns as in .gitignore, one a line)";

const CHANGES = [
  ["added", "files_added"],
  ["updated", "files_updated"],
  ["moved", "files_moved"],
  ["restored", "files_restored"],
  ["missing", "files_missing"],
  ["ignored", "files_ignored"],
  ["unreadable", "files_failed"],
  ["held back", "files_held_back"],
];

const PHASES = {
  walking: "Looking through folders",
  moving: "Matching moves",
  reading: "Reading tags",
  finishing: "Finishing",
  settling: "Waiting for files to settle",
};

const WATCHER_STATES = {
  starting: ["starting", "busy"],
  watching: ["watching", "good"],
  degraded: ["watching, but not everything", "warn"],
  polling: ["looking regularly", "good"],
  offline: ["offline", "bad"],
  off: ["not watched", "quiet"],
};

const LIBRARY_STATES = {
  new: ["not scanned yet", "quiet"],
  scanning: ["scanning", "busy"],
  ready: ["not watched", "quiet"],
  cancelled: ["scan cancelled", "warn"],
  failed: ["scan failed", "bad"],
  interrupted: ["scan interrupted", "warn"],
  offline: ["offline", "bad"],
};

export const WATCH_MODES = {
  auto: "automatically",
  events: "by events only",
  poll: "by looking regularly",
  off: "not at all",
};

export const number = (value) => NUMBERS.format(value);

export function counted(count, word) {
  return `${number(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** `3:05`, `1:02:03`. */
export function duration(seconds) {
  if (seconds == null) return "";
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** `1.2 s`, `3.5 min`. */
export function secondsWords(seconds) {
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = size;
  while (value >= 1000 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${units[0] === "B" ? value : ONE_DIGIT.format(value)} ${units[0]}`;
}

/** How long ago a time is, as roughly as people tell it. */
export function ago(time) {
  const seconds = (Date.now() - new Date(time)) / 1000;
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

export const moment = (time) => MOMENT.format(new Date(time));
export const clock = (time) => CLOCK.format(new Date(time));

/** The time of day, with its date if that is not today. */
export function when(time) {
  const isToday = new Date(time).toDateString() === new Date().toDateString();
  return isToday ? clock(time) : moment(time);
}

/** `3 added, 1 moved`, or that nothing changed. */
export function changes(report) {
  const found = CHANGES.filter(([, counter]) => report[counter] > 0);
  return found.map(([word, counter]) => `${number(report[counter])} ${word}`).join(", ") || "nothing changed";
}

export function lookedAt(report) {
  return `${counted(report.files_scanned, "file")} looked at in ${secondsWords(report.duration_seconds)}`;
}

/** What a scan is doing: words, and how much is done of how much (null: nobody knows). */
export function progressWords(progress) {
  if (!progress) return { words: "Scanning", done: 0, total: null };
  const words = [PHASES[progress.phase]];
  if (progress.files_total) {
    words.push(`${number(progress.files_done)} of ${counted(progress.files_total, "file")}`);
    if (progress.files_per_second) words.push(`${number(Math.round(progress.files_per_second))}/s`);
    if (progress.eta_seconds) words.push(`${duration(progress.eta_seconds)} left`);
    return { words: words.join(" · "), done: progress.files_done, total: progress.files_total };
  }
  const total = progress.folders_total && Math.max(progress.folders_total, progress.folders_done);
  words.push(counted(progress.folders_done, "folder"));
  return { words: words.join(" · "), done: progress.folders_done, total: total || null };
}

/** The state of a library for people, and its tone: good, busy, warn, bad or quiet. */
export function stateWords(library, status, isScanning) {
  if (library.state === "offline" || status?.state === "offline") return WATCHER_STATES.offline;
  if (isScanning || library.state === "scanning") return LIBRARY_STATES.scanning;
  if (status) return WATCHER_STATES[status.state];
  if (!library.enabled) return ["switched off", "quiet"];
  return LIBRARY_STATES[library.state];
}

export function watcherState(status) {
  return WATCHER_STATES[status.state][0];
}

/** What enrichment is doing; empty while there is nothing to do. */
export function enrichmentWords(progress) {
  const counts = `${number(progress.steps_done)} of ${number(progress.steps_total)} steps`;
  switch (progress.state) {
    case "idle":
      return "";
    case "running":
      return `Finding out ${progress.step === "art" ? "hashes and covers" : "fingerprints"} · ${counts}`;
    case "paused":
      return `Covers and fingerprints wait while a scan runs · ${counts}`;
    default:
      return progress.problem ?? "";
  }
}

export function nameOf(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function folderOf(path) {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
