//! LIKE and its kin, and conditions on JSON: before a statement runs, the values that have the terms of its patterns are read,
//! opened and compared, and what was found is bound.
//!
//! They are read in the client's own transaction and as its own role, a part at a time; of each no more than its identity is
//! kept.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::cancel::cancelled;
use super::documents::Inquiry;
use super::operands::{self, Operands};
use super::own::Answer;
use super::prepared::Prepared;
use super::rows::{self, FETCH_MAX};
use super::seal::{self, Given};
use super::{Session, cell, errors};
use crate::crypto::envelope::Header;
use crate::crypto::term::TermKeys;
use crate::crypto::term::matching::Run;
use crate::crypto::{KeyId, KeysetId, Kref};
use crate::schema::paths::attribute;
use crate::sql::pattern::{IDENTITY, Looked, Pattern, Patterns, Quantifier, Search};
use crate::telemetry::metrics::Spent;
use crate::wire::error::PgError;
use crate::wire::value::{Dimensions, Letters, Like, Literal, Unfollowed, ValueError};

/// Values that one condition may look at.
const MAX_LOOKED: usize = 200_000;

/// Values read at once, first and at most.
const PART: (i32, i32) = (32, 4_096);

/// Bytes that are read at once, about.
const PART_BYTES: usize = 4 << 20;

/// After a value of more bytes than this others have their turn.
const LONG: usize = 4_096;

/// Whether this database's locale knows more letters than ASCII's, where its encoding has no code points to ask about.
const LOCALE: &str = "SELECT pg_catalog.lower(U&'\\00C4') OPERATOR(pg_catalog.=) U&'\\00E4'";

const INT4_ARRAY: u32 = 1007;
const INT8_ARRAY: u32 = 1016;
const BYTEA: u32 = 17;

/// What tells a value from every other.
type Identity = [u8; IDENTITY.end - IDENTITY.start];

/// What a search found, as arrays in binary form; `None` is NULL.
pub(super) struct Found {
    pub(super) tokens: Option<Vec<u8>>,
    pub(super) matching: Option<Vec<u8>>,
    pub(super) others: Option<Vec<u8>>,
}

impl Found {
    /// The condition is NULL for every value.
    fn null(search: &Search) -> Self {
        let tokens = all_tokens(search).map(|tokens| tokens_array(search, tokens));
        Found { tokens, matching: None, others: None }
    }

    /// The condition holds for all values that have the tokens.
    fn all(search: &Search, tokens: Option<&[i64]>) -> Self {
        let tokens = tokens.map(|tokens| tokens_array(search, tokens));
        Found { tokens, matching: None, others: Some(list(&[])) }
    }
}

/// The patterns of a search, read.
pub(super) struct Wanted {
    quantifier: Quantifier,
    likes: Vec<Like>,
    /// Blanks may follow what a pattern asks for at the end of a value.
    padded: bool,
    /// The part of a document whose text patterns are compared with, or what else is asked of it.
    inquiry: Option<Inquiry>,
}

impl Wanted {
    fn matches(&self, value: &str) -> Result<bool, ValueError> {
        let any = self.quantifier == Quantifier::Any;
        for like in &self.likes {
            if like.matches(value)? == any {
                return Ok(any);
            }
        }
        Ok(!any)
    }
}

/// What narrows a search.
pub(super) enum Narrow {
    /// Every value matches.
    Everything,
    /// Values that have all of these tokens.
    All(Vec<i64>),
    /// Values that have one of these tokens.
    Any(Vec<i64>),
    /// Nothing narrows it.
    Nothing,
}

impl Narrow {
    fn of(search: &Search, wanted: &Wanted, keys: &TermKeys) -> Narrow {
        let Wanted { quantifier, likes, padded, inquiry } = wanted;
        if let Some(inquiry) = inquiry {
            let exact = search.forms().next().is_none();
            let texts = likes.iter().map(|like| like.whole().filter(|_| exact)).collect::<Option<Vec<String>>>();
            return inquiry.narrow(search, texts.map(|texts| (*quantifier, texts)), &keys.json);
        }
        let tokens = |like: &Like| {
            let literals = like.literals();
            if let [Literal { text, starts: true, ends: true }] = &literals[..]
                && search.enc.whole_text
            {
                return vec![keys.matching.whole(text).into()];
            }
            let runs = literals.iter().map(|l| Run { text: &l.text, starts: l.starts, ends: l.ends && !padded });
            keys.matching.tokens(runs).into_iter().map(i64::from).collect::<Vec<i64>>()
        };
        match quantifier {
            Quantifier::All if likes.iter().all(Like::is_everything) => Narrow::Everything,
            Quantifier::All => {
                let mut all: Vec<i64> = likes.iter().flat_map(tokens).collect();
                all.sort_unstable();
                all.dedup();
                Narrow::All(all)
            }
            Quantifier::Any if likes.iter().any(Like::is_everything) => Narrow::Everything,
            Quantifier::Any => match likes.iter().map(|like| tokens(like).first().copied()).collect() {
                Some(each) => Narrow::Any(each),
                None => Narrow::Nothing,
            },
        }
    }

