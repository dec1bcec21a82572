//! The fuzz targets' bodies over the kept corpus, over each of its files damaged, and over random bytes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; clippy only knows so of its `#[test]` functions"
)]

mod fuzzing;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 5] = [
    ("token", fuzzing::token),
    ("jwks", fuzzing::jwks),
    ("route", fuzzing::route),
    ("api_key", fuzzing::api_key),
    ("revocations", fuzzing::revocations),
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_kept_corpus_and_every_file_of_it_cut_short_or_changed() {
    for (name, body) in TARGETS {
        let files = corpus(name);
        assert!(files.len() >= 3, "the corpus of {name} is gone");
        for file in files {
            body(&file);
            let step = file.len() / 64 + 1;
            for at in (0..file.len()).step_by(step) {
                body(&file[..at]);
                for byte in [0, b'"', b'%', b'.', b'{', 0xff] {
                    let mut changed = file.clone();
                    changed[at] = byte;
                    body(&changed);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[/%.;a-z0-9A-F\\\\{}\":,\\[\\]_]{0,80}") {
        for (_, body) in TARGETS {
            body(&bytes);
            body(text.as_bytes());
        }
    }
}
