/**
 * For authors of strategies in JavaScript and TypeScript. A strategy composes a page for one request: it retrieves
 * candidates, filters, ranks and caps them with operations of the host, and puts them on shelves.
 *
 * ```js
 * import { Page, Source, retrieve, strategy } from "qianmian";
 *
 * export default strategy({
 *   name: "popular",
 *   version: "0.1.0",
 *   summary: "What everybody likes, without what the visitor has.",
 *   parametersSchema: { type: "object", properties: { title: { type: "string" } } },
 *   needs: { sources: ["trending", "newest"] },
 *   compose(request, { title = "" }) {
 *     const set = retrieve([Source.trending("trending", 100), Source.newest("newest", 30)]);
 *     set.withoutSeen(["purchase"]);
 *     set.blend({ trending: 1, newest: 0.2 }).take(request.limit);
 *     return new Page().shelf("popular", title, set);
 *   },
 * });
 * ```
 *
 * Everything happens at once: nothing is a promise. There is no network, file or timer. `Date.now()` is the request's
 * frozen clock, `Math.random()` is seeded by the request, `console.log` writes to the strategy's log. Each call starts
 * from the state that the modules had when the component was built; nothing is kept between calls.
 *
 * Arguments are checked: a wrong type is a `TypeError` that names the argument. An exception ends the call as
 * `strategy_trap`, with its message and line in the log; a {@link StrategyError} that is not caught ends it as
 * `strategy_reject`, with its message as the reason. The visitor gets the scenario's fallback either way.
 */

/** A catalogue row: valid during one call only. */
export type Row = number;

export type ItemKind = "product" | "content" | "offer" | "copy" | "channel";

export type EventKind = "impression" | "view" | "click" | "cart" | "purchase" | "rating" | "search" | "custom";

/** What an item-to-item source starts from: the request's items, or what the visitor had to do with. */
export type Basis = "items" | "history";

/** Whose events trending counts: everybody's, or those of the request's channel or region, or of visitors alike. */
export type Scope = "all" | "channel" | "region" | "segment";

export type Attribute = "category" | "brand" | "tag";

/** What becomes of the candidates beyond a cap: they leave, or stand behind all others. */
export type Overflow = "remove" | "last";

/** Kinds of items, for a schema's `enum`. */
export const itemKinds: readonly ItemKind[];

/** Kinds of events, for a schema's `enum`. */
export const eventKinds: readonly EventKind[];

/** What was asked. */
export interface Request {
  readonly scenario: string;
  /** Empty when unknown. */
  readonly channel: string;
  /** Empty when unknown. */
  readonly region: string;
  /** Everything else the storefront said of the moment. */
  readonly context: Readonly<Record<string, string>>;
  /** The viewed product, the cart. */
  readonly items: Row[];
  /** Slots wanted over all shelves. */
  readonly limit: number;
  /** False: no profile may be used, and none is there. */
  readonly personalised: boolean;
  /** The frozen clock, milliseconds since 1970 UTC. */
  readonly now: number;
  /** Seed of everything random; as a number it is exact to 53 bits. */
  readonly seed: number;
}

/** What a strategy reaches: names, or the beginnings of names before a `*`; `*` alone is everything of that sort. */
export interface Needs {
  /**
   * Kinds of sources: `near-visitor`, `near-items`, `bought-together`, `viewed-together`, `next-after`, `buy-again`,
   * `trending`, `newest`, `same`, `listed`, `exploration`.
   */
  sources?: string[];
  /** Embedding spaces. */
  spaces?: string[];
  models?: string[];
  /** Columns, but for those the set has of its own. */
  columns?: string[];
  /** Visitor attributes. */
  attributes?: string[];
  /** Visitor tags. */
  tags?: string[];
  /** The visitor's recent interactions and number of orders. */
  history?: boolean;
}

/** Needs everything: for a strategy whose parameters say what it does. */
export const everything: Readonly<Required<Needs>>;

/** What a strategy says of itself, and what it does. */
export interface About<Parameters> {
  /** 1 to 64 letters, digits, `-`, `_` or `.`. */
  name: string;
  /** A semantic version. */
  version: string;
  /** A sentence. */
  summary?: string;
  /** JSON Schema (2020-12) of the parameters, as an object or as text. The host checks parameters against it. */
  parametersSchema?: object | string;
  /** What it may reach; the host refuses everything else. */
  needs?: Needs;
  /** Composes a page. Make every parameter optional: `{ title = "For you" }`. */
  compose(request: Request, parameters: Parameters): Page;
}

