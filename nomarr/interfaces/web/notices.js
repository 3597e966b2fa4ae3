// What the page says about itself: problems for everybody, and news for those who listen instead of looking.

import { Problem } from "./api.js";
import { byId, element } from "./dom.js";

const announcer = byId("announcer");
const notices = byId("notices");

/** Say something to a screen reader, after whatever it is saying. */
export function announce(text) {
  // Only a change is read out: the same words have to come as new ones.
  announcer.replaceChildren(text);
}

/**
 * Show what went wrong in the background. Not that the service is away or wants a token: the sign of the connection
 * says it.
 */
export function report(problem) {
  if (!problem.isUnreachable && !problem.needsToken) tell(problem);
}

/** Do something that the reader asked for, and tell if it fails. True if it went well. */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (problem) {
    tell(problem);
    return false;
  }
}

/** Show a problem until somebody has read it; the same one only once. */
function tell(problem) {
  const known = [...notices.children].some((notice) => notice.firstElementChild.textContent === problem.message);
  if (!known) notices.append(notice(problem.message));
  // Anything else is a mistake of the page, and has to be found.
  if (!(problem instanceof Problem)) throw problem;
}

function notice(message) {
  const close = element("button", { type: "button", class: "plain" }, "Dismiss");
  const made = element("div", { class: "notice" }, element("p", {}, message), close);
  close.addEventListener("click", () => made.remove());
  return made;
}
