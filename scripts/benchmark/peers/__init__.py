"""Other geofences on the benchmark's input: their answers and their speed beside farwatch's.

``programs/`` holds one program a peer, written as its users would; each is a file of its own that
imports nothing of farwatch, so that it runs in an environment that has the peer alone.
"""
