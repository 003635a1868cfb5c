//! Changes to inputs that keep words whole.
//!
//! A grammar is left by almost every change of a byte; a word that is dropped, doubled or put in
//! another's place often leads somewhere new.

use crate::seeds;

/// Longest input.
pub const INPUT_BYTES_MAX: usize = 4096;
/// Most words that move together.
const WORDS_MAX: usize = 12;

/// Numbers that look random, the same for the same seed.
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    pub fn new(seed: u64) -> Self {
        // Small seeds shall not begin alike.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(2);
        random
    }

    /// A number less than the limit, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap_or(0) % limit.max(1)
    }

    /// A seed with a few changes: words or bytes dropped, doubled or taken from another.
    pub fn change(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..self.below(6) {
            self.change_once(&mut input, seeds);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    /// One change; what is taken from elsewhere comes from the seeds.
    pub fn change_once(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let (from, to) = self.piece(input);
        match self.below(7) {
            0 if from < input.len() => input[from] ^= 1 << self.below(8),
            1 => {
                input.drain(from..to);
            }
            2 => {
                let piece = input[from..to].to_vec();
                input.splice(from..from, piece);
            }
            3 => {
                let word = seeds::WORDS[self.below(seeds::WORDS.len())];
                input.splice(from..from, word.bytes());
            }
            4 => input.insert(from, u8::try_from(self.below(256)).unwrap_or(0)),
            kind => {
                let other = &seeds[self.below(seeds.len())];
                let (first, last) = self.piece(other);
                let place = if kind == 5 { from..from } else { from..to };
                input.splice(place, other[first..last].iter().copied());
            }
        }
    }

    /// A part of a text, most often of whole words.
    fn piece(&mut self, text: &[u8]) -> (usize, usize) {
        if self.below(4) == 0 {
            let from = self.below(text.len() + 1);
            return (from, (from + 1 + self.below(24)).min(text.len()));
        }
        let edges = edges(text);
        let from = self.below(edges.len());
        let to = (from + 1 + self.below(WORDS_MAX)).min(edges.len() - 1);
        (edges[from], edges[to])
    }
}

/// Where words begin and end: letters and digits stay together, and what repeats.
fn edges(text: &[u8]) -> Vec<usize> {
    let together = |pair: &[u8]| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        pair[0] == pair[1] || (is_name(pair[0]) && is_name(pair[1]))
    };
    let mut edges = vec![0];
    let cuts = text.windows(2).enumerate();
    let cuts = cuts.filter(|(_, pair)| !together(pair));
    edges.extend(cuts.map(|(index, _)| index + 1));
    edges.push(text.len());
    edges
}
