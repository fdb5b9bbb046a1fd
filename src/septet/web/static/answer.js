// An answer as its user expects it: the label and a bar per score for one row, a table for several.

import { code, h, number, pretty } from "./dom.js";

const MOST_ROWS = 200;
const MOST_SCORES = 12;
const MOST_BARS = 20;

export class Answer {
  constructor(element, model) {
    this.element = element;
    this.model = model;
  }

  wait() {
    this.element.replaceChildren(h("p", { class: "muted" }, "Predicting…"));
  }

  fail(text) {
    this.put(h("div", { class: "notice bad", role: "alert" }, text));
  }

  put(...parts) {
    this.element.replaceChildren(...parts);
    this.element.scrollIntoView({ block: "nearest" });
  }

  refuse(status, body, problems) {
    const { code: name, message, id } = body.error;
    this.put(h("div", { class: "notice bad", role: "alert" },
      h("p", {}, h("strong", {}, `${status} ${name}`)), h("p", {}, message), problems.length ? problemTable(problems) : null,
      h("p", { class: "muted" }, `Request ${id}`)));
  }

  // `how` says how long it took; `labelled` is null where only scores were asked for.
  show(scored, labelled, how) {
    const rows = scored.prediction;
    const labels = labelled ? labelled.prediction : null;
    const one = Array.isArray(rows) && this.model.rows && rows.length === 1;
    const parts = !this.model.rows ? [code(pretty(rows))] : one ? this.single(rows[0], labels && labels[0]) : this.table(rows, labels);
    this.put(h("h3", {}, "Prediction"), ...parts,
      h("p", { class: "muted meta" }, `${how}, request ${scored.id}`),
      h("details", {}, h("summary", {}, "Response"), code(pretty(scored), { copy: true })));
  }

  single(value, label) {
    const { kind, labels } = this.model;
    if (kind === "multilabel") {
      const on = Array.isArray(label) ? [big(label.join(", ") || "no label")] : [];
      return [...on, bars(value, labels)];
    }
    if (kind === "outliers") return [big(typeof label === "string" ? label : value === 1 ? "like the training data" : "outlier"), h("p", { class: "muted" }, number(value))];
    if (kind === "clustering") return [big(`cluster ${number(label ?? value)}`)];
    if (kind === "classification") {
      if (!Array.isArray(value)) return [big(String(label ?? value))];
      return label === null ? [bars(value, labels)] : [big(String(label)), bars(value, labels, String(label))];
    }
    if (value === null || typeof value !== "object") return [big(value === null ? "null" : number(value))];
    return [code(pretty(value))];
  }

  table(rows, labels) {
    const names = this.scoreNames(rows);
    const head = ["row", labels ? "label" : null, ...(names || ["prediction"])].filter(Boolean);
    const line = (value, index) => [
      index, ...(labels ? [text(labels[index])] : []), ...(names ? value.map(text) : [text(value)]),
    ];
    const lines = rows.map(line);
    const body = lines.slice(0, MOST_ROWS).map((cells) => h("tr", {}, cells.map((cell, index) =>
      (index ? h("td", {}, String(cell)) : h("th", { scope: "row" }, String(cell))))));
    const caption = rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${rows.length} rows` : `${rows.length} rows`;
    const table = h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, body));
    return [h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Predictions" }, table), download(head, lines)];
  }

  scoreNames(rows) {
    const first = rows[0];
    const flat = Array.isArray(first) && first.length <= MOST_SCORES && first.every((each) => !Array.isArray(each));
    if (!flat) return null;
    const { labels } = this.model;
    return first.map((_, index) => (labels.length === first.length ? labels[index] : `#${index}`));
  }
}

function big(value) {
  return h("p", { class: "big" }, value);
}

function bars(scores, labels, chosen) {
  const pairs = scores.map((score, index) => [labels[index] ?? `#${index}`, score]);
  pairs.sort((one, other) => other[1] - one[1]);
  const share = scores.every((score) => score >= 0 && score <= 1);
  const most = Math.max(...scores.map((score) => Math.abs(score)), 1e-12);
  const shown = pairs.slice(0, MOST_BARS).map(([name, score]) => {
    const bar = h("span", { class: "bar" });
    bar.style.width = `${100 * (share ? score : Math.max(score, 0) / most)}%`;
    return h("li", { class: name === chosen ? "chosen" : "" },
      h("span", { class: "name", title: name }, name), h("span", { class: "track", "aria-hidden": "true" }, bar),
      h("span", { class: "score" }, share ? score.toFixed(4) : number(score)));
  });
  if (pairs.length > MOST_BARS) shown.push(h("li", { class: "muted" }, `and ${pairs.length - MOST_BARS} more`));
  return h("ul", { class: "bars", "aria-label": "Scores" }, shown);
}

function text(value) {
  if (typeof value === "number") return number(value);
  if (value === null || typeof value === "object") return JSON.stringify(value);
  return String(value);
}

function problemTable(problems) {
  const names = ["row", "column", "expected", "received"];
  const cell = (value) => h("td", {}, value === null || value === undefined ? "" : String(value));
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, problems.map((problem) => h("tr", {}, names.map((name) => cell(problem[name])))))));
}

function download(head, lines) {
  const quote = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const make = () => {
    const csv = [head, ...lines].map((cells) => cells.map(quote).join(",")).join("\n");
    const link = h("a", { href: URL.createObjectURL(new Blob([`${csv}\n`], { type: "text/csv" })), download: "predictions.csv" });
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return h("p", {}, h("button", { type: "button", class: "small", onclick: make }, "Download as CSV"));
}
