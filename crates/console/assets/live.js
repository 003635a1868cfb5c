// Replaces parts of a page by what the server streams. The page is complete without it.
// It never touches what has the focus, never opens or closes a <details>, never scrolls.
(() => {
  const root = document.querySelector("[data-live]");
  if (!root || !window.EventSource) return;
  let source = null;
  let ended = false;

  const place = (fresh) => {
    const old = document.getElementById(fresh.id);
    if (!old || old.contains(document.activeElement)) return;
    const same = old.innerHTML === fresh.innerHTML && old.dataset.s === fresh.dataset.s;
    if (same) return;
    const open = [...old.querySelectorAll("details")].map((part) => part.open);
    if (fresh.dataset.s) old.dataset.s = fresh.dataset.s;
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll("details").forEach((part, at) => { part.open = open[at] ?? part.open; });
    if (fresh.dataset.title) document.title = fresh.dataset.title;
  };

  const stop = () => {
    source?.close();
    source = null;
  };

  const start = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource(root.dataset.live);
    source.addEventListener("parts", (event) => {
      const page = new DOMParser().parseFromString(event.data, "text/html");
      for (const fresh of page.querySelectorAll("[data-part]")) place(fresh);
    });
    source.addEventListener("end", () => { ended = true; stop(); });
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  start();
})();
