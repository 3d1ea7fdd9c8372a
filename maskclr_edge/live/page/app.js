"use strict";
// The page of a live run. Everything from the server is put in as text, never as markup.

const byId = (id) => document.getElementById(id);
const UNSETTLED = new Set(["unknown", "idle"]);
const STAGES_OF_ANSWERS = new Set(["classify", "importance"]);
let classes = [];
let colours = new Map();
let heard = 0; // events, of which every fifth keeps the picture
let lostAt = 0;
let refused = false;
let recordingSince = 0;

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

const words = (label) => label.replaceAll("_", " ");
const percent = (share) => `${Math.round(100 * share)} %`;

// Hues a golden angle apart: however many classes there are, each has its own, and neighbours differ most.
function tone(label) {
  const place = Math.max(classes.indexOf(label), 0);
  return `oklch(${place % 2 ? 0.84 : 0.74} 0.12 ${(137.508 * place + 20) % 360})`;
}

function clock(seconds, digits = 1) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
}

function badge(number) {
  const round = make("span", "badge", number);
  round.style.background = colours.get(number) ?? "#8b93a1";
  return round;
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
    [clock(facts.time_s ?? 0), "time"], [(facts.fps ?? 0).toFixed(1), "fps"], [`${facts.age_ms ?? 0}`, "ms old"],
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
    const letters = (width * byId("lines").clientWidth) / 8;
    const part = make("span", "", letters >= Math.min(label.length + 2, 9) ? words(label) : "");
    part.style.left = `${100 * left}%`;
    part.style.width = `${100 * width}%`;
    if (UNSETTLED.has(label)) part.classList.add("unsettled");
    else part.style.background = tone(label);
    part.title = `${words(label)}, ${clock(start)} to ${clock(end)}`;
    line.append(part);
  }
  return line;
}

function showLines(facts) {
  const rows = facts.people.map((person) => {
    const row = make("div", facts.seen.includes(person.number) ? "track" : "track away");
    row.append(badge(person.number), timeline(person, facts));
    return row;
  });
  const scale = make("div", "scale");
  for (const part of [1, 0.75, 0.5, 0.25]) scale.append(make("span", "", `-${part * facts.span_s} s`));
  scale.append(make("span", "", "now"));
  byId("lines").replaceChildren(...(rows.length ? [...rows, scale] : [make("p", "none", "Nobody yet, or not for a while.")]));
}

function showPeople(facts) {
  const away = (person) => Number(!facts.seen.includes(person.number)); // whoever is in view comes first
  const cards = facts.people.slice().sort((a, b) => away(a) - away(b)).map((person) => {
    const card = make("article", away(person) ? "person away" : "person");
    const name = make("div", "name");
    const settled = !UNSETTLED.has(person.label);
    name.append(badge(person.number), make("b", settled ? "" : "unsettled", words(person.label)));
    // a label is held through moments in which another class is the likeliest
    const held = settled && person.label !== person.top[0]?.[0];
    if (settled) name.append(make("span", held ? "held" : "", `${held ? "held, " : ""}${percent(person.probability)}`));
    card.append(name);
    for (const [label, probability] of person.top) {
      const row = bar(probability, tone(label));
      row.append(make("span", "", words(label)), make("span", "", percent(probability)));
      card.append(row);
    }
    return card;
  });
  byId("people").replaceChildren(...(cards.length ? cards : [make("p", "none", "Nobody is in view.")]));
}

function showStages(facts) {
  const stages = Object.entries(facts.stages_ms ?? {});
  const most = Math.max(...stages.map(([, took]) => took), 1);
  const rows = stages.map(([stage, took]) => {
    const row = make("div", "took");
    row.append(make("span", "", stage), bar(took / most), make("output", "", `${took.toFixed(took < 10 ? 1 : 0)} ms`));
    return row;
  });
  const rare = stages.map(([stage]) => stage).filter((stage) => STAGES_OF_ANSWERS.has(stage));
  if (rare.length) rows.push(make("p", "none", `${rare.join(", ")}: per answer; the others: per frame`));
  byId("stages").replaceChildren(...rows);
}

