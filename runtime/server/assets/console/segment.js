//! One segment: its condition or its list, its size, what its members do with which items, taking it away.

import { call, get, keepLooking, part } from "./api.js";
import { ask, backfill, h, link, swap, when } from "./dom.js";
import { condition } from "./condition.js";
import { estimator, sizeView } from "./estimate.js";
import { Wrong, field, form, free, nameField, saved } from "./forms.js";
import { listExport, listInput, listMatch } from "./lists.js";
import { crumbs, guarded, unchanged } from "./tag.js";
import { table } from "./list-page.js";
import { number, say, t } from "./words.js";

const aboutField = (value) => {
  const input = h("input", { type: "text", name: "about", maxlength: 500 });
  input.value = value ?? "";
  return { input, node: field({ label: "form.about", hint: "form.about.hint", input, optional: true }).node };
};

/** The form of a segment by a condition. */
const byCondition = ({ segment, name, go, signal, dirty }) => {
  const about = aboutField(segment?.spec.about);
  const estimate = estimator(signal, (problem) => rule.wrong(problem));
  // Beside the size there is now, that of the draft, once there is one.
  let kept = segment?.spec.when;
  const changed = (text) => {
    estimate.node.hidden = text === kept;
    estimate.update(text);
  };
  const rule = condition({ value: kept ?? "", signal, changed });
  estimate.node.hidden = kept !== undefined;
  let version = segment?.version ?? 0;
  const submit = async () => {
    const own = segment ? segment.name : name.read();
    if (rule.input.value.trim() === "") throw new Wrong(rule, "mistake.required");
    const path = `/v1/segments/${part(own)}`;
    if (!segment) await free(name, "segments", own, signal);
    else if (!(await unchanged(path, version, signal))) return;
    const made = await call("PUT", path, { json: { when: rule.input.value, about: about.input.value.trim() }, signal });
    version = made.version;
    kept = made.spec.when;
    estimate.node.hidden = segment !== undefined && rule.input.value === kept;
    dirty(false);
    saved(made.name, made.version);
    if (!segment) go(`/console/segments/${encodeURIComponent(own)}`);
  };
  const node = form({
    save: segment ? "form.save" : "segment.create", submit, fields: () => [rule, ...(name ? [name] : [])],
    extra: !segment && link("/console/segments", say("action.cancel")),
    place: ({ code }) => ({ bad_name: name, bad_expression: rule, circle: rule })[code],
    content: [rule.node, about.node],
  });
  node.addEventListener("input", () => dirty(true));
  return { node, aside: estimate.node };
};

/** The form of a segment by a list. */
const byList = ({ segment, name, go, signal, dirty }) => {
  const list = listInput("list.ids", "list.ids.hint");
  const submit = async () => {
    const own = segment ? segment.name : name.read();
    const body = list.read();
    const path = `/v1/segments/${part(own)}/members`;
    if (!segment) await free(name, "segments", own, signal);
    const made = await call("PUT", path, { body, signal });
    dirty(false);
    list.empty();
    saved(made.name, made.version);
    if (!segment) go(`/console/segments/${encodeURIComponent(own)}`);
  };
  const node = form({
    save: segment ? "list.replace" : "segment.create", submit, fields: () => [list, ...(name ? [name] : [])],
    extra: !segment && link("/console/segments", say("action.cancel")),
    place: ({ code }) => ({ bad_name: name, bad_list: list, too_large: list })[code], content: list.node,
  });
  node.addEventListener("input", () => dirty(true));
  return { node, aside: h("section", { class: "panel" }, h("h2", {}, say("list.privacy")), h("p", {}, say("list.privacy.text"))) };
};

export const newSegmentPage = ({ go, signal, dirty }) => {
  const name = nameField("segment.name.hint");
  const ways = { condition: byCondition({ name, go, signal, dirty }), list: byList({ name, go, signal, dirty }) };
  const [place, aside] = [h("div", { class: "below" }), h("div", { class: "aside" })];
  const show = (way) => {
    place.replaceChildren(ways[way].node);
    aside.replaceChildren(ways[way].aside);
  };
  const way = (value) => h("label", { class: "card" },
    h("input", { type: "radio", name: "way", value, checked: value === "condition", on: { change: () => show(value) } }),
    h("span", {}, h("b", {}, say(`segment.by.${value}`)), h("small", {}, say(`segment.by.${value}.what`))));
  show("condition");
  return {
    title: () => t("segment.new"),
    node: h("div", {}, crumbs("/console/segments", "nav.segments", say("segment.new")),
      h("div", { class: "sides" },
        h("div", { class: "panel" }, name.node,
          h("fieldset", { class: "field kinds" }, h("legend", {}, say("segment.by")), h("div", { class: "cards" }, way("condition"), way("list"))),
          place), aside)),
  };
};

