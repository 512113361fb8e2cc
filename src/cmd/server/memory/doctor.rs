//! MEMORY DOCTOR: what the figures mean, in words.

use super::Figures;
use crate::cmd::server::text::{Human, Text};

/// Below this there is too little to judge by, in bytes.
const LITTLE: u64 = 5 << 20;
/// How far the peak may lie above what is used.
const PEAK_RATIO: f64 = 1.5;
/// Resident bytes per byte used, and how many more they are at least.
const FRAGMENTATION_RATIO: f64 = 1.4;
const FRAGMENTATION_BYTES: i64 = 10 << 20;
/// Bytes of buffers per client.
const CLIENT_BYTES: u64 = 200 << 10;

/// The diagnosis.
pub fn diagnose(text: &mut Text, figures: &Figures) {
    if figures.used < LITTLE {
        text.write(format_args!(
            "Only {} are in use: too little to judge by. Ask again when there is data.\n",
            Human(figures.used)
        ));
        return;
    }
    let mut found = 0;
    let mut finding = |text: &mut Text, what: std::fmt::Arguments<'_>| {
        found += 1;
        text.write(format_args!("{found}. {what}\n"));
    };
    if figures.peak as f64 > figures.used as f64 * PEAK_RATIO {
        finding(
            text,
            format_args!(
                "Peak: {} were in use once, now {}. Memory of that time may still be resident. \
                 MEMORY PURGE gives back what is free.",
                Human(figures.peak),
                Human(figures.used)
            ),
        );
    }
    let (fragmentation, beyond) = Figures::between(figures.resident(), figures.used);
    if fragmentation > FRAGMENTATION_RATIO && beyond > FRAGMENTATION_BYTES {
        finding(
            text,
            format_args!(
                "Fragmentation: {} are resident, {:.2} for each byte in use. Deleted keys leave holes that new \
                 keys of other sizes cannot fill. MEMORY PURGE may help, a restart does.",
                Human(figures.resident()),
                fragmentation
            ),
        );
    }
    if figures.clients / figures.connected.max(1) > CLIENT_BYTES {
        finding(
            text,
            format_args!(
                "Clients: their buffers hold {} for {} clients. Some read their replies too slowly: see omem and \
                 qbuf in CLIENT LIST, and client-output-buffer-limit.",
                Human(figures.clients),
                figures.connected
            ),
        );
    }
    if found == 0 {
        text.write(format_args!("No memory problem found.\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Figures = Figures {
        used: 100 << 20,
        peak: 101 << 20,
        rss: 110 << 20,
        startup: 0,
        active: 105 << 20,
        dataset: 99 << 20,
        clients: 1 << 20,
        log_buffer: 0,
        snapshot_buffer: 0,
        keys: 1,
        connected: 50,
    };

    fn told(figures: Figures) -> String {
        let mut text = Text::default();
        diagnose(&mut text, &figures);
        String::from_utf8_lossy(text.as_bytes()).into_owned()
    }

    #[test]
    fn each_finding_has_its_figure() {
        assert_eq!(told(SOUND), "No memory problem found.\n");
        assert!(told(Figures { used: 1_000, ..SOUND }).starts_with("Only 1000B"));
        assert!(told(Figures { peak: 200 << 20, ..SOUND }).starts_with("1. Peak: 200.00M"));
        assert!(told(Figures { rss: 200 << 20, ..SOUND }).starts_with("1. Fragmentation: 200.00M"));
        let both = told(Figures { rss: 200 << 20, clients: 50 << 20, ..SOUND });
        assert!(both.contains("\n2. Clients: their buffers hold 50.00M for 50 clients"), "{both}");
    }
}
