// What the page says about itself: problems for everybody, and news for those who listen instead of looking.

import { byId, element, say } from "./dom.js";

const announcer = byId("announcer");
const notices = byId("notices");

/** Say something to a screen reader, after whatever it is saying. */
export function announce(text) {
  say(announcer, text);
}

/** Show what went wrong until somebody has read it. The same problem is shown once. */
export function report(problem) {
  if (!(problem instanceof Error)) throw new TypeError("a problem is an error");
  if (problem.isUnreachable) return; // The connection's own sign says it already.
  const known = [...notices.children].some((notice) => notice.firstElementChild.textContent === problem.message);
  if (known) return;
  const close = element("button", { type: "button", class: "plain" }, "Dismiss");
  const notice = element("div", { class: "notice" }, element("p", {}, problem.message), close);
  close.addEventListener("click", () => notice.remove());
  notices.append(notice);
}

/** Do something that a click asked for, and tell if it fails. True if it went well. */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (problem) {
    if (problem.isUnreachable) reportAway(problem);
    else report(problem);
    return false;
  }
}

function reportAway(problem) {
  report(new Error(problem.message));
}
