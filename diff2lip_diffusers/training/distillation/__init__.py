"""Distillation: trains a student that paints in one to four steps what its teacher paints in many."""
