// What a component says of itself, and how the host's call reaches the author's code.

import { log } from "./around.js";
import { StrategyError, frames, told } from "./errors.js";
import { text, texts, wrong } from "./words.js";

/** The lists in `needs`. */
export const NEEDS = ["sources", "spaces", "models", "columns", "attributes", "tags"];

function contractNeeds(needs) {
  const stranger = Object.keys(needs).find((name) => name !== "history" && !NEEDS.includes(name));
  if (stranger) wrong("a member of needs", stranger, `one of ${NEEDS.join(", ")}, history`);
  const lists = NEEDS.map((sort) => [sort, texts(`needs.${sort}`, needs[sort] ?? [])]);
  return { ...Object.fromEntries(lists), history: needs.history === true };
}

function matching(what, value, pattern, expected) {
  return pattern.test(text(what, value)) ? value : wrong(what, value, expected);
}

/** What the contract wants to know of a `what`: a strategy or a tagger. */
export function describe(what, { name, version, summary = "", parametersSchema = { type: "object" }, needs = {} }) {
  const schema = typeof parametersSchema === "string" ? parametersSchema : JSON.stringify(parametersSchema);
  return {
    name: matching(`the ${what}'s name`, name, /^[\w.-]{1,64}$/, "1 to 64 letters, digits, '-', '_' or '.'"),
    version: matching(`the ${what}'s version`, version, /^\d+\.\d+\.\d+([-+].+)?$/, "one such as \"1.0.0\""),
    summary: text(`the ${what}'s summary`, summary),
    parametersSchema: matching("parametersSchema", schema, /^\s*\{[^]*\}\s*$/, "a JSON object"),
    needs: contractNeeds(needs),
  };
}

/** Runs the author's code: what it throws becomes a refusal, or a trap whose reason is in the log. */
export function called(code) {
  try {
    return code();
  } catch (error) {
    if (error instanceof StrategyError) {
      const place = error.code === "rejected" ? undefined : frames(error)[0];
      throw { reason: place ? `${error.message} (${place})` : error.message };
    }
    log(told(error));
    // Nothing the contract knows: it ends as a trap, and the log has the reason.
    throw new Error("the code threw");
  }
}
