// The try-out page: reads /metadata and /openapi.json, and shows what they say.

import { byId, getJson } from "./dom.js";
import { showCard, showHero } from "./card.js";
import { showPanes } from "./panes.js";
import { showReference } from "./reference.js";

async function start() {
  const [metadata, openapi] = await Promise.all([getJson("metadata"), getJson("openapi.json")]);
  showHero(metadata);
  showCard(metadata);
  showPanes(metadata, openapi);
  showReference(openapi);
  byId("foot").textContent = `Served by Septet. ${metadata.name} ${metadata.version}, ${metadata.digest}`;
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  byId("name").textContent = "The model cannot be shown";
  byId("failure").hidden = false;
  byId("failure").textContent = `${error.message}. Check that the service is ready, then load this page again.`;
});
