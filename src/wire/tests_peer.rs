//! The same messages by pgwire, as a peer that shares no code with this room. It decodes only what is well
//! formed here: other bytes make it panic.

use bytes::{Bytes, BytesMut};
use pgwire::messages::data::{FieldDescription, ParameterDescription, RowDescription as PeerRowDescription};
use pgwire::messages::extendedquery::{Bind as PeerBind, Close, Describe, Execute, Parse as PeerParse};
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::simplequery::Query as PeerQuery;
use pgwire::messages::{DecodeContext, Message};
use proptest::collection::vec;
use proptest::prelude::*;

use super::client::{self, Bind, BindBuilder, Kind, Named, Parse, Query};
use super::error::PgError;
use super::frame::HEADER;
use super::server::{self, Field, RowDescription};
use super::sqlstate::SqlState;

fn theirs<M: Message>(message: &M) -> Vec<u8> {
    let mut out = BytesMut::new();
    message.encode(&mut out).expect("small");
    out.to_vec()
}

fn read_by_them<M: Message>(bytes: &[u8]) -> M {
    let mut buffer = BytesMut::from(bytes);
    let message = M::decode(&mut buffer, &DecodeContext::default()).expect("well formed").expect("whole");
    assert!(buffer.is_empty());
    message
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9 _äß]{0,12}"
}

fn option(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

proptest! {
    #[test]
    fn query(sql in name()) {
        let mut ours = Vec::new();
        client::query(&mut ours, sql.as_bytes()).expect("small");
        prop_assert_eq!(&ours, &theirs(&PeerQuery::new(sql.clone())));
        prop_assert_eq!(read_by_them::<PeerQuery>(&ours).query, sql.clone());
        prop_assert_eq!(Query::parse(&ours[HEADER..]).expect("theirs").sql, sql.as_bytes());
    }

    #[test]
    fn parse(statement in name(), sql in name(), oids in vec(any::<u32>(), 0..6)) {
        let mut ours = Vec::new();
        client::parse(&mut ours, statement.as_bytes(), sql.as_bytes(), oids.iter().copied()).expect("small");
        let peer = theirs(&PeerParse::new(option(&statement), sql.clone(), oids.clone()));
        prop_assert_eq!(&ours, &peer);
        prop_assert_eq!(read_by_them::<PeerParse>(&ours).type_oids, oids);
        prop_assert_eq!(Parse::parse(&peer[HEADER..]).expect("theirs").sql, sql.as_bytes());
    }

    #[test]
    fn bind(portal in name(), params in vec(proptest::option::of(vec(any::<u8>(), 0..30)), 0..8), results in vec(0i16..2, 0..4)) {
        let mut ours = Vec::new();
        let mut builder = BindBuilder::new(&mut ours, portal.as_bytes(), b"s", [1]).expect("small");
        params.iter().for_each(|p| builder.params().value(p.as_deref()));
        builder.finish(results.iter().copied()).expect("small");
        let values = params.iter().map(|p| p.clone().map(Bytes::from)).collect::<Vec<_>>();
        let peer = PeerBind::new(option(&portal), Some("s".into()), vec![1], values, results);
        prop_assert_eq!(&ours, &theirs(&peer));
        prop_assert_eq!(read_by_them::<PeerBind>(&ours), peer);
        let read = Bind::parse(&ours[HEADER..]).expect("theirs");
        prop_assert_eq!(read.params.iter().map(|p| p.map(<[u8]>::to_vec)).collect::<Vec<_>>(), params);
    }

    #[test]
    fn row_description(names in vec(name(), 0..6), oid in any::<u32>(), typmod in any::<i32>()) {
        let field = |name| Field { name, table_oid: 9, attnum: 3, type_oid: oid, typlen: -1, typmod, format: 1 };
        let mut ours = Vec::new();
        server::row_description(&mut ours, names.iter().map(|n| field(n.as_bytes()))).expect("small");
        let fields = names.iter().map(|n| FieldDescription::new(n.clone(), 9, 3, oid, -1, typmod, 1)).collect();
        let peer = PeerRowDescription::new(fields);
        prop_assert_eq!(&ours, &theirs(&peer));
        prop_assert_eq!(read_by_them::<PeerRowDescription>(&ours), peer);
        let read = RowDescription::parse(&ours[HEADER..]).expect("theirs");
        prop_assert!(read.fields().zip(&names).all(|(f, n)| f == field(n.as_bytes())));
    }

    #[test]
    fn parameter_description(oids in vec(any::<u32>(), 0..6)) {
        let mut ours = Vec::new();
        server::parameter_description(&mut ours, oids.iter().copied()).expect("small");
        prop_assert_eq!(ours, theirs(&ParameterDescription::new(oids)));
    }

    #[test]
    fn small_ones(target in name(), rows in any::<i32>()) {
        let mut ours = Vec::new();
        client::describe(&mut ours, Kind::Statement, target.as_bytes()).expect("small");
        prop_assert_eq!(&ours, &theirs(&Describe::new(b'S', option(&target))));
        prop_assert_eq!(Named::parse(&ours[HEADER..]).expect("ours").kind, Kind::Statement);
        ours.clear();
        client::close(&mut ours, Kind::Portal, target.as_bytes()).expect("small");
        prop_assert_eq!(&ours, &theirs(&Close::new(b'P', option(&target))));
        ours.clear();
        client::execute(&mut ours, target.as_bytes(), rows).expect("small");
        prop_assert_eq!(&ours, &theirs(&Execute::new(option(&target), rows)));
    }

    #[test]
    fn errors(message in name(), position in proptest::option::of(1u32..9999)) {
        let mut error = PgError::error(SqlState::FEATURE_NOT_SUPPORTED, message.clone()).hint("try");
        error.position = position;
        let read = read_by_them::<ErrorResponse>(&error.to_bytes());
        let field = |code| read.fields.iter().find(|(c, _)| *c == code).map(|(_, text)| text.clone());
        prop_assert_eq!(field(b'M').unwrap_or_default(), message);
        prop_assert_eq!(field(b'P'), position.map(|p| p.to_string()));
        prop_assert_eq!(field(b'C'), Some("0A000".to_owned()));
    }
}
