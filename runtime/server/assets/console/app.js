//! The frame: head, pages by address, language, how the server stands.

import { call, hasToken, keepLooking, stopped, useToken } from "./api.js";
import { ask, button, empty, h, link } from "./dom.js";
import { field, form, problemView, shown } from "./forms.js";
import { newSegmentPage, segmentPage } from "./segment.js";
import { segmentsPage } from "./segments.js";
import { newTagPage, tagPage } from "./tag.js";
import { tagsPage } from "./tags.js";
import { visitorPage } from "./visitor.js";
import { LANGUAGES, say, speak, spoken, t } from "./words.js";

const ROUTES = [
  [/^\/console\/?$/, tagsPage, "tags"],
  [/^\/console\/tags$/, tagsPage, "tags"],
  [/^\/console\/new-tag$/, newTagPage, "tags"],
  [/^\/console\/tags\/([^/]+)$/, tagPage, "tags"],
  [/^\/console\/segments$/, segmentsPage, "segments"],
  [/^\/console\/new-segment$/, newSegmentPage, "segments"],
  [/^\/console\/segments\/([^/]+)$/, segmentPage, "segments"],
  [/^\/console\/visitor$/, visitorPage, "visitor"],
];
const SECTIONS = [["tags", "/console/tags"], ["segments", "/console/segments"], ["visitor", "/console/visitor"]];

const main = h("main", { id: "content", class: "wrap", tabindex: "-1" });
const nav = h("nav", { "aria-label": () => t("nav.label") }, SECTIONS.map(([name, href]) => h("a", { href, "data-section": name }, say(`nav.${name}`))));

/* What is written and not saved yet. */
let unsaved = false;
let leaving = new AbortController();
let title = () => "";
let here = location.pathname;

const rename = () => { document.title = `${title()} · ${t("brand")}`; };

const matched = () => {
  for (const [pattern, page, section] of ROUTES) {
    const found = pattern.exec(location.pathname);
    if (!found) continue;
    try {
      return { page, section, name: found[1] === undefined ? undefined : decodeURIComponent(found[1]) };
    } catch {
      return null; // a broken address
    }
  }
  return null;
};

const nowhere = async () => ({
  title: () => t("page.gone"),
  node: h("div", {}, h("h1", { tabindex: "-1" }, say("page.gone")), empty("page.gone", "page.gone.text", link("/console/tags", say("nav.tags")))),
});

const failed = (error) => ({
  title: () => t("page.failed"),
  node: h("div", {}, h("h1", { tabindex: "-1" }, say("page.failed")), problemView(shown(error)),
    h("div", { class: "actions" }, button(say("action.retry"), () => show()), link("/console/tags", say("nav.tags")))),
});

/** Shows the page of the address. */
const show = async (focus = true) => {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  unsaved = false;
  here = location.pathname;
  const { page = nowhere, section, name } = matched() ?? {};
  nav.querySelectorAll("a").forEach((one) => {
    if (one.dataset.section === section) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  });
  const slow = setTimeout(() => main.replaceChildren(h("p", { class: "quiet" }, say("page.loading"))), 150);
  let made;
  try {
    made = await page({ name, go, signal, dirty: (is) => { unsaved = is && !signal.aborted; } });
  } catch (error) {
    if (stopped(error) || signal.aborted) return;
    made = failed(error);
  } finally {
    clearTimeout(slow);
  }
  if (signal.aborted) return;
  title = made.title;
  rename();
  main.replaceChildren(made.node);
  if (focus) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
  made.watch?.().catch(() => {}); // ends when the page is left
};

const mayLeave = async () =>
  !unsaved || ask({ title: say("form.unsaved"), body: h("p", {}, say("form.unsaved.text")), confirm: "form.discard", danger: true });

const go = async (address) => {
  if (!(await mayLeave())) return;
  history.pushState(null, "", address);
  await show();
};

document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const address = anchor.getAttribute("href");
  if (!address.startsWith("/console")) return;
  event.preventDefault();
  go(address);
});

addEventListener("popstate", async () => {
  const there = location.pathname;
  if (there === here) return; // the skip link
  if (unsaved) {
    history.pushState(null, "", here);
    if (!(await mayLeave())) return;
    history.pushState(null, "", there);
  }
  await show();
});

addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

/** The two languages, each in its own words. */
const languages = () => {
  const mark = () => choices.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.language === spoken())));
  const choices = LANGUAGES.map(([code, name, tag]) => button(name, () => speak(code), { class: "tool", lang: tag, "data-language": code }));
  addEventListener("language", mark);
  mark();
  return h("div", { class: "languages", role: "group", "aria-label": () => t("language") }, choices);
};

/** Whether the server answers, with how many visitors; and the field for a token, where it wants one. */
const connection = () => {
  const status = h("p", { class: "standing", role: "status" }, say("standing.asking"));
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false" });
  const token = field({ label: "token.label", hint: "token.hint", input });
  const panel = h("section", { class: "token wrap", "aria-label": () => t("token.label"), hidden: true }, h("div", { class: "panel" }, form({
    content: token.node, save: "token.use",
    submit: async () => {
      useToken(input.value.trim());
      await call("GET", "/v1/tags");
      input.value = "";
      panel.hidden = true;
      await show(false);
    },
    place: ({ status: said }) => (said === 401 || said === 403 ? token : null),
  })));
  const tell = (how, text) => {
    status.dataset.how = how;
    if (status.textContent !== text.data) status.replaceChildren(text);
  };
  const look = async () => {
    const { visitors, items } = await call("GET", "/readyz");
    if (panel.hidden) tell("ok", say("standing.ok", { visitors, items }));
    return 15_000;
  };
  addEventListener("standing", ({ detail }) => {
    if (detail === "unreachable") tell(detail, say("standing.unreachable"));
    if (detail === "token") {
      tell(detail, say(hasToken() ? "standing.refused" : "standing.token"));
      panel.hidden = false;
    }
    if (detail === "ok") look().catch(() => {});
  });
  const watch = () => keepLooking(new AbortController().signal, look).catch(() => setTimeout(watch, 3_000));
  watch();
  return { status, panel };
};

const { status, panel } = connection();
document.body.append(
  h("a", { class: "skip", href: "#content" }, say("nav.skip")),
  h("header", { class: "top" }, h("div", { class: "bar wrap" },
    h("a", { class: "logo", href: "/console/tags" }, h("img", { src: "/assets/mark.svg", alt: "", width: 30, height: 30 }), h("span", {}, say("brand"))),
    nav, status, languages())),
  panel, main, h("div", { id: "toasts", role: "status", "aria-live": "polite" }));
addEventListener("language", rename);
show(false);
