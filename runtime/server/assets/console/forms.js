//! Fields with their labels, hints and errors, and problems beside the field they are about.

import { call, stopped } from "./api.js";
import { announce, h, unique } from "./dom.js";
import { perhaps, live, say, t } from "./words.js";

/** A problem in full: what it is in the reader's language where it is known, then the server's own words. */
export const problemView = (problem, role = "alert") =>
  h("div", { class: "problem", role },
    h("p", { class: "problem-title" }, () => perhaps(`problem.${problem.code}`) ?? t("problem.other")),
    problem.detail !== "" && h("p", { class: "problem-detail", lang: "en" }, problem.detail),
    h("p", { class: "problem-code" }, h("code", {}, problem.code), problem.status > 0 && ` · HTTP ${problem.status}`));

/** A mistake found here, before the server is asked. */
export const mistake = (key, values) => ({ key, values });

/**
 * A labelled field over `input`. `fail` shows a problem or a mistake under it, `clear` takes it away.
 */
export const field = ({ label, hint = null, input, after = null, optional = false }) => {
  const id = unique("field");
  const [hintId, errorId] = [`${id}-hint`, `${id}-error`];
  const error = h("div", { class: "field-error", id: errorId });
  input.id = id;
  input.setAttribute("aria-describedby", hint ? `${hintId} ${errorId}` : errorId);
  const node = h("div", { class: "field" },
    h("label", { for: id }, say(label), optional && h("span", { class: "optional" }, say("form.optional"))),
    input, hint && h("p", { class: "hint", id: hintId }, say(hint)), error, after);
  const clear = () => {
    error.replaceChildren();
    input.removeAttribute("aria-invalid");
  };
  const fail = (why, role = "alert") => {
    input.setAttribute("aria-invalid", "true");
    error.replaceChildren(why.key ? h("p", { class: "mistake", role }, live(() => t(why.key, why.values))) : problemView(why, role));
  };
  input.addEventListener("input", clear);
  return { node, input, fail, clear };
};

/** A group of inputs with one label and one place for errors. */
export const group = ({ label, hint = null, content }) => {
  const id = unique("group");
  const error = h("div", { class: "field-error", id: `${id}-error` });
  const node = h("fieldset", { class: "field", "aria-describedby": `${id}-error`, tabindex: "-1" },
    h("legend", {}, say(label)), hint && h("p", { class: "hint" }, say(hint)), content, error);
  const fail = (why) =>
    error.replaceChildren(why.key ? h("p", { class: "mistake", role: "alert" }, live(() => t(why.key, why.values))) : problemView(why));
  return { node, input: node, fail, clear: () => error.replaceChildren() };
};

/**
 * A form that keeps what was typed. `submit` does the work and may throw a problem; `place(problem)` says which field it is
 * about, or nothing: then it stands above the buttons.
 */
export const form = ({ content, save, submit, place = () => null, extra = null, fields = () => [] }) => {
  const whole = h("div", { class: "form-error" });
  const press = h("button", { class: "button primary", type: "submit" }, say(save));
  const node = h("form", { novalidate: true, autocomplete: "off" }, content, whole, h("div", { class: "actions" }, press, extra));
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (press.disabled) return;
    whole.replaceChildren();
    fields().forEach((one) => one.clear());
    press.disabled = true;
    node.setAttribute("aria-busy", "true");
    try {
      await submit();
    } catch (error) {
      if (stopped(error)) return;
      if (error instanceof Wrong) {
        error.field.fail(error.why);
        error.field.input.focus();
        return;
      }
      const about = place(error);
      if (about) {
        about.fail(error);
        about.input.focus();
      } else {
        whole.replaceChildren(problemView(shown(error)));
      }
    } finally {
      press.disabled = false;
      node.removeAttribute("aria-busy");
    }
  });
  return node;
};

/** A mistake of a field, found before the server is asked. */
export class Wrong extends Error {
  constructor(at, key, values) {
    super(key);
    this.field = at;
    this.why = mistake(key, values);
  }
}

/** An error that is no problem of the server is one of ours: it is shown all the same. */
export const shown = (error) => ("code" in error && "detail" in error ? error : { code: "console", status: 0, detail: String(error?.stack ?? error) });

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const OWN = ["stage", "prefers", "segment"];

/** The field of a name; its value is checked by `read`. */
export const nameField = (hint) => {
  const input = h("input", { type: "text", maxlength: 64, spellcheck: "false", autocapitalize: "none", required: true, name: "name" });
  const made = field({ label: "form.name", hint, input });
  const read = () => {
    const name = input.value.trim();
    if (name === "") throw new Wrong(made, "mistake.required");
    if (!NAME.test(name)) throw new Wrong(made, "mistake.name");
    if (OWN.includes(name)) throw new Wrong(made, "mistake.own", { name });
    return name;
  };
  return { ...made, read };
};

/** Refuses a name that is taken: putting a definition under it would replace the other. */
export const free = async (at, kind, name, signal) => {
  const all = await call("GET", `/v1/${kind}`, { signal });
  if (all.some((one) => one.name === name)) throw new Wrong(at, "mistake.taken", { name });
};

export const saved = (name, version) => announce(say("form.saved", { name, version }));
