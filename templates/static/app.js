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
      if (!old || old.contains(document.activeElement) || opener(old)) return void (old && held.set(n.id, n));
      held.delete(n.id);
      old.replaceWith(document.importNode(n, true));
    };
    // What opened the dialog that is open: the focus comes back to it.
    const opener = (old) => $$("dialog[open]").some((d) => $(`[data-dialog="${d.id}"]`, old));
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
  const touched = () => $$("main input, main textarea").some((i) => (["checkbox", "radio"].includes(i.type) ? i.checked !== i.defaultChecked : i.value !== i.defaultValue));
  const waiting = $("[data-again]");
  if (waiting) {
    const ms = +waiting.dataset.again;
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
  addEventListener("pageshow", (e) => {
    $$("form[data-sent]").forEach((f) => { delete f.dataset.sent; $$("[aria-busy]", f).forEach((b) => b.removeAttribute("aria-busy")); });
    // A page out of the browser's memory has the keys of presses that are done: pressed again they would do nothing. What was typed stays.
    if (e.persisted && $("[name=key]") && !touched()) location.reload();
  });
  $("[aria-current]", $(".tabs") ?? document.createElement("i"))?.scrollIntoView({ block: "nearest", inline: "nearest" });
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

/* Restore, and what is seen in snapshots: answers that are waited for, the tree of files, what is ticked. The rules of ticks are those of the server:
   what is below a ticked folder comes along and is not named on its own. */
(() => {
  "use strict";
  const $ = (s, r = document) => r.querySelector(s);
  const $$ = (s, r = document) => [...r.querySelectorAll(s)];
  const below = (path, folder) => path.startsWith(folder.replace(/\/+$/, "") + "/") && path.length > folder.length;
  const size = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let u = 0;
    while (n >= 1023.95 && u + 1 < units.length) { n /= 1024; u++; }
    return `${n.toFixed(u === 0 || n >= 99.95 ? 0 : 1)} ${units[u]}`;
  };
  const ticked = new Set(), sizes = new Map();
  let made = 0;

  const panel = () => {
    const box = $("#ticked"), all = [...ticked].sort(), more = +box.dataset.more || 0, count = all.length + more, head = $("#ticked-n");
    const known = !more && all.every((p) => sizes.has(p));
    head.textContent = count === 0 ? head.dataset.none : count.toLocaleString("en") + (known ? `, ${size(all.reduce((sum, p) => sum + sizes.get(p), 0))}` : "");
    $("#ticked-none").hidden = count > 0;
    $("#ticked-list").hidden = count === 0;
    $("#ticked-list").replaceChildren(...all.slice(0, 50).map((path) => {
      const row = document.importNode($("#ticked-row").content, true), b = $("button", row);
      $("code", row).textContent = path;
      if (sizes.has(path)) $("small", row).textContent = size(sizes.get(path));
      b.value = path; b.setAttribute("aria-label", `Untick ${path}`);
      return row;
    }));
    $("#ticked-more").hidden = count <= 50;
    $("#ticked-more span").textContent = (count - 50).toLocaleString("en");
    $("#files").classList.toggle("some", count > 0);
  };
  const show = () => {
    const all = [...ticked];
    for (const b of $$("#files input[name=tick]")) {
      if (b.dataset.size) sizes.set(b.value, +b.dataset.size);
      const along = all.some((t) => below(b.value, t));
      b.disabled = along;
      b.checked = along || ticked.has(b.value);
      b.indeterminate = !b.checked && all.some((t) => below(t, b.value));
    }
    panel();
  };
  const begin = () => {
    if (!$("#files") || !$("#ticked-row")) return;
    ticked.clear();
    for (const row of $$("#ticked-list [data-path]")) ticked.add(row.dataset.path);
    for (const b of $$("#files input[name=tick]")) {
      // What the browser kept over a way back counts, not what the page came with.
      if (b.disabled) continue;
      if (b.checked) ticked.add(b.value); else ticked.delete(b.value);
    }
    show();
  };

  const note = (ul, text) => {
    const li = document.createElement("li"), r = document.createElement("div"), nm = document.createElement("span"), none = document.createElement("span");
    li.dataset.note = ""; r.className = "r"; nm.className = "nm faint"; none.className = "none";
    nm.append(none, text); r.append(nm); li.append(r); ul.append(li);
    for (const width of ["sk1", "sk2"]) {
      const bar = document.createElement("span");
      bar.className = `skel ${width}`; bar.setAttribute("aria-hidden", "true");
      const line = r.cloneNode(); line.append(bar); li.append(line);
    }
  };
  const fill = async (ul, cursor) => {
    const notes = () => $$(":scope > [data-note]", ul).forEach((n) => n.remove());
    const soon = setTimeout(() => { notes(); note(ul, "Opening…"); }, 150);
    ul.setAttribute("aria-busy", "true");
    const u = new URL($("#files").dataset.folder, location.href), box = document.createElement("template");
    u.searchParams.set("path", ul.dataset.path);
    if (cursor) u.searchParams.set("cursor", cursor);
    try {
      const r = await fetch(u, { headers: { "X-Fragment": "1" }, credentials: "same-origin", signal: AbortSignal.timeout(20000) });
      if (r.status === 401) return location.reload();
      if (!r.ok) throw 0;
      box.innerHTML = await r.text();
    } catch {
      box.innerHTML = `<ul><li data-note><div class="r"><span class="nm"><span class="none"></span>The server did not answer. <button class="btn btn-s" type="button" data-more="">Try again</button></span></div></li></ul>`;
    }
    clearTimeout(soon); notes(); ul.removeAttribute("aria-busy");
    const again = $("button[data-more='']", box.content);
    if (again) again.dataset.more = cursor;
    ul.append(...$("ul", box.content).children);
    show();
    const later = $(":scope > [data-soon]", ul);
    if (later) setTimeout(() => ul.isConnected && fill(ul, cursor), +later.dataset.soon);
  };
  const twist = (b) => {
    const li = b.closest("li");
    let ul = $(":scope > ul", li);
    const open = !ul || ul.hidden;
    if (!ul) {
      ul = document.createElement("ul");
      ul.id = `t-${++made}`; ul.dataset.path = b.value;
      li.append(ul); b.setAttribute("aria-controls", ul.id);
      fill(ul, "");
    }
    ul.hidden = !open; b.setAttribute("aria-expanded", String(open));
  };
  document.addEventListener("click", (e) => {
    const b = e.target.closest(".tree .twist, .tree [data-more], #ticked-list [name=untick]");
    if (!b || !$("#ticked-row")) return;
    e.preventDefault();
    if (b.matches(".twist")) return twist(b);
    if (b.matches("[data-more]")) return void fill(b.closest("ul"), b.dataset.more);
    ticked.delete(b.value);
    if (!$$("#files [name=shown]").some((s) => s.value === b.value)) {
      const shown = document.createElement("input");
      shown.type = "hidden"; shown.name = "shown"; shown.value = b.value; $("#files").append(shown);
    }
    show();
    ($("#ticked-list button") || $("#files [name=go]")).focus();
  });
  document.addEventListener("change", (e) => {
    const b = e.target;
    if (b.matches("#files input[name=tick]")) {
      if (b.checked) { for (const t of [...ticked]) if (below(t, b.value)) ticked.delete(t); ticked.add(b.value); } else ticked.delete(b.value);
      show();
    } else if (b.id === "host" && $("#folder[data-linux]")) {
      const { linux, windows } = $("#folder").dataset, is = "windows" in (b.selectedOptions?.[0]?.dataset ?? {});
      if ([linux, windows].includes($("#folder").value)) $("#folder").value = is ? windows : linux;
    }
  });
  addEventListener("pageshow", begin);

  /* A page that came without its host's answer asks once more and waits for it; while the snapshot is read for the first time it looks again, but
     not over the head of somebody who is typing. */
  const touched = () => $$("main input").some((i) => i.value !== i.defaultValue);
  const wait = async () => {
    const first = $("[data-wait]"), again = $("[data-again]");
    if (!first && !again) return;
    if (!first && (document.hidden || touched())) return void setTimeout(wait, 2000);
    const r = await fetch(location.href, { headers: { "X-Wait": "1" }, credentials: "same-origin", signal: AbortSignal.timeout(20000) }).catch(() => null);
    if (r?.status === 401) return location.reload();
    const came = r?.ok ? new DOMParser().parseFromString(await r.text(), "text/html") : null;
    if (!came || !$("#main", came) || (!first && (touched() || $("#main").contains(document.activeElement)))) return void setTimeout(wait, 2000);
    const typed = $("#find")?.value, focused = document.activeElement?.id === "find";
    $("#main").replaceWith($("#main", came));
    if (first && $("#find")) { if (typed) $("#find").value = typed; if (focused) $("#find").focus(); }
    begin();
    if ($("[data-again]")) setTimeout(wait, 2000);
  };
  if ($("[data-wait]")) wait();
})();
