// Shows the OpenAPI document of this server. Everything is set as text, so nothing in the document can become markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Follows references, each at most once on a path: schemas may be recursive.
function resolved(schema, api, seen = new Set()) {
  if (Array.isArray(schema)) return schema.map((part) => resolved(part, api, seen));
  if (schema === null || typeof schema !== "object") return schema;
  if (typeof schema.$ref === "string") {
    if (seen.has(schema.$ref)) return { $ref: schema.$ref };
    const found = schema.$ref.slice(2).split("/").reduce((at, key) => at?.[key], api);
    return resolved(found ?? {}, api, new Set([...seen, schema.$ref]));
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolved(value, api, seen)]));
}

function block(title, value) {
  const part = element("div");
  part.append(element("p", title), element("pre", JSON.stringify(value, null, 2)));
  return part;
}

function parametersOf(item, operation, api) {
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((each) => resolved(each, api));
  const list = element("ul");
  for (const each of parameters) {
    const line = element("li");
    line.append(element("code", each.name), ` in ${each.in}${each.required ? ", required" : ""} `);
    line.append(element("span", JSON.stringify(each.schema ?? {}), { class: "hint" }));
    list.append(line);
  }
  return parameters.length ? [element("p", "Parameters"), list] : [];
}

function show(path, method, item, operation, api) {
  const box = element("details");
  const head = element("summary");
  head.append(element("span", method.toUpperCase(), { class: "method" }), element("code", path));
  head.append(element("span", ` ${operation.summary ?? ""}`, { class: "hint" }));
  const body = element("div");
  for (const text of (operation.description ?? "").split(/\n\n+/)) if (text) body.append(element("p", text));
  body.append(...parametersOf(item, operation, api));
  // Rendered when it is opened: the whole document has thousands of lines.
  box.addEventListener("toggle", () => {
    for (const [type, content] of Object.entries(resolved(operation.requestBody, api)?.content ?? {})) {
      body.append(block(`Body, ${type}`, content.schema));
    }
    for (const [status, answer] of Object.entries(operation.responses ?? {})) {
      const shape = resolved(answer, api);
      const schema = Object.values(shape.content ?? {})[0]?.schema;
      body.append(schema ? block(`${status} ${shape.description ?? ""}`, schema) : element("p", `${status} ${shape.description ?? ""}`));
    }
  }, { once: true });
  box.dataset.text = `${method} ${path} ${operation.summary ?? ""}`.toLowerCase();
  box.append(head, body);
  return box;
}

function render(api) {
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths ?? {})) {
    for (const method of METHODS.filter((each) => item[each])) {
      const tag = item[method].tags?.[0] ?? "Other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(show(path, method, item, item[method], api));
    }
  }
  const main = document.querySelector("main");
  main.replaceChildren(element("h1", `${api.info.title} ${api.info.version}`));
  const search = element("input", undefined, { type: "search", placeholder: "Filter", "aria-label": "Filter" });
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    for (const box of main.querySelectorAll("details")) box.hidden = !box.dataset.text.includes(wanted);
  });
  main.append(search);
  for (const [tag, boxes] of groups) main.append(element("h2", tag), ...boxes);
}

const address = document.querySelector('link[rel="service-desc"]').href;
fetch(address)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${answer.status}`))))
  .then(render)
  .catch((error) => document.querySelector("main").replaceChildren(element("p", `The document could not be read: ${error.message}`)));
