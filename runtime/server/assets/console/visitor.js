//! Looking a visitor up: what is known of them, in words. The id stays out of the address and is kept nowhere.

import { get, part, stopped } from "./api.js";
import { chip, empty, h, when } from "./dom.js";
import { Wrong, field, form } from "./forms.js";
import { Titles, recent } from "./recent.js";
import { erasure, links } from "./person.js";
import { number, percent, say, t } from "./words.js";

const STAGES = ["acquisition", "activation", "retention", "revenue", "referral"];
/** Names shown of an affinity. */
const MOST = 6;

const figure = (key, ...value) => h("div", { class: "fact" }, h("dt", {}, say(key)), h("dd", {}, ...value));

/** How far they have come: AARRR. */
const stages = (stage) => {
  const at = STAGES.indexOf(stage);
  return h("ol", { class: "stages", "aria-label": () => t("visitor.stage") }, STAGES.map((name, index) =>
    h("li", { class: index < at ? "past" : index === at ? "now" : "", "aria-current": index === at ? "step" : null }, say(`stage.${name}`))));
};

const lastOrder = (items) => items.reduce((latest, item) => Math.max(latest, item.last_order), 0);

/** The fifths of buyers, where buyers were cut into fifths; else only what they are made of. */
const rfm = (profile) => {
  const fifths = profile.rfm ?? "";
  const ordered = lastOrder(profile.items);
  const part = (key, at, ...value) => h("li", {}, h("span", { class: "bar-name" }, say(key), " ", h("span", { class: "quiet" }, ...value)),
    /^[1-5]{3}$/.test(fifths) && h("span", { class: "bar-number" }, `${fifths[at]} / 5`),
    /^[1-5]{3}$/.test(fifths) && h("meter", { min: 0, max: 5, value: Number(fifths[at]), "aria-label": () => t(key) }));
  return h("section", { class: "panel" }, h("h2", {}, say("visitor.rfm")),
    profile.orders === 0
      ? h("p", { class: "quiet" }, say("visitor.rfm.none"))
      : h("ul", { class: "bars" }, part("visitor.rfm.recency", 0, ordered > 0 ? when(ordered) : "–"),
        part("visitor.rfm.frequency", 1, say("visitor.orders.count", { count: profile.orders })),
        part("visitor.rfm.monetary", 2, () => number(profile.spend, 2))),
    profile.orders > 0 && fifths === "" && h("p", { class: "hint" }, say("visitor.rfm.tag"), " ", h("code", {}, "visitor.rfm")));
};

/** What is carried, with the way to its definition; the host's own have none. */
const carried = (profile, tags) => {
  const defined = new Set(tags.map(({ name }) => name));
  const one = (tag) => {
    const name = tag.split(":")[0];
    return h("li", {}, defined.has(name) ? h("a", { class: "chip", href: `/console/tags/${encodeURIComponent(name)}` }, tag) : chip(tag, "own"));
  };
  return h("section", { class: "panel" },
    h("h2", {}, say("nav.tags")),
    profile.tags.length === 0 ? h("p", { class: "quiet" }, say("visitor.tags.none")) : h("ul", { class: "chips" }, profile.tags.map(one)),
    h("h2", {}, say("nav.segments")),
    profile.segments.length === 0 ? h("p", { class: "quiet" }, say("visitor.segments.none"))
      : h("ul", { class: "chips" }, profile.segments.map((name) => h("li", {}, h("a", { class: "chip people", href: `/console/segments/${encodeURIComponent(name)}` }, name)))));
};

const affinity = (key, list, label = (name) => name) => {
  const total = list.reduce((sum, { weight }) => sum + weight, 0);
  return h("section", {}, h("h3", {}, say(`affinity.${key}`)),
    list.length === 0 || !(total > 0) ? h("p", { class: "quiet" }, say("visitor.affinity.none"))
      : h("ul", { class: "bars" }, list.slice(0, MOST).map(({ name, weight }) =>
        h("li", {}, h("span", { class: "bar-name" }, label(name)), h("span", { class: "bar-number" }, () => percent(weight / total)),
          h("meter", { min: 0, max: 1, value: weight / total, "aria-label": label(name) })))));
};

