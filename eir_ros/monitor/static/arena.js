// The arena from above: robots, headings, trails, sites and who serves them. Map axes, metres.

import { beliefAbout } from "./beliefs.js";
import { fit, FONT } from "./canvas.js";
import { Labels } from "./labels.js";
import { beliefColour, colour } from "./palette.js";
import { kindWords, siteLetter } from "./words.js";

const TRAIL_S = 8;
// Room round the arena.
const MARGIN_M = 0.14;
// Below this nobody is suspected, and the ring stays calm.
const NOTABLE = 0.2;
// A robot that moved further than this between two pictures was put there.
const JUMP_M = 0.6;
const NAME_PX = 13;
const SITE_PX = 3.5;
// From a robot to the ring round it.
const RING_PX = 6;
const TURN = 2 * Math.PI;

export class Arena {
  constructor(canvas, hello) {
    const [xmin, ymin, xmax, ymax] = hello.arena;
    canvas.parentElement.style.setProperty("--aspect", (xmax - xmin + 2 * MARGIN_M) / (ymax - ymin + 2 * MARGIN_M));
    this.canvas = canvas;
    this.labels = new Labels();
    this.hello = hello;
    this.trails = new Map(hello.team.map((name) => [name, []]));
    this.repaint = fit(canvas, (context, width, height) => this.draw(context, width, height));
    this.smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** Show a picture; robots glide from where they were shown last. */
  show(picture) {
    const now = performance.now();
    this.from = new Map((this.picture?.robots ?? []).map((robot) => [robot.name, this.pose(robot)]));
    this.period = this.shown ? Math.min(now - this.shown, 300) : 0;
    this.shown = now;
    this.picture = picture;
    this.remember(picture);
    if (!this.gliding) this.glide();
  }

  /** Time has jumped: nobody came from where they were shown last. */
  rewind() {
    for (const trail of this.trails.values()) trail.length = 0;
    this.picture = null;
  }

  glide() {
    this.repaint();
    this.gliding = this.smooth && performance.now() - this.shown < this.period;
    if (this.gliding) requestAnimationFrame(() => this.glide());
  }

  remember(picture) {
    for (const robot of picture.robots) {
      const trail = this.trails.get(robot.name);
      if (!robot.pose || !trail) continue;
      const last = trail.at(-1);
      if (!last || last.t < picture.time_s) {
        trail.push({ x: robot.pose[0], y: robot.pose[1], t: picture.time_s });
      }
      while (trail.length && trail[0].t < picture.time_s - TRAIL_S) trail.shift();
    }
  }

  /** Where a robot is drawn at this moment: on its way from the last picture to this one. */
  pose(robot) {
    const before = this.from?.get(robot.name);
    if (!before || !robot.pose || !this.smooth) return robot.pose;
    if (Math.hypot(robot.pose[0] - before[0], robot.pose[1] - before[1]) > JUMP_M) return robot.pose;
    const share = this.period ? Math.min(1, (performance.now() - this.shown) / this.period) : 1;
    const turn = Math.atan2(Math.sin(robot.pose[2] - before[2]), Math.cos(robot.pose[2] - before[2]));
    return [
      before[0] + share * (robot.pose[0] - before[0]),
      before[1] + share * (robot.pose[1] - before[1]),
      before[2] + share * turn,
    ];
  }

  draw(context, width, height) {
    if (!this.picture) return;
    const [xmin, ymin, xmax, ymax] = this.hello.arena;
    this.scale = Math.min(width / (xmax - xmin + 2 * MARGIN_M), height / (ymax - ymin + 2 * MARGIN_M));
    const [cx, cy] = [(xmin + xmax) / 2, (ymin + ymax) / 2];
    this.x = (x) => width / 2 + (x - cx) * this.scale;
    this.y = (y) => height / 2 - (y - cy) * this.scale;
    this.context = context;
    this.drawFloor();
    this.drawScale();
    for (const site of this.picture.sites) this.drawSite(site);
    for (const robot of this.picture.robots) this.drawTrail(this.trails.get(robot.name));
    const placed = this.picture.robots.filter((robot) => robot.pose);
    for (const robot of placed) this.drawRobot(robot);
    // after all of them, so that no robot hides a name
    const sites = this.picture.sites.map((site) => ({ x: this.x(site.x), y: this.y(site.y), reach: SITE_PX }));
    this.labels.begin(width, height, [...sites, ...placed.map((robot) => this.body(robot))]);
    for (const site of this.picture.sites) this.nameSite(site);
    for (const robot of placed) this.nameRobot(robot);
  }

  drawFloor() {
    const { context } = this;
    const [xmin, ymin, xmax, ymax] = this.hello.arena;
    context.lineWidth = 1;
    context.strokeStyle = colour("line", 0.55);
    context.beginPath();
    for (let x = Math.ceil(xmin); x < xmax; x++) {
      context.moveTo(this.x(x), this.y(ymin));
      context.lineTo(this.x(x), this.y(ymax));
    }
    for (let y = Math.ceil(ymin); y < ymax; y++) {
      context.moveTo(this.x(xmin), this.y(y));
      context.lineTo(this.x(xmax), this.y(y));
    }
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = colour("faint", 0.6);
    context.strokeRect(this.x(xmin), this.y(ymax), (xmax - xmin) * this.scale, (ymax - ymin) * this.scale);
  }

  drawScale() {
    const { context } = this;
    const [right, low] = [this.x(this.hello.arena[2]) - 12, this.y(this.hello.arena[1]) - 12];
    context.strokeStyle = context.fillStyle = colour("soft", 0.8);
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(right - this.scale, low - 4);
    context.lineTo(right - this.scale, low);
    context.lineTo(right, low);
    context.lineTo(right, low - 4);
    context.stroke();
    this.write("1 m", right - this.scale / 2, low - 7, { size: 11, paint: colour("soft") });
  }

  drawSite(site) {
    const { context } = this;
    const [x, y] = [this.x(site.x), this.y(site.y)];
    const radius = this.hello.serve_radius * this.scale;
    const served = site.by !== null;
    const paint = served ? colour("calm") : colour("soft");
    context.fillStyle = served ? colour("calm", 0.13) : colour("soft", 0.05);
    context.strokeStyle = served ? colour("calm", 0.9) : colour("soft", 0.7);
    context.lineWidth = served ? 2 : 1.5;
    context.setLineDash(served ? [] : [5, 6]);
    this.circle(x, y, radius);
    context.fill();
    context.stroke();
    context.setLineDash([]);
    const server = served && this.picture.robots.find((robot) => robot.name === site.by);
    if (server?.pose) {
      const pose = this.pose(server);
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(this.x(pose[0]), this.y(pose[1]));
      context.stroke();
    }
    context.fillStyle = paint;
    context.fillRect(x - SITE_PX, y - SITE_PX, 2 * SITE_PX, 2 * SITE_PX);
  }

  nameSite(site) {
    const text = site.by === null ? siteLetter(site.id) : `${siteLetter(site.id)} · ${site.by}`;
    const paint = site.by === null ? colour("soft") : colour("calm");
    const ring = { x: this.x(site.x), y: this.y(site.y), reach: this.hello.serve_radius * this.scale };
    this.name(`site ${site.id}`, text, ring, ["above", "below", "right", "left"], { size: 12, weight: 600, paint });
  }

  drawTrail(trail) {
    const { context } = this;
    context.lineWidth = 2;
    context.lineCap = "butt";
    for (let i = 1; i < (trail?.length ?? 0); i++) {
      const [a, b] = [trail[i - 1], trail[i]];
      if (Math.hypot(b.x - a.x, b.y - a.y) > JUMP_M) continue;
      const age = (this.picture.time_s - b.t) / TRAIL_S;
      context.strokeStyle = colour("soft", 0.5 * (1 - age) ** 2);
      context.beginPath();
      context.moveTo(this.x(a.x), this.y(a.y));
      context.lineTo(this.x(b.x), this.y(b.y));
      context.stroke();
    }
  }

  drawRobot(robot) {
    const { context } = this;
    const pose = this.pose(robot);
    const [x, y] = [this.x(pose[0]), this.y(pose[1])];
    const radius = this.bodyRadius();
    context.lineCap = "round";
    context.globalAlpha = this.opacity(robot);
    context.fillStyle = colour("body");
    this.circle(x, y, radius);
    context.fill();
    this.drawHeading(x, y, radius, pose[2]);
    this.drawRing(x, y, radius + RING_PX, beliefAbout(robot.name, this.picture));
    if (robot.fault) this.drawCross(x, y, radius);
    context.globalAlpha = 1;
  }

  nameRobot(robot) {
    const what = robot.fault ? kindWords(robot.fault) : robot.absent && "absent";
    const text = what ? `${robot.name} · ${what}` : robot.name;
    this.context.globalAlpha = this.opacity(robot);
    const style = { size: NAME_PX, weight: 600, paint: colour("ink") };
    this.name(robot.name, text, this.body(robot), ["below", "right", "left", "above"], style);
    this.context.globalAlpha = 1;
  }

  /** Write the name of what reaches round a place, on the best of these sides. */
  name(key, text, round, sides, style) {
    this.context.font = `${style.weight} ${style.size}px ${FONT}`;
    const [x, y] = this.labels.place(key, this.context.measureText(text).width, round, sides);
    this.write(text, x, y, style);
  }

  /** The room that a robot and the ring round it take. */
  body(robot) {
    const pose = this.pose(robot);
    return { x: this.x(pose[0]), y: this.y(pose[1]), reach: this.bodyRadius() + RING_PX + 3 };
  }

  bodyRadius() {
    return Math.max(0.12 * this.scale, 9);
  }

  /** A robot that has not been heard of for a while, or whose agent has not, fades. */
  opacity(robot) {
    return robot.absent || (robot.age_s > 2 && !this.picture.paused) ? 0.4 : 1;
  }

  drawHeading(x, y, radius, yaw) {
    const { context } = this;
    const corner = (angle, reach) => [
      x + reach * radius * Math.cos(yaw + angle),
      y - reach * radius * Math.sin(yaw + angle),
    ];
    context.fillStyle = colour("panel");
    context.beginPath();
    context.moveTo(...corner(0, 0.85));
    context.lineTo(...corner(2.5, 0.7));
    context.lineTo(...corner(Math.PI, 0.25));
    context.lineTo(...corner(-2.5, 0.7));
    context.fill();
  }

  /** A gauge round the robot: arc for the mean of the others' beliefs, tick for their maximum. */
  drawRing(x, y, radius, belief) {
    const { context } = this;
    context.lineWidth = 4.5;
    context.strokeStyle = colour("line");
    this.circle(x, y, radius);
    context.stroke();
    if (!belief) return;
    const { mean, most } = belief;
    context.strokeStyle = beliefColour(mean);
    context.lineCap = "butt";
    context.beginPath();
    context.arc(x, y, radius, -TURN / 4, -TURN / 4 + TURN * Math.min(mean, 0.9999));
    context.stroke();
    context.lineCap = "round";
    if (most < NOTABLE) return;
    const angle = -TURN / 4 + TURN * most;
    context.strokeStyle = beliefColour(most);
    context.lineWidth = 2.5;
    context.beginPath();
    context.moveTo(x + (radius - 4) * Math.cos(angle), y + (radius - 4) * Math.sin(angle));
    context.lineTo(x + (radius + 6) * Math.cos(angle), y + (radius + 6) * Math.sin(angle));
    context.stroke();
  }

  drawCross(x, y, radius) {
    const { context } = this;
    const reach = 0.62 * radius;
    context.beginPath();
    context.moveTo(x - reach, y - reach);
    context.lineTo(x + reach, y + reach);
    context.moveTo(x + reach, y - reach);
    context.lineTo(x - reach, y + reach);
    context.strokeStyle = colour("body");
    context.lineWidth = 6;
    context.stroke();
    context.strokeStyle = colour("panel");
    context.lineWidth = 3;
    context.stroke();
  }

  circle(x, y, radius) {
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, TURN);
  }

  write(text, x, y, { size, weight = 400, paint }) {
    const { context } = this;
    context.font = `${weight} ${size}px ${FONT}`;
    context.textAlign = "center";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = colour("panel", 0.9);
    context.strokeText(text, x, y);
    context.fillStyle = paint;
    context.fillText(text, x, y);
  }
}
