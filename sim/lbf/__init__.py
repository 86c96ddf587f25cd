"""Level-based foraging on a grid."""
