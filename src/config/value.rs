//! The plain types of a knob: yes/no, numbers, memory, words and text; [`super::special`] holds the others.

use super::knob::Rule;
use super::words::quote;
use nix::errno::Errno;

/// A type that a row may have. Error texts are Redis's.
pub trait Value: Clone + PartialEq {
    /// Whether repeated lines of a file add up.
    const ACCUMULATES: bool = false;
    /// Whether a single text stands for several words ("60 1 300 10").
    const SEVERAL_WORDS: bool = false;

    /// Reads the words after the knob's name. On error the value is unchanged.
    fn assign(&mut self, words: &[String], rule: &Rule) -> Result<(), String>;
    /// As CONFIG GET shows it.
    fn show(&self, rule: &Rule) -> String;
    /// What it takes, for documentation.
    fn takes(rule: &Rule) -> String;
    /// What follows the name on each line of a rewritten file, and whether that differs from the default.
    fn lines(&self, default: &Self, rule: &Rule) -> Vec<(String, bool)> {
        let shown = self.show(rule);
        vec![(if shown.is_empty() { "\"\"".into() } else { shown }, self != default)]
    }
}

/// The only word of a line.
pub fn one(words: &[String]) -> Result<&str, String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

/// A decimal number as Redis reads it: no plus sign, no leading zeros, no space.
pub fn decimal(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let canonical = word == "0" || matches!(digits.bytes().next(), Some(b'1'..=b'9'));
    if canonical { word.parse().ok() } else { None }
}

