// The page: which model, what is asked of it, and its answers

let model = null, values = {}, chosen = () => ({}), asked = 0;
const failed = message => $("answers").replaceChildren(make("p", {className: "failed"}, message));

async function ask() {
  const number = ++asked, to = model;
  try {
    const roles = Object.keys(to.inputs), read = Object.fromEntries(roles.map(role => [role, values[role].read()]));
    const most = Math.max(...roles.map(role => read[role].length));
    if (!roles.every(role => read[role].length)) return failed("Give " + roles.map(readable).join(" and ") + " first.");
    const items = Array.from({length: most}, (_, i) => Object.fromEntries(roles.map(role => [role, read[role][Math.min(i, read[role].length - 1)].value])));
    const inputs = roles.length === 1 ? items.map(item => item[roles[0]]) : items;
    const answer = await call(`/v1/models/${encodeURIComponent(to.id)}/predict`, {inputs, options: chosen()});
    if (number !== asked) return;  // a later question has been asked
    if (!answer.ok) return failed(await refusal(answer));
    const content = await answer.json(), first = read[roles[0]];
    $("answers").replaceChildren(...content.map((one, i) => answered(one, first[Math.min(i, first.length - 1)], inputs[i])));
  } catch (error) {
    if (number === asked) failed("There was no answer: " + error.message);
  }
}

function show(one) {
  halt();
  model = one;
  $("name").textContent = model.id;
  $("about").textContent = `${readable(model.task)}, version ${model.version}` + (model.promoted ? `, promoted ${model.promoted.slice(0, 16).replace("T", " ")}` : "");
  for (const each of $("models").children) each.setAttribute("aria-pressed", each.textContent === model.id);
  document.onpaste = null;
  asked++;
  const own = options(model.sampling || model.options);
  chosen = own.read;
  $("options").replaceChildren(...own.nodes);
  $("settings").hidden = !own.nodes.length;
  $("sides").hidden = Boolean(model.sampling);
  $("writing").hidden = !model.sampling;
  $(model.sampling ? "writing-settings" : "asking-settings").append($("settings"));
  if (model.sampling) return void $("desk").replaceChildren((model.converses ? conversation : continuation)(model, chosen));
  values = {};
  const nodes = Object.entries(model.inputs).map(([role, kind]) => {
    values[role] = (KINDS[kind.kind] || anything)(kind, role);
    return make("div", {className: "value"}, make("h2", {}, readable(role)), values[role].node);
  });
  $("values").replaceChildren(...nodes);
  $("answers").replaceChildren(make("p", {className: "quiet"}, "Nothing has been asked yet."));
}

async function begin() {
  try {
    const answer = await call("/v1/models");
    $("entrance").hidden = answer.status !== 401;
    if (answer.status === 401) return void ($("about").textContent = "");
    if (!answer.ok) throw new Error(await refusal(answer));
    const {data} = await answer.json();
    if (data.length > 1) $("models").replaceChildren(...data.map(one => button(one.id, () => show(one))));
    show(data[0]);
  } catch (error) {
    $("about").textContent = "The server did not answer: " + error.message;
  }
}
$("ask").onclick = ask;
$("entrance").onsubmit = event => { event.preventDefault(); token = $("token").value; begin(); };
begin();
