// One file: everything that is known of it, and what happened to it.

import { address, get } from "./api.js";
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { bytes, duration, folderOf, moment, nameOf, number } from "./words.js";

const EVENTS = 1000;

const STATUSES = {
  pending: "its tags are not read yet",
  metadata_done: "tags are read; cover and fingerprint come later",
  art_done: "tags and cover are known; the fingerprint comes later",
  complete: "everything is known",
  error: "something went wrong",
};

const HAPPENED = {
  created: "First seen", modified: "Changed", moved: "Moved", renamed: "Renamed", missing: "Missing",
  restored: "Back again", removed: "Removed",
};

/** What is known of a file, and what happened to it. */
export async function loadFile(fileId) {
  const url = `files/${encodeURIComponent(fileId)}`;
  const [file, events] = await Promise.all([get(url), get(`${url}/events`, { limit: EVENTS })]);
  return { file, events: events.items };
}

/** Show a file in a dialog. */
export function openFile({ file, events }, libraryName) {
  return openDialog(file.title || nameOf(file.path), content(file, events, libraryName), { wide: true });
}

function content(file, events, libraryName) {
  const cover = file.cover_id
    ? element("img", { class: "large-cover", src: address(`covers/${file.cover_id}`, { size: 600 }), alt: "Cover" })
    : null;
  return element(
    "div", { class: "file" }, cover,
    element("div", { class: "grow" },
      element("p", { class: "by" }, [file.artist, file.album, file.year].filter(Boolean).join(" · ")),
      file.last_error ? element("p", { class: "reason" }, file.last_error) : null,
      facts(known(file, libraryName(file.library_id)))),
    element("section", { "aria-label": "What happened" },
      element("h3", {}, "What happened"),
      element("ol", { class: "history" }, events.toReversed().map(happened))),
    element("details", {}, element("summary", {}, "Hashes and numbers"), facts(numbers(file))),
  );
}

function known(file, library) {
  return [
    ["Library", library],
    ["Folder", folderOf(file.path) || "/"],
    ["File", nameOf(file.path)],
    ["Album artist", file.albumartist],
    ["Track", [file.disc && `disc ${file.disc}`, file.track && `track ${file.track}`].filter(Boolean).join(", ")],
    ["Genre", file.genre],
    ["Length", duration(file.duration_seconds)],
    ["Sound", [file.format, file.bitrate && `${number(Math.round(file.bitrate / 1000))} kbit/s`].filter(Boolean).join(", ")],
    ["Size", bytes(file.size)],
    ["Written", moment(file.mtime_ns / 1e6)],
    ["First seen", moment(file.first_seen_at)],
    ["Missing since", file.missing_since && moment(file.missing_since)],
    ["State", STATUSES[file.processing_status]],
  ];
}

function numbers(file) {
  return [
    ["File id", file.file_id],
    ["Inode", String(file.inode)],
    ["Audio hash", file.audio_hash],
    ["xxh3-128", file.content_xxh3],
    ["sha256", file.content_sha256],
  ];
}

function facts(pairs) {
  return element("dl", { class: "facts" },
    pairs.filter(([, value]) => value).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", { class: "path" }, value))));
}

function happened(event) {
  const where = event.old_path ? `${event.old_path} → ${event.path}` : "";
  return element("li", {},
    element("time", { datetime: event.time }, moment(event.time)),
    element("span", {}, HAPPENED[event.type]),
    element("span", { class: "path faint" }, [where, event.evidence && `(${event.evidence})`].filter(Boolean).join(" ")));
}
