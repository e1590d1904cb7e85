/** Bytes that are worked on at a stretch: without a JIT, a tenth of a second on a phone. */
export const STRETCH = 1 << 16;

/**
 * Lets the browser draw, and take a press on “Leave now”, between two stretches of work. Not `setTimeout`: that waits 4 ms
 * each time, and a second in a tab that is not seen.
 */
export const pause = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
