// Numbers and names as an operator reads them.

const ORDINALS = ["nearest", "2nd nearest", "3rd nearest"];

export const siteLetter = (id) => String.fromCharCode(65 + (id % 26));

export const kindWords = (kind) => kind.replaceAll("_", " ");

/** Mission time as minutes and seconds, rounded to so many `digits`, 1 or 0. */
export function clock(seconds, digits = 1) {
  const steps = Math.round(seconds * 10 ** digits);
  const [minutes, rest] = [Math.floor(steps / (60 * 10 ** digits)), steps % (60 * 10 ** digits)];
  const shown = (rest / 10 ** digits).toFixed(digits).padStart(digits ? 4 : 2, "0");
  return `${String(minutes).padStart(2, "0")}:${shown}`;
}

/** An action of the policy in words. */
export function actionWords(action) {
  if (!action) return "–";
  if (action === "stop") return "standing";
  const homing = action.match(/^go_to_nearest_site_(\d+)$/);
  if (!homing) return `going ${action.replace("_", "-")}`;
  const rank = Number(homing[1]);
  return `${ORDINALS[rank - 1] ?? `${rank}th nearest`} site`;
}

export function quantity(value, unit, digits) {
  return value === null || value === undefined ? "–" : `${value.toFixed(digits)} ${unit}`;
}

/** A duration of `us` microseconds in the unit that suits it. */
export function micros(us) {
  return us >= 1000 ? quantity(us / 1000, "ms", 1) : quantity(us, "µs", 0);
}

/** p in [0, 1] without the leading zero, so that columns of them are calm. */
export function probability(p) {
  return p >= 0.995 ? "1.0" : p.toFixed(2).slice(1);
}
