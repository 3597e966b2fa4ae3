// The settings as a form, made of their schema. What is saved is in force at once.

import { ask, get } from "./api.js";
import { byId, element, hideControl, linesIn, say, show } from "./dom.js";
import { announce, report } from "./notices.js";
import { LEAVE_OUT } from "./words.js";

const GROUPS = [
  ["Which files", /_patterns$/],
  ["Watching", /^watcher_/],
  ["Enrichment", /^(enrichment_|content_)/],
  ["Scanning", /./],
];
const LABELS = {
  ignore_patterns: LEAVE_OUT,
  audio_patterns: "Take for audio (names such as *.flac, one a line)",
};

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
    const [schema, answer] = await Promise.all([get("settings/schema"), get("settings")]);
    // What somebody has entered and not saved yet stays, whatever makes the page ask again.
    const unsaved = new Map(this.#unsaved());
    if (this.#schema === null) {
      this.#schema = schema;
      this.#settings = answer.settings;
      this.#build(answer.changeable);
    }
    this.#show(answer, unsaved);
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
    show(byId("settings-form"), true);
  }

  #changeable(name) {
    const giveBack = () => this.#giveBack(name).catch(report);
    const choose = () => this.#choose(name).catch(report);
    const field = makeField(name, this.#schema.properties[name], giveBack, choose);
    this.#fields.set(name, field);
    return field.root;
  }

  #fixed(name) {
    const value = this.#settings[name];
    const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
    return element("div", {}, element("dt", {}, name), element("dd", { class: "path" }, text || "—"),
      element("dd", { class: "faint" }, this.#schema.properties[name].description));
  }

  #show({ settings, overridden, unreadable }, unsaved = new Map()) {
    this.#settings = settings;
    for (const [name, field] of this.#fields) {
      if (!unsaved.has(name)) field.show(settings[name]);
      field.showOrigin(overridden.includes(name), unreadable.includes(name));
    }
  }

  /** The fields that say something else than the settings. */
  #unsaved() {
    return [...this.#fields].filter(([name, field]) => !isSame(field.value(), this.#settings[name]));
  }

  async #save() {
    const changed = this.#unsaved();
    const changes = Object.fromEntries(changed.map(([name, field]) => [name, field.value()]));
    const answer = await this.#asked("PATCH", "settings", { body: changes });
    if (answer === null) return;
    this.#show(answer);
    tellDone(changed.length ? "Saved, and in force from now on." : "Nothing was changed.");
  }

  async #giveBack(name) {
    const answer = await this.#asked("DELETE", `settings/${name}`);
    if (answer === null) return;
    const unsaved = new Map(this.#unsaved());
    unsaved.delete(name);
    this.#show(answer, unsaved);
    tellDone(`${inWords(name)[0]} is as it is configured: ${shown(answer.settings[name])}.`);
  }

  /** What is shown is what is wanted, though it was there already. */
  async #choose(name) {
    const answer = await this.#asked("PATCH", "settings", { body: { [name]: this.#fields.get(name).value() } });
    if (answer === null) return;
    const unsaved = new Map(this.#unsaved());
    unsaved.delete(name);
    this.#show(answer, unsaved);
    tellDone(`${inWords(name)[0]} is chosen: ${shown(answer.settings[name])}.`);
  }

  /** The answer; null, and the form says why, if the service refuses. */
  async #asked(method, path, options) {
    const error = byId("settings-error");
    show(error, false);
    say(byId("settings-done"), "");
    try {
      return await ask(method, path, options);
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
      error.focus();
      return null;
    }
  }
}

function tellDone(words) {
  say(byId("settings-done"), words);
  announce(words);
}

/** A field for one setting: its element, and functions that show a value and tell the one that was entered. */
function makeField(name, schema, giveBack, choose) {
  const id = `setting-${name}`;
  const [words, unit] = inWords(name);
  const help = element("p", { id: `${id}-help`, class: "faint" }, schema.description, ` Default: ${shown(schema.default)}.`);
  const label = element("label", { for: id }, words);
  const input = makeInput(id, schema);
  const extra = makeExtra(id, schema, input.root);
  const entry = element("div", { class: "row entry" }, input.root, element("span", { id: `${id}-unit` }, unit), extra?.root);
  const origin = makeOrigin(words, giveBack, choose);
  const root = element("div", { class: "setting" }, label, entry, help, origin.root);
  input.root.setAttribute("aria-describedby", `${id}-unit ${id}-help`);
  return {
    root,
    show(value) {
      extra?.show(value);
      input.show(extra?.isWord(value) ? null : value);
    },
    showOrigin: (isOverridden, isUnreadable) =>
      origin.show(isOverridden, isUnreadable, input.root.disabled ? extra.box : input.root),
    value: () => extra?.value() ?? input.value(),
  };
}

/** What says that a setting wins over the configuration, or can't be read, and gives it back or chooses it anew. */
function makeOrigin(words, giveBack, choose) {
  const said = element("span");
  const button = (text, onclick) => element("button", { type: "button", class: "plain", onclick },
    text, element("span", { class: "unseen" }, ` for ${words}`));
  const keep = button("Choose what is shown", choose);
  const root = element("p", { class: "row origin", hidden: true }, said, keep,
    button("Back to the configuration's value", giveBack));
  return {
    root,
    show(isOverridden, isUnreadable, input) {
      say(said, isUnreadable
        ? "What was chosen can't be read. What is shown holds until it is chosen again."
        : "Changed here: wins over the configuration.");
      if (isUnreadable) show(keep, true);
      else hideControl(keep, input);
      if (isOverridden || isUnreadable) show(root, true);
      else hideControl(root, input);
    },
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
  if (schema.type === "array") return linesInput(id);
  return numberInput(id, schema.anyOf?.find((one) => one.type === "integer" || one.type === "number") ?? schema,
    schema.anyOf?.some((one) => one.type === "null") ?? false);
}

function linesInput(id) {
  const area = element("textarea", { id, rows: "4", spellcheck: "false" });
  return { root: area, show: (lines) => (area.value = lines.join("\n")), value: () => linesIn(area) };
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
    box,
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
  if (name in LABELS) return [LABELS[name], ""];
  const [, words, unit] = /^(.*?)(?:_(seconds|days))?$/.exec(name);
  const sentence = words.replaceAll("_", " ");
  return [sentence.charAt(0).toUpperCase() + sentence.slice(1), unit ?? ""];
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function shown(value) {
  if (value === null || value.length === 0) return "empty";
  if (Array.isArray(value)) return value.join(", ");
  return { true: "on", false: "off" }[String(value)] ?? String(value);
}
