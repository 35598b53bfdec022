//! What a client says before the login, and the login's messages: packets without a tag, then frames.

use super::build::message;
use super::frame::{BuildError, put_cstr};
use super::read::{MessageError, Reader};
use super::server;

/// Longest startup packet, in bytes with its length (PostgreSQL's `MAX_STARTUP_PACKET_LENGTH`).
pub const MAX_STARTUP: usize = 10_000;
/// Longest password, SASL or GSS message of a login, in bytes of its length field (PostgreSQL's
/// `PG_MAX_AUTH_TOKEN_LENGTH`).
pub const MAX_AUTH: usize = 65_535;
/// The newest minor version of protocol 3 whose messages this room knows.
pub const NEWEST_MINOR: u16 = 2;

const CANCEL: u32 = 1234 << 16 | 5678;
const SSL: u32 = 1234 << 16 | 5679;
const GSSENC: u32 = 1234 << 16 | 5680;

/// A packet without a tag.
#[derive(Clone, Copy)]
pub enum Packet<'a> {
    /// The client asks for TLS.
    Ssl,
    /// The client asks for GSSAPI encryption.
    GssEnc,
    /// The client asks to cancel what another connection does.
    Cancel {
        /// Server process.
        pid: u32,
        /// Its secret.
        key: &'a [u8],
    },
    /// The client begins a session.
    Startup(Startup<'a>),
}

/// A packet that cannot be a startup packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PacketError {
    /// The length field is under 8 or over [`MAX_STARTUP`].
    #[error("invalid length of startup packet")]
    Length(u32),
    /// A protocol that is not version 3.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")]
    Version {
        /// Upper half of the code.
        major: u16,
        /// Lower half.
        minor: u16,
    },
    /// A request with a body of the wrong size, or an invalid list of parameters.
    #[error("invalid startup packet layout: {0}")]
    Layout(MessageError),
}

/// The packet at the start of `buf` and its length in bytes. `None`: it is not whole yet.
///
/// # Errors
/// It is not a packet a client may send.
pub fn packet(buf: &[u8]) -> Result<Option<(Packet<'_>, usize)>, PacketError> {
    let Some((length, _)) = buf.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    let total = usize::try_from(length).unwrap_or(usize::MAX);
    if !(8..=MAX_STARTUP).contains(&total) {
        return Err(PacketError::Length(length));
    }
    let Some(whole) = buf.get(..total) else {
        return Ok(None);
    };
    decode(&whole[4..]).map(|packet| Some((packet, total)))
}

fn decode(body: &[u8]) -> Result<Packet<'_>, PacketError> {
    let mut r = Reader::new(body);
    let code = r.u32().map_err(PacketError::Layout)?;
    match code {
        SSL => r.end().map(|()| Packet::Ssl).map_err(PacketError::Layout),
        GSSENC => r.end().map(|()| Packet::GssEnc).map_err(PacketError::Layout),
        CANCEL => server::BackendKeyData::parse(r.rest())
            .map(|k| Packet::Cancel { pid: k.pid, key: k.key })
            .map_err(PacketError::Layout),
        _ => match [(code >> 16) as u16, code as u16] {
            [3, minor] => Startup::parse(minor, r).map(Packet::Startup).map_err(PacketError::Layout),
            [major, minor] => Err(PacketError::Version { major, minor }),
        },
    }
}

/// A StartupMessage of protocol 3.
#[derive(Clone, Copy)]
pub struct Startup<'a> {
    /// Minor version asked for.
    pub minor: u16,
    parameters: &'a [u8],
}

impl<'a> Startup<'a> {
    fn parse(minor: u16, mut r: Reader<'a>) -> Result<Self, MessageError> {
        let parameters = r.rest();
        loop {
            if r.cstr()?.is_empty() {
                break;
            }
            r.cstr()?;
        }
        r.end()?;
        Ok(Startup { minor, parameters })
    }

    /// Names and values in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut r = Reader::new(self.parameters);
        std::iter::from_fn(move || match r.cstr() {
            Ok(name) if !name.is_empty() => r.cstr().ok().map(|value| (name, value)),
            _ => None,
        })
    }

    /// The value of a parameter; the last one given holds.
    pub fn parameter(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.parameters().filter(|(n, _)| *n == name).last().map(|(_, value)| value)
    }
}

/// Appends a StartupMessage of protocol 3.`minor`.
///
/// # Errors
/// A NUL inside, an empty name, or longer than [`MAX_STARTUP`]; nothing was appended.
pub fn put_startup<'a>(
    out: &mut Vec<u8>,
    minor: u16,
    parameters: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), BuildError> {
    let mut body = Vec::with_capacity(256);
    for (name, value) in parameters {
        if name.is_empty() {
            return Err(BuildError::Nul);
        }
        put_cstr(&mut body, name)?;
        put_cstr(&mut body, value)?;
    }
    body.push(0);
    let length = u32::try_from(body.len() + 8).map_err(|_| BuildError::TooLong)?;
    if body.len() + 8 > MAX_STARTUP {
        return Err(BuildError::TooLong);
    }
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&(3 << 16 | u32::from(minor)).to_be_bytes());
    out.extend_from_slice(&body);
    Ok(())
}

