//! Which files of a crate import from which, as its source says.
//!
//! A file is read as tokens. What stands under `#[cfg(test)]` is left out, and so are the files of
//! modules that are declared there. A path leads to the file that defines its item: re-exports are
//! followed, so that a `mod.rs` which only gathers names is imported by nobody. For the same reason a
//! re-export is an import only where the file itself uses the name. Globs are not followed.

mod module;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::TokenStream;

use module::{Found, Module, Names};

/// The files of a crate and what they import from each other.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Paths below `src`, without those of tests. The root, `lib.rs` or `main.rs`, comes first.
    pub(crate) files: Vec<String>,
    pub(crate) imports: Vec<Import>,
}

/// A path in one file to an item of another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) line: usize,
    /// The path, as from the root of the crate.
    pub(crate) path: String,
    pub(crate) to: String,
}

impl Imports {
    /// Reads a crate, given how to read its files by their paths below `src`.
    pub(crate) fn read(root: &str, source: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut modules = Modules::default();
        modules.add(Vec::new(), root.to_owned(), source);
        let mut imports = BTreeSet::new();
        for module in modules.0.values() {
            for (line, path, to) in modules.imports_of(module) {
                let (from, path) = (module.file.clone(), path.join("::"));
                imports.insert(Import {
                    from,
                    line,
                    path,
                    to,
                });
            }
        }
        Self {
            files: modules.0.into_values().map(|module| module.file).collect(),
            imports: imports.into_iter().collect(),
        }
    }

    /// Reads a crate from its folder `src`.
    pub(crate) fn read_folder(src: &Path) -> Self {
        let is_library = src.join("lib.rs").is_file();
        let root = if is_library { "lib.rs" } else { "main.rs" };
        Self::read(root, &|file| std::fs::read_to_string(src.join(file)).ok())
    }
}

/// Modules that are files, by their path.
#[derive(Default)]
struct Modules(BTreeMap<Names, Module>);

impl Modules {
    fn add(&mut self, path: Names, file: String, source: &dyn Fn(&str) -> Option<String>) {
        let text = source(&file).unwrap_or_else(|| panic!("cannot read {file}"));
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
        let mut module = Module {
            path: path.clone(),
            file: file.clone(),
            ..Module::default()
        };
        module.read(tokens, &path);
        let folder = if path.is_empty() {
            String::new()
        } else {
            let stem = file.strip_suffix(".rs").unwrap_or(&file);
            format!("{}/", stem.strip_suffix("/mod").unwrap_or(stem))
        };
        for child in &module.children {
            let of_child = [&path[..], std::slice::from_ref(child)].concat();
            let alone = format!("{folder}{child}.rs");
            let is_alone = source(&alone).is_some();
            let file = if is_alone {
                alone
            } else {
                format!("{folder}{child}/mod.rs")
            };
            self.add(of_child, file, source);
        }
        self.0.insert(path, module);
    }

    /// The imports of a module: line, path from the root, file.
    fn imports_of(&self, module: &Module) -> Vec<(usize, Names, String)> {
        let mut out = Vec::new();
        let mut add = |found: &Found, is_use: bool| {
            let Some(path) = self.absolute(found, module) else {
                return;
            };
            let (target, is_module) = self.target(&path, 0);
            // A module that got a short name is used by the paths that begin with it.
            if target.file != module.file && !(is_use && is_module) {
                out.push((found.line, path, target.file.clone()));
            }
        };
        for found in &module.paths {
            add(found, false);
        }
        for one in &module.uses {
            let name = one.name.as_ref();
            if !one.is_public || name.is_none_or(|name| module.words.contains(name)) {
                add(&one.path, one.name.is_some());
            }
        }
        out
    }