/** A strategy, as `qianmian-js` expects it for the entry module's default export. */
export interface Strategy<Parameters> {
  readonly about: Readonly<About<Parameters>>;
}

/** Makes a strategy: `export default strategy({ ... })`. Throws on a description that cannot be one. */
export function strategy<Parameters = Record<string, unknown>>(about: About<Parameters>): Strategy<Parameters>;

/** Why a host operation could not be done, or why the strategy refuses. */
export class StrategyError extends Error {
  /**
   * `unknown`: a space, model, source or column that is not there. `invalid`: a wrong argument or expression.
   * `failed`: it is there but failed now. `denied`: the strategy's needs do not name it, or the scenario does not allow
   * it. `rejected`: the strategy's own refusal.
   */
  readonly code: "unknown" | "invalid" | "failed" | "denied" | "rejected";
  constructor(code: StrategyError["code"], message: string);
}

/** The strategy refuses to answer; the scenario's fallback does, and the reason is reported. */
export function reject(reason: string): never;

/**
 * Goes on without what only makes the answer better: `undefined` where a model or a space is not there, is denied or
 * failed. The host has already marked the answer as degraded. Other errors stay errors.
 *
 * ```js
 * if (!optional(() => set.score("ranker"))) set.blend({ popular: 1 });
 * ```
 */
export function optional<T>(operation: () => T): T | undefined;

/** Writes a line for the strategy's author, as `console.log` does. */
export function log(line: unknown): void;

/**
 * Where candidates come from: a name and a size. The name stands in the columns `source.NAME.score` and
 * `source.NAME.rank`, so a model trained with one name needs that name.
 */
export class Source {
  private constructor();
  /** Nearest to the visitor in an embedding space. */
  static nearVisitor(name: string, space: string, limit: number): Source;
  /** Nearest to the request's items in an embedding space. */
  static nearItems(name: string, space: string, limit: number): Source;
  /** Bought in the same orders. */
  static boughtTogether(name: string, basis: Basis, limit: number): Source;
  /** Viewed in the same sessions. */
  static viewedTogether(name: string, basis: Basis, limit: number): Source;
  /** What followed in visitors' sequences. */
  static nextAfter(name: string, basis: Basis, limit: number): Source;
  /** What the visitor bought before. */
  static buyAgain(name: string, limit: number): Source;
  /** What is popular with everybody. */
  static trending(name: string, limit: number): Source;
  /** What is popular over the request's channel, in its region, or with visitors alike. */
  static trendingIn(name: string, scope: Scope, limit: number): Source;
  /** What came last. */
  static newest(name: string, limit: number): Source;
  /** The same category, brand or tag as the request's items, or as the visitor prefers. */
  static same(name: string, attribute: Attribute, limit: number): Source;
  /** These, in this order; ids that are not known are skipped. */
  static listed(name: string, ids: string[], limit?: number): Source;
  /** Random ones that were seldom shown. */
  static exploration(name: string, limit: number): Source;
  /** The same with items of these kinds only; none named means every kind. */
  kinds(kinds: readonly ItemKind[]): Source;
  /**
   * The same with only those items that a CEL condition over columns of the catalogue is true for: the source finds
   * `limit` of them, where `keep` leaves what happens to be among those found.
   */
  only(condition: string): Source;
  /** The same with another size. */
  sized(limit: number): Source;
  readonly name: string;
  readonly limit: number;
}

/**
 * Finds candidates from all these sources in one call; an item found by several is in the set once. Sources with limit
 * 0 are left out. A source whose space is not there finds nothing. Throws on two sources of one name, more than 32, or
 * more candidates than one set may hold.
 */
export function retrieve(sources: Iterable<Source>): Candidates;

/**
 * Candidates, held by the host; each method is one call for the whole set. One that throws leaves the set as it was.
 * Methods that have nothing to say return the set itself. What stands on a shelf can no longer be used.
 */
