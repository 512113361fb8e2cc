//! A node of a quicklist: a listpack, a large element as it is, or one of these compressed.

use super::limits::Limits;
use crate::base::lzf;
use crate::ds::listpack::{Element, Listpack};
use crate::ds::malloc::{fitted, malloc_size};
use std::borrow::Cow;

/// Smaller nodes are not worth an attempt at compression, in bytes.
const SQUEEZE_FROM: usize = 48;
/// What compression must save, in bytes.
const SQUEEZE_SAVES: usize = 8;
/// The length before compression, in front of what was compressed.
const PREFIX: usize = size_of::<u32>();

/// See the module's text. The count stands here too, so that skipping a node does not touch its block.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Pack {
        pack: Listpack,
        count: u32,
    },
    Plain(Box<[u8]>),
    /// `| length before u32 | LZF |`
    Squeezed {
        block: Box<[u8]>,
        count: u32,
        plain: bool,
    },
}

const _: () = assert!(size_of::<Node>() == 24);

/// What a node holds, to be read.
pub(super) enum Content<'a> {
    Pack(Cow<'a, Listpack>),
    Plain(Cow<'a, [u8]>),
}

/// A node as RDB saves it.
pub enum Saved<'a> {
    /// The bytes of a listpack, or of one large element.
    Whole { bytes: &'a [u8], plain: bool },
    /// The same, compressed by LZF.
    Squeezed { lzf: &'a [u8], len: usize, plain: bool },
}

impl Node {
    /// A node of one element.
    pub fn new(element: Element<'_>, limits: Limits) -> Node {
        match element {
            Element::Str(text) if limits.is_large(text.len()) => Node::Plain(text.into()),
            _ => {
                let mut pack = Listpack::new();
                pack.push_back(element);
                Node::Pack { pack, count: 1 }
            }
        }
    }

    /// A node of a listpack.
    pub fn of(pack: Listpack) -> Node {
        let count = pack.len() as u32;
        Node::Pack { pack, count }
    }

    /// How many elements.
    #[inline]
    pub fn count(&self) -> usize {
        match self {
            Node::Pack { count, .. } | Node::Squeezed { count, .. } => *count as usize,
            Node::Plain(_) => 1,
        }
    }

    /// Bytes of its content, uncompressed.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self {
            Node::Pack { pack, .. } => pack.bytes(),
            Node::Plain(text) => text.len(),
            Node::Squeezed { block, .. } => split(block).0,
        }
    }

    /// Bytes that its block takes, as allocated.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        malloc_size(match self {
            Node::Pack { pack, .. } => pack.bytes(),
            Node::Plain(block) | Node::Squeezed { block, .. } => block.len(),
        })
    }

    /// Whether it is one large element.
    pub fn is_plain(&self) -> bool {
        matches!(self, Node::Plain(_) | Node::Squeezed { plain: true, .. })
    }

    /// Whether a text of `len` bytes may be added.
    #[inline]
    pub fn takes(&self, len: usize, limits: Limits) -> bool {
        !self.is_plain() && !limits.is_large(len) && limits.takes(self.bytes(), self.count(), len)
    }

    /// What it holds.
    pub fn read(&self) -> Content<'_> {
        match self {
            Node::Pack { pack, .. } => Content::Pack(Cow::Borrowed(pack)),
            Node::Plain(text) => Content::Plain(Cow::Borrowed(text)),
            Node::Squeezed { block, plain, .. } => match expanded(block) {
                text if *plain => Content::Plain(Cow::Owned(text)),
                bytes => Content::Pack(Cow::Owned(listpack(bytes))),
            },
        }
    }

    /// Compresses it, if that saves enough.
    pub fn squeeze(&mut self) {
        let (bytes, count, plain) = match self {
            Node::Pack { pack, count } => (pack.as_bytes(), *count, false),
            Node::Plain(text) => (&**text, 1, true),
            Node::Squeezed { .. } => return,
        };
        if bytes.len() < SQUEEZE_FROM {
            return;
        }
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        let mut block = len.to_le_bytes().to_vec();
        if lzf::compress(bytes, &mut block, bytes.len() - SQUEEZE_SAVES) {
            *self = Node::Squeezed { block: fitted(block), count, plain };
        }
    }

    /// Undoes [`Node::squeeze`].
    pub fn expand(&mut self) {
        if let Node::Squeezed { block, count, plain } = self {
            let (bytes, count) = (expanded(block), *count);
            *self = match plain {
                true => Node::Plain(fitted(bytes)),
                false => Node::Pack { pack: listpack(bytes), count },
            };
        }
    }

    /// Its listpack, to be changed; the caller sets the count. None when it is plain or compressed.
    pub fn pack_mut(&mut self) -> Option<(&mut Listpack, &mut u32)> {
        match self {
            Node::Pack { pack, count } => Some((pack, count)),
            Node::Plain(_) | Node::Squeezed { .. } => None,
        }
    }

    /// As RDB saves it.
    pub fn saved(&self) -> Saved<'_> {
        match self {
            Node::Pack { pack, .. } => Saved::Whole { bytes: pack.as_bytes(), plain: false },
            Node::Plain(text) => Saved::Whole { bytes: text, plain: true },
            Node::Squeezed { block, plain, .. } => {
                let (len, lzf) = split(block);
                Saved::Squeezed { lzf, len, plain: *plain }
            }
        }
    }
}

/// The two parts of a compressed block.
fn split(block: &[u8]) -> (usize, &[u8]) {
    let (len, lzf) = block.split_first_chunk::<PREFIX>().expect("a compressed block begins with a length");
    (u32::from_le_bytes(*len) as usize, lzf)
}

fn expanded(block: &[u8]) -> Vec<u8> {
    let (len, lzf) = split(block);
    lzf::decompress(lzf, len).expect("it was compressed here")
}

fn listpack(bytes: Vec<u8>) -> Listpack {
    Listpack::from_bytes(bytes).expect("it was a listpack before")
}
