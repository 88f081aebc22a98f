//! The field of a CEL condition: what can be written is a list to choose from, what is wrong stands under it.

import { get, stopped } from "./api.js";
import { COLUMNS, carries, isIn, meaning } from "./columns.js";
import { h, unique } from "./dom.js";
import { field } from "./forms.js";
import { live, number, say, t } from "./words.js";

/** Most choices of a group that are shown at once. */
const MOST = 60;

const insert = (input, text) => {
  const before = input.value.slice(0, input.selectionStart);
  const join = before.trim() === "" || /(&&|\|\||[(!])\s*$/.test(before) ? "" : `${/\s$/.test(before) ? "" : " "}&& `;
  input.focus();
  input.setRangeText(join + text, input.selectionStart, input.selectionEnd, "end");
  input.dispatchEvent(new Event("input", { bubbles: true }));
};

/** What can be chosen: text to insert, what to read of it, how many visitors it is about. */
const choices = async (signal) => {
  const [tags, segments] = await Promise.all([get("/v1/tags", signal), get("/v1/segments", signal)]);
  const value = ({ tag, visitors }) => ({ text: carries(tag), label: () => tag, visitors });
  return [
    ["helper.tags", tags.flatMap((tag) => tag.values.map(value))],
    ["helper.segments", segments.map(({ name, size }) => ({ text: isIn(name), label: () => name, visitors: size }))],
    ["helper.columns", COLUMNS.map(([name, , text]) => ({ text, label: () => t(meaning(name)), code: name.replace(/\.$/, ".…") }))],
  ];
};

const helper = (input, signal) => {
  const search = unique("search");
  const lists = h("div", { class: "choices" });
  const found = h("input", { id: search, type: "search", placeholder: () => t("helper.search"), on: { input: () => draw() } });
  let all = [];
  const draw = () => {
    const wanted = found.value.trim().toLowerCase();
    const fits = ({ text, label }) => wanted === "" || text.toLowerCase().includes(wanted) || label().toLowerCase().includes(wanted);
    const one = ({ text, label, code, visitors }) =>
      h("li", {}, h("button", { type: "button", class: "choice", title: text, on: { click: () => insert(input, text) } },
        h("span", {}, label), code && h("code", {}, code),
        visitors !== undefined && h("span", { class: "quiet" }, () => number(visitors))));
    const shown = all.map(([title, list]) => [title, list.filter(fits).slice(0, MOST)]).filter(([, list]) => list.length > 0);
    lists.replaceChildren(...shown.map(([title, list]) =>
      h("section", {}, h("h3", {}, say(title)), h("ul", {}, list.map(one)))));
    if (shown.length === 0) lists.append(h("p", { class: "quiet" }, say("helper.none")));
  };
  const load = async () => {
    try {
      all = await choices(signal);
      draw();
    } catch (error) {
      if (!stopped(error)) lists.replaceChildren(h("p", { class: "quiet" }, live(() => t("helper.failed", { why: error.message }))));
    }
  };
  load();
  return h("details", { class: "helper" }, h("summary", {}, say("helper.title")),
    h("div", { class: "field" }, h("label", { for: search, class: "visually-hidden" }, say("helper.search")), found), lists);
};

/** The field; `changed` hears of every change, `wrong` shows what the server thinks of the text while it is typed. */
export const condition = ({ value, changed, signal }) => {
  const input = h("textarea", { class: "code", rows: 4, spellcheck: "false", autocapitalize: "none", maxlength: 8192, required: true, name: "when" });
  input.value = value;
  const made = field({ label: "condition.label", hint: "condition.hint", input, after: helper(input, signal) });
  input.addEventListener("input", () => changed(input.value));
  return { ...made, wrong: (problem) => (problem ? made.fail(problem, "status") : made.clear()) };
};
