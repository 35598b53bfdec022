//! Session settings that decide how values are read and printed. Not the settings of the proxy itself.

use super::datetime::zone::Zone;

/// Form of a value on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Format {
    /// Text, format code 0.
    Text,
    /// Binary, format code 1.
    Binary,
}

/// Output form of dates and times (first word of `DateStyle`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum DateForm {
    Iso,
    Sql,
    Postgres,
    German,
}

/// Order of day, month and year in ambiguous dates (second word of `DateStyle`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

/// `DateStyle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct DateStyle {
    /// Output form.
    pub form: DateForm,
    /// Order of the fields.
    pub order: DateOrder,
}

impl DateStyle {
    /// Reads what PostgreSQL reports: `ISO, MDY`.
    pub fn parse(text: &str) -> Option<DateStyle> {
        let (form, order) = text.split_once(',')?;
        let form = match form.trim() {
            "ISO" => DateForm::Iso,
            "SQL" => DateForm::Sql,
            "Postgres" => DateForm::Postgres,
            "German" => DateForm::German,
            _ => return None,
        };
        let order = match order.trim() {
            "MDY" => DateOrder::Mdy,
            "DMY" => DateOrder::Dmy,
            "YMD" => DateOrder::Ymd,
            _ => return None,
        };
        Some(DateStyle { form, order })
    }
}

/// `IntervalStyle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

impl IntervalStyle {
    /// Reads what PostgreSQL reports: `postgres`, `postgres_verbose`, `sql_standard`, `iso_8601`.
    pub fn parse(text: &str) -> Option<IntervalStyle> {
        Some(match text {
            "postgres" => IntervalStyle::Postgres,
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => return None,
        })
    }
}

/// `bytea_output`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum ByteaOutput {
    Hex,
    Escape,
}

/// What a session has set. `Default` is PostgreSQL's defaults with time zone UTC.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `DateStyle`.
    pub date_style: DateStyle,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `TimeZone`. A zone that is not known makes errors only where a value depends on it.
    pub time_zone: Zone,
    /// `extra_float_digits`, -15 to 3.
    pub extra_float_digits: i32,
    /// `bytea_output`.
    pub bytea_output: ByteaOutput,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            date_style: DateStyle { form: DateForm::Iso, order: DateOrder::Mdy },
            interval_style: IntervalStyle::Postgres,
            time_zone: Zone::named("UTC"),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
        }
    }
}

impl Settings {
    /// Takes over a setting as ParameterStatus or SHOW reports it; names in any case. Other settings, and values
    /// that PostgreSQL never reports, change nothing.
    pub fn report(&mut self, name: &str, value: &str) {
        let _ = self.apply(name, value);
    }

    fn apply(&mut self, name: &str, value: &str) -> Option<()> {
        if name.eq_ignore_ascii_case("DateStyle") {
            self.date_style = DateStyle::parse(value)?;
        } else if name.eq_ignore_ascii_case("IntervalStyle") {
            self.interval_style = IntervalStyle::parse(value)?;
        } else if name.eq_ignore_ascii_case("TimeZone") {
            self.time_zone = Zone::named(value);
        } else if name.eq_ignore_ascii_case("extra_float_digits") {
            self.extra_float_digits = value.parse().ok().filter(|d| (-15..=3).contains(d))?;
        } else if name.eq_ignore_ascii_case("bytea_output") {
            self.bytea_output = match value {
                "hex" => ByteaOutput::Hex,
                "escape" => ByteaOutput::Escape,
                _ => return None,
            };
        } else {
            return None;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_over_what_the_server_reports() {
        let mut settings = Settings::default();
        settings.report("datestyle", "German, DMY");
        settings.report("IntervalStyle", "iso_8601");
        settings.report("TimeZone", "Europe/Berlin");
        settings.report("extra_float_digits", "-3");
        settings.report("bytea_output", "escape");
        assert_eq!(settings.date_style, DateStyle { form: DateForm::German, order: DateOrder::Dmy });
        assert_eq!(settings.extra_float_digits, -3);
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("DateStyle", "ISO"),
            ("DateStyle", "Klingon, MDY"),
            ("IntervalStyle", "verbose"),
            ("extra_float_digits", "9"),
            ("extra_float_digits", ""),
            ("bytea_output", "base64"),
            ("application_name", "x"),
        ] {
            settings.report(name, value);
        }
        assert_eq!(settings.extra_float_digits, 1);
    }
}
