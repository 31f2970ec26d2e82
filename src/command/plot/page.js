"use strict";
const tip = document.getElementById("tip");
function show(text, event) {
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, innerWidth - width - 8);
  const top = event.clientY + height + 24 > innerHeight ? event.clientY - height - 12 : event.clientY + 16;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = top + "px";
}
function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1023.5 && unit + 1 < units.length) { value /= 1024; unit += 1; }
  return (unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)) + " " + units[unit];
}
function hide() { tip.hidden = true; }
for (const svg of document.querySelectorAll("svg")) {
  // The browser's own tip would come on top of ours.
  for (const title of svg.querySelectorAll("title")) title.remove();
  const samples = JSON.parse(svg.dataset.samples || "[]");
  const cross = document.createElementNS(svg.namespaceURI, "line");
  cross.setAttribute("class", "cross");
  svg.append(cross);
  svg.addEventListener("pointermove", (event) => {
    const told = event.target.dataset && event.target.dataset.t;
    if (told) { cross.style.display = "none"; show(told, event); return; }
    if (samples.length === 0) { hide(); return; }
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    let low = 0, high = samples.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (samples[middle][0] <= x) low = middle; else high = middle - 1;
    }
    const next = samples[Math.min(low + 1, samples.length - 1)];
    const near = svg.dataset.steps === "0" && next[0] - x < x - samples[low][0] ? next : samples[low];
    const [at, time, allocated, reserved] = near;
    cross.style.display = "";
    for (const [name, value] of [["x1", at], ["x2", at], ["y1", svg.dataset.top], ["y2", svg.dataset.bottom]])
      cross.setAttribute(name, value);
    let text = time + "\nallocated " + bytes(allocated);
    if (svg.dataset.reserved === "1")
      text += "\nreserved  " + bytes(reserved) + "\nidle      " + bytes(Math.max(0, reserved - allocated));
    show(text, event);
  });
  svg.addEventListener("pointerleave", () => { hide(); cross.style.display = "none"; });
}
