// Elements, without a framework. Text is always set as text: nothing that a model says is read as markup.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const each of children.flat(Infinity)) {
    if (each !== null && each !== undefined) element.append(each instanceof Node ? each : printable(String(each)));
  }
  return element;
}

// Text of which each character shows: others could turn the direction of writing, and make it read otherwise than it is.
export function printable(text) {
  return text.replace(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0).toString(16)}}`);
}

export const byId = (id) => document.getElementById(id);

// The folder of this page: `/iris/docs` and `/iris/` both give `/iris/`.
const base = new URL(".", document.baseURI);

// The address of a route of this service, whatever prefix it is published under.
export const address = (path) => new URL(path.slice(1), base);

export function copyButton(text, name = "Copy") {
  const button = h("button", { type: "button", class: "copy" }, name);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => { button.textContent = name; }, 1500);
  });
  return button;
}

export function code(text, { copy = false } = {}) {
  const block = h("div", { class: "code" }, h("pre", { tabindex: "0" }, h("code", {}, text)));
  if (copy) block.append(copyButton(text));
  return block;
}

// JSON as a person would write it: short lists stay on one line.
export function pretty(value, indent = "") {
  const flat = JSON.stringify(value);
  if (value === null || typeof value !== "object" || flat.length + indent.length <= 76) return spaced(value);
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((each) => inner + pretty(each, inner))
    : Object.entries(value).map(([key, each]) => `${inner}${JSON.stringify(key)}: ${pretty(each, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`).join(", ")}}`;
}

export function number(value) {
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value);
}

// Text with words between backticks as code.
export function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}
