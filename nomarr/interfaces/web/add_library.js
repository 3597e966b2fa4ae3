// Making a folder a library: the way in for newcomers, and a dialog for everybody else.

import { get, post } from "./api.js";
import { openDialog } from "./dialogs.js";
import { element, fill, say, show } from "./dom.js";
import { nameOf } from "./words.js";

let forms = 0;

/** A choice of folders inside those that the service allows; `onChoice(path)` is told where the reader is. */
export function folderPicker(onChoice) {
  const where = element("p", { class: "where path", tabindex: "-1" });
  const up = element("button", { type: "button", class: "plain" }, "↑ Up");
  const list = element("ul", { class: "folders", "aria-label": "Folders" });
  const empty = element("p", { class: "faint", hidden: true }, "No folders in here.");
  const error = element("p", { class: "error", role: "alert", hidden: true });
  let parent = null;

  async function open(path, { isFirst = false } = {}) {
    show(error, false);
    let folder;
    try {
      folder = await get("folders", { path });
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
      return;
    }
    if (isFirst && !path && folder.folders.length === 1) return open(folder.folders[0].path, { isFirst });
    parent = folder.parent;
    show(up, parent !== null);
    say(where, folder.path || "Where is your music?");
    fill(list, folder.folders, (found) => found.path, (found) =>
      element("li", {}, element("button", { type: "button", onclick: () => open(found.path) }, found.name)));
    list.scrollTop = 0;
    show(empty, folder.folders.length === 0);
    onChoice(folder.path);
    // The button that was pressed is gone: whoever uses the keyboard goes on from here.
    if (!isFirst) where.focus();
  }

  up.addEventListener("click", () => open(parent));
  open("", { isFirst: true });
  return element("div", { class: "picker" }, element("div", { class: "row" }, where, up), list, empty, error);
}

/** A form that adds a library, and then calls `onAdded(library)`. */
export function addLibraryForm(onAdded) {
  const id = `add-${++forms}`;
  let path = "";
  let isNamed = false;
  const chosen = element("p", { class: "faint" }, "Open the folder that holds your music.");
  const name = element("input", { id: `${id}-name`, required: true, maxlength: "200", autocomplete: "off" });
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const submit = element("button", { class: "primary", disabled: true }, "Add this folder");
  const picker = folderPicker((folder) => {
    path = folder;
    submit.disabled = !path;
    if (!isNamed) name.value = nameOf(path);
    say(chosen, path ? `Everything in ${path} becomes a library.` : "Open the folder that holds your music.");
  });
  name.addEventListener("input", () => (isNamed = name.value !== ""));

  const form = element(
    "form", { class: "stack add-library" }, picker, chosen,
    element("label", { for: name.id }, "Name"), name, error,
    element("div", { class: "row" }, submit,
      element("span", { class: "faint" }, "Your music is only read, never written to.")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    show(error, false);
    submit.disabled = true;
    try {
      onAdded(await post("libraries", { name: name.value.trim(), path }));
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
    } finally {
      submit.disabled = !path;
    }
  });
  return form;
}

/** The same form in a dialog. */
export function openAddLibrary(onAdded) {
  const form = addLibraryForm((library) => {
    dialog.close();
    onAdded(library);
  });
  const dialog = openDialog("Add a library", form, { wide: true });
}
