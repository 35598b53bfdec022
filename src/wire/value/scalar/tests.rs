use super::*;
use crate::wire::value::{self, Format};

fn stored(plain: PlainType, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    value::read(plain, 0, None, Format::Text, text.as_bytes(), &Settings::default(), &mut out).expect("a value");
    out
}

fn compute(signature: &Signature, values: &[&str]) -> String {
    let arguments: Vec<Vec<u8>> = signature
        .takes
        .iter()
        .zip(values)
        .map(|(sort, text)| match sort {
            Sort::Value(plain) => stored(*plain, text),
            Sort::Texts => {
                let array = value::read_array(Text, 0, Format::Text, text.as_bytes(), &Settings::default());
                let mut out = Vec::new();
                value::write_array(Text, &array.expect("an array"), Format::Binary, &Settings::default(), &mut out)
                    .expect("an array");
                out
            }
        })
        .collect();
    let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
    let Sort::Value(of) = signature.takes[0] else { panic!("a value") };
    let letters = Letters::simple(true);
    let settings = Settings::default();
    let means = Means { settings: &settings, letters: Some(&letters) };
    let (mut out, mut shown) = (Vec::new(), Vec::new());
    match signature.function.apply(of, &arguments, means, &mut out) {
        Ok(true) => {
            value::write(signature.gives, &out, Format::Text, &settings, &mut shown).expect("prints");
            String::from_utf8(shown).expect("utf8")
        }
        Ok(false) => "NULL".into(),
        Err(error) => error.sqlstate.0.into(),
    }
}

fn value(plain: PlainType) -> Option<Sort> {
    Some(Sort::Value(plain))
}

#[test]
fn texts() {
    for (name, values, want) in [
        ("lower", &["ÄbC"][..], "äbc"),
        ("left", &["äbc", "2"], "äb"),
        ("left", &["äbc", "-1"], "äb"),
        ("left", &["äbc", "-9"], ""),
        ("right", &["äbc", "2"], "bc"),
        ("right", &["äbc", "0"], ""),
        ("right", &["äbc", "-1"], "bc"),
        ("right", &["äbc", "9"], "äbc"),
        ("substr", &["alphabet", "3", "2"], "ph"),
        ("substr", &["alphabet", "-1", "3"], "a"),
        ("substr", &["alphabet", "2147483647", "2147483647"], ""),
        ("substr", &["alphabet", "-5", "3"], ""),
        ("substr", &["alphabet", "3", "-1"], "22011"),
        ("substr", &["alphabet", "0"], "alphabet"),
        ("replace", &["aXbXX", "X", "--"], "a--b----"),
        ("replace", &["abc", "", "-"], "abc"),
        ("split_part", &["a,b,c", ",", "-1"], "c"),
        ("split_part", &["a,b,c", ",", "4"], ""),
        ("split_part", &["a,b,c", ",", "0"], "22023"),
        ("split_part", &["abc", "", "1"], "abc"),
        ("strpos", &["äbc", "c"], "3"),
        ("strpos", &["äbc", ""], "1"),
        ("strpos", &["äbc", "x"], "0"),
        ("translate", &["12345", "143", "ax"], "a2x5"),
        ("reverse", &["äb"], "bä"),
        ("lpad", &["hi", "5", "xy"], "xyxhi"),
        ("rpad", &["hello", "2"], "he"),
        ("lpad", &["hi", "5", ""], "hi"),
        ("btrim", &["xxaxyx", "xy"], "a"),
        ("ltrim", &["  a "], "a "),
        ("length", &["äb "], "3"),
        ("octet_length", &["äb "], "4"),
        ("starts_with", &["abc", "ab"], "t"),
    ] {
        let given: Vec<Option<Sort>> = values
            .iter()
            .enumerate()
            .map(|(at, _)| {
                if at == 0 {
                    value(Text)
                } else if name == "substr" {
                    value(Int4)
                } else {
                    None
                }
            })
            .collect();
        let signature = Scalar::function(name, &given).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(compute(&signature, values), want, "{name} {values:?}");
    }
}

