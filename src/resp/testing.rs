//! For tests of what takes arguments.

use super::{Args, Limits, Parser};

/// Calls `f` with the arguments of a request.
pub(crate) fn with_args<R>(words: &[&[u8]], f: impl FnOnce(Args<'_>) -> R) -> R {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    let (mut spans, mut inline) = (Vec::new(), Vec::new());
    let limits = Limits { bulk_max: i64::MAX, authenticated: true };
    Parser::default().step(&request, &limits, &mut spans, &mut inline);
    f(Args::new(&request, &spans))
}
