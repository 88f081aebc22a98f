//! One tag: its definition to be written or changed, who carries it, taking it away.

import { call, get, keepLooking, part } from "./api.js";
import { ask, backfill, chip, h, link, swap } from "./dom.js";
import { estimator } from "./estimate.js";
import { field, form, free, nameField, saved } from "./forms.js";
import { KINDS, fieldsOf } from "./tag-kinds.js";
import { number, percent, say, t } from "./words.js";

/** The kinds to choose from; each says what it is. */
const chooser = (chosen, choose) =>
  h("fieldset", { class: "field kinds" }, h("legend", {}, say("tag.kind")),
    h("div", { class: "cards" }, KINDS.map((kind) =>
      h("label", { class: "card" },
        h("input", { type: "radio", name: "kind", value: kind, checked: kind === chosen, on: { change: () => choose(kind) } }),
        h("span", {}, h("b", {}, say(`kind.${kind}`)), h("small", {}, say(`kind.${kind}.what`)))))));

const editor = ({ tag, go, signal, dirty }) => {
  const name = tag ? null : nameField("tag.name.hint");
  const about = h("input", { type: "text", name: "about", maxlength: 500 });
  about.value = tag?.spec.about ?? "";
  const estimate = estimator(signal, (problem) => estimate.wrong?.(problem));
  const carry = h("ul", { class: "chips" });
  const preview = () => {
    const own = tag?.name ?? (name.input.value.trim() || t("form.name"));
    const values = drafts[kind].carried();
    carry.replaceChildren(...(kind === "combined" ? [own] : values.map((value) => `${own}:${value}`)).map((text) => h("li", {}, chip(text))));
  };
  const touched = () => {
    dirty(true);
    preview();
  };
  let version = tag?.version ?? 0;

  // What was typed for a kind stays when another one is looked at.
  const drafts = {};
  const place = h("div");
  let kind = tag?.spec.kind ?? "layered";
  const show = (chosen) => {
    kind = chosen;
    drafts[kind] ??= fieldsOf[kind](tag?.spec.kind === kind ? tag.spec : {}, { signal, estimate, touched, loaded: () => preview() });
    place.replaceChildren(drafts[kind].node);
    estimate.node.hidden = kind !== "combined";
    preview();
  };

  const submit = async () => {
    const own = name ? name.read() : tag.name;
    const spec = { kind, ...drafts[kind].read(), about: about.value.trim() };
    if (name) await free(name, "tags", own, signal);
    else if (!(await unchanged(`/v1/tags/${part(own)}`, version, signal))) return;
    const made = await call("PUT", `/v1/tags/${part(own)}`, { json: spec, signal });
    version = made.version;
    dirty(false);
    saved(made.name, made.version);
    if (name) go(`/console/tags/${encodeURIComponent(own)}`);
  };
  const node = form({
    save: tag ? "form.save" : "tag.create", submit,
    extra: !tag && link("/console/tags", say("action.cancel")),
    fields: () => [...drafts[kind].fields, ...(name ? [name] : [])],
    place: ({ code }) => ({ bad_name: name, ...drafts[kind].place })[code],
    content: [name?.node, chooser(kind, (chosen) => { show(chosen); touched(); }), place,
      field({ label: "form.about", hint: "form.about.hint", input: about, optional: true }).node],
  });
  node.addEventListener("input", touched);
  show(kind);
  const aside = [estimate.node, !tag && h("section", { class: "panel" }, h("h2", {}, say("tag.carry")), h("p", { class: "hint" }, say("tag.carry.text")), carry)];
  return { node: h("div", { class: "panel" }, node), aside };
};

/** Whether nobody changed it since it was read; asks whether to save all the same. */
export const unchanged = async (path, version, signal) => {
  const now = await get(path, signal);
  return now.version === version || ask({
    title: say("form.changed"), body: h("p", {}, say("form.changed.text", { version: now.version })), confirm: "form.overwrite", danger: true,
  });
};

/** Who carries which value, the most frequent first. */
const carriers = ({ values, backfill: { of }, trouble }) => [
  trouble && h("p", { class: "trouble" }, say("tag.trouble"), " ", h("span", { lang: "en" }, trouble)),
  values.length === 0
    ? h("p", { class: "quiet" }, say("tag.nobody.text"))
    : h("ul", { class: "bars" }, values.map(({ tag, visitors }) =>
      h("li", {}, h("span", { class: "bar-name" }, tag),
        h("span", { class: "bar-number" }, () => `${number(visitors)} · ${percent(of > 0 ? visitors / of : 0)}`),
        h("meter", { min: 0, max: Math.max(of, visitors, 1), value: visitors, "aria-label": tag })))),
];

export const newTagPage = ({ go, signal, dirty }) => {
  const { node, aside } = editor({ tag: null, go, signal, dirty });
  return {
    title: () => t("tag.new"),
    node: h("div", {}, crumbs("/console/tags", "nav.tags", say("tag.new")), h("div", { class: "sides" }, node, h("div", { class: "aside" }, aside))),
  };
};

/** The way back, and the heading. */
export const crumbs = (href, up, ...heading) =>
  h("div", { class: "head" }, h("div", {}, h("p", { class: "crumbs" }, link(href, "← ", say(up))), h("h1", { tabindex: "-1" }, ...heading)));

export const tagPage = async ({ name, go, signal, dirty }) => {
  const path = `/v1/tags/${part(name)}`;
  const tag = await get(path, signal);
  const { node, aside } = editor({ tag, go, signal, dirty });
  const facts = h("p", { class: "facts" });
  const who = h("div");
  let before = "";
  const draw = (now) => {
    if (JSON.stringify(now) === before) return;
    before = JSON.stringify(now);
    facts.replaceChildren(say("list.version"), " ", String(now.version), " · ", backfill(now.backfill));
    swap(who, ...carriers(now));
  };
  draw(tag);
  const remove = async () => {
    const body = [h("p", {}, say("tag.delete.text", { visitors: tag.values.reduce((sum, { visitors }) => sum + visitors, 0) })),
      h("p", { class: "quiet" }, say("tag.delete.used"))];
    if (!(await ask({ title: say("tag.delete.title", { name }), body, confirm: "action.delete", danger: true }))) return;
    await call("DELETE", path, { signal });
    dirty(false);
    go("/console/tags");
  };
  return {
    title: () => name,
    node: h("div", {}, crumbs("/console/tags", "nav.tags", name),
      h("div", { class: "sides" }, node,
        h("div", { class: "aside" }, aside,
          h("section", { class: "panel" }, h("h2", {}, say("tag.carriers")), facts, who),
          guarded("danger.tag", "action.delete", remove)))),
    watch: () => keepLooking(signal, async () => {
      const now = await get(path, signal);
      draw(now);
      return now.backfill.finished ? 10_000 : 1_000;
    }),
  };
};

/** A dangerous thing apart from the others; what goes wrong with it stands under its button. */
export const guarded = (text, label, act) => {
  const node = form({ content: h("p", { class: "hint" }, say(text)), save: label, submit: act });
  node.querySelector("button[type=submit]").className = "button danger";
  return h("section", { class: "panel" }, node);
};

