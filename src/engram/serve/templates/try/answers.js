// Answers: what is known of them is drawn, the rest is written as it is

const percent = p => (100 * p).toFixed(1) + " %";
const rounded = value => typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);

function answered(answer, shown, input) {
  const said = make("div", {className: shown.address ? "said" : "bare"});
  if (answer.error) {
    said.append(make("p", {className: "failed"}, answer.error));
  } else {
    if ("labels" in answer || "label" in answer)
      said.append(make("p", {className: "label"}, "label" in answer ? answer.label : answer.labels.join(", ") || "none of the labels"));
    if (typeof answer.value === "number") said.append(...measured(answer));
    if (answer.unfamiliar)
      said.append(make("p", {className: "unfamiliar"}, make("b", {}, "Unfamiliar."),
        "This is unlike what the model was trained on; do not rely on its answer."));
    // names that are numbers lose their order in an object
    for (const [name, p] of Object.entries(answer.probabilities || {}).sort(([, a], [, b]) => b - a)) said.append(bar(name, p));
    if (Array.isArray(answer.items)) said.append(make("ol", {className: "found"}, ...answer.items.map(found)));
    if (Array.isArray(answer.forecast)) said.append(course(answer.forecast));
    const known = ["input", "label", "labels", "probability", "probabilities", "unfamiliar", "unfamiliarity", "value", "low", "high", "items", "forecast"];
    for (const [name, value] of Object.entries(answer).filter(([name]) => !known.includes(name)))
      said.append(make("h2", {}, readable(name)), typeof value === "string" ? make("p", {}, value) : make("pre", {}, JSON.stringify(value, null, 1)));
  }
  if (model.explains && !answer.error) {
    const place = make("div", {className: "why"}), to = model;
    said.append(place);
    place.append(button("Why?", () => why(to, input, shown, place)));
  }
  if (shown.name) said.append(make("p", {className: "where"}, shown.name));
  const parts = shown.address ? [make("div", {className: "seen"}, make("img", {src: shown.address, alt: ""})), said] : [said];
  return make("article", {className: "answer"}, ...parts);
}

function bar(name, p) {
  const strip = make("i");
  strip.style.setProperty("--p", p);
  return make("div", {className: "bar"}, make("div", {}, make("span", {}, name), make("span", {}, percent(p))), strip);
}

// A number, and between which it lies nine times in ten
function measured({value, low, high}) {
  const nodes = [make("p", {className: "label"}, rounded(value))];
  if (low != null && high != null) nodes.push(make("p", {className: "quiet"}, `between ${rounded(low)} and ${rounded(high)}`));
  return nodes;
}

const found = item => make("li", {}, make("b", {}, String(item.title ?? item.item)),
  make("span", {className: "quiet"}, item.because ? " because of " + [item.because].flat().join(", ") : ""));

// A course of numbers with its interval, drawn as wide as the page
function course(points) {
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const all = points.flatMap(one => [one.value, one.low ?? one.value, one.high ?? one.value]);
  const least = Math.min(...all), most = Math.max(...all), x = i => 10 + 580 * i / Math.max(1, points.length - 1);
  const y = value => 190 - 180 * (value - least) / (most - least || 1);
  const line = values => values.map((value, i) => `${x(i)},${y(value)}`);
  const picture = svg("svg", {viewBox: "0 0 600 200", role: "img", class: "course", "aria-label": `from ${rounded(points[0].value)} to ${rounded(points.at(-1).value)}`});
  if (points[0].low != null)
    picture.append(svg("polygon", {points: [...line(points.map(one => one.low)), ...line(points.map(one => one.high)).reverse()].join(" ")}));
  picture.append(svg("polyline", {points: line(points.map(one => one.value)).join(" ")}));
  const caption = `${points[0].time} to ${points.at(-1).time}; between ${rounded(least)} and ${rounded(most)}`;
  return make("figure", {}, picture, make("figcaption", {className: "quiet"}, caption));
}
