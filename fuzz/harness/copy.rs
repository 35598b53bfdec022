//! COPY: rows are found alike however the stream is cut, and what is printed reads back.

use columnseal::wire::copy::{
    CopyError, Dialect, Field, Fields, Force, Header, Kind, Meaning, Rows, Step, record_text, tuple_fields,
};

type Row = Vec<Option<Vec<u8>>>;

fn dialect(choice: u8) -> Dialect {
    let kind = [Kind::Text, Kind::Csv, Kind::Binary, Kind::Csv][usize::from(choice) % 4];
    let dialect = Dialect::new(kind);
    match choice % 4 {
        3 => Dialect { delimiter: b';', quote: b'\'', escape: b'\\', null: b"nil"[..].into(), ..dialect },
        _ => Dialect {
            csv_marker: choice & 0x40 == 0,
            header: if choice & 0x80 == 0 { Header::None } else { Header::Present },
            ..dialect
        },
    }
}

/// The first byte chooses format and options, the second the number of columns.
pub fn copy(data: &[u8]) {
    let _ = record_text(data, &[90_000], &mut Vec::new());
    let Some((&[choice, columns], stream)) = data.split_first_chunk::<2>() else { return };
    let (dialect, columns) = (dialect(choice), usize::from(columns % 4) + 1);
    let whole = rows(&dialect, columns, stream, stream.len().max(1));
    for piece in [1, 7] {
        assert_eq!(rows(&dialect, columns, stream, piece), whole, "in pieces of {piece}");
    }
    let Ok(rows) = whole else { return };
    for value in rows.iter().flatten().flatten().filter(|_| dialect.kind != Kind::Binary) {
        let mut printed = Vec::new();
        dialect.print_firm(value, &mut printed);
        let mut fields = Fields::new(&printed, &dialect);
        let field = fields.next().expect("one field").expect("a field that was printed");
        let mut again = Vec::new();
        let meaning = dialect.read(&field, Force::default(), &mut again);
        assert_eq!((meaning, &again, fields.next()), (Meaning::Value, value, None));
    }
}

/// Reads a stream that comes in pieces of so many bytes.
fn rows(dialect: &Dialect, columns: usize, stream: &[u8], piece: usize) -> Result<Vec<Row>, CopyError> {
    let (mut rows, mut found, mut start, mut end) = (Rows::new(dialect, columns), Vec::new(), 0, 0);
    loop {
        match rows.next(&stream[start..end], end == stream.len())? {
            Step::More => {
                assert!(end < stream.len(), "the end is told");
                end = stream.len().min(end + piece);
            }
            Step::End => return Ok(found),
            Step::Skip(used) | Step::Head { used, .. } => start += used,
            Step::Row { len, used } => {
                assert!(len <= used && start + used <= end);
                found.push(row(dialect, &stream[start..start + len])?);
                start += used;
            }
        }
    }
}

fn row(dialect: &Dialect, bytes: &[u8]) -> Result<Row, CopyError> {
    if dialect.kind == Kind::Binary {
        let field = |field: Option<&[u8]>| field.map(<[u8]>::to_vec);
        return Ok(tuple_fields(bytes).map(|f| field(f.expect("a tuple that was found is whole"))).collect());
    }
    let one = |field: Result<Field<'_>, CopyError>| {
        let mut value = Vec::new();
        Ok(match dialect.read(&field?, Force::default(), &mut value) {
            Meaning::Value => Some(value),
            _ => None,
        })
    };
    Fields::new(bytes, dialect).map(one).collect()
}
