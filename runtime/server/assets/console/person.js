//! What is done to a visitor as a whole: ids linked and unlinked, everything erased.

import { call, get, part } from "./api.js";
import { announce, ask, button, chip, h, unique, when } from "./dom.js";
import { Wrong, field, form, group } from "./forms.js";
import { number, say, t } from "./words.js";

const KINDS = ["login", "device", "mini-program", "store-card", "phone-hash"];

const known = (ids) =>
  ids.length === 0
    ? h("p", { class: "quiet" }, say("link.none"))
    : h("ul", { class: "ids" }, ids.map(({ key, kind, since }) => h("li", {}, chip(kind), " ", h("code", {}, key), " ", h("span", { class: "quiet" }, when(since)))));

/** The ids of one person to be linked: a row each. */
const linking = (profile, { signal, again }) => {
  const rows = h("ol", { class: "layers ids" });
  const list = unique("kinds");
  const ids = group({ label: "link.ids", hint: "link.hint", content: [rows, h("datalist", { id: list }, KINDS.map((kind) => h("option", { value: kind }))),
    button(say("link.add"), () => { add(); rows.lastElementChild.querySelector("input").focus(); }, { class: "button small" })] });
  const add = (id = "", kind = "") => {
    const remove = button("×", () => {
      const near = row.previousElementSibling ?? row.nextElementSibling;
      row.remove();
      ids.clear();
      near?.querySelector("input").focus();
    }, { class: "button icon", "aria-label": () => t("link.remove"), title: () => t("link.remove") });
    const row = h("li", {},
      h("input", { type: "text", maxlength: 256, value: id, autocomplete: "off", spellcheck: "false", "aria-label": () => t("link.id"), placeholder: () => t("link.id"), "data-link": "id" }),
      h("input", { type: "text", maxlength: 32, value: kind, list, spellcheck: "false", autocapitalize: "none", "aria-label": () => t("link.kind"), placeholder: () => t("link.kind"), "data-link": "kind" }),
      remove);
    rows.append(row);
  };
  add(profile.id, profile.ids.find(({ key }) => key === profile.key)?.kind ?? "login");
  add("", "device");
  rows.addEventListener("input", ids.clear);
  const submit = async () => {
    const all = [...rows.children].map((row) => {
      const [id, kind] = [...row.querySelectorAll("input")].map((input) => input.value.trim());
      return { id, kind };
    });
    if (all.length < 2) throw new Wrong(ids, "mistake.link.two");
    if (all.some(({ id, kind }) => id === "" || kind === "")) throw new Wrong(ids, "mistake.link.empty");
    const person = await call("POST", "/v1/visitors/link", { json: { ids: all }, signal });
    announce(say("link.done", { count: person.ids.length, events: person.events }));
    await again();
  };
  return form({ save: "link.do", submit, content: ids.node, fields: () => [ids], place: ({ code }) => (/^(bad_ids|two_logins|too_many_ids)$/.test(code) ? ids : null) });
};

const unlinking = (profile, { signal, again }) => {
  const input = h("input", { type: "text", maxlength: 256, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  const id = field({ label: "unlink.id", hint: "unlink.hint", input });
  const submit = async () => {
    const asked = input.value.trim();
    if (asked === "") throw new Wrong(id, "mistake.required");
    const person = await call("POST", "/v1/visitors/unlink", { json: { id: asked }, signal });
    announce(say("unlink.done", { events: person.events }));
    await again();
  };
  return form({ save: "unlink.do", submit, content: id.node, fields: () => [id], place: ({ code }) => (code === "not_linked" ? id : null) });
};

export const links = (profile, doing) => h("section", { class: "panel" },
  h("h2", {}, say("link.title")), known(profile.ids),
  h("details", {}, h("summary", {}, say("link.do")), linking(profile, doing)),
  h("details", {}, h("summary", {}, say("unlink.do")), unlinking(profile, doing)));

/** What goes, said before it is done. */
const what = (profile) => [
  h("p", {}, say("erase.what")),
  h("ul", { class: "plain" },
    h("li", {}, say("erase.events", { count: profile.events })),
    h("li", {}, say("erase.profile", { tags: profile.tags.length, items: profile.items.length })),
    h("li", {}, profile.ids.length > 1 ? say("erase.ids", { count: profile.ids.length }) : say("erase.id")),
    h("li", {}, say("erase.lists")), h("li", {}, say("erase.captures")), h("li", {}, say("erase.backups"))),
  h("p", { class: "hint" }, say("erase.stays")),
];

/** The entry of the audit trail that proves it. */
const proof = (id, entry) => h("div", { class: "empty done", tabindex: "-1" },
  h("p", { class: "empty-title" }, say("erase.done", { id })),
  entry
    ? h("dl", { class: "pairs" }, h("dt", {}, say("erase.proof")), h("dd", {}, `#${entry.seq} `, when(entry.time)),
      h("dt", {}, say("visitor.key")), h("dd", {}, h("code", {}, entry.subject ?? "–")),
      ...Object.entries(entry.detail ?? {}).flatMap(([name, value]) => [h("dt", {}, h("code", {}, name)), h("dd", {}, () => (typeof value === "number" ? number(value) : String(value)))]))
    : h("p", {}, say("erase.proof.none")));

export const erasure = (profile, { signal, gone }) => {
  const submit = async () => {
    const sure = await ask({ title: say("erase.title", { id: profile.id }), body: what(profile), confirm: "erase.do", danger: true, match: profile.id });
    if (!sure) return;
    await call("DELETE", `/v1/visitors/${part(profile.id)}`, { signal });
    let entry = null;
    try {
      [entry] = await get(`/v1/audit?action=visitor.erased&limit=1&visitor=${encodeURIComponent(profile.id)}`, signal);
    } catch { /* erased it is; its proof is in the trail */ }
    gone(proof(profile.id, entry));
  };
  const node = form({ save: "erase.do", submit, content: h("p", { class: "hint" }, say("erase.text")) });
  node.querySelector("button[type=submit]").className = "button danger";
  return h("section", { class: "panel" }, h("h2", {}, say("erase.heading")), node);
};
