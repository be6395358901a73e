"""A page of another site that holds miniGPT in a frame as tall as itself, as the Hub holds a Space."""

import html
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import browsing
from playwright.sync_api import Browser, BrowserContext

# The parent's half of iframe-resizer 4 in ten lines: it greets the frame, and does as the answers say.
SMALL = """
const frame = document.querySelector("iframe"), NAME = "[iFrameSizer]";
const settings = [8, false, false, 32, true, true, "", "bodyOffset", "", "", 0, false, "parent", "scroll", false];
const greeting = [frame.id, ...settings].join(":");
window.addEventListener("message", ({ data }) => {
  if (!`${data}`.startsWith(NAME)) return;
  const height = Number(data.slice(NAME.length).split(":")[1]);
  if (height) frame.style.height = `${height}px`;
});
frame.addEventListener("load", () => frame.contentWindow.postMessage(NAME + greeting, "*"));
"""
NPM = "iframe-resizer@4.3.11"


def from_npm(folder: Path) -> str | None:
    """iframe-resizer itself, from npm; None where there is no npm or no network."""
    if not shutil.which("npm"):
        return None
    packed = subprocess.run(["npm", "pack", NPM], cwd=folder, capture_output=True, timeout=120, check=False)
    if packed.returncode:
        return None
    with tarfile.open(folder / "iframe-resizer-4.3.11.tgz") as package:
        script = package.extractfile("package/js/iframeResizer.min.js")
        assert script is not None
        return script.read().decode() + "\niFrameResize({ checkOrigin: false, scrolling: false }, 'iframe');"


def parent(address: str, resizer: str) -> str:
    """Its html. What the frame tells it besides its height is kept in `told`."""
    script = resizer.replace("</script", "<\\/script")
    return f"""<!doctype html><html><body style="margin:0"><header style="height:56px">A host</header>
<iframe id="iFrameResizer0" src="{html.escape(address)}" style="width:100%;height:100vh;border:0;display:block"
  scrolling="no"></iframe>
<script>window.told = []; window.addEventListener("message", ({{ data }}) => {{
  if (data.queryString !== undefined) told.push(data.queryString); }});</script>
<script>{script}</script></body></html>"""


def signed(url: str, theme: str = "light") -> str:
    """The address that the Hub gives its frame."""
    return f"{url}?__theme={theme}&__sign={quote('eyJ.secret')}"


# What a reader can choose in Chromium's settings, and what that does to localStorage in a frame of another site:
# "denied" raises SecurityError at the first touch; "apart" blocks cookies, and keeps a store for each host's frames.
CHOICES: dict[str, dict[str, Any]] = {
    "denied": {"content_settings": {"exceptions": {"cookies": {"http://127.0.0.1,*": {"setting": 2}}}}},
    "apart": {"cookie_controls_mode": 1, "block_third_party_cookies": True},
    "open": {},
}
FOUND = """() => { try { localStorage.setItem("mg-test", 1); localStorage.removeItem("mg-test"); return "open" }
    catch (error) { return error.name } }"""


def reader(browser: Browser, path: str, folder: Path, storage: str, **options: Any) -> BrowserContext:
    """A browser of one reader, with a choice of `CHOICES` in its settings; `folder` holds its profile."""
    (folder / "Default").mkdir(parents=True)
    (folder / "Default" / "Preferences").write_text(json.dumps({"profile": CHOICES[storage]}), encoding="utf-8")
    launch = browser.browser_type.launch_persistent_context
    return launch(str(folder), executable_path=path, args=browsing.FLAGS, **options)