const hour = (name) => `${name.padStart(2, "0")}:00 UTC`;

const attributes = (of) => {
  const all = Object.entries(of);
  return h("section", { class: "panel" }, h("h2", {}, say("visitor.attributes")),
    all.length === 0 ? h("p", { class: "quiet" }, say("visitor.attributes.none"))
      : h("dl", { class: "pairs" }, all.flatMap(([name, value]) => [h("dt", {}, h("code", {}, name)), h("dd", {}, String(value))])));
};

const profileView = (profile, tags, { signal, again, gone }) => h("div", { class: "profile" },
  h("section", { class: "panel person" },
    h("div", { class: "head small" }, h("div", {}, h("h2", { class: "id", tabindex: "-1" }, profile.id), h("p", { class: "quiet" }, say("visitor.key"), " ", h("code", {}, profile.key)))),
    stages(profile.stage),
    h("dl", { class: "figures" },
      figure("visitor.events", () => number(profile.events)), figure("visitor.orders", () => number(profile.orders)),
      figure("visitor.spend", () => number(profile.spend, 2)), figure("visitor.days", () => number(profile.active_days)),
      figure("visitor.first", when(profile.first_seen)), figure("visitor.last", when(profile.last_seen)),
      figure("visitor.channel", profile.channel || "–"), figure("visitor.region", profile.region || "–"))),
  h("div", { class: "halves" }, carried(profile, tags), rfm(profile)),
  h("section", { class: "panel" }, h("h2", {}, say("visitor.affinities")), h("p", { class: "hint" }, say("visitor.affinities.text")),
    h("div", { class: "affinities" }, affinity("category", profile.categories), affinity("brand", profile.brands), affinity("price", profile.prices),
      affinity("channel", profile.channels), affinity("hour", profile.hours, hour))),
  h("div", { class: "halves" }, recent(profile.recent, new Titles(signal)),
    h("div", { class: "stack" }, attributes(profile.attributes), links(profile, { signal, again }), erasure(profile, { signal, gone }))));

export const visitorPage = ({ signal }) => {
  const input = h("input", { type: "search", name: "visitor", maxlength: 256, spellcheck: "false", autocapitalize: "none", autocomplete: "off", required: true });
  const id = field({ label: "visitor.id", hint: "visitor.id.hint", input });
  const place = h("div", {}, empty("visitor.empty", "visitor.empty.text"));
  const spoken = h("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });

  const show = async (asked, focus = true) => {
    const [profile, tags] = await Promise.all([get(`/v1/visitors/${part(asked)}`, signal), get("/v1/tags", signal)]);
    place.replaceChildren(profileView(profile, tags, {
      signal,
      again: () => show(asked, false),
      gone: (proof) => {
        input.value = "";
        place.replaceChildren(proof);
        proof.focus();
      },
    }));
    spoken.replaceChildren(say("visitor.found", { events: profile.events, orders: profile.orders, tags: profile.tags.length }));
    place.querySelector(".id").focus({ preventScroll: !focus });
  };
  const lookUp = form({
    content: id.node, save: "visitor.look", fields: () => [id],
    submit: async () => {
      const asked = input.value.trim();
      if (asked === "") throw new Wrong(id, "mistake.required");
      place.replaceChildren(h("p", { class: "quiet" }, say("page.loading")));
      try {
        await show(asked);
      } catch (error) {
        if (!stopped(error)) place.replaceChildren(empty("visitor.empty", "visitor.empty.text"));
        throw error;
      }
    },
    place: ({ code }) => (code === "unknown_visitor" || code === "no_address" ? id : null),
  });
  lookUp.classList.add("inline");
  lookUp.setAttribute("role", "search");
  return {
    title: () => t("nav.visitor"),
    node: h("div", {}, h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: "-1" }, say("nav.visitor")), h("p", { class: "lead" }, say("visitor.lead")))),
      h("div", { class: "panel" }, lookUp), spoken, place),
  };
};
