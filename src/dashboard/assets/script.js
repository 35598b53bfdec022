// Copying, saving, news, and keys. Everything else works without.
"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const reveal = (root) => all("button.copy[hidden]", root).forEach((button) => (button.hidden = false));

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const before = button.getAttribute("aria-label");
    button.classList.add("done");
    button.setAttribute("aria-label", "Copied");
    button.title = "Copied";
    setTimeout(() => {
      button.classList.remove("done");
      if (before) button.setAttribute("aria-label", before);
      else button.removeAttribute("aria-label");
      button.title = before || "";
    }, 1500);
  }

  function save(button) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([button.dataset.text], { type: "text/plain" }));
    link.download = button.dataset.save;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    if (button.dataset.copy !== undefined) copy(button);
    else if (button.dataset.save) save(button);
  });

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    setTimeout(() => all("button[type=submit]", event.target).forEach((button) => (button.disabled = true)));
  });
  addEventListener("pageshow", () => all("button[disabled]").forEach((button) => (button.disabled = false)));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const search = document.querySelector("[data-search]");
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  // News: the page is fetched again, and what may change is put in its place.
  const main = document.querySelector("main");
  const away = document.getElementById("away");
  let seconds = Number(main?.dataset.live || 0);
  const say = (text) => {
    if (!away) return;
    if (text) away.textContent = text;
    away.hidden = !text;
  };
  // Nothing is taken away under somebody's hands.
  const busy = (node) =>
    node.contains(document.activeElement) && document.activeElement !== node || Boolean(node.querySelector("details[open]")) ||
    !getSelection().isCollapsed && node.contains(getSelection().anchorNode);
  async function look() {
    if (document.hidden) return;
    const stop = new AbortController();
    const slow = setTimeout(() => stop.abort(), 20000);
    try {
      const answer = await fetch(location.href, { headers: { "columnseal-live": "1" }, signal: stop.signal, cache: "no-store" });
      if (answer.status === 401) {
        seconds = 0;
        say("Your session has ended. Sign in again in another tab, then reload this page.");
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      say("");
      all("[data-swap][id]").forEach((old) => {
        const next = fresh.getElementById(old.id);
        if (next && !busy(old) && next.outerHTML !== old.dataset.was) {
          next.dataset.was = next.outerHTML;
          reveal(next);
          old.replaceWith(next);
        }
      });
      const told = fresh.querySelector("main")?.dataset.live;
      seconds = told ? Number(told) : 0;
    } catch {
      say("The server does not answer. This page keeps trying.");
    } finally {
      clearTimeout(slow);
    }
  }
  async function follow() {
    while (seconds > 0) {
      await new Promise((done) => setTimeout(done, seconds * 1000));
      await look();
    }
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && seconds > 0) look();
  });

  reveal(document);
  follow();
  document.querySelector("form[data-submit]")?.requestSubmit();
})();
