//! The list of segments.

import { get, keepLooking } from "./api.js";
import { backfill, chip, empty, h, link, swap } from "./dom.js";
import { cell, table } from "./tags.js";
import { number, percent, say, t } from "./words.js";

/** Who is in it, in one line. */
const members = (spec) =>
  "when" in spec ? h("code", {}, spec.when) : h("span", {}, chip(say("segment.listed")), " ", say("segment.listed.count", { count: spec.count }));

const row = (visitors) => (segment) =>
  h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `/console/segments/${encodeURIComponent(segment.name)}`, "data-key": segment.name }, segment.name),
      segment.spec.about && h("p", { class: "about" }, segment.spec.about)),
    cell("segment.size", h("span", {}, h("b", {}, () => number(segment.size)), " ",
      h("span", { class: "quiet" }, () => (visitors > 0 ? percent(segment.size / visitors) : "")))),
    cell("segment.rule", members(segment.spec)), cell("list.version", String(segment.version)),
    cell("list.backfill", backfill(segment.backfill)));

export const segmentsPage = async ({ signal }) => {
  const place = h("div");
  let before = "";
  const draw = async () => {
    const segments = await get("/v1/segments", signal);
    const now = JSON.stringify(segments);
    if (now !== before) {
      before = now;
      const visitors = segments[0]?.backfill.of ?? 0;
      swap(place, segments.length === 0
        ? empty("segment.empty", "segment.empty.text", link("/console/new-segment", say("segment.new")))
        : table(["form.name", "segment.size", "segment.rule", "list.version", "list.backfill"], segments.map(row(visitors))));
    }
    return segments.every((segment) => segment.backfill.finished) ? 10_000 : 1_000;
  };
  await draw();
  return {
    title: () => t("nav.segments"),
    node: h("div", {}, h("div", { class: "head" },
      h("div", {}, h("h1", { tabindex: "-1" }, say("nav.segments")), h("p", { class: "lead" }, say("segment.lead"))),
      h("a", { class: "button primary", href: "/console/new-segment" }, say("segment.new"))), place),
    watch: () => keepLooking(signal, draw),
  };
};
