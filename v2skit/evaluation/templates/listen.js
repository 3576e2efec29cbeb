
const byId = (id) => document.getElementById(id);
const settings = JSON.parse(byId("settings").textContent);
const store = `v2skit-listen-${settings.test}`;
let session = null; // listener, begun, answers
let trials = []; // in this listener's order
let current = null; // player and ratings of the trial that is shown

/* Random numbers from a text, the same on every machine: FNV-1a, then mulberry32. */
function generator(text) {
  let state = 2166136261;
  for (const character of text) state = Math.imul(state ^ character.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(list, random) {
  const result = [...list];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}

function remember() {
  try {
    localStorage.setItem(store, JSON.stringify(session));
  } catch {
    // a browser without storage: the answers are lost if the page is closed before the end
  }
}

function remembered(listener) {
  try {
    const found = JSON.parse(localStorage.getItem(store));
    return found?.listener === listener ? found : null;
  } catch {
    return null;
  }
}

function begin(listener) {
  session = remembered(listener) ?? { test: settings.test, listener, begun: new Date().toISOString(), answers: [] };
  const random = generator(`${settings.seed} ${settings.test} ${listener}`);
  trials = shuffled(settings.trials, random).map((trial) => ({
    ...trial,
    order: shuffled(trial.stimuli, random), // of the sounds, as they are shown
  }));
  byId("start").hidden = true;
  byId("progress").hidden = false;
  present();
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function rating(token, label) {
  const { scale } = settings;
  const field = element("fieldset", { className: "rating" });
  field.setAttribute("aria-label", `Rating of ${label}`);
  if (scale.labels) {
    for (const [value, word] of Object.entries(scale.labels).reverse()) {
      const input = element("input", { type: "radio", name: token, value });
      input.addEventListener("change", () => rate({ [token]: Number(value) }));
      field.append(element("label", {}, input, `${value} ${word}`));
    }
  } else {
    const [min, max] = scale.range;
    const input = element("input", { type: "range", min, max, value: (min + max) / 2 });
    const shown = element("output", { textContent: "–" });
    input.setAttribute("aria-label", `Rating of ${label}`);
    for (const event of ["input", "click"]) {
      input.addEventListener(event, () => {
        shown.textContent = input.value;
        rate({ [token]: Number(input.value) });
      });
    }
    field.append(input, shown, element("div", { className: "words" }, ...scale.words.map((word) => element("span", { textContent: word }))));
  }
  return field;
}

function choice(trial) {
  const field = element("fieldset", { className: "rating" });
  field.setAttribute("aria-label", "Preference");
  const even = Object.fromEntries(trial.order.map((token) => [token, 1 / trial.order.length]));
  const options = trial.order.map((token, number) => [
    `Sound ${number + 1}`,
    Object.fromEntries(trial.order.map((other) => [other, Number(other === token)])),
  ]);
  for (const [label, ratings] of [...options, [settings.scale.choice, even]]) {
    const input = element("input", { type: "radio", name: "preference" });
    input.addEventListener("change", () => rate(ratings));
    field.append(element("label", {}, input, label));
  }
  return field;
}

function present() {
  const done = session.answers.length;
  byId("progress").value = done;
  const trial = trials[done];
  byId("trial").hidden = !trial;
  if (!trial) return end();
  const offset = Number(trial.reference);
  const player = new Player(() => JSON.parse(byId(`sounds-${trial.id}`).textContent), showPlaying);
  current = { trial, player, ratings: {}, heard: new Set(), buttons: [], began: performance.now() };
  byId("number").textContent = `Question ${done + 1} of ${trials.length}`;
  byId("reference").hidden = !trial.reference;
  if (trial.reference) listenTo(byId("reference-sound").cloneNode(true), 0, byId("reference-sound"));
  const rows = trial.order.map((token, number) => {
    const label = trial.order.length > 1 ? `Sound ${number + 1}` : "Play";
    const button = element("button", { type: "button", className: "sound", textContent: label });
    listenTo(button, offset + trial.stimuli.indexOf(token));
    const row = element("li", {}, button);
    if (!settings.scale.choice) row.append(rating(token, label));
    return row;
  });
  if (settings.scale.choice) rows.push(element("li", {}, element("b", { textContent: "I prefer" }), choice(trial)));
  byId("stimuli").replaceChildren(...rows);
  check();
  current.buttons[0].focus();
}

function listenTo(button, sound, replaced) {
  button.dataset.sound = sound;
  button.classList.remove("heard", "playing");
  replaced?.replaceWith(button);
  current.buttons.push(button);
  button.addEventListener("click", () => choose(sound));
}

function choose(sound) {
  const { player } = current;
  const again = player.nodes && player.chosen === sound;
  player.choose(sound);
  if (again) player.stop();
  else if (!player.nodes) player.play();
}

function showPlaying() {
  const { player, heard, buttons, trial } = current;
  if (player.nodes) heard.add(player.chosen);
  for (const button of buttons) {
    const sound = Number(button.dataset.sound);
    const chosen = sound === player.chosen;
    button.classList.toggle("playing", Boolean(player.nodes) && chosen);
    button.classList.toggle("heard", heard.has(sound));
    button.closest("li")?.classList.toggle("current", chosen && trial.order.length > 1);
  }
  check();
}

function rate(ratings) {
  Object.assign(current.ratings, ratings);
  check();
}

function check() {
  const { trial, ratings, heard } = current;
  const unheard = trial.stimuli.length + Number(trial.reference) - heard.size;
  const unrated = trial.stimuli.filter((token) => !(token in ratings)).length;
  byId("next").disabled = Boolean(unheard || unrated);
  byId("hint").textContent = unheard ? "Listen to every sound." : unrated ? "Rate every sound." : "";
}

function end() {
  session.ended ??= new Date().toISOString();
  remember();
  byId("end").hidden = false;
  const file = new Blob([JSON.stringify(session, null, 1)], { type: "application/json" });
  const save = byId("save");
  save.href = URL.createObjectURL(file);
  save.download = `answers-${settings.test}-${session.listener.replace(/[^\p{L}\p{N}]+/gu, "_")}.json`;
  save.focus();
}

byId("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const listener = byId("listener").value.trim();
  if (listener) begin(listener);
});
byId("trial").addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("next").disabled) return;
  current.player.stop();
  const seconds = Math.round((performance.now() - current.began) / 100) / 10;
  session.answers.push({ trial: current.trial.id, ratings: current.ratings, seconds });
  remember();
  present();
});
document.addEventListener("keydown", (event) => {
  if (byId("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(event.key);
  if (event.key === " " && !event.target.matches("button, input")) choose(current.player.chosen);
  else if (number >= 1 && number <= current.trial.order.length && current.trial.order.length > 1) {
    choose(Number(current.trial.reference) + current.trial.stimuli.indexOf(current.trial.order[number - 1]));
  } else if (event.key === "Enter" && !event.target.matches("button")) byId("trial").requestSubmit();
  else return;
  event.preventDefault();
});
