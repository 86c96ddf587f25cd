// Colours of the canvases, taken from the style sheet so that both themes are defined there.

const NAMES = ["panel", "line", "ink", "soft", "faint", "calm", "mid", "alarm", "body"];

let colours = {};

export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** A colour of the theme by name, as "#rrggbb", or with `alpha` in [0, 1]. */
export function colour(name, alpha = 1) {
  return shade(channels(colours[name]), alpha);
}

/** Colour of a belief p in [0, 1]: blue, grey, orange, told apart by the colour-blind too. */
export function beliefColour(p, alpha = 1) {
  const [from, to, share] = p < 0.5 ? ["calm", "mid", 2 * p] : ["mid", "alarm", 2 * p - 1];
  const [a, b] = [channels(colours[from]), channels(colours[to])];
  return shade(a.map((value, i) => value + share * (b[i] - value)), alpha);
}

function channels(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

function shade([r, g, b], alpha) {
  return `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)} / ${alpha})`;
}
