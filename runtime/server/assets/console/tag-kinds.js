//! What each kind of tag is made of: its fields, and the document they make.

import { call, get, pause, stopped } from "./api.js";
import { condition } from "./condition.js";
import { literal, meaning, suggestions } from "./columns.js";
import { button, h, unique } from "./dom.js";
import { Wrong, field, group } from "./forms.js";
import { number, say, t } from "./words.js";

export const KINDS = ["base", "layered", "combined", "preference", "code"];
const AFFINITIES = ["category", "brand", "price", "channel", "hour"];
/** Layers whose visitors are counted while they are typed. */
const COUNTED = 12;

/** The field of a column, with those there are to choose from. */
const column = (type, value) => {
  const list = unique("columns");
  const input = h("input", { type: "text", class: "code", list, spellcheck: "false", autocapitalize: "none", required: true, name: "of" });
  input.value = value ?? "";
  const options = suggestions(type).map((name) => h("option", { value: name, label: () => t(meaning(name)) }));
  const made = field({ label: "column.label", hint: `column.hint.${type}`, input, after: h("datalist", { id: list }, options) });
  const read = () => {
    if (input.value.trim() === "") throw new Wrong(made, "mistake.required");
    return input.value.trim();
  };
  return { ...made, read };
};

const base = (spec) => {
  const of = column("text", spec.of);
  return { node: of.node, fields: [of], read: () => ({ of: of.read() }), place: { bad_tag: of }, carried: () => ["…"] };
};

const layered = (spec, { signal, touched }) => {
  const of = column("number", spec.of);
  const rows = h("ol", { class: "layers" });
  const layers = group({ label: "layers.label", hint: "layers.hint", content: [rows,
    button(say("layers.add"), () => { add({}); touched(); rows.lastElementChild.querySelector("input").focus(); }, { class: "button small" })] });

  const add = ({ name = "", from = "" }) => {
    const named = h("input", { type: "text", maxlength: 64, value: name, "aria-label": () => t("layers.name"), placeholder: () => t("layers.name"), "data-layer": "name" });
    const least = h("input", { type: "text", inputmode: "decimal", value: from === "" ? "" : literal(from).replace(/\.0$/, ""), "aria-label": () => t("layers.from"), placeholder: () => t("layers.from"), "data-layer": "from" });
    const count = h("output", { class: "quiet count" });
    const remove = button("×", () => {
      const near = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      layers.clear();
      touched();
      (near?.querySelector("button") ?? layers.node.querySelector(".button.small")).focus();
      recount();
    }, { class: "button icon", "aria-label": () => t("layers.remove"), title: () => t("layers.remove") });
    const row = h("li", {}, named, h("span", { class: "at-least", "aria-hidden": "true" }, "≥"), least, count, remove);
    rows.append(row);
  };

  const read = () => [...rows.children].map((row) => {
    const [name, from] = [...row.querySelectorAll("input")].map((input) => input.value.trim());
    return { name, from: from === "" ? NaN : Number(from) };
  });

  let asking = new AbortController();
  signal.addEventListener("abort", () => asking.abort());
  // How many a layer has: at least its own number, less than the next one's.
  const recount = async () => {
    asking.abort();
    asking = new AbortController();
    const { signal: own } = asking;
    const outputs = [...rows.querySelectorAll("output")];
    try {
      await pause(500, own);
      const all = read();
      const name = of.input.value.trim();
      const rising = all.every(({ from }, at) => Number.isFinite(from) && (at === 0 || all[at - 1].from < from));
      for (const [at, { from }] of all.entries()) {
        if (name === "" || !rising || at >= COUNTED) {
          outputs[at]?.replaceChildren();
          continue;
        }
        const above = at + 1 < all.length ? ` && ${name} < ${literal(all[at + 1].from)}` : "";
        const { size } = await call("POST", "/v1/segments/size", { json: { when: `${name} >= ${literal(from)}${above}` }, signal: own });
        outputs[at]?.replaceChildren(h("b", {}, () => number(size)), " ", say("size.visitors", { count: size }));
      }
    } catch (error) {
      // A column that is not there is said when the tag is saved.
      if (!stopped(error)) outputs.forEach((output) => output.replaceChildren());
    }
  };
  (spec.layers ?? [{}, {}]).forEach(add);
  rows.addEventListener("input", () => { layers.clear(); recount(); });
  of.input.addEventListener("input", recount);
  if (spec.layers) recount();

  const checked = () => {
    const found = read();
    if (found.length === 0) throw new Wrong(layers, "mistake.layers.none");
    found.forEach(({ name, from }, at) => {
      const place = { at: at + 1 };
      if (name === "") throw new Wrong(layers, "mistake.layers.name", place);
      if (!Number.isFinite(from)) throw new Wrong(layers, "mistake.layers.from", place);
      if (at > 0 && !(found[at - 1].from < from)) throw new Wrong(layers, "mistake.layers.rising", place);
    });
    return found;
  };
  return {
    node: h("div", {}, of.node, layers.node), fields: [of, layers],
    read: () => ({ of: of.read(), layers: checked() }), place: { bad_tag: of, bad_layers: layers },
    carried: () => read().map(({ name }) => name || "…"),
  };
};

