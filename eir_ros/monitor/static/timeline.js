// One lane per robot: what the others believed of it, when it was broken, when that was noticed.

import { beliefAbout } from "./beliefs.js";
import { fit, FONT } from "./canvas.js";
import { beliefColour, colour } from "./palette.js";
import { clock, kindWords } from "./words.js";

const GUTTER = 40;
const RIGHT = 14;
const AXIS = 18;
// room below a lane for the marks of detections
const GAP = 12;
const KEPT_S = 180;

export class Timeline {
  constructor(canvas, hello, history) {
    this.hello = hello;
    // rows of mission time and the mean belief of the others about each robot
    this.rows = history;
    this.repaint = fit(canvas, (context, width, height) => this.draw(context, width, height));
  }

  /** Time has jumped: begin with another past. */
  rewind(history) {
    this.rows = history;
  }

  show(picture) {
    this.picture = picture;
    const last = this.rows.at(-1);
    if (!last || picture.time_s >= last[0] + 0.2) this.remember(picture);
    this.repaint();
  }

  remember(picture) {
    const means = this.hello.team.map((suspect) => beliefAbout(suspect, picture)?.mean ?? null);
    this.rows.push([picture.time_s, ...means]);
    while (this.rows[0][0] < picture.time_s - KEPT_S) this.rows.shift();
  }

  draw(context, width, height) {
    if (!this.picture) return;
    this.context = context;
    this.width = width;
    this.end = this.picture.time_s;
    // at first half the time, which fills sooner
    this.span = Math.min(Math.max(this.end + 2, 30), width > 700 ? 60 : 30);
    this.start = Math.max(0, this.end - this.span);
    this.x = (t) => GUTTER + ((t - this.start) / this.span) * (width - GUTTER - RIGHT);
    const lane = (height - AXIS) / this.hello.team.length;
    this.drawAxis(height);
    this.hello.team.forEach((name, i) => this.drawLane(name, i, i * lane, lane - GAP));
  }

  drawAxis(height) {
    const { context } = this;
    context.font = `11px ${FONT}`;
    context.textAlign = "center";
    context.lineWidth = 1;
    for (let t = Math.ceil(this.start / 5) * 5; t <= this.start + this.span; t += 5) {
      const labelled = t % 10 === 0;
      context.strokeStyle = colour("line", labelled ? 0.9 : 0.4);
      context.beginPath();
      context.moveTo(this.x(t), 0);
      context.lineTo(this.x(t), height - AXIS);
      context.stroke();
      context.fillStyle = colour("soft");
      if (labelled) context.fillText(clock(t, 0), this.x(t), height - 5);
    }
  }

  drawLane(name, i, top, height) {
    const { context } = this;
    const bottom = top + height;
    context.fillStyle = colour("ink");
    context.font = `600 12px ${FONT}`;
    context.textAlign = "left";
    context.fillText(name, 2, top + height / 2 + 4);
    context.strokeStyle = colour("faint", 0.7);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(GUTTER, bottom);
    context.lineTo(this.width - RIGHT, bottom);
    context.stroke();
    const faults = this.picture.faults.filter((fault) => fault.robot === name && fault.start_s <= this.end);
    for (const fault of faults) this.drawFault(fault, top, height);
    faults.forEach((fault, n) => this.nameFault(fault, faults[n + 1]?.start_s ?? this.start + this.span, top));
    this.drawBelief(i + 1, top, height);
    this.drawThreshold(bottom - this.hello.threshold * height);
    for (const alarm of this.picture.alarms) {
      // what the broken say counts for nothing
      const counts = alarm.suspect === name && alarm.word !== "broken";
      if (counts && alarm.t_s >= this.start) this.drawAlarm(alarm, bottom);
    }
  }

  /** The lane's own scale of colours: height and hue say the same thing. */
  drawBelief(column, top, height) {
    const { context } = this;
    const rows = this.rows.filter((row) => row[0] >= this.start && row[column] !== null);
    if (rows.length < 2) return;
    const y = (p) => top + (1 - p) * height;
    const fill = context.createLinearGradient(0, top + height, 0, top);
    const line = context.createLinearGradient(0, top + height, 0, top);
    for (const p of [0, 0.5, 1]) {
      fill.addColorStop(p, beliefColour(p, 0.35));
      line.addColorStop(p, beliefColour(p));
    }
    context.beginPath();
    rows.forEach((row) => context.lineTo(this.x(row[0]), y(row[column])));
    context.strokeStyle = line;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(this.x(rows.at(-1)[0]), top + height);
    context.lineTo(this.x(rows[0][0]), top + height);
    context.fillStyle = fill;
    context.fill();
  }

  drawThreshold(y) {
    const { context } = this;
    context.strokeStyle = colour("faint", 0.5);
    context.lineWidth = 1;
    context.setLineDash([2, 5]);
    context.beginPath();
    context.moveTo(GUTTER, y);
    context.lineTo(this.width - RIGHT, y);
    context.stroke();
    context.setLineDash([]);
  }

  drawFault(fault, top, height) {
    const { context } = this;
    const from = Math.max(this.x(fault.start_s), GUTTER);
    const to = this.x(Math.min(fault.end_s ?? this.end, this.end));
    if (fault.start_s > this.end || to <= from) return;
    context.save();
    context.beginPath();
    context.rect(from, top, to - from, height);
    context.clip();
    context.strokeStyle = colour("soft", 0.28);
    context.lineWidth = 1;
    context.beginPath();
    for (let x = from - height; x < to; x += 7) {
      context.moveTo(x, top + height);
      context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
    context.strokeStyle = colour("ink", 0.9);
    context.lineWidth = 1.5;
    context.beginPath();
    if (fault.start_s >= this.start) {
      context.moveTo(from, top);
      context.lineTo(from, top + height);
    }
    if (fault.end_s !== null && fault.end_s <= this.end) {
      context.moveTo(to, top);
      context.lineTo(to, top + height);
    }
    context.stroke();
  }

  /** Write which fault it is, as much of it as there is room for before the next one. */
  nameFault(fault, next, top) {
    const { context } = this;
    const from = Math.max(this.x(fault.start_s), GUTTER) + 5;
    if (this.x(Math.min(fault.end_s ?? this.end, this.end)) <= from - 5) return;
    context.font = `11px ${FONT}`;
    context.textAlign = "left";
    const words = kindWords(fault.kind);
    let text = words;
    for (let n = words.length - 1; n > 0 && from + context.measureText(text).width > this.x(next) - 2; n--) {
      text = `${words.slice(0, n)}…`;
    }
    if (text.length < 3) return;
    context.fillStyle = colour("ink");
    context.strokeStyle = colour("panel");
    context.lineWidth = 3;
    context.strokeText(text, from, top + 11);
    context.fillText(text, from, top + 11);
  }

  drawAlarm(alarm, bottom) {
    const { context } = this;
    const x = this.x(alarm.t_s);
    context.beginPath();
    context.moveTo(x - 5, bottom + 10);
    context.lineTo(x + 5, bottom + 10);
    context.lineTo(x, bottom + 1);
    context.closePath();
    context.lineWidth = 1.5;
    const wrong = alarm.word === "false";
    context.fillStyle = colour(wrong ? "panel" : "alarm");
    context.strokeStyle = colour(wrong ? "alarm" : "panel");
    context.fill();
    context.stroke();
  }
}
