//! Countries and their regions.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::catalogue::catalogue;
use crate::decode::{record, written_as_text};
use crate::json::Json;
use crate::problem::{Problems, quoted};

/// An ISO 3166-1 alpha-2 code in capitals: `CN`, `TR`. Also `XK` for Kosovo, which ISO leaves to its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

/// An ISO 3166-2 code: `CN-XJ`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subdivision(String);

/// Why a country or region was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CountryError {
    /// No such country.
    #[error("{0} is not a country code of ISO 3166-1; use two capital letters, such as CN, TR or DE")]
    Country(String),
    /// No such region.
    #[error("{0} is not a region code of ISO 3166-2; write for example CN-XJ, or leave it out")]
    Subdivision(String),
}

impl CountryCode {
    const KOSOVO: &str = "XK";

    /// The code.
    pub fn as_str(&self) -> &str {
        // Both bytes come from a code in a table of ASCII codes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The English name in everyday use, from `data/countries.json`.
    pub fn name(&self) -> &'static str {
        catalogue().country_name(self.as_str()).unwrap_or_default()
    }

    /// Every country, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Self> {
        catalogue().country_codes().filter_map(|code| code.parse().ok())
    }
}

impl Subdivision {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country it belongs to.
    pub fn country(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The name that ISO 3166-2 gives.
    pub fn name(&self) -> &'static str {
        rust_iso3166::iso3166_2::from_code(&self.0).map_or("", |subdivision| subdivision.name)
    }
}

impl FromStr for CountryCode {
    type Err = CountryError;

    fn from_str(code: &str) -> Result<Self, CountryError> {
        let known = code == Self::KOSOVO || rust_iso3166::from_alpha2(code).is_some();
        match <[u8; 2]>::try_from(code.as_bytes()) {
            Ok(bytes) if known => Ok(Self(bytes)),
            _ => Err(CountryError::Country(quoted(code))),
        }
    }
}

impl FromStr for Subdivision {
    type Err = CountryError;

    fn from_str(code: &str) -> Result<Self, CountryError> {
        match rust_iso3166::iso3166_2::from_code(code) {
            Some(subdivision) => Ok(Self(subdivision.code.to_owned())),
            None => Err(CountryError::Subdivision(quoted(code))),
        }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(CountryCode, "CountryCode", {
    "type": "string",
    "pattern": "^[A-Z]{2}$",
    "description": "ISO 3166-1 alpha-2, or XK",
}, MOST = 10);

written_as_text!(Subdivision, "Subdivision", {
    "type": "string",
    "pattern": "^[A-Z]{2}-[A-Z0-9]{1,3}$",
    "description": "ISO 3166-2, of the country beside it",
});

record! {
    /// A country, and a region of it where that is known.
    pub struct Country, at most 10 {
        /// The country.
        country: CountryCode,
        /// A region of that country.
        subdivision: Option<Subdivision>,
    }
}

impl Country {
    /// `CN`, or `CN-XJ` where the region is known.
    pub fn code(&self) -> &str {
        self.subdivision
            .as_ref()
            .map_or(self.country.as_str(), Subdivision::as_str)
    }

    /// From a country code or a region code.
    ///
    /// # Errors
    /// [`CountryError`] if it is neither.
    pub fn from_code(code: &str) -> Result<Self, CountryError> {
        if !code.contains('-') {
            return Ok(Self {
                country: code.parse()?,
                subdivision: None,
            });
        }
        let subdivision: Subdivision = code.parse()?;
        Ok(Self {
            country: subdivision.country().parse()?,
            subdivision: Some(subdivision),
        })
    }

    pub(crate) fn check(&self, at: &str, problems: &mut Problems) {
        if let Some(subdivision) = &self.subdivision
            && subdivision.country() != self.country.as_str()
        {
            let (country, region) = (self.country.as_str(), subdivision.as_str());
            problems.add(
                format!("{at}.subdivision"),
                format!("\"{region}\" is not a region of {country}"),
            );
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut fields = vec![("country".to_owned(), Json::Text(self.country.to_string()))];
        if let Some(subdivision) = &self.subdivision {
            fields.push(("subdivision".to_owned(), Json::Text(subdivision.to_string())));
        }
        Json::Object(fields)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subdivision {
            Some(subdivision) => write!(f, "{} ({subdivision})", self.country.name()),
            None => f.write_str(self.country.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_cover_every_country_and_no_other() {
        let mut codes: Vec<&str> = rust_iso3166::ALL_ALPHA2.to_vec();
        codes.push(CountryCode::KOSOVO);
        codes.sort_unstable();
        assert_eq!(catalogue().country_codes().collect::<Vec<_>>(), codes);
        assert!(CountryCode::all().all(|country| !country.name().is_empty()));
    }

    #[test]
    fn a_code_that_is_no_country_is_refused_by_name() {
        for code in ["", "cn", "CHN", "ZZ", "C", "CN-XJ", "🇨🇳"] {
            let message = code.parse::<CountryCode>().unwrap_err().to_string();
            assert!(message.starts_with(&quoted(code)), "{message}");
        }
        assert!("CN-99X".parse::<Subdivision>().is_err());
    }

    #[test]
    fn a_region_brings_its_country() {
        let region = Country::from_code("CN-XJ").unwrap();
        assert_eq!((region.country.as_str(), region.code()), ("CN", "CN-XJ"));
        assert_eq!(region.to_string(), "China (CN-XJ)");
        assert_eq!(Country::from_code("XK").unwrap().to_string(), "Kosovo");
    }
}