    /// The tokens to bind.
    fn tokens(&self) -> Option<&[i64]> {
        match self {
            Narrow::All(tokens) | Narrow::Any(tokens) => Some(tokens),
            Narrow::Everything | Narrow::Nothing => None,
        }
    }

    /// Too little is asked for to narrow it at all.
    fn is_empty(&self) -> bool {
        self.tokens().is_none_or(<[i64]>::is_empty)
    }
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Decides the conditions of a statement that is about to be bound. `Err` within: what the client is told.
    ///
    /// Not cancel safe.
    pub(super) async fn search(
        &mut self,
        prepared: &Prepared,
        given: &Given<'_>,
    ) -> Answer<Result<Vec<Found>, PgError>> {
        // What is asked ends with Flush: the client's own Sync, or that of its simple query, follows.
        self.state.in_batch = true;
        let cased = prepared.plan.searches.iter().find(|s| s.tells_case()).map(|s| &s.column);
        if let Some(column) = cased.or(prepared.plan.letters.as_ref()) {
            match self.learn_letters(column).await? {
                Some(Ok(())) => {}
                Some(Err(error)) => return Ok(Some(Err(error))),
                None => return Ok(None),
            }
        }
        let wanted = match operands::wanted(prepared, given, self.state.letters.as_deref()) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(Some(Err(error))),
        };
        let mut found = Vec::with_capacity(wanted.len());
        for (search, wanted) in prepared.plan.searches.iter().zip(&wanted) {
            match self.search_one(search, wanted.as_ref()).await? {
                Some(Ok(one)) => found.push(one),
                Some(Err(error)) => return Ok(Some(Err(error))),
                None => return Ok(None),
            }
        }
        Ok(Some(Ok(found)))
    }

    /// Asks the database what it makes of letters, unless this session or another one has.
    async fn learn_letters(&mut self, column: &str) -> Answer<Result<(), PgError>> {
        if self.state.letters.is_none() {
            self.state.letters = self.state.view.slot.letters();
        }
        if self.state.letters.is_some() {
            return Ok(Some(Ok(())));
        }
        let epoch = self.state.view.slot.epoch();
        let Some(rows) = self.ask(&alphabet()).await? else { return Ok(None) };
        let letters = match rows.into_iter().next().as_deref() {
            Some([Some(lower), Some(upper)]) => Letters::read(lower, upper),
            _ => {
                let Some(rows) = self.ask(LOCALE).await? else { return Ok(None) };
                Ok(Letters::simple(rows.into_iter().flatten().next().flatten().as_deref() == Some("t")))
            }
        };
        Ok(Some(match letters {
            Ok(letters) => {
                let letters = Arc::new(letters);
                self.state.view.slot.learned(epoch, Arc::clone(&letters));
                self.state.letters = Some(letters);
                Ok(())
            }
            Err(Unfollowed) => Err(errors::unfollowed_locale(column)),
        }))
    }

    /// `wanted`: `None` is NULL.
    async fn search_one(&mut self, search: &Search, wanted: Option<&Wanted>) -> Answer<Result<Found, PgError>> {
        let Some(wanted) = wanted else { return Ok(Some(Ok(Found::null(search)))) };
        self.state.exchange.turn_to(Some(Spent::Keys));
        let term_keys = self.term_keys(search).await;
        self.state.exchange.turn_to(Some(Spent::Analysis));
        let (keyset, keys) = match term_keys {
            Ok(keys) => keys,
            Err(error) => return Ok(Some(Err(error))),
        };
        self.state.tally.searched(&search.enc, 1);
        let narrow = Narrow::of(search, wanted, &keys);
        match (&narrow, &search.from) {
            (Narrow::Everything, _) => Ok(Some(Ok(Found::all(search, all_tokens(search))))),
            (narrow, None) if narrow.is_empty() => Ok(Some(Err(errors::short_pattern(&search.column)))),
            (narrow, None) => Ok(Some(Ok(Found::all(search, narrow.tokens())))),
            (narrow, Some(_)) => self.look_at(search, wanted, narrow, keyset).await,
        }
    }

    async fn term_keys(&self, search: &Search) -> Result<(KeysetId, Arc<TermKeys>), PgError> {
        let ring = &self.shared.ring;
        let keyset = match search.enc.def.keyset {
            Some(keyset) => keyset,
            None => self.state.choice.active().keyset(ring, &search.column)?,
        };
        Ok((keyset, seal::term_keys(ring, keyset, &search.enc, &search.column).await?))
    }

    /// Reads and compares the values that have the tokens.
    async fn look_at(
        &mut self,
        search: &Search,
        wanted: &Wanted,
        narrow: &Narrow,
        keyset: KeysetId,
    ) -> Answer<Result<Found, PgError>> {
        let (sql, bound) = reading(search, narrow);
        let mut looked = Looking { matching: Vec::new(), others: Vec::new() };
        let tokens_type = if search.part.is_some() { INT8_ARRAY } else { INT4_ARRAY };
        let mut query = Some((sql.as_str(), tokens_type, bound.as_deref()));
        let mut part = PART.0;
        loop {
            let Some((values, more)) = self.ask_part(query.take(), part).await? else { return Ok(None) };
            if looked.len() + values.len() > MAX_LOOKED {
                self.end_parts()?;
                return Ok(Some(Err(errors::too_many_looked(&search.column, MAX_LOOKED))));
            }
            if let Err(error) = self.compare(search, wanted, keyset, &values, &mut looked).await {
                self.end_parts()?;
                return Ok(Some(Err(error)));
            }
            if self.state.is_cancelled() {
                self.end_parts()?;
                return Ok(Some(Err(cancelled())));
            }
            if !more {
                break;
            }
            part = next_part(part, values.iter().map(Vec::len).sum());
        }
        self.end_parts()?;
        let tokens = narrow.tokens().or_else(|| all_tokens(search)).map(|tokens| tokens_array(search, tokens));
        Ok(Some(Ok(Found { tokens, matching: Some(list(&looked.matching)), others: Some(list(&looked.others)) })))
    }

    async fn compare(
        &mut self,
        search: &Search,
        wanted: &Wanted,
        keyset: KeysetId,
        values: &[Vec<u8>],
        looked: &mut Looking,
    ) -> Result<(), PgError> {
        self.state.exchange.turn_to(Some(Spent::Keys));
        self.fetch_for(&search.column, keyset, values).await?;
        self.state.exchange.turn_to(Some(Spent::Opening));
        let mut plaintext = Zeroizing::new(Vec::new());
        let letters = self.state.letters.clone();
        for value in values {
            let header = Header::parse(value).map_err(|_| errors::unreadable(&search.column, 0))?;
            let identity: Option<Identity> = value.get(IDENTITY).and_then(|bytes| bytes.try_into().ok());
            let identity = identity.ok_or_else(|| errors::unreadable(&search.column, 0))?;
            let mut outcome = Some(false);
            if self.shared.ring.keyset_of(header.kref) == Some(keyset) {
                self.open_one(search, (header.kref, header.key_id), value, &mut plaintext).await?;
                if plaintext.len() > LONG {
                    tokio::task::yield_now().await;
                }
                outcome = decided(search, wanted, &plaintext, letters.as_deref())?;
            }
            looked.add(identity, search, outcome);
        }
        Ok(())
    }

    /// Fetches the keys of values of this keyset that are not at hand.
    async fn fetch_for(&self, column: &str, keyset: KeysetId, values: &[Vec<u8>]) -> Result<(), PgError> {
        let ring = &self.shared.ring;
        let mut missing: Vec<(Kref, KeyId)> = Vec::new();
        let headers = values.iter().filter_map(|value| Header::parse(value).ok());
        for header in headers.filter(|h| ring.keyset_of(h.kref) == Some(keyset)) {
            let key = (header.kref, header.key_id);
            if !missing.contains(&key) && ring.cached(key.0, key.1).is_none() {
                missing.push(key);
            }
        }
        for part in missing.chunks(FETCH_MAX) {
            ring.fetch(part).await.map_err(|e| errors::keys(&e, column))?;
        }
        Ok(())
    }

    /// Opens a value. One that does not open is tried again under a key that was fetched with proof.
    async fn open_one(
        &mut self,
        search: &Search,
        key: (Kref, KeyId),
        value: &[u8],
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), PgError> {
        let fault = |error| errors::keys(&error, &search.column);
        for _ in 0..2 {
            let at_hand = match rows::key_for(&mut self.state, &self.shared.ring, key.0, key.1) {
                Some(at_hand) => at_hand,
                None => {
                    self.shared.ring.fetch(&[key]).await.map_err(fault)?;
                    let kept = self.shared.ring.cached(key.0, key.1);
                    kept.ok_or_else(|| errors::internal("a fetched data key was not kept"))?
                }
            };
            plaintext.clear();
            match at_hand.open(&search.enc.def.id, value, plaintext) {
                Ok(codec) if codec == search.enc.def.plain.code() => {
                    self.state.counted.opened.add(at_hand.keyset());
                    return Ok(());
                }
                Ok(_) => break,
                Err(_) => self.prove(key).await.map_err(fault)?,
            }
        }
        Err(errors::unreadable(&search.column, 0))
    }
}

