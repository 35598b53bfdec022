//! Messages by themselves: what is built is read back, and nothing a peer may send is misread or panics.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;

use super::client::{self, Bind, BindBuilder, Execute, Kind, Named, Parse, Query};
use super::error::{Edit, ErrorView, PgError, Severity, field};
use super::frame::{self, BuildError, FrameError, HEADER, MAX_LARGE, MAX_SMALL, Step};
use super::server::{
    self, BackendKeyData, CopyResponse, DataRow, DataRowBuilder, Field, ParameterDescription, RowDescription,
    TransactionStatus,
};
use super::sqlstate::SqlState;
use super::startup::{self, Authentication, Negotiate, Packet, PacketError, SaslInitial};
use super::{MessageError, Values};

/// Reads a body of any kind of message; whether it is one.
type Reads = fn(&[u8]) -> bool;

const READERS: &[(&str, Reads)] = &[
    ("Query", |b| Query::parse(b).is_ok()),
    ("Parse", |b| Parse::parse(b).map(|m| m.oids.iter().count()).is_ok()),
    ("Bind", |b| {
        Bind::parse(b)
            .map(|m| assert_eq!(m.params.iter().count(), m.params.len(), "every value checked is there"))
            .is_ok()
    }),
    ("Named", |b| Named::parse(b).is_ok()),
    ("Execute", |b| Execute::parse(b).is_ok()),
    ("RowDescription", |b| {
        RowDescription::parse(b)
            .map(|m| assert_eq!(m.fields().count(), m.len(), "every field checked is there"))
            .is_ok()
    }),
    ("ParameterDescription", |b| ParameterDescription::parse(b).is_ok()),
    ("DataRow", |b| DataRow::parse(b).map(|m| assert_eq!(m.iter().count(), m.len(), "as many as counted")).is_ok()),
    ("CopyResponse", |b| CopyResponse::parse(b).is_ok()),
    ("CommandComplete", |b| server::command_complete(b).is_ok()),
    ("ReadyForQuery", |b| server::ready_for_query(b).is_ok()),
    ("ParameterStatus", |b| server::parameter_status(b).is_ok()),
    ("BackendKeyData", |b| BackendKeyData::parse(b).is_ok()),
    ("ErrorResponse", |b| ErrorView::parse(b).map(|m| m.fields().count()).is_ok()),
    ("Authentication", |b| Authentication::parse(b).is_ok()),
    ("SaslInitial", |b| SaslInitial::parse(b).is_ok()),
    ("Negotiate", |b| Negotiate::parse(b).map(|m| m.unknown().count()).is_ok()),
];

/// Messages that must be read, and of which no part and no lengthening may be.
fn specimens() -> Vec<(&'static str, Vec<u8>)> {
    let body = |write: &dyn Fn(&mut Vec<u8>) -> Result<(), BuildError>| {
        let mut out = Vec::new();
        write(&mut out).expect("a specimen");
        out.split_off(HEADER)
    };
    vec![
        ("Query", body(&|o| client::query(o, b"SELECT 1"))),
        ("Parse", body(&|o| client::parse(o, b"s", b"SELECT $1", [0, 25]))),
        ("Bind", bind_body(&[0, 1], &[Some(b"abc"), None], &[1])),
        ("Named", body(&|o| client::describe(o, Kind::Portal, b"p"))),
        ("Execute", body(&|o| client::execute(o, b"p", 7))),
        ("RowDescription", body(&|o| server::row_description(o, [int4(b"a"), int4(b"")]))),
        ("ParameterDescription", body(&|o| server::parameter_description(o, [23, 25]))),
        ("DataRow", row_body(&[Some(b"abc"), None, Some(b"")])),
        ("CopyResponse", vec![0, 0, 2, 0, 0, 0, 1]),
        ("CommandComplete", body(&|o| server::put_command_complete(o, b"SELECT 1"))),
        ("ParameterStatus", body(&|o| server::put_parameter_status(o, b"TimeZone", b"UTC"))),
        ("ErrorResponse", PgError::error(SqlState::INTERNAL_ERROR, "m").to_bytes().split_off(HEADER)),
        ("SaslInitial", b"SCRAM-SHA-256\0\0\0\0\x03n,,".to_vec()),
        ("Negotiate", body(&|o| startup::put_negotiate(o, 2, &[b"_pq_.x", b"_pq_.y"]))),
    ]
}

