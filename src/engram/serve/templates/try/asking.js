// The words of the page: nodes, requests, and answers that come piece by piece

const $ = id => document.getElementById(id);
const make = (tag, attributes = {}, ...inside) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    name in node && name !== "list" ? node[name] = value : node.setAttribute(name, value);
  node.append(...inside);
  return node;
};
const button = (text, pressed, className = "") => make("button", {type: "button", className, onclick: pressed}, text);
const readable = name => name.replace(/_/g, " ");
let token = "";

const call = (path, body, signal) => fetch(path, {
  method: body ? "POST" : "GET", body: body && JSON.stringify(body), cache: "no-store", signal,
  headers: {...(body && {"Content-Type": "application/json"}), ...(token && {Authorization: "Bearer " + token})},
});

async function refusal(answer) {
  const {error} = await answer.json();
  return error + (answer.headers.has("Retry-After") ? " Try again in a moment." : "");
}

// The events of an answer that is sent as it is written: lines of "data: JSON"
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let held = ""; ;) {
    const {value, done} = await reader.read();
    if (done) return;
    const lines = (held + value).split("\n\n");
    held = lines.pop();
    for (const line of lines) yield JSON.parse(line.slice("data: ".length));
  }
}
