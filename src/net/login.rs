//! Logging in to a server with an account of our own: what answers its questions. No sockets.
//!
//! A password as it is, or hashed by MD5, serves whoever listens as well as us. So it is given only where nobody does: on this
//! machine, or over TLS whose certificate was checked.

use std::io;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::frontend;
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

use super::settings::ChannelBinding;
use super::stream::Stream;
use crate::wire::error::ErrorView;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::{Authentication, Mechanisms};

/// A role and its password.
#[derive(Debug)]
pub struct Account {
    /// The role.
    pub role: String,
    /// Its password, where one is known.
    pub password: Option<SecretString>,
}

/// Why a login cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No password is configured.
    #[error("the server asks for a password, and there is none for this role")]
    NoPassword,
    /// Others may listen.
    #[error(
        "the server asks for the password {0} over a connection on which others may listen: use TLS that checks the \
         server's certificate (sslmode=verify-full), or SCRAM-SHA-256"
    )]
    Exposed(&'static str),
    /// Channel binding is demanded and was not done.
    #[error("the server did not use channel binding, which channel_binding=require demands")]
    NotBound,
    /// A method that this proxy does not know.
    #[error("the server asks for a login by a method that this proxy does not know ({0})")]
    Unsupported(String),
    /// The server does not know the password either, or talks nonsense.
    #[error("SCRAM: {0}")]
    Scram(io::Error),
    /// A step at the wrong time.
    #[error("the server's questions are out of order")]
    Order,
}

/// What to do about a question.
pub enum Reply {
    /// Send this, which may hold the password.
    Send(Zeroizing<Vec<u8>>),
    /// Wait for the next one.
    Wait,
    /// The login is complete.
    In,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reply::Send(_) => "Send",
            Reply::Wait => "Wait",
            Reply::In => "In",
        })
    }
}

/// Greatest length field of a server's message during a login.
pub const MAX_LOGIN: usize = 64 * 1024;

/// The server admits no such connection, by its `pg_hba.conf`: another attempt may differ.
pub(crate) fn is_not_admitted(error: &ErrorView<'_>) -> bool {
    error.sqlstate() == SqlState::INVALID_AUTHORIZATION.0.as_bytes()
}

/// One login.
pub struct Answers {
    account: Account,
    binding: ChannelBinding,
    channel: Channel,
    state: State,
}

/// What matters of a connection.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Nobody can listen.
    pub private: bool,
    /// What a login may be bound to, over TLS.
    pub end_point: Option<Vec<u8>>,
}

impl Channel {
    /// That of a stream; `checked`: its certificate was, if it has TLS.
    pub fn of(stream: &Stream, checked: bool) -> Channel {
        Channel {
            private: stream.socket().is_local() || (stream.is_tls() && checked),
            end_point: stream.end_point().map(<[u8]>::to_vec),
        }
    }
}

enum State {
    /// Nothing was asked yet.
    Unasked,
    /// SCRAM began; its salt is awaited.
    Salt(Box<ScramSha256>, Bound),
    /// Ours is proved; the server's proof is awaited.
    Proof(Box<ScramSha256>, Bound),
    /// Done but for the server's word; whether the channel was bound.
    Told(Bound),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Yes,
    No,
}

impl Answers {
    /// A login over this channel.
    pub fn new(account: Account, binding: ChannelBinding, channel: Channel) -> Answers {
        Answers { account, binding, channel, state: State::Unasked }
    }

    /// The role that logs in.
    pub fn role(&self) -> &str {
        &self.account.role
    }

