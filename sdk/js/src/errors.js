// Errors of host operations, refusing to answer, and what an exception looks like in one line.

import { show } from "./words.js";

export class StrategyError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "StrategyError";
    this.code = code;
  }
}

export function reject(reason) {
  throw new StrategyError("rejected", String(reason));
}

export function optional(operation) {
  try {
    return operation();
  } catch (error) {
    if (error instanceof StrategyError && ["unknown", "failed", "denied"].includes(error.code)) return undefined;
    throw error;
  }
}

/** What the host throws has the contract's error as its payload. */
export function hostError(error) {
  const said = error?.payload;
  return typeof said?.tag === "string" ? new StrategyError(said.tag, said.val) : error;
}

/** The author's own frames of a stack, innermost first: `src/strategy.js:12:9 in compose`. */
export function frames(error) {
  // Lines of a stack look like `at compose (/src/strategy.js:12:9)`; the SDK's own are of no use to the author.
  const lines = typeof error?.stack === "string" ? error.stack.split("\n") : [];
  const own = lines.map((line) => /at (.*?) ?\(?\/([^()]+:\d+:\d+)\)?$/.exec(line.trim()));
  return own
    .filter((found) => found && !/(^|\/)sdk\/js\//.test(found[2]))
    .map(([, name, place]) => (name && name !== "<anonymous>" ? `${place} in ${name}` : place));
}

/** An exception in one line. */
export function told(error) {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : `uncaught ${show(error)}`;
  const where = frames(error).slice(0, 5).join(", ");
  return where ? `${what} (${where})` : what;
}
