//! A page that lists definitions, tags or segments, and follows them while they change.

import { get, keepLooking } from "./api.js";
import { backfill, empty, h, link, swap } from "./dom.js";
import { say, t } from "./words.js";

/** A cell that says what it is where there is no room for a head. */
export const cell = (label, ...content) => h("td", { "data-label": () => t(label) }, ...content);

export const table = (heads, rows) =>
  h("div", { class: "panel flush" }, h("table", { class: "list" },
    h("thead", {}, h("tr", {}, heads.map((key) => h("th", { scope: "col" }, say(key))))), h("tbody", {}, rows)));

/** What a row of every list ends with. */
export const common = ({ version, backfill: progress }) =>
  [cell("list.version", String(version)), cell("list.backfill", backfill(progress))];

/** `kind` is one of them, `list` all of them, in addresses and in messages; `rows` draws some, at least one. */
export const listPage = async ({ signal, kind, list, heads, rows }) => {
  const place = h("div");
  const address = `/console/new-${kind}`;
  let before = "";
  const draw = async () => {
    const all = await get(`/v1/${list}`, signal);
    const now = JSON.stringify(all);
    if (now !== before) {
      before = now;
      swap(place, all.length === 0
        ? empty(`${kind}.empty`, `${kind}.empty.text`, link(address, say(`${kind}.new`)))
        : table(["form.name", ...heads, "list.version", "list.backfill"], rows(all)));
    }
    return all.every((one) => one.backfill.finished) ? 10_000 : 1_000;
  };
  const wait = await draw();
  const add = h("a", { class: "button primary", href: address, "data-key": "+add" }, say(`${kind}.new`));
  return {
    title: () => t(`nav.${list}`),
    node: h("div", {}, h("div", { class: "head" },
      h("div", {}, h("h1", { tabindex: "-1" }, say(`nav.${list}`)), h("p", { class: "lead" }, say(`${kind}.lead`))), add), place),
    watch: () => keepLooking(signal, draw, wait),
  };
};
