//! One line for a list of reports.

use crate::country::Country;
use crate::incident::Incident;

impl Incident {
    /// One line for a caseworker's list: from where to where, since when, how it stands, what was done. No name: the
    /// list may be seen over a shoulder. What tells reports apart comes first, since a list cuts the end. At most 160 characters, none of them a control character.
    ///
    /// ```
    /// # let json = r#"{"schema":"marram/incident/v1","reporter":{"role":"relative"},"narrative":"…","consent":{"store":true},
    /// #   "target":{"home_country":{"country":"CN","subdivision":"CN-XJ"},"host_country":{"country":"TR"}},
    /// #   "act":[{"method":"F01","date":"2021-11"},{"method":"F04"}]}"#;
    /// let incident = marram_incident::Incident::parse(json).unwrap();
    /// assert_eq!(
    ///     incident.headline(),
    ///     "China (CN-XJ) → Türkiye · 2021-11 · relative visited, summoned or interrogated; exit ban on relative"
    /// );
    /// ```
    pub fn headline(&self) -> String {
        let methods = self.methods();
        let mut what: Vec<&str> = methods.iter().take(2).map(|method| method.label()).collect();
        let more = format!("and {} more", methods.len().saturating_sub(2));
        if methods.len() > 2 {
            what.push(&more);
        }
        let mut parts = Vec::new();
        let target = self.target.as_ref();
        let home = target.and_then(|target| target.home_country.as_ref());
        let host = target.and_then(|target| target.host_country.as_ref());
        if home.is_some() || host.is_some() {
            let shown = |country: Option<&Country>| country.map_or_else(|| "?".to_owned(), ToString::to_string);
            parts.push(format!("{} → {}", shown(home), shown(host)));
        }
        if let Some(date) = self.first_date() {
            parts.push(date.to_string());
        }
        if let Some(outcome) = &self.outcome {
            parts.push(outcome.status.label().to_owned());
        }
        parts.push(if what.is_empty() {
            "no act described".to_owned()
        } else {
            what.join("; ")
        });
        let line = parts.join(" · ");
        if line.chars().count() <= Self::HEADLINE_CHARACTERS {
            return line;
        }
        line.chars().take(Self::HEADLINE_CHARACTERS - 1).chain(['…']).collect()
    }

    const HEADLINE_CHARACTERS: usize = 160;
}