fn int4(name: &[u8]) -> Field<'_> {
    Field { name, table_oid: 7, attnum: -1, type_oid: 23, typlen: 4, typmod: -1, format: 1 }
}

fn bind_body(formats: &[i16], params: &[Option<&[u8]>], results: &[i16]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bind = BindBuilder::new(&mut out, b"p", b"s", formats.iter().copied()).expect("few formats");
    params.iter().for_each(|param| bind.params().value(*param));
    bind.finish(results.iter().copied()).expect("few values");
    out.split_off(HEADER)
}

fn row_body(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut row = DataRowBuilder::new(&mut out);
    values.iter().for_each(|value| row.values().value(*value));
    row.finish().expect("few values");
    out.split_off(HEADER)
}

fn reader(name: &str) -> Reads {
    READERS.iter().find(|(n, _)| *n == name).expect("every specimen has a reader").1
}

#[test]
fn nothing_short_or_long_passes() {
    for (name, body) in specimens() {
        assert!(reader(name)(&body), "{name}");
        for end in 0..body.len() {
            assert!(!reader(name)(&body[..end]), "{name} cut at {end}");
        }
        for extra in [&[0][..], b"x", &[0; 8]] {
            assert!(!reader(name)(&[&body, extra].concat()), "{name} with {extra:?} after it");
        }
    }
}

