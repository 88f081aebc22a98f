//! How many visitors a condition is true for, while it is typed.

import { call, pause, stopped } from "./api.js";
import { h } from "./dom.js";
import { shown } from "./forms.js";
import { live, number, percent, say, t } from "./words.js";

/** After the last key: before the server is asked, and more before somebody in the middle of a word is told it is wrong. */
const PATIENCE = 350;
const MERCY = 600;

/** A size with its share of everybody and some members' keys. */
export const sizeView = ({ size, visitors, looked_at: looked, exact, sample }) =>
  h("div", { class: "size" },
    h("p", { class: "figure" }, h("strong", {}, () => number(size)), " ", say("size.visitors", { count: size })),
    h("meter", { min: 0, max: Math.max(visitors, 1), value: size, "aria-label": () => t("size.share") }),
    h("p", { class: "quiet" }, live(() => t("size.of", { share: percent(visitors > 0 ? size / visitors : 0), visitors })), " · ",
      exact ? say("size.exact") : say("size.estimated", { looked })),
    sample.length > 0 && h("details", {},
      h("summary", {}, say("size.sample", { count: sample.length })),
      h("p", { class: "hint" }, say("size.keys")),
      h("ul", { class: "keys" }, sample.map((key) => h("li", {}, h("code", {}, key))))));

/**
 * A place that follows a condition. `update(text)` is called with every change; `wrong(problem or null)` is told what the
 * server thinks of it. The place keeps the last size, dimmed, while the text is being written.
 */
export const estimator = (signal, wrong) => {
  const place = h("div", { class: "estimate" }, h("p", { class: "quiet" }, say("size.none")));
  const spoken = h("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const node = h("section", { class: "panel", "aria-label": () => t("size.title") }, h("h2", {}, say("size.title")), place, spoken);
  let asking = new AbortController();
  signal.addEventListener("abort", () => asking.abort());

  const update = async (text) => {
    asking.abort();
    asking = new AbortController();
    const { signal: own } = asking;
    if (signal.aborted) return;
    if (text.trim() === "") {
      wrong(null);
      place.classList.remove("old");
      place.replaceChildren(h("p", { class: "quiet" }, say("size.none")));
      return;
    }
    place.classList.add("old");
    try {
      await pause(PATIENCE, own);
      const size = await call("POST", "/v1/segments/size", { json: { when: text }, signal: own });
      wrong(null);
      place.classList.remove("old");
      place.replaceChildren(sizeView(size));
      spoken.replaceChildren(say("size.spoken", { count: size.size, visitors: size.visitors }));
    } catch (error) {
      if (stopped(error)) return;
      await pause(MERCY, own).catch(() => {});
      if (own.aborted) return;
      wrong(shown(error));
      place.classList.remove("old");
      place.replaceChildren(h("p", { class: "quiet" }, say("size.wrong")));
    }
  };
  return { node, update };
};
