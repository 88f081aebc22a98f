//! `cargo xtask contract`: docs/contract.md, the reference of the contract, written from `sdk/wit`.

use crate::setup::root;
use anyhow::{Context, ensure};
use std::fmt::Write;
use std::path::PathBuf;
use wit_parser::{
    Docs, Function, FunctionKind, Handle, Interface, Resolve, Type, TypeDefKind, TypeId, World, WorldItem, WorldKey,
};

const HEAD: &str = "\
# The contract

What a component and the runtime say to each other, written from `sdk/wit` by `cargo xtask contract`. How to write one:
[strategies in Rust](strategies.md), [in JavaScript or TypeScript](strategies-js.md). Columns: [columns.md](columns.md).
";

fn path() -> PathBuf {
    root().join("docs").join("contract.md")
}

/// Writes the reference.
///
/// # Errors
/// When the contract cannot be read or the file cannot be written.
pub fn write() -> anyhow::Result<()> {
    std::fs::write(path(), text()?).with_context(|| format!("cannot write {}", path().display()))
}

/// Checks that the reference is what the contract says.
///
/// # Errors
/// When it is not.
pub fn check() -> anyhow::Result<()> {
    let there = std::fs::read_to_string(path()).unwrap_or_default();
    ensure!(there == text()?, "docs/contract.md is not what sdk/wit says: run `cargo xtask contract`");
    Ok(())
}

fn text() -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("sdk").join("wit"))?;
    let package = &resolve.packages[package];
    let mut out = HEAD.to_owned();
    writeln!(out, "\nPackage `{}`.", package.name)?;
    let mut worlds: Vec<&World> = package.worlds.values().map(|id| &resolve.worlds[*id]).collect();
    worlds.sort_by(|a, b| a.name.cmp(&b.name));
    for world in worlds {
        of_world(&mut out, &resolve, world)?;
    }
    for id in package.interfaces.values() {
        of_interface(&mut out, &resolve, &resolve.interfaces[*id])?;
    }
    // What has no words of its own leaves no gap.
    Ok(out.replace("\n\n\n", "\n\n"))
}

fn of_world(out: &mut String, resolve: &Resolve, world: &World) -> anyhow::Result<()> {
    writeln!(out, "\n## World `{}`\n\n{}", world.name, prose(&world.docs))?;
    let imports = world.imports.keys().filter_map(|key| match key {
        WorldKey::Interface(id) => resolve.interfaces[*id].name.as_ref(),
        WorldKey::Name(_) => None,
    });
    let imports: Vec<String> = imports.map(|name| format!("[`{name}`](#interface-{name})")).collect();
    writeln!(out, "\nIt may import {}. It exports:\n", imports.join(", "))?;
    for item in world.exports.values() {
        if let WorldItem::Function(function) = item {
            of_function(out, resolve, function)?;
        }
    }
    Ok(())
}

fn of_interface(out: &mut String, resolve: &Resolve, interface: &Interface) -> anyhow::Result<()> {
    let name = interface.name.as_deref().unwrap_or_default();
    writeln!(out, "\n## Interface `{name}`\n\n{}", prose(&interface.docs))?;
    for (name, id) in &interface.types {
        let definition = &resolve.types[*id];
        let members: Vec<(String, &Docs)> = match &definition.kind {
            TypeDefKind::Record(record) => {
                let field = |f: &wit_parser::Field| format!("{}: {}", f.name, of_type(resolve, &f.ty));
                record.fields.iter().map(|f| (field(f), &f.docs)).collect()
            }
            TypeDefKind::Variant(variant) => {
                let case = |c: &wit_parser::Case| match &c.ty {
                    Some(of) => format!("{}({})", c.name, of_type(resolve, of)),
                    None => c.name.clone(),
                };
                variant.cases.iter().map(|c| (case(c), &c.docs)).collect()
            }
            TypeDefKind::Enum(of) => of.cases.iter().map(|case| (case.name.clone(), &case.docs)).collect(),
            TypeDefKind::Type(Type::Id(_)) => continue,
            _ => Vec::new(),
        };
        let kind = match &definition.kind {
            TypeDefKind::Type(of) => format!("= {}", of_type(resolve, of)),
            kind => kind.as_str().to_owned(),
        };
        let gap = if prose(&definition.docs).is_empty() || members.is_empty() { "" } else { "\n" };
        writeln!(out, "\n### `{name}` ({kind})\n\n{}{gap}", prose(&definition.docs))?;
        for (member, docs) in members {
            writeln!(out, "- `{member}`{}", after(docs))?;
        }
        for function in interface.functions.values().filter(|function| of_resource(function) == Some(*id)) {
            of_function(out, resolve, function)?;
        }
    }
    let mut free = interface.functions.values().filter(|function| of_resource(function).is_none()).peekable();
    if free.peek().is_some() {
        writeln!(out, "\n### Functions of `{name}`\n")?;
    }
    free.try_for_each(|function| of_function(out, resolve, function))
}

fn of_resource(function: &Function) -> Option<TypeId> {
    match function.kind {
        FunctionKind::Method(id) | FunctionKind::Static(id) | FunctionKind::Constructor(id) => Some(id),
        _ => None,
    }
}

fn of_function(out: &mut String, resolve: &Resolve, function: &Function) -> anyhow::Result<()> {
    let own = function.params.iter().filter(|param| param.name != "self");
    let parameters: Vec<String> = own.map(|param| format!("{}: {}", param.name, of_type(resolve, &param.ty))).collect();
    let result = function.result.as_ref().map(|of| format!(" -> {}", of_type(resolve, of))).unwrap_or_default();
    let (name, parameters) = (function.item_name(), parameters.join(", "));
    Ok(writeln!(out, "- `{name}({parameters}){result}`{}", after(&function.docs))?)
}

/// A type as WIT writes it.
fn of_type(resolve: &Resolve, of: &Type) -> String {
    let Type::Id(id) = of else { return format!("{of:?}").to_lowercase() };
    let definition = &resolve.types[*id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    let maybe = |of: &Option<Type>| of.as_ref().map_or_else(|| "_".to_owned(), |of| of_type(resolve, of));
    match &definition.kind {
        TypeDefKind::List(of) => format!("list<{}>", of_type(resolve, of)),
        TypeDefKind::Option(of) => format!("option<{}>", of_type(resolve, of)),
        TypeDefKind::Result(of) => format!("result<{}, {}>", maybe(&of.ok), maybe(&of.err)),
        TypeDefKind::Tuple(of) => {
            let types: Vec<String> = of.types.iter().map(|of| of_type(resolve, of)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => of_type(resolve, &Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", of_type(resolve, &Type::Id(*id))),
        kind => kind.as_str().to_owned(),
    }
}

fn prose(docs: &Docs) -> String {
    docs.contents.as_deref().unwrap_or_default().trim().to_owned()
}

/// What follows a member on its line; longer texts go on below it.
fn after(docs: &Docs) -> String {
    match prose(docs).as_str() {
        "" => String::new(),
        text => format!(": {}", text.replace('\n', "\n  ")),
    }
}
