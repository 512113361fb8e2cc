//! Layer 0: what a shard counts. One row a metric: it gives the field, its line in INFO and its line in tuning.md.
//!
//! Each shard has counters of its own, plain integers that only it writes; who wants a total asks every shard for a
//! copy. Nothing here is shared, so counting costs an add.

#![forbid(unsafe_code)]

mod command;
mod counters;
mod errors;
mod latency;
mod rate;

pub use command::{CommandStats, HISTOGRAM_MAX_NS};
pub use counters::{Counters, METRICS, Metric, markdown_table};
pub use errors::{ERROR_CODES_MAX, ErrorCounts, OVERFLOW_CODE};
pub use latency::{EVENT_HISTORY, LatencyEvent, LatencyEvents};
pub use rate::{RateSampler, Rates, SAMPLE_US, SAMPLES};
