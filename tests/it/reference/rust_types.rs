//! The types of the rooms, read from their source: fields with type, default and documentation; values of enums.

use std::{collections::BTreeMap, fs};
use syn::{Attribute, Expr, Fields, Item, ItemEnum, ItemStruct, Lit, Meta, Stmt, Type, UseTree};

/// A type that serde reads or writes.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Named fields.
    Fields(Vec<Field>),
    /// Variants without data: their names as written, each with its documentation.
    Values(Vec<(String, String)>),
    /// Variants with data: the name as written, the type inside, the documentation.
    Tagged(Vec<(String, String, String)>),
    /// Anything else: only its documentation is known.
    Opaque,
}

/// One field as it is written in a file.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The Rust type, such as `Option<PathBuf>`.
    pub(crate) kind: String,
    pub(crate) default: Default,
    pub(crate) doc: String,
    /// Whether the keys of its type stand in its place.
    pub(crate) is_flat: bool,
}

/// The value of a field that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Default {
    /// The field must be there.
    Required,
    /// The default of the field's type.
    OfType,
    /// This Rust expression.
    Is(String),
}

/// One type.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) room: String,
    pub(crate) file: String,
    pub(crate) doc: String,
    pub(crate) shape: Shape,
    /// The variant that `#[default]` marks.
    pub(crate) default_value: Option<String>,
}

/// All types by name.
pub(crate) struct Types {
    all: BTreeMap<String, Vec<Known>>,
    /// The room that a file imports a name from, by room, file and name.
    imports: BTreeMap<(String, String, String), String>,
}

impl Types {
    /// Reads every source file of the rooms.
    pub(crate) fn read() -> Self {
        let mut types = Self { all: BTreeMap::new(), imports: BTreeMap::new() };
        for entry in fs::read_dir(crate::support::repository().join("crates")).unwrap() {
            let folder = entry.unwrap().path();
            let room = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let mut folders = vec![folder.join("src")];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(&folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|extension| extension == "rs") {
                        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
                        let source = fs::read_to_string(&path).unwrap();
                        types.add(&room, &file, &source);
                    }
                }
            }
        }
        types
    }

    /// Returns the type that the file of `known` means by `name`: the one that it imports from another room, else that of its own.
    pub(crate) fn meant(&self, known: &Known, name: &str) -> Option<&Known> {
        let key = (known.room.clone(), known.file.clone(), name.to_owned());
        match self.imports.get(&key) {
            Some(room) => self.find(room, None, name),
            None => self.find(&known.room, None, name),
        }
    }

    /// Returns the type called `name`: that in `file` of `room` if a file is named, else that of `room` before others.
    pub(crate) fn find(&self, room: &str, file: Option<&str>, name: &str) -> Option<&Known> {
        let all = self.all.get(name)?;
        let of_room = || all.iter().filter(|known| known.room == room);
        match file {
            Some(file) => of_room().find(|known| known.file == file),
            None => of_room().next().or_else(|| all.first()),
        }
    }

    fn add(&mut self, room: &str, file: &str, source: &str) {
        let parsed =
            syn::parse_file(source).unwrap_or_else(|error| panic!("{room}/{file}: {error}"));
        let inside = parsed.items.iter().filter_map(|item| match item {
            Item::Fn(function) => Some(function.block.stmts.iter()),
            _ => None,
        });
        // Types of one function stand inside it.
        let inside = inside.flatten().filter_map(|statement| match statement {
            Stmt::Item(item) => Some(item),
            _ => None,
        });
        for item in parsed.items.iter().chain(inside) {
            if let Item::Use(item) = item
                && let UseTree::Path(path) = &item.tree
                && let Some(from) = path.ident.to_string().strip_prefix("botops_")
            {
                for name in names(&path.tree) {
                    self.imports.insert((room.to_owned(), file.to_owned(), name), from.to_owned());
                }
            }
            let (name, doc, shape, default_value) = match item {
                Item::Struct(item) => {
                    (item.ident.to_string(), doc(&item.attrs), fields(item, &parsed.items), None)
                }
                Item::Enum(item) => {
                    let (shape, default) = variants(item);
                    (item.ident.to_string(), doc(&item.attrs), shape, default)
                }
                Item::Macro(item) if item.mac.path.is_ident("stage") => {
                    let item: ItemStruct = syn::parse2(structure(item.mac.tokens.clone())).unwrap();
                    (item.ident.to_string(), doc(&item.attrs), fields(&item, &parsed.items), None)
                }
                _ => continue,
            };
            let known =
                Known { room: room.to_owned(), file: file.to_owned(), doc, shape, default_value };
            self.all.entry(name).or_default().push(known);
        }
    }
}