/// Bytes with an optional unit: k, m, g are powers of 1000, kb, mb, gb of 1024.
pub fn memory(word: &str) -> Option<u64> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match word[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    word[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

/// Bytes in the largest unit that divides them, as a rewritten file shows them.
pub fn memory_text(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes != 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

fn within(number: i64, min: i64, max: i64) -> Result<i64, String> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(format!("argument must be between {min} and {max} inclusive"))
}

/// The number that the words spell, inside the rule's bounds.
fn number(words: &[String], rule: &Rule) -> Result<i64, String> {
    const NO_INTEGER: &str = "argument couldn't be parsed into an integer";
    let word = one(words)?;
    match *rule {
        Rule::Int(min, max) => within(decimal(word).ok_or(NO_INTEGER)?, min, max),
        Rule::Clamped(min, max) => {
            let asked = within(decimal(word).ok_or(NO_INTEGER)?, 0, i64::from(i32::MAX))?;
            Ok(asked.clamp(min, max))
        }
        Rule::Memory(min, max) => {
            let bytes = memory(word).ok_or("argument must be a memory value")?;
            within(i64::try_from(bytes).map_err(|_| "argument must be a memory value")?, min, max)
        }
        Rule::Octal(max) => {
            let number =
                i64::from_str_radix(word, 8).map_err(|_| "argument couldn't be parsed as an octal number")?;
            if (0..=max).contains(&number) {
                return Ok(number);
            }
            Err(format!("argument must be between 0 and {max:o} inclusive"))
        }
        _ => unreachable!("a row with a number has a rule for numbers"),
    }
}

fn number_takes(rule: &Rule) -> String {
    let bytes = |n: i64| memory_text(n.unsigned_abs());
    match *rule {
        Rule::Int(min, i64::MAX) => format!("number, from {min}"),
        Rule::Int(min, max) | Rule::Clamped(min, max) => format!("number, {min} to {max}"),
        Rule::Memory(min, i64::MAX) if min <= 0 => "bytes".into(),
        Rule::Memory(min, i64::MAX) => format!("bytes, from {}", bytes(min)),
        Rule::Memory(min, max) => format!("bytes, {} to {}", bytes(min), bytes(max)),
        Rule::Octal(max) => format!("octal, up to {max:o}"),
        _ => unreachable!("a row with a number has a rule for numbers"),
    }
}

macro_rules! numbers {
    ($($ty:ty),*) => { $(
        impl Value for $ty {
            fn assign(&mut self, words: &[String], rule: &Rule) -> Result<(), String> {
                let number = number(words, rule)?;
                *self = <$ty>::try_from(number).expect("a rule's bounds lie inside its row's type");
                Ok(())
            }

            fn show(&self, rule: &Rule) -> String {
                if matches!(rule, Rule::Octal(_)) { format!("{self:o}") } else { self.to_string() }
            }

            fn takes(rule: &Rule) -> String {
                number_takes(rule)
            }

            fn lines(&self, default: &Self, rule: &Rule) -> Vec<(String, bool)> {
                let text = match (rule, u64::try_from(*self)) {
                    (Rule::Memory(..), Ok(bytes)) => memory_text(bytes),
                    _ => self.show(rule),
                };
                vec![(text, self != default)]
            }
        }
    )* };
}
numbers!(u16, u32, u64, usize, i32, i64);

impl Value for bool {
    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        *self = match one(words)?.to_ascii_lowercase().as_str() {
            "yes" => true,
            "no" => false,
            _ => return Err("argument must be 'yes' or 'no'".into()),
        };
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        if *self { "yes" } else { "no" }.into()
    }

    fn takes(_: &Rule) -> String {
        "yes, no".into()
    }
}

/// The one of `choices` that `word` spells, in any case.
pub fn choose(word: &str, choices: &[&'static str]) -> Result<&'static str, String> {
    let found = choices.iter().find(|choice| choice.eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| format!("argument(s) must be one of the following: {}", choices.join(", ")))
}

impl Value for &'static str {
    fn assign(&mut self, words: &[String], rule: &Rule) -> Result<(), String> {
        let Rule::OneOf(choices) = rule else {
            unreachable!("a row with a choice has its words as the rule")
        };
        *self = choose(one(words)?, choices)?;
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        (*self).into()
    }

    fn takes(rule: &Rule) -> String {
        let Rule::OneOf(choices) = rule else {
            unreachable!("a row with a choice has its words as the rule")
        };
        choices.join(", ")
    }
}

impl Value for String {
    fn assign(&mut self, words: &[String], rule: &Rule) -> Result<(), String> {
        if let Rule::Flags(choices) = rule {
            *self = flags(words, choices)?;
            return Ok(());
        }
        let word = one(words)?;
        check_text(word, rule)?;
        *self = if *rule == Rule::EventClasses { event_classes(word) } else { word.into() };
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        self.clone()
    }

    fn takes(rule: &Rule) -> String {
        match rule {
            Rule::Flags(choices) => format!("words of {}", choices.join(", ")),
            Rule::FileName(_) => "file name".into(),
            Rule::Directory => "directory".into(),
            Rule::EventClasses => "letters of Ag$lshzxeKEtmdn".into(),
            _ => "text".into(),
        }
    }

    fn lines(&self, default: &Self, rule: &Rule) -> Vec<(String, bool)> {
        let text = if matches!(rule, Rule::Flags(_)) { self.clone() } else { quote(self) };
        vec![(text, self != default)]
    }
}

impl Value for Vec<String> {
    const SEVERAL_WORDS: bool = true;

    fn assign(&mut self, words: &[String], rule: &Rule) -> Result<(), String> {
        let Rule::Words(max) = *rule else { unreachable!("a row with words has their number as the rule") };
        if words.len() > max {
            return Err("Too many bind addresses specified.".into());
        }
        // A single empty word, as in `bind ""`, is how a list is emptied.
        *self = if matches!(words, [word] if word.is_empty()) { Vec::new() } else { words.to_vec() };
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        self.join(" ")
    }

    fn takes(_: &Rule) -> String {
        "words".into()
    }
}

/// The words of a flag set, in the order of `choices`.
fn flags(words: &[String], choices: &[&'static str]) -> Result<String, String> {
    let given = words.iter().map(|word| choose(word, choices)).collect::<Result<Vec<_>, _>>()?;
    if given.is_empty() {
        return Err("wrong number of arguments".into());
    }
    if given.contains(&"save") && given.contains(&"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    // "default" is no flag at all: it shows only when no other is there.
    let set: Vec<_> = choices.iter().copied().filter(|c| given.contains(c) && *c != "default").collect();
    Ok(if set.is_empty() { "default".into() } else { set.join(" ") })
}

fn check_text(word: &str, rule: &Rule) -> Result<(), String> {
    match *rule {
        Rule::FileName(error) if word.contains('/') => Err(error.into()),
        // An empty dbfilename is as good as any: it names no file.
        Rule::FileName(error) if word.is_empty() && !error.starts_with("dbfilename") => {
            Err(format!("{} can't be empty", error.split(' ').next().unwrap_or_default()))
        }
        Rule::Directory => check_directory(word),
        Rule::EventClasses if !word.chars().all(|c| "Ag$lshzxeKEtmdn".contains(c)) => {
            Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into())
        }
        Rule::TitleTemplate if !title_template_ok(word) => {
            Err("template format is invalid or contains unknown variables".into())
        }
        _ => Ok(()),
    }
}

fn check_directory(path: &str) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Errno::ENOTDIR.desc().into()),
        Err(error) => Err(errno_text(&error)),
    }
}

