// What most strategies do: mix sources, rank by a model or by blending, keep alike items apart.

import { retrieve } from "./candidates.js";
import { optional } from "./errors.js";
import { number } from "./words.js";

export class Mix {
  #parts = [];

  with(source, weight) {
    this.#parts.push({ source, weight: number(`the weight of ${source.name}`, weight) });
    return this;
  }

  near(space, make, weight) {
    return space ? this.with(make(space), weight) : this;
  }

  without(name) {
    this.#parts = this.#parts.filter(({ source }) => source.name !== name);
    return this;
  }

  tuned(sizes = {}, weights = {}) {
    const part = ({ source, weight }) => ({
      source: Object.hasOwn(sizes, source.name) ? source.sized(sizes[source.name]) : source,
      weight: Object.hasOwn(weights, source.name) ? weights[source.name] : weight,
    });
    this.#parts = this.#parts.map(part).filter(({ source }) => source.limit > 0);
    return this;
  }

  retrieve(kinds = []) {
    return retrieve(this.#parts.map(({ source }) => source.kinds(kinds)));
  }

  rank(candidates, model) {
    if (model && optional(() => candidates.score(model))) return candidates;
    return candidates.blend(this.#parts.map(({ source, weight }) => [source.name, weight]));
  }
}

export function diversify(candidates, { space, strength = 0, perCategory = 0 }, slots) {
  if (space && strength > 0) {
    // Wide enough to find something else, narrow enough to stay relevant and cheap.
    optional(() => candidates.spread(space, strength, Math.max(slots * 3, 30)));
  }
  if (perCategory > 0) candidates.cap("item.category", perCategory, "last");
  return candidates.take(slots);
}
