// The operator page: takes pictures of the swarm from the monitor, gives it the operator's orders.

import { Arena } from "./arena.js";
import { Link, STALE_MS } from "./link.js";
import { readPalette } from "./palette.js";
import { Events, Matrix, put, Robots, Tiles } from "./panels.js";
import { Replay } from "./replay.js";
import { Timeline } from "./timeline.js";
import { clock, siteLetter } from "./words.js";

// Robots slower than this stand [m/s].
const STANDING = 0.02;
const ANSWER_MS = 6000;
// An e-stop that was not carried out is sent again after this time.
const AGAIN_MS = 2000;
// A larger team is shown more densely.
const CROWD = 8;
// Levels of diagnostic_msgs/DiagnosticStatus.
const [WARNING, ERROR] = [1, 2];
const at = (id) => document.getElementById(id);

let hello = null;
let picture = null;
let views = [];
let unlocked = false;
// kept in memory only, so that the page can unlock itself after a reconnection
let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

let replay = null;

const link = new Link({ onHello: welcome, onPast: rewind, onPicture: show, onChange: showLink });

function welcome(news, history) {
  // a new team or a restarted monitor: begin anew; the same one: keep trails and scroll positions
  const same = hello && hello.run === news.run;
  hello = news;
  unlocked = !hello.needs_token;
  at("unlock").hidden = unlocked;
  put(at("bundle"), hello.bundle);
  document.body.toggleAttribute("data-crowd", hello.team.length > CROWD);
  document.body.style.setProperty("--team", hello.team.length);
  if (!same) {
    const arena = new Arena(at("arena"), hello);
    const timeline = new Timeline(at("timeline"), hello, history);
    const robots = new Robots(at("robots"), hello, (robot, kind) => give({ do: "inject", robot, kind }));
    const matrix = new Matrix(at("matrix"), hello.team, hello.replay ? null : askTrust);
    views = [arena, timeline, robots, matrix, new Tiles(document), new Events(at("events"))];
    showReplay();
  }
  settle();
}

/** A recording has controls of its own, and none of those that robots obey. */
function showReplay() {
  replay = hello.replay ? new Replay(hello, tell) : null;
  if (replay) views.push(replay);
  else at("replay").hidden = true;
  document.body.toggleAttribute("data-replay", Boolean(replay));
  put(at("title"), replay ? "Replay" : "Swarm monitor");
  document.title = replay ? `Replay of ${hello.replay.name}` : "Swarm monitor";
}

function rewind(history) {
  for (const view of views) view.rewind?.(history);
}

/** Unlock where that is known how, then send the e-stop that is owed. */
async function settle() {
  if (!unlocked && token) await unlock(token);
  else report(await link.pay());
}

function show(news) {
  picture = news;
  for (const view of views) view.show(picture);
  put(at("time"), clock(picture.time_s));
  put(at("pause"), picture.paused ? "Resume" : "Pause");
  at("pause").setAttribute("aria-pressed", String(picture.paused));
  put(at("estop-word"), picture.estop ? "Release e-stop" : "E-stop");
  document.body.toggleAttribute("data-estop", picture.estop);
  document.body.toggleAttribute("data-paused", picture.paused);
  showRecorder(picture.recorder);
  showLink();
}

function showRecorder(recorder) {
  at("recording-fact").hidden = recorder.level === undefined;
  if (recorder.level === undefined) return;
  const size = recorder.size_mb === null ? "" : `${recorder.size_mb.toFixed(0)} MB`;
  put(at("recording"), recorder.level >= ERROR ? `ended · ${size}` : size);
  document.body.toggleAttribute("data-unrecorded", recorder.level >= WARNING);
}

/** Say what the view is worth: live, paused, stale, lost. */
function showLink() {
  const [state, word, banner] = linkWords();
  document.body.dataset.link = state;
  put(at("link"), word);
  const words = [debtWords(), replayWords(), banner, recorderWords()].filter(Boolean).join(" ");
  put(at("banner"), words);
  at("banner").hidden = !words;
  document.body.toggleAttribute("data-overdue", link.overdue);
}

function debtWords() {
  if (!link.overdue) return "";
  if (!link.connected) return "E-stop pressed but not sent yet.";
  if (!unlocked) return "E-stop pressed but refused: unlock the controls.";
  return "E-stop pressed but not carried out yet, trying again.";
}

function replayWords() {
  if (!replay) return "";
  const { name, started } = hello.replay;
  const when = started ? `, recorded ${started}` : "";
  return `Replay of ${name}${when}. Nothing here is live, and no orders can be sent.`;
}

function recorderWords() {
  const { level = 0, said } = picture?.recorder ?? {};
  return level >= WARNING ? `Recorder: ${said}.` : "";
}

