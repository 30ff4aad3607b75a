"""What is decided: pure functions of state and columns; no engine, no I/O, no clock, no logging."""
