"""Print the exact values of the toy game: `python -m sim.toy [--prior P] [--steps T]`."""

import argparse

from sim.toy import solver


def main() -> None:
    """Print a table of returns, without and with a worst-case adversary, and under the prior."""
    parser = argparse.ArgumentParser(prog="python -m sim.toy", description=__doc__)
    parser.add_argument("--prior", type=float, default=0.5, help="probability of one adversary")
    parser.add_argument("--steps", type=int, default=100, help="length of an episode")
    options = parser.parse_args()
    if not 0 <= options.prior <= 1 or options.steps < 1:
        parser.error("expected a prior between 0 and 1 and at least 1 step")
    for line in report(options.prior, options.steps):
        print(line)


def report(probability: float, steps: int) -> list[str]:
    """The table as lines of Markdown."""
    prior = solver.one_adversary(probability)
    ante = solver.ex_ante(prior, steps)
    interim = solver.ex_interim(prior, steps)
    best = float(solver.cooperative(steps)[-1].mean())
    known = float(solver.known_adversary(steps).values[-1].mean())
    pure = float(solver.known_adversary_pure(steps)[-1].mean())
    rows = [
        ("trust whatever happens", solver.Returns(best, 0.0)),
        ("guard whatever happens", solver.Returns(steps / 2, steps / 2)),
        ("ex ante: best policy of time and state", ante.returns),
        ("trust after 2 paid steps in a row", solver.outcome_window(steps, 2)),
        ("ex interim: trust until somebody deviates", interim.returns),
        ("told the types, not allowed to mix", solver.Returns(best, pure)),
        ("told the types (no belief can beat it)", solver.Returns(best, known)),
    ]
    lines = [
        f"{steps} steps, an adversary with probability {probability:g}",
        "",
        "| team | nobody corrupted | worst-case adversary | under the prior |",
        "|---|---|---|---|",
    ]
    for name, team in rows:
        numbers = (team.cooperative, team.attacked, team.expected(prior))
        lines.append(f"| {name} | " + " | ".join(f"{number:.4f}" for number in numbers) + " |")
    frozen = solver.frozen_prior(prior, steps)
    lines += ["", f"ex ante value, prior in place of every belief: {frozen:.4f}"]
    lines += [f"ex ante value, policies of time and state:     {ante.value:.4f}"]
    exact = "exact" if interim.exact else f"at most {interim.upper:.4f}"
    lines += [f"ex interim value:                              {interim.lower:.4f} ({exact})"]
    return lines


if __name__ == "__main__":
    main()
