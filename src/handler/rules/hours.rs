//! Business hours: whether the business is open, by the clock on its wall.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::HoursConfig;

/// When the business is open, in its own time zone. Daylight saving moves nothing: nine o'clock is what the wall says.
pub(super) struct Hours {
    zone: TimeZone,
    /// From and until, in minutes after midnight, for each day from Monday on.
    week: [Vec<(i16, i16)>; 7],
}

impl Hours {
    /// Takes the configured hours; an error tells what is wrong with the time zone.
    pub(super) fn new(config: &HoursConfig) -> Result<Self, String> {
        let zone = TimeZone::get(&config.time_zone).map_err(|error| error.to_string())?;
        Ok(Self { zone, week: config.week() })
    }

    /// Whether the business is open at a time. It closes at the end of its last minute: at 18:00 it is closed.
    pub(super) fn are_open(&self, at: Timestamp) -> bool {
        let wall = at.to_zoned(self.zone.clone());
        let day = usize::try_from(wall.weekday().to_monday_zero_offset()).unwrap_or_default();
        let minute = i16::from(wall.hour()) * 60 + i16::from(wall.minute());
        self.week
            .get(day)
            .is_some_and(|spans| spans.iter().any(|(from, until)| (*from..*until).contains(&minute)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(time_zone: &str, open: &[(&str, &str)]) -> Hours {
        let open = open.iter().map(|(days, span)| ((*days).to_owned(), (*span).to_owned())).collect();
        Hours::new(&HoursConfig { time_zone: time_zone.to_owned(), open }).unwrap()
    }

    fn open(hours: &Hours, at: &str) -> bool {
        hours.are_open(at.parse().unwrap())
    }

    #[test]
    fn the_wall_of_the_business_decides() {
        let shop = hours("America/Sao_Paulo", &[("mon-fri", "09:00-18:00"), ("sat", "09:00-13:00")]);
        // Monday 2026-01-05; Sao Paulo is three hours behind UTC.
        assert!(!open(&shop, "2026-01-05T11:59:59Z"));
        assert!(open(&shop, "2026-01-05T12:00:00Z"));
        assert!(open(&shop, "2026-01-05T20:59:59Z"));
        assert!(!open(&shop, "2026-01-05T21:00:00Z"));
        assert!(open(&shop, "2026-01-10T15:00:00Z"), "Saturday");
        assert!(!open(&shop, "2026-01-10T16:00:00Z"), "Saturday afternoon");
        assert!(!open(&shop, "2026-01-11T15:00:00Z"), "Sunday");
    }

    #[test]
    fn daylight_saving_moves_the_hours_with_the_wall() {
        let shop = hours("Europe/Berlin", &[("mon-sun", "09:00-18:00")]);
        for (winter_or_summer, utc) in
            [("winter", "2026-03-28T08:00:00Z"), ("summer", "2026-03-29T07:00:00Z")]
        {
            let nine: Timestamp = utc.parse().unwrap();
            assert!(shop.are_open(nine), "{winter_or_summer}");
            assert!(!shop.are_open(nine - jiff::SignedDuration::from_secs(1)), "{winter_or_summer}");
        }
        // The night in which half past two comes twice, and the one in which it does not come.
        let night = hours("Europe/Berlin", &[("sun", "02:00-03:00")]);
        assert!(open(&night, "2026-10-25T00:30:00Z") && open(&night, "2026-10-25T01:30:00Z"));
        assert!(!open(&night, "2026-03-29T00:59:00Z") && !open(&night, "2026-03-29T01:00:00Z"));
    }

    #[test]
    fn a_day_may_have_a_break_and_last_until_midnight() {
        let shop = hours("UTC", &[("mon", "09:00-12:00, 14:00-24:00")]);
        assert!(open(&shop, "2026-01-05T11:59:00Z") && !open(&shop, "2026-01-05T12:00:00Z"));
        assert!(open(&shop, "2026-01-05T23:59:59Z") && !open(&shop, "2026-01-06T00:00:00Z"));
    }
}
