//! kring and redis-server 7.0 side by side: the same requests to both, the bytes of the replies compared.
//!
//! ```text
//! rows      the commands as data: a weight, a template, how replies compare
//! grammar   templates to requests      values   keys, numbers and strings that sit on edges
//! pair      two servers and the connections to both      compare   when two replies are the same
//! hashes    rounds of one family, in every encoding
//! rounds    random batches; the whole dataset compared at the end of a round
//! zsets     the same for sorted sets and positions, with payloads
//! cases     fixed scripts, a file a family (cases/*.txt)      counts   what INFO counts of them
//! blocking  commands that wait, on several connections
//! bytes     requests no client library sends: inline, broken, cut off
//! streams   random commands on streams, whose times do not compare
//! dumps     DUMP here, RESTORE there      introspection  COMMAND, INFO, CONFIG
//! lists     rounds of a family of its own, in every encoding, with dumps both ways      sort   SORT over them
//! effects   what Redis writes into its append-only file
//! sets, hyperloglogs   a family each: random requests, every value compared after each batch
//! known     differences that are meant
//! ```
//! `KRING_SEED=n|random` and `KRING_ROUNDS=n` make long runs. A failure prints the seed, every kind of difference once,
//! and the requests that led to it.

mod blocking;
mod bytes;
mod cases;
mod compare;
mod counts;
mod dumps;
mod effects;
mod grammar;
mod hashes;
mod hyperloglogs;
mod introspection;
mod known;
mod lists;
mod pair;
mod rounds;
mod rows;
mod sets;
mod sort;
mod streams;
mod values;
mod zsets;