/// Returns the names that a use brings in, without those that it renames.
fn names(tree: &UseTree) -> Vec<String> {
    match tree {
        UseTree::Path(path) => names(&path.tree),
        UseTree::Name(name) => vec![name.ident.to_string()],
        UseTree::Group(group) => group.items.iter().flat_map(names).collect(),
        UseTree::Rename(_) | UseTree::Glob(_) => Vec::new(),
    }
}

/// Turns the arguments of `stage!` into the structure that it makes, without the fields common to all stages.
fn structure(tokens: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut made = proc_macro2::TokenStream::new();
    let mut is_named = false;
    for token in tokens {
        if let (false, proc_macro2::TokenTree::Ident(name)) = (is_named, &token) {
            made.extend([proc_macro2::TokenTree::Ident(proc_macro2::Ident::new(
                "struct",
                name.span(),
            ))]);
            is_named = true;
        }
        made.extend([token]);
    }
    made
}

/// Returns the documentation, each paragraph on one line.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns whether `#[doc(hidden)]` is among `attributes`: a key that is known only to be refused.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// Returns the arguments of `#[serde(...)]`: `default`, `default = "f"`, `rename = "x"`.
fn serde(attributes: &[Attribute]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            let value = match meta.value() {
                Ok(value) => {
                    value.parse::<syn::LitStr>().map(|text| text.value()).unwrap_or_default()
                }
                Err(_) => String::new(),
            };
            found.insert(name, value);
            Ok(())
        });
    }
    found
}

fn fields(item: &ItemStruct, items: &[Item]) -> Shape {
    let container = serde(&item.attrs);
    let Fields::Named(named) = &item.fields else { return Shape::Opaque };
    let made = default_of(&item.ident.to_string(), items);
    let fields = named.named.iter().filter_map(|field| {
        let of_serde = serde(&field.attrs);
        if of_serde.contains_key("skip") || is_hidden(&field.attrs) {
            return None;
        }
        let name = field.ident.as_ref()?.to_string();
        let default = match of_serde.get("default") {
            Some(function) if !function.is_empty() => match body_of(function, items) {
                Some(body) => Default::Is(body),
                None => Default::OfType,
            },
            Some(_) => Default::OfType,
            None if container.contains_key("default") => match made.get(&name) {
                Some(value) => Default::Is(value.clone()),
                None => Default::OfType,
            },
            None => Default::Required,
        };
        let name = of_serde.get("rename").cloned().unwrap_or(name);
        let name = name.trim_start_matches("r#").to_owned();
        let is_flat = of_serde.contains_key("flatten");
        Some(Field { name, kind: type_text(&field.ty), default, doc: doc(&field.attrs), is_flat })
    });
    Shape::Fields(fields.collect())
}

fn variants(item: &ItemEnum) -> (Shape, Option<String>) {
    let container = serde(&item.attrs);
    let renamed = |variant: &syn::Variant| {
        let name = variant.ident.to_string();
        match serde(&variant.attrs).get("rename") {
            Some(name) => name.clone(),
            None => cased(&name, container.get("rename_all").map_or("", String::as_str)),
        }
    };
    let default = item
        .variants
        .iter()
        .find(|variant| variant.attrs.iter().any(|attribute| attribute.path().is_ident("default")));
    let default = default.map(renamed);
    let is_plain = item.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
    let shape = match is_plain {
        true => Shape::Values(item.variants.iter().map(|v| (renamed(v), doc(&v.attrs))).collect()),
        false => Shape::Tagged(
            item.variants
                .iter()
                .map(|variant| {
                    let inner = match &variant.fields {
                        Fields::Unnamed(fields) => fields
                            .unnamed
                            .first()
                            .map(|field| type_text(&field.ty))
                            .unwrap_or_default(),
                        _ => String::new(),
                    };
                    (renamed(variant), inner, doc(&variant.attrs))
                })
                .collect(),
        ),
    };
    (shape, default)
}

