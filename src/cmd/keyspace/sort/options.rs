//! What a call of SORT asks for.

use super::pattern::Pattern;
use crate::base::number::parse_i64;
use crate::resp::{Args, Error};

/// See the module's text.
pub struct Options<'a> {
    /// BY; none: elements are their own weights.
    pub by: Option<Pattern<'a>>,
    /// The elements are wanted as they come (BY a pattern without `*`).
    pub unsorted: bool,
    pub gets: Vec<Pattern<'a>>,
    pub descending: bool,
    pub alpha: bool,
    /// LIMIT: the first, and how many; negative: all.
    pub limit: (i64, i64),
    pub store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    pub fn parse(args: Args<'a>, may_store: bool) -> Result<Options<'a>, Error> {
        let mut options = Options {
            by: None,
            unsorted: false,
            gets: Vec::new(),
            descending: false,
            alpha: false,
            limit: (0, -1),
            store: None,
        };
        let number = |i: usize| parse_i64(args.at(i)).ok_or(Error::NotInteger);
        let mut i = 2;
        while i < args.len() {
            let left = args.len() - i - 1;
            if args.is(i, "asc") {
                options.descending = false;
            } else if args.is(i, "desc") {
                options.descending = true;
            } else if args.is(i, "alpha") {
                options.alpha = true;
            } else if args.is(i, "limit") && left >= 2 {
                options.limit = (number(i + 1)?, number(i + 2)?);
                i += 2;
            } else if args.is(i, "store") && left >= 1 && may_store {
                options.store = Some(args.at(i + 1));
                i += 1;
            } else if args.is(i, "by") && left >= 1 {
                let by = Pattern::new(args.at(i + 1));
                // Said once, it holds whatever other BY follows.
                options.unsorted |= !by.has_star();
                options.by = Some(by);
                i += 1;
            } else if args.is(i, "get") && left >= 1 {
                options.gets.push(Pattern::new(args.at(i + 1)));
                i += 1;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    /// What LIMIT leaves of `len` elements: from where, and how many.
    pub fn window(&self, len: usize) -> (usize, usize) {
        let (first, count) = self.limit;
        let first = usize::try_from(first).unwrap_or(0).min(len);
        let left = len - first;
        (first, usize::try_from(count).map_or(left, |count| count.min(left)))
    }

    /// All patterns whose keys are looked up.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern<'a>> {
        let by = self.by.iter().filter(|_| !self.unsorted);
        by.chain(&self.gets).filter(|pattern| pattern.has_star())
    }
}
