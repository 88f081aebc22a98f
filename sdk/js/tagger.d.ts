/**
 * For authors of taggers in JavaScript and TypeScript. A tagger says which of its tags visitors have. It is asked about
 * many visitors at once, and again when they did something new.
 *
 * ```js
 * import { tagger } from "qianmian/tagger";
 *
 * export default tagger({
 *   name: "tastes",
 *   version: "0.1.0",
 *   summary: "Who looks at expensive things.",
 *   tags: ["premium"],
 *   parametersSchema: { type: "object", properties: { expensive: { type: "number" } } },
 *   needs: { columns: ["item.price"], history: true },
 *   tag(people, { expensive = 300 }, give) {
 *     const prices = people.numbers("item.price");
 *     for (const person of people) {
 *       if (person.recent().some((one) => prices[one.at] >= expensive)) give(person, "premium");
 *     }
 *   },
 * });
 * ```
 *
 * What holds for strategies (`qianmian.d.ts`) holds here: everything happens at once, arguments are checked, `Date.now()` is
 * the frozen clock, `console.log` writes to the log, nothing is kept between calls. There is no `Math.random()`: the same
 * visitor must always get the same tags, whoever else is asked about.
 */

import type { EventKind, Row } from "qianmian";

export type { EventKind, Row };

/** What a tagger reads. */
export interface TaggerNeeds {
  /** Columns of the catalogue, such as `item.price`; or the beginnings of names before a `*`. */
  columns?: string[];
  /** Visitor attributes, by their full names. */
  attributes?: string[];
  /** What visitors did, when, and their numbers of orders. */
  history?: boolean;
}

/** Something a visitor did; impressions are not among it. */
export interface Interaction {
  /** Its place in the columns of `people.numbers` and `people.texts`. */
  at: number;
  item: Row;
  kind: EventKind;
  /** Milliseconds since 1970 UTC. */
  time: number;
}

/** One visitor. */
export interface Person {
  /** Number of orders; 0 without `history`, as the times. */
  readonly orders: number;
  /** The first event, milliseconds since 1970 UTC. */
  readonly firstSeen: number;
  /** The last event. */
  readonly lastSeen: number;
  /** What they did of late, newest first. */
  recent(): Interaction[];
  /** An attribute that the needs name; empty for none. */
  attribute(name: string): string;
}

/** The visitors a tagger is asked about. */
export interface People extends Iterable<Person> {
  /** The frozen clock, milliseconds since 1970 UTC. */
  readonly now: number;
  /** How many there are. */
  readonly size: number;
  /** A column of numbers of the catalogue: one value for each interaction of everybody, by `at`; NaN means missing. */
  numbers(column: string): number[];
  /** The same for texts; empty means missing. */
  texts(column: string): string[];
}

/** Gives a tag to a visitor; a tag that is not among the tagger's is a `TypeError`. */
export type Give = (person: Person, tag: string) => void;

/** What a tagger says of itself, and what it does. */
export interface AboutTagger<Parameters> {
  /** 1 to 64 letters, digits, `-`, `_` or `.`. */
  name: string;
  /** A semantic version. */
  version: string;
  /** A sentence. */
  summary?: string;
  /** The tags it may give, 1 to 64; each 1 to 64 letters, digits, `-`, `_`, `.` or `:`. */
  tags: string[];
  /** JSON Schema (2020-12) of the parameters, as an object or as text. The host checks parameters against it. */
  parametersSchema?: object | string;
  /** What it reads; the host refuses everything else. */
  needs?: TaggerNeeds;
  /** Tags these visitors. Make every parameter optional. */
  tag(people: People, parameters: Parameters, give: Give): void;
}

/** A tagger, as `qianmian-js` expects it for the entry module's default export. */
export interface Tagger<Parameters> {
  readonly about: Readonly<AboutTagger<Parameters>>;
}

/** Makes a tagger: `export default tagger({ ... })`. Throws on a description that cannot be one. */
export function tagger<Parameters = Record<string, unknown>>(about: AboutTagger<Parameters>): Tagger<Parameters>;

/** Kinds of events. */
export const eventKinds: readonly EventKind[];

/** Why a column could not be read, or why the tagger refuses. */
export { StrategyError } from "qianmian";

/** The tagger refuses: its visitors keep the tags they had, and the reason is reported. */
export function reject(reason: string): never;

/** Goes on without a column that is not there or denied: `undefined` then. */
export function optional<T>(operation: () => T): T | undefined;

/** Writes a line for the tagger's author, as `console.log` does. */
export function log(line: unknown): void;
