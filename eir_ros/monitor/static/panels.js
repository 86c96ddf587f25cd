// The panels made of text: numbers of the team, matrix of beliefs, robots, events.

import { beliefAbout } from "./beliefs.js";
import { beliefColour } from "./palette.js";
import { actionWords, clock, kindWords, micros, probability, quantity, siteLetter } from "./words.js";

/** Make an element: `make("li", { class: "x" }, child, "text")`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set a text only when it differs: ten pictures a second must not disturb a screen reader. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function label(element, text) {
  if (element.getAttribute("aria-label") !== text) element.setAttribute("aria-label", text);
}

const STATUS_WORDS = { tracked: "", not_visible: ", not in view", detected: ", detected" };
const ABSENT = "absent";
const TRUST_WORDS = { discount: ", discounted", quarantine: ", in quarantine", hold: ", and holds" };

export class Matrix {
  /**
   * `ask(observer, suspect, level)` is called where an operator wants to change a level of trust;
   * null where nobody can.
   */
  constructor(table, team, ask) {
    this.cells = new Map();
    const head = make("tr", {}, make("td"));
    for (const suspect of team) head.append(make("th", { scope: "col" }, suspect));
    const body = team.map((observer) => {
      const row = make("tr", {}, make("th", { scope: "row" }, observer));
      for (const suspect of team) {
        const cell = make("td", observer === suspect ? { class: "self", "aria-label": "itself" } : {});
        row.append(cell);
        if (observer === suspect) continue;
        this.cells.set(`${observer} ${suspect}`, cell);
        if (!ask) continue;
        cell.tabIndex = 0;
        cell.onclick = () => ask(observer, suspect, cell.dataset.trust ?? "cooperate");
        cell.onkeydown = (event) => event.key === "Enter" && cell.onclick();
      }
      return row;
    });
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  }

  show(picture) {
    for (const robot of picture.robots) {
      for (const [suspect, [p, status]] of Object.entries(robot.beliefs)) {
        const cell = this.cells.get(`${robot.name} ${suspect}`);
        if (!cell) continue;
        put(cell, probability(p));
        cell.dataset.status = status;
        const trust = robot.trust?.[suspect] ?? "cooperate";
        cell.dataset.trust = trust;
        cell.style.setProperty("--p", p);
        cell.style.setProperty("--tint", beliefColour(p, 0.55));
        label(cell, `${robot.name} believes with probability ${p.toFixed(2)} that ${suspect} ` +
          `is an adversary${STATUS_WORDS[status] ?? ""}${TRUST_WORDS[trust] ?? ""}`);
      }
    }
  }
}

export class Robots {
  /** `inject(robot, kind)` is called when a button is pressed; the kind "none" clears. */
  constructor(list, hello, inject) {
    this.rows = new Map(hello.team.map((name) => [name, new Row(name, hello, inject)]));
    list.replaceChildren(...[...this.rows.values()].map((row) => row.element));
  }

  show(picture) {
    for (const robot of picture.robots) this.rows.get(robot.name)?.show(robot, picture);
  }
}