    /// Answers the server's next question.
    ///
    /// # Errors
    /// It must not or cannot be answered: the login is over.
    pub fn answer(&mut self, question: Authentication<'_>) -> Result<Reply, LoginError> {
        match (question, std::mem::replace(&mut self.state, State::Told(Bound::No))) {
            (Authentication::Ok, State::Unasked) => self.complete(Bound::No),
            (Authentication::Ok, State::Told(bound)) => self.complete(bound),
            (Authentication::Cleartext, State::Unasked) => {
                let password = self.exposed("as it is")?;
                password_message(password.expose_secret().as_bytes())
            }
            (Authentication::Md5(salt), State::Unasked) => {
                let password = self.exposed("hashed by MD5")?;
                let password = password.expose_secret().as_bytes();
                let hash = Zeroizing::new(md5_hash(self.account.role.as_bytes(), password, salt));
                password_message(hash.as_bytes())
            }
            (Authentication::Sasl(offered), State::Unasked) => self.begin(offered),
            (Authentication::SaslContinue(data), State::Salt(mut scram, bound)) => {
                scram.update(data).map_err(LoginError::Scram)?;
                let reply = sasl_message(scram.message())?;
                self.state = State::Proof(scram, bound);
                Ok(reply)
            }
            (Authentication::SaslFinal(data), State::Proof(mut scram, bound)) => {
                scram.finish(data).map_err(LoginError::Scram)?;
                self.state = State::Told(bound);
                Ok(Reply::Wait)
            }
            (Authentication::Gss, _) => Err(LoginError::Unsupported("GSSAPI".to_owned())),
            (Authentication::Other(code), _) => Err(LoginError::Unsupported(format!("code {code}"))),
            _ => Err(LoginError::Order),
        }
    }

    fn complete(&self, bound: Bound) -> Result<Reply, LoginError> {
        if self.binding == ChannelBinding::Require && bound == Bound::No {
            Err(LoginError::NotBound)
        } else {
            Ok(Reply::In)
        }
    }

    fn password(&self) -> Result<&SecretString, LoginError> {
        self.account.password.as_ref().ok_or(LoginError::NoPassword)
    }

    /// The password, for a method that gives it away.
    fn exposed(&self, how: &'static str) -> Result<&SecretString, LoginError> {
        if self.binding == ChannelBinding::Require {
            return Err(LoginError::NotBound);
        }
        if self.channel.private { self.password() } else { Err(LoginError::Exposed(how)) }
    }

    fn begin(&mut self, offered: Mechanisms<'_>) -> Result<Reply, LoginError> {
        let offers = |wanted: &str| offered.iter().any(|name| name == wanted.as_bytes());
        let end_point = self.channel.end_point.take().filter(|_| self.binding != ChannelBinding::Disable);
        let (mechanism, binding, bound) = match end_point {
            Some(end_point) if offers(sasl::SCRAM_SHA_256_PLUS) => {
                (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(end_point), Bound::Yes)
            }
            _ if self.binding == ChannelBinding::Require => return Err(LoginError::NotBound),
            // The server takes it for an attack if it did offer binding.
            Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested(), Bound::No),
            None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported(), Bound::No),
        };
        if !offers(mechanism) {
            let names: Vec<_> = offered.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            return Err(LoginError::Unsupported(names.join(", ")));
        }
        let scram = Box::new(ScramSha256::new(self.password()?.expose_secret().as_bytes(), binding));
        let first = message(mechanism.len() + scram.message().len(), |out| {
            frontend::sasl_initial_response(mechanism, scram.message(), out)
        })?;
        self.state = State::Salt(scram, bound);
        Ok(first)
    }
}

fn password_message(password: &[u8]) -> Result<Reply, LoginError> {
    message(password.len(), |out| frontend::password_message(password, out))
}

fn sasl_message(data: &[u8]) -> Result<Reply, LoginError> {
    message(data.len(), |out| frontend::sasl_response(data, out))
}

