// The API, route by route, read from the OpenAPI document.

import { address, byId, code, h, number, pretty, prose } from "./dom.js";

const MOST_ITEMS = 64;
const MOST_DEPTH = 6;

// Shows the routes whose paths `wanted` holds true of.
export function showReference(openapi, wanted) {
  const groups = new Map(openapi.tags.map(({ name }) => [name, []]));
  for (const [path, operations] of Object.entries(openapi.paths)) {
    if (!wanted(path)) continue;
    for (const [method, operation] of Object.entries(operations)) {
      groups.get(operation.tags[0]).push(route(openapi, path, method, operation));
    }
  }
  for (const [name, routes] of groups) {
    if (routes.length) byId("routes").append(h("h3", { class: "group" }, name), ...routes);
  }
}

function route(openapi, path, method, operation) {
  const summary = h("summary", {}, h("span", { class: `method ${method}` }, method.toUpperCase()),
    h("code", {}, path), h("span", { class: "muted" }, operation.summary));
  const details = h("details", { class: "route" }, summary);
  // Wide models have large schemas: a route is written when it is first opened.
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(body(openapi, path, method, operation));
  });
  return details;
}

function body(openapi, path, method, operation) {
  return h("div", { class: "route-body" },
    h("h4", {}, "In a shell"), code(curl(openapi, path, method, operation), { copy: true }),
    parameters(openapi, operation), request(openapi, operation.requestBody), responses(openapi, operation));
}

function curl(openapi, path, method, operation) {
  const url = quote(address(path).href);
  const key = openapi.security && !operation.security ? ` \\\n  -H "authorization: Bearer $API_KEY"` : "";
  if (method !== "post") return `curl -s ${url}${key}`;
  if (!operation.requestBody) return `curl -s ${url}${key} -X POST`;
  const { examples = {} } = operation.requestBody.content["application/json"] || {};
  const example = (examples.data || examples.records || examples.inputs || {}).value;
  return `curl -s ${url}${key} \\\n  -H 'content-type: application/json' \\\n  -d ${quote(example ? JSON.stringify(example) : "{}")}`;
}

function quote(text) {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function resolve(openapi, node) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((found, key) => found[key], openapi);
}

function parameters(openapi, operation) {
  const rows = (operation.parameters || []).map((each) => resolve(openapi, each)).map((each) =>
    h("li", {}, h("code", {}, each.name), h("span", { class: "muted" }, ` in ${each.in}, ${words(each.schema)}`),
      h("p", {}, each.description || "")));
  return rows.length ? h("div", {}, h("h4", {}, "Parameters"), h("ul", { class: "plain" }, rows)) : null;
}

function request(openapi, described) {
  if (!described) return null;
  const parts = [h("h4", {}, "Request"), h("p", {}, prose(described.description))];
  for (const [media, { schema, example, examples }] of Object.entries(described.content)) {
    parts.push(h("h5", {}, media), tree(openapi, schema));
    for (const [name, { value }] of Object.entries(examples || {})) {
      parts.push(h("p", { class: "muted" }, `Example of ${name}`), code(pretty(value), { copy: true }));
    }
    if (example) parts.push(h("p", { class: "muted" }, "Example"), code(example, { copy: true }));
  }
  return h("div", {}, parts);
}

function responses(openapi, operation) {
  const rows = Object.entries(operation.responses).map(([status, node]) => {
    const { description, headers, content } = resolve(openapi, node);
    const parts = Object.entries(content || {}).map(([media, { schema, example }]) =>
      [h("h5", {}, media), tree(openapi, schema), example ? code(pretty(example)) : null]);
    const names = Object.keys(headers || {});
    return h("details", { class: "status" }, h("summary", {}, h("strong", { class: status < "300" ? "good" : "" }, status), " ", description),
      parts, names.length ? h("p", { class: "muted" }, "Headers: ", names.join(", ")) : null);
  });
  return h("div", {}, h("h4", {}, "Responses"), rows);
}

// A schema as a nested list: each value's type and limits in words, its parts below it.
function tree(openapi, schema, depth = 0) {
  const parts = children(resolve(openapi, schema));
  const shown = parts.slice(0, MOST_ITEMS).map(([name, each]) => {
    const known = resolve(openapi, each);
    return h("li", {}, name ? [h("code", {}, name), " "] : null, h("span", { class: "type" }, words(known)),
      known.description ? h("span", { class: "muted" }, ` ${known.description}`) : null,
      depth < MOST_DEPTH ? tree(openapi, known, depth + 1) : null);
  });
  if (parts.length > MOST_ITEMS) shown.push(h("li", { class: "muted" }, `and ${parts.length - MOST_ITEMS} more`));
  if (depth === 0 && !parts.length) return h("p", { class: "type" }, words(schema));
  return shown.length ? h("ul", { class: "tree" }, shown) : null;
}

function children(schema) {
  if (schema.properties) return Object.entries(schema.properties);
  if (schema.prefixItems) return schema.prefixItems.map((each, index) => [each.title || String(index), each]);
  if (schema.items) return [["", schema.items]];
  return (schema.oneOf || schema.anyOf || []).map((each) => ["", each]);
}

function words(schema) {
  if (schema.oneOf || schema.anyOf) return "one of";
  if (schema.enum) return schema.enum.slice(0, 12).map((each) => JSON.stringify(each)).join(" | ") + (schema.enum.length > 12 ? " | …" : "");
  if ("const" in schema) return JSON.stringify(schema.const);
  const type = [schema.type || "any"].flat().join(" or ");
  const limits = [];
  if (schema.minItems !== undefined || schema.maxItems !== undefined) limits.push(span(schema.minItems, schema.maxItems, "items"));
  if (schema.minLength !== undefined || schema.maxLength !== undefined) limits.push(span(schema.minLength, schema.maxLength, "characters"));
  if (bounded(schema)) limits.push(span(schema.minimum, schema.maximum, ""));
  return [type, ...limits].join(", ").trim();
}

// The limits of float32 and float64 say nothing to a reader; those of a column do.
function bounded({ minimum = -Infinity, maximum = Infinity }) {
  return minimum > -1e18 || maximum < 1e18;
}

function span(low, high, unit) {
  const text = (value) => number(Math.abs(value) >= 1e18 ? Number(value.toPrecision(3)) : value);
  if (low === high) return `${text(low)} ${unit}`;
  if (low === undefined || low <= -1e18) return `at most ${text(high)} ${unit}`;
  if (high === undefined || high >= 1e18) return `at least ${text(low)} ${unit}`;
  return `${text(low)} to ${text(high)} ${unit}`;
}
