//! The list of segments.

import { chip, h } from "./dom.js";
import { cell, common, listPage } from "./list-page.js";
import { number, percent, say } from "./words.js";

/** Who is in it, in one line. */
const members = (spec) =>
  "when" in spec ? h("code", {}, spec.when) : h("span", {}, chip(say("segment.listed")), " ", say("segment.listed.count", { count: spec.count }));

const row = (visitors) => (segment) =>
  h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `/console/segments/${encodeURIComponent(segment.name)}`, "data-key": segment.name }, segment.name),
      segment.spec.about && h("p", { class: "about" }, segment.spec.about)),
    cell("segment.size", h("span", {}, h("b", {}, () => number(segment.size)), " ",
      h("span", { class: "quiet" }, () => (visitors > 0 ? percent(segment.size / visitors) : "")))),
    cell("segment.rule", members(segment.spec)), common(segment));

export const segmentsPage = ({ signal }) =>
  listPage({
    signal, kind: "segment", list: "segments", heads: ["segment.size", "segment.rule"],
    rows: (segments) => segments.map(row(segments[0].backfill.of)),
  });