/** What members do with which items. */
const statistics = (path, signal) => {
  const place = h("div");
  let order = "interest";
  const draw = async () => {
    const asked = order;
    const found = await get(`${path}/items?order=${asked}&limit=20`, signal);
    if (asked !== order) return;
    const { as_of: asOf, members, looked_at: looked, items } = found;
    const row = (one) => h("tr", {},
      h("th", { scope: "row" }, one.title || one.item, one.title !== "" && h("p", { class: "about" }, h("code", {}, one.item))),
      ["impressions", "views", "carts", "orders", "interest"].map((key) => h("td", { class: "number", "data-label": () => t(`items.${key}`) }, () => number(one[key], 1))),
      h("td", { class: "number", "data-label": () => t("items.lift") }, h("span", { class: one.lift > 1.05 ? "up" : "" }, () => `${number(one.lift, 2)} ×`)));
    swap(place, items.length === 0
      ? h("p", { class: "quiet" }, asOf === null ? say("items.soon") : say("items.none"))
      : [h("p", { class: "quiet" }, say("items.of", { members, looked }), " · ", when(asOf)),
        table(["items.item", "items.impressions", "items.views", "items.carts", "items.orders", "items.interest", "items.lift"], items.map(row))]);
  };
  const choose = (value) => h("label", { class: "pick" },
    h("input", { type: "radio", name: "order", value, checked: value === order, on: { change: () => { order = value; draw().catch(() => {}); } } }),
    h("span", {}, say(`items.by.${value}`)));
  const node = h("section", { class: "panel wide" }, h("div", { class: "head small" },
    h("div", {}, h("h2", {}, say("items.title")), h("p", { class: "hint" }, say("items.text"))),
    h("div", { class: "picks", role: "radiogroup", "aria-label": () => t("items.order") }, choose("interest"), choose("lift"))), place);
  return { node, draw };
};

export const segmentPage = async ({ name, go, signal, dirty }) => {
  const path = `/v1/segments/${part(name)}`;
  const segment = await get(path, signal);
  const listed = !("when" in segment.spec);
  const { node, aside } = (listed ? byList : byCondition)({ segment, go, signal, dirty });
  const [facts, size] = [h("p", { class: "facts" }), h("div")];
  const items = statistics(path, signal);
  let before = "";
  const draw = async () => {
    const [now, count] = await Promise.all([get(path, signal), get(`${path}/size?sample=20`, signal)]);
    const known = JSON.stringify([now, count]);
    if (known !== before) {
      before = known;
      facts.replaceChildren(say("list.version"), " ", String(now.version), " · ", backfill(now.backfill));
      const open = size.querySelector("details")?.open;
      swap(size, sizeView(count));
      if (open) size.querySelector("details")?.setAttribute("open", "");
    }
    return now.backfill.finished ? 5_000 : 1_000;
  };
  await Promise.all([draw(), items.draw()]);
  const remove = async () => {
    const body = [h("p", {}, say(listed ? "segment.delete.list" : "segment.delete.text")), h("p", { class: "quiet" }, say("segment.delete.used"))];
    if (!(await ask({ title: say("segment.delete.title", { name }), body, confirm: "action.delete", danger: true }))) return;
    await call("DELETE", path, { signal });
    dirty(false);
    go("/console/segments");
  };
  let looks = 0;
  return {
    title: () => name,
    node: h("div", {}, crumbs("/console/segments", "nav.segments", name),
      h("div", { class: "sides" },
        h("div", {}, h("div", { class: "panel" }, h("h2", {}, say(listed ? "segment.list" : "segment.rule")),
          listed && h("p", { class: "facts" }, say("segment.listed.count", { count: segment.spec.count })), node)),
        h("div", { class: "aside" },
          h("section", { class: "panel" }, h("h2", {}, say("segment.now")), facts, size),
          aside)),
      items.node,
      h("div", { class: "halves" }, listExport(name, path, signal), listMatch(name, path, signal)),
      guarded("danger.segment", "action.delete", remove)),
    watch: () => keepLooking(signal, async () => {
      const next = await draw();
      looks += 1;
      if (looks % 6 === 0) await items.draw();
      return next;
    }),
  };
};