/// How many values to read after a part of this many, which had this many bytes.
fn next_part(part: i32, bytes: usize) -> i32 {
    match bytes {
        few if few < PART_BYTES / 8 => (part * 8).min(PART.1),
        many if many > PART_BYTES => (part / 8).max(1),
        _ => part,
    }
}

/// Identities of the values that were compared. One for which the condition is NULL is among both.
struct Looking {
    matching: Vec<Identity>,
    others: Vec<Identity>,
}

impl Looking {
    fn len(&self) -> usize {
        self.matching.len() + self.others.len()
    }

    fn add(&mut self, identity: Identity, search: &Search, outcome: Option<bool>) {
        let (negated, asserted) = search.part.as_ref().map_or((false, false), |part| (part.negated, part.asserted));
        match outcome {
            Some(matches) if matches != negated => self.matching.push(identity),
            None if !asserted => {
                self.matching.push(identity);
                self.others.push(identity);
            }
            _ => self.others.push(identity),
        }
    }
}

/// Whether a value that was opened fulfils the condition; `None` is NULL.
fn decided(
    search: &Search,
    wanted: &Wanted,
    plaintext: &[u8],
    letters: Option<&Letters>,
) -> Result<Option<bool>, PgError> {
    let unreadable = || errors::unreadable(&search.column, 0);
    let text = std::str::from_utf8(plaintext).map_err(|_| unreadable())?;
    let compared = |text: &str| {
        let text = if search.trims() { text.trim_end_matches(' ') } else { text };
        let cased = cased(search, text, letters);
        wanted.matches(cased.as_deref().map_or(text, String::as_str))
    };
    let outcome = match &wanted.inquiry {
        Some(inquiry) => inquiry.of(search, plaintext, compared),
        None => compared(text).map(Some),
    };
    outcome.map_err(|fault| errors::seal(&fault.into(), &search.column))
}