class Row {
  constructor(name, hello, inject) {
    this.name = name;
    this.state = make("span", { class: "state" });
    this.doing = make("dd");
    this.gauge = make("span", { class: "gauge", "aria-hidden": "true" });
    this.belief = make("span");
    this.tick = make("dd");
    this.inference = make("dd");
    this.stale = make("dd");
    this.restarts = make("dd");
    this.kind = make("select", { "aria-label": `Fault for ${name}` });
    for (const kind of hello.kinds) this.kind.append(make("option", { value: kind }, kindWords(kind)));
    this.strength = make("input", { type: "text", "aria-label": `How strong, for ${name}`, spellcheck: "false" });
    this.length = make("input", {
      type: "number", min: "0", step: "any", placeholder: "s", "aria-label": `Seconds, for ${name}; empty: until cleared`,
    });
    this.kind.onchange = () => this.offer(hello);
    this.offer(hello);
    // one button, so that the focus stays where it is when the fault comes and goes
    this.button = make("button", { type: "button" }, "Inject");
    this.button.onclick = () => inject(name, this.fault ? "none" : this.wanted());
    const fact = (term, value, kind = "") =>
      make("div", { class: kind }, make("dt", {}, term), value);
    this.element = make(
      "li",
      { class: "robot", "data-robot": name },
      make("h3", {}, name, this.state),
      make(
        "dl",
        {},
        fact("Decision", this.doing, "doing"),
        fact("Suspicion", make("dd", {}, this.gauge, this.belief), "others"),
        fact("Tick p99", this.tick),
        fact("Inference", this.inference),
        fact("Stale", this.stale),
        fact("Restarts", this.restarts),
      ),
      make(
        "div",
        { class: "orders" },
        make("div", { class: "break" }, this.kind, this.button),
        make("div", { class: "break how" }, this.strength, this.length),
      ),
    );
  }

  /** Show what the chosen kind of fault can be told, as it is unless told otherwise. */
  offer(hello) {
    const known = hello.parameters?.[this.kind.value] ?? "";
    this.strength.value = "";
    this.strength.placeholder = known || "no settings";
    this.strength.title = known ? `Unless given: ${known}` : "";
    this.strength.disabled = !known;
  }

  /** The fault as it is written: `slow(gain=0.2) for 10`. */
  wanted() {
    const given = this.strength.value.trim();
    const seconds = this.length.value.trim();
    return this.kind.value + (given ? `(${given})` : "") + (seconds ? ` for ${seconds}` : "");
  }

  /** Show which fault it is, if it is one that can be chosen. */
  choose(fault) {
    if ([...this.kind.options].some((option) => option.value === fault)) this.kind.value = fault;
  }

  show(robot, picture) {
    const [word, mood] = stateWords(robot, picture);
    put(this.state, word);
    this.element.dataset.mood = mood;
    put(this.doing, robot.absent ? "–" : actionWords(robot.action));
    const belief = beliefAbout(this.name, picture);
    this.gauge.hidden = !belief;
    if (belief) {
      const { mean, most } = belief;
      this.gauge.style.setProperty("--mean", mean);
      this.gauge.style.setProperty("--max", most);
      this.gauge.style.setProperty("--tint", beliefColour(mean));
      put(this.belief, probability(mean));
      this.belief.title = `mean ${mean.toFixed(2)}, most ${most.toFixed(2)}`;
    }
    put(this.tick, quantity(robot.tick_ms.p99, "ms", 1));
    put(this.inference, micros(robot.inference_us.p99));
    put(this.stale, String(robot.stale_inputs));
    put(this.restarts, String(robot.restarts));
    this.fault = robot.fault;
    this.kind.disabled = Boolean(robot.fault);
    this.length.disabled = this.kind.disabled;
    this.choose(robot.fault);
    put(this.button, robot.fault ? "Clear" : "Inject");
    label(this.button, robot.fault ? `Clear the fault of ${this.name}` : `Inject a fault into ${this.name}`);
  }
}

/** What a robot is up to in a word or two, and how much that asks for attention. */
function stateWords(robot, picture) {
  if (robot.age_s === null) return ["not heard yet", "quiet"];
  if (robot.age_s > 2 && !picture.paused) return [`silent for ${robot.age_s.toFixed(0)} s`, "quiet"];
  if (robot.fault) return [`✕ ${kindWords(robot.fault)}`, "broken"];
  if (robot.shared) return [`two send ${robot.shared.replaceAll(/ by [^;]*/g, "").replaceAll(";", ",")}`, "broken"];
  if (robot.absent) return [ABSENT, "quiet"];
  if (picture.estop) return ["stopped", "normal"];
  if (robot.gate && robot.gate !== "nominal") return [`gate: ${kindWords(robot.gate)}`, "held"];
  const site = picture.sites.find((other) => other.by === robot.name);
  return [site ? `serves ${siteLetter(site.id)}` : "on its way", "normal"];
}