/// Returns a variant's name as serde writes it under `rename_all`.
fn cased(name: &str, style: &str) -> String {
    let separated = |separator: char| {
        let mut out = String::new();
        for (at, letter) in name.chars().enumerate() {
            if letter.is_uppercase() && at > 0 {
                out.push(separator);
            }
            out.extend(letter.to_lowercase());
        }
        out
    };
    match style {
        "snake_case" => separated('_'),
        "kebab-case" => separated('-'),
        "lowercase" => name.to_lowercase(),
        "UPPERCASE" => name.to_uppercase(),
        _ => name.to_owned(),
    }
}

fn type_text(kind: &Type) -> String {
    use quote::ToTokens as _;
    kind.to_token_stream().to_string().replace(' ', "").replace("&'a", "").replace("&'static", "")
}

fn expression_text(expression: &Expr) -> String {
    use quote::ToTokens as _;
    expression.to_token_stream().to_string()
}

/// Returns the expression that the function `name` of this file consists of.
fn body_of(name: &str, items: &[Item]) -> Option<String> {
    items.iter().find_map(|item| match item {
        Item::Fn(function) if function.sig.ident == name => match function.block.stmts.as_slice() {
            [Stmt::Expr(expression, None)] => Some(expression_text(expression)),
            _ => None,
        },
        _ => None,
    })
}

/// Returns the fields that `impl Default for NAME` of this file sets, by name.
fn default_of(name: &str, items: &[Item]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for item in items {
        let Item::Impl(item) = item else { continue };
        let is_default = item.trait_.as_ref().is_some_and(|(_, path, _)| path.is_ident("Default"));
        if !is_default || type_text(&item.self_ty) != name {
            continue;
        }
        for part in &item.items {
            let syn::ImplItem::Fn(function) = part else { continue };
            if let Some(Stmt::Expr(Expr::Struct(made), None)) = function.block.stmts.last() {
                for field in &made.fields {
                    if let syn::Member::Named(name) = &field.member {
                        found.insert(name.to_string(), expression_text(&field.expr));
                    }
                }
            }
        }
    }
    found
}

#[test]
fn fields_defaults_and_values_are_read_from_source() {
    let source = r#"
        /// A plan.
        #[derive(Deserialize)]
        #[serde(default)]
        struct Plan { /// The level.
            alpha: f64, #[serde(rename = "type")] kind: Kind, #[serde(skip)] cache: u8 }
        struct Old { /// The level.
            n: u32, /// Refused.
            #[doc(hidden)] gone: u32 }
        impl Default for Plan { fn default() -> Self { Self { alpha: 0.05, kind: Kind::Slow, cache: 0 } } }
        #[serde(rename_all = "kebab-case")]
        enum Kind { #[default] VerySlow, Fast }
        struct Part { #[serde(default = "seven")] n: u32, name: Option<String> }
        fn seven() -> u32 { 7 }
        stage! {
            /// Checks.
            CheckStage {
                /// The data.
                data: PathBuf,
            }
        }
    "#;
    let mut types = Types { all: BTreeMap::new(), imports: BTreeMap::new() };
    types.add("x", "y.rs", source);
    let fields = |name: &str| match &types.find("x", None, name).unwrap().shape {
        Shape::Fields(fields) => fields
            .iter()
            .map(|f| (f.name.clone(), f.kind.clone(), f.default.clone(), f.doc.clone()))
            .collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let own = |name: &str, kind: &str, default, doc: &str| {
        (name.to_owned(), kind.to_owned(), default, doc.to_owned())
    };
    assert_eq!(
        fields("Plan"),
        [
            own("alpha", "f64", Default::Is("0.05".to_owned()), "The level."),
            own("type", "Kind", Default::Is("Kind :: Slow".to_owned()), "")
        ]
    );
    assert_eq!(
        fields("Part"),
        [
            own("n", "u32", Default::Is("7".to_owned()), ""),
            own("name", "Option<String>", Default::Required, "")
        ]
    );
    assert_eq!(fields("Old"), [own("n", "u32", Default::Required, "The level.")]);
    assert_eq!(fields("CheckStage"), [own("data", "PathBuf", Default::Required, "The data.")]);
    let kind = types.find("x", None, "Kind").unwrap();
    assert_eq!(kind.default_value.as_deref(), Some("very-slow"));
}
