"""What judging rules costs, beside other engines on the same rules and records."""
