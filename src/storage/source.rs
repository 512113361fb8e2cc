//! A file that is read from one place to another: around the page cache (O_DIRECT) with several reads ahead, or through it
//! where the file system refuses that.

use super::sink::text;
use glommio::io::{BufferedFile, DmaFile, DmaStreamReader, DmaStreamReaderBuilder, ReadResult};
use std::path::Path;

/// Bytes read at a time, and how many such reads are ahead.
const READ: usize = 512 << 10;
const READS_AHEAD: usize = 4;

/// See the module's text.
pub(super) enum Source {
    Direct(DmaStreamReader),
    Buffered { file: BufferedFile, at: u64, end: u64 },
}

impl Source {
    /// The file from `from` on, to `end` or to where it ends; and how long it is.
    pub async fn open(path: &Path, from: u64, end: Option<u64>) -> Result<(Source, u64), String> {
        // glommio finds out by the first file that is opened whether its device can be polled. One without a byte to read would seem
        // to say yes, whatever the device, and then no file on it could be read.
        let is_empty = path.metadata().is_ok_and(|about| about.len() == 0);
        let direct = if is_empty { None } else { DmaFile::open(path).await.ok() };
        match direct {
            Some(file) => {
                let len = file.file_size().await.map_err(text)?;
                let end = end.unwrap_or(len).min(len);
                let reader = DmaStreamReaderBuilder::new(file)
                    .with_start_pos(from.min(end))
                    .with_end_pos(end)
                    .with_buffer_size(READ)
                    .with_read_ahead(READS_AHEAD);
                Ok((Source::Direct(reader.build()), len))
            }
            None => {
                let file = BufferedFile::open(path).await.map_err(text)?;
                let len = file.file_size().await.map_err(text)?;
                Ok((Source::Buffered { file, at: from, end: end.unwrap_or(len).min(len) }, len))
            }
        }
    }

    /// Whether it goes around the page cache.
    pub fn is_direct(&self) -> bool {
        matches!(self, Source::Direct(_))
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<ReadResult, String> {
        match self {
            Source::Direct(stream) => stream.get_buffer_aligned(READ as u64).await.map_err(text),
            Source::Buffered { file, at, end } => {
                let size = (*end - (*at).min(*end)).min(READ as u64) as usize;
                let bytes = file.read_at(*at, size).await.map_err(text)?;
                *at += bytes.len() as u64;
                Ok(bytes)
            }
        }
    }

    pub async fn close(self) {
        // It was only read: a failing close changes nothing.
        let _ = match self {
            Source::Direct(stream) => stream.close().await,
            Source::Buffered { file, .. } => file.close().await,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutorBuilder;

    fn read(path: &Path, from: u64, end: Option<u64>) -> (Vec<u8>, u64) {
        let executor = LocalExecutorBuilder::default().make().expect("an executor");
        executor.run(async {
            let (mut source, len) = Source::open(path, from, end).await.expect("it opens");
            let mut all = Vec::new();
            loop {
                let bytes = source.next().await.expect("it is read");
                if bytes.is_empty() {
                    source.close().await;
                    return (all, len);
                }
                all.extend_from_slice(&bytes);
            }
        })
    }

    #[test]
    fn an_empty_file_tells_nothing_of_its_device() {
        let path = |what: &str| std::env::temp_dir().join(format!("kring-{what}-{}", std::process::id()));
        let (empty, full) = (path("empty"), path("full"));
        std::fs::write(&empty, b"").expect("written");
        std::fs::write(&full, b"bytes").expect("written");
        assert_eq!(read(&empty, 0, None), (Vec::new(), 0));
        assert_eq!(read(&full, 0, None).0, b"bytes");
        [empty, full].iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
    }

    #[test]
    fn any_part_of_a_file_is_read() {
        let path = std::env::temp_dir().join(format!("kring-source-{}", std::process::id()));
        for len in [0usize, 1, 4_095, 4_096, 600_000, 3 << 20] {
            let bytes: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            for (from, end) in
                [(0, None), (5, None), (4_096, None), (3, Some(700_000)), (9, Some(10)), (7, Some(7))]
            {
                let to = end.map_or(len, |e| (e as usize).min(len));
                let wanted = bytes.get((from as usize).min(to)..to).unwrap_or(&[]);
                let (got, all) = read(&path, from, end);
                assert!(
                    got == wanted && all == len as u64,
                    "{len} bytes, from {from} to {end:?}: {}",
                    got.len()
                );
            }
        }
        std::fs::remove_file(&path).expect("removed");
    }
}
