//! The fuzz targets over their corpora, and over what random edits make of these: the short form of `make fuzz`.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use crate::differential::random::Random;

#[path = "../../fuzz/harness/mod.rs"]
mod targets;

/// Edits of each input of a corpus.
const EDITS: usize = 200;

#[test]
fn corpora_and_edits_of_them_break_nothing() {
    let mut random = Random::new(20);
    for (name, target) in targets::TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for input in &inputs {
            run(name, target, input);
            for _ in 0..EDITS {
                run(name, target, &edited(input, &inputs, &mut random));
            }
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).expect("a corpus").map(|f| f.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        panic!("{name} fails on {:?}", input.escape_ascii().to_string());
    }
}

/// Some bytes changed, put in, taken out, doubled, or the end of another input.
fn edited(input: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut edited = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(edited.len() + 1);
        let byte = random.below(256) as u8;
        match random.below(6) {
            0 if at < edited.len() => edited[at] = byte,
            1 => edited.insert(at, byte),
            2 if at < edited.len() => drop(edited.remove(at)),
            3 if at < edited.len() => edited[at] ^= 1 << (byte % 8),
            4 => {
                let piece: Vec<u8> = edited[at..].iter().take(random.below(16)).copied().collect();
                edited.splice(at..at, piece);
            }
            _ => {
                let other = &others[random.below(others.len())];
                edited.truncate(at);
                edited.extend(&other[random.below(other.len() + 1)..]);
            }
        }
    }
    edited
}
