// Building a page.

import { Candidates } from "./candidates.js";
import { text, texts, wrong } from "./words.js";

export class Page {
  #shelves = [];
  #rows = [];

  shelf(id, title, candidates, copies = []) {
    text("the shelf's id", id);
    text(`the title of shelf ${id}`, title);
    texts(`the copies of shelf ${id}`, copies);
    if (!(candidates instanceof Candidates)) wrong(`what stands on shelf ${id}`, candidates, "candidates");
    const rows = candidates.rows();
    if (rows.length > 0) {
      this.#rows.push(...rows);
      this.#shelves.push({ id, title, copies, slots: Candidates.give(candidates, id) });
    }
    return this;
  }

  get rows() {
    return [...this.#rows];
  }

  room(limit) {
    return Math.max(0, limit - this.#rows.length);
  }

  /** For `strategy`. */
  static shelves(page) {
    if (typeof page?.then === "function") {
      throw new TypeError("compose returned a promise: it cannot be async, and needs not be: the host answers at once");
    }
    return page instanceof Page ? page.#shelves : wrong("what compose returned", page, "a Page");
  }
}
