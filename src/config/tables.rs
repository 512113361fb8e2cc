//! The knobs as tables in Markdown, for tuning.md.

use super::knob::{Knob, Status, When, knobs};
use super::table::Config;
use std::fmt::Write;

/// A table for each section, under a heading of the third level.
pub fn markdown_table() -> String {
    let defaults = Config::default();
    let mut text = String::new();
    for section in knobs().chunk_by(|a, b| a.section == b.section) {
        let heading = section[0].section;
        let _ = writeln!(
            text,
            "### {heading}\n\n| knob | default | takes | set live | meaning |\n|---|---|---|---|---|"
        );
        for knob in section {
            row(&mut text, knob, &defaults);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn row(text: &mut String, knob: &Knob, defaults: &Config) {
    let alias = knob.alias.map(|alias| format!(" (or `{alias}`)")).unwrap_or_default();
    let default = (knob.get)(defaults);
    let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
    let live = match knob.when {
        When::Live => "yes",
        When::Boot => "no",
        When::Protected => "protected",
    };
    let note = match knob.status {
        Status::Works => String::new(),
        Status::Inert(why) => format!(" *No effect: {why}.*"),
        Status::Pending => " *Not in this release: ignored.*".into(),
        Status::Refused => " *Not in this release: refused.*".into(),
    };
    let (name, takes, doc) = (knob.name, (knob.takes)(&knob.rule), knob.doc.trim());
    // A write into a String cannot fail.
    let _ = writeln!(text, "| `{name}`{alias} | {default} | {takes} | {live} | {doc}{note} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_has_one_row_of_five_cells() {
        let text = markdown_table();
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), knobs().len());
        assert!(rows.iter().all(|row| row.matches('|').count() == 6), "a cell holds a bar");
    }

    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<_> = knobs().iter().flat_map(|k| [Some(k.name), k.alias]).flatten().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for knob in knobs() {
            assert!(knob.doc.trim().ends_with('.'), "{}", knob.name);
        }
    }
}
