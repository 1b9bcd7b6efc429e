"use strict";

// News: ask for this page again with its tag, and put in what has changed, so that whatever is
// open, focused or scrolled stays as it is. A sandbox that is away is asked again until it is back.
const SECONDS = { call: 0.5, seen: 1.5, hiddenWithPhones: 2, hidden: 10 };
const PARTS = "[data-live]:not([data-live] *)"; // those in no other one
const state = document.getElementById("state");
const source = new Map();
let tag = document.documentElement.dataset.tag;
let timer;
let asked = Promise.resolve();

function remember(root) {
  for (const part of root.querySelectorAll("[data-live] > [id]")) source.set(part.id, part.outerHTML);
}

function renew(part, fresh) {
  const had = new Map([...part.children].map((child) => [child.id, child]));
  const nodes = [...fresh.children].map((child) => {
    const old = had.get(child.id);
    if (old && source.get(child.id) === child.outerHTML) return old;
    if (old?.matches("[data-live]") && child.matches("[data-live]")) {
      for (const { name, value } of child.attributes) old.setAttribute(name, value);
      renew(old, child);
      return old;
    }
    const node = document.importNode(child, true);
    if (!old) node.classList.add("new");
    for (const details of [node, ...node.querySelectorAll("details[id]")]) {
      if (document.getElementById(details.id)?.open) details.open = true;
    }
    return node;
  });
  for (const child of [...part.children]) if (!nodes.includes(child)) child.remove();
  let next = part.firstElementChild;
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling;
    else part.insertBefore(node, next);
  }
}

function put(fresh) {
  const focused = document.activeElement?.id;
  const phone = document.activeElement?.closest(".phone")?.id;
  for (const part of document.querySelectorAll(PARTS)) {
    const other = fresh.getElementById(part.id);
    if (other) renew(part, other);
    else part.replaceChildren();
  }
  source.clear();
  remember(fresh);
  if (focused && document.activeElement?.id !== focused) {
    // A button that is gone (Answer) leaves the focus to its phone.
    const next = document.getElementById(focused) ?? document.getElementById(phone);
    next?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
  document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
  tag = fresh.documentElement.dataset.tag;
}

function pace() {
  if (document.querySelector(".phone:not(.idle)")) return SECONDS.call;
  if (!document.hidden) return SECONDS.seen;
  return document.querySelector(".phone") ? SECONDS.hiddenWithPhones : SECONDS.hidden;
}

// One question after another: an old answer never overtakes a new one.
function look() {
  asked = asked.then(ask);
  return asked;
}

async function ask() {
  clearTimeout(timer);
  try {
    const answer = await fetch(location.href, {
      headers: { "If-None-Match": `"${tag}"`, ...(document.hidden && { "X-Hidden": "1" }) },
      cache: "no-store",
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.status === 200) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      // A part that this page was opened without (the first chart) needs the page anew.
      const parts = [...fresh.querySelectorAll(PARTS)];
      if (parts.some((part) => !document.getElementById(part.id))) return location.reload();
      put(fresh);
    } else if (answer.status !== 304) throw new Error(answer.statusText);
    say("live", "Live");
  } catch {
    say("lost", "Not connected, trying again");
  }
  clearTimeout(timer);
  timer = setTimeout(look, 1000 * pace());
}

function say(kind, words) {
  if (state.className === kind) return;
  state.className = kind;
  state.textContent = words;
}

remember(document);
say("live", "Live");
timer = setTimeout(look, 1000 * pace());
document.addEventListener("visibilitychange", () => document.hidden || look());

// A failure's link opens what it leads to.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener("hashchange", open);
open();

// Pictures are links; here they open larger, in place.
const viewer = document.getElementById("viewer");
let opener;
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.picture");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  opener = link.id;
  const title = link.querySelector("span").textContent;
  const picture = document.getElementById("viewer-picture");
  picture.src = link.href;
  picture.alt = title;
  document.getElementById("viewer-title").textContent = title;
  viewer.showModal();
});
viewer.addEventListener("click", (event) => {
  if (event.target === viewer || event.target.closest("#viewer-close")) viewer.close();
});
viewer.addEventListener("close", () => {
  // The browser gives the focus back by itself, except to a link that came anew meanwhile.
  if (document.activeElement === document.body) document.getElementById(opener)?.focus();
});
