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
    if (Array.isArray(answer.forecast)) said.append(...courses(answer.forecast, input));
    const known = ["input", "label", "labels", "probability", "probabilities", "unfamiliar", "unfamiliarity", "value", "low", "high", "items", "series", "forecast"];
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
