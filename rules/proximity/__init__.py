"""Proximity: which vehicles of a body come near each other, in three dimensions, and part again."""
