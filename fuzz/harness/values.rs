//! Values: nothing panics, what is printed reads back, order and equality agree, and match terms miss nothing.

use columnseal::crypto::secret::{Key32, TermRoot};
use columnseal::crypto::term::matching::{MatchKey, Run};
use columnseal::wire::value::{
    Array, ByteaOutput, DateForm, DateOrder, DateStyle, Document, Form, Format, IntervalStyle, JsonPath, Letters, Like,
    PlainType, Settings, Zone, canonical, fold, ordering, read, read_array, read_operand, write, write_array,
};

/// Types that parameters may be declared as.
const DECLARED: [u32; 16] = [0, 0, 0, 16, 17, 20, 23, 25, 701, 705, 1043, 1082, 1114, 1184, 1186, 1700];

fn settings(choice: u8) -> Settings {
    use {DateForm::*, DateOrder::*, IntervalStyle::*};
    let of = |shift: u8, count: usize| usize::from(choice >> shift) % count;
    Settings {
        date_style: DateStyle { form: [Iso, Iso, Sql, German][of(0, 4)], order: [Mdy, Dmy, Ymd][of(2, 3)] },
        interval_style: [IntervalStyle::Postgres, PostgresVerbose, SqlStandard, Iso8601][of(4, 4)],
        time_zone: Zone::named(["UTC", "Europe/Berlin", "America/New_York", "<+05:30>-05:30"][of(3, 4)]),
        extra_float_digits: 1,
        bytea_output: [ByteaOutput::Hex, ByteaOutput::Escape][of(6, 2)],
    }
}

/// A type, a form, settings, a declared type, and the rest.
fn header(data: &[u8]) -> Option<(PlainType, Format, Settings, u32, &[u8])> {
    let ([plain, form, declared], rest) = data.split_first_chunk::<3>()?;
    let plain = PlainType::all().nth(usize::from(*plain) % PlainType::all().count())?;
    let format = if form & 0x80 == 0 { Format::Text } else { Format::Binary };
    Some((plain, format, settings(*form), DECLARED[usize::from(*declared) % DECLARED.len()], rest))
}

/// Forms that PostgreSQL itself cannot read back: abbreviations of zones, dates in another order than they are read in, and the
/// interval of the least time.
fn reads_back(plain: PlainType, stored: &[u8], settings: &Settings) -> bool {
    if plain == PlainType::Interval && stored.starts_with(&i64::MIN.to_be_bytes()) {
        return false;
    }
    settings.date_style.form == DateForm::Iso
        || !matches!(plain, PlainType::Date | PlainType::Timestamp | PlainType::Timestamptz)
}

/// One value, or two with a zero byte between.
pub fn values(data: &[u8]) {
    let Some((plain, format, settings, declared, rest)) = header(data) else { return };
    let _ = write(plain, rest, format, &settings, &mut Vec::new());
    let _ = canonical(plain, rest, &mut Vec::new());
    let _ = read_operand(plain, declared, None, format, rest, &settings, &mut Vec::new());
    let (first, second) = match rest.iter().position(|b| *b == 0) {
        Some(cut) if format == Format::Text => (&rest[..cut], &rest[cut + 1..]),
        _ => (rest, rest),
    };
    let read = |bytes| value(plain, format, &settings, declared, bytes);
    if let (Some(first), Some(second)) = (read(first), read(second)) {
        agree(plain, &first, &second);
    }
}

/// Reads a value, and prints it and reads it back in both forms.
fn value(plain: PlainType, format: Format, settings: &Settings, declared: u32, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"kept".to_vec();
    let read_in = read(plain, declared, None, format, bytes, settings, &mut out);
    assert!(out.starts_with(b"kept"));
    if read_in.is_err() {
        assert_eq!(out, b"kept", "nothing is left of a value that is refused");
        return None;
    }
    let stored = out.split_off(4);
    for format in [Format::Text, Format::Binary] {
        let (mut shown, mut again) = (Vec::new(), Vec::new());
        write(plain, &stored, format, settings, &mut shown).expect("what was read prints");
        let back = read(plain, 0, None, format, &shown, settings, &mut again);
        if format == Format::Binary || reads_back(plain, &stored, settings) {
            back.unwrap_or_else(|e| panic!("what was printed is read: {e:?} {plain:?} {stored:02x?}"));
            // All NaNs print alike.
            if shown != b"NaN" {
                assert_eq!(again, stored, "{plain:?} {format:?}");
            }
        }
    }
    Some(stored)
}

