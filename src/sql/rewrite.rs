//! Edits of a statement's text, and the templates they make.
//!
//! An edit replaces a span of the client's text by fixed text, in one or both forms. What no edit covers is copied;
//! comments become a space, literals stay pieces of their own. In the fixed text a mark may stand for another part of the
//! statement as it is rewritten: the value of a select item, for a clause that names it.

use std::borrow::Cow;

use super::lex::{Lexed, is_word_part};
use super::plan::{Piece, Template};
use super::refuse::{self, Result, TOO_COMPLEX};
use crate::wire::sqlstate::SqlState;

/// Text put in place of `start..end`; `None` leaves the span as it is in that form.
#[derive(Clone, Debug)]
struct Edit {
    start: u32,
    end: u32,
    /// Insertions at one place stand in this order.
    order: usize,
    described: Option<Cow<'static, str>>,
    executed: Option<Cow<'static, str>>,
}

/// Stands before and after the number of a copy. No statement that has it in its own text is copied from, and in one
/// without copies it stands for itself.
pub(super) const MARK: char = '\u{1}';

/// Deepest nesting of copies.
const MAX_DEPTH: usize = 8;

/// A part of the statement that stands in another place too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) span: (u32, u32),
    /// Edits at its ends belong to it if they were made before.
    pub(super) order: usize,
}

/// The edits of one statement.
#[derive(Default, Debug)]
pub(super) struct Edits {
    list: Vec<Edit>,
    orders: usize,
    copies: Vec<Part>,
    /// From here on edits are those of values, which belong to every part they stand in.
    values: Option<usize>,
}

impl Edits {
    /// Replaces a span alike in both forms.
    pub(super) fn both(&mut self, span: (u32, u32), text: impl Into<Cow<'static, str>>) {
        let text = text.into();
        self.each(span, Some(text.clone()), Some(text));
    }

    /// Replaces a span in the executed form alone.
    pub(super) fn executed(&mut self, span: (u32, u32), text: impl Into<Cow<'static, str>>) {
        self.each(span, None, Some(text.into()));
    }

    /// Replaces a span in the two forms.
    pub(super) fn each(
        &mut self,
        span: (u32, u32),
        described: Option<Cow<'static, str>>,
        executed: Option<Cow<'static, str>>,
    ) {
        let order = self.next_order();
        self.list.push(Edit { start: span.0, end: span.1, order, described, executed });
    }

    /// A place in the order of insertions, for one that is decided on later.
    pub(super) fn next_order(&mut self) -> usize {
        self.orders += 1;
        self.orders
    }

    /// Puts text at a place, in the order that was reserved for it.
    pub(super) fn insert(&mut self, at: u32, order: usize, text: String) {
        self.insert_each(at, order, Some(text.clone()), Some(text));
    }

    /// Puts text at a place in the two forms, in the order that was reserved for it.
    pub(super) fn insert_each(&mut self, at: u32, order: usize, described: Option<String>, executed: Option<String>) {
        let (described, executed) = (described.map(Cow::from), executed.map(Cow::from));
        self.list.push(Edit { start: at, end: at, order, described, executed });
    }

    /// The part of the statement at a span, with the edits made so far.
    pub(super) fn part(&mut self, span: (u32, u32)) -> Part {
        Part { span, order: self.next_order() }
    }

    /// What stands for a part in the text of an edit.
    pub(super) fn copy(&mut self, part: Part) -> String {
        self.copies.push(part);
        format!("{MARK}{}{MARK}", self.copies.len() - 1)
    }

    /// Edits that follow are those of values.
    pub(super) fn values_follow(&mut self) {
        self.values = Some(self.next_order());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts `before` and `after` around a span in the executed form.
    pub(super) fn wrap(&mut self, span: (u32, u32), before: &'static str, after: &'static str) {
        self.executed((span.0, span.0), before);
        self.executed((span.1, span.1), after);
    }

    /// As [`wrap`](Self::wrap), in both forms.
    pub(super) fn wrap_both(&mut self, span: (u32, u32), before: &'static str, after: &'static str) {
        self.both((span.0, span.0), before);
        self.both((span.1, span.1), after);
    }

    /// The described and the executed template.
    pub(super) fn templates(mut self, text: &str, lexed: &Lexed) -> Result<(Template, Template)> {
        // At one place insertions come before replacements.
        self.list.sort_unstable_by_key(|e| (e.start, e.end > e.start, e.order));
        let atoms = Atoms::of(lexed);
        let described = Builder::new(text, &atoms, &self, |e| e.described.as_deref()).build()?;
        let executed = Builder::new(text, &atoms, &self, |e| e.executed.as_deref()).build()?;
        Ok((described, executed))
    }

    /// Whether an edit belongs to a part.
    fn belongs(&self, edit: &Edit, part: Part) -> bool {
        let (start, end) = part.span;
        let at_end = edit.start == start || edit.end == end;
        let of_value = self.values.is_some_and(|values| edit.order > values);
        start <= edit.start && edit.end <= end && (!at_end || of_value || edit.order < part.order)
    }
}

/// Literals and comments of a text in order, as (start, end, is literal).
struct Atoms(Vec<(u32, u32, bool)>);

impl Atoms {
    fn of(lexed: &Lexed) -> Atoms {
        let literals = lexed.tokens.iter().filter(|t| t.is_literal()).map(|t| (t.start, t.end, true));
        let mut atoms: Vec<_> = literals.collect();
        if !lexed.comments.is_empty() {
            atoms.extend(lexed.comments.iter().map(|&(start, end)| (start, end, false)));
            atoms.sort_unstable();
        }
        Atoms(atoms)
    }
}

/// A place in a text.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Next atom, how many literals precede it, how many bytes the skeleton lacks before it.
    next: usize,
    literals: usize,
    cut: u32,
}

