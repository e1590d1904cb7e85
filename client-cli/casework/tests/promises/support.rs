//! An organization of three caseworkers, one of whom runs the program; the bundles that a courier would bring; and the
//! reports that an honest or hostile stranger would seal.

mod home;
mod organization;
mod server;
mod told;

pub(crate) use home::{Home, names, one_line, outcome, text, warnings};
pub(crate) use organization::{
    CODENAME, EPOCHS, MINE, OTHERS, PASSPHRASE, charter, founded, organization, roots, signed, today,
};
pub(crate) use server::Server;
pub(crate) use told::{Part, Told, codename, incident, recipients, report_json, seal_parts, sealed, target};
