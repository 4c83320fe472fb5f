"""How well painted mouths follow the speech."""
