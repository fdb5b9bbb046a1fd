// The ways to write rows, as tabs: a form, JSON, a CSV file. Each sends to the public routes and shows their answer.

import { Answer } from "./answer.js";
import { byId, h, pretty, printable } from "./dom.js";
import { RowForm } from "./form.js";
import { follow } from "./job.js";
import { ask } from "./service.js";

const MOST_FIELDS = 200;
const LATER = "later";

// `prefix` stands before the paths of the model's routes; it is empty where the server has one model.
export function showPanes(model, openapi, prefix) {
  const content = openapi.paths[`${prefix}/predict`].post.requestBody.content;
  const examples = content["application/json"].examples || {};
  const labels = Boolean(openapi.paths[`${prefix}/predict/label`].post.responses["200"]);
  const answer = new Answer(byId("answer"), model);
  const jobs = Boolean(openapi.paths[`${prefix}/predict/async`]);
  const send = (event, type, body, form) => {
    const asked = { type, body, form, prefix, labels, answer };
    return event.submitter?.value === LATER ? submitJob(asked) : predict(asked);
  };
  const panes = [];
  const row = examples.data && examples.data.value.data[0];
  if (model.rows && model.columns.length && model.columns.length <= MOST_FIELDS) {
    panes.push(["Form", formPane(model, Array.isArray(row) ? row : [row], send, jobs)]);
  }
  panes.push(["JSON", jsonPane(examples, send, jobs)]);
  if (content["text/csv"]) panes.push(["CSV", csvPane(content["text/csv"].example || "", send, jobs)]);
  showTabs(panes);
}

async function predict({ type, body, form, prefix, labels, answer }) {
  answer.wait();
  if (form) form.clear();
  const post = (path) => ask(prefix + path, { method: "POST", headers: { "content-type": type }, body });
  const began = performance.now();
  try {
    const asked = [post("/predict"), labels ? post("/predict/label") : null];
    const replies = await Promise.all(asked);
    const milliseconds = performance.now() - began;
    const [scored, labelled] = await Promise.all(replies.map((reply) => reply && reply.json()));
    const failed = replies[0].ok ? (labelled && labelled.error ? labelled : null) : scored;
    if (failed) {
      const status = replies[0].ok ? replies[1].status : replies[0].status;
      refuse(status, failed, form, answer);
    } else {
      answer.show(scored, labelled, `${milliseconds.toFixed(1)} ms in this browser`);
    }
  } catch (error) {
    answer.fail(`The service did not answer: ${error.message}`);
  }
}

async function submitJob({ type, body, form, prefix, answer }) {
  answer.wait();
  if (form) form.clear();
  const request = { method: "POST", headers: { "content-type": type }, body };
  try {
    await follow(`${prefix}/predict/async`, request, answer, (status, failed) => refuse(status, failed, form, answer));
  } catch (error) {
    answer.fail(`The service did not answer: ${error.message}`);
  }
}

function refuse(status, failed, form, answer) {
  const problems = failed.error.details || [];
  answer.refuse(status, failed, form ? form.show(problems) : problems);
}

// What a form is sent with; Enter in a field is the first one.
function buttons(jobs) {
  const later = h("button", { type: "submit", class: "second", value: LATER, title: "Submit the rows as a job, and follow it" }, "Submit as a job");
  return [h("button", { type: "submit", class: "primary" }, "Predict"), jobs ? later : null];
}

function formPane(model, sample, send, jobs) {
  const form = new RowForm(model.columns, sample);
  const submit = (event) => {
    event.preventDefault();
    const row = form.row();
    if (row !== null) send(event, "application/json", `{"data": [${row}]}`, form);
  };
  return h("form", { novalidate: true, onsubmit: submit }, form.element, h("div", { class: "actions" }, buttons(jobs)));
}

function jsonPane(examples, send, jobs) {
  const first = examples.records || examples.data || examples.inputs;
  const text = first ? pretty(first.value) : "";
  const rows = Math.min(Math.max(text.split("\n").length + 1, 6), 18);
  const area = h("textarea", { id: "json", rows, spellcheck: "false", autocomplete: "off", value: text });
  const choices = Object.entries(examples).map(([name, { summary, value }]) =>
    h("button", { type: "button", class: "small", title: summary, onclick: () => { area.value = pretty(value); } }, name));
  const submit = (event) => { event.preventDefault(); send(event, "application/json", area.value); };
  return h("form", { onsubmit: submit },
    h("label", { for: "json" }, "Body of the request"), area,
    h("div", { class: "actions" }, buttons(jobs),
      choices.length ? h("span", { class: "muted" }, "Example: ") : null, choices));
}

function csvPane(example, send, jobs) {
  const area = h("textarea", { id: "csv", rows: "8", spellcheck: "false", autocomplete: "off", value: example });
  const name = h("span", { class: "muted", "aria-live": "polite" });
  const take = async (file) => {
    if (!file) return;
    area.value = await file.text();
    name.textContent = printable(file.name);
  };
  const input = h("input", { type: "file", id: "csv-file", accept: ".csv,text/csv", onchange: () => take(input.files[0]) });
  const zone = h("div", { class: "drop" }, h("label", { for: "csv-file" }, "Drop a CSV file here, or choose one "), input, " ", name);
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });
  const submit = (event) => { event.preventDefault(); send(event, "text/csv", area.value); };
  return h("form", { onsubmit: submit }, zone,
    h("label", { for: "csv" }, "Rows, after a header of column names"), area,
    h("div", { class: "actions" }, buttons(jobs)));
}

function showTabs(panes) {
  const tabs = panes.map(([name], index) => h("button", {
    type: "button", role: "tab", id: `tab-${index}`, "aria-controls": `pane-${index}`, onclick: () => choose(index),
  }, name));
  const bodies = panes.map(([, pane], index) =>
    h("div", { role: "tabpanel", id: `pane-${index}`, "aria-labelledby": `tab-${index}` }, pane));
  const choose = (chosen) => {
    tabs.forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === chosen));
      tab.tabIndex = index === chosen ? 0 : -1;
      bodies[index].hidden = index !== chosen;
    });
    byId("answer").replaceChildren();
  };
  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
    choose(next);
    tabs[next].focus();
  });
  byId("tabs").append(...tabs);
  byId("tabs").hidden = tabs.length === 1;
  byId("panes").append(...bodies);
  choose(0);
}
