// When things are done: not more often than is good for anybody.

/** How soon something is tried again that did not go well. */
export const RETRY_MILLISECONDS = 2000;

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** A function that has `work` done soon, at most once in so many milliseconds and never twice at the same time. */
export function paced(work, milliseconds) {
  let timer = null;
  let isWorking = false;
  let isWanted = false;

  async function run() {
    timer = null;
    isWorking = true;
    isWanted = false;
    try {
      await work();
    } finally {
      isWorking = false;
      if (isWanted) timer = setTimeout(run, milliseconds);
    }
  }

  let lastAsked = -Infinity;
  return () => {
    isWanted = true;
    if (timer !== null || isWorking) return;
    const wait = Math.max(0, lastAsked + milliseconds - performance.now());
    lastAsked = performance.now() + wait;
    timer = setTimeout(run, wait);
  };
}

/** A function that calls `work` with the newest arguments once it was not called for so many milliseconds. */
export function settled(work, milliseconds) {
  let timer = null;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}

/** `work`, which is asked for in vain while it is on its way. */
export function oneAtATime(work) {
  let isOnItsWay = false;
  return async () => {
    if (isOnItsWay) return;
    isOnItsWay = true;
    try {
      await work();
    } finally {
      isOnItsWay = false;
    }
  };
}
