/* What a page looks like to somebody who measures it. Each function answers a list of complaints; an empty list is a good page.
   Only tests load this. */
window.looks = (() => {
  "use strict";
  const all = (css, root = document) => [...root.querySelectorAll(css)];
  const short = (text) => text.replace(/\s+/g, " ").trim().slice(0, 48);
  const named = (el) => {
    const css = (el.getAttribute("class") || "").trim().replace(/\s+/g, ".");
    return `<${el.tagName.toLowerCase()}${el.id ? "#" + el.id : ""}${css ? "." + css : ""}> "${short(el.textContent)}"`;
  };
  const style = (el) => getComputedStyle(el);
  /* What is only for ears is clipped away on purpose. */
  const forEars = (el) => {
    for (let e = el; e; e = e.parentElement) if (style(e).clipPath === "inset(50%)" || e.matches(".skip")) return true;
    return false;
  };
  const shown = (el) => {
    const box = el.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && el.checkVisibility({ checkVisibilityCSS: true }) && !forEars(el);
  };

  /* 1. Geometry */
  const scrolls = (el) => ["auto", "scroll"].includes(style(el).overflowX);
  const scroller = (el) => {
    for (let e = el.parentElement; e && e !== document.documentElement; e = e.parentElement) if (scrolls(e)) return e;
    return null;
  };
  const ellipsis = (el) => el.closest(".crumbs, .steps");
  /* A name that may break anywhere and has no room. */
  const stacked = (el) => {
    const text = el.childElementCount === 0 ? el.textContent.trim() : "";
    if (text.length < 4) return false;
    const range = document.createRange();
    range.selectNodeContents(el);
    const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size;
    return lines > 2 && text.length / lines < 4;
  };
  const misfit = (el, css) => {
    if (css.display === "inline") return stacked(el) && "is so narrow that its letters stand one below the other";
    const beyond = el.scrollWidth - el.clientWidth;
    if (scrolls(el)) {
      // Tabs and logs may go on beyond their edge; a table fits, or its least columns give way, or it becomes cards.
      return beyond > 1 && !el.matches(".tabs, .seg, .log, pre") && `has to be scrolled sideways, ${el.scrollWidth} of ${el.clientWidth}`;
    }
    if (beyond > 1 && el.clientWidth > 0) return `${css.overflowX === "visible" ? "holds more than its width" : "is clipped"}, ${el.scrollWidth} of ${el.clientWidth}`;
    if (["hidden", "clip"].includes(css.overflowY) && el.scrollHeight > el.clientHeight + 1 && el.clientHeight > 0) return `is clipped below, ${el.scrollHeight} of ${el.clientHeight}`;
    return stacked(el) && `is so narrow that its letters stand one below the other, ${el.clientWidth}`;
  };
  const geometry = () => {
    const wrong = new Map(), width = document.documentElement.clientWidth;
    for (const el of all("body *")) {
      if (el.closest("svg svg, svg > *, option, datalist, noscript, dialog:not([open]), [popover]:not(:popover-open)") || !shown(el)) continue;
      const box = el.getBoundingClientRect(), css = style(el);
      if ((box.right > width + 1 || box.left < -1) && !scroller(el)) wrong.set(el, `sticks out of the page, ${Math.round(box.left)} to ${Math.round(box.right)}`);
      else if (!el.matches("svg, input, select, textarea, progress, img") && !ellipsis(el)) {
        const found = misfit(el, css);
        if (found) wrong.set(el, found);
      }
    }
    // The innermost is the cause.
    const causes = [...wrong].filter(([el]) => ![...wrong.keys()].some((other) => other !== el && el.contains(other)));
    // One of a kind is enough.
    const kinds = new Map(causes.map(([el, what]) => [what.replace(/\d+/g, "") + el.tagName + el.className, `${what}: ${named(el)}`]));
    const said = [...kinds.values()];
    if (document.documentElement.scrollWidth > width + 1) said.unshift(`the page scrolls sideways: ${document.documentElement.scrollWidth} of ${width}`);
    return said.slice(0, 12);
  };

  /* 2. Colours */
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      paint.clearRect(0, 0, 1, 1);
      paint.fillStyle = "#000";
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
      const d = paint.getImageData(0, 0, 1, 1).data;
      known.set(colour, [d[0], d[1], d[2], d[3] / 255]);
    }
    return known.get(colour);
  };
  const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3])).concat(1);
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (el) => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) {
      const c = rgba(style(e).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] > 0.999) break;
    }
    const last = layers.at(-1);
    if (!last || last[3] <= 0.999) layers.push(rgba(style(document.body).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const faint = (el) => {
    let share = 1;
    for (let e = el; e; e = e.parentElement) share *= +style(e).opacity;
    return share;
  };
  const readable = (el, css, text) => {
    const below = ground(el), ink = rgba(css.color).slice();
    ink[3] *= faint(el);
    const size = parseFloat(css.fontSize), found = ratio(over(ink, below), below);
    const want = size >= 24 || (size >= 18.66 && +css.fontWeight >= 700) ? 3 : 4.5;
    return found < want - 0.005 ? `contrast ${found.toFixed(2)} of ${want}: "${short(text)}" in ${named(el)}` : null;
  };
  const colours = () => {
    const wrong = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const text = walk.currentNode.textContent, el = walk.currentNode.parentElement;
      if (!text.trim() || !shown(el) || el.closest("[disabled], [aria-disabled=true], svg, noscript, script, option, datalist")) continue;
      if (parseFloat(style(el).fontSize) === 0) continue;
      wrong.add(readable(el, style(el), text));
    }
    for (const el of all("input, select, textarea")) {
      if (!shown(el) || el.disabled || el.matches("[type=checkbox], [type=radio]")) continue;
      if (el.value) wrong.add(readable(el, style(el), el.value));
      else if (el.placeholder) wrong.add(readable(el, getComputedStyle(el, "::placeholder"), el.placeholder));
    }
    wrong.delete(null);
    return [...wrong].slice(0, 12);
  };
  const PAIRS = [
    ...["text", "text-2", "text-3"].flatMap((ink) => ["surface", "bg", "sunken", "hover"].map((below) => [ink, below, 4.5])),
    ["text-2", "mute-bg", 4.5], ["accent", "surface", 4.5], ["accent", "bg", 4.5], ["on-btn", "btn", 4.5], ["on-btn", "btn-hover", 4.5],
    ...["ok", "warn", "bad", "run"].flatMap((s) => [[s, `${s}-bg`, 4.5], [s, "surface", 4.5], [`${s}-g`, "surface", 3]]),
    ["mute-g", "surface", 3], ["edge", "surface", 3],
  ];
  const tokens = () => {
    const probe = document.body.appendChild(document.createElement("i"));
    const of = (token) => { probe.style.color = `var(--${token})`; return rgba(style(probe).color); };
    const wrong = PAIRS.map(([ink, below, want]) => [ink, below, want, ratio(of(ink), of(below))]).filter((p) => p[3] < p[2]);
    probe.remove();
    return wrong.map(([ink, below, want, found]) => `token --${ink} on --${below}: ${found.toFixed(2)} of ${want}`);
  };

  /* 3. Names and references */
  const byIds = (ids) => ids.split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent || "").join(" ");
  const name = (el) => [
    byIds(el.getAttribute("aria-labelledby") || ""), el.getAttribute("aria-label"), [...(el.labels || [])].map((l) => l.textContent).join(" "),
    el.matches("input, select, textarea, progress") ? "" : el.textContent, el.matches("input[type=submit]") ? el.value : "", el.getAttribute("title"),
  ].map((n) => (n || "").trim()).find(Boolean);
  const CONTROLS = "button, a[href], input:not([type=hidden]), select, textarea, summary, progress, dialog, nav, [role=img], [role=meter], [role=log], [role=group], [tabindex='0']";
  const REFERENCES = ["aria-labelledby", "aria-controls", "aria-describedby", "for", "form", "list", "popovertarget"];
  const names = () => {
    const wrong = all(CONTROLS).filter((el) => !name(el)).map((el) => `has no name: ${el.outerHTML.slice(0, 120)}`);
    const ids = all("[id]").map((el) => el.id);
    for (const id of new Set(ids.filter((x, n) => ids.indexOf(x) !== n))) wrong.push(`the id ${id} is there twice`);
    for (const a of REFERENCES) {
      for (const el of all(`[${a}]`)) {
        for (const id of el.getAttribute(a).split(/\s+/).filter(Boolean)) if (!document.getElementById(id)) wrong.push(`${a} points nowhere: ${id}`);
      }
    }
    for (const el of all("a[href^='#']")) if (!document.getElementById(el.getAttribute("href").slice(1))) wrong.push(`a link leads nowhere: ${el.getAttribute("href")}`);
    const heads = all("h1").length;
    if (heads !== 1) wrong.push(`${heads} headings of the first level`);
    if (!document.title.trim() || !document.documentElement.lang) wrong.push("no title or no language");
    return wrong.slice(0, 12);
  };

  /* 4. What was loaded */
  const loaded = () => performance.getEntriesByType("resource").flatMap((e) => {
    const wrong = [];
    if (new URL(e.name).origin !== location.origin) wrong.push(`asks another server: ${e.name}`);
    if (e.responseStatus >= 400) wrong.push(`${e.responseStatus} for ${e.name}`);
    return wrong;
  });

  /* 5. axe-core. Contrast is measured above, with what lies below a text. */
  const axes = async () => {
    const found = await axe.run(document, { resultTypes: ["violations"], rules: { "color-contrast": { enabled: false } } });
    const grave = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
    return grave.flatMap((v) => v.nodes.slice(0, 3).map((n) => `axe ${v.id}: ${n.html.slice(0, 140)}`));
  };

  return { geometry, colours, tokens, names, loaded, axes };
})();
