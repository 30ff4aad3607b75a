"""Terrain: what an elevation model says of the ground under a vehicle and ahead of it."""
