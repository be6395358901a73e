"""A page of another site that holds miniGPT in a frame as tall as itself, as the Hub holds a Space."""

import html
import shutil
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import quote

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


def signed(url: str) -> str:
    """The address that the Hub gives its frame."""
    return f"{url}?__theme=light&__sign={quote('eyJ.secret')}"
