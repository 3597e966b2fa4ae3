// Elements out of values. Texts always become text nodes: what comes from files and tags is never read as HTML.

/**
 * An element: `element("p", { class: "path", onclick: go }, "words", otherElement)`.
 * Properties that begin with "on" are listeners; true and false set and leave out an attribute.
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Set a text only if it is another one, so that nothing is announced or deselected without a reason. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, isShown) {
  node.hidden = !isShown;
}

/**
 * Make the children of `list` those of `items`, in this order. What is there already stays, so that focus does, too.
 *
 * @param keyOf tells items apart
 * @param make a child for an item that is new
 * @param update shows what an item is now in its child
 */
export function fill(list, items, keyOf, make, update = () => {}) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const keys = items.map((item) => String(keyOf(item)));
  // Before anything else: what stays would be moved around what goes, and a moved element loses the focus.
  const wanted = new Set(keys);
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let place = list.firstElementChild;
  for (const [at, item] of items.entries()) {
    const key = keys[at];
    let child = known.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
  }
}

/** What somebody wrote into a text area, without empty lines. */
export function linesIn(area) {
  return area.value.split("\n").filter((line) => line.trim());
}

/** Take a control away; if it was the one in use, another one takes its place. */
export function hideControl(control, successor) {
  const hadFocus = control.contains(document.activeElement);
  control.hidden = true;
  if (hadFocus) successor.focus();
}
