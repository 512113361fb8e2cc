//! The options of XADD and XTRIM: what is trimmed, and of XADD the id.

use super::ids::{new_id, strict_id};
use crate::base::number::parse_i64;
use crate::config::Config;
use crate::ds::stream::{Limits, Log, StreamId, Trim, Wanted};
use crate::resp::{Args, Error};

const BOTH: &str = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
const NO_STRATEGY: &str = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
const NOTHING: &str = "ERR syntax error, XTRIM must be called with a trimming strategy";
const LIMIT_EXACT: &str = "ERR syntax error, LIMIT cannot be used without the special ~ option";

/// An approximate trim stops after this many nodes unless it is told otherwise, and within these bounds of entries.
const NODES_TRIMMED: u64 = 100;
const TRIMMED_DEFAULT: u64 = 10_000;
const TRIMMED_MAX: u64 = 1_000_000;

/// How a stream is trimmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trimming {
    trim: Trim,
    approximate: bool,
    /// Entries at most; 0: any number.
    limit: u64,
}

impl Trimming {
    /// Whether it may leave more than it was told to.
    pub fn is_approximate(&self) -> bool {
        self.approximate
    }

    /// Whether its bound is an id.
    pub fn is_by_id(&self) -> bool {
        matches!(self.trim, Trim::MinId(_))
    }

    /// Trims; how many entries went.
    pub fn apply(&self, log: &mut Log) -> u64 {
        log.trim(self.trim, self.approximate, self.limit)
    }
}

/// What the arguments say up to the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub trimming: Option<Trimming>,
    pub no_mkstream: bool,
    /// None for `*`.
    pub id: Option<Wanted>,
    /// The position behind the id.
    pub fields: usize,
}

/// What a node may hold.
pub(super) fn limits(config: &Config) -> Limits {
    let bytes = usize::try_from(config.stream_node_max_bytes).unwrap_or(usize::MAX);
    Limits { bytes, entries: config.stream_node_max_entries }
}

impl Options {
    /// Reads the options from argument 2 on, up to an id if it is XADD's.
    pub fn parse(args: Args<'_>, xadd: bool, config: &Config) -> Result<Options, Error> {
        let mut found = Options { trimming: None, no_mkstream: false, id: None, fields: args.len() + 1 };
        let mut limit = None;
        let mut i = 2;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if xadd && args.at(i) == b"*" {
                found.fields = i + 1;
                break;
            } else if more > 0 && (args.is(i, "maxlen") || args.is(i, "minid")) {
                i = found.strategy(args, i)?;
            } else if more > 0 && args.is(i, "limit") {
                limit = Some(at_least_0(args.at(i + 1), "ERR The LIMIT argument must be >= 0.")?);
                i += 1;
            } else if xadd && args.is(i, "nomkstream") {
                found.no_mkstream = true;
            } else if xadd {
                found.id = Some(new_id(args.at(i))?);
                found.fields = i + 1;
                break;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        found.settle(limit, xadd, config)?;
        Ok(found)
    }

    /// Reads the strategy at `i`; gives the position of its last argument.
    fn strategy(&mut self, args: Args<'_>, i: usize) -> Result<usize, Error> {
        if self.trimming.is_some() {
            return Err(Error::text_of(BOTH));
        }
        let sign = if args.len() - 1 - i >= 2 { args.at(i + 1) } else { b"" };
        let at = i + 1 + usize::from(sign == b"~" || sign == b"=");
        let trim = if args.is(i, "maxlen") {
            Trim::MaxLen(at_least_0(args.at(at), "ERR The MAXLEN argument must be >= 0.")?)
        } else {
            Trim::MinId(strict_id(args.at(at), 0)?)
        };
        self.trimming = Some(Trimming { trim, approximate: sign == b"~", limit: 0 });
        Ok(at)
    }

    fn settle(&mut self, limit: Option<u64>, xadd: bool, config: &Config) -> Result<(), Error> {
        let Some(trimming) = &mut self.trimming else {
            return match limit {
                Some(1..) => Err(Error::text_of(NO_STRATEGY)),
                Some(0) if xadd => Err(Error::text_of(LIMIT_EXACT)),
                _ if xadd => Ok(()),
                _ => Err(Error::text_of(NOTHING)),
            };
        };
        trimming.limit = match (limit, trimming.approximate) {
            (Some(limit), true) => limit,
            (Some(_), false) => return Err(Error::text_of(LIMIT_EXACT)),
            (None, false) => 0,
            (None, true) => match NODES_TRIMMED.saturating_mul(config.stream_node_max_entries) {
                0 => TRIMMED_DEFAULT,
                limit => limit.min(TRIMMED_MAX),
            },
        };
        Ok(())
    }

    /// Whether the id is the one that no entry can have.
    pub fn asks_for_0(&self) -> bool {
        self.id == Some(Wanted::Exactly(StreamId::MIN))
    }
}

fn at_least_0(text: &[u8], negative: &'static str) -> Result<u64, Error> {
    let number = parse_i64(text).ok_or(Error::NotInteger)?;
    u64::try_from(number).map_err(|_| Error::text_of(negative))
}
