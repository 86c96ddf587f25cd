"""StarCraft's micromanagement skirmishes (SMAC) without StarCraft, compiled and batched."""
