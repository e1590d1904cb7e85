//! The code lists. What each code means stands in `data/codes.json`; a test holds the two equal.

use thiserror::Error;

use crate::catalogue::catalogue;
use crate::problem::{listed, quoted};

/// A code that is not in its list. Says the list and what it accepts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{value} is not in the list {list}; it accepts {}", listed(.accepted.iter().copied()))]
pub struct UnknownCode {
    value: String,
    list: &'static str,
    accepted: Vec<&'static str>,
}

/// A code list: an enum whose variants are written as the codes.
macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ pub enum $name:ident in $list:literal { $($variant:ident = $code:literal,)+ } )+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $( #[doc = concat!("`", $code, "`")] $variant, )+
        }

        impl $name {
            /// The id of the list in `data/codes.json`.
            pub const LIST: &str = $list;
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as it stands in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $code, )+
                }
            }

            /// What the code means, in the English of caseworkers and tables.
            pub fn label(self) -> &'static str {
                catalogue().label($list, self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownCode;

            fn from_str(code: &str) -> Result<Self, UnknownCode> {
                match code {
                    $( $code => Ok(Self::$variant), )+
                    _ => Err(UnknownCode { value: quoted(code), list: $list, accepted: vec![$($code),+] }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        crate::decode::written_as_text!($name, stringify!($name), {
            "type": "string",
            "enum": [$($code),+],
        });
    )+

        /// Every list as it stands in the types: its id and its codes.
        #[cfg(test)]
        fn lists() -> Vec<(&'static str, Vec<&'static str>)> {
            vec![$(($list, $name::ALL.iter().map(|code| code.as_str()).collect())),+]
        }

        #[cfg(test)]
        fn round_trips() {
            $( for code in $name::ALL {
                assert_eq!(code.as_str().parse::<$name>().as_ref(), Ok(code));
                assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
                let error = "no such code".parse::<$name>().unwrap_err().to_string();
                assert!(error.contains($list) && error.contains(code.as_str()), "{error}");
                assert!(!code.label().is_empty());
            } )+
        }
    };
}

codes! {
    /// Who sends the report, as seen from the targeted person (HURIDOCS MT-19).
    pub enum ReporterRole in "reporter_role" {
        Target = "target",
        Relative = "relative",
        Witness = "witness",
        SameOrganization = "same_organization",
        Lawyer = "lawyer",
        Ngo = "ngo",
        Other = "other",
        Unknown = "unknown",
    }

    /// Why somebody may be targeted.
    pub enum Profile in "profile" {
        Activist = "activist",
        Journalist = "journalist",
        EthnicOrReligiousMinority = "ethnic_or_religious_minority",
        FormerOfficial = "former_official",
        EconomicSuspect = "economic_suspect",
        Student = "student",
        Lawyer = "lawyer",
        Other = "other",
    }

    /// On what footing the targeted person lives abroad.
    pub enum ImmigrationStatus in "immigration_status" {
        Citizen = "citizen",
        PermanentResident = "permanent_resident",
        Refugee = "refugee",
        AsylumSeeker = "asylum_seeker",
        StudentVisa = "student_visa",
        OtherVisa = "other_visa",
        Undocumented = "undocumented",
        Stateless = "stateless",
        Other = "other",
        Unknown = "unknown",
    }

    /// What somebody is to the targeted person (HURIDOCS MT-21).
    pub enum Relation in "relation" {
        Spouse = "spouse",
        Partner = "partner",
        Parent = "parent",
        Child = "child",
        Sibling = "sibling",
        OtherRelative = "other_relative",
        Friend = "friend",
        Coworker = "coworker",
    }

    /// How a relative is now (HURIDOCS MT-25).
    pub enum RelativeStatus in "relative_status" {
        AtLiberty = "at_liberty",
        Held = "held",
        Missing = "missing",
        Restricted = "restricted",
        Deceased = "deceased",
        Unknown = "unknown",
    }

    /// Yes, no, or not known.
    pub enum YesNoUnknown in "yes_no_unknown" {
        Yes = "yes",
        No = "no",
        Unknown = "unknown",
    }

    /// What was done. `F`: through the family at home; `T`: against the target abroad; `K`: removal; `M`: mobility.
    pub enum Method in "method" {
        F01 = "F01",
        F02 = "F02",
        F03 = "F03",
        F04 = "F04",
        F05 = "F05",
        F06 = "F06",
        F07 = "F07",
        F08 = "F08",
        F09 = "F09",
        F10 = "F10",
        T01 = "T01",
        T02 = "T02",
        T03 = "T03",
        T04 = "T04",
        T05 = "T05",
        T06 = "T06",
        T07 = "T07",
        T08 = "T08",
        T09 = "T09",
        K01 = "K01",
        K02 = "K02",
        K03 = "K03",
        K04 = "K04",
        K05 = "K05",
        M01 = "M01",
        M02 = "M02",
        M03 = "M03",
        X99 = "X99",
    }

    /// What was demanded.
    pub enum Demand in "demand" {
        Return = "return",
        Silence = "silence",
        StopActivity = "stop_activity",
        Inform = "inform",
        Pay = "pay",
        Denounce = "denounce",
        Other = "other",
    }

    /// By what way an act reached its victim.
    pub enum ActChannel in "act_channel" {
        InPerson = "in_person",
        Phone = "phone",
        MessagingApp = "messaging_app",
        SocialMedia = "social_media",
        Email = "email",
        Letter = "letter",
        ThroughRelative = "through_relative",
        ThroughEmployerOrSchool = "through_employer_or_school",
        ThroughConsulate = "through_consulate",
        Media = "media",
        Other = "other",
        Unknown = "unknown",
    }

    /// What kind of perpetrator (HURIDOCS MT-24, extended).
    pub enum PerpetratorKind in "perpetrator_kind" {
        Police = "police",
        Intelligence = "intelligence",
        OtherExecutive = "other_executive",
        Judiciary = "judiciary",
        ArmedForces = "armed_forces",
        PartyBody = "party_body",
        Consulate = "consulate",
        HostAuthority = "host_authority",
        PrivateProxy = "private_proxy",
        PrivateInvestigator = "private_investigator",
        Company = "company",
        CoercedRelative = "coerced_relative",
        Unknown = "unknown",
    }

    /// How a perpetrator was involved (HURIDOCS MT-18).
    pub enum Involvement in "involvement" {
        CarriedOut = "carried_out",
        Ordered = "ordered",
        Planned = "planned",
        Accomplice = "accomplice",
        Present = "present",
        Suspected = "suspected",
    }

    /// A legal procedure against the target.
    pub enum LegalProcedure in "legal_procedure" {
        Extradition = "extradition",
        DeportationRepatriation = "deportation_repatriation",
        Refoulement = "refoulement",
        InterpolRedNotice = "interpol_red_notice",
        InterpolDiffusion = "interpol_diffusion",
        MutualLegalAssistance = "mutual_legal_assistance",
        InAbsentiaTrial = "in_absentia_trial",
        AsylumInterference = "asylum_interference",
    }

    /// How far a legal procedure has come.
    pub enum LegalStage in "legal_stage" {
        Requested = "requested",
        Detained = "detained",
        Hearing = "hearing",
        Granted = "granted",
        Refused = "refused",
        Appealed = "appealed",
        Withdrawn = "withdrawn",
        Executed = "executed",
    }

    /// How it stands with the target.
    pub enum OutcomeStatus in "outcome_status" {
        Ongoing = "ongoing",
        NotReturned = "not_returned",
        Returned = "returned",
        DetainedAbroad = "detained_abroad",
        Missing = "missing",
        Deceased = "deceased",
        Unknown = "unknown",
    }

    /// How a return came about, in the official Chinese categories, so that published figures can be loaded.
    pub enum ReturnMode in "return_mode" {
        Extradition = "extradition",
        Repatriation = "repatriation",
        NonlocalProsecution = "nonlocal_prosecution",
        Capture = "capture",
        Persuaded = "persuaded",
        BorderAlert = "border_alert",
        DomesticArrest = "domestic_arrest",
        VoluntarySurrender = "voluntary_surrender",
        Lured = "lured",
        Kidnapped = "kidnapped",
        Unknown = "unknown",
    }

    /// Where a piece of evidence comes from.
    pub enum EvidenceSource in "evidence_source" {
        OwnDevice = "own_device",
        Relative = "relative",
        PublicUrl = "public_url",
        ThirdParty = "third_party",
        Unknown = "unknown",
    }

    /// What whoever opens a piece of evidence should know first.
    pub enum Sensitivity in "sensitivity" {
        Ordinary = "ordinary",
        IdentifiesSomebody = "identifies_somebody",
        Distressing = "distressing",
        Unknown = "unknown",
    }

    /// With whom a report may be shared.
    pub enum ShareWith in "share_with" {
        UnitedNations = "united_nations",
        Ngo = "ngo",
        Lawyer = "lawyer",
        HostAuthority = "host_authority",
        Researcher = "researcher",
        Journalist = "journalist",
    }

    /// How somebody may be reached safely.
    pub enum ContactChannel in "contact_channel" {
        Board = "board",
        Signal = "signal",
        Email = "email",
        Phone = "phone",
        TrustedPerson = "trusted_person",
        None = "none",
    }
}

impl Method {
    /// The type of Safeguard Defenders: 1 pressure through family at home, 2 targeting in the host country, 3 kidnapping abroad.
    pub fn type_(self) -> Option<u8> {
        catalogue().code(Self::LIST, self.as_str()).and_then(|code| code.type_)
    }

    /// The class of Freedom House: D direct attack, C co-opting others, M mobility control, R threat from a distance.
    pub fn class(self) -> Option<char> {
        catalogue().code(Self::LIST, self.as_str()).and_then(|code| code.class)
    }
}

impl ReturnMode {
    /// The official Chinese term, where there is one.
    pub fn official(self) -> Option<&'static str> {
        catalogue()
            .code(Self::LIST, self.as_str())
            .and_then(|code| code.official.as_deref())
    }
}

