//! Moments: those that texts and numbers name, and the parts of a local time.

use super::definition::{Clock, Unit};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, civil};
use qianmian_core::{DAY_MS, TimeMs};

/// Numbers from here on are milliseconds, below it seconds: 1973 in the one, 5138 in the other.
const MILLISECONDS: f64 = 1e11;

/// Minutes of an offset such as `+08:00`; at most 14 hours.
pub(super) fn offset_minutes(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= 14 * 60).then_some(sign * all)
}

/// The moment a text names: RFC 3339, or a date, which is its midnight UTC.
pub(super) fn moment(text: &str) -> Option<TimeMs> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let date: civil::Date = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// The moment of a number of seconds or milliseconds since 1970.
pub(super) fn moment_of(number: f32) -> Option<TimeMs> {
    let number = f64::from(number);
    let ms = if number.abs() < MILLISECONDS { number * 1_000.0 } else { number };
    number.is_finite().then_some(ms as TimeMs)
}

/// From a moment to the request, in a unit.
pub(super) fn since(now: TimeMs, then: TimeMs, unit: Unit) -> f32 {
    let length = match unit {
        Unit::Seconds => 1_000,
        Unit::Minutes => 60_000,
        Unit::Hours => 3_600_000,
        Unit::Days => DAY_MS,
    };
    (now.saturating_sub(then) as f64 / length as f64) as f32
}

/// A part of the local time, and how many of it make a turn; NaN for a moment no calendar has.
pub(super) fn local(now: TimeMs, part: Clock, offset: i32) -> (f32, f32) {
    let zone = Offset::from_seconds(offset * 60).map(TimeZone::fixed);
    let (Ok(zone), Ok(time)) = (zone, Timestamp::from_millisecond(now)) else { return (f32::NAN, 1.0) };
    let local = time.to_zoned(zone);
    let weekday = f32::from(local.weekday().to_monday_one_offset());
    match part {
        Clock::Hour => (f32::from(local.hour()), 24.0),
        Clock::Minute => (f32::from(i16::from(local.hour()) * 60 + i16::from(local.minute())), 1_440.0),
        Clock::Weekday => (weekday, 7.0),
        Clock::Weekend => (f32::from(u8::from(weekday > 5.0)), 2.0),
        Clock::Day => (f32::from(local.day()), f32::from(local.days_in_month())),
        Clock::Month => (f32::from(local.month()), 12.0),
        Clock::YearDay => (f32::from(local.day_of_year()), f32::from(local.days_in_year())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_hours_and_minutes() {
        for (text, want) in [("+08:00", Some(480)), ("-03:30", Some(-210)), ("+00:00", Some(0)), ("+14:00", Some(840))]
        {
            assert_eq!(offset_minutes(text), want, "{text}");
        }
        for text in ["", "8", "+8:00", "+14:01", "+08:60", "Asia/Shanghai", "+0é:00", "++8:00", "+-8:00"] {
            assert_eq!(offset_minutes(text), None, "{text}");
        }
    }

    #[test]
    fn moments_and_what_is_left_of_them() {
        assert_eq!(moment("1970-01-02"), Some(DAY_MS));
        assert_eq!(moment("1970-01-01T08:00:01+08:00"), Some(1_000));
        assert_eq!(moment("soon"), None);
        assert_eq!((moment_of(86_400.0), moment_of(f32::NAN)), (Some(DAY_MS), None));
        assert_eq!(moment_of(131_072_000_000.0), Some(131_072_000_000));
        assert_eq!(since(3 * DAY_MS, DAY_MS, Unit::Days), 2.0);
        assert_eq!(since(0, DAY_MS, Unit::Hours), -24.0);
        assert_eq!(since(TimeMs::MIN, TimeMs::MAX, Unit::Days), TimeMs::MIN as f32 / DAY_MS as f32);
    }

    #[test]
    fn parts_of_a_local_time() {
        // Tuesday 2011-11-01 18:30 UTC is Wednesday 02:30 in Shanghai.
        let now = 1_320_172_200_000;
        let part = |part| local(now, part, 480).0;
        assert_eq!([part(Clock::Hour), part(Clock::Minute), part(Clock::Weekday)], [2.0, 150.0, 3.0]);
        assert_eq!([part(Clock::Day), part(Clock::Month), part(Clock::YearDay)], [2.0, 11.0, 306.0]);
        assert_eq!(part(Clock::Weekend), 0.0);
        assert_eq!(local(now, Clock::Hour, 0), (18.0, 24.0));
        assert!(local(TimeMs::MAX, Clock::Hour, 0).0.is_nan());
    }
}
