//! A JSON document as a tree in one arena, for sorting keys and printing.

use std::borrow::Cow;

use super::lex::Token;
use super::{MAX_TEXT, Result, too_long, walk};
use crate::wire::value::numeric;

/// How numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// As numeric prints what was written: the scale is kept.
    AsWritten,
    /// Without trailing zeros of the fraction, so that equal numbers are written equally.
    Canonical,
}

pub(super) enum Node<'a> {
    Word(&'static str),
    /// Range of [`Tree::numbers`].
    Number(usize, usize),
    Text(Cow<'a, str>),
    Array(Vec<usize>),
    Object(Vec<(Cow<'a, str>, usize)>),
}

/// A document; node 0 is its root.
pub(super) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    numbers: Vec<u8>,
}

impl<'a> Tree<'a> {
    /// Reads a document, resolving escapes, sorting keys and dropping all but the last of equal ones.
    pub(super) fn build(text: &'a str, numbers: Numbers) -> Result<Tree<'a>> {
        let mut tree = Tree { nodes: Vec::new(), numbers: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        let mut scratch = Vec::new();
        let mut pending_key: Option<Cow<'a, str>> = None;
        walk(text, true, |token, is_key| {
            let node = match token {
                Token::Mark(b']' | b'}') => {
                    tree.close(open.pop());
                    return Ok(());
                }
                Token::Mark(b'[') => Node::Array(Vec::new()),
                Token::Mark(b'{') => Node::Object(Vec::new()),
                Token::Mark(_) => return Ok(()),
                Token::Text(text) if is_key => {
                    pending_key = Some(text);
                    return Ok(());
                }
                Token::Text(text) => Node::Text(text),
                Token::Word(word) => Node::Word(word),
                Token::Number(text) => tree.number(text, numbers, &mut scratch)?,
            };
            let container = matches!(node, Node::Array(_) | Node::Object(_));
            let index = tree.nodes.len();
            tree.nodes.push(node);
            tree.attach(open.last().copied(), index, &mut pending_key);
            if container {
                open.push(index);
            }
            Ok(())
        })?;
        Ok(tree)
    }

    fn number(&mut self, text: &str, numbers: Numbers, scratch: &mut Vec<u8>) -> Result<Node<'a>> {
        scratch.clear();
        numeric::parse(text, scratch)?;
        let start = self.numbers.len();
        match numbers {
            Numbers::AsWritten => numeric::print(scratch, &mut self.numbers)?,
            Numbers::Canonical => numeric::print_plain(scratch, &mut self.numbers)?,
        }
        if self.numbers.len() > MAX_TEXT {
            return Err(too_long());
        }
        Ok(Node::Number(start, self.numbers.len()))
    }

    fn attach(&mut self, parent: Option<usize>, index: usize, key: &mut Option<Cow<'a, str>>) {
        match parent.map(|p| &mut self.nodes[p]) {
            Some(Node::Array(items)) => items.push(index),
            Some(Node::Object(entries)) => entries.push((key.take().unwrap_or_default(), index)),
            _ => {}
        }
    }

    fn close(&mut self, index: Option<usize>) {
        let Some(Node::Object(entries)) = index.map(|i| &mut self.nodes[i]) else { return };
        // Later entries of equal keys first, so that the one kept is the last.
        entries
            .sort_by(|(a, at_a), (b, at_b)| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())).then(at_b.cmp(at_a)));
        entries.dedup_by(|(a, _), (b, _)| a == b);
    }

    /// The same, with texts of its own.
    pub(super) fn into_owned(self) -> Tree<'static> {
        let owned = |text: Cow<'a, str>| -> Cow<'static, str> { Cow::Owned(text.into_owned()) };
        let nodes = self.nodes.into_iter().map(|node| match node {
            Node::Word(word) => Node::Word(word),
            Node::Number(start, end) => Node::Number(start, end),
            Node::Text(text) => Node::Text(owned(text)),
            Node::Array(items) => Node::Array(items),
            Node::Object(entries) => {
                Node::Object(entries.into_iter().map(|(key, child)| (owned(key), child)).collect())
            }
        });
        Tree { nodes: nodes.collect(), numbers: self.numbers }
    }

    /// A number as it is printed.
    pub(super) fn number_at(&self, start: usize, end: usize) -> &str {
        std::str::from_utf8(&self.numbers[start..end]).unwrap_or_default()
    }

    /// Prints with PostgreSQL's spacing.
    pub(super) fn print(&self, out: &mut Vec<u8>) -> Result<()> {
        self.print_at(0, out)
    }

    /// The same of a part.
    pub(super) fn print_at(&self, node: usize, out: &mut Vec<u8>) -> Result<()> {
        // Containers being printed, each with how many children are done.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let start = out.len();
        self.enter(node, &mut open, out);
        while let Some((index, done)) = open.last_mut() {
            let (child, end) = match &self.nodes[*index] {
                Node::Array(items) => (items.get(*done).copied(), b']'),
                Node::Object(entries) => (entries.get(*done).map(|(_, child)| *child), b'}'),
                _ => (None, b' '),
            };
            let Some(child) = child else {
                out.push(end);
                open.pop();
                continue;
            };
            if *done > 0 {
                out.extend_from_slice(b", ");
            }
            if let Node::Object(entries) = &self.nodes[*index] {
                push_string(entries[*done].0.as_bytes(), out);
                out.extend_from_slice(b": ");
            }
            *done += 1;
            self.enter(child, &mut open, out);
            if out.len() - start > MAX_TEXT {
                return Err(too_long());
            }
        }
        Ok(())
    }

    fn enter(&self, index: usize, open: &mut Vec<(usize, usize)>, out: &mut Vec<u8>) {
        match &self.nodes[index] {
            Node::Word(word) => out.extend_from_slice(word.as_bytes()),
            Node::Number(start, end) => out.extend_from_slice(&self.numbers[*start..*end]),
            Node::Text(text) => push_string(text.as_bytes(), out),
            Node::Array(_) => {
                out.push(b'[');
                open.push((index, 0));
            }
            Node::Object(_) => {
                out.push(b'{');
                open.push((index, 0));
            }
        }
    }
}

/// Appends a JSON string, as PostgreSQL's escape_json.
pub fn push_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
