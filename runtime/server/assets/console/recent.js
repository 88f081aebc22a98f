//! What a visitor did last, with the titles of the items.

import { get, part } from "./api.js";
import { button, h, when } from "./dom.js";
import { perhaps, say } from "./words.js";

/** Interactions shown at first, and with each further press. */
const STEP = 15;

/** Titles of items, asked for once each; an item that is no more keeps its id. */
export class Titles {
  #known = new Map();
  #signal;

  constructor(signal) {
    this.#signal = signal;
  }

  of(id) {
    if (!this.#known.has(id)) this.#known.set(id, this.#ask(id));
    return this.#known.get(id);
  }

  async #ask(id) {
    try {
      return (await get(`/v1/catalog/items/${part(id)}`, this.#signal)).title || id;
    } catch {
      return id;
    }
  }
}

/** The last interactions, the newest first. */
export const recent = (all, titles) => {
  const list = h("ol", { class: "timeline" });
  const one = ({ item, type, time }) => {
    const title = h("span", { class: "title" }, item);
    titles.of(item).then((text) => { title.textContent = text; });
    return h("li", {}, h("span", { class: `chip deed ${type === "purchase" ? "people" : ""}` }, () => perhaps(`event.${type}`) ?? type), title,
      h("span", { class: "quiet" }, h("code", {}, item), " · ", when(time)));
  };
  const more = button(say("list.show.more"), () => add(), { class: "button small" });
  const add = () => {
    const from = list.children.length;
    list.append(...all.slice(from, from + STEP).map(one));
    more.hidden = list.children.length >= all.length;
  };
  add();
  return h("section", { class: "panel" }, h("h2", {}, say("visitor.recent")),
    all.length === 0 ? h("p", { class: "quiet" }, say("visitor.recent.none")) : list, more);
};
