"use strict";
// Filters the findings and the table by text, and the findings by the part of the timeline that was clicked.
const query = document.getElementById("query");
const shown = document.getElementById("shown");
const findings = [...document.querySelectorAll("article")];
const subjects = [...document.querySelectorAll("#subjects tbody tr")];
let range = null;

function update() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (element) => {
    const text = element.textContent.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  let count = 0;
  for (const finding of findings) {
    const number = Number(finding.dataset.row);
    const inside = range === null || (number >= range[0] && number <= range[1]);
    finding.hidden = !(inside && fits(finding));
    count += finding.hidden ? 0 : 1;
  }
  for (const row of subjects) row.hidden = !fits(row);
  shown.replaceChildren(count + " of " + findings.length + " shown ");
  if (range !== null) {
    const all = document.createElement("button");
    all.textContent = "rows " + range[0] + " to " + range[1] + ": show all";
    all.addEventListener("click", () => { range = null; update(); });
    shown.append(all);
  }
}

query.addEventListener("input", update);
for (const bin of document.querySelectorAll("svg g.bin")) {
  bin.addEventListener("click", () => {
    range = [Number(bin.dataset.first), Number(bin.dataset.last)];
    update();
    document.getElementById("findings").scrollIntoView({ behavior: "smooth" });
  });
}
update();
