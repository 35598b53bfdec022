//! How the source is laid out: rooms depend one way only, as the table in `src/lib.rs` says; files and functions stay
//! short; only `config` reads the environment and only `cli` prints. Test code is exempt.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const MAX_FILE: usize = 600;
const MAX_FUNCTION: usize = 80;
const PRINTS: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];

#[test]
fn rooms_depend_one_way() {
    let table = Table::read();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(allowed) = table.allowed(&source.room) else {
            wrong.push(format!("{}: room {} is not in the table of src/lib.rs", source.shown(), source.room));
            continue;
        };
        for room in &source.findings().rooms {
            if *room != source.room && !allowed.contains(room) {
                wrong.push(format!("{}: {} may not use {room}", source.shown(), source.room));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    let table = Table::read();
    let mut placed = BTreeSet::new();
    // Each room uses only rooms that were placed before it, in some order.
    while placed.len() < table.0.len() {
        let next = table.0.iter().find(|(room, uses)| {
            !placed.contains(*room) && uses.iter().all(|used| used == *room || placed.contains(used))
        });
        let (room, _) = next.unwrap_or_else(|| panic!("a cycle among the rooms outside {placed:?}"));
        placed.insert(room.clone());
    }
}

#[test]
fn every_room_of_the_table_exists() {
    for room in Table::read().0.keys() {
        let src = root().join("src");
        assert!(src.join(room).is_dir() || src.join(format!("{room}.rs")).is_file(), "room {room} is gone");
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for source in sources() {
        let findings = source.findings();
        if findings.lines > MAX_FILE {
            long.push(format!("{}: {} lines, {MAX_FILE} is the end", source.shown(), findings.lines));
        }
        for (name, lines) in findings.functions.iter().filter(|(_, lines)| *lines > MAX_FUNCTION) {
            long.push(format!("{}: fn {name} has {lines} lines, {MAX_FUNCTION} is the end", source.shown()));
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn only_config_reads_the_environment_and_only_cli_prints() {
    let mut wrong = Vec::new();
    for source in sources() {
        let findings = source.findings();
        if findings.environment && source.room != "config" {
            wrong.push(format!("{}: uses std::env", source.shown()));
        }
        for name in findings.prints.iter().filter(|_| source.room != "cli") {
            wrong.push(format!("{}: uses {name}!", source.shown()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> =
        sources().iter().filter(|source| !source.text.starts_with("//! ")).map(Source::shown).collect();
    assert!(silent.is_empty(), "no module documentation in {silent:?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rooms and what each may use, from the documentation of `src/lib.rs`.
struct Table(BTreeMap<String, BTreeSet<String>>);

impl Table {
    fn read() -> Table {
        let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs can be read");
        let rows: Vec<(String, String)> = lib
            .lines()
            .filter_map(|line| line.strip_prefix("//! ")?.split_once(" -> "))
            .map(|(room, uses)| {
                // What follows two spaces is the room's description.
                (room.trim().to_owned(), uses.split("  ").next().unwrap_or(uses).trim().to_owned())
            })
            .collect();
        let all: BTreeSet<String> = rows.iter().map(|(room, _)| room.clone()).collect();
        let uses = |room: &str, text: &str| match text {
            "-" => BTreeSet::new(),
            "all" => all.iter().filter(|other| *other != room).cloned().collect(),
            "Settings of every room" => all.iter().filter(|other| *other != room && *other != "app").cloned().collect(),
            list => list.split_whitespace().map(str::to_owned).collect(),
        };
        Table(rows.iter().map(|(room, text)| (room.clone(), uses(room, text))).collect())
    }

    /// `cli` and `main` belong to the binary and may use every room.
    fn allowed(&self, room: &str) -> Option<BTreeSet<String>> {
        match room {
            "cli" | "main" | "lib" => Some(self.0.keys().cloned().collect()),
            room => self.0.get(room).cloned(),
        }
    }
}

/// A source file that is not test code.
struct Source {
    path: PathBuf,
    room: String,
    /// Names of the modules from the crate's root to the file.
    module: Vec<String>,
    text: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    assert!(found.len() > 20, "the source is there");
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("src can be read").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && stem != "tests" {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
            found.push(Source::read(path));
        }
    }
}

impl Source {
    fn read(path: PathBuf) -> Source {
        let inside = path.strip_prefix(root().join("src")).expect("it lies in src").with_extension("");
        let mut module: Vec<String> =
            inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let room = module[0].clone();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        Source { path, room, module, text }
    }

    fn shown(&self) -> String {
        self.path.strip_prefix(root()).expect("it lies in the package").display().to_string()
    }

    fn findings(&self) -> Findings {
        let file = syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.shown()));
        let mut findings =
            Findings { module: self.module.clone(), lines: self.text.lines().count(), ..Findings::default() };
        findings.visit_file(&file);
        findings
    }
}

#[derive(Default)]
struct Findings {
    module: Vec<String>,
    rooms: BTreeSet<String>,
    functions: Vec<(String, usize)>,
    prints: BTreeSet<String>,
    environment: bool,
    /// Lines outside test modules.
    lines: usize,
}

impl Findings {
    /// Takes note of a path written in the current module.
    fn path(&mut self, path: &[String]) {
        let ups = path.iter().take_while(|part| *part == "super").count();
        if path[0] == "crate" {
            self.rooms.extend(path.get(1).cloned());
        } else if ups >= self.module.len() && ups > 0 {
            self.rooms.extend(path.get(ups).cloned());
        }
        // Paths that tell of the machine, not of settings, are no business of `config`.
        let machine = path.get(2).is_some_and(|name| ["temp_dir", "current_exe", "consts"].contains(&name.as_str()));
        if path.len() >= 2 && path[0] == "std" && path[1] == "env" && !machine {
            self.environment = true;
        }
    }

    fn tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
            syn::UseTree::Name(name) => self.leaf(before, name.ident.to_string()),
            syn::UseTree::Rename(name) => self.leaf(before, name.ident.to_string()),
            syn::UseTree::Glob(_) => self.leaf(before, "*".to_owned()),
        }
    }

    fn leaf(&mut self, before: &[String], name: String) {
        let mut whole = before.to_vec();
        whole.push(name);
        self.path(&whole);
    }

    fn function(&mut self, name: &syn::Ident, span: proc_macro2::Span) {
        self.functions.push((name.to_string(), span.end().line + 1 - span.start().line));
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Findings {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) {
            let span = item.span();
            self.lines -= span.end().line + 1 - span.start().line;
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.tree(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if let Some(name) = item.path.segments.last().map(|segment| segment.ident.to_string()) {
            self.prints.extend(PRINTS.contains(&name.as_str()).then_some(name));
        }
        let words: Vec<String> = words(&item.tokens.to_string());
        for window in words.windows(3).filter(|window| window[1] == "::") {
            if window[0] == "crate" || window[0] == "std" {
                self.path(&[window[0].clone(), window[2].clone()]);
            }
        }
        visit::visit_macro(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig.ident, item.block.span());
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig.ident, item.block.span());
            visit::visit_impl_item_fn(self, item);
        }
    }
}

/// Identifiers and `::` of a macro's tokens, other signs as they stand.
fn words(tokens: &str) -> Vec<String> {
    tokens.replace("::", " :: ").split_whitespace().map(str::to_owned).collect()
}