/// The query that tells what the database makes of letters; NULLs where its encoding is another than UTF-8.
fn alphabet() -> String {
    let ranges: Vec<String> = Letters::ranges().iter().map(|(from, to)| format!("({from}, {to})")).collect();
    let groups: String = Letters::groups().chars().map(|c| format!("\\+{:06X}", u32::from(c))).collect();
    format!(
        "SELECT pg_catalog.lower(a.t), pg_catalog.upper(a.t) FROM (SELECT pg_catalog.string_agg(pg_catalog.chr(c.n), '|' ORDER BY c.n) \
         OPERATOR(pg_catalog.||) U&'{groups}' FROM (VALUES {}) AS r(a, z), LATERAL pg_catalog.generate_series(r.a, r.z) AS c(n) \
         WHERE pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.=) 'UTF8') AS a(t)",
        ranges.join(", ")
    )
}

/// A value in the case that the condition asks for; `None`: as it is.
fn cased(search: &Search, text: &str, letters: Option<&Letters>) -> Option<Zeroizing<String>> {
    search.forms().fold(None, |before: Option<Zeroizing<String>>, form| {
        let text = before.as_deref().map_or(text, String::as_str);
        letters.map(|letters| letters.map(text, form))
    })
}

/// Where every value matches: no token is asked for.
fn all_tokens(search: &Search) -> Option<&'static [i64]> {
    if search.overlap() { None } else { Some(&[]) }
}

/// The query that reads values, and its parameter.
fn reading(search: &Search, narrow: &Narrow) -> (String, Option<Vec<u8>>) {
    let (relation, column) = search.from.as_ref().map_or(("", ""), |(r, c)| (r.as_str(), c.as_str()));
    let (condition, tokens) = match narrow {
        Narrow::All(tokens) if !tokens.is_empty() => ("OPERATOR(pg_catalog.@>) $1", Some(tokens_array(search, tokens))),
        Narrow::Any(tokens) => ("OPERATOR(pg_catalog.&&) $1", Some(tokens_array(search, tokens))),
        _ => ("IS NOT NULL", None),
    };
    let term = search.term();
    let value = match search.path {
        Some(number) => format!("((x.{column}).p).{}", attribute(number)),
        None => format!("x.{column}"),
    };
    (format!("SELECT ({value}).c FROM {relation} AS x WHERE ({value}).{term} {condition}"), tokens)
}

