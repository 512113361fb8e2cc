//! Rewriting a small file as a whole.

use super::sink::sync_directory;
use super::{Edit, executor};
use glommio::LocalExecutorBuilder;
use glommio::io::BufferedFile;
use std::path::{Path, PathBuf};

/// The file at `path` has the edited text afterwards, or the one it had.
pub(super) fn rewrite_file(path: PathBuf, edit: Edit) -> Result<(), String> {
    let work = async move {
        let old = read(&path).await?;
        write(&path, edit(old.as_deref())).await
    };
    executor::run(LocalExecutorBuilder::default(), work)?.map_err(|e| e.to_string())
}

/// The file's bytes, or `None` when there is no file.
async fn read(path: &Path) -> glommio::Result<Option<Vec<u8>>, ()> {
    if !path.exists() {
        return Ok(None);
    }
    let file = BufferedFile::open(path).await?;
    let len = file.file_size().await? as usize;
    let bytes = file.read_at(0, len).await?.to_vec();
    file.close().await?;
    Ok(Some(bytes))
}

async fn write(path: &Path, content: Vec<u8>) -> glommio::Result<(), ()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let mut file = BufferedFile::create(&temporary).await?;
    let mut written = 0;
    while written < content.len() {
        written += file.write_at(content[written..].to_vec(), written as u64).await?;
    }
    file.fdatasync().await?;
    file.rename(path).await?;
    file.close().await?;
    sync_directory(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = std::env::temp_dir().join(format!("kring-replace-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let path = dir.join("kring.conf");
        std::fs::write(&path, "old, and longer than the new").expect("written");
        rewrite_file(path.clone(), Box::new(|old| [&old.expect("there")[..3], b"!\n"].concat()))
            .expect("rewritten");
        assert_eq!(std::fs::read(&path).expect("read"), b"old!\n");
        assert_eq!(std::fs::read_dir(&dir).expect("listed").count(), 1, "no temporary file is left");
        let missing = dir.join("no/such/kring.conf");
        assert!(rewrite_file(missing, Box::new(|_| Vec::new())).is_err());
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
