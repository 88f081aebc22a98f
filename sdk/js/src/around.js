// What surrounds the code: the request's clock and seed, and a console that ends up in the host's log.

import { write } from "qianmian:strategy/log";
import { told } from "./errors.js";
import { show } from "./words.js";

/** The request under way; null while modules are loaded, which happens once, when the component is built. */
let current = null;

/** Every call begins here; one without a seed has no randomness. */
export function begin({ now, seed }) {
  current = { now, random: seed === undefined ? undefined : (seed % 4294967296) ^ (seed / 4294967296) };
}

function now() {
  if (!current) throw new Error("there is no clock while the module is loaded: ask for the time inside compose");
  return current.now;
}

/** mulberry32 from the request's seed: the same request, the same numbers. */
function random() {
  if (!current) throw new Error("there is no randomness while the module is loaded: draw numbers inside compose");
  if (current.random === undefined) {
    throw new Error("a tagger has no randomness: the same visitor must always get the same tags");
  }
  let mixed = (current.random = (current.random + 0x6d2b79f5) | 0);
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}

export function log(line) {
  const words = typeof line === "string" ? line : show(line);
  // Tests have no host: they collect what is logged.
  const lines = globalThis[Symbol.for("qianmian.lines")];
  if (lines) lines.push(words);
  else if (current) write(words.toWellFormed());
  else throw new Error("nothing can be logged while the module is loaded: log inside compose");
}

const SystemDate = Date;
SystemDate.now = now;
globalThis.Date = new Proxy(SystemDate, {
  construct: (target, parts, as) => Reflect.construct(target, parts.length > 0 ? parts : [now()], as),
  apply: () => new SystemDate(now()).toString(),
});
SystemDate.prototype.constructor = globalThis.Date;
Math.random = random;
delete globalThis.performance;
const words = (part) => (typeof part === "string" ? part : part instanceof Error ? told(part) : show(part));
const line = (...parts) => log(parts.map(words).join(" "));
globalThis.console = { debug: line, log: line, info: line, warn: line, error: line };