/// A CancelRequest.
///
/// # Errors
/// A key that no server gives out.
pub fn cancel_request(pid: u32, key: &[u8]) -> Result<Vec<u8>, BuildError> {
    if key.len() > server::MAX_CANCEL_KEY {
        return Err(BuildError::TooLong);
    }
    let length = u32::try_from(key.len() + 12).map_err(|_| BuildError::TooLong)?;
    let mut out = Vec::with_capacity(key.len() + 12);
    for word in [length, CANCEL, pid] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(key);
    Ok(out)
}

/// What the server wants next in a login (`R`).
#[derive(Clone, Copy)]
pub enum Authentication<'a> {
    /// The client is in.
    Ok,
    /// The password as it is.
    Cleartext,
    /// The password hashed with this salt.
    Md5([u8; 4]),
    /// A SASL exchange by one of these mechanisms.
    Sasl(Mechanisms<'a>),
    /// A step of it; the client answers.
    SaslContinue(&'a [u8]),
    /// Its end; the client does not answer.
    SaslFinal(&'a [u8]),
    /// GSSAPI or SSPI, in steps the client answers.
    Gss,
    /// Something newer or older; by its code.
    Other(u32),
}

impl<'a> Authentication<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        Ok(match r.u32()? {
            0 => Authentication::Ok,
            3 => Authentication::Cleartext,
            5 => Authentication::Md5([r.u8()?, r.u8()?, r.u8()?, r.u8()?]),
            7..=9 => Authentication::Gss,
            10 => Authentication::Sasl(Mechanisms::parse(r)?),
            11 => Authentication::SaslContinue(r.rest()),
            12 => Authentication::SaslFinal(r.rest()),
            code => Authentication::Other(code),
        })
    }
}

/// Names of SASL mechanisms, in the server's order of preference.
#[derive(Clone, Copy)]
pub struct Mechanisms<'a> {
    names: &'a [u8],
}

impl<'a> Mechanisms<'a> {
    fn parse(mut r: Reader<'a>) -> Result<Self, MessageError> {
        let names = r.rest();
        while !r.cstr()?.is_empty() {}
        r.end()?;
        Ok(Mechanisms { names })
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut r = Reader::new(self.names);
        std::iter::from_fn(move || r.cstr().ok().filter(|name| !name.is_empty()))
    }
}

/// Appends an AuthenticationSASL.
///
/// # Errors
/// A name holds a NUL, or too long; nothing was appended.
pub fn put_sasl<'a>(out: &mut Vec<u8>, mechanisms: impl IntoIterator<Item = &'a [u8]>) -> Result<(), BuildError> {
    message(out, server::tag::AUTHENTICATION, |out| {
        out.extend_from_slice(&10u32.to_be_bytes());
        for name in mechanisms {
            put_cstr(out, name)?;
        }
        out.push(0);
        Ok(())
    })
}

/// Appends AuthenticationOk.
pub fn put_ok(out: &mut Vec<u8>) {
    out.extend_from_slice(&[server::tag::AUTHENTICATION, 0, 0, 0, 8, 0, 0, 0, 0]);
}

/// Appends an AuthenticationSASLContinue, or AuthenticationSASLFinal where it is the `last`.
///
/// # Errors
/// Too long; nothing was appended.
pub fn put_sasl_step(out: &mut Vec<u8>, data: &[u8], last: bool) -> Result<(), BuildError> {
    message(out, server::tag::AUTHENTICATION, |out| {
        out.extend_from_slice(&(if last { 12u32 } else { 11 }).to_be_bytes());
        out.extend_from_slice(data);
        Ok(())
    })
}

/// The client's first SASL message (`p`).
#[derive(Clone, Copy)]
pub struct SaslInitial<'a> {
    /// Mechanism chosen.
    pub mechanism: &'a [u8],
    /// The mechanism's first message, if there is one.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let message = SaslInitial { mechanism: r.cstr()?, data: r.value()? };
        r.end()?;
        Ok(message)
    }
}

/// `v`: the newest minor version the server speaks, and the protocol options it does not know.
#[derive(Clone, Copy)]
pub struct Negotiate<'a> {
    /// Minor version of protocol 3.
    pub minor: u16,
    names: &'a [u8],
}

impl<'a> Negotiate<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        // Servers before 18 send the minor version alone; the major one, where sent, is 3.
        let minor = r.u32()? as u16;
        let count = r.u32()?;
        let names = r.rest();
        for _ in 0..count {
            r.cstr()?;
        }
        r.end()?;
        Ok(Negotiate { minor, names })
    }

    /// Names of the options not known.
    pub fn unknown(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut r = Reader::new(self.names);
        std::iter::from_fn(move || r.cstr().ok())
    }
}

/// Appends a NegotiateProtocolVersion.
///
/// # Errors
/// A name holds a NUL, or too long; nothing was appended.
pub fn put_negotiate(out: &mut Vec<u8>, minor: u16, unknown: &[&[u8]]) -> Result<(), BuildError> {
    message(out, server::tag::NEGOTIATE_PROTOCOL_VERSION, |out| {
        let count = u32::try_from(unknown.len()).map_err(|_| BuildError::TooLong)?;
        out.extend_from_slice(&(3 << 16 | u32::from(minor)).to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        for name in unknown {
            put_cstr(out, name)?;
        }
        Ok(())
    })
}
