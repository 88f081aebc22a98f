// The words of the contract, and checks: a value of another type would end the call without a word.

export const itemKinds = Object.freeze(["product", "content", "offer", "copy", "channel"]);
export const eventKinds = Object.freeze([
  "impression", "view", "click", "cart", "purchase", "rating", "search", "custom",
]);

export function show(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null && !(value instanceof Error)) {
    try {
      return JSON.stringify(value)?.slice(0, 200) ?? String(value);
    } catch {
      return "[an object with a cycle]";
    }
  }
  return typeof value === "function" ? `the function ${value.name}` : String(value);
}

/** `at` is the place in a list; the words for it are only made when something is wrong. */
export function wrong(what, got, expected, at) {
  throw new TypeError(`${at === undefined ? what : `${what}[${at}]`} is ${show(got)}: expected ${expected}`);
}

export function text(what, value, at) {
  return typeof value === "string" ? value.toWellFormed() : wrong(what, value, "a string", at);
}

export function count(what, value, at) {
  const fits = Number.isInteger(value) && value >= 0 && value <= 0x7fffffff;
  return fits ? value : wrong(what, value, "a whole number, 0 or more", at);
}

export function number(what, value, at) {
  return typeof value === "number" ? value : wrong(what, value, "a number", at);
}

export function list(what, values, check) {
  if (!Array.isArray(values)) wrong(what, values, "an array");
  return values.map((value, at) => check(what, value, at));
}

export function oneOf(words) {
  return (what, value, at) =>
    words.includes(value) ? value : wrong(what, value, `one of ${words.map(show).join(", ")}`, at);
}

export const texts = (what, values) => list(what, values, text);
export const itemKind = oneOf(itemKinds);
export const eventKind = oneOf(eventKinds);
export const basis = oneOf(["items", "history"]);
export const scope = oneOf(["all", "channel", "region", "segment"]);
export const attribute = oneOf(["category", "brand", "tag"]);
export const overflow = oneOf(["remove", "last"]);
