//! `--trace FILE`: a recorded sequence of keys, asked of caches of several sizes.
//!
//! | file | what |
//! |---|---|
//! | `file` | trace files: ARC's `.lis`, lists of keys, CSV with sizes; all of them also as zstd |
//! | `synthetic` | made-up traces: Zipf, and Zipf with scans |
//! | `replay` | cache-aside against one server: GET, and on a miss SET |
//! | `contest` | servers and policies in turn, started here; table and plot of hit ratios |

mod contest;
mod file;
mod replay;
mod synthetic;

pub use contest::run;