/// Two values have equal canonical bytes exactly if they have equal ordering bytes.
fn agree(plain: PlainType, first: &[u8], second: &[u8]) {
    let bytes = |of: &dyn Fn(&[u8], &mut Vec<u8>) -> bool| {
        [first, second].map(|stored| {
            let mut out = Vec::new();
            of(stored, &mut out).then_some(out)
        })
    };
    if plain.has_equality() && plain.has_order() {
        let [equal_a, equal_b] = bytes(&|stored, out| canonical(plain, stored, out).is_ok());
        if let [Some(a), Some(b)] = bytes(&|stored, out| ordering(plain, stored, out).is_ok()) {
            assert_eq!(equal_a == equal_b, a == b, "{plain:?} {first:02x?} {second:02x?}");
        }
    }
}

/// Arrays of values.
pub fn arrays(data: &[u8]) {
    let Some((plain, format, settings, _, rest)) = header(data) else { return };
    let Ok(array) = read_array(plain, 0, format, rest, &settings) else { return };
    for format in [Format::Text, Format::Binary] {
        let mut shown = Vec::new();
        write_array(plain, &array, format, &settings, &mut shown).expect("what was read prints");
        let again = read_array(plain, 0, format, &shown, &settings);
        let all = array.iter().flatten().all(|stored| reads_back(plain, stored, &settings));
        if format == Format::Binary || all {
            let elements = |array: &Array| array.iter().map(|e| e.map(<[u8]>::to_vec)).collect::<Vec<_>>();
            let (again, first) = (elements(&again.expect("what was printed is read")), elements(&array));
            let nan = shown.windows(3).any(|w| w == b"NaN");
            assert!(nan || again == first, "{plain:?} {format:?}");
        }
    }
}

static LETTERS: [std::sync::OnceLock<Letters>; 2] = [const { std::sync::OnceLock::new() }; 2];

/// A pattern and a value with a zero byte between, both text: a value that matches has the terms that are searched for.
pub fn patterns(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let Some((pattern, value)) = std::str::from_utf8(rest).ok().and_then(|text| text.split_once('\0')) else { return };
    // Matching takes as long as PostgreSQL's, which has no bound.
    if pattern.len() * value.len() > 1 << 16 {
        return;
    }
    let escape = [None, Some(""), Some("!")][usize::from(choice / 3) % 3];
    let one = "an escape of one character or none";
    let (like, shown) = match choice % 3 {
        0 => (Like::new(pattern, escape).expect(one), None),
        choice => {
            let letters = LETTERS[usize::from(choice) - 1].get_or_init(|| Letters::simple(choice == 2));
            (Like::lower(pattern, escape, letters).expect(one), Some(letters.map(value, Form::Lower)))
        }
    };
    let matches = like.matches(shown.as_deref().map_or(value, String::as_str));
    if like.is_everything() {
        assert!(matches!(matches, Ok(true)));
    }
    if matches!(matches, Ok(true)) {
        let literals = like.literals();
        let runs = literals.iter().map(|l| Run { text: &l.text, starts: l.starts, ends: l.ends });
        let key = MatchKey::new(&TermRoot::new(Key32::new([7; 32])), 0);
        let (term, tokens) = (key.term(&fold(value), true), key.tokens(runs));
        assert!(tokens.iter().all(|token| term.contains(token)), "{pattern:?} {value:?}");
    }
    let prefix = Like::prefix(pattern).matches(value);
    assert!(matches!(prefix, Ok(is) if is == value.starts_with(pattern)));
}

/// Deepest nesting of documents that have terms.
const DEPTH: usize = 256;

/// Two texts with a zero byte between, as documents and as a document and a jsonpath: containment and equality agree.
pub fn documents(data: &[u8]) {
    let Some((one, other)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\0')) else { return };
    let read = |text: &'_ str| -> Option<Document<'static>> {
        Document::read(text.as_bytes()).ok().map(Document::into_owned).filter(|document| document.is_within(DEPTH))
    };
    let Some(document) = read(one) else { return };
    let root = document.root();
    assert!(root.equals(root) && root.contains(root));
    if let Some(other) = read(other) {
        let other = other.root();
        assert_eq!(root.equals(other), other.equals(root));
        if root.equals(other) {
            assert!(root.contains(other) && other.contains(root));
        }
    }
    if let Some(path) = JsonPath::read(other) {
        // What a predicate says is found.
        if path.matches(root).is_some() {
            assert!(path.exists(root));
        }
    }
}
