//! Memory for O_DIRECT: whole pages of 4,096 bytes at addresses that are multiples of that.

/// Bytes of a page: what a file that is written around the page cache is made of.
pub const PAGE: usize = 4096;

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; PAGE]);

const _: () = assert!(size_of::<Page>() == PAGE && align_of::<Page>() == PAGE);

/// A run of pages, reused for as many writes as it serves.
#[derive(Default)]
pub struct Pages {
    pages: Vec<Page>,
}

impl Pages {
    /// Holds a copy of `bytes`, whose length is a multiple of [`PAGE`].
    pub fn fill(&mut self, bytes: &[u8]) {
        assert!(bytes.len().is_multiple_of(PAGE), "whole pages");
        self.pages.clear();
        self.pages.reserve_exact(bytes.len() / PAGE);
        let (chunks, _) = bytes.as_chunks::<PAGE>();
        self.pages.extend(chunks.iter().map(|chunk| Page(*chunk)));
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Bytes that it could hold without growing.
    pub fn capacity(&self) -> usize {
        self.pages.capacity() * PAGE
    }

    /// Where the bytes are, for the kernel.
    pub fn as_ptr(&self) -> *const u8 {
        self.pages.as_ptr().cast()
    }

    /// The bytes, page by page.
    pub fn iter(&self) -> impl Iterator<Item = &[u8; PAGE]> {
        self.pages.iter().map(|page| &page.0)
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pages({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_aligned_copies() {
        let bytes: Vec<u8> = (0..3 * PAGE).map(|i| i as u8).collect();
        let mut pages = Pages::default();
        for len in [3 * PAGE, PAGE, 0] {
            pages.fill(&bytes[..len]);
            assert_eq!((pages.len(), pages.as_ptr().addr() % PAGE), (len, 0));
            assert_eq!(pages.iter().flatten().copied().collect::<Vec<_>>(), bytes[..len]);
        }
        assert_eq!(pages.capacity(), 3 * PAGE);
    }
}
