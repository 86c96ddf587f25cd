"""The two-state matrix game of Li et al. (ICLR 2024), as a batched world and solved exactly."""
