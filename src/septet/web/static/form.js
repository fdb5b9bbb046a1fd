// One field per column, typed by it. Values travel as the text that was typed, so that no digit of an int64 is lost.

import { h, number, printable } from "./dom.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

export class RowForm {
  constructor(columns, sample) {
    this.fields = columns.map((column, index) => new Field(column, index, sample ? sample[index] : undefined));
    const compact = columns.length > 24 ? " compact" : "";
    this.element = h("div", { class: `fields${compact}` }, this.fields.map((field) => field.element));
  }

  // The row as JSON text, or null where a field holds no value; then that field says so.
  row() {
    this.clear();
    const tokens = this.fields.map((field) => field.token());
    const wrong = tokens.indexOf(null);
    if (wrong >= 0) this.fields[wrong].input.focus();
    return wrong < 0 ? `[${tokens.join(", ")}]` : null;
  }

  clear() {
    for (const field of this.fields) field.say("");
  }

  // Shows the problems of row 0 beside their columns; returns those that have no field.
  show(problems) {
    const left = [];
    let first = null;
    for (const problem of problems) {
      const field = this.fields.find((each) => each.column.name === problem.column);
      if (!field) left.push(problem);
      else field.say(`Expected ${problem.expected}, received ${problem.received}.`);
      if (field && !first) first = field;
    }
    if (first) first.input.focus();
    return left;
  }
}

class Field {
  constructor(column, index, sample) {
    this.column = column;
    this.id = `field-${index}`;
    this.input = this.makeInput(sample);
    this.problem = h("p", { class: "problem", id: `${this.id}-problem`, hidden: true });
    this.hint = hint(column);
    const described = [this.hint && `${this.id}-hint`, `${this.id}-problem`].filter(Boolean).join(" ");
    this.input.setAttribute("aria-describedby", described);
    const label = h("label", { for: this.id, title: column.name }, column.name);
    if (column.unit) label.append(h("span", { class: "unit" }, ` ${column.unit}`));
    this.element = h("div", { class: "field" }, label, h("div", { class: "control" }, this.input, this.nullTick(sample)));
    if (this.hint) this.element.append(h("p", { class: "hint", id: `${this.id}-hint` }, this.hint));
    this.element.append(this.problem);
  }

  makeInput(sample) {
    const { column, id } = this;
    const value = sample === null || sample === undefined ? "" : String(sample);
    if (column.dtype === "bool") return choice(id, [true, false], value || "false");
    if (column.categories && !column.other_categories) return choice(id, column.categories, value);
    const common = { id, name: id, value, autocomplete: "off", spellcheck: "false" };
    if (column.dtype === "string") return this.withList(h("input", { ...common, type: "text" }));
    if (column.dtype === "bytes") return this.fileInput(value);
    if (isMoment(column)) return momentInput(column, common);
    const step = /int/.test(column.dtype) ? "1" : "any";
    const bounds = { min: column.minimum, max: column.maximum };
    return h("input", { ...common, ...bounds, type: "number", step, inputmode: step === "1" ? "numeric" : "decimal" });
  }

  // A file's bytes as base64; those of the sample until one is chosen.
  fileInput(sample) {
    this.base64 = sample;
    const input = h("input", { id: this.id, name: this.id, type: "file" });
    input.addEventListener("change", () => {
      const [file] = input.files;
      const reader = new FileReader();
      reader.addEventListener("load", () => { this.base64 = reader.result.slice(reader.result.indexOf(",") + 1); });
      if (file) reader.readAsDataURL(file);
      else this.base64 = sample;
    });
    return input;
  }

  withList(input) {
    if (!this.column.categories) return input;
    input.setAttribute("list", `${this.id}-list`);
    this.list = h("datalist", { id: `${this.id}-list` }, this.column.categories.map((value) => h("option", { value })));
    return input;
  }

  nullTick(sample) {
    const parts = this.list ? [this.list] : [];
    if (!this.column.nullable && !this.column.optional) return parts;
    this.tick = h("input", { type: "checkbox", id: `${this.id}-null`, "aria-label": `${this.column.name} is null` });
    this.tick.checked = sample === null;
    this.input.disabled = this.tick.checked;
    this.tick.addEventListener("change", () => { this.input.disabled = this.tick.checked; });
    return [...parts, h("label", { class: "tick", for: `${this.id}-null` }, this.tick, "null")];
  }

  token() {
    const { column, input } = this;
    if (this.tick && this.tick.checked) return "null";
    if (column.dtype === "bool") return input.value;
    if (column.categories && !column.other_categories) return JSON.stringify(column.categories[input.selectedIndex]);
    if (column.dtype === "string") return JSON.stringify(input.value);
    if (column.dtype === "bytes") return JSON.stringify(this.base64);
    const text = input.value.trim();
    if (isMoment(column) && text !== "") return JSON.stringify(text);
    if (isMoment(column)) {
      const noun = column.pandas_dtype === "date" ? "a date" : "a date and a time";
      this.say(column.nullable || column.optional ? `Enter ${noun}, or tick null.` : `Enter ${noun}.`);
      return null;
    }
    if (NUMBER.test(text)) return text;
    if (text !== "" && Number.isFinite(Number(text))) return JSON.stringify(Number(text));
    this.say(column.nullable || column.optional ? "Enter a number, or tick null." : "Enter a number.");
    return null;
  }

  say(text) {
    this.problem.textContent = printable(text);
    this.problem.hidden = !text;
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }
}

function isMoment(column) {
  return column.dtype.startsWith("datetime64");
}

// A browser's own field for dates has no place for an offset, nor for fractions below a millisecond.
function momentInput(column, common) {
  if (column.timezone) return h("input", { ...common, type: "text", placeholder: "2026-01-31T12:00:00Z" });
  if (column.pandas_dtype === "date") return h("input", { ...common, type: "date" });
  const fine = /\[(us|ns)\]/.test(column.dtype);
  if (fine && /\.\d{4,}/.test(common.value)) return h("input", { ...common, type: "text" });
  return h("input", { ...common, type: "datetime-local", step: column.dtype === "datetime64[s]" ? "1" : "0.001" });
}

function choice(id, values, chosen) {
  const select = h("select", { id, name: id }, values.map((value) => h("option", { value: String(value) }, String(value))));
  const index = values.findIndex((value) => String(value) === chosen);
  select.selectedIndex = Math.max(index, 0);
  return select;
}

function hint(column) {
  if (column.dtype === "bytes") return "a file; the sample's bytes where none is chosen";
  if (column.timezone) return "with its offset, such as Z or +01:00";
  const { minimum: low, maximum: high } = column;
  const known = (value) => value !== null && value !== undefined;
  if (known(low) && known(high)) return `${number(low)} to ${number(high)}`;
  if (known(low)) return `at least ${number(low)}`;
  return known(high) ? `at most ${number(high)}` : "";
}
