"""What joins the hosts of a swarm: signed envelopes, and which topics may cross in them."""
