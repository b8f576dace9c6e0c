// Pictures: dropped, pasted, chosen, and small grey ones drawn.
// Every kind of value gives {node, read(): [{value, address, name}]}: what it is, and how the answer shows it.

const MOST = 64;  // items of one request

const asBase64 = blob => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => failed(new Error("the file cannot be read"));
  reader.readAsDataURL(blob);
});

function picture(kind) {
  let held = [];
  const take = async files => {
    const chosen = [...files].slice(0, MOST);
    if (!chosen.length) return;
    held = await Promise.all(chosen.map(async file => ({value: await asBase64(file), address: URL.createObjectURL(file), name: file.name})));
    ask();
  };
  const file = make("input", {type: "file", accept: "image/*,.dcm,.pgm,.ppm", multiple: true});
  file.onchange = () => take(file.files);
  const drop = make("div", {className: "drop"},
    make("p", {}, "Drop pictures here, or paste one."), make("label", {className: "file"}, "Choose files", file));
  drop.ondragover = event => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = event => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files); };
  document.onpaste = event => { if (event.clipboardData.files.length) { event.preventDefault(); take(event.clipboardData.files); } };
  const node = make("div", {}, drop);
  if (kind.channels === 1 && Math.max(kind.height, kind.width) <= 64)
    node.append(board(kind, async (blob, address) => { held = [{value: await asBase64(blob), address, name: "drawing"}]; ask(); }));
  return {node, read: () => held};
}

function board(kind, drawn) {
  const scale = Math.ceil(320 / Math.max(kind.height, kind.width));
  const canvas = make("canvas", {width: kind.width * scale, height: kind.height * scale});
  canvas.style.setProperty("--aspect", kind.width / kind.height);
  canvas.setAttribute("aria-label", "Draw here");
  const pen = canvas.getContext("2d"), [ground, ink] = kind.ground === "dark" ? ["#000", "#fff"] : ["#fff", "#000"];
  const width = make("input", {type: "range", min: 1, max: 12, step: .5, value: Math.max(2, Math.min(kind.height, kind.width) / 10)});
  const clear = () => { pen.fillStyle = ground; pen.fillRect(0, 0, canvas.width, canvas.height); };
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  };
  let last = null;
  const stroke = event => {
    const here = at(event);
    Object.assign(pen, {lineWidth: width.value * scale, lineCap: "round", lineJoin: "round", strokeStyle: ink});
    pen.beginPath(); pen.moveTo(...last); pen.lineTo(here[0] + .01, here[1]); pen.stroke();
    last = here;
  };
  canvas.onpointerdown = event => { canvas.setPointerCapture(event.pointerId); last = at(event); stroke(event); };
  canvas.onpointermove = event => { if (last) stroke(event); };
  canvas.onpointerup = canvas.onpointercancel = () => { if (last) { last = null; give(); } };
  const give = () => {
    const small = make("canvas", {width: kind.width, height: kind.height}), brush = small.getContext("2d");
    Object.assign(brush, {imageSmoothingEnabled: true, imageSmoothingQuality: "high"});
    brush.drawImage(canvas, 0, 0, kind.width, kind.height);
    small.toBlob(blob => drawn(blob, small.toDataURL()), "image/png");
  };
  clear();
  return make("div", {className: "board"}, canvas, make("div", {className: "tools"},
    make("p", {className: "quiet"}, `Or draw here: it is seen as ${kind.width} × ${kind.height} grey pixels.`),
    make("label", {className: "quiet"}, "Width of the pen", width), button("Clear", clear)));
}
