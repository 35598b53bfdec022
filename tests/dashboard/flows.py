"""Every flow of the dashboard, in a browser, with a real key server and a real proxy behind it.

Prints a line for each step, and `done`. Environment: BINARY, DASHBOARD (an address that works once), SERVER (the key server's
address), STORE (its SQLite file), PROXY (a database behind a proxy), DEVICE_HOME (where a device asks from), AXE (axe.min.js), SHOTS (where pictures go), CHROMIUM; those of `columnseal` commands of the admin.
"""

import json
import os
import math
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

BINARY = os.environ["BINARY"]
SHOTS = Path(os.environ["SHOTS"])
AXE = Path(os.environ["AXE"]).read_text()
LOOKS = {
    "light": dict(viewport={"width": 1280, "height": 860}, color_scheme="light"),
    "dark": dict(viewport={"width": 1280, "height": 860}, color_scheme="dark"),
    "phone": dict(viewport={"width": 390, "height": 844}, color_scheme="light", device_scale_factor=2),
}
shown = set()


def step(text):
    print(text, flush=True)


def columnseal(*args, **more):
    env = {**os.environ, **more.pop("env", {})}
    done = subprocess.run([BINARY, *args], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{args}: {done.stdout} {done.stderr}"
    return done.stdout


def accessible(page: Page, name):
    page.evaluate(AXE)
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    told = [f"{v['id']}: {v['help']}: " + "; ".join(n["html"][:200] for n in v["nodes"][:3]) for v in found]
    assert not told, f"{name}:\n" + "\n".join(told)


class Watched:
    """Whatever a page logs or asks elsewhere is a fault."""

    def __init__(self, page: Page, home):
        self.faults = []
        page.on("console", lambda m: m.type in ("error", "warning") and self.faults.append(m.text))
        page.on("pageerror", lambda e: self.faults.append(str(e)))
        page.on("request", lambda r: r.url.startswith(home) or r.url.startswith("blob:") or self.faults.append(r.url))

    def check(self, expected=()):
        rest = [f for f in self.faults if not any(e in f for e in expected)]
        assert not rest, rest
        self.faults.clear()


def looks(browser, state, base, pages):
    """Pictures of pages in light, dark and on a phone, each checked for who cannot see or use a mouse."""
    for look, options in LOOKS.items():
        context = browser.new_context(storage_state=state, ignore_https_errors=True, reduced_motion="reduce", **options)
        page = context.new_page()
        for path, name in pages:
            page.goto(base + path)
            check(page, f"{name}-{look}")
        context.close()


def picture(page, name):
    """A page in the middle of a flow, in every look."""
    for look, options in LOOKS.items():
        page.set_viewport_size(options["viewport"])
        page.emulate_media(color_scheme=options["color_scheme"])
        check(page, f"{name}-{look}")
    page.set_viewport_size(LOOKS["light"]["viewport"])
    page.emulate_media(color_scheme="light")


def check(page, name):
    accessible(page, name)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name}: {wide} pixels too wide"
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    shown.add(name)


def without_script(browser, state, base):
    context = browser.new_context(storage_state=state, java_script_enabled=False, ignore_https_errors=True)
    page = context.new_page()
    page.goto(base + "/keysets/new")
    page.get_by_label("Name").fill("no-script")
    page.get_by_role("button", name="Create the keyset").click()
    expect(page.get_by_role("status").filter(has_text="Made.")).to_be_visible()
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("New name").fill("without script")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("without script")
    assert not page.locator("button.copy:visible").count(), "nothing is offered that does not work"
    context.close()
    step("everything works without script")


def by_keyboard(page: Page, base):
    page.goto(base + "/clients")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("rep")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="reports", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("reports")
    step("the keyboard is enough")


