//! The list of tags.

import { literal } from "./columns.js";
import { chip, h } from "./dom.js";
import { cell, common, listPage } from "./list-page.js";
import { number, say, t } from "./words.js";

/** A rule in one line. */
export const rule = (spec) => {
  switch (spec.kind) {
    case "base":
      return h("code", {}, spec.of);
    case "layered":
      return h("span", {}, h("code", {}, spec.of), " ", spec.layers.map(({ name, from }) =>
        h("span", { class: "layer" }, name, h("span", { class: "quiet" }, ` ≥ ${literal(from).replace(/\.0$/, "")}`))));
    case "combined":
      return h("code", {}, spec.when);
    case "preference":
      return h("span", {}, () => t("tag.preference.rule", { of: t(`affinity.${spec.of}`), most: spec.most, share: Number(spec.share.toFixed(3)) }));
    default:
      return h("span", {}, h("code", {}, `${spec.plugin} ${spec.version ?? ""}`));
  }
};

export const kindChip = (kind) => chip(say(`kind.${kind}`), `kind ${kind}`);

/** The most frequent values with their visitors. */
const values = (list) =>
  list.length === 0
    ? h("span", { class: "quiet" }, say("tag.nobody"))
    : h("span", { class: "chips" },
      list.slice(0, 3).map(({ tag, visitors }) => h("span", { class: "chip" }, tag, " ", h("b", {}, () => number(visitors)))),
      list.length > 3 && h("span", { class: "quiet" }, say("list.more", { count: list.length - 3 })));

const row = (tag) =>
  h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `/console/tags/${encodeURIComponent(tag.name)}`, "data-key": tag.name }, tag.name),
      tag.spec.about && h("p", { class: "about" }, tag.spec.about),
      tag.trouble && h("p", { class: "trouble" }, say("tag.trouble"), " ", h("span", { lang: "en" }, tag.trouble))),
    cell("tag.kind", kindChip(tag.spec.kind)), cell("tag.rule", rule(tag.spec)), cell("tag.values", values(tag.values)),
    common(tag));

export const tagsPage = ({ signal }) =>
  listPage({ signal, kind: "tag", list: "tags", heads: ["tag.kind", "tag.rule", "tag.values"], rows: (tags) => tags.map(row) });
