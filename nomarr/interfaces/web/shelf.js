// The albums that came last, by their covers.

import { address, get } from "./api.js";
import { byId, element, fill, show } from "./dom.js";
import { report } from "./notices.js";
import { paced } from "./timing.js";

const ALBUMS = 12;
const LOOKED_AT = 300;
const RELOAD_MILLISECONDS = 5000;

export class Shelf {
  #reload = paced(() => this.load().catch(report), RELOAD_MILLISECONDS);

  constructor(news) {
    news.on("change", () => this.#reload());
    news.on("library", () => this.#reload());
    news.on("enrichment", () => this.#reload());
  }

  async load() {
    const { items } = await get("files", { sort: "added", descending: true, limit: LOOKED_AT });
    const albums = albumsOf(items).slice(0, ALBUMS);
    show(byId("newest"), albums.length > 0);
    fill(byId("shelf"), albums, (album) => album.cover_id, makeAlbum);
  }
}

/** One file of each album that has a cover; an image on two albums is one album here. */
function albumsOf(files) {
  const found = new Map();
  for (const file of files) if (file.cover_id && file.album && !found.has(file.cover_id)) found.set(file.cover_id, file);
  return [...found.values()];
}

function makeAlbum(file) {
  const cover = element("img", {
    src: address(`covers/${file.cover_id}`, { size: 600 }), alt: "", loading: "lazy", width: "300", height: "300",
  });
  const artist = file.albumartist || file.artist || "";
  return element("li", {},
    element("a", { href: `#/files?q=${encodeURIComponent(file.album.toWellFormed())}` }, cover,
      element("span", { class: "album" }, file.album), element("span", { class: "faint" }, artist)));
}
