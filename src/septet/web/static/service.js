// Requests to the service. Where it asks for an API key, the reader is asked: the key stays in this tab, and is sent in a
// header, never in an address.

import { address, byId, h } from "./dom.js";

const STORED = "septet-api-key";
const UNAUTHORIZED = 401;

let known = "";
let asking = null;

// Answers once the service has accepted the key, or needs none.
export async function ask(path, { headers = {}, ...init } = {}) {
  for (;;) {
    const key = stored();
    const sent = key ? { ...headers, authorization: `Bearer ${key}` } : headers;
    const response = await fetch(address(path), { ...init, headers: sent });
    if (response.status !== UNAUTHORIZED) return response;
    // Another request may have brought a new one since.
    if (stored() === key) await newKey(Boolean(key));
  }
}

export async function getJson(path) {
  const response = await ask(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

// Lets a link show what a browser cannot ask for by itself: it would send no key.
export function openWithKey(link, path) {
  link.addEventListener("click", async (event) => {
    if (!stored()) return;
    event.preventDefault();
    const response = await ask(path);
    location.assign(URL.createObjectURL(await response.blob()));
  });
}

function stored() {
  try {
    return sessionStorage.getItem(STORED) || known;
  } catch {
    return known;  // the browser keeps nothing for this page
  }
}

function keep(key) {
  known = key;
  try {
    sessionStorage.setItem(STORED, key);
  } catch {
    // It is known until the page is left.
  }
}

// Asks the reader, once for all requests that wait.
function newKey(refused) {
  asking ??= new Promise((resolve) => {
    // Before the model is shown there is nothing else to see.
    const empty = document.body.dataset.ready ? [] : [byId("one"), byId("reference")];
    for (const part of empty) part.hidden = true;
    if (empty.length) byId("name").textContent = "A key is needed";
    const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
    const problem = h("p", { class: "problem", id: "key-problem", hidden: !refused }, "This key is not accepted.");
    input.setAttribute("aria-describedby", "key-problem");
    const submit = (event) => {
      event.preventDefault();
      const key = input.value.trim();
      if (!/^[\w.~+/-]+=*$/.test(key)) {
        problem.textContent = "A key has letters, digits and ._~+/- only.";
        problem.hidden = false;
        return;
      }
      keep(key);
      form.remove();
      for (const part of empty) part.hidden = false;
      asking = null;
      resolve();
    };
    const form = h("form", { id: "key-form", class: "card", onsubmit: submit },
      h("h2", {}, "API key"),
      h("p", { class: "muted" }, "This service asks for a key. It stays in this tab, and is forgotten with it."),
      h("div", { class: "field" }, h("label", { for: "key" }, "Key"), h("div", { class: "control" }, input), problem),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Use this key")));
    byId("failure").after(form);
    input.focus();
  });
  return asking;
}