function linkWords() {
  if (!link.heard) return ["waiting", "connecting", ""];
  const silent = (link.silence / 1000).toFixed(0);
  if (!link.connected) {
    return ["lost", "lost", `Connection lost, showing the last known state (${silent} s old). Reconnecting…`];
  }
  if (link.silence > STALE_MS) {
    return ["lost", "silent", `No news from the monitor for ${silent} s, showing the last known state.`];
  }
  const [state, word] = replay ? ["replay", "replay"] : ["live", "live"];
  if (picture.estop) return [state, word, standWords()];
  if (picture.paused) return [state, word, "Paused: the simulated world is held."];
  const ages = picture.robots.map((robot) => robot.age_s);
  const newest = Math.min(...ages.map((age) => age ?? Infinity));
  if (newest > STALE_MS / 1000) {
    return Number.isFinite(newest)
      ? ["stale", "no data", `No data from any robot for ${newest.toFixed(0)} s, showing the last known state.`]
      : ["stale", "no data", "Waiting for the robots: nothing was heard from them yet."];
  }
  return [state, word, ""];
}

function standWords() {
  const moving = picture.robots.filter((robot) => Math.abs(robot.speed) > STANDING);
  if (!moving.length) return "E-stop: every robot stands.";
  return `E-stop: ${moving.map((robot) => robot.name).join(", ")} slowing down.`;
}

/** A sentence about the map for those who cannot see it. */
function describe() {
  if (!picture) return;
  const sites = picture.sites.map((site) =>
    `site ${siteLetter(site.id)} ${site.by ? `served by ${site.by}` : "not served"}`);
  const robots = picture.robots.filter((robot) => robot.pose).map((robot) =>
    `${robot.name} at ${robot.pose[0].toFixed(2)}, ${robot.pose[1].toFixed(2)} m`);
  at("arena").setAttribute("aria-label", `Map of the arena: ${[...robots, ...sites].join("; ")}`);
}

let answerTimer = 0;

function report(answer) {
  if (!answer) return;
  put(at("answer"), answer.sentence);
  at("answer").dataset.ok = answer.ok;
  at("answer").classList.add("shown");
  clearTimeout(answerTimer);
  answerTimer = setTimeout(() => at("answer").classList.remove("shown"), ANSWER_MS);
}

async function give(order) {
  report(await link.order(order));
}

/** Like `give`, for what shows its effect by itself: only a refusal is told. */
async function tell(order) {
  const answer = await link.order(order);
  if (!answer.ok) report(answer);
}

async function unlock(typed) {
  const answer = await link.order({ do: "unlock", token: typed });
  unlocked = answer.ok;
  at("unlock").hidden = unlocked;
  if (answer.ok) token = typed;
  report(answer);
  report(await link.pay());
}

async function stop() {
  if (replay) {
    report({ ok: false, sentence: "This is a replay: there is nothing here to stop." });
    return;
  }
  report(await link.stop());
}

function askRelease() {
  at("release").returnValue = "";
  at("release").showModal();
}

/** Whom the dialog about trust is about: who trusts, and whom. */
let trusted = null;

function askTrust(robot, teammate, level) {
  trusted = { robot, teammate };
  put(at("trust-title"), `How far shall ${robot} trust ${teammate}?`);
  at("trust-level").value = level;
  at("trust-reason").value = "";
  at("trust").returnValue = "";
  at("trust").showModal();
}

at("trust").onclose = () => {
  if (at("trust").returnValue !== "order") return;
  give({ do: "trust", ...trusted, level: at("trust-level").value, reason: at("trust-reason").value.trim() });
};
at("estop").onclick = () => (picture?.estop ? askRelease() : stop());
at("pause").onclick = () => give({ do: "pause", on: !picture?.paused });
at("release").onclose = () => {
  if (at("release").returnValue !== "release") return;
  link.forgive();
  give({ do: "estop", on: false });
};
at("unlock").onclick = () => {
  at("key").returnValue = "";
  at("key").showModal();
};
at("key").onclose = () => {
  const typed = at("token").value;
  at("token").value = "";
  if (at("key").returnValue === "unlock") unlock(typed);
};

// Space plays and holds a recording, unless something else has the focus that it means something to.
addEventListener("keydown", (event) => {
  if (!replay || event.key !== " " || event.target.closest("button, select, input")) return;
  event.preventDefault();
  replay.toggle();
});

// Escape stops the swarm from wherever the focus is; in a dialog it only closes the dialog.
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.repeat || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  stop();
}, { capture: true });

readPalette();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readPalette();
  if (picture) show(picture);
});
setInterval(showLink, 500);
setInterval(describe, 1000);
setInterval(() => {
  if (unlocked && link.connected && !link.paying) link.pay().then(report);
}, AGAIN_MS);