/// What strerror says of an error, without Rust's "(os error 2)".
pub fn errno_text(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| Errno::from_raw(errno).desc().into())
}

fn title_template_ok(template: &str) -> bool {
    const VARIABLES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((variable, tail)) = after.split_once('}') else { return false };
        if !VARIABLES.contains(&variable) {
            return false;
        }
        rest = tail;
    }
    !template.is_empty()
}

/// Event classes in Redis's order, with `A` for the ten classes that `A` stands for.
fn event_classes(letters: &str) -> String {
    const ALL: &str = "g$lshzxetd";
    const REST: &str = "KEmn";
    let has = |c: &char| letters.contains(*c) || letters.contains('A') && ALL.contains(*c);
    let all = ALL.chars().all(|c| has(&c));
    let mut shown: String = if all { "A".into() } else { ALL.chars().filter(has).collect() };
    shown.extend(REST.chars().filter(has));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    #[test]
    fn decimals_are_canonical() {
        for (text, number) in [("0", 0), ("-1", -1), ("12", 12), ("9223372036854775807", i64::MAX)] {
            assert_eq!(decimal(text), Some(number));
        }
        for text in ["", "-", "-0", "01", "+1", " 1", "1 ", "1.5", "0x10", "99999999999999999999"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn memory_has_units() {
        for (text, bytes) in
            [("0", 0), ("1b", 1), ("1k", 1000), ("1KB", 1024), ("3Mb", 3 << 20), ("2g", 2_000_000_000)]
        {
            assert_eq!(memory(text), Some(bytes), "{text}");
        }
        for text in ["", "kb", "-1", "1.5gb", "1tb", "1é", "99999999999999999999gb"] {
            assert_eq!(memory(text), None, "{text}");
        }
        for (bytes, text) in [(0, "0"), (1023, "1023"), (1024, "1kb"), (512 << 20, "512mb"), (3 << 30, "3gb")]
        {
            assert_eq!(memory_text(bytes), text);
            assert_eq!(memory(text), Some(bytes));
        }
    }

    #[test]
    fn flag_sets_show_in_the_order_of_their_rule() {
        let rule = Rule::Flags(&["default", "save", "nosave", "now", "force"]);
        let mut value = String::new();
        for (line, shown) in [("now save", "save now"), ("default", "default"), ("FORCE default", "force")] {
            value.assign(&words(line), &rule).expect("valid");
            assert_eq!(value, shown);
        }
        assert!(value.assign(&words("save nosave"), &rule).is_err());
        assert_eq!(value, "force", "an error changes nothing");
    }

    #[test]
    fn event_classes_show_as_redis_shows_them() {
        for (given, shown) in [("AKE", "AKE"), ("gK$m", "g$Km"), ("", ""), ("g$lshzxetd", "A"), ("nm", "mn")]
        {
            assert_eq!(event_classes(given), shown);
        }
    }
}
