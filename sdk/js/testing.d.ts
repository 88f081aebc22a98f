/** For tests of strategies: `qianmian-js test` runs every *.test.js and *.test.ts of a project, without a host. */

/** A test: it fails when `body` throws. */
export function test(name: string, body: () => void | Promise<void>): void;

/** Fails unless both have the same content, however deep. */
export function equal(got: unknown, expected: unknown, what?: string): void;

/** Fails unless the value is truthy. */
export function ok(value: unknown, what?: string): void;

/** Fails unless `body` throws an error whose message has these words in it. */
export function throws(body: () => unknown, words?: string): void;
