"""How Tocsin itself is: what /status tells, and the sign of life that somebody outside waits for."""