    /// A path from the root. `None` if it leads out of the crate, or to what is in scope otherwise.
    fn absolute(&self, found: &Found, module: &Module) -> Option<Names> {
        let mut at = found.around.clone();
        let mut names = found.names.iter().peekable();
        match names.next()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
                while names.next_if(|name| *name == "super").is_some() {
                    at.pop();
                }
            }
            name if at == module.path && module.children.iter().any(|child| child == name) => {
                at.push(name.to_owned());
            }
            name => {
                let one = module.named(name, &found.around)?;
                // `use name;` says nothing about where the name is from.
                if one.path.names[0] == name {
                    return None;
                }
                at = self.absolute(&one.path, module)?;
            }
        }
        at.extend(names.cloned());
        Some(at)
    }

    /// The module that defines what a path from the root leads to, and whether it is that itself.
    fn target(&self, path: &[String], depth: usize) -> (&Module, bool) {
        assert!(depth < 20, "re-exports in a circle: {path:?}");
        let mut module = &self.0[&Names::new()];
        for (at, name) in path.iter().enumerate() {
            let is_last = at + 1 == path.len();
            let child = || self.0.get(&path[..=at]);
            let one = module.named(name, &module.path);
            let re_export = one.and_then(|one| self.absolute(&one.path, module));
            // A module and a function in it may have one name; then the function is meant.
            match (child(), re_export) {
                (Some(child), None) => module = child,
                (Some(child), Some(_)) if !is_last => module = child,
                (_, Some(mut other)) => {
                    other.extend_from_slice(&path[at + 1..]);
                    return self.target(&other, depth + 1);
                }
                (None, None) => return (module, false),
            }
        }
        (module, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The imports of a crate of these files, as `from:line path > to`.
    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let source = |file: &str| {
            let found = files.iter().find(|(name, _)| *name == file);
            found.map(|(_, text)| (*text).to_owned())
        };
        let imports = Imports::read("lib.rs", &source).imports.into_iter();
        imports
            .map(|one| format!("{}:{} {} > {}", one.from, one.line, one.path, one.to))
            .collect()
    }

    #[test]
    fn paths_lead_to_the_files_that_define_things() {
        let files = [
            ("lib.rs", "pub mod a; mod b; pub use b::inner::Deep;"),
            (
                "a.rs",
                "use std::fmt;\nuse crate::b::{self, Near, Top, inner::{Deep as D, other}};\nfn f(x: crate::Deep) -> b::inner::Deep { x }",
            ),
            (
                "b/mod.rs",
                "pub(crate) mod inner;\npub(crate) use self::inner::Near;\npub(crate) struct Top;",
            ),
            (
                "b/inner.rs",
                "pub struct Deep;\nuse super::Top;\nfn f() { vec![crate::a::f()]; }",
            ),
        ];
        assert_eq!(
            imports(&files),
            [
                "a.rs:2 b::Near > b/inner.rs",
                "a.rs:2 b::Top > b/mod.rs",
                "a.rs:2 b::inner::Deep > b/inner.rs",
                "a.rs:2 b::inner::other > b/inner.rs",
                "a.rs:3 Deep > b/inner.rs",
                "a.rs:3 b::inner::Deep > b/inner.rs",
                "b/inner.rs:2 b::Top > b/mod.rs",
                "b/inner.rs:3 a::f > a.rs",
            ]
        );
    }

    #[test]
    fn a_parent_imports_from_a_child_by_using_it() {
        let parent = |text: &'static str| {
            let files = [("lib.rs", "mod a;"), ("a/mod.rs", text), ("a/b.rs", "")];
            imports(&files)
        };
        assert!(parent("mod b; pub use b::f;").is_empty());
        assert_eq!(parent("mod b; use b::f;"), ["a/mod.rs:1 a::b::f > a/b.rs"]);
        let re_exported = parent("mod b;\npub use b::f;\nfn g() { f() }");
        assert_eq!(re_exported, ["a/mod.rs:2 a::b::f > a/b.rs"]);
        let called = parent("mod b;\nfn g() { <B as b::T>::b::c(x.b) }");
        assert_eq!(called, ["a/mod.rs:2 a::b::T > a/b.rs"]);
    }

    #[test]
    fn modules_inside_a_file_know_where_they_are() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "mod inside {\nuse super::super::b::X;\nuse super::Y;\npub(in crate::b) struct Z { y: super::Y }\n}",
            ),
            ("b.rs", "use crate::a::inside::Z;"),
        ];
        assert_eq!(
            imports(&files),
            ["a.rs:2 b::X > b.rs", "b.rs:1 a::inside::Z > a.rs"]
        );
    }

    #[test]
    fn tests_are_left_out() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "#[cfg(test)] use crate::b::{X};\n#[cfg(test)]\n#[path = \"x\"]\nmod t;\n#[cfg(test)] mod tests { use crate::b::X; }\n#[cfg(test)] fn f(a: [u8; 3]) { crate::b::f() }\n// crate::b::f()\n/// crate::b::f()\nconst A: &str = \"crate::b::f()\";\nfn g() { crate::b::g() }",
            ),
            ("b.rs", ""),
        ];
        assert_eq!(imports(&files), ["a.rs:10 b::g > b.rs"]);
    }
}