#[test]
fn lengths_and_counts_that_lie_are_refused() {
    let cases: &[(&str, &[u8])] = &[
        ("Bind", b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
        ("Bind", b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
        ("Bind", b"\0\0\xff\xff\0\0\0\0"),
        ("Bind", b"\0\0\0\x01\0\x02\0\0\0\0"),
        ("Bind", b"\0\0\0\x02\0\0\0\0\0\0\0\0"),
        ("Parse", b"s\0SELECT\0\xff\xff"),
        ("Parse", b"s"),
        ("Query", b"SELECT 1; SELECT 2"),
        ("Query", b"SELECT 1\0Q"),
        ("Named", b"Xp\0"),
        ("DataRow", b"\0\x01\x80\0\0\0"),
        ("RowDescription", b"\xff\xff"),
        ("CopyResponse", b"\x02\0\0"),
        ("ReadyForQuery", b"X"),
        ("ReadyForQuery", b"II"),
        ("BackendKeyData", b"\0\0\0\x01abc"),
        ("BackendKeyData", &[7; 4 + 257]),
        ("ErrorResponse", b"SERROR"),
        ("Negotiate", b"\0\0\0\x02\xff\xff\xff\xff"),
        ("SaslInitial", b"SCRAM\0\0\0\0\x05n,,"),
        ("Authentication", b"\0\0\0\x0aSCRAM-SHA-256\0"),
    ];
    for (name, body) in cases {
        assert!(!reader(name)(body), "{name} {body:?}");
    }
}

#[test]
fn faults_are_worded_as_postgresql_words_them() {
    assert_eq!(Query::parse(b"x").err(), Some(MessageError::Unterminated));
    assert_eq!(MessageError::Truncated.to_string(), "insufficient data left in message");
    let mismatch = Bind::parse(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0]).err();
    let text = mismatch.expect("two formats for one value").to_string();
    assert_eq!(text, "bind message has 2 parameter formats but 1 parameters");
    let told = MessageError::Trailing.to_pg(Severity::Error);
    assert_eq!((told.sqlstate, told.severity), (SqlState::PROTOCOL_VIOLATION, Severity::Error));
}

#[test]
fn headers_are_walked() {
    let mut run = Vec::new();
    client::query(&mut run, b"SELECT 1").expect("short");
    client::sync(&mut run);
    let Ok(Step::Frame(first)) = frame::step(&run, MAX_LARGE) else { panic!("a whole frame") };
    assert_eq!((first.tag, first.body), (b'Q', &b"SELECT 1\0"[..]));
    let Ok(Step::Frame(second)) = frame::step(&run[first.raw.len()..], MAX_SMALL) else { panic!("a whole frame") };
    assert_eq!((second.tag, second.body.len(), second.raw.len()), (b'S', 0, 5));
    for have in 0..first.raw.len() {
        match frame::step(&run[..have], MAX_LARGE) {
            Ok(Step::NeedMore { have: h, total }) => {
                assert_eq!((h, total), (have, (have >= HEADER).then_some(first.raw.len())));
            }
            _ => panic!("{have} bytes are not a frame"),
        }
    }
}

#[test]
fn lengths_out_of_bounds_end_the_stream() {
    let step = |length: u32, max| frame::step(&[&[b'Q'][..], &length.to_be_bytes()].concat(), max).err();
    for length in 0..4 {
        assert_eq!(step(length, MAX_LARGE), Some(FrameError::Short { tag: b'Q', length }));
    }
    assert_eq!(step(4, MAX_SMALL), None);
    assert_eq!(step(10_000, MAX_SMALL), None);
    assert!(matches!(step(10_001, MAX_SMALL), Some(FrameError::Long { max: MAX_SMALL, .. })));
    for length in [0x4000_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        assert!(matches!(step(length, MAX_LARGE), Some(FrameError::Long { .. })));
    }
}

#[test]
fn only_client_messages_have_a_limit() {
    for tag in 0..=u8::MAX {
        let known = b"QPBCDEHSXFdcf".contains(&tag);
        assert_eq!(client::max_len(tag).is_some(), known, "{}", char::from(tag));
    }
}

#[test]
fn formats_follow_the_rule_of_bind() {
    let formats = |codes: &[i16], n: usize| {
        let body = bind_body(codes, &vec![None; n], &[]);
        let bind = Bind::parse(&body).expect("formats that fit");
        (0..n).map(|i| bind.formats.of(i)).collect::<Vec<_>>()
    };
    assert_eq!(formats(&[], 2), [0, 0]);
    assert_eq!(formats(&[1], 2), [1, 1]);
    assert_eq!(formats(&[1, 0], 2), [1, 0]);
}

#[test]
fn what_cannot_be_built_leaves_nothing() {
    let mut out = b"before".to_vec();
    assert_eq!(client::query(&mut out, b"a\0b"), Err(BuildError::Nul));
    assert_eq!(client::parse(&mut out, b"n", b"q", 0..65_536), Err(BuildError::TooLong));
    assert_eq!(server::row_description(&mut out, [int4(b"a"), int4(b"\0")]), Err(BuildError::Nul));
    assert!(BindBuilder::new(&mut out, b"\0", b"", []).is_err());
    let mut bind = BindBuilder::new(&mut out, b"", b"", []).expect("fits");
    bind.params().value(Some(b"never sent"));
    drop(bind);
    let mut row = DataRowBuilder::new(&mut out);
    (0..65_536).for_each(|_| row.values().value(None));
    assert_eq!(row.finish(), Err(BuildError::TooLong));
    assert_eq!(out, b"before");
}

#[test]
fn a_value_that_fails_is_taken_back() {
    let mut out = Vec::new();
    let mut row = DataRowBuilder::new(&mut out);
    row.values().value(Some(b"1"));
    let failed = row.values().value_with(|out| {
        out.extend_from_slice(b"half");
        Err("no")
    });
    assert_eq!(failed, Err("no"));
    let written = row.values().value_with(|out| {
        out.push(b'2');
        Ok::<(), ()>(())
    });
    assert_eq!((written, row.values().len()), (Ok(()), 2));
    row.finish().expect("short");
    let values: Vec<_> = DataRow::parse(&out[HEADER..]).expect("built").iter().collect();
    assert_eq!(values, [Some(&b"1"[..]), Some(b"2")]);
}

#[test]
fn errors_are_written_and_read() {
    let error = PgError::fatal(SqlState::CANNOT_CONNECT, "no\0t all").detail("why").hint("what to do").position(12);
    let bytes = error.to_bytes();
    let view = ErrorView::parse(&bytes[HEADER..]).expect("built");
    assert_eq!((view.sqlstate(), view.message(), view.is_fatal()), (&b"08001"[..], &b"no"[..], true));
    assert_eq!((view.position(), view.field(field::HINT)), (Some(12), Some(&b"what to do"[..])));
    let notice =
        PgError::new(Severity::Warning, SqlState::INTERNAL_ERROR, "ü".repeat(super::error::MAX_FIELD)).to_bytes();
    assert_eq!(notice[0], b'N');
    let view = ErrorView::parse(&notice[HEADER..]).expect("built");
    assert!(view.message().len() <= super::error::MAX_FIELD && str::from_utf8(view.message()).is_ok());
}

#[test]
fn errors_are_edited() {
    let body = b"SFEHLER\0VERROR\0C22P02\0Mold \xff\0DSecret\0P7\0Rf\0\0";
    let view = ErrorView::parse(body).expect("valid");
    let mut out = Vec::new();
    view.rewrite(&mut out, b'E', |code, text| match code {
        field::DETAIL => Edit::Drop,
        field::POSITION => Edit::Replace(Cow::Borrowed(b"3")),
        field::MESSAGE => Edit::Replace(Cow::Owned([text, b"!"].concat())),
        _ => Edit::Keep,
    })
    .expect("short");
    assert_eq!(&out[HEADER..], b"SFEHLER\0VERROR\0C22P02\0Mold \xff!\0P3\0Rf\0\0");
    let nul = view.rewrite(&mut out, b'E', |_, _| Edit::Replace(Cow::Borrowed(b"\0")));
    assert_eq!(nul, Err(BuildError::Nul));
    assert!(!view.is_fatal());
}

#[test]
fn startup_packets_are_told_apart() {
    let packet = |code: u32, body: &[u8]| {
        let length = u32::try_from(body.len() + 8).expect("short");
        [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
    };
    let kind = |bytes: &[u8]| match startup::packet(bytes) {
        Ok(None) => "more".to_owned(),
        Ok(Some((Packet::Ssl, n))) => format!("ssl {n}"),
        Ok(Some((Packet::GssEnc, n))) => format!("gss {n}"),
        Ok(Some((Packet::Cancel { pid, key }, n))) => format!("cancel {pid} {} {n}", key.len()),
        Ok(Some((Packet::Startup(s), n))) => format!("startup 3.{} {} {n}", s.minor, s.parameters().count()),
        Err(PacketError::Length(l)) => format!("length {l}"),
        Err(PacketError::Version { major, minor }) => format!("version {major}.{minor}"),
        Err(PacketError::Layout(_)) => "layout".to_owned(),
    };
    assert_eq!(kind(&packet(80_877_103, b"")), "ssl 8");
    assert_eq!(kind(&packet(80_877_104, b"")), "gss 8");
    assert_eq!(kind(&packet(80_877_102, b"\0\0\0\x07abcd")), "cancel 7 4 16");
    assert_eq!(kind(&startup::cancel_request(7, &[9; 256]).expect("longest")), "cancel 7 256 268");
    assert!(startup::cancel_request(7, &[9; 257]).is_err());
    assert_eq!(kind(&packet(196_608, b"user\0app\0\0")), "startup 3.0 1 18");
    assert_eq!(kind(&packet(196_608 + 9999, b"user\0app\0a\0\0\0")), "startup 3.9999 2 21");
    assert_eq!(kind(&packet(131_072, b"")), "version 2.0");
    assert_eq!(kind(b"GET / HTTP/1.1\r\n"), "length 1195725856");
    assert_eq!(kind(b"\x16\x03\x01\x02\x00\x01"), "length 369295618");
    assert_eq!(kind(b"\0\0\0\0"), "length 0");
    assert_eq!(kind(b"\0\0\0\x07"), "length 7");
    assert_eq!(kind(b"\x7f\xff\xff\xff"), "length 2147483647");
    assert_eq!(kind(b"\0\0\x27\x11"), "length 10001");
    assert_eq!(kind(b"\0\0\x27\x10"), "more");
    for bad in [&b""[..], b"user\0app\0", b"user\0app", b"user\0\0", b"\0\0", b"user\0app\0\0x"] {
        // `user\0\0` is a name with an empty value and no end.
        assert_eq!(kind(&packet(196_608, bad)), "layout", "{bad:?}");
    }
    for bad in [packet(80_877_103, b"x"), packet(80_877_102, b"\0\0\0\x07abc"), packet(80_877_102, &[0; 261])] {
        assert_eq!(kind(&bad), "layout");
    }
}

#[test]
fn startup_packets_are_built() {
    let mut out = Vec::new();
    startup::put_startup(&mut out, 2, [(&b"user"[..], &b"app"[..]), (b"user", b"other")]).expect("short");
    let Ok(Some((Packet::Startup(read), n))) = startup::packet(&out) else { panic!("a startup packet") };
    assert_eq!((n, read.minor, read.parameter(b"user")), (out.len(), 2, Some(&b"other"[..])));
    let long = vec![b'x'; startup::MAX_STARTUP];
    for bad in [(&b"user"[..], &long[..]), (b"", b"x"), (b"us\0er", b"x")] {
        assert!(startup::put_startup(&mut out, 0, [bad]).is_err());
    }
    assert_eq!(out.len(), n);
}

fn owned(values: Values<'_>) -> Vec<Option<Vec<u8>>> {
    values.iter().map(|v| v.map(<[u8]>::to_vec)).collect()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=u8::MAX, 0..20)
}

fn values() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    vec(proptest::option::of(vec(any::<u8>(), 0..40)), 0..12)
}