#[test]
fn documents() {
    let doc = r#"{"a": [1, null, {"b": "x"}], "k": 1.50}"#;
    for (name, step, sort, want) in [
        ("->", "a", None, "[1, null, {\"b\": \"x\"}]"),
        ("->>", "k", value(Varchar), "1.50"),
        ("->", "0", value(Int2), "NULL"),
        ("#>", "{a,2,b}", None, "\"x\""),
        ("#>>", "{a,2,b}", None, "x"),
        ("#>>", "{a,1}", None, "NULL"),
        ("#>", "{a,NULL}", Some(Sort::Texts), "NULL"),
    ] {
        let signature = Scalar::operator(name, &[value(Jsonb), sort]).expect("an operator");
        assert_eq!(compute(&signature, &[doc, step]), want, "{name} {step}");
    }
    for (name, sort) in [("->", PlainType::Int8), ("#>", Text), ("+", Int4)] {
        assert_eq!(Scalar::operator(name, &[value(Jsonb), value(sort)]), None, "{name}");
    }
    let steps = Scalar::function("jsonb_extract_path_text", &[value(Jsonb), None, value(Text), None]).expect("steps");
    assert_eq!(compute(&steps, &[doc, "a", "2", "b"]), "x");
    assert_eq!(Scalar::function("json_typeof", &[value(Jsonb)]), None);
    assert_eq!(Scalar::function("jsonb_pretty", &[value(Json)]), None);
}

#[test]
fn numbers() {
    for (name, plain, values, want) in [
        ("+", Int2, &["32767", "1"][..], "22003"),
        ("-", Int4, &["-2147483648", "1"], "22003"),
        ("/", Int4, &["-7", "2"], "-3"),
        ("%", Int4, &["-7", "2"], "-1"),
        ("/", Int4, &["-2147483648", "-1"], "22003"),
        ("%", PlainType::Int8, &["-9223372036854775808", "-1"], "0"),
        ("/", Int4, &["1", "0"], "22012"),
        ("+", Numeric, &["1.50", "2.5"], "4.00"),
        ("*", Numeric, &["1.50", "-2.5"], "-3.750"),
        ("/", Numeric, &["1", "3"], "0.33333333333333333333"),
        ("/", Numeric, &["10", "4.000"], "2.5000000000000000"),
        ("/", Numeric, &["1e20", "7e-5"], "1428571428571428571428571.42857"),
        ("/", Numeric, &["9999", "10000.0001"], "0.99989999000100009999"),
        (
            "/",
            Numeric,
            &["123456789012345678901234567890", "987654321098765432109876543210.5"],
            "0.12499999886093750001",
        ),
        ("%", Numeric, &["10.5", "-3"], "1.5"),
        ("%", Numeric, &["-10.50", "3"], "-1.50"),
        ("/", Numeric, &["1", "0.00"], "22012"),
        ("/", Numeric, &["inf", "-2"], "-Infinity"),
        ("/", Numeric, &["3", "inf"], "0"),
        ("*", Numeric, &["inf", "0"], "NaN"),
        ("%", Numeric, &["5", "inf"], "5"),
        ("-", Numeric, &["inf", "inf"], "NaN"),
    ] {
        let signature = Scalar::operator(name, &[value(plain), value(plain)]).expect("an operator");
        assert_eq!(compute(&signature, values), want, "{name} {values:?}");
    }
    for (name, values, want) in [
        ("round", &["2.5", "0"][..], "3"),
        ("round", &["-2.345", "2"], "-2.35"),
        ("round", &["2.3", "3"], "2.300"),
        ("round", &["1250", "-2"], "1300"),
        ("trunc", &["-1259.99", "-2"], "-1200"),
        ("trunc", &["2.349", "2"], "2.34"),
        ("ceil", &["-0.5"], "0"),
        ("ceil", &["2.000001"], "3"),
        ("floor", &["-0.5"], "-1"),
        ("sign", &["-0.001"], "-1"),
        ("abs", &["-1.50"], "1.50"),
    ] {
        let given = [value(Numeric), None];
        let signature = Scalar::function(name, &given[..values.len()]).expect("a function");
        assert_eq!(compute(&signature, values), want, "{name} {values:?}");
    }
    let mixed = |left, right| Scalar::operator("+", &[value(left), value(right)]).map(|s| s.gives);
    assert_eq!(mixed(Int2, Int4), Some(Int4));
    assert_eq!(mixed(Numeric, PlainType::Int8), Some(Numeric));
    assert_eq!(mixed(Int4, PlainType::Float8), None);
    assert_eq!(Scalar::function("ceil", &[value(Int4)]), None, "that is one of floats");
}