/// Tokens in binary form: an `int8[]` of documents, else an `int4[]`.
fn tokens_array(search: &Search, tokens: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + 12 * tokens.len());
    match search.part {
        Some(_) => cell::int8_array(tokens.iter().copied(), &mut out),
        None => cell::int4_array(tokens.iter().map(|token| *token as i32), &mut out),
    }
    out
}

/// A `bytea[]` in binary form.
fn list(values: &[Identity]) -> Vec<u8> {
    let values: Vec<Option<&Identity>> = values.iter().map(Some).collect();
    let mut out = Vec::with_capacity(20 + (IDENTITY.len() + 4) * values.len());
    cell::array(BYTEA, &Dimensions::one(values.len()), &values, &mut out);
    out
}

/// Reads what a search compares with; `None` is NULL.
pub(super) fn read(
    search: &Search,
    letters: Option<&Letters>,
    operands: &Operands<'_>,
) -> Result<Option<Wanted>, PgError> {
    let inquiry = match &search.part {
        Some(_) => match Inquiry::read(search, operands)? {
            Some(inquiry) => Some(inquiry),
            None => return Ok(None),
        },
        None => None,
    };
    if !search.is_text() {
        return Ok(Some(Wanted { quantifier: Quantifier::All, likes: Vec::new(), padded: false, inquiry }));
    }
    let escape = match &search.escape {
        Some(escape) => match joined(escape, letters, operands)? {
            Some(escape) => Some(escape),
            None => return Ok(None),
        },
        None => None,
    };
    let escape = escape.as_deref().map(String::as_str);
    let like = |pattern: &str| match (search.looked, letters) {
        (Looked::Prefix, _) => Ok(Like::prefix(pattern)),
        (Looked::Equal, _) => Ok(Like::equal(pattern)),
        (_, Some(letters)) if search.lowers() => Like::lower(pattern, escape, letters),
        _ => Like::new(pattern, escape),
    };
    let like = |pattern: &str| like(pattern).map_err(|fault| errors::seal(&fault.into(), &search.column));
    let (quantifier, patterns) = match &search.patterns {
        Patterns::One(pattern) => (Quantifier::All, vec![joined(pattern, letters, operands)?]),
        Patterns::List(quantifier, list) => {
            (*quantifier, list.iter().map(|p| joined(p, letters, operands)).collect::<Result<_, _>>()?)
        }
        Patterns::Array(quantifier, n) => match operands.array(*n)? {
            Some(list) => (*quantifier, list),
            None => return Ok(None),
        },
        Patterns::None => (Quantifier::All, Vec::new()),
    };
    if patterns.iter().any(Option::is_none) {
        return match patterns.len() {
            1 => Ok(None),
            _ => Err(errors::odd_patterns(&search.column, "NULL among the patterns")),
        };
    }
    if patterns.is_empty() {
        return Err(errors::odd_patterns(&search.column, "an empty array of patterns"));
    }
    let likes = patterns.iter().flatten().map(|pattern| like(pattern)).collect::<Result<_, _>>()?;
    Ok(Some(Wanted { quantifier, likes, padded: search.trims(), inquiry }))
}

/// The text of a pattern; `None` is NULL.
fn joined(
    pattern: &Pattern,
    letters: Option<&Letters>,
    operands: &Operands<'_>,
) -> Result<Option<Zeroizing<String>>, PgError> {
    let (parts, strict) = match pattern {
        Pattern::Null => return Ok(None),
        Pattern::Value(n) => return operands.text(*n),
        Pattern::Cased(form, inner) => {
            let letters = letters.ok_or_else(|| errors::internal("the database's letters are not known"))?;
            return Ok(joined(inner, Some(letters), operands)?.map(|inner| letters.map(&inner, *form)));
        }
        Pattern::Joined(parts) => (parts, true),
        Pattern::Concat(parts) => (parts, false),
    };
    let mut whole = Zeroizing::new(String::new());
    for part in parts {
        match joined(part, letters, operands)? {
            Some(part) => {
                let mut longer = Zeroizing::new(String::with_capacity(whole.len() + part.len()));
                longer.push_str(&whole);
                longer.push_str(&part);
                whole = longer;
            }
            None if strict => return Ok(None),
            None => {}
        }
    }
    Ok(Some(whole))
}
