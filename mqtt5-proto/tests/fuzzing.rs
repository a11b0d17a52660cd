//! The bodies of the fuzz targets, run over their committed corpora and over a fixed set of random
//! and of mutated inputs.

#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use std::fs;
use std::path::{Path, PathBuf};

use codec_support::{hex, packet};
use mqtt5_proto::fuzzing;
use mqtt5_proto::packet::Packet;

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 5] = [
    ("broker_bytes", fuzzing::broker_bytes),
    ("decode", fuzzing::decode),
    ("roundtrip", fuzzing::roundtrip),
    ("session_ops", fuzzing::session_ops),
    ("split", fuzzing::split),
];

// --- Corpora ----------------------------------------------------------------

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The targets that the manifest of the fuzz package names, sorted.
fn named_targets() -> Vec<String> {
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    let mut names: Vec<_> = manifest
        .split("[[bin]]")
        .skip(1)
        .map(|table| {
            let name = table.lines().find_map(|line| line.strip_prefix("name = "));
            name.unwrap().trim_matches('"').to_owned()
        })
        .collect();
    names.sort();
    names
}

/// Tells which file made a body panic.
struct Running<'a>(&'a Path);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while running {}", self.0.display());
        }
    }
}

#[test]
fn every_target_has_a_body_and_its_corpus_passes() {
    assert_eq!(named_targets(), TARGETS.map(|(name, _)| name));
    for (name, body) in TARGETS {
        let corpus = fuzz_folder().join("corpus").join(name);
        let files: Vec<_> = fs::read_dir(&corpus)
            .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!files.is_empty(), "{} is empty", corpus.display());
        for file in &files {
            let _running = Running(file);
            body(&fs::read(file).unwrap());
        }
    }
}

// --- Random inputs ----------------------------------------------------------

/// A small generator (xorshift64*), so that every run sees the same inputs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit
    }

    /// Small values are far more likely: lengths, identifiers and flags are small.
    fn byte(&mut self) -> u8 {
        let bits = self.below(9);
        u8::try_from(self.below(1 << bits)).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most + 1);
        (0..len).map(|_| self.byte()).collect()
    }

    /// All values alike.
    fn even_bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[7]).collect()
    }
}

/// One packet of every kind, with many properties, from which mutations start.
fn seeds() -> Vec<Vec<u8>> {
    [
        "10 15 00 04 4D 51 54 54 05 0E 00 3C 00 00 01 63 00 00 01 77 00 01 78",
        "10 2E 00 04 4D 51 54 54 05 F6 00 3C 08 21 00 0A 11 00 00 00 07 00 01 61
         0B 01 01 18 00 00 00 05 08 00 01 72 00 01 77 00 01 78 00 01 75 00 01 70",
        "20 17 01 00 14 21 00 0A 12 00 01 61 24 01 27 00 00 10 00 2A 01 1F 00 01 72",
        "20 02 00 01",
        "30 08 00 03 61 2F 62 00 68 69",
        "3B 23 00 01 74 00 01 1A 01 01 02 00 00 00 01 08 00 01 72 09 00 00
         26 00 01 6B 00 00 0B 80 01 23 00 01 78 79 7A",
        "40 09 00 0A 87 05 1F 00 02 6E 6F",
        "50 04 00 0A 10 00",
        "62 03 00 0A 92",
        "70 02 00 0A",
        "82 12 00 0A 03 0B 80 01 00 01 23 02 00 05 61 2F 2B 2F 62 1D",
        "90 06 00 0A 00 00 02 87",
        "A2 0D 00 0A 00 00 03 61 2F 62 00 03 2B 2F 23",
        "B0 09 00 0A 05 26 00 00 00 00 11",
        "C0 00",
        "D0 00",
        "E0 0B 9C 09 1C 00 06 62 3A 31 38 38 33",
        "F0 0A 18 08 15 00 01 58 16 00 01 00",
    ]
    .into_iter()
    .map(hex)
    .collect()
}

/// Whether `data` is a packet.
fn run(data: &[u8]) -> bool {
    fuzzing::decode(data);
    fuzzing::roundtrip(data);
    Packet::parse(data).is_ok()
}

#[test]
fn random_bytes() {
    let mut random = Random(1);
    for _ in 0..300_000 {
        run(&random.bytes(40));
    }
}

#[test]
fn random_bodies_behind_a_right_header() {
    let mut random = Random(2);
    for _ in 0..300_000 {
        let kind = u8::try_from(random.below(16)).unwrap();
        let flags = match kind {
            3 => random.byte() & 0x0F,
            6 | 8 | 10 => 2,
            _ => 0,
        };
        run(&packet(kind << 4 | flags, &random.bytes(60)));
    }
}

#[test]
fn mutated_packets() {
    let mut random = Random(3);
    let seeds = seeds();
    for seed in &seeds {
        assert!(run(seed), "{:?}", Packet::parse(seed));
    }
    let mut packets = 0;
    for _ in 0..1_000_000 {
        let mut data = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(data.len());
            match random.below(4) {
                0 => data[at] = random.byte(),
                1 => data[at] ^= 1 << random.below(8),
                2 => data.insert(at, random.byte()),
                _ => drop((data.len() > 1).then(|| data.remove(at))),
            }
        }
        // Half of the time with a Remaining Length that is right again.
        if data.len() < 130 && random.below(2) == 0 && data.len() > 1 {
            data[1] = u8::try_from(data.len() - 2).unwrap();
        }
        packets += usize::from(run(&data));
    }
    // Else the mutations are too wild to tell anything.
    assert!(packets > 100_000, "{packets}");
}

/// Packets of all kinds, some of them broken.
fn stream(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..random.below(12) {
        match random.below(10) {
            0 => stream.extend(random.bytes(4)),
            1 => stream.extend(packet(0x30, &random.bytes(300))),
            _ => stream.extend_from_slice(&seeds[random.below(seeds.len())]),
        }
    }
    stream
}

#[test]
fn streams_of_packets_in_pieces() {
    let mut random = Random(4);
    let seeds = seeds();
    for _ in 0..20_000 {
        let mut data = vec![random.even_bytes(1)[0]];
        data.extend(stream(&mut random, &seeds));
        fuzzing::split(&data);
    }
}

#[test]
fn random_operations_on_a_session() {
    let mut random = Random(5);
    for _ in 0..100_000 {
        let len = random.below(300);
        fuzzing::session_ops(&random.even_bytes(len));
    }
}

#[test]
fn hostile_brokers() {
    let mut random = Random(6);
    // What a server may send.
    let seeds: Vec<_> = seeds()
        .into_iter()
        .filter(|seed| !matches!(seed[0] >> 4, 1 | 8 | 10 | 12))
        .collect();
    for _ in 0..30_000 {
        // Pieces, configuration and connection are chosen by the first bytes.
        let mut data = random.even_bytes(13);
        data.extend(stream(&mut random, &seeds));
        fuzzing::broker_bytes(&data);
    }
}
