//! A program that has the manners and nothing else; the tests run it in pipes and in a pseudo-terminal.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use marram_terminal::ask::{Answer, Ask, Choice, Question};
use marram_terminal::error::{self, ResultExt as _, run};
use marram_terminal::files::{AtomicFile, Existing};
use marram_terminal::home::HomeArgs;
use marram_terminal::output::{Output, OutputArgs};
use marram_terminal::passphrase::PassphraseArgs;
use marram_terminal::secret_file::{self, WorkFactor};
use marram_terminal::table::Table;
use marram_terminal::{hardening, interrupt};
use secrecy::ExposeSecret as _;

/// Shows its manners.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(subcommand)]
    command: Manner,
}

#[derive(Subcommand)]
enum Manner {
    /// Ask for a passphrase and say how long it is
    Passphrase,
    /// Set a passphrase and say how long it is
    NewPassphrase,
    /// Wrap a secret
    Wrap { path: PathBuf },
    /// Open a wrapped secret
    Open { path: PathBuf },
    /// Print a table of Chinese, Arabic and hostile text
    Table,
    /// Print foreign text
    Show { text: String },
    /// Ask some questions
    Ask,
    /// Compare digits
    Digits { digits: String },
    /// Begin to write a file, and wait
    WriteSlowly { path: PathBuf },
    /// Begin to write a file at home, and wait
    HomeSlowly,
    /// Show a progress bar
    Progress,
    /// Print very many lines
    Lines,
    /// Fail in several words
    Fail,
    /// Fail by usage
    Misuse,
    /// Connect, deny the network, connect again
    Connect { address: SocketAddr },
    /// Only connect
    ConnectOnly { address: SocketAddr },
    /// Print what hardening was granted, and then ask for a passphrase
    Harden,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(&cli.output, |out| manner(&cli, out))
}

fn manner(cli: &Cli, out: &Output) -> anyhow::Result<()> {
    let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
    match &cli.command {
        Manner::Passphrase => tell_length(out, &cli.passphrase.existing("the example")?),
        Manner::NewPassphrase => tell_length(out, &cli.passphrase.new_one("the example", &mut rng)?),
        Manner::Wrap { path } => {
            let passphrase = cli.passphrase.new_one("the example", &mut rng)?;
            secret_file::write_wrapped(path, &passphrase, b"the secret", WorkFactor::Log2(4), Existing::Keep)?;
        }
        Manner::Open { path } => {
            let (secret, _) = cli.passphrase.unlock(path, "the example", 1000)?;
            out.line(String::from_utf8_lossy(&secret));
        }
        Manner::Table => table(out),
        Manner::Show { text } => {
            out.heading("Report");
            out.field("text", text);
            out.paragraph(text, 4);
            out.json(&serde_json::json!({ "text": text }));
        }
        Manner::Ask => ask(out)?,
        Manner::Digits { digits } => out.line(Ask::stdin()?.same_digits("Aynur", digits)?),
        Manner::WriteSlowly { path } => write_slowly(path)?,
        Manner::HomeSlowly => write_slowly(&cli.home.create("manners")?.file("state"))?,
        Manner::Progress => progress(out),
        Manner::Lines => (0..100_000).for_each(|number| out.line(number)),
        Manner::Fail => {
            out.warning("this will not go well");
            std::fs::read("/does/not/exist\u{202e}")
                .context("cannot import the bundle")
                .hint("copy it again")?;
        }
        Manner::Misuse => return Err(error::usage("name one bundle, not two")),
        Manner::Connect { address } => connect(*address)?,
        Manner::ConnectOnly { address } => drop(TcpStream::connect(address)?),
        Manner::Harden => {
            let granted = hardening::harden();
            let limits = std::fs::read_to_string("/proc/self/limits")?;
            out.line(format!("{granted:?}\n{limits}"));
            tell_length(out, &cli.passphrase.existing("the example")?);
        }
    }
    Ok(())
}

fn tell_length(out: &Output, passphrase: &secrecy::SecretString) {
    out.line(format!("{} characters", passphrase.expose_secret().chars().count()));
}

fn table(out: &Output) {
    let mut table = Table::new(["case", "name", "what", "days"]).right(3).keep(0);
    table.row([
        "2026-041",
        "阿卜杜拉·热合曼",
        "公安打电话给父母,要求儿子停止在海外的活动,否则父亲将失去退休金和住房",
        "3",
    ]);
    table.row([
        "2026-042",
        "عبد الرحمن",
        "اتصلت الشرطة بالعائلة وهددت باعتقال الأخ الأصغر إذا استمر في الكلام علنا",
        "12",
    ]);
    table.row(["2026-043", "gpj\u{202e}exe", "\u{1b}[2Jcleared", "120"]);
    out.table(&table);
}

fn ask(out: &Output) -> anyhow::Result<()> {
    let mut ask = Ask::stdin()?;
    let choices = [
        Choice::from("by telephone"),
        Choice {
            text: "at home",
            help: Some("at any door"),
        },
    ];
    let how = Question::new("How?").help("How did they reach the family?").skippable();
    let how = match ask.some_of(&how, &choices)? {
        Answer::Given(chosen) => format!("{chosen:?}"),
        Answer::Skipped => "skipped".into(),
        Answer::Back => "back".into(),
    };
    let what = ask
        .long_text(&Question::new("What happened?").skippable().back())?
        .given()
        .unwrap_or_default();
    let sure = ask.confirm("Is this all?", false)?;
    out.line(format!("{how} {what:?} {sure}"));
    out.json(&serde_json::json!({ "how": how, "what": what, "sure": sure }));
    Ok(())
}

fn write_slowly(path: &Path) -> anyhow::Result<()> {
    let mut file = AtomicFile::create(path, 0o600, Existing::Replace)?;
    file.write_all(b"new, but only half of")?;
    eprintln!("writing");
    loop {
        interrupt::check()?;
        thread::sleep(Duration::from_millis(5));
    }
}

fn progress(out: &Output) {
    let bar = out.count("opening\u{202e}", 3);
    for _ in 0..3 {
        bar.add(1);
        thread::sleep(Duration::from_millis(250));
    }
    bar.finish();
    out.line("done");
}

fn connect(address: SocketAddr) -> anyhow::Result<()> {
    TcpStream::connect(address).context("the listener should answer at first")?;
    // A thread that was there before is denied it, too.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        wait.recv()
            .map(|()| TcpStream::connect(address).err().map(|error| error.kind()))
    });
    hardening::deny_network()?;
    let denied = Some(std::io::ErrorKind::PermissionDenied);
    go.send(())?;
    let in_thread = thread.join().ok().context("the thread panicked")??;
    let here = TcpStream::connect(address).err().map(|error| error.kind());
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0").err().map(|error| error.kind());
    let child = Command::new(std::env::current_exe()?)
        .args(["connect-only", &address.to_string()])
        .output()?;
    if [here, in_thread, datagram] != [denied; 3] || child.status.success() {
        bail!(
            "not denied: {here:?}, {in_thread:?}, {datagram:?}, child {}",
            child.status
        );
    }
    std::os::unix::net::UnixDatagram::unbound().context("pinentry's window needs this")?;
    println!("denied");
    Ok(())
}
