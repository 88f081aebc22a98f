//! Talking to the server: one call, problems as RFC 9457 says them, and a token where the server asks for one.

const KEPT = "qianmian.console.token";

let token = null;
try {
  token = sessionStorage.getItem(KEPT); // gone with the tab
} catch { /* kept for this page only, then */ }

/** A refusal: the server's problem document, or what stands for it. */
export class Problem extends Error {
  constructor({ status = 0, code = "unknown", detail = "", title = "" }) {
    super(detail || code);
    Object.assign(this, { status, code, detail, title });
  }
}

/** Whether somebody stopped waiting: no refusal, and nothing to show. */
export const stopped = (error) => error?.name === "AbortError";

let standing = "ok";
/** How the server stands: "ok", "unreachable" or "token" (it wants one, or another one). */
const stand = (how) => {
  if (how === standing && how !== "token") return;
  standing = how;
  dispatchEvent(new CustomEvent("standing", { detail: how }));
};

export const hasToken = () => token !== null;

export const useToken = (text) => {
  token = text === "" ? null : text;
  try {
    if (token === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, token);
  } catch { /* kept for this page only, then */ }
};

/** Words that stand where ids and names do. */
const ROUTES = /^(link|unlink|size)$/;

/**
 * One part of an address. An id that is the word of a route is written so that it is not taken for it; browsers take "." and
 * ".." for folders whatever they are written as.
 */
export const part = (text) => {
  if (text === "." || text === ".." || text === "") {
    throw new Problem({ code: "no_address", detail: JSON.stringify(text) });
  }
  try {
    return ROUTES.test(text) ? `%${text.charCodeAt(0).toString(16)}${text.slice(1)}` : encodeURIComponent(text);
  } catch {
    throw new Problem({ code: "no_address", detail: JSON.stringify(text) });
  }
};

const refusal = async (response) => {
  const text = await response.text();
  try {
    const { status, code, detail, title } = JSON.parse(text);
    if (typeof code === "string") {
      return new Problem({ status: Number(status ?? response.status), code, detail: String(detail ?? ""), title: String(title ?? "") });
    }
  } catch { /* no problem document */ }
  return new Problem({ status: response.status, code: "no_problem_document", detail: text.slice(0, 4_096) });
};

/**
 * A request. `json` or `body` is sent; the answer is JSON, a text, or nothing. Throws a Problem, or AbortError when `signal`
 * says to stop.
 */
export const call = async (method, path, { json, body, signal } = {}) => {
  const headers = {};
  if (token !== null) headers.authorization = `Bearer ${token}`;
  if (json !== undefined) headers["content-type"] = "application/json";
  else if (body !== undefined) headers["content-type"] = "text/plain; charset=utf-8";
  let response;
  try {
    response = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json), signal, cache: "no-store" });
  } catch (error) {
    if (stopped(error)) throw error;
    stand("unreachable");
    throw new Problem({ code: "unreachable", detail: String(error?.message ?? error) });
  }
  // Whoever runs the server may ask how it is without a token: that says nothing of the one that is wanted.
  if (response.status === 401) stand("token");
  else if (path.startsWith("/v1/") || standing === "unreachable") stand("ok");
  if (!response.ok) throw await refusal(response);
  if (response.status === 204) return null;
  return (response.headers.get("content-type") ?? "").startsWith("application/json") ? response.json() : response.text();
};

export const get = (path, signal) => call("GET", path, { signal });

/** Waits, or stops waiting. */
export const pause = (ms, signal) =>
  new Promise((done, stop) => {
    const gone = () => stop(signal.reason ?? new DOMException("stopped", "AbortError"));
    if (signal?.aborted) return gone();
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); gone(); }, { once: true });
  });

/** Looks again and again while the page is in view, until `signal`, the first time after `wait` or at once; `look` says in how many milliseconds next. */
export const keepLooking = async (signal, look, wait) => {
  let next = wait ?? await look();
  for (;;) {
    await pause(next, signal);
    if (document.visibilityState !== "visible") continue;
    try {
      next = await look();
    } catch (error) {
      if (stopped(error) || signal.aborted) throw error;
      next = 5_000; // the header says how the server stands
    }
  }
};
