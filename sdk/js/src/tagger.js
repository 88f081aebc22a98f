// From the host's call to a tagger's `tag` and back.

import * as catalogue from "qianmian:strategy/catalogue";
import { called, describe } from "./about.js";
import { begin } from "./around.js";
import { hostError } from "./errors.js";
import { show, text, texts, wrong } from "./words.js";

/** A visitor: where it stands in the columns of the request. */
class Person {
  #visitors;
  #at;

  constructor(visitors, at) {
    this.#visitors = visitors;
    this.#at = at;
  }

  get orders() {
    return this.#visitors.orders[this.#at] ?? 0;
  }

  get firstSeen() {
    return this.#visitors.firstSeen[this.#at] ?? 0;
  }

  get lastSeen() {
    return this.#visitors.lastSeen[this.#at] ?? 0;
  }

  recent() {
    const { begins, items, kinds, times } = this.#visitors;
    const recent = [];
    for (let at = begins[this.#at] ?? 0, end = begins[this.#at + 1] ?? 0; at < end; at += 1) {
      recent.push({ at, item: items[at], kind: kinds[at], time: times[at] });
    }
    return recent;
  }

  attribute(name) {
    text("the attribute", name);
    return this.#visitors.attributes.find(([known]) => known === name)?.[1][this.#at] ?? "";
  }

  /** For `tagger`. */
  static number(person) {
    return person instanceof Person ? person.#at : wrong("who is given a tag", person, "one of the people");
  }
}

/** Everybody the host asks about. */
class People {
  #request;

  constructor(request) {
    this.#request = request;
  }

  get now() {
    return this.#request.now;
  }

  get size() {
    return this.#request.count;
  }

  *[Symbol.iterator]() {
    for (let at = 0; at < this.#request.count; at += 1) yield new Person(this.#request.visitors, at);
  }

  numbers(column) {
    return read("numbers", column);
  }

  texts(column) {
    return read("texts", column);
  }
}

function read(how, column) {
  try {
    return catalogue[how](text("the column", column));
  } catch (error) {
    throw hostError(error);
  }
}

export function tagger(about) {
  if (typeof about?.tag !== "function") wrong("tag", about?.tag, "a function of (people, parameters, give)");
  const tags = texts("tags", about.tags);
  const description = { ...describe("tagger", about), tags };
  return Object.freeze({
    about: Object.freeze(about),
    describe: () => description,
    tag(request) {
      begin(request);
      return called(() => {
        const given = new Map(tags.map((tag) => [tag, new Set()]));
        const give = (person, tag) => {
          const who = given.get(tag) ?? wrong("the tag", tag, `one of ${tags.map(show).join(", ")}`);
          who.add(Person.number(person));
        };
        const returned = about.tag(new People(request), JSON.parse(request.parameters), give);
        if (typeof returned?.then === "function") {
          throw new TypeError("tag returned a promise: it cannot be async, and needs not be: the host answers at once");
        }
        return [...given.values()].map((who) => [...who].sort((a, b) => a - b));
      });
    },
  });
}
