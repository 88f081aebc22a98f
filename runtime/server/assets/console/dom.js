//! Making elements. Text goes in as text and nowhere else: ids and tags are what strangers sent.

import { ago, live, liveAttribute, moment, say, t } from "./words.js";

/**
 * An element. Children are nodes, texts, functions (texts that follow the language) or lists of these. A property `on` has
 * listeners by event; one that is a function follows the language; true is an attribute without a value, false and null none.
 */
export const h = (name, properties = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "on") {
      Object.entries(value).forEach(([event, listener]) => element.addEventListener(event, listener));
    } else if (typeof value === "function") {
      liveAttribute(element, key, value);
    } else if (value === true) {
      element.setAttribute(key, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...nodes(children));
  return element;
};

const nodes = (children) =>
  children.flat(9).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "function" ? live(child) : child));

let made = 0;
/** An id that no other element has. */
export const unique = (word) => `${word}-${(made += 1)}`;

export const button = (label, press, properties = {}) =>
  h("button", { type: "button", class: "button", ...properties, on: { click: press } }, label);

export const link = (href, ...children) => h("a", { href }, ...children);

/** A moment as people say it, with the exact one on it. */
export const when = (ms) =>
  h("time", { datetime: ms > 0 ? new Date(ms).toISOString() : null, title: () => moment(ms) }, () => ago(ms));

export const chip = (text, kind = "") => h("span", { class: `chip ${kind}` }, text);

/** Nothing here yet: what it would be, and what to do. */
export const empty = (title, text, ...actions) =>
  h("div", { class: "empty" }, h("p", { class: "empty-title" }, say(title)), h("p", {}, say(text)),
    actions.length > 0 && h("div", { class: "actions" }, ...actions));

/** How far a back-fill is. */
export const backfill = ({ finished, done, of, last }) =>
  finished
    ? h("span", { class: "quiet done-when" }, say("backfill.done"), last > 0 && [" · ", when(last)])
    : h("span", { class: "progress" },
      h("progress", { max: Math.max(of, 1), value: done, "aria-label": () => t("backfill.running") }),
      h("span", { class: "quiet" }, say("backfill.progress", { done, of })));

/** Replaces what a place shows, and leaves the focus where it was. */
export const swap = (place, ...children) => {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...nodes(children));
  if (focused) place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
};

/** Says something that happened, to eyes and to screen readers. */
export const announce = (...text) => {
  const place = document.querySelector("#toasts");
  const toast = h("p", { class: "toast" }, ...text);
  place.append(toast);
  setTimeout(() => toast.remove(), 6_000);
};

/**
 * Asks before something is done. With `match`, that text has to be typed first. True when it is to be done.
 */
export const ask = ({ title, body, confirm, danger = false, match = null }) =>
  new Promise((answer) => {
    const heading = unique("dialog");
    const typed = unique("match");
    const yes = h("button", { class: danger ? "button danger" : "button primary", value: "yes", disabled: match !== null },
      say(confirm));
    const input = match !== null && h("input", { id: typed, autocomplete: "off", spellcheck: "false", on: {
      input: ({ target }) => { yes.disabled = target.value.trim() !== match; },
    } });
    const dialog = h("dialog", { "aria-labelledby": heading },
      h("form", { method: "dialog" },
        h("h2", { id: heading }, title), ...[body].flat(),
        match !== null && h("div", { class: "field" }, h("label", { for: typed }, say("dialog.match", { match })), input),
        h("div", { class: "actions end" }, h("button", { class: "button", value: "no", formnovalidate: true }, say("action.cancel")), yes)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
    // Enter in the field presses the first button, which is the one that does nothing.
    if (input) {
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") {
          event.preventDefault();
          if (!yes.disabled) yes.click();
        }
      });
    }
    document.body.append(dialog);
    dialog.showModal();
    (input || dialog.querySelector("button")).focus();
  });

/** Gives a text to the visitor's browser as a file. */
export const download = (name, text) => {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const anchor = h("a", { href: address, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1_000);
};
