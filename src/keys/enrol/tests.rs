//! Two honest sides agree; whoever stands between them gets nothing.

use super::*;
use crate::crypto::secret::Key32;

const ROOT: RootFingerprint = RootFingerprint([7; 16]);
const NOW: u64 = 1_000_000;

fn key(byte: u8) -> ClientKey {
    ClientKey::from_seed(Key32::new([byte; 32]))
}

fn device(byte: u8) -> DeviceSide {
    DeviceSide::begin(&key(byte), ROOT, NOW).expect("random")
}

fn admin(byte: u8, commitment: Commitment) -> AdminSide {
    AdminSide::answer_to(key(byte).public().clone(), commitment, NOW).expect("random")
}

#[test]
fn honest_sides_agree() {
    let mut device = device(1);
    let mut admin = admin(1, device.commitment());
    let (opening, code) = device.answered(admin.answer(), NOW + 1).expect("in time");
    assert_eq!(device.answered(admin.answer(), NOW + 2).expect("again").1, code);
    assert_eq!(admin.check(&opening, ROOT, &code.to_string().parse().expect("a code"), NOW + 3), Ok(()));
}

#[test]
fn a_key_put_in_between_has_another_code() {
    // The service lets the admin see its own key and plays the admin towards the device.
    let mut victim = device(1);
    let mut attacker = device(2);
    let mut admin = admin(2, attacker.commitment());
    let (_, shown) = victim.answered([9; 32], NOW).expect("in time");
    let (opening, _) = attacker.answered(admin.answer(), NOW).expect("in time");
    assert_eq!(admin.check(&opening, ROOT, &shown, NOW), Err(EnrolError::WrongCode { left: 2 }));
    // It cannot choose another opening or key once it has seen the answer.
    assert_eq!(admin.check(&[1; 32], ROOT, &shown, NOW), Err(EnrolError::OtherDevice));
    assert_eq!(admin.check(&opening, ROOT, &shown, NOW), Err(EnrolError::NoTries));
}

#[test]
fn another_root_has_another_code() {
    let mut device = DeviceSide::begin(&key(1), RootFingerprint([8; 16]), NOW).expect("random");
    let mut admin = admin(1, device.commitment());
    let (opening, code) = device.answered(admin.answer(), NOW).expect("in time");
    assert_eq!(admin.check(&opening, ROOT, &code, NOW), Err(EnrolError::WrongCode { left: 2 }));
}

#[test]
fn a_device_takes_one_answer_only_and_an_answer_is_never_used_twice() {
    let mut device = device(1);
    device.answered([1; 32], NOW).expect("in time");
    assert_eq!(device.answered([2; 32], NOW), Err(EnrolError::OtherAnswer));
    let commitment = device.commitment();
    assert_ne!(admin(1, commitment).answer(), admin(1, commitment).answer());
    assert_ne!(super::tests::device(1).commitment(), commitment, "every run has an opening of its own");
}

#[test]
fn a_code_of_an_earlier_run_does_not_fit() {
    let mut device = device(1);
    let mut first = admin(1, device.commitment());
    let (opening, code) = device.answered(first.answer(), NOW).expect("in time");
    let mut second = admin(1, device.commitment());
    assert_eq!(second.check(&opening, ROOT, &code, NOW), Err(EnrolError::WrongCode { left: 2 }));
    assert_eq!(first.check(&opening, ROOT, &code, NOW), Ok(()));
}

#[test]
fn the_fourth_try_is_none() {
    let mut device = device(1);
    let mut admin = admin(1, device.commitment());
    let (opening, code) = device.answered(admin.answer(), NOW).expect("in time");
    let wrong = "0000-0000".parse().expect("a code");
    assert_eq!(admin.check(&opening, ROOT, &wrong, NOW), Err(EnrolError::WrongCode { left: 2 }));
    assert_eq!(admin.check(&opening, ROOT, &wrong, NOW), Err(EnrolError::WrongCode { left: 1 }));
    assert_eq!(admin.check(&opening, ROOT, &wrong, NOW), Err(EnrolError::NoTries));
    assert_eq!(admin.check(&opening, ROOT, &code, NOW), Err(EnrolError::NoTries), "the right one comes too late");
    assert!(admin.over(NOW));
}

#[test]
fn five_minutes_are_the_end_on_both_sides() {
    let mut device = device(1);
    let mut admin = admin(1, device.commitment());
    let end = NOW + LIFETIME_MS;
    let (opening, code) = device.answered(admin.answer(), end - 1).expect("in time");
    assert_eq!(device.answered(admin.answer(), end), Err(EnrolError::Late));
    assert_eq!(admin.check(&opening, ROOT, &code, end), Err(EnrolError::Late));
    assert!(admin.over(end) && !admin.over(end - 1));
    assert_eq!(admin.check(&opening, ROOT, &code, end - 1), Ok(()));
}

#[test]
fn two_devices_at_once_have_their_own_codes() {
    let (mut one, mut two) = (device(1), device(2));
    let (mut first, mut second) = (admin(1, one.commitment()), admin(2, two.commitment()));
    let (opening_one, _) = one.answered(first.answer(), NOW).expect("in time");
    let (opening_two, code_two) = two.answered(second.answer(), NOW).expect("in time");
    assert_eq!(first.check(&opening_one, ROOT, &code_two, NOW), Err(EnrolError::WrongCode { left: 2 }));
    assert_eq!(first.check(&opening_two, ROOT, &code_two, NOW), Err(EnrolError::OtherDevice));
    assert_eq!(second.check(&opening_two, ROOT, &code_two, NOW), Ok(()));
}

#[test]
fn what_is_kept_between_two_commands_is_read_back() {
    let mut device = device(1);
    let side = admin(1, device.commitment());
    let (opening, code) = device.answered(side.answer(), NOW).expect("in time");
    let json = serde_json::to_string(&side).expect("json");
    let mut read: AdminSide = serde_json::from_str(&json).expect("read");
    assert_eq!(read.check(&opening, ROOT, &code, NOW), Ok(()));
    assert!(serde_json::from_str::<AdminSide>(&json.replace("left", "more")).is_err());
}
