//! The rules of the house that a program can check: which way the arrows point, and that both stores migrate alike.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Imported by everybody, importing nothing of ours.
const LEAVES: &[&str] = &["clock", "config", "telemetry"];
/// Each module and what it may import besides the leaves. Adding an arrow is a decision about the design, not a formality.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &["app", "http", "worker", "emulator", "ingest", "store", "routing", "handler", "model", "connectly"],
    ),
    ("app", &["http", "worker", "emulator", "ingest", "store", "routing", "handler", "model", "connectly"]),
    ("http", &["ingest", "store", "routing", "handler", "model", "connectly"]),
    ("worker", &["ingest", "store", "routing", "handler", "model", "connectly"]),
    ("emulator", &["connectly"]),
    ("ingest", &["store", "routing", "handler", "model", "connectly"]),
    ("store", &["model", "connectly"]),
    ("routing", &["model", "connectly"]),
    ("handler", &["model", "connectly"]),
    ("testing", &["handler", "model", "connectly"]),
    ("model", &["connectly"]),
    ("connectly", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("telemetry", &[]),
];

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for file in rust_files(Path::new("src")) {
        let Some(module) = module_of(&file) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        for imported in imports(&text) {
            if imported != module && !may_import(&module, &imported) {
                wrong.push(format!("{}: `{module}` imports `{imported}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_stands_in_the_table() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in declared {
        assert!(ARROWS.iter().any(|(name, _)| *name == module), "`{module}` has no row in ARROWS");
    }
}

#[test]
fn the_emulator_shares_only_the_signature() {
    for file in rust_files(Path::new("src/emulator")) {
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| line.contains("connectly::")) {
            assert!(line.contains("connectly::signature"), "{}: {line}", file.display());
        }
    }
}

#[test]
fn every_endpoint_of_the_admin_listener_is_described() {
    // `routes!` takes a handler together with its description; `route` would take one without. Pages for people need none.
    let pages = Path::new("src/http/admin/document/page.rs");
    for file in rust_files(Path::new("src/http/admin")).iter().filter(|file| *file != pages) {
        let text = fs::read_to_string(file).unwrap();
        for line in text.lines().filter(|line| line.contains(".route(")) {
            let is_described_enough =
                line.contains("any(frame::not_found)") || line.contains("get(front_page)");
            assert!(is_described_enough, "{}: {line}", file.display());
        }
    }
}

#[test]
fn both_stores_have_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("migrations/postgres"), names("migrations/sqlite"));
}

fn may_import(module: &str, imported: &str) -> bool {
    let known = ARROWS.iter().any(|(name, _)| *name == imported);
    let allowed =
        ARROWS.iter().find(|(name, _)| *name == module).is_some_and(|(_, to)| to.contains(&imported));
    !known || LEAVES.contains(&imported) || allowed
}

/// The top-level module a file belongs to; the crate's root and the binary belong to none.
fn module_of(file: &Path) -> Option<String> {
    let below = file.strip_prefix("src").ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib" && name != "main").then(|| name.to_owned())
}

/// The names after every `crate::`, comments left out; `crate::{a, b}` counts as both.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (position, _) in code.match_indices("crate::") {
        let rest = &code[position + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = &group[..group.find("};").unwrap_or(group.len())];
            let mut depth = 0;
            let top: String = group
                .chars()
                .filter(|c| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                })
                .collect();
            found.extend(top.split(',').map(|item| first_word(item.trim())));
        } else {
            found.insert(first_word(rest));
        }
    }
    found.remove("");
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
