//! A place on the map, as a person types it.

use std::str::FromStr;

/// Degrees north and east.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinates {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
}

impl FromStr for Coordinates {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let degrees = |text: &str, most: f64| {
            let degrees: f64 = text.trim().parse().ok()?;
            (degrees.abs() <= most).then_some(degrees)
        };
        let read = |(latitude, longitude)| {
            Some(Self { latitude: degrees(latitude, 90.0)?, longitude: degrees(longitude, 180.0)? })
        };
        text.split_once(',').and_then(read).ok_or("expected LATITUDE,LONGITUDE in degrees, like 52.5,13.4")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_within_the_globe_are_a_place() {
        let place: Coordinates = "-33.9, 18.4".parse().unwrap();
        assert_eq!(place, Coordinates { latitude: -33.9, longitude: 18.4 });
        for wrong in ["", "52.5", "52.5 13.4", "91,0", "0,181", "NaN,0", "inf,0", "52.5,13.4,1"] {
            assert!(wrong.parse::<Coordinates>().is_err(), "{wrong}");
        }
    }
}
