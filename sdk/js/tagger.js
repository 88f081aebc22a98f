// For authors of taggers in JavaScript and TypeScript: the contract's other world. `tagger.d.ts` documents every name. A
// module that imports this makes a tagger of the component; only `qianmian-js` can load it.

export { StrategyError, optional, reject } from "./src/errors.js";
export { eventKinds } from "./src/words.js";
export { log } from "./src/around.js";
export { tagger } from "./src/tagger.js";
