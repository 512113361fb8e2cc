//! Commandstats, Errorstats and Latencystats.

use super::sections::View;
use crate::cmd::server::calls::calls;
use crate::cmd::server::text::{Text, ratio};

/// One line per command that was called or refused.
pub fn commandstats(text: &mut Text, view: &View<'_>) {
    for (name, stats) in calls(view.env.registry, &view.total.commands) {
        let usec = stats.ns / 1_000;
        let each = ratio(usec, stats.calls);
        text.field(
            format_args!("cmdstat_{name}"),
            format_args!(
                "calls={},usec={usec},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
                stats.calls, stats.rejected, stats.failed
            ),
        );
    }
}

/// One line per error code.
pub fn errorstats(text: &mut Text, view: &View<'_>) {
    for (code, count) in view.total.errors.iter() {
        text.field(format_args!("errorstat_{code}"), format_args!("count={count}"));
    }
}

/// One line per command whose times are tracked: microseconds at each percentile.
pub fn latencystats(text: &mut Text, view: &View<'_>) {
    if !view.env.config.latency_tracking {
        return;
    }
    let percentiles = &view.env.config.latency_tracking_info_percentiles.0;
    for (name, stats) in calls(view.env.registry, &view.total.commands) {
        let Some(histogram) = stats.histogram.filter(|h| !h.is_empty()) else { continue };
        let points = percentiles.iter().map(|p| {
            let us = histogram.value_at_percentile(*p) as f64 / 1e3;
            format!("p{p}={us:.3}")
        });
        text.field(format_args!("latency_percentiles_usec_{name}"), points.collect::<Vec<_>>().join(","));
    }
}