def create(page: Page, base):
    page.goto(base + "/clients")
    page.get_by_role("link", name="Create a new client").click()
    page.get_by_label("Name", exact=True).fill("web")
    page.get_by_role("button", name="Create the client").click()
    expect(page.get_by_role("alert")).to_contain_text("exists already")
    expect(page.locator("#e-name")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("web")
    page.get_by_label("Name", exact=True).fill("checkout")
    page.get_by_label("default (development)").check()
    page.get_by_label("Ends after").select_option("90")
    page.get_by_label("Owner").fill("payments team")
    page.get_by_role("button", name="Create the client").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The key of checkout")
    key = page.locator(".secret code").nth(1).inner_text()
    assert key.startswith("csck1_")
    page.get_by_label("Copy CS_CLIENT_KEY").click()
    assert page.evaluate("navigator.clipboard.readText()") == key
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as checkout.env").click()
    text = Path(download.value.path()).read_text()
    assert f"CS_CLIENT_KEY={key}\n" in text and text.startswith("CS_CLIENT_ID="), "the file"
    page.get_by_text("As a Kubernetes secret").click()
    page.get_by_text("In a compose file").click()
    picture_of_key(page)
    address = page.url
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("checkout")
    assert page.goto(address).status == 404, "shown once"
    assert key not in page.content()
    step("a client is made, its key shown once, copied and saved")


def picture_of_key(page: Page):
    secret = page.locator(".secret code").nth(1).inner_text()
    for look, options in LOOKS.items():
        page.set_viewport_size(options["viewport"])
        page.emulate_media(color_scheme=options["color_scheme"])
        accessible(page, "made")
        # Of a test; all the same no key belongs into a picture.
        page.evaluate("s => { for (const e of document.querySelectorAll('code, pre')) e.textContent = e.textContent.replaceAll(s, 'csck1_…'); }", secret)
        page.screenshot(path=SHOTS / f"made-{look}.png", full_page=True)
        shown.add(f"made-{look}")
    page.set_viewport_size(LOOKS["light"]["viewport"])
    page.emulate_media(color_scheme="light")


def approve(page: Page, base):
    out = columnseal("client", "request", "--name", "ci", "--output", "json")
    request = json.loads(out)["request"]
    page.goto(base + "/clients/approve")
    page.get_by_label("The string").fill(request[:-3])
    page.get_by_role("button", name="Let the client in").click()
    expect(page.get_by_role("alert")).to_contain_text("Copy the whole of it")
    page.get_by_label("The string").fill(request)
    page.get_by_role("button", name="Let the client in").click()
    expect(page.get_by_role("status").filter(has_text="The client is let in")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ci")
    step("a request of another machine is approved")


def grant_and_revoke(page: Page, base):
    """From the client's side and from the keyset's, and what a running proxy says to it."""
    page.goto(base + "/keysets/new")
    page.get_by_label("Name").fill("tenant-1")
    page.get_by_role("button", name="Create the keyset").click()
    page.get_by_role("link", name="Grant to a client").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a client")
    page.get_by_label("Client").select_option(label="web (application)")
    page.get_by_label("query: search").uncheck()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".consequences")).to_contain_text("web will read every value of keyset tenant-1")
    page.get_by_role("button", name="Grant it").click()
    expect(page.get_by_role("status").filter(has_text="The grant is given")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("web"))).to_contain_text("decrypt")
    page.goto(base + "/clients/web")
    page.get_by_role("link", name="Revoke default").click()
    expect(page.locator(".consequences")).to_contain_text("web will read and write nothing of keyset default within a second")
    expect(page.locator(".consequences")).to_contain_text("1 proxy is connected with its key now")
    expect(page.locator(".consequences")).to_contain_text("What it has read it has read")
    picture(page, "revoke")
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.locator("#taken")).to_contain_text("The proxy has confirmed", timeout=10_000)
    told = page.locator("#taken").inner_text()
    took = int(re.search(r"within (\d+) ms", told)[1])
    assert took < 5_000, told
    picture(page, "revoked")
    step("a revocation is confirmed by the running proxy")
    page.get_by_role("link", name="Grant a keyset").click()
    page.get_by_label("Keyset").select_option(label="default (development)")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Grant it").click()
    expect(page.get_by_role("link", name="default").first).to_be_visible()
    step("grants are given from either side")


def keysets(page: Page, base):
    page.goto(base + "/keysets/default")
    expect(page.get_by_role("img", name=re.compile("New data keys by day"))).to_be_visible()
    page.get_by_role("link", name="Rotate").click()
    page.get_by_role("button", name="Rotate").click()
    expect(page.get_by_text("default uses epoch 2 for new values")).to_be_visible(timeout=15_000)
    picture(page, "job")
    page.goto(base + "/keysets/tenant-1")
    page.get_by_role("link", name="Disable").click()
    expect(page.locator(".consequences")).to_contain_text("Nobody will read or write values of keyset tenant-1")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("disabled")
    page.get_by_role("link", name="Enable").click()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("active")
    step("keysets are rotated, disabled and enabled")


