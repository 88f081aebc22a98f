// What a strategy says of itself, and the way from the host's call to its `compose` and back.

import { begin, log } from "./around.js";
import { StrategyError, frames, told } from "./errors.js";
import { Page } from "./page.js";
import { text, texts, wrong } from "./words.js";

/** The lists in `needs`. */
const NEEDS = ["sources", "spaces", "models", "columns", "attributes", "tags"];

export const everything = Object.freeze({ ...Object.fromEntries(NEEDS.map((sort) => [sort, ["*"]])), history: true });

function contractNeeds(needs) {
  const stranger = Object.keys(needs).find((name) => name !== "history" && !NEEDS.includes(name));
  if (stranger) wrong("a member of needs", stranger, `one of ${NEEDS.join(", ")}, history`);
  const lists = NEEDS.map((sort) => [sort, texts(`needs.${sort}`, needs[sort] ?? [])]);
  return { ...Object.fromEntries(lists), history: needs.history === true };
}

function matching(what, value, pattern, expected) {
  return pattern.test(text(what, value)) ? value : wrong(what, value, expected);
}

function describe({ name, version, summary = "", parametersSchema = { type: "object" }, needs = {} }) {
  const schema = typeof parametersSchema === "string" ? parametersSchema : JSON.stringify(parametersSchema);
  return {
    name: matching("the strategy's name", name, /^[\w.-]{1,64}$/, "1 to 64 letters, digits, '-', '_' or '.'"),
    version: matching("the strategy's version", version, /^\d+\.\d+\.\d+([-+].+)?$/, "one such as \"1.0.0\""),
    summary: text("the strategy's summary", summary),
    parametersSchema: matching("parametersSchema", schema, /^\s*\{[^]*\}\s*$/, "a JSON object"),
    needs: contractNeeds(needs),
  };
}

export function strategy(about) {
  if (typeof about?.compose !== "function") wrong("compose", about?.compose, "a function of (request, parameters)");
  const description = describe(about);
  return Object.freeze({
    about: Object.freeze(about),
    describe: () => description,
    compose(raw) {
      const { parameters, context, ...request } = raw;
      begin(raw);
      try {
        const page = about.compose({ ...request, context: Object.fromEntries(context) }, JSON.parse(parameters));
        return { shelves: Page.shelves(page) };
      } catch (error) {
        if (error instanceof StrategyError) {
          const place = error.code === "rejected" ? undefined : frames(error)[0];
          throw { reason: place ? `${error.message} (${place})` : error.message };
        }
        log(told(error));
        // Nothing the contract knows: it ends as a trap, and the log has the reason.
        throw new Error("the strategy threw");
      }
    },
  });
}
