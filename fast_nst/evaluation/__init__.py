"""How good a network and its pictures are."""