export class Candidates {
  private constructor();
  /** Number of candidates. */
  readonly size: number;
  /** The rows, in order. */
  rows(): Row[];
  /** The item ids, in order. */
  ids(): string[];
  /** A column of numbers; NaN means missing. Throws when there is no such column, or it has texts. */
  numbers(column: string): number[];
  /** A column of texts; empty means missing. Throws when there is no such column, or it has another type. */
  texts(column: string): string[];
  /** Sets a column of the set's own: one value a candidate, NaN where it is missing. */
  put(column: string, values: readonly number[] | Float32Array): this;
  /** Keeps what the CEL expression over columns is true for; returns how many it removed. */
  keep(expression: string): number;
  /** Scores with a model into the column `score` and orders by it. Where there is no such model: see `optional`. */
  score(model: string): this;
  /** Computes a CEL formula into a column of the set's own. */
  compute(column: string, formula: string): this;
  /** Orders by a column of numbers, highest first, missing last. */
  orderBy(column: string): this;
  /**
   * Blends the ranks of the named sources (none: all) into the column `score`, and orders by it: the sum of
   * weight / (60 + rank).
   */
  blend(weights?: Readonly<Record<string, number>> | readonly (readonly [string, number])[]): this;
  /** Spreads similar ones apart by their vectors in `space`; keeps the first `window`. Strength is from 0 to 1. */
  spread(space: string, strength: number, window: number): this;
  /** At most `most` of each value of a text or list column. */
  cap(column: string, most: number, overflow: Overflow): this;
  /** Moves these to the front where they are in the set. */
  pin(ids: readonly string[]): this;
  /** Removes what the visitor interacted with in one of these ways; returns how many. */
  withoutSeen(kinds: readonly EventKind[]): number;
  /** Removes these rows; returns how many were there. */
  without(rows: readonly Row[]): number;
  /** Keeps the first `count`. */
  take(count: number): this;
  /** Takes the first `count` out into a set of their own. */
  split(count: number): Candidates;
}

/** A page: shelves in reading order. Without any, the host fills it with what is popular. */
export class Page {
  constructor();
  /** Adds a shelf with words beside its slots. An empty title shows none; a set without candidates adds nothing. */
  shelf(id: string, title: string, candidates: Candidates, copies?: readonly string[]): this;
  /** The rows of all shelves so far: what the next shelf should be without. */
  readonly rows: Row[];
  /** How many of `limit` slots are still free. */
  room(limit: number): number;
}

/** Sources with their weights. */
export class Mix {
  constructor();
  /** Adds a source. */
  with(source: Source, weight: number): this;
  /** Adds a source that starts from an embedding space, where there is one. */
  near(space: string | undefined, make: (space: string) => Source, weight: number): this;
  /** Leaves a source out. */
  without(name: string): this;
  /** Other sizes and weights by source name, as parameters give them; size 0 leaves a source out. */
  tuned(sizes?: Readonly<Record<string, number>>, weights?: Readonly<Record<string, number>>): this;
  /** Finds candidates of these kinds; none named means every kind. */
  retrieve(kinds?: readonly ItemKind[]): Candidates;
  /** Orders a set retrieved from this mix by the model or, without one or where it cannot score, by blending. */
  rank(candidates: Candidates, model?: string): Candidates;
}

/** How alike items are kept apart. */
export interface Diversity {
  /** Embedding space that says what is alike. */
  space?: string;
  /** 0 orders by score only, 1 by being different only. */
  strength?: number;
  /** At most so many of a category, the others last; 0 for no cap. */
  perCategory?: number;
}

/** Reorders a ranked set and keeps `slots`. Where the space is not there the order stays. */
export function diversify(candidates: Candidates, diversity: Diversity, slots: number): Candidates;

/** Recent interactions: columns of equal length, newest first. */
export interface Interactions {
  items: Row[];
  kinds: EventKind[];
  /** Milliseconds since 1970 UTC. */
  times: number[];
}

/** Who is asking; empty for one nobody knows, without personalisation, and where `needs` does not name it. */
export const visitor: {
  /** Whether any event of this visitor was ever seen. */
  known(): boolean;
  /** Number of orders. */
  orders(): number;
  tags(): string[];
  /** Recent interactions of these kinds (none named: all), without impressions. */
  recent(kinds: readonly EventKind[], limit: number): Interactions;
  /** An attribute that `needs` names. */
  attribute(name: string): string | undefined;
};

declare global {
  /** Lines for the strategy's author, as {@link log}; all five do the same. */
  var console: Record<"debug" | "log" | "info" | "warn" | "error", (...parts: unknown[]) => void>;
}
