//! Replies with large values in them: text, and where each value is cut in. All of it is one send, gathered by the kernel.
//!
//! ```text
//!   text:    "$65536\r\n" | "\r\n+OK\r\n$70000\r\n" | "\r\n"
//!                         ^ value                   ^ value        five pieces
//! ```

use super::ops::MAX_SEND;
use bytes::Bytes;
use libc::{iovec, msghdr};

/// The most pieces that one operation gathers; what is behind them is the next.
const PIECES: usize = 64;

/// See the module's text.
pub struct Message {
    text: Vec<u8>,
    /// Each value, and the text before it.
    values: Vec<(usize, Bytes)>,
    len: usize,
    /// What the kernel is shown: it reads these while an operation begins.
    pieces: Vec<iovec>,
    head: msghdr,
}

impl Message {
    /// Values are in the order of their places in the text.
    pub fn new(text: Vec<u8>, values: Vec<(usize, Bytes)>) -> Box<Message> {
        let len = text.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>();
        let head = msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: std::ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: std::ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        };
        Box::new(Message { text, values, len, pieces: Vec::new(), head })
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes in order. No piece is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let ends =
            self.values.iter().map(|(at, value)| (*at, &value[..])).chain([(self.text.len(), &[][..])]);
        let pieces =
            ends.scan(0, |from, (to, value)| Some([&self.text[std::mem::replace(from, to)..to], value]));
        pieces.flatten().filter(|piece| !piece.is_empty())
    }

    /// The text's buffer, to be used again.
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// What the kernel is to send once the first `sent` bytes are out, or as much of it as one operation takes.
    pub(super) fn rest(&mut self, sent: usize) -> *const msghdr {
        let (mut skip, mut room) = (sent, MAX_SEND);
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.clear();
        for piece in self.pieces() {
            let begun = skip.min(piece.len());
            skip -= begun;
            let rest = &piece[begun..];
            let rest = &rest[..rest.len().min(room)];
            if !rest.is_empty() {
                room -= rest.len();
                pieces.push(iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() });
            }
            if pieces.len() == PIECES || room == 0 {
                break;
            }
        }
        self.pieces = pieces;
        self.head.msg_iov = self.pieces.as_mut_ptr();
        self.head.msg_iovlen = self.pieces.len() as _;
        &raw const self.head
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message of {} bytes, {} of them text", self.len, self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(values: usize) -> (Box<Message>, Vec<u8>) {
        let (mut text, mut cuts, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..values {
            // Some values meet without text in between.
            let (head, value) = (vec![b't'; i % 4], vec![i as u8; i % 3 * 100]);
            text.extend_from_slice(&head);
            all.extend([head, value.clone()].concat());
            cuts.push((text.len(), Bytes::from(value)));
        }
        text.extend_from_slice(b"end");
        all.extend_from_slice(b"end");
        (Message::new(text, cuts), all)
    }

    #[test]
    fn values_are_cut_in_where_they_belong() {
        for values in [0, 1, 2, 30] {
            let (message, all) = message(values);
            assert_eq!(message.pieces().collect::<Vec<_>>().concat(), all);
            assert_eq!((message.len(), message.is_empty()), (all.len(), false));
            assert!(message.pieces().all(|piece| !piece.is_empty()));
        }
        assert!(Message::new(Vec::new(), Vec::new()).is_empty());
    }

    #[test]
    fn an_operation_takes_so_many_pieces_of_what_is_left() {
        let (mut message, all) = message(100);
        for sent in 0..all.len() {
            message.rest(sent);
            let lens: Vec<_> = message.pieces.iter().map(|piece| piece.iov_len).collect();
            let (total, whole) = (lens.iter().sum::<usize>(), all.len() - sent);
            assert!((1..=PIECES).contains(&lens.len()) && !lens.contains(&0), "{sent}");
            assert!(total == whole || total < whole && lens.len() == PIECES, "{sent}");
            let first = message.pieces[0].iov_base.cast::<u8>();
            let found = message.pieces().find(|piece| piece.as_ptr_range().contains(&first.cast_const()));
            let at = first.addr() - found.expect("it is of the message").as_ptr().addr();
            let before =
                message.pieces().take_while(|piece| !piece.as_ptr_range().contains(&first.cast_const()));
            assert_eq!(before.map(<[u8]>::len).sum::<usize>() + at, sent);
        }
    }
}
