// The try-out page: reads /models, /metadata and /openapi.json, and shows what they say.

import { byId, printable } from "./dom.js";
import { showCard, showHero } from "./card.js";
import { isOf, showChoice, showList } from "./models.js";
import { showPanes } from "./panes.js";
import { showReference } from "./reference.js";
import { getJson, openWithKey } from "./service.js";

async function start() {
  const { models, missing } = await getJson("/models");
  const several = models.length + Object.keys(missing).length > 1;
  const name = new URLSearchParams(location.search).get("model");
  const chosen = several ? models.find((model) => model.name === name) : models[0];
  if (chosen) await showModel(chosen, several ? chosen.path : "", models);
  else await showAll(models, missing, name);
  if (several && chosen) showChoice(models, missing, chosen);
  document.body.dataset.ready = "true";
}

// One model. Where the server has several, the routes of the others are left out.
async function showModel(chosen, prefix, models) {
  const [metadata, openapi] = await Promise.all([getJson(`${prefix}/metadata`), getJson("/openapi.json")]);
  showHero(metadata);
  showCard(metadata);
  showPanes(metadata, openapi, prefix);
  showReference(openapi, (path) => !models.some((model) => model !== chosen && isOf(model, path)));
  byId("foot").textContent = printable(`Served by Septet. ${metadata.name} ${metadata.version}, ${metadata.digest}`);
}

// The models to choose from, and the routes that are of none of them.
async function showAll(models, missing, name) {
  showList(models, missing, name);
  showReference(await getJson("/openapi.json"), (path) => !models.some((model) => isOf(model, path)));
  byId("foot").textContent = "Served by Septet.";
}

openWithKey(document.querySelector("nav a[href='openapi.json']"), "/openapi.json");
start().catch((error) => {
  byId("name").textContent = "The model cannot be shown";
  byId("failure").hidden = false;
  byId("failure").textContent = printable(`${error.message}. Check that the service is ready, then load this page again.`);
});
