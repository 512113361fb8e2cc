//! The text that INFO and its like are made of: `name:value` lines and byte counts for people.

use std::fmt::{Display, Write};

/// A text that grows line by line.
#[derive(Default)]
pub struct Text(String);

impl Text {
    /// A field of INFO.
    pub fn field(&mut self, name: impl Display, value: impl Display) {
        self.write(format_args!("{name}:{value}\r\n"));
    }

    /// A byte count, as it is and for people.
    pub fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(format_args!("{name}_human"), Human(bytes));
    }

    /// A ratio, or another number with two decimals.
    pub fn ratio(&mut self, name: &str, value: f64) {
        self.field(name, format_args!("{value:.2}"));
    }

    /// A title, after an empty line unless it is the first.
    pub fn title(&mut self, title: &str) {
        let gap = if self.0.is_empty() { "" } else { "\r\n" };
        self.write(format_args!("{gap}# {title}\r\n"));
    }

    /// Anything.
    pub fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.0.write_fmt(what).expect("a String takes what is written to it");
    }

    /// The whole text.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A byte count for people, as Redis writes them: `200B`, `1.50K`, `23.54G`.
pub struct Human(pub u64);

impl Display for Human {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{}B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut units = "KMGTPE".chars().peekable();
        while let Some(unit) = units.next() {
            if value < 1024.0 || units.peek().is_none() {
                return write!(f, "{value:.2}{unit}");
            }
            value /= 1024.0;
        }
        Ok(())
    }
}

/// `a / b`, and 0 when there is no `b`.
pub fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_read_as_in_redis() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (916_408, "894.93K"),
            (6_815_744, "6.50M"),
            (25_276_514_304, "23.54G"),
            (u64::MAX, "16.00E"),
        ] {
            assert_eq!(Human(bytes).to_string(), text);
        }
    }

    #[test]
    fn titles_are_apart() {
        let mut text = Text::default();
        text.title("CPU");
        text.field("a", 1);
        text.title("Cluster");
        assert_eq!(text.as_bytes(), b"# CPU\r\na:1\r\n\r\n# Cluster\r\n");
    }
}
