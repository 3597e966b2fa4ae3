// What can be changed about a library: its name, its place, what is left out of it, and whether it is there at all.

import { ask, post } from "./api.js";
import { folderPicker } from "./add_library.js";
import { confirmed, openDialog } from "./dialogs.js";
import { element, say, show } from "./dom.js";
import { attempt } from "./notices.js";

/** `onChange()` is called after each change that was made. */
export function openEditLibrary(library, onChange) {
  const url = `libraries/${library.library_id}`;
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const name = element("input", { id: "edit-name", required: true, maxlength: "200", value: library.name });
  const patterns = element("textarea", { id: "edit-patterns", rows: "4", spellcheck: "false" });
  patterns.value = library.ignore_patterns.join("\n");
  const policy = element(
    "select", { id: "edit-policy" },
    element("option", { value: "keep_id" }, "stays the same track"),
    element("option", { value: "new_id" }, "is a new track"),
  );
  policy.value = library.transcode_policy;
  const move = element("button", { type: "button" }, "The folder is somewhere else…");
  const forget = element("button", { type: "button", class: "danger" }, "Forget this library…");

  const form = element(
    "form", { class: "stack" },
    element("label", { for: "edit-name" }, "Name"), name,
    element("label", { for: "edit-patterns" }, "Leave out (patterns as in .gitignore, one a line)"), patterns,
    element("label", { for: "edit-policy" }, "A song that was encoded anew"), policy, error,
    element("div", { class: "row" }, element("button", { class: "primary" }, "Save")),
    element("hr"), element("div", { class: "row" }, move, forget),
  );
  const dialog = openDialog(library.name, form);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const lines = patterns.value.split("\n").filter((line) => line.trim());
    const body = { name: name.value.trim(), ignore_patterns: lines, transcode_policy: policy.value };
    try {
      await ask("PATCH", url, { body });
      dialog.close();
      onChange();
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
    }
  });
  move.addEventListener("click", () => {
    dialog.close();
    openRelocate(library, onChange);
  });
  forget.addEventListener("click", async () => {
    const words = "Everything that is known about its files is forgotten, also their ids. The music itself is not touched.";
    if (!(await confirmed(`Forget ${library.name}?`, words, "Forget it"))) return;
    dialog.close();
    await attempt(() => ask("DELETE", url));
    onChange();
  });
}

function openRelocate(library, onChange) {
  let path = "";
  const submit = element("button", { class: "primary", disabled: true }, "It is here now");
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const picker = folderPicker((folder) => {
    path = folder;
    submit.disabled = !path;
  });
  const form = element(
    "form", { class: "stack" },
    element("p", {}, `${library.root_path} was moved. Tracks keep their identity.`), picker, error,
    element("div", { class: "row" }, submit),
  );
  const dialog = openDialog(`Where is ${library.name} now?`, form, { wide: true });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post(`libraries/${library.library_id}/relocate`, { path });
      dialog.close();
      onChange();
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
    }
  });
}