function showChanges(facts) {
  const rows = facts.changes.slice().reverse().map((change) => {
    const row = make("li");
    row.append(make("time", "", clock(change.time_s)), badge(change.person),
      make("span", "", words(change.label)), make("small", "", percent(change.probability)));
    return row;
  });
  byId("changes").replaceChildren(...(rows.length ? rows : [make("li", "none", "None yet.")]));
}

function showRecording(name) {
  if (!name) recordingSince = 0;
  else if (!recordingSince) recordingSince = Date.now();
  const record = byId("record");
  record.setAttribute("aria-pressed", String(Boolean(name)));
  record.lastElementChild.textContent = name ? `Stop ${clock((Date.now() - recordingSince) / 1000, 0)}` : "Record";
}

function put(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

function show(facts) {
  classes = facts.classes;
  for (const person of facts.people) colours.set(person.number, person.colour);
  byId("source").textContent = facts.source;
  byId("dot").className = facts.ended ? "dot" : facts.waiting ? "dot away" : "dot live";
  showRecording(facts.recording);
  showFigures(facts);
  if (facts.time_s !== undefined) {
    showLines(facts);
    showPeople(facts);
    showStages(facts);
    showChanges(facts);
  }
  const notes = (facts.notes ?? []).join(" · ");
  put("over", facts.ended ? "The run has ended." : facts.waiting ? notes : facts.time_s === undefined ? "Starting." : "");
  put("notes", [facts.ended || facts.waiting ? "" : notes, facts.trouble].filter(Boolean).join(" · "));
  enable(!facts.ended);
}

function enable(on) {
  for (const button of document.querySelectorAll("button")) button.disabled = !on || button.classList.contains("busy");
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

async function press(button, path) {
  button.classList.add("busy"); // until it is answered: a second press would be another snapshot
  button.disabled = true;
  try {
    const answer = await fetch(path, { method: "POST", headers: { "X-Maskclr-Edge": "1" } });
    const facts = await answer.json();
    if (facts.error) say(facts.error, true);
    return facts.file;
  } catch {
    say("The program does not answer.", true);
  } finally {
    button.classList.remove("busy");
    button.disabled = false;
  }
}

byId("snapshot").addEventListener("click", async () => {
  const file = await press(byId("snapshot"), "snapshot");
  if (file) say("Saved", false, file);
});
byId("record").addEventListener("click", async () => {
  const on = byId("record").getAttribute("aria-pressed") !== "true";
  const file = await press(byId("record"), `recording?on=${Number(on)}`);
  if (file && on) say(`Recording ${file}`);
  else if (file) say("Saved", false, file);
});

// A stream that breaks off leaves its element empty, so now and then its picture is copied to one that stays.
function keepPicture() {
  const picture = byId("picture"), kept = byId("kept");
  if (!picture.naturalWidth) return;
  kept.width = picture.naturalWidth;
  kept.height = picture.naturalHeight;
  kept.getContext("2d").drawImage(picture, 0, 0);
}

function play() {
  byId("picture").src = `stream.mjpg?${Date.now()}`;
}

function showLost() {
  const seconds = Math.round((Date.now() - lostAt) / 1000);
  put("over", refused ? "The program refuses this page. Open the address that it printed."
    : `No answer from the program for ${seconds} s; trying again.`);
}

function listen() {
  const events = new EventSource("events");
  events.onmessage = (event) => {
    if (lostAt) play();
    lostAt = 0;
    document.body.className = "";
    if (heard++ % 5 === 0) keepPicture();
    const facts = JSON.parse(event.data);
    show(facts);
    if (facts.ended) events.close();
  };
  events.onerror = () => {
    // closed: it answers and refuses, as a run that was started again with another token does
    refused = events.readyState === EventSource.CLOSED;
    if (refused) setTimeout(listen, 3000);
    if (!lostAt) lostAt = Date.now();
    document.body.className = "lost";
    byId("dot").className = "dot lost";
    enable(false);
    showLost();
  };
}

setInterval(() => {
  if (lostAt) showLost();
}, 1000);

byId("picture").addEventListener("error", () => {
  if (!lostAt) setTimeout(play, 3000); // other browsers may have all places
});
play();
listen();
