//! Patterns of BY and GET: `weight_*`, `data_*->field`, `#`.

use crate::cmd::hashes::{Asked, ask, text};
use crate::cmd::strings::Text;
use crate::ds::View;
use crate::store::{Keys, Value};

/// A pattern, taken apart. As in Redis, what is behind a NUL is looked at for neither `*` nor `->`.
pub struct Pattern<'a> {
    whole: &'a [u8],
    star: Option<Star<'a>>,
}

/// What surrounds the place of the element.
struct Star<'a> {
    before: &'a [u8],
    after: &'a [u8],
    field: Option<&'a [u8]>,
}

impl<'a> Pattern<'a> {
    pub fn new(whole: &'a [u8]) -> Pattern<'a> {
        let visible = &whole[..memchr::memchr(0, whole).unwrap_or(whole.len())];
        let star = memchr::memchr(b'*', visible).map(|at| {
            let behind = at + 1;
            let arrow = memchr::memmem::find(&visible[behind..], b"->").map(|found| behind + found);
            // An arrow that nothing follows is part of the key.
            let arrow = arrow.filter(|arrow| arrow + 2 < visible.len());
            Star {
                before: &whole[..at],
                after: &whole[behind..arrow.unwrap_or(whole.len())],
                field: arrow.map(|arrow| &whole[arrow + 2..]),
            }
        });
        Pattern { whole, star }
    }

    /// Whether an element takes part in it.
    pub fn has_star(&self) -> bool {
        self.star.is_some()
    }

    /// Whether it names a field of a hash.
    pub fn has_field(&self) -> bool {
        self.star.as_ref().is_some_and(|star| star.field.is_some())
    }

    /// Whether it is the element itself.
    pub fn is_element(&self) -> bool {
        self.whole == b"#"
    }

    /// A text of the hash slot of all keys that it can name, when a `{tag}` before the `*` fixes it.
    pub fn tagged(&self) -> Option<&'a [u8]> {
        let before = self.star.as_ref()?.before;
        let open = memchr::memchr(b'{', before)?;
        let close = memchr::memchr(b'}', &before[open + 1..])?;
        (close > 0).then_some(before)
    }

    /// Whether it names this key for some element.
    pub fn may_name(&self, key: &[u8]) -> bool {
        let rest = self.star.as_ref().and_then(|star| Some((key.strip_prefix(star.before)?, star.after)));
        rest.is_some_and(|(rest, after)| rest.ends_with(after))
    }

    /// Lets `f` see what the key of an element holds: a string, or the field of a hash. None when there is no such.
    /// `key` is a buffer to build its name in.
    pub fn look<R>(
        &self,
        keys: &mut Keys<'_>,
        element: &[u8],
        key: &mut Vec<u8>,
        f: impl FnOnce(Text<'_>) -> R,
    ) -> Option<R> {
        let star = self.star.as_ref()?;
        key.clear();
        [star.before, element, star.after].iter().for_each(|part| key.extend_from_slice(part));
        let now_ms = keys.now.ms();
        match (star.field, keys.read(key)?.view()) {
            (None, view) => Text::of(view).ok().map(f),
            (Some(field), View::Boxed(Value::Hash(hash))) => match ask(hash, field, now_ms) {
                Asked::There(found) => Some(f(text(&found.value))),
                Asked::Absent | Asked::Due => None,
            },
            (Some(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is before the star, behind it, and the field.
    fn parts(text: &str) -> Vec<String> {
        let Some(star) = Pattern::new(text.as_bytes()).star else { return Vec::new() };
        let parts = [Some(star.before), Some(star.after), star.field];
        parts.into_iter().flatten().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn patterns_are_taken_apart() {
        for (text, expected) in [
            ("weight", &[][..]),
            ("w_*", &["w_", ""]),
            ("a*b*c", &["a", "b*c"]),
            ("a*b->f", &["a", "b", "f"]),
            ("a->b*", &["a->b", ""]),
            ("a*->", &["a", "->"]),
            ("a*->f->g", &["a", "", "f->g"]),
            ("a\0*", &[]),
            ("a*\0->f", &["a", "\0->f"]),
        ] {
            assert_eq!(parts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn keys_that_a_pattern_may_name_are_told() {
        for (text, key, may) in [
            ("w_*", "w_", true),
            ("w_*", "v_1", false),
            ("a*b->f", "a1b", true),
            ("aba*aba", "aba", false),
            ("aba*aba", "abaaba", true),
            ("weight", "weight", false),
        ] {
            assert_eq!(Pattern::new(text.as_bytes()).may_name(key.as_bytes()), may, "{text} {key}");
        }
    }

    #[test]
    fn tags_say_where_keys_live() {
        for (text, tagged) in [
            ("{t}w_*", true),
            ("w_*{t}", false),
            ("{t*}", false),
            ("{}w_*", false),
            ("a{{x}*", true),
            ("w_*", false),
        ] {
            assert_eq!(Pattern::new(text.as_bytes()).tagged().is_some(), tagged, "{text}");
        }
    }
}
