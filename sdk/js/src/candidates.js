// The candidate set: a handle to columns on the host.

import * as host from "qianmian:strategy/retrieval";
import { hostError } from "./errors.js";
import { Source } from "./source.js";
import { count, eventKind, list, number, overflow, text, texts } from "./words.js";

export function retrieve(sources) {
  try {
    return new Candidates(host.retrieve(Source.specs(sources)));
  } catch (error) {
    throw hostError(error);
  }
}

export class Candidates {
  #set;
  #shelf;

  constructor(set) {
    this.#set = set;
  }

  #call(method, ...values) {
    if (!this.#set) throw new Error(`this set already stands on the shelf "${this.#shelf}": split or retrieve another`);
    try {
      return this.#set[method](...values);
    } catch (error) {
      throw hostError(error);
    }
  }

  #then(method, ...values) {
    this.#call(method, ...values);
    return this;
  }

  get size() {
    return this.#call("size");
  }

  rows() {
    return this.#call("rows");
  }

  ids() {
    return this.#call("ids");
  }

  numbers(column) {
    return this.#call("numbers", text("the column", column));
  }

  texts(column) {
    return this.#call("texts", text("the column", column));
  }

  put(column, values) {
    text("the column", column);
    if (values instanceof Float32Array) return this.#then("put", column, values);
    return this.#then("put", column, Float32Array.from(list(`the values of ${column}`, values, number)));
  }

  keep(expression) {
    return this.#call("keep", text("the expression", expression));
  }

  score(model) {
    return this.#then("score", text("the model", model));
  }

  compute(column, formula) {
    return this.#then("compute", text("the column", column), text("the formula", formula));
  }

  orderBy(column) {
    return this.#then("orderBy", text("the column", column));
  }

  blend(weights = {}) {
    const pairs = Array.isArray(weights) ? weights : Object.entries(weights);
    const pair = (what, [name, weight], at) => [text(what, name, at), number(what, weight, at)];
    return this.#then("blend", list("the weights", pairs, pair));
  }

  spread(space, strength, window) {
    const [most, how] = [count("the window", window), number("the strength", strength)];
    return this.#then("spread", text("the space", space), how, most);
  }

  cap(column, most, beyond) {
    return this.#then("cap", text("the column", column), count("most", most), overflow("the overflow", beyond));
  }

  pin(ids) {
    return this.#then("pin", texts("ids", ids));
  }

  withoutSeen(kinds) {
    return this.#call("withoutSeen", list("kinds", kinds, eventKind));
  }

  without(rows) {
    return rows.length === 0 ? 0 : this.#call("without", list("rows", rows, count));
  }

  take(most) {
    return this.#then("take", count("the count", most));
  }

  split(most) {
    return new Candidates(this.#call("split", count("the count", most)));
  }

  /** For `Page`: the handle goes to the host with the page. */
  static give(candidates, shelf) {
    const set = candidates.#set;
    candidates.#set = undefined;
    candidates.#shelf = shelf;
    return set;
  }
}
