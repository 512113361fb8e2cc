//! Replacing a small file as a whole.

use glommio::LocalExecutorBuilder;
use glommio::io::{BufferedFile, Directory};
use std::path::{Path, PathBuf};

/// The file at `path` has this content afterwards, or the one it had.
pub(super) fn replace_file(path: PathBuf, content: Vec<u8>) -> Result<(), String> {
    let executor = LocalExecutorBuilder::default().make().map_err(|e| e.to_string())?;
    executor.run(async move { write(&path, content).await }).map_err(|e| e.to_string())
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
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = Directory::open(parent).await?;
    directory.sync().await?;
    directory.close().await
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
        replace_file(path.clone(), b"port 1\n".to_vec()).expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"port 1\n");
        assert_eq!(std::fs::read_dir(&dir).expect("listed").count(), 1, "no temporary file is left");
        let missing = dir.join("no/such/kring.conf");
        assert!(replace_file(missing, Vec::new()).is_err());
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
