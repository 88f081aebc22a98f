// For tests of strategies: they run in the engine that will run the strategy, at build time and without a host.
// `qianmian-js test` loads every *.test.js and *.test.ts of a project, then calls `report`.

const tests = [];
const lines = (globalThis[Symbol.for("qianmian.lines")] = []);

export function test(name, body) {
  tests.push([name, body]);
}

const shown = (value) => (typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value) ?? String(value));

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

export function equal(got, expected, what = "") {
  if (!same(got, expected)) throw new Error(`${what && `${what}: `}got ${shown(got)}, expected ${shown(expected)}`);
}

export function ok(value, what = "") {
  if (!value) throw new Error(`${what && `${what}: `}got ${shown(value)}, expected what is true`);
}

export function throws(body, words = "") {
  let error;
  try {
    body();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new Error("it did not throw");
  const said = String(error?.message ?? error);
  if (!said.includes(words)) throw new Error(`it threw ${shown(said)}, expected ${shown(words)}`);
}

/** Runs the tests; the outcome leaves as an exception, which is all that leaves an evaluation. */
export async function report() {
  const outcome = [];
  for (const [name, body] of tests) {
    lines.length = 0;
    let failure = "";
    try {
      await body();
    } catch (error) {
      failure = error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : `threw ${shown(error)}`;
    }
    outcome.push({ name, failure, lines: [...lines] });
  }
  throw new Error(`@tests ${JSON.stringify(outcome)}`);
}
