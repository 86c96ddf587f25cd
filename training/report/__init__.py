"""The report of a matrix: statistics of its cells, figures, pages and the scorecard."""
