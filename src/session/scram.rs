//! SCRAM-SHA-256 and -PLUS towards clients (RFC 5802, RFC 7677), by a verifier. The password itself is never known.
//!
//! An exchange for a name that is not known runs to its end as any other, and fails there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;

/// The mechanism without channel binding.
pub(super) const PLAIN: &[u8] = b"SCRAM-SHA-256";
/// The mechanism with it.
pub(super) const PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";

/// Bytes of randomness in our half of the nonce, as PostgreSQL has them.
const NONCE: usize = 18;
/// Longest salt of a verifier, in bytes.
const MAX_SALT: usize = 1_024;
const PREFIX: &str = "SCRAM-SHA-256$";

/// What proves a password without being one: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`.
pub(super) struct Verifier {
    /// Rounds of the derivation.
    pub(super) iterations: u32,
    /// Salt.
    pub(super) salt: Vec<u8>,
    /// `StoredKey := SHA-256(ClientKey)`.
    stored_key: Zeroizing<[u8; 32]>,
    /// `ServerKey`.
    server_key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads a verifier as PostgreSQL writes it. `None`: it is none.
    pub(super) fn parse(text: &str) -> Option<Verifier> {
        let (first, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let (iterations, salt) = first.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| {
            let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
            bytes.as_slice().try_into().ok().map(Zeroizing::new)
        };
        let salt = BASE64.decode(salt).ok().filter(|salt| !salt.is_empty() && salt.len() <= MAX_SALT)?;
        let iterations = iterations.parse().ok().filter(|iterations| *iterations > 0)?;
        Some(Verifier { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }

    /// One that no password fits.
    pub(super) fn unmatched(iterations: u32, salt: Vec<u8>) -> Verifier {
        Verifier { iterations, salt, stored_key: Zeroizing::default(), server_key: Zeroizing::default() }
    }
}

/// Why an exchange fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failed {
    /// Not a message that SCRAM has.
    Malformed(&'static str),
    /// A feature that PostgreSQL has not either.
    Unsupported(&'static str),
    /// A channel that is bound otherwise than TLS says, or a downgrade.
    Binding(&'static str),
    /// The proof does not hold, or nobody has this name.
    Password,
}

impl Failed {
    /// What the client is told; as PostgreSQL.
    pub(super) fn told(&self, user: &str) -> PgError {
        let fatal = |state, message: &str| PgError::fatal(state, message.to_owned());
        match self {
            Failed::Malformed(why) => fatal(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").detail(*why),
            Failed::Unsupported(what) => fatal(SqlState::FEATURE_NOT_SUPPORTED, what),
            Failed::Binding(what) => fatal(SqlState::INVALID_AUTHORIZATION, what)
                .hint("Something between client and proxy ends TLS, or the client means another proxy."),
            Failed::Password => {
                fatal(SqlState::INVALID_PASSWORD, &format!("password authentication failed for user \"{user}\""))
            }
        }
    }
}

/// An exchange whose first half is done.
pub(super) struct Exchange<'v> {
    verifier: &'v Verifier,
    known: bool,
    /// `c=` as the client must send it.
    channel: String,
    nonce: String,
    /// `client-first-message-bare "," server-first-message ","`.
    so_far: String,
}

impl<'v> Exchange<'v> {
    /// Takes the client's first message and gives the answer to it. `offered` is what the channel is bound to, where that was
    /// offered; `known` says whether the verifier is the client's.
    pub(super) fn begin(
        (verifier, known): (&'v Verifier, bool),
        mechanism: &[u8],
        data: &[u8],
        offered: Option<&[u8]>,
    ) -> Result<(Exchange<'v>, String), Failed> {
        let mut random = [0; NONCE];
        getrandom::fill(&mut random).map_err(|_| Failed::Unsupported("no randomness for a nonce"))?;
        Exchange::begin_with((verifier, known), mechanism, data, (offered, &BASE64.encode(random)))
    }

    fn begin_with(
        (verifier, known): (&'v Verifier, bool),
        mechanism: &[u8],
        data: &[u8],
        (offered, ours): (Option<&[u8]>, &str),
    ) -> Result<(Exchange<'v>, String), Failed> {
        let text = std::str::from_utf8(data).map_err(|_| Failed::Malformed("It is not UTF-8."))?;
        let (header, bare) = split_header(text)?;
        let bound = binding(mechanism, header, offered)?;
        let theirs = client_nonce(bare)?;
        let nonce = format!("{theirs}{ours}");
        let first = format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.iterations);
        let channel = BASE64.encode([header.as_bytes(), bound].concat());
        let so_far = format!("{bare},{first},");
        Ok((Exchange { verifier, known, channel, nonce, so_far }, first))
    }

    /// Takes the client's proof and gives ours.
    pub(super) fn finish(self, data: &[u8]) -> Result<String, Failed> {
        let text = std::str::from_utf8(data).map_err(|_| Failed::Malformed("It is not UTF-8."))?;
        let (unproved, proof) = text.rsplit_once(",p=").ok_or(Failed::Malformed("There is no proof in it."))?;
        let mut attributes = unproved.split(',');
        let channel = attributes.next().and_then(|attribute| attribute.strip_prefix("c="));
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        let (Some(channel), Some(nonce)) = (channel, nonce) else {
            return Err(Failed::Malformed("It must begin with c= and r=."));
        };
        if nonce != self.nonce {
            return Err(Failed::Malformed("The nonce is another one."));
        }
        if channel != self.channel {
            return Err(Failed::Binding("SCRAM channel binding check failed"));
        }
        let proof: [u8; 32] = BASE64
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(Failed::Malformed("The proof is not 32 bytes in base64."))?;
        let signed = format!("{}{unproved}", self.so_far);
        // From the one and the proof, which anybody may have read, follows what logs in.
        let signature = Zeroizing::new(mac(&*self.verifier.stored_key, signed.as_bytes()));
        let mut client_key = Zeroizing::new(proof);
        client_key.iter_mut().zip(*signature).for_each(|(key, signature)| *key ^= signature);
        let proved = Sha256::digest(*client_key).ct_eq(&*self.verifier.stored_key);
        if !bool::from(proved & subtle::Choice::from(u8::from(self.known))) {
            return Err(Failed::Password);
        }
        Ok(format!("v={}", BASE64.encode(mac(&*self.verifier.server_key, signed.as_bytes()))))
    }
}

/// `HMAC-SHA-256(key, text)`.
pub(super) fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// `gs2-header`, up to its second comma, and what follows.
fn split_header(text: &str) -> Result<(&str, &str), Failed> {
    let mut commas = text.match_indices(',').map(|(at, _)| at);
    let (Some(first), Some(second)) = (commas.next(), commas.next()) else {
        return Err(Failed::Malformed("It has no header."));
    };
    if second != first + 1 {
        return Err(Failed::Unsupported("client uses authorization identity, but it is not supported"));
    }
    Ok((&text[..=second], &text[second + 1..]))
}

/// What the channel must be bound to by this header; empty: to nothing.
fn binding<'a>(mechanism: &[u8], header: &str, offered: Option<&'a [u8]>) -> Result<&'a [u8], Failed> {
    let flag = header.strip_suffix(",,").unwrap_or_default();
    match (mechanism, flag, offered) {
        (PLAIN, "n", _) | (PLAIN, "y", None) => Ok(&[]),
        // The client can bind and saw no offer, but one was made.
        (PLAIN, "y", Some(_)) => Err(Failed::Binding("SCRAM channel binding negotiation error")),
        (PLUS, "p=tls-server-end-point", Some(end_point)) => Ok(end_point),
        (PLUS, _, None) => Err(Failed::Malformed("SCRAM-SHA-256-PLUS was not offered.")),
        (PLUS, _, _) if flag.starts_with("p=") => {
            Err(Failed::Malformed("The type of channel binding is not supported."))
        }
        (PLUS, "n" | "y", _) => Err(Failed::Malformed("SCRAM-SHA-256-PLUS without channel binding.")),
        (PLAIN, _, _) if flag.starts_with("p=") => Err(Failed::Malformed("SCRAM-SHA-256 with channel binding.")),
        (PLAIN | PLUS, ..) => Err(Failed::Malformed("The flag of channel binding is unknown.")),
        _ => Err(Failed::Malformed("The mechanism was not offered.")),
    }
}

/// The nonce of `n=…,r=NONCE[,extensions]`. The name in it counts for nothing: that of the startup packet does.
fn client_nonce(bare: &str) -> Result<&str, Failed> {
    let mut attributes = bare.split(',');
    let name = attributes.next().unwrap_or_default();
    if name.starts_with("m=") {
        return Err(Failed::Unsupported("client requires an unsupported SCRAM extension"));
    }
    let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
    match nonce {
        Some(nonce) if name.starts_with("n=") && !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(nonce)
        }
        _ => Err(Failed::Malformed("It must have n= and r=.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    /// As the RFC derives it.
    fn derived(password: &[u8], salt: &[u8], iterations: u32) -> Verifier {
        let mut round = mac(password, &[salt, &[0, 0, 0, 1]].concat());
        let mut salted = round;
        for _ in 1..iterations {
            round = mac(password, &round);
            salted.iter_mut().zip(round).for_each(|(all, one)| *all ^= one);
        }
        let stored_key = Zeroizing::new(Sha256::digest(mac(&salted, b"Client Key")).into());
        let server_key = Zeroizing::new(mac(&salted, b"Server Key"));
        Verifier { iterations, salt: salt.to_vec(), stored_key, server_key }
    }

    fn of(password: &[u8]) -> Verifier {
        Verifier::parse(&postgres_protocol::password::scram_sha_256(password)).expect("a verifier")
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let verifier = derived(b"pencil", &salt, 4096);
        let first = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let ours = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let (exchange, answer) =
            Exchange::begin_with((&verifier, true), PLAIN, first, (None, ours)).expect("well formed");
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        assert_eq!(answer, format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let proof = exchange.finish(last.as_bytes()).expect("the proof holds");
        assert_eq!(proof, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    /// An exchange with the client of a library.
    fn exchange(
        (verifier, known): (&Verifier, bool),
        password: &[u8],
        (theirs, mechanism): (ChannelBinding, &[u8]),
        offered: Option<&[u8]>,
    ) -> Result<(), Failed> {
        let mut client = ScramSha256::new(password, theirs);
        let (exchange, first) = Exchange::begin((verifier, known), mechanism, client.message(), offered)?;
        client.update(first.as_bytes()).expect("the client takes it");
        let last = exchange.finish(client.message())?;
        client.finish(last.as_bytes()).expect("the client believes us");
        Ok(())
    }

    #[test]
    fn a_password_is_proved_with_and_without_binding() {
        let verifier = of("päss wörd".as_bytes());
        let (ours, theirs) = (&b"certificate"[..], || ChannelBinding::tls_server_end_point(b"certificate".to_vec()));
        let run = |password: &str, binding, mechanism: &[u8], offered| {
            exchange((&verifier, true), password.as_bytes(), (binding, mechanism), offered)
        };
        assert_eq!(run("päss wörd", ChannelBinding::unsupported(), PLAIN, None), Ok(()));
        assert_eq!(run("päss wörd", ChannelBinding::unsupported(), PLAIN, Some(ours)), Ok(()));
        assert_eq!(run("päss wörd", ChannelBinding::unrequested(), PLAIN, None), Ok(()));
        assert_eq!(run("päss wörd", theirs(), PLUS, Some(ours)), Ok(()));
        assert_eq!(run("pass word", ChannelBinding::unsupported(), PLAIN, None), Err(Failed::Password));
        assert_eq!(run("pass word", theirs(), PLUS, Some(ours)), Err(Failed::Password));
        let downgraded = run("päss wörd", ChannelBinding::unrequested(), PLAIN, Some(ours));
        assert_eq!(downgraded, Err(Failed::Binding("SCRAM channel binding negotiation error")));
        let other = run("päss wörd", theirs(), PLUS, Some(b"another certificate"));
        assert_eq!(other, Err(Failed::Binding("SCRAM channel binding check failed")));
        assert!(matches!(run("päss wörd", theirs(), PLUS, None), Err(Failed::Malformed(_))));
        assert!(matches!(run("päss wörd", theirs(), PLAIN, Some(ours)), Err(Failed::Malformed(_))));
        assert!(matches!(run("päss wörd", ChannelBinding::unsupported(), PLUS, Some(ours)), Err(Failed::Malformed(_))));
        assert!(matches!(run("päss wörd", ChannelBinding::unsupported(), b"X", None), Err(Failed::Malformed(_))));
    }

    #[test]
    fn nobody_known_is_told_nothing_else_than_a_wrong_password() {
        let unsupported = || (ChannelBinding::unsupported(), PLAIN);
        let decoy = Verifier::unmatched(4096, vec![7; 16]);
        assert_eq!(exchange((&decoy, false), b"x", unsupported(), None), Err(Failed::Password));
        // Not even with the password of the verifier at hand.
        assert_eq!(exchange((&of(b"x"), false), b"x", unsupported(), None), Err(Failed::Password));
    }

    #[test]
    fn what_is_not_scram_is_refused() {
        let verifier = of(b"x");
        for first in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=",
            "n,,n=,",
            "n,,n=,r=",
            "n,,r=abc",
            "n,,n=,r=a b",
            "x,,n=,r=abc",
            "p=,,n=,r=abc",
            "p=tls-unique,,n=,r=abc",
            "n,a=app,n=,r=abc",
            "n,,m=x,n=,r=abc",
            "n,,n=,r=ä",
            "y,,n=\u{0},r=",
        ] {
            for mechanism in [PLAIN, PLUS] {
                let begun = Exchange::begin((&verifier, true), mechanism, first.as_bytes(), Some(b"x"));
                assert!(begun.is_err(), "{first:?}");
            }
        }
        assert!(Exchange::begin((&verifier, true), PLAIN, b"n,,n=\xff,r=abc", None).is_err());
        let begin = || {
            let (exchange, first) =
                Exchange::begin((&verifier, true), PLAIN, b"n,,n=,r=abc", None).expect("well formed");
            let nonce = first.split(',').next().expect("a nonce").to_owned();
            (exchange, nonce)
        };
        let proof = BASE64.encode([0; 32]);
        for last in [
            "".to_owned(),
            format!("c=biws,NONCE"),
            format!("c=biws,NONCE,p="),
            format!("c=biws,NONCE,p=AAAA"),
            format!("NONCE,c=biws,p={proof}"),
            format!("c=biws,r=abc,p={proof}"),
            format!("c=eSws,NONCE,p={proof}"),
            format!("c=,NONCE,p={proof}"),
            format!("c=biws,NONCE,p={proof},x=y"),
        ] {
            let (exchange, nonce) = begin();
            let refused = exchange.finish(last.replace("NONCE", &nonce).as_bytes()).expect_err(&last);
            assert_ne!(refused, Failed::Password, "{last}");
        }
        let (exchange, nonce) = begin();
        let extended = format!("c=biws,{nonce},x=y,p={proof}");
        assert_eq!(exchange.finish(extended.as_bytes()), Err(Failed::Password), "an extension counts as signed");
    }

    #[test]
    fn verifiers_are_read_as_postgresql_writes_them() {
        let good = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let verifier = Verifier::parse(good).expect("a verifier");
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let derived = derived(b"pencil", &salt, 4096);
        assert_eq!((verifier.iterations, &verifier.salt), (4096, &salt));
        assert_eq!((&verifier.stored_key, &verifier.server_key), (&derived.stored_key, &derived.server_key));
        assert!(!format!("{verifier:?}").contains("105"), "keys are not shown");
        for bad in [
            "",
            "pencil",
            "md5aabbccddeeff00112233445566778899",
            "SCRAM-SHA-256$",
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
            &good.replace("4096", "0"),
            &good.replace("4096", "-1"),
            &good.replace("4096", "99999999999"),
            &good.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            &good.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22"),
            &good.replace("wfPL", ""),
            &format!("{good}x"),
            &good.replace("256$", "512$"),
        ] {
            assert!(Verifier::parse(bad).is_none(), "{bad}");
        }
    }
}
