"use strict";
// The page of a live run. Everything from the server is put in as text, never as markup.

const byId = (id) => document.getElementById(id);
const UNSETTLED = new Set(["unknown", "idle"]);
const TONES = ["#7cc4a4", "#e7b55f", "#86b4ea", "#e08f8f", "#b9a2e3", "#c9cf6d", "#6fc3cf", "#e39fc6"];
let classes = [];
let missed = 0;

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

const words = (label) => label.replaceAll("_", " ");
const percent = (share) => `${Math.round(100 * share)} %`;

function tone(label) {
  if (UNSETTLED.has(label)) return "#8b93a1";
  return TONES[Math.max(classes.indexOf(label), 0) % TONES.length];
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

function bar(share, colour) {
  const whole = make("div", "bar");
  const filled = make("i");
  filled.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  if (colour) filled.style.background = colour;
  whole.append(filled);
  return whole;
}

function showFigures(facts) {
  const rows = [
    [clock(facts.time_s ?? 0), ""], [(facts.fps ?? 0).toFixed(1), "fps"], [`${facts.age_ms ?? 0}`, "ms old"],
    [`${facts.dropped ?? 0}`, "dropped"], [`${facts.seen?.length ?? 0}`, "in view"],
  ];
  byId("figures").replaceChildren(...rows.map(([value, unit]) => {
    const cell = make("div");
    cell.append(make("dt", "", unit), make("dd", unit === "dropped" && facts.dropped ? "warn" : "", value));
    return cell;
  }));
}

function timeline(person, facts) {
  const line = make("div", "line");
  const begin = facts.time_s - facts.span_s;
  for (const [start, end, label] of person.line) {
    const left = Math.max(start - begin, 0) / facts.span_s;
    const width = (end - Math.max(start, begin)) / facts.span_s;
    if (width <= 0) continue;
    const part = make("span", "", width > 0.12 ? words(label) : "");
    part.style.left = `${100 * left}%`;
    part.style.width = `${100 * width}%`;
    part.style.background = tone(label);
    part.title = `${words(label)}, ${clock(start)} to ${clock(end)}`;
    line.append(part);
  }
  return line;
}

function showPeople(facts) {
  const cards = facts.people.map((person) => {
    const card = make("article", facts.seen.includes(person.number) ? "person" : "person away");
    const name = make("div", "name");
    const badge = make("span", "badge", person.number);
    badge.style.background = person.colour;
    const settled = !UNSETTLED.has(person.label);
    name.append(badge, make("b", settled ? "" : "unsettled", words(person.label)));
    if (settled) name.append(make("span", "", percent(person.probability)));
    card.append(name);
    for (const [label, probability] of person.top) {
      const row = bar(probability, tone(label));
      row.append(make("span", "", words(label)), make("span", "", percent(probability)));
      card.append(row);
    }
    const scale = make("div", "scale");
    scale.append(make("span", "", `${facts.span_s} s ago`), make("span", "", "now"));
    card.append(timeline(person, facts), scale);
    return card;
  });
  byId("people").replaceChildren(...(cards.length ? cards : [make("p", "none", "Nobody is in view.")]));
}

function showStages(facts) {
  const stages = Object.entries(facts.stages_ms ?? {});
  const most = Math.max(...stages.map(([, took]) => took), 1);
  byId("stages").replaceChildren(...stages.map(([stage, took]) => {
    const row = make("div", "took");
    row.append(make("span", "", stage), bar(took / most), make("output", "", took.toFixed(took < 10 ? 1 : 0)));
    return row;
  }));
}

function showChanges(facts) {
  const rows = facts.changes.slice().reverse().map((change) => {
    const row = make("li");
    row.append(make("time", "", clock(change.time_s)), make("small", "", `#${change.person}`),
      make("span", "", words(change.label)), make("small", "", percent(change.probability)));
    return row;
  });
  byId("changes").replaceChildren(...(rows.length ? rows : [make("li", "none", "None yet.")]));
}

function over(text) {
  byId("over").textContent = text;
  byId("over").hidden = !text;
}

function show(facts) {
  classes = facts.classes;
  byId("source").textContent = facts.source;
  byId("dot").className = facts.ended ? "dot" : "dot live";
  const record = byId("record");
  record.setAttribute("aria-pressed", String(Boolean(facts.recording)));
  record.lastElementChild.textContent = facts.recording ? "Stop" : "Record";
  if (facts.trouble) say(facts.trouble, true);
  showFigures(facts);
  if (facts.time_s !== undefined) {
    showPeople(facts);
    showStages(facts);
    showChanges(facts);
  }
  over(facts.ended ? "The run has ended." : (facts.notes ?? []).join(" "));
  for (const button of document.querySelectorAll("button")) button.disabled = facts.ended;
}

function say(text, bad, file) {
  const said = byId("said");
  said.className = bad ? "bad" : "";
  said.replaceChildren(text);
  if (file) {
    const link = make("a", "", file);
    link.href = `saved/${encodeURIComponent(file)}`;
    said.append(" ", link);
  }
}

async function press(path, done) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "X-Maskclr-Edge": "1" } });
    const facts = await answer.json();
    if (facts.error) say(facts.error, true);
    else if (facts.file) say(done, false, facts.file);
  } catch {
    say("The program does not answer.", true);
  }
}

byId("snapshot").addEventListener("click", () => press("snapshot", "Saved"));
byId("record").addEventListener("click", () => {
  const on = byId("record").getAttribute("aria-pressed") !== "true";
  if (on) press("recording?on=1", "Recording").then(() => byId("said").querySelector("a")?.removeAttribute("href"));
  else press("recording?on=0", "Saved");
});

byId("picture").src = "stream.mjpg";
const events = new EventSource("events");
events.onmessage = (event) => {
  if (missed) byId("picture").src = `stream.mjpg?${Date.now()}`;
  missed = 0;
  const facts = JSON.parse(event.data);
  show(facts);
  if (facts.ended) events.close();
};
events.onerror = () => {
  missed += 1;
  byId("dot").className = "dot lost";
  over("The program does not answer; trying again.");
};