/// `length`: of what is put into it. It does not grow, so that it is in one place, which is wiped.
fn message(length: usize, put: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<Reply, LoginError> {
    /// Of a header, and of all that stands between parts of a message.
    const AROUND: usize = 16;
    let mut out = BytesMut::with_capacity(length + AROUND);
    let put = put(&mut out).map_err(LoginError::Scram);
    let message = Zeroizing::new(out.to_vec());
    out.zeroize();
    put.map(|()| Reply::Send(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::HEADER;
    use crate::wire::startup::put_sasl;

    fn answers(binding: ChannelBinding, private: bool, bound: bool) -> Answers {
        let account = Account { role: "app".to_owned(), password: Some("pencil".into()) };
        Answers::new(account, binding, Channel { private, end_point: bound.then(|| vec![7; 32]) })
    }

    /// What is answered to an offer of these mechanisms.
    fn begun(answers: &mut Answers, mechanisms: &[&str]) -> Result<String, LoginError> {
        let mut offer = Vec::new();
        put_sasl(&mut offer, mechanisms.iter().map(|name| name.as_bytes())).expect("small");
        match answers.answer(Authentication::parse(&offer[HEADER..]).expect("well formed"))? {
            Reply::Send(sent) => Ok(String::from_utf8_lossy(&sent[HEADER..]).into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_channel_is_bound_where_it_can_be() {
        let (plain, plus) = (&["SCRAM-SHA-256"][..], &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"][..]);
        for (binding, end_point, offered, begins) in [
            (ChannelBinding::Prefer, true, plus, "SCRAM-SHA-256-PLUS\0"),
            (ChannelBinding::Require, true, plus, "SCRAM-SHA-256-PLUS\0"),
            (ChannelBinding::Disable, true, plus, "SCRAM-SHA-256\0"),
            (ChannelBinding::Prefer, false, plus, "SCRAM-SHA-256\0"),
            (ChannelBinding::Prefer, true, plain, "SCRAM-SHA-256\0"),
        ] {
            let sent = begun(&mut answers(binding, false, end_point), offered).expect("answered");
            assert!(sent.starts_with(begins), "{binding:?} {end_point} {offered:?}: {sent:?}");
        }
        let flag = |binding, end_point| begun(&mut answers(binding, false, end_point), plain).expect("answered");
        assert!(flag(ChannelBinding::Prefer, true).contains("y,,n=,r="), "no offer was seen");
        assert!(flag(ChannelBinding::Prefer, false).contains("n,,n=,r="));
        assert!(flag(ChannelBinding::Disable, true).contains("n,,n=,r="));
        for (end_point, offered) in [(false, plus), (true, plain)] {
            let refused = begun(&mut answers(ChannelBinding::Require, true, end_point), offered);
            assert!(matches!(refused, Err(LoginError::NotBound)), "{refused:?}");
        }
        let unknown = begun(&mut answers(ChannelBinding::Prefer, true, false), &["OAUTHBEARER"]);
        assert!(matches!(unknown, Err(LoginError::Unsupported(name)) if name == "OAUTHBEARER"));
    }

    #[test]
    fn a_password_is_given_away_to_nobody() {
        for question in [Authentication::Cleartext, Authentication::Md5([1, 2, 3, 4])] {
            let given = answers(ChannelBinding::Prefer, true, false).answer(question).expect("answered");
            assert!(matches!(&given, Reply::Send(sent) if sent.len() > HEADER));
            assert_eq!(format!("{given:?}"), "Send", "it is not shown");
            let refused = answers(ChannelBinding::Prefer, false, true).answer(question);
            assert!(matches!(refused, Err(LoginError::Exposed(_))));
            let refused = answers(ChannelBinding::Require, true, true).answer(question);
            assert!(matches!(refused, Err(LoginError::NotBound)));
        }
        let mut nobody = answers(ChannelBinding::Prefer, true, false);
        nobody.account.password = None;
        assert!(matches!(nobody.answer(Authentication::Cleartext), Err(LoginError::NoPassword)));
    }

    #[test]
    fn a_server_that_proves_nothing_is_not_believed() {
        assert!(matches!(answers(ChannelBinding::Prefer, true, false).answer(Authentication::Ok), Ok(Reply::In)));
        let trusting = answers(ChannelBinding::Require, true, true).answer(Authentication::Ok);
        assert!(matches!(trusting, Err(LoginError::NotBound)));
        let mut half = answers(ChannelBinding::Prefer, true, false);
        begun(&mut half, &["SCRAM-SHA-256"]).expect("answered");
        assert!(matches!(half.answer(Authentication::Ok), Err(LoginError::Order)));
        let mut half = answers(ChannelBinding::Prefer, true, false);
        let sent = begun(&mut half, &["SCRAM-SHA-256"]).expect("answered");
        let nonce = sent.rsplit("r=").next().expect("a nonce");
        let first = format!("r={nonce}more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert!(matches!(half.answer(Authentication::SaslContinue(first.as_bytes())), Ok(Reply::Send(_))));
        let forged = half.answer(Authentication::SaslFinal(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(matches!(forged, Err(LoginError::Scram(_))));
        let mut twice = answers(ChannelBinding::Prefer, true, false);
        assert!(twice.answer(Authentication::Cleartext).is_ok());
        assert!(matches!(twice.answer(Authentication::Cleartext), Err(LoginError::Order)));
    }
}