impl ContactChannel {
    /// Whether somebody is reached by a handle: an address, a number, a name.
    pub fn needs_handle(self) -> bool {
        !matches!(self, Self::Board | Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_list_round_trips_and_names_itself_when_a_code_is_unknown() {
        round_trips();
    }

    #[test]
    fn the_types_and_the_data_file_hold_the_same_lists_in_the_same_order() {
        let data: Vec<_> = catalogue()
            .lists()
            .iter()
            .map(|list| {
                (
                    list.id.as_str(),
                    list.codes.iter().map(|code| code.code.as_str()).collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(lists(), data);
    }

    #[test]
    fn methods_have_the_type_and_class_of_their_sources() {
        let table: Vec<_> = Method::ALL.iter().map(|m| (m.as_str(), m.type_(), m.class())).collect();
        assert_eq!(table.len(), 28);
        for (code, type_, class) in table {
            let (expected_type, expected_class) = match code {
                "T01" | "T02" | "T06" => (Some(2), Some('D')),
                "T09" => (Some(2), Some('C')),
                "K03" => (Some(3), Some('C')),
                "K05" => (None, Some('D')),
                "X99" => (None, None),
                _ => match &code[..1] {
                    "F" => (Some(1), Some('R')),
                    "T" => (Some(2), Some('R')),
                    "K" => (Some(3), Some('D')),
                    _ => (None, Some('M')),
                },
            };
            assert_eq!((type_, class), (expected_type, expected_class), "{code}");
        }
    }

    #[test]
    fn the_official_chinese_return_categories_are_all_there() {
        let official: Vec<_> = ReturnMode::ALL.iter().filter_map(|mode| mode.official()).collect();
        assert_eq!(
            official,
            [
                "引渡",
                "遣返",
                "异地追诉",
                "缉捕",
                "劝返",
                "边境触网",
                "境内抓获",
                "主动自首"
            ]
        );
    }
}