export class Tiles {
  constructor(root) {
    const ids = ["served", "served-share", "tick", "inference", "stale", "restarts"];
    this.at = Object.fromEntries(ids.map((id) => [id, root.getElementById(id)]));
  }

  show(picture) {
    const served = picture.sites.filter((site) => site.by !== null).length;
    const share = picture.score.served_fraction;
    const total = (name) => picture.robots.reduce((sum, robot) => sum + robot[name], 0);
    put(this.at.served, picture.sites.length ? `${served} of ${picture.sites.length}` : "–");
    put(this.at["served-share"], share === undefined ? "–" : `${(100 * share).toFixed(0)} %`);
    put(this.at.tick, quantity(picture.tick_ms.p99, "ms", 1));
    put(this.at.inference, micros(picture.inference_us.p99));
    put(this.at.stale, String(total("stale_inputs")));
    put(this.at.restarts, String(total("restarts")));
  }
}

export class Events {
  constructor(list) {
    this.list = list;
    this.seen = "";
  }

  /** Newest first; rebuilt only when something happened. */
  show(picture) {
    const lines = [
      ...faultLines(picture), ...picture.alarms.flatMap(alarmLines), ...trustLines(picture), ...stopLines(picture),
    ];
    lines.sort((a, b) => b.t - a.t);
    const seen = JSON.stringify(lines);
    if (seen === this.seen) return;
    this.seen = seen;
    this.list.replaceChildren(
      ...lines.slice(0, 60).map(({ t, mark, text }) =>
        make("li", { "data-mark": mark }, make("time", { title: `${t.toFixed(1)} s` }, clock(t)), make("span", {}, text))),
    );
  }
}

function faultLines(picture) {
  return picture.faults.flatMap((fault) => {
    if (fault.start_s > picture.time_s) return [];
    const kind = kindWords(fault.kind) + (fault.parameters ? ` (${fault.parameters})` : "");
    const away = fault.kind === ABSENT;
    const begun = away ? `${fault.robot} absent: nothing is heard of its agent` : `${fault.robot} broken: ${kind}`;
    const lines = [{ t: fault.start_s, mark: away ? "absent" : "fault", text: begun }];
    if (fault.end_s !== null && fault.end_s <= picture.time_s) {
      const over = away ? `${fault.robot} is there again` : `${fault.robot} mended (${kind})`;
      lines.push({ t: fault.end_s, mark: "mended", text: over });
    }
    return lines;
  });
}

function trustLines(picture) {
  return (picture.trust_steps ?? []).map((step) =>
    ({ t: step.t_s, mark: "trust", text: `${step.observer} on ${step.line}` }));
}

function stopLines(picture) {
  return picture.estops.flatMap((stop) => {
    const lines = [{ t: stop.start_s, mark: "estop", text: "E-stop: every robot is told to stand" }];
    if (stop.end_s !== null) lines.push({ t: stop.end_s, mark: "released", text: "E-stop released" });
    return lines;
  });
}

/** What an alarm is, by the ground truth; nothing where a belief only swings round the threshold. */
function alarmLines(alarm) {
  const { t_s: t, observer, suspect, word } = alarm;
  if (word === "swing") return [];
  if (word === "false") return [{ t, mark: "false", text: `${observer} detected ${suspect}: a false alarm` }];
  if (word === "again") return [{ t, mark: "again", text: `${observer} blames ${suspect} again` }];
  if (word === "broken") {
    return [{ t, mark: "again", text: `${observer}, broken itself, blames ${suspect}` }];
  }
  const found = alarm.kind === ABSENT
    ? `${observer} has noticed that ${suspect} is absent`
    : `${observer} detected ${suspect} after ${alarm.delay_s.toFixed(1)} s`;
  return [{ t, mark: "detection", text: found }];
}
