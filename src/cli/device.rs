//! `columnseal device …`: letting developers' devices in by the code that they show.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use columnseal::crypto::enrol::Code;
use columnseal::keys::error::KeysError;
use columnseal::keyserver::workspace::{Approval, DeviceInfo};

use super::Context;
use super::output::{Exit, Failure, Outcome};
use super::workspace::{failure, json, lifetime, open, or_dash};

/// Subcommands of `device`.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Device {
    /// List the devices that wait to be let in; each shows its code once it is listed
    List,
    /// Let the device in that shows this code
    Approve(Approve),
    /// Turn a waiting device away
    Refuse {
        /// Its id, or what it calls itself
        device: String,
    },
}

/// Arguments of `device approve`.
#[derive(clap::Args, Debug)]
pub(super) struct Approve {
    /// The code, read off the device's own screen [default: asked for]
    code: Option<Code>,
    /// Of these devices only: an id, or what it calls itself
    #[arg(long)]
    device: Option<String>,
    /// Name of the client [default: owner@device, as it says]
    #[arg(long)]
    name: Option<String>,
    /// A development keyset to grant; may be repeated [default: default]
    #[arg(long = "keyset", value_name = "KEYSET")]
    keysets: Vec<String>,
    /// The key ends after this, as 90d [default: never]
    #[arg(long, value_name = "SPAN", value_parser = lifetime)]
    expires: Option<Duration>,
}

impl Device {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Device::List => {
                let attempted = "list waiting devices";
                let devices = open(context, attempted)?.devices().map_err(|error| enrolment(attempted, &error))?;
                list(context, &devices);
                Ok(())
            }
            Device::Approve(approve) => approve.run(context),
            Device::Refuse { device } => {
                let attempted = format!("turn device {device} away");
                let info = open(context, &attempted)?.refuse_device(device);
                let info = info.map_err(|error| enrolment(&attempted, &error))?;
                context.output.result(&json(&info), &format!("{} ({}) is turned away", info.device, info.id));
                Ok(())
            }
        }
    }
}

impl Approve {
    fn run(&self, context: &Context) -> Outcome {
        let attempted = "let a device in";
        let workspace = open(context, attempted)?;
        let code = match self.code {
            Some(code) => code,
            None => {
                let devices = workspace.devices().map_err(|error| enrolment(attempted, &error))?;
                if devices.is_empty() {
                    let advice = "run `columnseal init` on the device, and this within five minutes";
                    return Err(Failure::new(Exit::Keys, "enrolment", attempted, "no device waits", advice));
                }
                ask(&devices).ok_or_else(|| {
                    let advice = "type the eight characters that the device shows, as 4K7M-X2QP";
                    Failure::new(Exit::Keys, "enrolment", attempted, "that is no code", advice)
                })?
            }
        };
        let how = Approval {
            device: self.device.clone(),
            name: self.name.clone(),
            keysets: self.keysets.clone(),
            expires: self.expires,
        };
        let client = workspace.approve_device(&code, &how).map_err(|error| enrolment(attempted, &error))?;
        let keysets: Vec<&str> = client.grants.iter().map(|grant| grant.keyset_name.as_str()).collect();
        let text = format!("{} ({}) is let in, with keyset {}", client.name, client.id, keysets.join(", "));
        context.output.result(&json(&client), &text);
        Ok(())
    }
}

/// Asks for the code that a device shows.
fn ask(devices: &[DeviceInfo]) -> Option<Code> {
    let input = std::io::stdin();
    if input.is_terminal() {
        let mut error = std::io::stderr().lock();
        for device in devices {
            drop(writeln!(error, "{} of {}", device.device, or_dash(device.owner.as_ref())));
        }
        drop(write!(error, "The code on the device's own screen (not from a message): "));
        drop(error.flush());
    }
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    line.trim().parse().ok()
}

fn list(context: &Context, devices: &[DeviceInfo]) {
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| {
            let (owner, address) = (or_dash(device.owner.as_ref()), or_dash(device.address.as_ref()));
            vec![
                device.id.clone(),
                device.device.clone(),
                owner,
                address,
                device.since.clone(),
                device.status.to_owned(),
            ]
        })
        .collect();
    context.output.list(&json(&devices), &["id", "device", "owner", "address", "since", "status"], &rows);
    if devices.iter().any(|device| device.status != "elsewhere") {
        context.output.note("Read the code off the device's own screen: `columnseal device approve CODE`.");
    }
}

/// As [`failure`], with what is special about letting devices in.
pub(super) fn enrolment(attempted: &str, error: &KeysError) -> Failure {
    match error {
        KeysError::Invalid { .. } | KeysError::Refused { .. } => {
            let advice = "compare the code once more; if it is right, begin again on the device: `columnseal init`";
            Failure::new(Exit::Keys, "enrolment", attempted, error, advice)
        }
        other => failure(attempted, other),
    }
}