def sql(text):
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", os.environ["PROXY"]], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def values(page: Page, base):
    """What a running proxy tells of its work comes in by itself."""
    page.goto(base + "/keysets/default")
    sql("INSERT INTO users (id, email) VALUES " + ", ".join(f"({n}, 'u{n}@example.com')" for n in range(100, 400)))
    sql("SELECT email FROM users WHERE id >= 100;" * 3)
    # Some of those from before the grant was taken and given again may have been told while it was not there.
    expect(page.locator("#values")).to_contain_text(re.compile("30[0-3] sealed in 30 days"), timeout=45_000)
    expect(page.get_by_role("img", name=re.compile("Values opened by day: 90[0-3] in all"))).to_be_visible()
    page.goto(base + "/")
    expect(page.locator("#values")).to_contain_text("Sealed per second")
    step("values sealed and opened come in as the proxy tells of them")


def weeks_of_values(keyset):
    """As if proxies had been at work for long: for the pictures."""
    store = sqlite3.connect(os.environ["STORE"], timeout=20)
    now = int(time.time() * 1000)
    wave = lambda at, most: int(most * (0.55 + 0.4 * math.sin(at / 3.1) + 0.05 * math.sin(at * 7)))
    rows = [(b"", 2, now // 60_000 * 60_000 - m * 60_000, wave(m / 9, 40_000), wave(m / 9 + 2, 900_000), m % 7 == 3) for m in range(1, 200)]
    rows += [(b"", 1, now // 10_000 * 10_000 + s * 10_000, 6_100, 152_000, 0) for s in range(-12, 30)]
    rows += [(keyset, 3, now // 86_400_000 * 86_400_000 - d * 86_400_000, wave(d, 31_000_000), wave(d + 2, 770_000_000), 0) for d in range(1, 30)]
    store.executemany("INSERT OR IGNORE INTO usage VALUES (?, ?, ?, ?, ?, ?)", rows)
    store.commit()
    store.close()


def devices(browser, state, page: Page, base):
    env = {**os.environ, "COLUMNSEAL_HOME": os.environ["DEVICE_HOME"]}
    asking = subprocess.Popen([BINARY, "init", "--yes"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    codes = []

    def read():
        for line in asking.stderr:
            if line.startswith("code"):
                codes.append(line.split()[1])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    page.goto(base + "/devices")
    expect(page.get_by_label("Code")).to_be_visible(timeout=20_000)
    looks(browser, state, base, [("/devices", "devices")])
    page.get_by_label("Code").fill("nope")
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("alert")).to_contain_text("That is no code")
    page.get_by_label("Code").fill("0000-0000")
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("alert")).to_contain_text("Compare the code once more")
    reader.join(0.1)
    page.get_by_label("Code").fill(codes[0].lower())
    page.get_by_label("Name").fill("ann's laptop")
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("status").filter(has_text="The device is let in")).to_be_visible()
    assert asking.wait(timeout=30) == 0
    page.goto(base + "/devices")
    page.get_by_role("link", name="Revoke ann's laptop").click()
    page.get_by_role("button", name="Revoke all").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ann's laptop")
    expect(page.get_by_text("This client may use nothing")).to_be_visible()
    step("a device is let in by its code, and revoked")


def audit(page: Page, base):
    page.goto(base + "/audit?show=changes")
    expect(page.get_by_role("row", name=re.compile("grant revoked")).first).to_be_visible()
    before = page.locator("tbody tr").count()
    columnseal("client", "update", "reports", "--owner", "data team")
    expect(page.locator("tbody tr")).to_have_count(before + 1, timeout=15_000)
    page.get_by_label("Search").fill("no such thing")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("No entry fits")).to_be_visible()
    page.goto(base + "/audit")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export all").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) > 10 and all(json.loads(line)["action"] for line in lines)
    page.get_by_role("button", name="Verify the trail").click()
    expect(page.get_by_text("all in place")).to_be_visible(timeout=15_000)
    picture(page, "verified")
    step("the audit trail is followed, searched, exported and verified")


def two_admins(page: Page, base):
    page.goto(base + "/clients/reports/disable")
    columnseal("client", "update", "reports", "--owner", "somebody else")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("was changed meanwhile")
    picture(page, "conflict")
    page.get_by_role("link", name="Look at it as it is now").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("active")
    step("what another admin changed is told, not overwritten")


def key_server(browser, page: Page, base):
    page.goto(columnseal("login", "--no-open").strip())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Overview")
    cookie = page.context.cookies()[0]
    assert cookie["name"] == "__Host-columnseal" and cookie["secure"] and cookie["httpOnly"], cookie
    assert cookie["sameSite"] == "Strict", cookie
    state = page.context.storage_state()
    looks(browser, state, base, [(path, f"server-{name}") for path, name in SERVER_PAGES])
    page.goto(base + "/clients")
    page.locator("summary", has_text="Create a new client").click()
    expect(page.get_by_text("columnseal client create NAME")).to_be_visible()
    page.get_by_label("Copy the command").first.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("columnseal client create")
    picture(page, "server-elsewhere")
    page.goto(base + "/clients/checkout/disable")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("disabled")
    # In the middle of a form the session ends elsewhere: nothing of it is lost, and nothing is done.
    page.goto(base + "/clients/reports/disable")
    other = page.context.new_page()
    other.goto(base + "/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", level=1)).to_contain_text("signed out")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sign in again")
    picture(page, "ended")
    other.goto(columnseal("login", "--no-open").strip())
    expect(other.get_by_role("heading", level=1)).to_contain_text("Overview")
    page.get_by_role("button", name="Go on with my form").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Disable reports?")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("disabled")
    step("the key server's page disables, and an ended session loses nothing")


PAGES = [
    ("/", "overview"), ("/clients", "clients"), ("/clients/new", "create"), ("/clients/approve", "approve"), ("/clients/web", "client"),
    ("/clients/web/grant", "grant"), ("/clients/web/edit", "edit"), ("/keysets", "keysets"), ("/keysets/default", "keyset"),
    ("/types", "types"), ("/audit", "audit"), ("/clients?q=nobody", "none"), ("/clients/nobody", "missing"),
    ("/clients/web/rotate", "new-key"), ("/clients/web/disable", "disable"), ("/clients/web/delete", "delete"), ("/clients/reports", "client-disabled"),
    ("/keysets/new", "keyset-new"), ("/keysets/tenant-1", "keyset-unused"), ("/keysets/tenant-1/rename", "keyset-rename"),
    ("/keysets/tenant-1/grant", "keyset-grant"), ("/keysets/tenant-1/disable", "keyset-disable"), ("/keysets/default/rotate", "keyset-rotate"),
]
SERVER_PAGES = [
    ("/", "overview"), ("/clients", "clients"), ("/clients/web", "client"), ("/keysets", "keysets"), ("/keysets/default", "keyset"),
    ("/devices", "devices"), ("/audit", "audit"), ("/clients/new", "create"),
]


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        local = os.environ["DASHBOARD"]
        base = local.split("/login")[0]
        context = browser.new_context(**LOOKS["light"], reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
        context.set_default_timeout(20_000)
        page = context.new_page()
        watched = Watched(page, base)
        page.goto(local)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Overview")
        state = context.storage_state()
        step("signed in")
        create(page, base)
        approve(page, base)
        by_keyboard(page, base)
        without_script(browser, state, base)
        grant_and_revoke(page, base)
        keysets(page, base)
        devices(browser, state, page, base)
        audit(page, base)
        two_admins(page, base)
        looks(browser, state, base, [("/", "overview-new")])
        values(page, base)
        keyset = next(k for k in json.loads(columnseal("keyset", "list", "--json")) if k["name"] == "default")
        weeks_of_values(bytes.fromhex(keyset["id"].replace("-", "")))
        # Pages that say what was wrong are answers of 4xx, which Chromium notes.
        watched.check(expected=["Failed to load resource: the server responded with a status of 4"])
        looks(browser, state, base, PAGES)
        step("pictures of every page, in light, dark and on a phone")
        outside = browser.new_context(ignore_https_errors=True, permissions=["clipboard-read", "clipboard-write"], **LOOKS["light"])
        outside.set_default_timeout(20_000)
        page = outside.new_page()
        server = os.environ["SERVER"]
        watched = Watched(page, server)
        page.goto(server + "/")
        picture(page, "signed-out")
        key_server(browser, page, server)
        watched.check(expected=["Failed to load resource: the server responded with a status of 4"])
        browser.close()
    step("done")


if __name__ == "__main__":
    try:
        main()
    except Exception:
        import traceback

        traceback.print_exc()
        sys.exit(1)
