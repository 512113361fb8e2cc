//! The family on a simulated clock.
