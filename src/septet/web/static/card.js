// Who the model is and where it comes from.

import { byId, copyButton, h, number, printable } from "./dom.js";

export const KINDS = {
  classification: "Classifies each row.",
  multilabel: "Gives each row any number of labels.",
  regression: "Predicts a number for each row.",
  clustering: "Puts each row into a cluster.",
  outliers: "Tells whether each row is like the training data.",
  transform: "Transforms each row.",
  tensors: "Answers with tensors.",
};

export function showHero(model) {
  document.title = printable(`${model.name} ${model.version}`);
  byId("name").textContent = printable(model.name);
  byId("lead").textContent = printable(model.description || KINDS[model.kind] || "");
  const chips = [chip(`version ${model.version}`), chip(model.kind), chip(model.runtime)];
  const digest = h("li", { class: "chip", title: model.digest }, `${model.digest.slice(0, 19)}… `);
  digest.append(copyButton(model.digest));
  chips.push(digest);
  const age = freshness(model.freshness);
  if (age) chips.push(chip(age.text, age.tone));
  byId("facts").append(...chips);
}

export function showCard(model) {
  const { training = {}, parity } = model;
  const data = training.data || {};
  const window = data.since || data.until ? `${data.since || "…"} to ${data.until || "…"}` : null;
  const provenance = section("Provenance", [
    ["Trained", training.trained_at && training.trained_at.slice(0, 10)],
    ["Algorithm", training.algorithm],
    ["Data", data.name && (data.rows ? `${data.name}, ${data.rows.toLocaleString("en")} rows` : data.name)],
    ["Data window", window],
    ["Freshness", model.freshness && model.freshness.message],
    ["Metrics", pairs(training.metrics)],
    ["Parameters", pairs(training.parameters)],
    ["Libraries", pairs(training.libraries)],
    ["Code", training.code_revision],
    ["Owner", training.owner],
    ["Parity", parity && `within ${number(parity.largest_difference)} of the native model on ${parity.rows} rows`],
  ]);
  byId("card").append(
    list([
      ["Takes", shapeOf(model)],
      ["Answers", outputsOf(model)],
      ["Labels", labels(model.labels)],
      ["Limits", `${model.limits.max_rows.toLocaleString("en")} rows, ${bytes(model.limits.max_body_bytes)} a request`],
    ]),
    ...(provenance ? [provenance] : []),
  );
}

function chip(text, tone = "") {
  return h("li", { class: `chip ${tone}` }, text);
}

function freshness(known) {
  if (!known || known.state === "unknown") return null;
  const [words, tone] = { fresh: ["data fresh", "good"], warn: ["data old", "warn"] }[known.state] || ["data too old", "bad"];
  return { text: Number.isInteger(known.age_days) ? `${words}, ${known.age_days} days` : words, tone };
}

function shapeOf(model) {
  if (model.columns.length) return `${model.columns.length} ${model.columns.length === 1 ? "column" : "columns"}`;
  return model.inputs.map(tensor).join("; ");
}

function outputsOf(model) {
  return h("ul", { class: "plain" }, model.outputs.map((each) => h("li", {}, tensor(each))));
}

function tensor(each) {
  return `${each.name}: ${each.dtype} [${each.shape.map((size) => (size < 0 ? "any" : size)).join(",\u00a0")}]`;
}

function labels(names) {
  if (!names.length) return null;
  const shown = names.slice(0, 30).map((name) => h("li", { class: "chip" }, name));
  if (names.length > 30) shown.push(h("li", { class: "muted" }, `and ${names.length - 30} more`));
  return h("ul", { class: "chips" }, shown);
}

function pairs(record) {
  const entries = Object.entries(record || {});
  if (!entries.length) return null;
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : number(value));
  return h("ul", { class: "plain" }, entries.map(([name, value]) => h("li", {}, `${name} ${text(value)}`)));
}

function section(title, rows) {
  const known = list(rows);
  return known && h("div", {}, h("h3", {}, title), known);
}

function list(rows) {
  const known = rows.filter(([, value]) => value);
  if (!known.length) return null;
  return h("dl", {}, known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function bytes(size) {
  return size >= 1048576 ? `${round(size / 1048576)} MiB` : size >= 1024 ? `${round(size / 1024)} KiB` : `${size} bytes`;
}

function round(value) {
  return String(Number(value.toPrecision(3)));
}
