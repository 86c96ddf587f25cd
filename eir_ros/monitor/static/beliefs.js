// What the team believes of one of its robots.

/** Mean and largest p(adversary) that the others hold about a robot; null while nobody holds one. */
export function beliefAbout(suspect, picture) {
  const given = picture.robots.flatMap((robot) => robot.beliefs[suspect]?.slice(0, 1) ?? []);
  if (!given.length) return null;
  const sum = given.reduce((total, p) => total + p, 0);
  return { mean: sum / given.length, most: Math.max(...given) };
}
