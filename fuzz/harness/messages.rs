//! Messages: nothing panics, and what is understood is written again as the same bytes.

use std::borrow::Cow;

use columnseal::wire::client::{self, Bind, BindBuilder, Execute, Named, Parse, Query};
use columnseal::wire::error::{Edit, ErrorView};
use columnseal::wire::frame::{self, HEADER, MAX_LARGE, Step};
use columnseal::wire::server::{
    self, BackendKeyData, CopyResponse, DataRow, DataRowBuilder, ParameterDescription, RowDescription,
};
use columnseal::wire::startup::{self, Authentication, Negotiate, Packet, SaslInitial};

/// Frames found in the whole are those found when the bytes come one by one.
pub fn frames(data: &[u8]) {
    let max = if data.len().is_multiple_of(2) { MAX_LARGE } else { 64 };
    let (mut found, mut start) = (Vec::new(), 0);
    let fault = loop {
        match frame::step(&data[start..], max) {
            Ok(Step::Frame(frame)) => {
                assert_eq!(frame.raw.len(), frame.body.len() + HEADER);
                found.push((frame.tag, frame.body));
                start += frame.raw.len();
            }
            Ok(Step::NeedMore { have, total }) => {
                assert!(have == data.len() - start && total.is_none_or(|total| total > have));
                break None;
            }
            Err(fault) => break Some(fault),
        }
    };
    let (mut slowly, mut start) = (Vec::new(), 0);
    for end in 0..=data.len() {
        match frame::step(&data[start..end], max) {
            Ok(Step::Frame(frame)) => {
                slowly.push((frame.tag, frame.body));
                start = end;
            }
            Ok(Step::NeedMore { .. }) => {}
            Err(slow) => return assert_eq!((Some(slow), slowly), (fault, found)),
        }
    }
    assert_eq!((None, slowly), (fault, found));
}

/// Packets before the login.
pub fn startup(data: &[u8]) {
    let Ok(Some((packet, used))) = startup::packet(data) else { return };
    let again = match packet {
        Packet::Ssl | Packet::GssEnc => return assert_eq!(used, 8),
        Packet::Cancel { pid, key } => startup::cancel_request(pid, key).expect("a key that was read"),
        Packet::Startup(startup) => {
            let mut out = Vec::new();
            startup::put_startup(&mut out, startup.minor, startup.parameters()).expect("parameters that were read");
            startup.parameters().for_each(|(name, _)| assert!(startup.parameter(name).is_some()));
            out
        }
    };
    assert_eq!(again, &data[..used]);
}

/// Bodies of messages from clients; the first byte is the tag.
pub fn client_messages(data: &[u8]) {
    let Some((&tag, body)) = data.split_first() else { return };
    let _ = client::max_len(tag);
    let mut out = Vec::new();
    let written = match tag {
        client::tag::QUERY => Query::parse(body).ok().map(|m| client::query(&mut out, m.sql)),
        client::tag::PARSE => Parse::parse(body).ok().map(|m| client::parse(&mut out, m.name, m.sql, m.oids.iter())),
        client::tag::BIND => Bind::parse(body).ok().map(|m| bind(&mut out, &m)),
        client::tag::DESCRIBE => Named::parse(body).ok().map(|m| client::describe(&mut out, m.kind, m.name)),
        client::tag::CLOSE => Named::parse(body).ok().map(|m| client::close(&mut out, m.kind, m.name)),
        client::tag::EXECUTE => Execute::parse(body).ok().map(|m| client::execute(&mut out, m.portal, m.max_rows)),
        client::tag::PASSWORD => {
            let _ = SaslInitial::parse(body);
            None
        }
        _ => None,
    };
    same(written, &out, tag, body);
}

fn bind(out: &mut Vec<u8>, bind: &Bind<'_>) -> Result<(), frame::BuildError> {
    let mut builder = BindBuilder::new(out, bind.portal, bind.statement, bind.formats.iter())?;
    bind.params.iter().for_each(|value| builder.params().value(value));
    builder.finish(bind.result_formats.iter())
}

/// Bodies of messages from the server; the first byte is the tag.
pub fn server_messages(data: &[u8]) {
    use server::tag;
    let Some((&tag, body)) = data.split_first() else { return };
    let mut out = Vec::new();
    let written = match tag {
        tag::ROW_DESCRIPTION => RowDescription::parse(body).ok().map(|m| {
            assert_eq!(m.fields().count(), m.len());
            server::row_description(&mut out, m.fields())
        }),
        tag::PARAMETER_DESCRIPTION => {
            ParameterDescription::parse(body).ok().map(|oids| server::parameter_description(&mut out, oids.iter()))
        }
        tag::DATA_ROW => DataRow::parse(body).ok().map(|values| {
            let mut row = DataRowBuilder::new(&mut out);
            values.iter().for_each(|value| row.values().value(value));
            row.finish()
        }),
        tag::COMMAND_COMPLETE => {
            server::command_complete(body).ok().map(|command| server::put_command_complete(&mut out, command))
        }
        tag::PARAMETER_STATUS => {
            server::parameter_status(body).ok().map(|(name, value)| server::put_parameter_status(&mut out, name, value))
        }
        tag::READY_FOR_QUERY => server::ready_for_query(body).ok().map(|status| {
            server::put_ready_for_query(&mut out, status);
            Ok(())
        }),
        tag::COPY_IN_RESPONSE | tag::COPY_OUT_RESPONSE => {
            let _ = CopyResponse::parse(body);
            None
        }
        tag::BACKEND_KEY_DATA => {
            let _ = BackendKeyData::parse(body);
            None
        }
        tag::NEGOTIATE_PROTOCOL_VERSION => {
            let _ = Negotiate::parse(body).map(|m| m.unknown().count());
            None
        }
        tag::AUTHENTICATION => {
            if let Ok(Authentication::Sasl(mechanisms)) = Authentication::parse(body) {
                assert!(mechanisms.iter().all(|name| !name.is_empty()));
            }
            return;
        }
        _ => None,
    };
    same(written, &out, tag, body);
}

/// Errors and notices: rewritten without a change they are the same, and what is dropped or replaced is gone.
pub fn errors(data: &[u8]) {
    let Ok(view) = ErrorView::parse(data) else { return };
    let mut out = Vec::new();
    view.rewrite(&mut out, b'E', |_, _| Edit::Keep).expect("what was read");
    assert_eq!(&out[HEADER..], data);
    let (code, _) = view.fields().next().unwrap_or((b'D', b""));
    out.clear();
    view.rewrite(&mut out, b'E', |c, _| if c == code { Edit::Drop } else { Edit::Keep }).expect("what was read");
    assert!(ErrorView::parse(&out[HEADER..]).expect("what was written").field(code).is_none());
    out.clear();
    let other = |c, _: &[u8]| if c == code { Edit::Replace(Cow::Borrowed(b"other")) } else { Edit::Keep };
    view.rewrite(&mut out, b'E', other).expect("what was read");
    let again = ErrorView::parse(&out[HEADER..]).expect("what was written");
    assert_eq!(again.field(code), view.field(code).map(|_| &b"other"[..]));
    let _ = (view.sqlstate(), view.message(), view.is_fatal(), view.position());
}

/// What was written of a body that was understood is the body.
#[track_caller]
fn same(written: Option<Result<(), frame::BuildError>>, out: &[u8], tag: u8, body: &[u8]) {
    if let Some(written) = written {
        written.expect("what was read can be written");
        assert_eq!((out[0], &out[HEADER..]), (tag, body));
    }
}
