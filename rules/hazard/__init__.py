"""Hazard: how endangered each vehicle is, in [0, 1], from named parts, with bounds."""
