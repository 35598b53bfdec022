//! Documents and texts as applications keep them, made from a seed: the same at every run.

use serde_json::json;

const SEED: u64 = 0x636f_6c75_6d6e_7365;
/// Rows that share a batch, and rows that share a campaign.
pub(super) const SHARED: u32 = 100;
/// A prime, so that neighbours in one order are none in another.
pub(super) const STRIDE: u64 = 7_368_787;

const FIRST: [&str; 16] = [
    "Maria", "Jonas", "Aylin", "Pedro", "Chiara", "Tomasz", "Ingrid", "Samuel", "Noor", "Lukas", "Hélène", "Mateo",
    "Sofia", "Arjun", "Freya", "Daniel",
];
const LAST: [&str; 16] = [
    "Lindqvist",
    "Okafor",
    "Müller",
    "Santos",
    "Rossi",
    "Kowalski",
    "Berg",
    "Haddad",
    "Jansen",
    "Novak",
    "Dubois",
    "Garcia",
    "Petrov",
    "Sharma",
    "Olsen",
    "Walker",
];
const CITY: [&str; 8] = ["Malmö", "Lisbon", "Gdansk", "Zürich", "Lyon", "Utrecht", "Porto", "Leeds"];
const STREET: [&str; 8] = [
    "Mill Road",
    "Station Street",
    "Harbour Lane",
    "Church Square",
    "Long Row",
    "Park Avenue",
    "Elm Close",
    "North Quay",
];
const STATUS: [&str; 5] = ["new", "paid", "packed", "shipped", "returned"];
const TAG: [&str; 12] = [
    "gift",
    "express",
    "fragile",
    "insured",
    "pickup",
    "subscription",
    "export",
    "preorder",
    "bulk",
    "sample",
    "cold chain",
    "return label",
];
const WORD: [&str; 16] = [
    "copper", "lantern", "quiet", "folding", "oak", "winter", "travel", "kettle", "woven", "blanket", "garden",
    "small", "blue", "desk", "glass", "carafe",
];

/// What a row holds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    /// Its number.
    pub(super) id: u32,
    /// No other row has it.
    pub(super) reference: String,
    /// About [`SHARED`] rows have it.
    pub(super) batch: String,
    /// About [`SHARED`] rows have it, others than have the batch.
    pub(super) campaign: String,
    /// No other row has it.
    pub(super) email: String,
    /// JSON of 12 leaves, some 300 bytes.
    pub(super) document: String,
    /// Batch, reference, name, city, goods and campaign, some 90 characters.
    pub(super) text: String,
}

/// The row of this number, of so many.
pub(super) fn row(n: u32, rows: u32) -> Row {
    let mut dice = Dice(SEED ^ u64::from(n));
    let (first, last, city) = (dice.of(&FIRST), dice.of(&LAST), dice.of(&CITY));
    let campaign = u64::from(n) * STRIDE % u64::from(rows) / u64::from(SHARED);
    let reference = code('R', u64::from(n));
    let batch = code('B', u64::from(n % rows.div_ceil(SHARED)));
    let campaign = code('K', campaign);
    let email = format!("{first}.{last}.{}@example.com", &reference[2..]).to_lowercase();
    let tag = dice.next() as usize;
    let document = json!({
        "ref": reference,
        "batch": batch,
        "status": dice.of(&STATUS),
        "customer": {"name": format!("{first} {last}"), "email": email},
        "delivery": {"city": city, "street": format!("{} {}", dice.next() % 200 + 1, dice.of(&STREET))},
        "total": (dice.next() % 100_000) as f64 / 100.0,
        // Never two alike.
        "tags": [TAG[tag % 4], TAG[4 + tag / 4 % 4], TAG[8 + tag / 16 % 4]],
        campaign.as_str(): true,
    });
    let goods = format!("{} {} {}", dice.of(&WORD), dice.of(&WORD), dice.of(&WORD));
    let text = format!("{batch} {reference} {first} {last}, {city}: {goods} ({campaign})");
    Row { id: n, reference, batch, campaign, email, document: document.to_string(), text }
}

/// Eight letters and digits that no other number below 2^40 has.
fn code(kind: char, n: u64) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const MASK: u64 = (1 << 40) - 1;
    // Each step can be undone, so that none gives one number twice.
    let mut n = (n ^ (u64::from(u32::from(kind)) << 32)) & MASK;
    for _ in 0..3 {
        n = n.wrapping_mul(0x9e_3779_b97f) & MASK;
        n ^= n >> 19;
    }
    let letters = (0..8).map(|place| char::from(LETTERS[((n >> (5 * place)) & 31) as usize]));
    [kind, '-'].into_iter().chain(letters).collect()
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[(self.next() % words.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;

    const ROWS: u32 = 5000;

    #[test]
    fn references_are_unique_and_a_hundred_rows_share_the_others() {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for n in 1..=ROWS {
            let row = row(n, ROWS);
            for value in [row.reference, row.batch, row.campaign, row.email] {
                *counts.entry(value).or_default() += 1;
            }
        }
        let of = |start: &str| -> Vec<u32> {
            counts.iter().filter(|(value, _)| value.starts_with(start)).map(|(_, count)| *count).collect()
        };
        assert_eq!(of("R-"), vec![1; ROWS as usize]);
        assert_eq!(of("B-"), vec![SHARED; 50]);
        assert_eq!(of("K-"), vec![SHARED; 50]);
        assert_eq!(counts.values().filter(|count| **count == 1).count(), 2 * ROWS as usize, "references and emails");
    }

    #[test]
    fn documents_are_as_real_ones_and_need_no_escapes() {
        let (mut bytes, mut characters) = (0, 0);
        for n in 1..=ROWS {
            let row = row(n, ROWS);
            let document: Value = serde_json::from_str(&row.document).unwrap();
            assert_eq!((leaves(&document), document["customer"]["email"].as_str()), (12, Some(row.email.as_str())));
            assert_eq!(document[&row.campaign], true);
            for text in [&row.document, &row.text] {
                assert!(!text.contains(['\\', '\t', '\n', '\'', '%', '_']), "{text}");
            }
            bytes += row.document.len();
            characters += row.text.chars().count();
        }
        let (bytes, characters) = (bytes / ROWS as usize, characters / ROWS as usize);
        assert!(
            (260..340).contains(&bytes) && (75..105).contains(&characters),
            "{bytes} bytes, {characters} characters"
        );
        assert_eq!(row(7, ROWS), row(7, ROWS));
    }

    fn leaves(value: &Value) -> usize {
        match value {
            Value::Object(members) => members.values().map(leaves).sum(),
            Value::Array(items) => items.iter().map(leaves).sum(),
            _ => 1,
        }
    }
}
