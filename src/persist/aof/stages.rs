//! What the incremental files of a manifest are to each other.
//!
//! ```text
//!  1.incr  2.incr     3.incr    4.incr  5.incr      6.incr
//!  generation 1       alone     generation 3        a file of Redis's
//! ```
//! Stages follow each other; the files of one generation hold different keys and can be read side by side. A log that has
//! been in use by Redis and by kring in turn has both kinds.
//!
//! The files of a generation stand one behind the other, shard 0 first. One whose first frame never came belongs by its
//! place; those at the edges of a generation that no frame tells of are empty anyway.

use super::header::FileInfo;
use std::fmt;

/// What is known of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// It holds nothing.
    Blank,
    /// Its first frame says this.
    Framed(FileInfo),
    /// It is Redis's.
    Plain,
}

/// Files that are read together, by their places in the manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// One file a shard: place `first` is shard 0's.
    Generation {
        generation: u64,
        first: usize,
        shards: usize,
    },
    /// An operation on the whole keyspace.
    Alone {
        generation: u64,
        file: usize,
    },
    Plain {
        file: usize,
    },
}

/// Why files make no stages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disorder {
    /// The file at fault, by its place in the manifest.
    pub file: usize,
    pub why: &'static str,
}

impl fmt::Display for Disorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "incremental file {} of the AOF manifest: {}", self.file + 1, self.why)
    }
}

/// The stages of the incremental files, which are given in the manifest's order. Blank files that belong nowhere are left out.
pub fn stages(files: &[Opened]) -> Result<Vec<Stage>, Disorder> {
    let mut stages = Vec::new();
    let mut last = None;
    let mut file = 0;
    while file < files.len() {
        let (generation, stage, next) = match &files[file] {
            // It may be the first of a generation that a later file tells of.
            Opened::Blank => match files[file..].iter().position(|opened| *opened != Opened::Blank) {
                None => break,
                Some(blank) => match &files[file + blank] {
                    Opened::Framed(info) if !info.alone => one_generation(files, file, file + blank, info)?,
                    _ => {
                        file += blank;
                        continue;
                    }
                },
            },
            Opened::Plain => (None, Stage::Plain { file }, file + 1),
            Opened::Framed(info) if info.alone => {
                let generation = info.generation;
                (Some(generation), Stage::Alone { generation, file }, file + 1)
            }
            Opened::Framed(info) => one_generation(files, file, file, info)?,
        };
        if generation.is_some() && generation <= last {
            return Err(Disorder {
                file,
                why: "its generation is not a later one than that of the files before it",
            });
        }
        last = generation.or(last);
        stages.push(stage);
        file = next;
    }
    Ok(stages)
}

/// The generation that the file at `told` speaks of; files from `from` on may be in it.
fn one_generation(
    files: &[Opened],
    from: usize,
    told: usize,
    info: &FileInfo,
) -> Result<(Option<u64>, Stage, usize), Disorder> {
    let shards = usize::from(info.shards);
    let first = told.checked_sub(info.shard.into()).filter(|first| *first >= from);
    let Some(first) = first else {
        return Err(Disorder {
            file: told,
            why: "files of lower shards of its generation are missing before it",
        });
    };
    let Some(members) = files.get(first..first + shards) else {
        return Err(Disorder {
            file: told,
            why: "files of higher shards of its generation are missing behind it",
        });
    };
    for (shard, opened) in members.iter().enumerate() {
        let fits = match opened {
            Opened::Blank => true,
            Opened::Plain => false,
            Opened::Framed(other) => {
                let as_told =
                    FileInfo { shard: shard as u16, creator: other.creator.clone(), ..info.clone() };
                *other == as_told
            }
        };
        if !fits {
            return Err(Disorder {
                file: first + shard,
                why: "it stands among the files of a generation but is not of it",
            });
        }
    }
    let stage = Stage::Generation { generation: info.generation, first, shards };
    Ok((Some(info.generation), stage, first + shards))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::aof::Framer;

    fn framed(generation: u64, shard: usize, shards: usize) -> Opened {
        Opened::Framed(Framer::new(generation * 31, shard, generation, shards).info().clone())
    }

    fn alone(generation: u64) -> Opened {
        Opened::Framed(Framer::alone(generation * 31, generation).info().clone())
    }

    #[test]
    fn files_fall_into_stages() {
        let files = [
            Opened::Plain,
            framed(1, 0, 2),
            framed(1, 1, 2),
            alone(2),
            Opened::Blank,
            framed(3, 1, 3),
            Opened::Blank,
            Opened::Blank,
            Opened::Plain,
            framed(9, 0, 1),
            Opened::Blank,
        ];
        let expected = [
            Stage::Plain { file: 0 },
            Stage::Generation { generation: 1, first: 1, shards: 2 },
            Stage::Alone { generation: 2, file: 3 },
            Stage::Generation { generation: 3, first: 4, shards: 3 },
            Stage::Plain { file: 8 },
            Stage::Generation { generation: 9, first: 9, shards: 1 },
        ];
        assert_eq!(stages(&files), Ok(expected.to_vec()));
        assert_eq!(stages(&[]), Ok(Vec::new()));
        assert_eq!(stages(&[Opened::Blank, Opened::Blank]), Ok(Vec::new()));
    }

    #[test]
    fn missing_and_strange_files_are_told() {
        let cases = [
            (vec![framed(1, 1, 2)], 0, "missing before"),
            (vec![framed(1, 0, 2)], 0, "missing behind"),
            (vec![framed(1, 0, 2), Opened::Plain], 1, "not of it"),
            (vec![framed(1, 0, 2), framed(1, 0, 2)], 1, "not of it"),
            (vec![framed(1, 0, 2), framed(2, 1, 2)], 1, "not of it"),
            (vec![framed(1, 0, 2), framed(1, 1, 3)], 1, "not of it"),
            (vec![framed(1, 0, 1), framed(1, 0, 1)], 1, "not a later one"),
            (vec![alone(2), framed(1, 0, 1)], 1, "not a later one"),
            (vec![framed(1, 0, 1), framed(2, 1, 2)], 1, "missing before"),
        ];
        for (files, file, why) in cases {
            let disorder = stages(&files).unwrap_err();
            assert!(disorder.file == file && disorder.why.contains(why), "{disorder}");
        }
    }
}
