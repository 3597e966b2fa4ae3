// The settings as a form, made of their schema. What is saved is in force at once.

import { ask, get } from "./api.js";
import { byId, element, say, show } from "./dom.js";
import { announce, report } from "./notices.js";

const GROUPS = [
  ["Watching", /^watcher_/],
  ["Enrichment", /^(enrichment_|content_)/],
  ["Scanning", /./],
];

export class Settings {
  #schema = null;
  #settings = {};
  #fields = new Map(); // name of a setting to its field

  constructor() {
    byId("settings-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save().catch(report);
    });
  }

  async open() {
    const [schema, { settings, changeable }] = await Promise.all([get("settings/schema"), get("settings")]);
    // What somebody has entered and not saved yet stays, whatever makes the page ask again.
    const unsaved = new Map(this.#unsaved());
    this.#settings = settings;
    if (this.#schema === null) {
      this.#schema = schema;
      this.#build(changeable);
    }
    this.#show(unsaved);
  }

  #build(changeable) {
    const left = new Set(changeable);
    for (const [title, pattern] of GROUPS) {
      const names = Object.keys(this.#schema.properties).filter((name) => left.has(name) && pattern.test(name));
      names.forEach((name) => left.delete(name));
      byId("settings-groups").append(
        element("fieldset", {}, element("legend", {}, title), names.map((name) => this.#changeable(name))));
    }
    const fixed = Object.keys(this.#schema.properties).filter((name) => !changeable.includes(name));
    byId("fixed-settings").append(...fixed.map((name) => this.#fixed(name)));
  }

  #changeable(name) {
    const field = makeField(name, this.#schema.properties[name]);
    this.#fields.set(name, field);
    return field.root;
  }

  #fixed(name) {
    const value = this.#settings[name];
    const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
    return element("div", {}, element("dt", {}, name), element("dd", { class: "path" }, text || "—"),
      element("dd", { class: "faint" }, this.#schema.properties[name].description));
  }

  #show(unsaved = new Map()) {
    for (const [name, field] of this.#fields) {
      if (!unsaved.has(name)) field.show(this.#settings[name]);
    }
  }

  /** The fields that say something else than the settings. */
  #unsaved() {
    return [...this.#fields].filter(([name, field]) => field.value() !== this.#settings[name]);
  }

  async #save() {
    const error = byId("settings-error");
    const done = byId("settings-done");
    show(error, false);
    say(done, "");
    const changed = this.#unsaved();
    const changes = Object.fromEntries(changed.map(([name, field]) => [name, field.value()]));
    try {
      ({ settings: this.#settings } = await ask("PATCH", "settings", { body: changes }));
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
      error.focus();
      return;
    }
    this.#show();
    const words = changed.length ? "Saved, and in force from now on." : "Nothing was changed.";
    say(done, words);
    announce(words);
  }
}

/** A field for one setting: its element, and functions that show a value and tell the one that was entered. */
function makeField(name, schema) {
  const id = `setting-${name}`;
  const [words, unit] = inWords(name);
  const help = element("p", { id: `${id}-help`, class: "faint" }, schema.description, ` Default: ${shown(schema.default)}.`);
  const label = element("label", { for: id }, words);
  const input = makeInput(id, schema);
  const extra = makeExtra(id, schema, input.root);
  const entry = element("div", { class: "row entry" }, input.root, element("span", { id: `${id}-unit` }, unit), extra?.root);
  const root = element("div", { class: "setting" }, label, entry, help);
  input.root.setAttribute("aria-describedby", `${id}-unit ${id}-help`);
  return {
    root,
    show(value) {
      extra?.show(value);
      input.show(extra?.isWord(value) ? null : value);
    },
    value: () => extra?.value() ?? input.value(),
  };
}

function makeInput(id, schema) {
  const choices = schema.enum;
  if (choices) {
    const select = element("select", { id }, choices.map((choice) => element("option", { value: choice }, choice)));
    return { root: select, show: (value) => (select.value = value), value: () => select.value };
  }
  if (schema.type === "boolean") {
    const box = element("input", { id, type: "checkbox" });
    return { root: box, show: (value) => (box.checked = value), value: () => box.checked };
  }
  return numberInput(id, schema.anyOf?.find((one) => one.type === "integer" || one.type === "number") ?? schema,
    schema.anyOf?.some((one) => one.type === "null") ?? false);
}

function numberInput(id, schema, isOptional) {
  const input = element("input", {
    id, type: "number", min: schema.minimum ?? schema.exclusiveMinimum, max: schema.maximum,
    step: schema.type === "integer" ? "1" : "any", required: !isOptional, inputmode: "decimal",
  });
  return {
    root: input,
    show: (value) => (input.value = value ?? ""),
    value: () => (input.value === "" ? null : Number(input.value)),
  };
}

/** A box for a setting that may be a word instead of a number, such as "never". */
function makeExtra(id, schema, input) {
  const word = schema.anyOf?.find((one) => one.const)?.const;
  if (!word) return null;
  const box = element("input", { id: `${id}-${word}`, type: "checkbox" });
  const follow = () => (input.disabled = box.checked);
  box.addEventListener("change", follow);
  return {
    root: element("span", { class: "row" }, box, element("label", { for: box.id }, word)),
    isWord: (value) => value === word,
    show(value) {
      box.checked = value === word;
      follow();
    },
    value: () => (box.checked ? word : null),
  };
}

/** `watcher_poll_seconds` is ["Watcher poll", "seconds"]. */
function inWords(name) {
  const [, words, unit] = /^(.*?)(?:_(seconds|days))?$/.exec(name);
  const sentence = words.replaceAll("_", " ");
  return [sentence.charAt(0).toUpperCase() + sentence.slice(1), unit ?? ""];
}

function shown(value) {
  if (value === null) return "empty";
  return { true: "on", false: "off" }[String(value)] ?? String(value);
}