proptest! {
    #[test]
    fn no_bytes_panic(body in vec(any::<u8>(), 0..200)) {
        for (_, read) in READERS {
            read(&body);
        }
        let _ = frame::step(&body, MAX_LARGE);
        let _ = startup::packet(&body);
    }

    #[test]
    fn no_change_of_a_message_panics(which in 0usize..14, at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (name, mut body) = specimens().swap_remove(which);
        let at = at.index(body.len());
        body[at] = with;
        body.truncate(cut.index(body.len() + 1));
        for (_, read) in READERS {
            read(&body);
        }
        let _ = name;
    }

    #[test]
    fn bind_comes_back(portal in text(), statement in text(), params in values(), results in vec(0i16..2, 0..5), binary in 0i16..2) {
        let mut out = Vec::new();
        let mut bind = BindBuilder::new(&mut out, &portal, &statement, [binary]).expect("one format");
        for param in &params {
            bind.params().value(param.as_deref());
        }
        bind.finish(results.iter().copied()).expect("short");
        let Ok(Step::Frame(frame)) = frame::step(&out, MAX_LARGE) else { panic!("a whole frame") };
        prop_assert_eq!(frame.raw.len(), out.len());
        let read = Bind::parse(frame.body).expect("built");
        prop_assert_eq!((read.portal, read.statement), (&portal[..], &statement[..]));
        prop_assert_eq!(owned(read.params), params);
        prop_assert_eq!(read.result_formats.iter().collect::<Vec<_>>(), results);
    }

    #[test]
    fn parse_comes_back(name in text(), sql in text(), oids in vec(any::<u32>(), 0..9)) {
        let mut out = Vec::new();
        client::parse(&mut out, &name, &sql, oids.iter().copied()).expect("short");
        let read = Parse::parse(&out[HEADER..]).expect("built");
        prop_assert_eq!((read.name, read.sql), (&name[..], &sql[..]));
        prop_assert_eq!(read.oids.iter().collect::<Vec<_>>(), oids);
    }

    #[test]
    fn rows_come_back(row in values()) {
        let mut out = Vec::new();
        let mut builder = DataRowBuilder::new(&mut out);
        for value in &row {
            builder.values().value(value.as_deref());
        }
        builder.finish().expect("short");
        let read = DataRow::parse(&out[HEADER..]).expect("built");
        prop_assert_eq!(owned(read), row.clone());
        let mut copy = Vec::new();
        let mut builder = DataRowBuilder::new(&mut copy);
        builder.values().raw(read);
        builder.finish().expect("short");
        prop_assert_eq!(copy, out);
    }
}

#[test]
fn statuses_are_read_as_written() {
    for status in [TransactionStatus::Idle, TransactionStatus::InTransaction, TransactionStatus::Failed] {
        let mut out = Vec::new();
        server::put_ready_for_query(&mut out, status);
        assert_eq!(server::ready_for_query(&out[HEADER..]), Ok(status));
    }
}
