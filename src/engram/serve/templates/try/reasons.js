// Why an answer is what it is: each part of the input by what it does to the answer, shown over the input

async function why(to, input, shown, place) {
  place.replaceChildren(make("p", {className: "quiet"}, "Looking again with parts taken away …"));
  try {
    const answer = await call(`/v1/models/${encodeURIComponent(to.id)}/explain`, {input, options: chosen()});
    place.replaceChildren(...(answer.ok ? reasons(await answer.json(), shown, to) : [make("p", {className: "failed"}, await refusal(answer))]));
  } catch (error) {
    place.replaceChildren(make("p", {className: "failed"}, "There was no answer: " + error.message));
  }
}

function reasons(found, shown, to) {
  const most = Math.max(...found.parts.map(part => Math.abs(part.influence)), 1e-9);
  const nodes = [make("p", {className: "quiet"}, "What speaks ", make("b", {className: "for"}, "for"), ` ${found.explains}, and what `, make("b", {className: "against"}, "against"), " it:")];
  if (found.kind === "pixels") nodes.push(over(found.parts, most, shown, Object.values(to.inputs)[0]));
  else if (found.kind === "words") nodes.push(marked(found.parts, most, shown));
  else nodes.push(listed(found.parts, most));
  if (found.without) nodes.push(make("p", {}, found.kind === "pixels" ? "Without the framed parts" : `Without ${found.without.slice(0, 8).join(", ")}${found.without.length > 8 ? " …" : ""}`, ` the answer would be ${found.answer_without}.`));
  return nodes;

  function over(parts, most, shown, {width, height}) {
    const canvas = make("canvas", {width: width * 8, height: height * 8}), brush = canvas.getContext("2d");
    for (const {box: [top, bottom, left, right], influence, part} of parts) {
      brush.fillStyle = tint(influence / most);
      brush.fillRect(left * 8, top * 8, (right - left) * 8, (bottom - top) * 8);
      if ((found.without || []).includes(part)) {
        brush.strokeStyle = "#fff";
        brush.strokeRect(left * 8 + .5, top * 8 + .5, (right - left) * 8 - 1, (bottom - top) * 8 - 1);
      }
    }
    canvas.setAttribute("aria-label", "Which parts of the picture count");
    const under = make("img", {src: shown.address, alt: ""}), box = make("div", {className: "over"}, under, canvas);
    box.style.setProperty("--aspect", width / height);
    return box;
  }
}

// Blue for, orange against; the stronger the deeper
const tint = share => share >= 0 ? `rgba(20, 130, 200, ${.75 * share})` : `rgba(225, 95, 20, ${.75 * -share})`;

function marked(parts, most, shown) {
  const nodes = [], text = [...shown.value];
  let at = 0;
  for (const {start, end, influence} of parts) {
    const word = make("mark", {title: influence.toFixed(3)}, text.slice(start, end).join(""));
    word.style.background = tint(influence / most);
    nodes.push(text.slice(at, start).join(""), word);
    at = end;
  }
  return make("p", {className: "marked"}, ...nodes, text.slice(at).join(""));
}

function listed(parts, most) {
  const rows = [...parts].sort((a, b) => Math.abs(b.influence) - Math.abs(a.influence)).slice(0, 12).map(({part, influence}) => {
    const strip = make("i");
    strip.style.setProperty("--p", Math.abs(influence) / most);
    strip.className = influence < 0 ? "against" : "";
    return make("div", {className: "bar"}, make("div", {}, make("span", {}, part), make("span", {}, influence.toFixed(3))), strip);
  });
  return make("div", {}, ...rows);
}
