// Tells the server what the visitor does: impressions, views, clicks, cart and orders, to POST /v1/events.
(() => {
  const context = (element) => {
    const near = element.closest("[data-visitor]") ?? document.body;
    return { ...document.body.dataset, ...near.dataset };
  };
  const uuid = () => crypto.randomUUID?.() ??
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

  const event = (type, element, more) => {
    const { visitor, channel, region, scenario, request } = context(element);
    const made = { id: uuid(), type, time: Date.now(), visitor: { id: visitor }, channel, scenario, ...more };
    if (request) made.request_id = request;
    if (region) made.attributes = { region };
    return made;
  };

  // Waiting impressions; everything else is sent at once.
  let waiting = [];
  let timer = 0;
  const send = (events) => {
    if (!events.length) return;
    const body = new Blob([JSON.stringify({ events })], { type: "application/json" });
    if (navigator.sendBeacon?.("/v1/events", body)) return;
    fetch("/v1/events", { method: "POST", body, keepalive: true }).catch(() => {});
  };
  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    send(waiting);
    waiting = [];
  };

  // An impression: at least half of a slot in view.
  const slots = document.querySelectorAll("a[data-position]");
  if ("IntersectionObserver" in window) {
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        const { item, position } = target.dataset;
        waiting.push(event("impression", target, { item, position: Number(position) }));
      }
      if (waiting.length && !timer) timer = setTimeout(flush, 1200);
    }, { threshold: 0.5 });
    slots.forEach((slot) => seen.observe(slot));
  }
  addEventListener("pagehide", flush);

  if (document.body.dataset.view) send([event("view", document.body, { item: document.body.dataset.view })]);

  const clicked = ({ target, button }) => {
    if (button > 1) return;
    const link = target.closest?.("a");
    if (!link) return;
    const { item, position, cart, amount, order, amounts } = link.dataset;
    if (item) {
      send([event("click", link, position ? { item, position: Number(position) } : { item })]);
    } else if (cart) {
      send([event("cart", link, { item: cart, quantity: 1, ...(amount ? { value: Number(amount) } : {}) })]);
    } else if (order) {
      const values = JSON.parse(amounts);
      send(JSON.parse(order).map((id, at) => event("purchase", link, { item: id, quantity: 1, value: values[at] })));
    }
  };
  addEventListener("click", clicked);
  addEventListener("auxclick", clicked);

  document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* lasts for this page only */ }
  });

  // A page kept by the browser for "back" is older than what was just learned.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });

  // The chosen face may lie outside the row's window on a phone.
  const face = document.querySelector(".face.current");
  if (face) face.parentElement.scrollLeft = face.offsetLeft - face.parentElement.offsetLeft - 16;
})();
