// What can be changed about a library: its name, its place, what is left out of it, and whether it is there at all.

import { ask, get, post } from "./api.js";
import { folderPicker } from "./add_library.js";
import { confirmed, openDialog } from "./dialogs.js";
import { element, fill, linesIn, say, show } from "./dom.js";
import { attempt, report } from "./notices.js";
import { LEAVE_OUT } from "./words.js";

/** `onChange()` is called after each change that was made, but `onForgotten()` once the library is no more. */
export function openEditLibrary(library, onChange, onForgotten) {
  const url = `libraries/${library.library_id}`;
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const name = element("input", { id: "edit-name", required: true, maxlength: "200", value: library.name });
  const patterns = element("textarea", {
    id: "edit-patterns", rows: "4", spellcheck: "false", "aria-describedby": "edit-pattern-problems",
  });
  patterns.value = library.ignore_patterns.join("\n");
  const problems = element("ul", { id: "edit-pattern-problems", class: "error", hidden: true });
  showProblems(problems, url).catch(report);
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
    element("label", { for: "edit-patterns" }, LEAVE_OUT), patterns, problems,
    element("label", { for: "edit-policy" }, "A song that was encoded anew"), policy, error,
    element("div", { class: "row" }, element("button", { class: "primary" }, "Save")),
    element("hr"), element("div", { class: "row" }, move, forget),
  );
  const dialog = openDialog(library.name, form);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { name: name.value.trim(), ignore_patterns: linesIn(patterns), transcode_policy: policy.value };
    const body = changed(wanted, library);
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
    if (await attempt(() => ask("DELETE", url))) onForgotten();
    else onChange();
  });
}

/** Patterns that are there and can't mean what they say; they may stay, and whoever edits them should know. */
async function showProblems(list, url) {
  const problems = await get(`${url}/pattern-problems`);
  fill(list, problems, ({ pattern }) => pattern, ({ pattern, problem }) => element("li", {}, `“${pattern}” can't be understood: ${problem}`));
  show(list, problems.length > 0);
}

/** Those members of `wanted` that are not the same in `before`: another reader may have changed the others. */
function changed(wanted, before) {
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
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
