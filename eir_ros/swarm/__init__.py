"""The swarm as a whole: its roster, the plan of its processes, and who starts and ends them."""
