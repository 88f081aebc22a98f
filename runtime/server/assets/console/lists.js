//! Lists of visitors: ids brought in, keys taken out, ids held against a segment.

import { call, get } from "./api.js";
import { announce, button, download, h } from "./dom.js";
import { Wrong, field, form, problemView, shown } from "./forms.js";
import { number, say } from "./words.js";

/** Ids from a file or typed, one a line. `read` gives what is sent: a file as it is, or the text. */
export const listInput = (label, hint) => {
  const text = h("textarea", { class: "code", rows: 5, spellcheck: "false", name: "ids" });
  const file = h("input", { type: "file", accept: ".txt,.csv,text/plain" });
  const chosen = field({ label: "list.file", hint: "list.file.hint", input: file });
  const typed = field({ label, hint, input: text });
  file.addEventListener("change", () => typed.clear());
  const read = () => {
    if (file.files.length > 0) return file.files[0];
    if (text.value.trim() === "") throw new Wrong(typed, "mistake.list");
    return text.value;
  };
  const empty = () => {
    text.value = "";
    file.value = "";
  };
  return { ...typed, node: h("div", {}, typed.node, chosen.node), read, empty };
};

const lines = (text) => text.split("\n").filter((line) => line !== "").length;

/** Taking the keys of all members out. */
export const listExport = (name, path, signal) => {
  const failed = h("div");
  const take = async () => {
    failed.replaceChildren();
    try {
      const keys = await get(`${path}/members`, signal);
      download(`${name}.keys.txt`, keys);
      announce(say("list.exported", { count: lines(keys) }));
    } catch (error) {
      if (!signal.aborted) failed.replaceChildren(problemView(shown(error)));
    }
  };
  return h("section", { class: "panel" }, h("h2", {}, say("list.export")), h("p", { class: "hint" }, say("list.export.text")),
    button(say("list.export.do"), take), failed);
};

/** Which of these ids are members: the way to a list of ids, because only keys are kept. */
export const listMatch = (name, path, signal) => {
  const list = listInput("list.ids", "list.match.hint");
  const result = h("div", { role: "status", "aria-live": "polite" });
  const submit = async () => {
    const found = await call("POST", `${path}/members`, { body: list.read(), signal });
    const count = lines(found);
    result.replaceChildren(h("p", { class: "facts" }, h("b", {}, () => number(count)), " ", say("list.matched", { count })));
    if (count > 0) result.append(button(say("list.matched.do"), () => download(`${name}.ids.txt`, found)));
  };
  const node = form({ save: "list.match.do", submit, fields: () => [list], content: list.node, place: ({ code }) => (code === "bad_list" || code === "too_large" ? list : null) });
  return h("section", { class: "panel" }, h("details", {}, h("summary", {}, h("h2", {}, say("list.match"))), h("p", { class: "hint" }, say("list.match.text")), node, result));
};
