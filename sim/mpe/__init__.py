"""The multi-particle environments of the package mpe2, as they are."""
