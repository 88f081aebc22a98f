// Naming where candidates come from.

import { attribute, basis, count, itemKind, list, scope, text, texts, wrong } from "./words.js";

export class Source {
  #spec;

  constructor(spec) {
    this.#spec = spec;
  }

  static #of(name, tag, val, limit) {
    text("the source's name", name);
    count(`the limit of source ${name}`, limit);
    return new Source({ name, origin: val === undefined ? { tag } : { tag, val }, limit, kinds: [], filter: "" });
  }

  static nearVisitor(name, space, limit) {
    return Source.#of(name, "near-visitor", text("the space", space), limit);
  }

  static nearItems(name, space, limit) {
    return Source.#of(name, "near-items", text("the space", space), limit);
  }

  static boughtTogether(name, from, limit) {
    return Source.#of(name, "bought-together", basis("the basis", from), limit);
  }

  static viewedTogether(name, from, limit) {
    return Source.#of(name, "viewed-together", basis("the basis", from), limit);
  }

  static nextAfter(name, from, limit) {
    return Source.#of(name, "next-after", basis("the basis", from), limit);
  }

  static buyAgain(name, limit) {
    return Source.#of(name, "buy-again", undefined, limit);
  }

  static trending(name, limit) {
    return Source.trendingIn(name, "all", limit);
  }

  static trendingIn(name, whose, limit) {
    return Source.#of(name, "trending", scope("the scope", whose), limit);
  }

  static newest(name, limit) {
    return Source.#of(name, "newest", undefined, limit);
  }

  static same(name, of, limit) {
    return Source.#of(name, "same", attribute("the attribute", of), limit);
  }

  static listed(name, ids, limit = ids.length) {
    return Source.#of(name, "listed", texts("ids", ids), limit);
  }

  static exploration(name, limit) {
    return Source.#of(name, "exploration", undefined, limit);
  }

  kinds(kinds) {
    return new Source({ ...this.#spec, kinds: list("kinds", kinds, itemKind) });
  }

  only(condition) {
    return new Source({ ...this.#spec, filter: text("the condition", condition) });
  }

  sized(limit) {
    return new Source({ ...this.#spec, limit: count(`the limit of source ${this.name}`, limit) });
  }

  get name() {
    return this.#spec.name;
  }

  get limit() {
    return this.#spec.limit;
  }

  /** For `retrieve`. */
  static specs(sources) {
    const spec = (what, source, at) => (source instanceof Source ? source.#spec : wrong(what, source, "a Source", at));
    return list("sources", [...sources], spec).filter((one) => one.limit > 0);
  }
}
