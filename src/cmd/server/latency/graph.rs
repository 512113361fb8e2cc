//! LATENCY GRAPH: a history as columns of characters.
//!
//! ```text
//!     #      each column is an entry; its height, in thirds of a row, is its place between the lowest and the highest
//!    #|      _ o # top a column off, | is below its top
//!   o||
//!  _|||
//!  4321      how long ago, read downwards: 4s 3s 2s 1s
//!  ssss
//! ```

use crate::cmd::server::text::Text;
use crate::metrics::LatencyEvent;

const ROWS: usize = 4;
const TOPS: &[u8] = b"_o#";
/// Entries side by side; more start another band below.
const COLUMNS: usize = 80;

/// Draws the history of an event at a time in seconds.
pub fn draw(text: &mut Text, name: &str, event: &LatencyEvent, now_secs: i64) {
    let times = || event.entries.iter().map(|(_, ms)| *ms);
    let (low, high) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let max = event.max_ms;
    text.write(format_args!("{name} - high {high} ms, low {low} ms (all time high {max} ms)\n"));
    text.write(format_args!("{}\n", "-".repeat(COLUMNS)));
    for (i, band) in event.entries.chunks(COLUMNS).enumerate() {
        if i > 0 {
            text.write(format_args!("\n"));
        }
        draw_columns(text, band, low, high);
        draw_labels(text, band, now_secs);
    }
}

fn draw_columns(text: &mut Text, band: &[(i64, u32)], low: u32, high: u32) {
    let steps = ROWS * TOPS.len();
    let height = |ms: u32| {
        let above = (ms - low) as usize * steps / ((high - low) as usize).max(1);
        above.min(steps - 1)
    };
    for row in (0..ROWS).rev() {
        let line: Vec<u8> = band
            .iter()
            .map(|(_, ms)| match height(*ms) {
                h if h / TOPS.len() == row => TOPS[h % TOPS.len()],
                h if h / TOPS.len() > row => b'|',
                _ => b' ',
            })
            .collect();
        write_line(text, &line);
    }
}

fn draw_labels(text: &mut Text, band: &[(i64, u32)], now_secs: i64) {
    let labels: Vec<String> = band.iter().map(|(secs, _)| ago((now_secs - secs).max(0))).collect();
    let longest = labels.iter().map(String::len).max().unwrap_or(0);
    write_line(text, &vec![b' '; band.len()]);
    for i in 0..longest {
        let line: Vec<u8> =
            labels.iter().map(|label| label.as_bytes().get(i).copied().unwrap_or(b' ')).collect();
        write_line(text, &line);
    }
}

fn ago(secs: i64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..86_400 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

fn write_line(text: &mut Text, line: &[u8]) {
    text.write(format_args!("{}\n", String::from_utf8_lossy(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_is_drawn_in_bands() {
        let entries: Vec<(i64, u32)> = (0..100).map(|i| (i * 1_000, 7)).collect();
        let event = LatencyEvent { entries, max_ms: 9 };
        let mut text = Text::default();
        draw(&mut text, "fork", &event, 100_000);
        let text = String::from_utf8_lossy(text.as_bytes()).into_owned();
        assert!(text.starts_with("fork - high 7 ms, low 7 ms (all time high 9 ms)\n"), "{text}");
        assert_eq!(text.lines().filter(|l| l.starts_with('_')).map(str::len).collect::<Vec<_>>(), [80, 20]);
        assert!(text.contains("\n11"), "27 h and 26 h are a day: {text}");
    }
}
