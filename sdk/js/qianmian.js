// For authors of strategies in JavaScript and TypeScript: the contract of sdk/wit in JavaScript's words, with checked
// arguments and errors that say where. `qianmian.d.ts` documents every name. Only `qianmian-js` can load this: some of
// the modules it imports are the host's.

export { Candidates, retrieve } from "./src/candidates.js";
export { Mix, diversify } from "./src/recipe.js";
export { Page } from "./src/page.js";
export { Source } from "./src/source.js";
export { StrategyError, optional, reject } from "./src/errors.js";
export { eventKinds, itemKinds } from "./src/words.js";
export { everything, strategy } from "./src/strategy.js";
export { log } from "./src/around.js";
export { visitor } from "./src/visitor.js";
