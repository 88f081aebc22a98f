//! The two languages: which one is spoken, and texts that change with it where they stand, so that nothing typed is lost.

import { MESSAGES } from "./messages.js";

export const LANGUAGES = [["zh", "简体中文", "zh-CN"], ["en", "English", "en"]];
const KEPT = "qianmian.console.language";

const kept = () => {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // storage may be forbidden: the browser's language holds
  }
};

const known = (code) => LANGUAGES.some(([own]) => own === code);
let language = known(kept()) ? kept() : (navigator.language ?? "").toLowerCase().startsWith("zh") ? "zh" : "en";

/** What is spoken: "zh" or "en". */
export const spoken = () => language;
const tag = () => LANGUAGES.find(([code]) => code === language)[2];

export const number = (value, digits = 0) =>
  Number.isFinite(value) ? new Intl.NumberFormat(tag(), { maximumFractionDigits: digits }).format(value) : "–";

export const percent = (share) => {
  if (!Number.isFinite(share)) return "–";
  const digits = share > 0 && share < 0.1 ? 1 : 0;
  return new Intl.NumberFormat(tag(), { style: "percent", maximumFractionDigits: digits }).format(share);
};

export const moment = (ms) =>
  ms > 0 ? new Intl.DateTimeFormat(tag(), { dateStyle: "medium", timeStyle: "short" }).format(ms) : "–";

const STEPS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]];

/** How long ago: "3 minutes ago". */
export const ago = (ms) => {
  if (!(ms > 0)) return "–";
  const past = Date.now() - ms;
  const [unit, length] = STEPS.find(([, length]) => Math.abs(past) >= length) ?? ["second", 1_000];
  return new Intl.RelativeTimeFormat(tag(), { numeric: "auto" }).format(-Math.round(past / length), unit);
};

const PLACE = /\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g;

/** The text of a key. `{name}` stands for a value, `{name:one|many}` for a word that follows its number. */
export const t = (key, values = {}) => {
  const pair = MESSAGES[key];
  if (!pair) throw new Error(`no message ${key}`);
  return pair[language === "zh" ? 0 : 1].replace(PLACE, (_, name, one, many) => {
    const value = values[name];
    if (one !== undefined) return value === 1 ? one : many;
    return typeof value === "number" ? number(value, 2) : String(value ?? "");
  });
};

/** The text of a key that may not be there. */
export const perhaps = (key) => (key in MESSAGES ? t(key) : null);

const texts = new WeakMap();
const attributes = new WeakMap();

/** A text node that says what `make` says, in whichever language is spoken. */
export const live = (make) => {
  const node = document.createTextNode(make());
  texts.set(node, make);
  return node;
};

/** A text node with the text of a key. */
export const say = (key, values) => live(() => t(key, typeof values === "function" ? values() : values));

/** An attribute that says what `make` says. */
export const liveAttribute = (element, name, make) => {
  attributes.set(element, { ...attributes.get(element), [name]: make });
  element.setAttribute(name, make());
};

const relabel = () => {
  document.documentElement.lang = tag();
  const walk = document.createTreeWalker(document, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walk.currentNode; node; node = walk.nextNode()) {
    const make = texts.get(node);
    const text = make?.();
    // What says the same is left alone: a screen reader would read it out again.
    if (make && node.data !== text) node.data = text;
    for (const [name, make] of Object.entries(attributes.get(node) ?? {})) {
      if (node.getAttribute(name) !== make()) node.setAttribute(name, make());
    }
  }
};

// "A minute ago" does not stay true.
setInterval(relabel, 20_000);

/** Speaks a language from now on, and remembers it. */
export const speak = (code) => {
  language = code;
  try {
    localStorage.setItem(KEPT, code);
  } catch { /* not remembered, then */ }
  relabel();
  dispatchEvent(new Event("language"));
};

document.documentElement.lang = tag();
