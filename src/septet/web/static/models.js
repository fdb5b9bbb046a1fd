// The models of a server that has several. Each has an address of its own: this page with `?model=` and its name.

import { byId, h, printable } from "./dom.js";
import { KINDS } from "./card.js";

// Whether a path of openapi.json is of this model, in whichever protocol: `/models/iris/predict`, `/v1/models/iris:predict`.
export function isOf(model, path) {
  const [, segment] = /\/models\/([^/:]+)/.exec(path) || [];
  return `/models/${segment}` === model.path;
}

// The list, in place of the form and the card of one model.
export function showList(models, missing, unknown) {
  const reasons = Object.entries(missing);
  const count = models.length + reasons.length;
  document.title = `${count} models`;
  byId("name").textContent = document.title;
  byId("lead").textContent = "Choose one to try it out.";
  if (unknown !== null) {
    byId("failure").hidden = false;
    byId("failure").textContent = printable(reasonOf(unknown, missing));
  }
  byId("one").hidden = true;
  byId("scope").textContent = "The routes of the whole server. Each model's own stand on its page.";
  for (const link of document.querySelectorAll("nav a[href='#try'], nav a[href='#model'], .skip")) link.hidden = true;
  byId("failure").after(h("ul", { class: "models", "aria-label": "Models" },
    models.map((model) => h("li", {}, h("a", { class: "card", href: addressOf(model) },
      h("strong", {}, model.name),
      h("span", { class: "muted" }, model.description || KINDS[model.kind] || ""),
      h("span", { class: "muted meta" }, `version ${model.version}, ${model.kind}`)))),
    reasons.map(([name, reason]) => h("li", {}, h("div", { class: "card" },
      h("strong", {}, name), h("span", { class: "chip bad" }, "not loaded"), h("span", { class: "muted meta" }, reason))))));
}

// Links to all models, above the one that is shown.
export function showChoice(models, missing, chosen) {
  const links = models.map((model) => h("li", {},
    h("a", { class: "chip", href: addressOf(model), "aria-current": model === chosen ? "page" : null }, model.name)));
  const others = Object.entries(missing).map(([name, reason]) =>
    h("li", { class: "chip bad", title: reason }, `${name}: not loaded`));
  byId("hero").prepend(h("nav", { class: "choice", "aria-label": "Models" },
    h("a", { href: location.pathname }, "All models"), h("ul", { class: "chips" }, links, others)));
}

function reasonOf(name, missing) {
  return Object.hasOwn(missing, name) ? `The model ${name} could not be loaded: ${missing[name]}` : `There is no model ${name} here.`;
}

function addressOf({ name }) {
  return `?${new URLSearchParams({ model: name })}`;
}
