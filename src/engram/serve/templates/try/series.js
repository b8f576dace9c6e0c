// Numbers over time: a step a line, filled with the end of what was learned from; and the course of a forecast

function series(kind, role) {
  const lines = values => (values || []).map(row => [row].flat().map(one => one ?? "").join(", ")).join("\n");
  const start = make("input", {className: "line", "aria-label": "When the first step was"});
  const area = make("textarea", {className: "steps", "aria-label": kind.columns.join(", ")});
  const fill = one => { start.value = one.start ?? ""; area.value = lines(one.values); };
  const offered = kind.offered.length ? kind.offered : [kind.example];
  const names = make("select", {"aria-label": "Series", onchange: () => fill(offered[names.value])}, ...offered.map((one, i) => make("option", {value: i}, one.series || "")));
  fill(offered[0]);
  const number = (text, line) => {
    const value = text.trim() === "" ? null : Number(text);
    if (Number.isNaN(value)) throw new Error(`line ${line} is no number: ${text.trim()}`);
    return value;
  };
  const rows = () => area.value.trim().split("\n").map((line, i) => line.split(/[,;\t]/).map(text => number(text, i + 1)));
  const read = () => {
    if (!area.value.trim()) return [];
    const values = kind.columns.length > 1 ? rows() : rows().map(([value]) => value);
    const name = names.value && offered[names.value].series;
    return [{value: {...(name && {series: name}), ...(start.value.trim() && {start: kind.counted ? Number(start.value) : start.value.trim()}), values}}];
  };
  const node = make("div", {},
    ...(offered.length > 1 ? [make("p", {className: "row"}, names)] : []),
    make("label", {className: "option"}, make("span", {}, "From"), start, make("span", {className: "quiet"}, `by ${kind.step}`)),
    area, make("p", {className: "quiet"}, `${kind.columns.join(", ")}: a line for each step, empty where nothing was measured. The last ${kind.lookback.toLocaleString()} count; forecast are the next ${kind.horizon.toLocaleString()}.`));
  return {node, read};
}

// What is forecast, each column by itself, after what was given

function courses(points, input) {
  const kind = Object.values(model.inputs)[0], columns = [...new Set(points.map(one => one.column))];
  const past = i => (input && input.values || []).map(row => [row].flat()[i]).filter(value => value != null);
  return columns.map((column, i) => course(points.filter(one => one.column === column), past(i).slice(-3 * kind.horizon), column ?? kind.targets[i]));
}

function course(points, past, name) {
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const all = [...past, ...points.flatMap(one => [one.value, one.low, one.high])];
  const least = Math.min(...all), most = Math.max(...all), x = i => 4 + 592 * i / Math.max(1, past.length + points.length - 1);
  const y = value => 236 - 232 * (value - least) / (most - least || 1);
  const line = (values, first) => values.map((value, i) => `${x(first + i).toFixed(1)},${y(value).toFixed(1)}`);
  const ahead = key => line(points.map(one => one[key]), past.length), before = line(past, 0);
  const joint = before.slice(-1);  // the forecast begins where the past ends
  const described = `${name}: forecast from ${rounded(points[0].value)} to ${rounded(points.at(-1).value)}`;
  const picture = svg("svg", {viewBox: "0 0 600 240", role: "img", class: "course", "aria-label": described});
  picture.append(
    svg("polygon", {points: [...joint, ...ahead("low"), ...ahead("high").reverse()].join(" ")}),
    svg("polyline", {points: before.join(" "), class: "past"}),
    svg("polyline", {points: [...joint, ...ahead("value")].join(" ")}));
  const end = points.at(-1);
  return make("figure", {},
    make("p", {className: "label"}, name),
    make("div", {className: "scaled"}, make("span", {}, rounded(most)), picture, make("span", {}, rounded(least))),
    make("figcaption", {className: "quiet"}, `${points[0].time} to ${end.time}, after the grey line of what was. At the end ${rounded(end.value)}, four times in five between ${rounded(end.low)} and ${rounded(end.high)}.`),
    make("details", {}, make("summary", {}, "All steps"), steps(points)));
}

function steps(points) {
  const cells = (tag, texts) => make("tr", {}, ...texts.map(text => make(tag, {}, text)));
  return make("table", {className: "steps"}, cells("th", ["", "expected", "low", "high"]),
    ...points.map(one => cells("td", [String(one.time), ...[one.value, one.low, one.high].map(rounded)])));
}
