// The controls of a recording: play, speed, and a slider over its whole length.

import { make, put } from "./panels.js";
import { clock, kindWords } from "./words.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
// A slider that is dragged asks for a place at most this often.
const DRAG_MS = 120;
const at = (id) => document.getElementById(id);

export class Replay {
  /** `give(order)` sends what the controls ask for. */
  constructor(hello, give) {
    this.give = give;
    this.length = hello.replay.duration_s;
    this.playing = false;
    this.dragged = false;
    this.asked = 0;
    this.marks = "";
    at("replay").hidden = false;
    at("reel").max = this.length;
    at("speed").replaceChildren(...SPEEDS.map(option));
    at("play").onclick = () => this.toggle();
    at("speed").onchange = () => give({ do: "speed", factor: Number(at("speed").value) });
    at("reel").oninput = () => this.drag();
    at("reel").onchange = () => this.drop();
  }

  toggle() {
    this.give({ do: "play", on: !this.playing });
  }

  /** Follow the thumb, but not with every step of it. */
  drag() {
    this.dragged = true;
    this.say(Number(at("reel").value));
    if (this.waiting) return;
    const wait = Math.max(0, this.asked + DRAG_MS - performance.now());
    this.waiting = setTimeout(() => this.seek(), wait);
  }

  drop() {
    clearTimeout(this.waiting);
    this.seek();
    this.dragged = false;
  }

  seek() {
    this.waiting = 0;
    this.asked = performance.now();
    this.give({ do: "seek", t_s: Number(at("reel").value) });
  }

  show(picture) {
    const { playing, speed } = picture.replay;
    this.playing = playing;
    put(at("play"), playing ? "Pause" : "Play");
    at("play").setAttribute("aria-pressed", String(playing));
    if (document.activeElement !== at("speed")) this.showSpeed(speed);
    if (!this.dragged) {
      at("reel").value = picture.time_s;
      this.say(picture.time_s);
    }
    this.showFaults(picture.faults);
  }

  say(seconds) {
    put(at("reel-time"), `${clock(seconds)} of ${clock(this.length)}`);
    at("reel").setAttribute("aria-valuetext", `${seconds.toFixed(1)} s`);
  }

  showSpeed(speed) {
    if (![...at("speed").options].some((known) => Number(known.value) === speed)) {
      at("speed").append(option(speed));
    }
    at("speed").value = String(speed);
  }

  /** Where robots were broken, along the slider. */
  showFaults(faults) {
    const marks = JSON.stringify(faults);
    if (marks === this.marks) return;
    this.marks = marks;
    at("reel-faults").replaceChildren(...faults.filter((fault) => fault.start_s < this.length).map((fault) => {
      const end = Math.min(fault.end_s ?? this.length, this.length);
      const mark = make("span", { title: `${fault.robot}: ${kindWords(fault.kind)}` });
      mark.style.setProperty("--from", fault.start_s / this.length);
      mark.style.setProperty("--to", end / this.length);
      return mark;
    }));
  }
}

function option(speed) {
  return make("option", { value: speed }, `${speed} ×`);
}
