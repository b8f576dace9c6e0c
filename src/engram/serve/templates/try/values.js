// Texts, rows of a table, and whatever else is described by a schema

function text(kind, role) {
  const area = make("textarea", {placeholder: kind.example, "aria-label": readable(role)});
  area.onkeydown = event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(); };
  return {node: area, read: () => area.value.trim() ? [{value: area.value}] : []};
}

function anything(kind, role) {
  const area = make("textarea", {value: JSON.stringify(kind.example), "aria-label": readable(role)});
  return {node: make("div", {}, make("p", {className: "quiet"}, "As JSON:"), area), read: () => [{value: JSON.parse(area.value)}]};
}

// A row: a field for each column, filled with an example; an empty one is missing

function form(kind) {
  const fields = Object.entries(kind.schema.properties).map(([name, schema]) => {
    const made = field(schema, kind.example[name]);
    return {name, ...made, node: make("label", {}, make("span", {}, readable(name)), made.node)};
  });
  const empty = () => { for (const one of fields) one.clear(); };
  const node = make("div", {}, make("div", {className: "columns"}, ...fields.map(one => one.node)),
    make("p", {className: "quiet"}, "What is left empty counts as missing. ", button("Empty all", empty)));
  return {node, read: () => [{value: Object.fromEntries(fields.map(one => [one.name, one.read() ?? null]))}]};
}

// A field by its schema: choices, a number, yes or no, else a text. read() gives undefined where it is empty

const kinds = schema => [schema, ...(schema.anyOf || [])].flatMap(one => one.type || []);

function field(schema, value = schema.default) {
  const types = kinds(schema), number = types.includes("integer") || types.includes("number");
  const choices = schema.enum || schema.examples;
  if (choices) return choice(choices.filter(one => one !== null), value);
  if (types.includes("boolean")) {
    const node = make("input", {type: "checkbox", checked: value});
    return {node, read: () => node.checked, clear: () => { node.checked = false; }};
  }
  const node = make("input", {className: "line", type: number ? "number" : "text"});
  if (number) node.step = types.includes("number") ? "any" : 1;
  if (value != null && !Array.isArray(value)) node.value = value;
  const read = () => node.value === "" ? undefined : number ? Number(node.value) : types.includes("array") ? [node.value] : node.value;
  return {node, read, clear: () => { node.value = ""; }};
}

function choice(choices, value) {
  const node = make("select", {}, make("option", {value: ""}, ""), ...choices.map((one, i) => make("option", {value: i}, String(one))));
  node.value = choices.includes(value) ? choices.indexOf(value) : "";
  return {node, read: () => node.value === "" ? undefined : choices[node.value], clear: () => { node.value = ""; }};
}

// Things to choose: each that is typed or picked becomes one of a list

function items(kind, role) {
  const picked = new Set(), shown = make("div", {className: "picked"}), known = make("datalist", {id: "known-" + role});
  known.append(...(kind.items || []).map(one => make("option", {value: one})));
  const line = make("input", {className: "line", "aria-label": readable(role), placeholder: kind.example[0] || ""});
  line.setAttribute("list", known.id);
  const draw = () => shown.replaceChildren(...[...picked].map(one => button(one + " ×", () => { picked.delete(one); draw(); })));
  const add = () => { if (line.value.trim()) picked.add(line.value.trim()); line.value = ""; draw(); };
  line.onkeydown = event => { if (event.key === "Enter") { event.preventDefault(); add(); } };
  line.oninput = event => { if (!event.inputType || event.inputType === "insertReplacementText") add(); };  // chosen, not typed
  const node = make("div", {}, make("p", {className: "row"}, line, known, button("Add", add)), shown);
  return {node, read: () => { add(); return picked.size ? [{value: [...picked]}] : []; }};
}

const KINDS = {picture, text, form, items, series};

// Options by name, from the schema of all of them

function options(schema) {
  const fields = Object.entries(schema.properties || {}).map(([name, one]) => {
    const made = field(one);
    return {name, ...made, node: make("label", {className: "option"}, make("span", {}, readable(name)), made.node, make("span", {className: "quiet"}, one.description || ""))};
  });
  return {nodes: fields.map(one => one.node), read: () => Object.fromEntries(fields.map(one => [one.name, one.read()]).filter(([, value]) => value !== undefined))};
}
