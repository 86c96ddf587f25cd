// Where names stand on a map: beside what they name, clear of bodies and of each other.

const HALF_HEIGHT = 8;
const GAP = 4;
// From the middle of a line of text down to the line that it is written on.
const BASELINE = 4;

export class Labels {
  constructor() {
    // where each name stood last, so that it does not jump to and fro
    this.sides = new Map();
  }

  /** Begin a picture of this size; `bodies` are {x, y, reach} that no name may cover. */
  begin(width, height, bodies) {
    if (width !== this.width || height !== this.height) this.sides.clear();
    this.width = width;
    this.height = height;
    this.taken = bodies.map(({ x, y, reach }) => ({ x, y, w: reach, h: reach }));
  }

  /**
   * Where to write a name, as wide as `width`, of what reaches `reach` round x, y: [x, y], the
   * middle of its line. `sides` are the places to try, the best first.
   */
  place(name, width, { x, y, reach }, sides) {
    const [w, h] = [width / 2, HALF_HEIGHT];
    const places = {
      above: { x, y: y - reach - GAP - h },
      below: { x, y: y + reach + GAP + h },
      right: { x: x + reach + GAP + w, y },
      left: { x: x - reach - GAP - w, y },
    };
    const covered = (side) => this.covered({ ...places[side], w, h });
    const before = this.sides.get(name);
    const tried = before ? [before, ...sides] : sides;
    const best = tried.reduce((a, b) => (covered(b) < covered(a) ? b : a));
    this.sides.set(name, best);
    this.taken.push({ ...places[best], w, h });
    return [places[best].x, places[best].y + BASELINE];
  }

  /** How much of a box lies over what is taken, or outside of the picture [px²]. */
  covered({ x, y, w, h }) {
    let area = 4 * w * h - share(x, w, this.width / 2, this.width / 2) * share(y, h, this.height / 2, this.height / 2);
    for (const other of this.taken) area += share(x, w, other.x, other.w) * share(y, h, other.y, other.h);
    return area;
  }
}

/** How much two stretches have in common, given by their middles and half lengths. */
function share(a, half, b, otherHalf) {
  return Math.max(0, Math.min(a + half, b + otherHalf) - Math.max(a - half, b - otherHalf));
}
