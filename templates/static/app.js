/* restic-manager · the only script. Every page works without it; this adds live updates and keys.
   No inline handlers, no eval: runs under script-src 'self'. */
(() => {
  "use strict";
  const $ = (s, r = document) => r.querySelector(s);
  const $$ = (s, r = document) => [...r.querySelectorAll(s)];

  /* 1. Live fragments: <div data-poll="/ui/…/live" data-cursor="…" data-every="2000">.
        The answer is <template data-cursor="…" [data-url] [data-reload]> holding elements with ids:
        each replaces the element of that id; <… data-append="ID"> adds its children to the end of ID. */
  const live = $("#live");
  const say = (state, text) => { if (live && live.textContent + live.dataset.state !== text + state) { live.hidden = false; live.dataset.state = state; live.textContent = text; } };
  const poll = (el) => {
    let every = +el.dataset.every || 2000, fails = 0, asking = false, timer;
    const held = new Map(); // what came while its element held the focus; it takes its place once the focus has gone
    const again = (ms) => { clearTimeout(timer); timer = setTimeout(tick, ms); };
    const put = (n) => {
      const old = document.getElementById(n.id);
      if (!old || old.contains(document.activeElement)) return void (old && held.set(n.id, n));
      held.delete(n.id);
      old.replaceWith(document.importNode(n, true));
    };
    const settle = () => [...held.values()].forEach(put);
    const apply = (t) => {
      for (const n of [...t.content.children]) {
        if (!n.dataset.append) { put(n); continue; }
        const box = document.getElementById(n.dataset.append);
        if (!box) continue;
        const low = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
        box.append(...n.childNodes);
        while (box.children.length > 500) box.firstElementChild.remove();
        if (low) box.scrollTop = box.scrollHeight;
      }
      if (t.dataset.title) document.title = t.dataset.title;
    };
    const tick = async () => {
      if (asking) return;
      if (document.hidden) return again(every);
      asking = true;
      try {
        const u = new URL(el.dataset.poll, location.href);
        if (el.dataset.cursor) u.searchParams.set("cursor", el.dataset.cursor);
        const r = await fetch(u, { headers: { "X-Fragment": "1" }, credentials: "same-origin", signal: AbortSignal.timeout(20000) });
        if (r.status === 401) return location.reload();
        if (r.status !== 204) {
          if (!r.ok) throw 0;
          const box = document.createElement("template");
          box.innerHTML = await r.text();
          const t = box.content.firstElementChild;
          apply(t);
          el.dataset.cursor = t.dataset.cursor;
          if ("reload" in t.dataset && !document.querySelector("dialog[open]")) return location.replace(location.pathname);
        }
        fails = 0; say("live", "Live"); again(every);
      } catch { fails++; const s = Math.min(30, 2 ** fails); say("paused", `No connection, retry in ${s} s`); again(s * 1000); } finally { asking = false; }
    };
    say("live", "Live"); again(every);
    document.addEventListener("focusout", () => setTimeout(settle));
    document.addEventListener("visibilitychange", () => document.hidden || again(0));
  };
  $$("[data-poll]").forEach(poll);

  /* Pages that look again by themselves, <… data-again="2000">: not over the head of somebody who is typing or ticking, and not while
     nothing answers, for then what is seen would be gone. While it goes on waiting, what came takes the place of what is shown, where that holds no focus. */
  const waiting = $("[data-again]");
  if (waiting) {
    const ms = +waiting.dataset.again;
    const touched = () => $$("main input").some((i) => i.value !== i.defaultValue || i.checked !== i.defaultChecked);
    const look = async () => {
      if (!document.hidden && !touched()) {
        const text = await fetch(location.href, { credentials: "same-origin", signal: AbortSignal.timeout(20000) })
          .then((r) => (r.ok ? r.text() : null)).catch(() => null);
        if (text === null) say("paused", `No connection, retry in ${ms / 1000} s`);
        else if (!touched()) {
          const came = new DOMParser().parseFromString(text, "text/html");
          if (!$("[data-again]", came)) return location.reload();
          say("live", "Live");
          if (!$("#main").contains(document.activeElement)) $("#main").replaceWith($("#main", came));
        }
      }
      setTimeout(look, ms);
    };
    setTimeout(look, ms);
  }

  /* Which zone the times of the next page are shown in. */
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`rm_zone=${zone}`)) document.cookie = `rm_zone=${zone}; path=/; samesite=lax; max-age=34560000${location.protocol === "https:" ? "; secure" : ""}`;

  /* 2. Clicks: copy, dialogs, quick choices, close menus */
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-copy],[data-dialog],[data-close],[data-cron]");
    for (const m of $$("details.menu[open]")) if (!m.contains(e.target)) m.open = false;
    if (!b) return;
    const d = b.dataset;
    if (d.copy) {
      navigator.clipboard?.writeText(document.getElementById(d.copy).textContent.trim());
      const was = b.lastChild.textContent; b.lastChild.textContent = "Copied"; setTimeout(() => (b.lastChild.textContent = was), 1600);
    }
    const dlg = d.dialog && document.getElementById(d.dialog);
    if (dlg) { e.preventDefault(); dlg.showModal(); }
    if ("close" in d) b.closest("dialog")?.close();
    if (d.cron) { const f = $("#cron"); f.value = d.cron; f.focus(); f.dispatchEvent(new Event("input", { bubbles: true })); }
  });

  /* 3. Forms: the theme without a new page, one press is one press, Manual takes the cron fields out of the form, errors get the focus */
  document.addEventListener("submit", (e) => {
    const f = e.target, b = e.submitter;
    if ("themeForm" in f.dataset && b) {
      e.preventDefault();
      const t = b.value === "system" ? "" : b.value;
      if (t) document.documentElement.dataset.theme = t; else delete document.documentElement.dataset.theme;
      document.cookie = `rm_theme=${t}; path=/; samesite=lax; max-age=${t ? 34560000 : 0}${location.protocol === "https:" ? "; secure" : ""}`;
      f.closest("details")?.removeAttribute("open");
      const sheet = f.closest("[popover]"); if (sheet) sheet.hidePopover();
      return;
    }
    if ("sent" in f.dataset) return e.preventDefault();
    f.dataset.sent = ""; b?.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => $$("form[data-sent]").forEach((f) => { delete f.dataset.sent; $$("[aria-busy]", f).forEach((b) => b.removeAttribute("aria-busy")); }));
  const manual = $("#manual");
  const when = () => $$(".if-cron input").forEach((i) => (i.disabled = manual.checked));
  if (manual) { manual.addEventListener("change", when); when(); }

  /* The next runs of a cron line while it is typed: the server reads it. Answers that were overtaken are dropped; without an answer
     the card stays as it is, and saving checks again. */
  const sched = $("form[data-runs]");
  if (sched) {
    const typed = ["cron", "timezone", "drill_cron", "repository", "manual", "paths", "excludes"].map((n) => sched.elements[n]).concat($$("[name^=keep_]", sched));
    let timer, asked = 0;
    const look = async () => {
      const mine = ++asked, u = new URL(sched.dataset.runs, location.href);
      for (const i of typed) if (i.type !== "checkbox" || i.checked) u.searchParams.set(i.name, i.value.slice(0, 1000));
      try {
        const r = await fetch(u, { headers: { "X-Fragment": "1" }, credentials: "same-origin" });
        const box = document.createElement("template");
        box.innerHTML = r.ok ? await r.text() : "";
        const card = box.content.firstElementChild;
        if (card && mine === asked) { $("#runs").replaceWith(document.importNode(card, true)); $("#applied").textContent = card.dataset.applied; }
      } catch { /* no connection: the next key asks again */ }
    };
    for (const i of typed) i.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 250); });
  }
  $$("[data-script]").forEach((n) => (n.hidden = false));

  /* Many hosts at once: how many are ticked, all of the page with one tick, and what "all" means is said where it is counted. */
  const all = $("#pick-all"), bulk = $("#bulk");
  if (all && bulk) {
    const picks = $$(".pick"), every = $("[name=all]", bulk);
    const count = () => {
      const on = picks.filter((p) => p.checked).length;
      all.checked = on > 0 && on === picks.length;
      all.indeterminate = on > 0 && on < picks.length;
      $("#bulk-n").textContent = every?.checked ? "All selected" : `${on} selected`;
    };
    all.addEventListener("change", () => { for (const p of picks) p.checked = all.checked; count(); });
    for (const p of [...picks, every]) p?.addEventListener("change", count);
    addEventListener("pageshow", count);
    count();
  }
  $("[data-focus]")?.focus();
  $$(".log").forEach((l) => (l.scrollTop = l.scrollHeight));

  /* 4. Keys: "?" help, "/" search, g + letter to go, Escape closes a menu. Never while typing, and not at all if the user has turned
        them off; Escape always does. */
  const go = Object.fromEntries($$("[data-go]").map((a) => [a.dataset.go, a]));
  const quiet = document.documentElement.dataset.keys === "off";
  let g = 0;
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") for (const m of $$("details.menu[open]")) { m.open = false; $("summary", m).focus(); }
    if (quiet || e.ctrlKey || e.metaKey || e.altKey || e.isComposing || $("dialog[open]") || e.target.closest("input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]")) return;
    const led = Date.now() - g < 1200 && go[e.key];
    g = e.key === "g" ? Date.now() : 0;
    if (led) { e.preventDefault(); led.click(); }
    else if (e.key === "?") { e.preventDefault(); $("#keys")?.showModal(); }
    else if (e.key === "/") {
      e.preventDefault();
      const box = $("#search");
      if (box?.checkVisibility()) box.focus(); else if (box) location.assign("/search");
    }
  });
})();