struct Builder<'t> {
    text: &'t str,
    atoms: &'t [(u32, u32, bool)],
    edits: &'t Edits,
    form: fn(&'t Edit) -> Option<&'t str>,
    place: Place,
    /// How deep the copy at hand is nested.
    depth: usize,
    pieces: Vec<Piece>,
    /// Whether the last byte written may belong to a word.
    word: bool,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, atoms: &'t Atoms, edits: &'t Edits, form: fn(&'t Edit) -> Option<&'t str>) -> Self {
        let place = Place::default();
        Builder { text, atoms: &atoms.0, edits, form, place, depth: 0, pieces: Vec::new(), word: false }
    }

    fn build(mut self) -> Result<Template> {
        self.write((0, self.text.len() as u32), |_| true)?;
        Ok(Template { pieces: self.pieces })
    }

    /// Writes a span with the edits that belong to it.
    fn write(&mut self, (mut at, end): (u32, u32), belongs: impl Fn(&Edit) -> bool) -> Result<()> {
        let (form, edits) = (self.form, self.edits);
        for edit in edits.list.iter().filter(|edit| belongs(edit)) {
            let Some(new) = form(edit) else { continue };
            if edit.start < at || edit.end < edit.start {
                return Err(refuse::with(SqlState::INTERNAL_ERROR, "edits of this statement overlap"));
            }
            self.copy(at, edit.start);
            let source = edit.start - self.place.cut;
            match edits.copies.is_empty() {
                true => self.fixed(new, source),
                false => self.fixed_with_copies(new, source)?,
            }
            self.skip(edit.end);
            at = edit.end;
        }
        self.copy(at, end);
        Ok(())
    }

    fn fixed_with_copies(&mut self, new: &str, source: u32) -> Result<()> {
        for (i, part) in new.split(MARK).enumerate() {
            match i % 2 {
                0 => self.fixed(part, source),
                _ => self.paste(part)?,
            }
        }
        Ok(())
    }

    /// Writes a copy of a part of the statement.
    fn paste(&mut self, number: &str) -> Result<()> {
        let part = number.parse().ok().and_then(|number: usize| self.edits.copies.get(number).copied());
        let Some(part) = part.filter(|_| self.depth < MAX_DEPTH) else {
            return Err(refuse::with(TOO_COMPLEX, "computed encrypted columns of this statement are nested too deep"));
        };
        let before = self.place;
        self.place = Place::default();
        self.skip(part.span.0);
        self.depth += 1;
        let edits = self.edits;
        self.write(part.span, |edit| edits.belongs(edit, part))?;
        self.depth -= 1;
        self.place = before;
        Ok(())
    }

    /// Passes over atoms before `end` without writing them.
    fn skip(&mut self, end: u32) {
        while let Some(&(start, stop, literal)) = self.atoms.get(self.place.next).filter(|a| a.0 < end) {
            self.place.next += 1;
            self.place.literals += usize::from(literal);
            self.place.cut += stop - start - 1;
        }
    }

    fn copy(&mut self, mut at: u32, end: u32) {
        while let Some(&(start, stop, literal)) = self.atoms.get(self.place.next).filter(|a| a.0 < end) {
            self.verbatim(at, start);
            if literal {
                self.space(true, start - self.place.cut);
                self.pieces.push(Piece::Literal(self.place.literals));
                self.word = true;
            } else {
                self.append(" ", start - self.place.cut, true);
            }
            self.skip(start + 1);
            at = stop;
        }
        self.verbatim(at, end);
    }

    fn verbatim(&mut self, start: u32, end: u32) {
        if start < end {
            let part = &self.text[start as usize..end as usize];
            self.space(part.as_bytes().first().is_some_and(|b| is_word_part(*b)), start - self.place.cut);
            self.append(part, start - self.place.cut, true);
        }
    }

    fn fixed(&mut self, new: &str, source: u32) {
        if new.is_empty() {
            return;
        }
        self.space(new.as_bytes().first().is_some_and(|b| is_word_part(*b)), source);
        self.append(new, source, false);
    }

    /// Keeps two words apart that did not meet in the client's text.
    fn space(&mut self, word: bool, source: u32) {
        if self.word && word {
            self.append(" ", source, false);
        }
    }

    fn append(&mut self, part: &str, source: u32, copied: bool) {
        self.word = part.as_bytes().last().is_some_and(|b| is_word_part(*b));
        if let Some(Piece::Text { text, source: from, copied: true }) = self.pieces.last_mut()
            && copied
            && *from + text.len() == source as usize
        {
            text.push_str(part);
            return;
        }
        self.pieces.push(Piece::Text { text: part.to_string(), source: source as usize, copied });
    }
}
