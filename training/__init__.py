"""Train teams that expect a traitor: methods, attacks, evaluation and export."""
