//! Layer 0: what every other layer stands on, and nothing that knows of Redis's data.
