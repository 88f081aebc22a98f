// From the host's call to a strategy's `compose` and back.

import { NEEDS, called, describe } from "./about.js";
import { begin } from "./around.js";
import { Page } from "./page.js";
import { wrong } from "./words.js";

export const everything = Object.freeze({ ...Object.fromEntries(NEEDS.map((sort) => [sort, ["*"]])), history: true });

export function strategy(about) {
  if (typeof about?.compose !== "function") wrong("compose", about?.compose, "a function of (request, parameters)");
  const description = describe("strategy", about);
  return Object.freeze({
    about: Object.freeze(about),
    describe: () => description,
    compose(raw) {
      const { parameters, context, ...request } = raw;
      begin(raw);
      return called(() => {
        const page = about.compose({ ...request, context: Object.fromEntries(context) }, JSON.parse(parameters));
        return { shelves: Page.shelves(page) };
      });
    },
  });
}
