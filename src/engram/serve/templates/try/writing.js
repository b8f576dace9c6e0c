// Models that write: a text goes on from what is typed, or a conversation; each piece is shown as it is written

let halt = () => {};

async function write(to, asked, shown, ended) {
  const control = new AbortController();
  halt = () => control.abort();
  try {
    const answer = await call(`/v1/models/${encodeURIComponent(to.id)}/generate`, {...asked, stream: true}, control.signal);
    if (!answer.ok) return ended(await refusal(answer));
    for await (const event of events(answer)) if ("text" in event) shown(event.text);
    ended("");
  } catch (error) {
    ended(control.signal.aborted ? "" : "There was no answer: " + error.message);
  } finally {
    halt = () => {};
  }
}

const working = (start, end, busy) => { start.hidden = busy; end.hidden = !busy; };

function conversation(to, chosen) {
  let said = [];
  const turns = make("div", {className: "turns"}), line = make("textarea", {className: "short", placeholder: "Say something", "aria-label": "What you say"});
  turns.setAttribute("aria-live", "polite");
  const send = button("Send", () => say(), "main"), end = button("Stop", () => halt());
  const begin = () => { halt(); said = []; turns.replaceChildren(); line.focus(); };
  const bubble = (role, content) => { const node = make("p", {className: "turn " + role}, content); turns.append(node); return node; };
  async function say() {
    const content = line.value.trim();
    if (!content || !end.hidden) return;
    line.value = "";
    const mine = bubble("user", content), reply = bubble("assistant", "");
    working(send, end, true);
    await write(to, {messages: [...said, {role: "user", content}], options: chosen()}, piece => { reply.textContent += piece; reply.scrollIntoView({block: "nearest"}); }, wrong => {
      working(send, end, false);
      if (wrong) { reply.className = "failed"; reply.textContent = wrong; mine.classList.add("lost"); return; }
      said.push({role: "user", content}, {role: "assistant", content: reply.textContent});
    });
  }
  line.onkeydown = event => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); say(); } };
  working(send, end, false);
  return make("div", {className: "talk"}, turns, line, make("p", {className: "row"}, send, end, button("Begin anew", begin)));
}

function continuation(to, chosen) {
  const area = make("textarea", {placeholder: "How it begins", "aria-label": "How it begins"});
  const page = make("div", {className: "written"}, make("span", {className: "quiet"}, "Nothing has been written yet."));
  page.setAttribute("aria-live", "polite");
  const go = button("Write on", () => begin(), "main"), end = button("Stop", () => halt());
  async function begin() {
    if (!end.hidden) return;
    const prompt = area.value, more = make("span");
    page.replaceChildren(make("span", {className: "quiet"}, prompt), more);
    working(go, end, true);
    await write(to, {prompt, options: chosen()}, piece => { more.textContent += piece; }, wrong => {
      working(go, end, false);
      if (wrong) page.append(make("p", {className: "failed"}, wrong));
    });
  }
  area.onkeydown = event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) begin(); };
  working(go, end, false);
  return make("div", {className: "talk"}, area, make("p", {className: "row"}, go, end), page);
}
