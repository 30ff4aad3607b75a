"""Planning: when a new plan is needed, and who has been asked for it."""