const combined = (spec, { signal, estimate }) => {
  const when = condition({ value: spec.when ?? "", signal, changed: (text) => estimate.update(text) });
  estimate.wrong = when.wrong;
  if (spec.when) estimate.update(spec.when);
  const read = () => {
    if (when.input.value.trim() === "") throw new Wrong(when, "mistake.required");
    return { when: when.input.value };
  };
  return { node: when.node, fields: [when], read, place: { bad_tag: when, bad_expression: when, circle: when }, carried: () => [] };
};

const preference = (spec) => {
  const choose = h("select", { name: "of" }, AFFINITIES.map((name) => h("option", { value: name, selected: name === spec.of }, say(`affinity.${name}`))));
  const most = h("input", { type: "number", min: 1, max: 20, step: 1, value: spec.most ?? 1, name: "most" });
  const share = h("input", { type: "number", min: 0, max: 1, step: "any", value: Number((spec.share ?? 0.2).toFixed(6)), name: "share" });
  const of = field({ label: "preference.of", input: choose });
  const mostField = field({ label: "preference.most", hint: "preference.most.hint", input: most });
  const shareField = field({ label: "preference.share", hint: "preference.share.hint", input: share });
  const read = () => {
    const [many, least] = [Number(most.value), Number(share.value)];
    if (most.value === "" || !Number.isInteger(many) || many < 1 || many > 20) throw new Wrong(mostField, "mistake.most");
    if (share.value === "" || !(least >= 0 && least <= 1)) throw new Wrong(shareField, "mistake.share");
    return { of: choose.value, most: many, share: least };
  };
  return { node: h("div", {}, of.node, h("div", { class: "pair" }, mostField.node, shareField.node)), fields: [of, mostField, shareField], read,
    place: { bad_preference: mostField }, carried: () => [`${t(`affinity.${choose.value}`)} 1`, Number(most.value) > 1 && `${t(`affinity.${choose.value}`)} 2`, "…"].filter(Boolean) };
};

/** What a tagger may be given, from its schema. */
const parameters = (schema) =>
  h("dl", { class: "parameters" }, Object.entries(schema?.properties ?? {}).flatMap(([name, { description, default: usual, minimum, maximum }]) => [
    h("dt", {}, h("code", {}, name)),
    h("dd", { lang: "en" }, description ?? "", " ", h("span", { class: "quiet" },
      [usual !== undefined && `= ${JSON.stringify(usual)}`, (minimum !== undefined || maximum !== undefined) && `${minimum ?? ""} … ${maximum ?? ""}`].filter(Boolean).join(" · "))),
  ]));

const code = (spec, { signal, loaded }) => {
  const choose = h("select", { name: "plugin", required: true });
  const plugin = field({ label: "code.plugin", hint: "code.plugin.hint", input: choose });
  const text = h("textarea", { class: "code", rows: 6, spellcheck: "false", name: "parameters" });
  text.value = JSON.stringify(spec.parameters ?? {}, null, 2);
  const about = h("div");
  const given = field({ label: "code.parameters", hint: "code.parameters.hint", input: text, after: about });
  let all = [];
  const draw = () => about.replaceChildren(parameters(all.find((one) => one.name === choose.value)?.parameters_schema));
  choose.addEventListener("change", draw);
  const load = async () => {
    try {
      all = (await get("/v1/plugins", signal)).filter((one) => Array.isArray(one.tags));
      const names = [...new Set([spec.plugin, ...all.map((one) => one.name)].filter(Boolean))];
      choose.replaceChildren(...names.map((name) => h("option", { value: name, selected: name === spec.plugin }, name)));
      if (names.length === 0) plugin.fail({ key: "code.none" });
      draw();
      loaded();
    } catch (error) {
      if (!stopped(error)) plugin.fail(error);
    }
  };
  load();
  const read = () => {
    if (choose.value === "") throw new Wrong(plugin, "code.none");
    let value;
    try {
      value = JSON.parse(text.value);
    } catch (error) {
      throw new Wrong(given, "mistake.json", { why: error.message });
    }
    return { plugin: choose.value, parameters: value };
  };
  return { node: h("div", {}, plugin.node, given.node), fields: [plugin, given], read,
    place: { unknown_strategy: plugin, wrong_world: plugin, bad_parameters: given },
    carried: () => all.find((one) => one.name === choose.value)?.tags ?? ["…"] };
};

/** The fields of a kind over what is known of it. */
export const fieldsOf = { base, layered, combined, preference, code };
