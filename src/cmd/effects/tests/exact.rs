//! The exact effects of commands.
