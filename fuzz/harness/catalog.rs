//! A catalog made by hand, as the one of a small shop. Of the benchmark of analysis too.

use std::sync::Arc;

use columnseal::crypto::TypeId;
use columnseal::crypto::envelope::Padding;
use columnseal::crypto::term::order::Digits;
use columnseal::schema::catalog::{Catalog, Column, EncType, Relation, RelationKind, Standing, Terms, TypeDef};
use columnseal::wire::value::PlainType;

fn enc(n: u32, name: &str, plain: PlainType, terms: Terms) -> Arc<EncType> {
    Arc::new(EncType {
        oid: 90_000 + 2 * n,
        array_oid: 90_001 + 2 * n,
        element: None,
        plain_oid: if plain == PlainType::Int4 { 23 } else { 25 },
        plain_array_oid: if plain == PlainType::Int4 { 1007 } else { 1009 },
        def: TypeDef { id: TypeId([n as u8; 16]), name: name.into(), plain, terms, options: "{}".into(), keyset: None },
        shown: plain,
        digits: Digits::Short,
        padding: Padding::Padme,
        whole_text: terms.matching,
        standing: Standing::Verified,
        whole: None,
        promoted: Arc::default(),
    })
}

fn column(name: &str, type_oid: u32) -> Column {
    Column { name: name.into(), attnum: 0, type_oid, enc: None, direct: false, tainted: false, generated: false }
}

fn sealed(name: &str, enc: &Arc<EncType>) -> Column {
    Column { enc: Some(Arc::clone(enc)), direct: true, ..column(name, enc.oid) }
}

/// Tables `users` (of which four columns are encrypted) and `orders` (of which none is).
pub fn catalog() -> Catalog {
    let email = enc(7, "text_eq", PlainType::Text, Terms { eq: true, ..Terms::default() });
    let age = enc(8, "int4_ord", PlainType::Int4, Terms { eq: true, ord: true, ..Terms::default() });
    let bio = enc(9, "text_search", PlainType::Text, Terms { eq: true, matching: true, ..Terms::default() });
    let users = vec![
        column("id", 20),
        sealed("email", &email),
        sealed("name", &email),
        sealed("age", &age),
        sealed("bio", &bio),
        column("note", 25),
    ];
    let orders = vec![column("id", 20), column("user_id", 20), column("total", 1700), column("label", 25)];
    let mut catalog = Catalog { version: 1, seal_version: Some(4), ..Catalog::default() };
    for enc in [&email, &age, &bio] {
        catalog.types.insert(enc.oid, Arc::clone(enc));
        catalog.array_types.insert(enc.array_oid, enc.array());
        catalog.type_names.insert(enc.oid, ("seal".into(), enc.def.name.clone()));
        catalog.containing.extend([enc.oid, enc.array_oid]);
        catalog.touching_types.extend([enc.def.name.clone(), format!("_{}", enc.def.name)]);
    }
    catalog.touching_types.insert("users".into());
    catalog.touching_names.insert("users".into());
    for (oid, name, columns) in [(20_000, "users", users), (20_001, "orders", orders)] {
        let relation = Relation {
            oid,
            schema: "public".into(),
            name: name.into(),
            kind: RelationKind::Table,
            touching: columns.iter().any(|c| c.enc.is_some()),
            columns: columns.into_iter().zip(1..).map(|(c, attnum)| Column { attnum, ..c }).collect(),
            indexes: Vec::new(),
            alarm: None,
        };
        catalog.relations.entry("public".into()).or_default().insert(name.into(), Arc::new(relation));
    }
    catalog
}
