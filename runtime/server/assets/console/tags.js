//! The list of tags.

import { get, keepLooking } from "./api.js";
import { backfill, chip, empty, h, link, swap } from "./dom.js";
import { literal } from "./columns.js";
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
    cell("list.version", String(tag.version)), cell("list.backfill", backfill(tag.backfill)));

/** A cell that says what it is where there is no room for a head. */
export const cell = (label, ...content) => h("td", { "data-label": () => t(label) }, ...content);

export const table = (heads, rows) =>
  h("div", { class: "panel flush" }, h("table", { class: "list" },
    h("thead", {}, h("tr", {}, heads.map((key) => h("th", { scope: "col" }, say(key))))), h("tbody", {}, rows)));

const add = () => h("a", { class: "button primary", href: "/console/new-tag", "data-key": "+add" }, say("tag.new"));

export const tagsPage = async ({ signal }) => {
  const place = h("div");
  let before = "";
  const draw = async () => {
    const tags = await get("/v1/tags", signal);
    const now = JSON.stringify(tags);
    if (now !== before) {
      before = now;
      swap(place, tags.length === 0
        ? empty("tag.empty", "tag.empty.text", link("/console/new-tag", say("tag.new")))
        : table(["form.name", "tag.kind", "tag.rule", "tag.values", "list.version", "list.backfill"], tags.map(row)));
    }
    return tags.every((tag) => tag.backfill.finished) ? 10_000 : 1_000;
  };
  const wait = await draw();
  const watch = () => keepLooking(signal, () => (before === null ? wait : draw()));
  return {
    title: () => t("nav.tags"),
    node: h("div", {}, h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: "-1" }, say("nav.tags")), h("p", { class: "lead" }, say("tag.lead"))), add()), place),
    watch,
  };
};
